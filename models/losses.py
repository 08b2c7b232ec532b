"""The losses that a network can be trained on, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygraph as tg
from tinygraph import nn

DEFAULT = "softmax_quadratic"


def softmax_quadratic(a: Any, y: Any) -> Any:
    """Give 1/2 |softmax(a) - y|^2, averaged over the samples."""
    return nn.quadratic(nn.softmax(a), y)


def binary_cross_entropy(a: Any, y: Any) -> Any:
    """Give the binary cross-entropy of outputs that are probabilities, averaged over the samples.

    Outputs outside 0 to 1, which an activation other than a sigmoid may give, are a ValueError.
    """
    is_probability = isinstance(a, tg.Node) and a.op is nn.sigmoid
    values = 0 if is_probability else a.value
    lowest, highest = np.min(values, initial=0), np.max(values, initial=1)
    if lowest < 0 or highest > 1:
        raise ValueError(
            f"binary_cross_entropy: got outputs from {lowest:.4g} to {highest:.4g}, expected "
            f"probabilities from 0 to 1; let the last activation be Sigmoid, or take another loss"
        )
    return nn.binary_cross_entropy(a, y)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    DEFAULT: softmax_quadratic,
    "quadratic": nn.quadratic,
    "cross_entropy": nn.cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
}


def find_loss(name: str | None) -> str:
    """Give the name of a known loss, the default one for None."""
    name = DEFAULT if name is None else name
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; expected one of {', '.join(LOSSES)}")
    return name
