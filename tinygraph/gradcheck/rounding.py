"""How much rounding errors matter, of a function's values and of its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.vector import VectorFunction

Array = NDArray[Any]


class Rounding(NamedTuple):
    """The rounding error of weights . f, and of its gradient: samples, and noise that they lack."""

    of_value: float
    moves: Array
    jitter: Array

    def of_slope(self, positions: Array, factors: Array) -> float:
        """Give the rounding error of the derivative along a line."""
        moved = np.abs(self.moves[:, positions] @ factors)
        return float(np.max(moved, initial=0) + np.linalg.norm(self.jitter[positions] * factors))


def measure_rounding(
    function: VectorFunction, x: Array, weights: Array, gradient: Array
) -> Rounding:
    """Measure rounding errors by making others, of ops and of the last bits of inputs.

    Where that moves nothing, since the gradient has steps, these show along a line.
    """
    generator = np.random.default_rng(0)
    y = function(x)
    values, moves = [0.0], []
    for number in range(5):
        bits = 2.0**-52 * generator.choice([-1, 1], x.shape) if number >= 2 else 0
        try:
            shaken, moved = function.shaken(x * (1 + bits), weights, generator)
        except Exception:
            continue
        moves.append(moved - gradient)
        if number < 2:
            values.append(abs(float(weights @ np.where(weights != 0, shaken - y, 0))))
    jitter = jitter_along_line(function, x, weights, generator)
    return Rounding(
        float(np.max(np.nan_to_num(values, nan=0, posinf=0))),
        np.nan_to_num(np.reshape(moves, (-1, x.size)), nan=0, posinf=0, neginf=0),
        np.nan_to_num(jitter, posinf=0),
    )


def jitter_along_line(
    function: VectorFunction, x: Array, weights: Array, generator: np.random.Generator
) -> Array:
    """Give the noise of the gradient on a short line, or where it is flat there on a longer one."""
    direction = x * generator.uniform(0.5, 1, x.shape)

    def gradient_at(x: Array) -> Array:
        try:
            return function.gradient(x, weights)
        except Exception:
            return np.full(x.shape, np.nan)

    short, long = (
        np.array([gradient_at(x + i * step * direction) for i in range(9)])
        for step in (2.0**-36, 2.0**-24)
    )
    return np.where(np.ptp(short, axis=0) == 0, noise_of(long), noise_of(short))


def noise_of(table: Array) -> Array:
    """Give the noise in rows of numbers along a line, from their high differences.

    The smooth part hardly reaches those (J. J. More and S. M. Wild, Estimating computational
    noise, SIAM J. Sci. Comput. 33(3), 2011); the median passes over a kink on the line.
    """
    noise = np.full(table.shape[1:], np.inf)
    variance = 1.0
    for order in range(1, 6):
        table = np.diff(table, axis=0)
        variance *= (4 * order - 2) / order
        if order >= 3:
            noise = np.minimum(noise, 1.5 * np.median(np.abs(table), axis=0) / variance**0.5)
    return noise
