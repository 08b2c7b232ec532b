"""The text on boxes and edges, and how nothing in it means anything to a layout engine."""

from __future__ import annotations

import html
import os
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.rules.parts import part

SYMBOLS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@"}  # noqa: RUF001
"""What stands for the commonest ops."""


def kind_of(item: Any) -> str:
    """Tell an op, a leaf, a parameter and a constant apart."""
    if not hasattr(item, "inputs"):
        return "constant"
    if item.op is not None:
        return "op"
    return "parameter" if item.requires_grad else "leaf"


def title_of(item: Any) -> str:
    """Name an item in a word: its own name, its op, a number's value, or what it is."""
    if hasattr(item, "inputs"):
        return item.name or (item.op.name if item.op is not None else kind_of(item))
    return short(item) if np.size(item) == 1 else "constant"


def symbol_of(item: Any) -> str | None:
    """Give the symbol of one of the commonest ops, without a name of its own."""
    if kind_of(item) != "op" or item.name:
        return None
    return f"[{item.params['number']}]" if item.op is part else SYMBOLS.get(item.op.name)


def lines_of(item: Any) -> list[str]:
    """Give the title of an item's box, and the lines below."""
    if kind_of(item) != "op":
        return [title_of(item)]
    symbol = SYMBOLS.get(item.op.name, item.op.name)
    if item.name:
        return [item.name, call_of(item) if item.params else symbol]
    if item.op is part or item.op.name == "getitem":
        return [bracket_of(item)]
    params = ", ".join(params_of(item))
    return [symbol, params] if params else [symbol]


def call_of(item: Any) -> str:
    """Write the op of an item with its static parameters."""
    params = ", ".join(params_of(item))
    return f"{item.op.name}({params})" if params else str(item.op.name)


def bracket_of(item: Any) -> str:
    """Write the index of what was taken out of an array, or out of several results."""
    (index,) = item.params.values()
    text = short(index)
    return f"[{text.strip('()').rstrip(',') if isinstance(index, tuple) else text}]"


def params_of(item: Any) -> list[str]:
    """Write the static parameters of an item's op."""
    return [f"{key}={short(value)}" for key, value in item.params.items()]


def value_of(item: Any) -> Any:
    """Give the value of an item: an array, a number, a Bundle, or None where it is not known."""
    return getattr(item, "_value", None) if hasattr(item, "inputs") else item


def shape_of(item: Any) -> tuple[int, ...] | None:
    """Give the shape of an item's value, None of several results."""
    if isinstance(value_of(item), Bundle):
        return None
    shape: tuple[int, ...] | None = item.shape if hasattr(item, "shape") else ()
    return shape


def dtype_of(item: Any) -> np.dtype[Any] | None:
    """Give the dtype of an item's value, None of several results and of Python's numbers."""
    return None if shape_of(item) is None else getattr(item, "dtype", None)


def size_text(item: Any, usual: Any = None) -> str:
    """Write the shape of an item's value, and its dtype where it is not the usual one."""
    shape, dtype = shape_of(item), dtype_of(item)
    if shape is None or dtype is None:
        return ""
    text = "×".join(map(str, shape)) if len(shape) != 1 else f"{shape[0]}"  # noqa: RUF001
    return text if dtype == usual else f"{text} {dtype}".strip()


def tooltip_of(item: Any) -> str:
    """Write all of an item that a box is too small for."""
    lines = [item.name] if getattr(item, "name", None) else []
    lines.append(call_of(item) if kind_of(item) == "op" else kind_of(item))
    value = value_of(item)
    if isinstance(value, Bundle):
        lines.append(", ".join(f"{x.dtype} {x.shape}" for x in value.parts))
    elif dtype_of(item) is not None:
        lines.append(f"{dtype_of(item)} {shape_of(item)}")
    if line := getattr(item, "line", None):
        lines.append(os.path.basename(line))
    return "\n".join(printable(line, 200) for line in lines)


def short(value: Any) -> str:
    """Write a number, an index or another static parameter in few characters."""
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        parts = [value.start, value.stop, *([] if value.step is None else [value.step])]
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(value, np.ndarray):
        return short(value.flat[0]) if value.size == 1 else f"{value.dtype} {value.shape}"
    if isinstance(value, float | complex | np.inexact):
        return f"{value:.6g}"
    return "..." if value is ... else str(value)


def printable(what: Any, limit: int = 80) -> str:
    """Write characters that cannot be printed, or encoded, as Python does; clip a long text."""
    text = str(what)
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def markup(text: Any) -> str:
    """Give text for an HTML-like label, in which nothing that it holds is markup."""
    text = printable(text).replace("\\", r"\\")
    return html.escape(text).replace(" ", "&#160;")


def quoted(text: str) -> str:
    """Give text for another attribute, in which nothing that it holds is an escape."""
    import graphviz

    entities = (graphviz.escape(line.replace("&", "&amp;")) for line in text.split("\n"))
    label: str = graphviz.nohtml(r"\n".join(entities))
    return label
