"""The losses that a network can be trained on, by name."""

from collections.abc import Callable
from typing import Any

from tinygraph import nn

DEFAULT = "softmax_quadratic"


def softmax_quadratic(a: Any, y: Any) -> Any:
    """Give 1/2 |softmax(a) - y|^2, averaged over the samples."""
    return nn.quadratic(nn.softmax(a), y)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    DEFAULT: softmax_quadratic,
    "quadratic": nn.quadratic,
    "cross_entropy": nn.cross_entropy,
    "binary_cross_entropy": nn.binary_cross_entropy,
}


def find_loss(name: str | None) -> str:
    """Give the name of a known loss, the default one for None."""
    name = DEFAULT if name is None else name
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; expected one of {', '.join(LOSSES)}")
    return name
