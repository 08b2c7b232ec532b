"""What a box can say of the values behind it: lines, one function a fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.node import Node
from tinygraph.pictures.chain import gradients_below, ones_like
from tinygraph.pictures.labels import value_of

Fact = Callable[[Sequence[Any]], list[str]]
"""Gives lines for the items of one box: one, or those that were folded into it."""

IN_FULL = 9
"""How many elements of an array are written out."""

BARS = "▁▂▃▄▅▆▇█"
ROUNDS = 5


def facts_for(show: str | Iterable[Any], outputs: Sequence[Any]) -> list[Fact]:
    """Give the functions behind names of facts, and behind functions from a Node to a text."""
    names = [show] if isinstance(show, str) or callable(show) else list(show)
    facts: list[Fact] = []
    for name in names:
        if callable(name):
            facts.append(of_one(name))
        elif name == "gradients":
            facts.append(gradients(gradients_below(outputs)))
        elif name in FACTS:
            facts.append(FACTS[name])
        else:
            raise ValueError(
                f"render: show={name!r} is none of 'gradients', "
                f"{', '.join(map(repr, FACTS))}; or pass a function from a Node to a text"
            )
    return facts


def of_one(tell: Callable[[Node], Any]) -> Fact:
    """Make a fact of a function from a Node to a text, or None."""

    def fact(items: Sequence[Any]) -> list[str]:
        if len(items) > 1 or not isinstance(items[0], Node):
            return []
        text = tell(items[0])
        return [] if text is None else str(text).split("\n")

    return fact


def values(items: Sequence[Any]) -> list[str]:
    """Write a value: of few elements in full, of more as numbers and a histogram."""
    value = value_of(items[0])
    if len(items) > 1 or value is None or (not hasattr(items[0], "inputs") and np.size(value) == 1):
        return []
    if isinstance(value, Bundle):
        return []
    return array_lines(value)


def gradients(known: Mapping[Any, Any]) -> Fact:
    """Write the derivative of the outputs by a value."""

    def fact(items: Sequence[Any]) -> list[str]:
        (item, *others) = items
        if others or not isinstance(item, Node) or item not in known:
            return []
        first, *rest = array_lines(known[item])
        return [f"∂ {first}", *rest]

    return fact


def array_lines(value: Any) -> list[str]:
    """Write an array."""
    value = np.asarray(value)
    if value.size <= IN_FULL and value.ndim <= 2:
        formats = {"float_kind": number_text, "complex_kind": number_text}
        text = np.array2string(value, separator=", ", formatter=formats)  # type: ignore[arg-type]
        return [line.strip() for line in text.split("\n")]
    if value.dtype.kind == "c":
        return [f"|·| {line}" if i == 0 else line for i, line in enumerate(array_lines(abs(value)))]
    if not value.size:
        return ["empty"]
    finite = value[np.isfinite(value)].astype(float)
    lines = []
    if finite.size:
        with np.errstate(all="ignore"):
            low, mean, high = finite.min(), finite.mean(), finite.max()
            lines = [f"{low:.3g} … {high:.3g}, mean {mean:.3g}", histogram(finite)]
    if finite.size < value.size:
        lines.append(f"{np.isnan(value).sum():,} NaN, {np.isinf(value).sum():,} infinite")
    return lines


def number_text(number: Any) -> str:
    """Write a number in few characters."""
    return f"{number:.4g}"


def histogram(finite: Any) -> str:
    """Draw how often values are where between the smallest and the largest, in a line."""
    low, high = finite.min(), finite.max()
    if not np.isfinite(high - low) or high == low:
        return BARS[-1]
    counts, _ = np.histogram((finite - low) / (high - low), bins=16, range=(0, 1))
    heights = np.ceil(counts / counts.max() * (len(BARS) - 1)).astype(int)
    return "".join(BARS[height] for height in heights)


def nbytes(items: Sequence[Any]) -> list[str]:
    """Write the bytes of values, of all that were folded."""
    return [bytes_text(sum(map(bytes_of, items)))]


def bytes_of(item: Any) -> int:
    """Give the bytes of an item's value."""
    value = value_of(item)
    if isinstance(value, Bundle):
        return sum(part.nbytes for part in value.parts)
    return int(getattr(item, "nbytes", 0))


def bytes_text(count: float) -> str:
    """Write a number of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def time(items: Sequence[Any]) -> list[str]:
    """Write how long ops and their rules take on the values that are there, the best of a few."""
    nodes = [x for x in items if isinstance(x, Node) and x.forward_fn is not None]
    if not nodes:
        return []
    there = sum(map(forward_time, nodes))
    differentiable = [node for node in nodes if node.requires_grad]
    if not differentiable:
        return [seconds_text(there)]
    return [f"{seconds_text(there)}, rule {seconds_text(sum(map(rule_time, differentiable)))}"]


def forward_time(node: Node) -> float:
    """Measure the function of a node."""
    assert node.forward_fn is not None
    forward, inputs = node.forward_fn, [value_of(x) for x in node.inputs]
    return best_time(lambda: forward(*inputs))


def rule_time(node: Node) -> float:
    """Measure the derivative rule of a node, with all that it leaves for later."""
    assert node.backward_fn is not None
    rule, inputs = node.backward_fn, [value_of(x) for x in node.inputs]
    g = ones_like(node)

    def run() -> None:
        for gradient in rule(g, node._value, *inputs):
            if callable(gradient):
                gradient()

    return best_time(run)


def best_time(run: Callable[[], Any]) -> float:
    """Give the seconds of the fastest of a few calls."""
    best = np.inf
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            start = perf_counter()
            run()
            best = min(best, perf_counter() - start)
    return float(best)


def seconds_text(seconds: float) -> str:
    """Write a time."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


FACTS: dict[str, Fact] = {"values": values, "bytes": nbytes, "time": time}
