"""Gradients by finite differences, each with the error that it may have."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygraph.tree import flatten

STEP = 2.0**-12

ULPS = 64
"""Rounding errors that evaluating a function may add up, in units of its largest number's last."""


class Estimate(NamedTuple):
    """A gradient by finite differences, and for each element the bound of its error."""

    gradient: np.ndarray
    tolerance: np.ndarray


def numeric_vjp(
    f: Callable[..., Any], inputs: Sequence[np.ndarray], cotangent: Any
) -> list[Estimate]:
    """Estimate for every input the gradient of u = Re(sum(cotangent * f(*inputs))).

    Inputs are float64 or complex128; f gives an array or a tree of arrays, and `cotangent` has the
    same structure. By an input a + ib the gradient is du/da - i du/db, the convention of JAX.
    """
    rounding = rounding_error(f(*inputs), inputs, cotangent)

    def scalar(position: int, moved: np.ndarray) -> float:
        return pair(f(*inputs[:position], moved, *inputs[position + 1 :]), cotangent)

    return [
        estimate(lambda moved, i=i: scalar(i, moved), x, rounding) for i, x in enumerate(inputs)
    ]


def estimate(u: Callable[[np.ndarray], float], x: np.ndarray, rounding: float) -> Estimate:
    """Estimate the gradient of the scalar function `u`, whose values are off by `rounding`.

    Central differences with steps h and h/2 have errors near 4e and e; Richardson's combination
    of them is much better than either, and their distance 3e, with the rounding, bounds its error.
    """
    gradient = np.zeros_like(x, order="C")
    tolerance = np.zeros(x.shape)
    directions = (1.0, 1j) if np.iscomplexobj(x) else (1.0,)
    for index in np.ndindex(x.shape):
        for direction in directions:
            coarse = central_difference(u, x, index, STEP * direction)
            fine = central_difference(u, x, index, STEP / 2 * direction)
            gradient[index] += np.conj(direction) * (4 * fine - coarse) / 3
            tolerance[index] += abs(fine - coarse) + 2 * rounding / STEP
    settled = tolerance <= 1e-4 * (1 + np.abs(gradient)) + 4 * rounding / STEP
    assert np.all(settled), "near a kink, or of a function without definite values, a check is void"
    return Estimate(gradient, tolerance)


def central_difference(
    u: Callable[[np.ndarray], float], x: np.ndarray, index: tuple[int, ...], step: complex
) -> float:
    above, below = np.array(x), np.array(x)
    above[index] += step
    below[index] -= step
    return (u(above) - u(below)) / abs(above[index] - below[index])


def pair(out: Any, cotangent: Any) -> float:
    """Give Re(sum(cotangent * out)) over all arrays of both trees."""
    pairs = zip(flatten(out)[0], flatten(cotangent)[0], strict=True)
    return float(sum(np.sum(np.real(g * y)) for y, g in pairs))


def rounding_error(out: Any, inputs: Sequence[np.ndarray], cotangent: Any) -> float:
    """Bound the rounding error of pair(out, cotangent), of terms as large as any number met."""
    largest = max((np.max(np.abs(a), initial=1) for a in [*inputs, *flatten(out)[0]]), default=1)
    weight = sum(np.sum(np.abs(g)) for g in flatten(cotangent)[0])
    return float(ULPS * np.finfo(np.float64).eps * largest * weight)


def assert_gradients(gradients: Sequence[np.ndarray], estimates: Sequence[Estimate]) -> None:
    """Compare gradients with their estimates, and say where they differ most."""
    assert len(gradients) == len(estimates)
    for position, (gradient, expected) in enumerate(zip(gradients, estimates, strict=True)):
        assert gradient.shape == expected.gradient.shape
        excess = np.abs(gradient - expected.gradient) - expected.tolerance
        wrong = ~(excess <= 0)
        if np.any(wrong):
            where = np.unravel_index(np.argmax(np.where(wrong, excess, -np.inf)), excess.shape)
            raise AssertionError(
                f"gradient of input {position} at {tuple(map(int, where))}: the rule gives "
                f"{gradient[where]}, finite differences {expected.gradient[where]} "
                f"+- {expected.tolerance[where]:.1e}"
            )
