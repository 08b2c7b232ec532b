"""How much rounding errors matter, of a function's values and of its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.vector import VectorFunction

Array = NDArray[Any]

SAMPLES = 6
"""How often other rounding errors are made."""


class Rounding(NamedTuple):
    """The rounding error of weights . f, and samples of that of its gradient.

    It `is_known` of functions made of ops in np itself: others may round more within themselves.
    """

    of_value: float
    of_gradient: Array
    is_known: bool

    def of_slope(self, positions: Array, factors: Array) -> float:
        """Give the rounding error of the derivative along a line."""
        return float(np.max(np.abs(self.of_gradient[:, positions] @ factors)))


def measure_rounding(
    function: VectorFunction, x: Array, weights: Array, gradient: Array
) -> Rounding:
    """Measure rounding errors by making others, of ops and of the last bits of inputs.

    The gradient is linear in the weights, so that those may change more: errors that are the same
    for all neighbours of a number are others far from it.
    """
    generator = np.random.default_rng(0)
    values, gradients = [], []
    for _ in range(SAMPLES):
        bits = 1 + 2.0**-52 * generator.choice([-1, 1], x.shape)
        factor = 1 + 2.0**-10 * generator.uniform(0.5, 1)
        values.append(shaken_values(function, x, generator))
        gradients.append(shaken_gradient(function, x * bits, factor * weights, generator) / factor)
    change = np.where(weights != 0, values - function(x), 0) @ weights
    moves = np.array(gradients) - gradient
    return Rounding(
        float(np.max(np.abs(np.nan_to_num(change, nan=0, posinf=0, neginf=0)))),
        np.nan_to_num(moves, nan=0, posinf=0, neginf=0),
        function.is_made_of_known_ops(x),
    )


def shaken_values(function: VectorFunction, x: Array, generator: np.random.Generator) -> Array:
    """Give values with other rounding errors, the same where the function does not take Nodes."""
    try:
        return function.shaken(x, generator)
    except Exception:
        return function(x)


def shaken_gradient(
    function: VectorFunction, x: Array, weights: Array, generator: np.random.Generator
) -> Array:
    """Give the gradient with other rounding errors, NaN where there is none."""
    try:
        return function.shaken_gradient(x, weights, generator)
    except Exception:
        # A rule that does not take Nodes tells of its inputs alone.
        try:
            return function.gradient(x, weights)
        except Exception:
            return np.full(x.shape, np.nan)
