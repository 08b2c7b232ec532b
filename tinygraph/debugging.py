"""The mode that tells which line made a node, and where the first NaN or infinity came up."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.state import changed_state

OURS = ("tinygraph", "numpy", "contextlib")
"""The packages whose frames are not where the user's code is."""


def debug() -> changed_state:
    """Stop inside where a NaN or an infinity first comes up, and note the line of every node.

    A context manager and, called, a decorator, for this thread or context. An op that makes one of
    finite inputs raises FloatingPointError, with the line of the user's code; in `backward` so does
    a rule that makes one of a finite cotangent. The `line` of a Node is where it was made.
    Jacobians by blocks, and calls of what `compile` has recorded before, are not looked into.

    >>> import numpy as np, tinygraph as tg
    >>> with tg.debug(), np.errstate(divide="ignore"):  # doctest: +ELLIPSIS
    ...     np.log(tg.Node([1.0, 0.0]))
    Traceback (most recent call last):
    ...
    FloatingPointError: log gave -inf at index (1,) of finite inputs of shape (2,), in ...
    """
    return changed_state(debug=True)


def user_line() -> str:
    """Name the line outside of tinygraph and NumPy that is being run."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in OURS:
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def refuse_made(node: Any, name: str, inputs: Iterable[Any]) -> None:
    """Refuse a value that is not finite, made of inputs that are."""
    inputs = list(inputs)
    if not is_finite(node._value) and all(map(is_finite, inputs)):
        refuse(name, node._value, "inputs", inputs, node.line)


def refuse_gradient(node: Any, gradient: Any, g: Any) -> None:
    """Refuse a gradient that is not finite, which a rule made of a cotangent that is."""
    if not is_finite(gradient) and is_finite(g):
        name = f"the derivative rule of {node.op.name}"
        refuse(name, gradient, "cotangents", [g], node.line)


def refuse(name: str, value: Any, what: str, inputs: list[Any], line: Any) -> NoReturn:
    """Say which op made which number at which index."""
    part = next(x for x in parts_of(value) if not np.isfinite(x).all())
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(part))[0])
    shapes = ", ".join(str(x.shape) for value in inputs for x in parts_of(value))
    at = f" at index {index}" if index else ""
    place = f", in {line}" if line else ""
    raise FloatingPointError(
        f"{name} gave {part[index]}{at} of finite {what} of shape {shapes}{place}; keep its inputs "
        f"from where it has no finite value or slope, by np.where or np.clip for one"
    )


def is_finite(value: Any) -> bool:
    """Tell whether all numbers are finite."""
    return all(np.isfinite(x).all() for x in parts_of(value))


def parts_of(value: Any) -> list[Any]:
    """Give the arrays of a value or a cotangent, which may be several, and Nodes."""
    value = getattr(value, "_value", value)
    parts = value.parts if isinstance(value, Bundle) else [value]
    return [np.asarray(getattr(x, "_value", x)) for x in parts if x is not None]
