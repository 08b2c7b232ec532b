"""The gradient of narrow floats against that of doubles, within what narrow floats can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.check import CheckError
from tinygraph.gradcheck.report import Comparison
from tinygraph.gradcheck.vector import RuleError, VectorFunction
from tinygraph.transforms import vjp

Array = NDArray[Any]

NEIGHBOURS = 6
"""At how many points nearby rounding errors of the gradient are measured."""

ULPS = 64
"""Rounding errors that a gradient may have in any case, for the numbers in its array."""


def check_narrow(
    function: VectorFunction, leaves: Sequence[Array], weights: Array
) -> list[Comparison]:
    """Raise a CheckError if the gradient is right in doubles, but not in the inputs' precision.

    The error of rounding differs from one point to the next, that of a mistake does not: so it is
    measured at some points nearby, with how much rounding of the inputs moves the gradient.
    """
    eps = np.concatenate(
        [np.zeros(0), *(np.full(of_real(leaf), np.finfo(leaf.dtype).eps) for leaf in leaves)]
    )
    narrow = eps > np.finfo(float).eps
    if not np.any(narrow):
        return []
    generator = np.random.default_rng(0)
    expected = function.gradient(function.x, weights)
    errors, moves = [], [np.zeros_like(expected)]
    for number in range(NEIGHBOURS):
        step = eps * generator.choice([-4, -3, -2, 2, 3, 4], eps.size) if number else 0
        near = [
            x.astype(leaf.dtype)
            for x, leaf in zip(function.inputs.unpack(function.x * (1 + step)), leaves, strict=True)
        ]
        found = narrow_gradient(function, near, weights)
        if found is None:
            return []
        there = function.gradient(function.inputs.pack(near), weights)
        errors.append(found - there)
        moves.append(there - expected)
    found = expected + errors[0]
    scale = function.inputs.typical(expected)
    spread = 4 * np.ptp(errors, axis=0) + 4 * np.max(np.abs(moves), axis=0)
    allowed = spread + ULPS * eps * scale
    wrong = narrow & np.isfinite(expected) & ~(np.abs(errors[0]) <= allowed)
    if np.any(wrong):
        comparisons = [
            Comparison(*function.inputs.place(i), 1, found[i], expected[i], allowed[i], "wrong")
            for i in np.flatnonzero(wrong).tolist()
        ]
        dtypes = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
        raise CheckError(
            "float32",
            f"right in double precision, but not of {dtypes}: a rule leaves the range or the "
            f"precision of its inputs (the column numeric has the gradient in double precision)",
            comparisons,
        )
    return []


def of_real(leaf: Array) -> int:
    """Give the number of real numbers in an array."""
    return leaf.size * (2 if leaf.dtype.kind == "c" else 1)


def narrow_gradient(
    function: VectorFunction, leaves: Sequence[Array], weights: Array
) -> Array | None:
    """Give the gradient in the precision of the leaves, None where f does not take that."""
    try:
        out, pullback = vjp(function.run, *leaves)
    except Exception:
        return None
    if not all(np.all(np.isfinite(y)) for y in out):
        return None
    try:
        return function.inputs.pack_dual(pullback(function.outputs.unpack_dual(weights)))
    except Exception as error:
        raise RuleError from error
