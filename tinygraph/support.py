"""The table of what NumPy's functions do with Nodes, written from the table of ops.

python -m tinygraph.support > tinygraph/docs/functions.md
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from tinygraph import rules
from tinygraph.op import COMPOSED, CONSTANT, INSTEAD, OF_SHAPES, OPS, Function, Op, is_dispatched

HEADER = f"""# What NumPy's functions do with Nodes

Written by `python -m tinygraph.support` from the table of ops, with NumPy {np.__version__}; a test
compares it with NumPy's namespace. The functions with a rule have derivatives of any order by every
argument before the semicolon that is a Node; what follows it are plain parameters. Methods of
ufuncs, methods of Node and operators are made of these. Functions that NumPy does not hand over to
Nodes, those that make arrays (np.array, np.arange, ...) for one, are not listed: np.asarray(node)
is refused.
"""

PLAIN = "plain result, which no gradient flows through"
SHAPES = "plain result, of shapes and dtypes alone"
MISSING = "no rule: a TypeError says so"


class Row(NamedTuple):
    """A function under all its names, its arguments, and what is to be known of it."""

    names: str
    arguments: str
    notes: str


def public(package: str) -> Iterator[tuple[str, Function]]:
    """Give by name every function of a package that NumPy's protocols hand over to Nodes."""
    module = import_module(package)
    for name in sorted(dir(module)):
        function = getattr(module, name)
        if not name.startswith("_") and callable(function) and is_dispatched(function):
            yield f"{package.replace('numpy', 'np')}.{name}", function


def names_of(packages: Iterable[str]) -> dict[Function, list[str]]:
    """Give the functions of some packages, each with all its names."""
    names: dict[Function, list[str]] = {}
    for package in packages:
        for name, function in public(package):
            names.setdefault(function, []).append(name)
    return names


def describe_arguments(function: Function) -> str:
    """List what a function takes: inputs, then parameters."""
    if function in OPS:
        return list_arguments(OPS[function])
    if function in COMPOSED:
        taken = inspect.signature(COMPOSED[function]).parameters.values()
        return ", ".join(str(p).split(":")[0].split("=")[0].strip() for p in taken)
    return ""


def list_arguments(op: Op) -> str:
    """List the inputs of an op, by which it has gradients, and its parameters."""
    signature = op.signature
    inputs = (
        ["*arrays"] if signature.takes_sequence else signature.positional[: signature.input_count]
    )
    return "; ".join([", ".join(inputs), ", ".join(signature.parameters)]).rstrip("; ")


def describe_rule(function: Function) -> str:
    """Give the first sentence of what a rule says of itself: its conventions."""
    written = OPS[function].rule if function in OPS else COMPOSED[function]
    return (inspect.getdoc(written) or "").split("\n\n")[0].replace("\n", " ")


def row(function: Function, names: list[str]) -> Row:
    """Describe a function."""
    if function in CONSTANT:
        notes = PLAIN
    elif function in OF_SHAPES:
        notes = SHAPES
    elif function in INSTEAD:
        notes = f"writes in place, and is refused; write {INSTEAD[function]}"
    else:
        known = function in OPS or function in COMPOSED
        notes = describe_rule(function) if known else MISSING
    return Row(", ".join(f"`{name}`" for name in names), describe_arguments(function), notes)


def sections() -> dict[str, list[Row]]:
    """Give the rows of every package, each function where its first name is."""
    packages = ["numpy", "numpy.linalg", "numpy.fft", "numpy.lib.stride_tricks"]
    if find_spec("scipy"):
        packages.append("scipy.special")
    for package in packages:
        if package in rules.LATE:
            import_module(f"tinygraph.rules.{rules.LATE[package]}")
    found: dict[str, list[Row]] = {package: [] for package in packages}
    for function, names in names_of(packages).items():
        package = names[0].rpartition(".")[0].replace("np", "numpy")
        if package != "scipy.special" or function in OPS or function in COMPOSED:
            found[package].append(row(function, names))
    return found


def table() -> str:
    """Write the whole table in Markdown."""
    parts = [HEADER.rstrip("\n")]
    for package, rows in sections().items():
        parts += ["", f"## {package}", "", "| function | arguments | notes |", "|---|---|---|"]
        parts += [f"| {names} | {arguments} | {notes} |" for names, arguments, notes in rows]
    return "\n".join(parts)


if __name__ == "__main__":
    print(table())
