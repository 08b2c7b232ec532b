"""A plan as a file that runs with NumPy alone."""

from __future__ import annotations

import base64
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.compiler.emit import Emitter
from tinygraph.op import is_dispatched

BUNDLE = """
class Bundle:
    def __init__(self, parts):
        self.parts = tuple(parts)
""".strip()
"""What a plan needs of the Bundle of several results."""


def save(path: Any, emitter: Emitter, source: str) -> None:
    """Write the function, with the constants and the functions that it needs."""
    needed: dict[str, str] = {}
    for name, x in emitter.objects.items():
        define(name, x, needed)
    imports = ["from __future__ import annotations", "", "import base64", "", "import numpy as np"]
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
    if x is Bundle:
        needed[name] = BUNDLE
        return
    function = inspect.unwrap(x)
    needed[name] = ""
    for word in sorted(words_of(function.__code__)):
        thing = function.__globals__.get(word)
        if callable(thing) and getattr(thing, "__module__", "").startswith("tinygraph"):
            define(word, thing, needed)
        elif isinstance(thing, int | float | str):
            needed[word] = f"{word} = {thing!r}"
    # What a function needs stands before it.
    del needed[name]
    needed[name] = definition(name, function)


def words_of(code: Any) -> set[str]:
    """Give the names that a function looks up, in functions inside it too."""
    inner = (words_of(x) for x in code.co_consts if hasattr(x, "co_names"))
    return set(code.co_names).union(*inner)


def definition(name: str, function: Callable[..., Any]) -> str:
    """Give the source of a function, under another name."""
    source = textwrap.dedent(inspect.getsource(function))
    if not source.startswith("def ") or function.__closure__ or is_dispatched(function):
        raise ValueError(
            f"save: the function {function.__qualname__} cannot be written to a file; define it "
            f"with def at the top of a module"
        )
    body = source if name == function.__name__ else f"{source}\n\n{name} = {function.__name__}"
    return body.rstrip()
