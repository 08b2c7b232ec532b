"""A plan as a file that runs with NumPy alone."""

from __future__ import annotations

import ast
import base64
import inspect
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.compiler.emit import Emitter
from tinygraph.node import Node, holds, read
from tinygraph.op import Op, Traced, describe, is_dispatched
from tinygraph.rules.indexing import static_index

SIMPLER: dict[Any, str] = {
    Bundle: "class Bundle:\n    def __init__(self, parts):\n        self.parts = tuple(parts)",
    Traced: "class Traced:\n    pass",
    Node: "class Node:\n    pass",
    holds: "def holds(condition):\n    return bool(condition)",
    read: "def read(x):\n    return x",
    static_index: "def static_index(index):\n    return index",
}
"""What is left of these where there are no Nodes."""


def save(path: Any, emitter: Emitter, source: str) -> None:
    """Write the function, with the constants and the functions that it needs."""
    needed: dict[str, str] = {}
    for name, x in emitter.objects.items():
        define(name, x, needed)
    imports = ["from __future__ import annotations", "", "import numpy as np"]
    if any("base64." in text for text in needed.values()):
        imports[2:2] = ["import base64", ""]
    parts = ["\n".join(imports), *needed.values(), source.rstrip(), f"{emitter.name} = make()"]
    Path(path).write_text("\n\n\n".join(parts) + "\n", encoding="utf-8")


def define(name: str, x: Any, needed: dict[str, str]) -> None:
    """Add the text that gives `name` its meaning, and that of what it needs."""
    if name in needed:
        return
    if isinstance(x, np.ndarray):
        text = base64.b85encode(np.ascontiguousarray(x).tobytes()).decode()
        needed[name] = (
            f"{name} = np.frombuffer(base64.b85decode({text!r}), {x.dtype.str!r})"
            f".reshape({x.shape})"
        )
        return
    if x in SIMPLER:
        needed[name] = SIMPLER[x]
        return
    function = inspect.unwrap(x.forward if isinstance(x, Op) else x)
    if isinstance(function, partial):
        define_partial(name, function, needed)
        return
    path = describe(function).replace("np.", "numpy.", 1)
    if path.startswith(("numpy.", "scipy.")):
        needed[name] = f"import {path.rpartition('.')[0]}\n{name} = {path}"
        return
    needed[name] = ""
    for word in sorted(words_of(function.__code__)):
        thing = function.__globals__.get(word)
        if inspect.ismodule(thing) and thing is not np:
            needed[word] = f"import {thing.__name__} as {word}"
        elif callable(thing) and is_ours(thing):
            define(word, thing, needed)
        elif isinstance(thing, int | float | str) or is_literal(thing):
            needed[word] = f"{word} = {thing!r}"
    # What a function needs stands before it.
    del needed[name]
    needed[name] = definition(name, function)


def define_partial(name: str, x: partial[Any], needed: dict[str, str]) -> None:
    """Add the text of a function with some arguments given, which are functions too."""
    names = [f"{name}_{number}" for number in range(1 + len(x.args))]
    for each, part in zip(names, (x.func, *x.args), strict=True):
        define(each, part, needed)
    needed[name] = f"from functools import partial\n\n{name} = partial({', '.join(names)})"


def is_literal(x: Any) -> bool:
    """Tell whether a dict or tuple is told by its text."""
    try:
        return isinstance(x, dict | tuple) and bool(ast.literal_eval(repr(x)) == x)
    except (ValueError, SyntaxError):
        return False


def is_ours(x: Any) -> bool:
    """Tell whether a class or function is tinygraph's own."""
    return (getattr(x, "__module__", None) or "").startswith("tinygraph")


def words_of(code: Any) -> set[str]:
    """Give the names that a function looks up, in functions inside it too."""
    inner = (words_of(x) for x in code.co_consts if hasattr(x, "co_names"))
    return set(code.co_names).union(*inner)


def definition(name: str, function: Callable[..., Any]) -> str:
    """Give the source of a function, under another name."""
    source = textwrap.dedent(inspect.getsource(function))
    if is_ours(function):
        # Decorators there register a rule, and give the function back.
        source = source[source.index("def ") :]
    if not source.startswith("def ") or function.__closure__ or is_dispatched(function):
        raise ValueError(
            f"save: the function {function.__qualname__} cannot be written to a file; define it "
            f"with def at the top of a module"
        )
    body = source if name == function.__name__ else f"{source}\n\n{name} = {function.__name__}"
    return body.rstrip()
