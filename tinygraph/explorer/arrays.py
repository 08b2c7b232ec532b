"""What the page tells of an array: its numbers where they are few, a heat map and a histogram."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

from tinygraph.buffer import Array
from tinygraph.bundle import Bundle
from tinygraph.node import values_of

BINS = 24
LEVELS = 126
"""How many colours a heat map has on either side of 0; the codes after them are no numbers."""
MINUS_INFINITY, INFINITY, NAN = 253, 254, 255


@dataclass(frozen=True)
class Detail:
    """How many elements are told one by one, and how many rows and columns a heat map has."""

    numbers: int
    side: int

    def cost(self, size: int) -> int:
        """Estimate the bytes that an array of `size` elements takes in the page."""
        return 8 * size if size <= self.numbers else 60 + min(size, self.side**2) * 4 // 3


DETAILS = Detail(64, 64), Detail(64, 32), Detail(16, 16), Detail(4, 8), Detail(1, 0)


def detail_for(sizes: list[int], limit: int) -> Detail:
    """Give the finest detail in which arrays of `sizes` take about `limit` bytes, or the coarsest.

    Every array of the forward pass stands for up to five: its gradient, and what leads to it.
    """
    fitting = (d for d in DETAILS if 5 * sum(map(d.cost, sizes)) <= limit)
    return next(fitting, DETAILS[-1])


def describe(value: Any, detail: Detail) -> dict[str, Any]:
    """Tell of an array, a number, or a Bundle, in what JSON can hold.

    Complex numbers are drawn by their sizes. Each cell of a heat map is the mean of a block.
    """
    value = values_of(value)
    if isinstance(value, Bundle):
        parts = [None if part is None else describe(part, detail) for part in value.parts]
        return {"parts": parts}
    array = np.asarray(value)
    told: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size == 1 and array.dtype.kind in "biuf":
        return told | {"numbers": [number(float(array.item()))]}
    with np.errstate(all="ignore"):
        numbers = (np.abs(array) if array.dtype.kind == "c" else array).astype(np.float64)
        if array.size <= detail.numbers:
            told["numbers"] = [number(x) for x in numbers.ravel().tolist()]
            if array.dtype.kind == "c":
                told["texts"] = [f"{x:.4g}" for x in array.ravel().tolist()]
        if array.size > 1:
            told |= summary(numbers)
        if detail.side and array.size > detail.numbers:
            told["heat"] = heat_map(numbers, detail.side)
    return told


def number(x: float) -> float | str:
    """Give a number in six digits, as a text where JSON has none."""
    return float(f"{x:.6g}") if isfinite(x) else str(x)


def summary(numbers: Array) -> dict[str, Any]:
    """Tell the range, the mean, how the numbers spread, and how many are none."""
    finite = numbers[np.isfinite(numbers)]
    nan = int(np.isnan(numbers).sum())
    told: dict[str, Any] = {"nan": nan, "infinite": numbers.size - finite.size - nan}
    told = {key: count for key, count in told.items() if count}
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        told |= {"low": number(low), "high": number(high), "mean": number(float(finite.mean()))}
        if zeros := finite.size - int(np.count_nonzero(finite)):
            told["zeros"] = zeros
        if finite.size > BINS:
            told["bins"] = histogram(finite, low, high)
    return told


def histogram(finite: Array, low: float, high: float) -> list[int]:
    """Count the numbers in equal parts of their range; halves, as a range may be infinite."""
    if low == high:
        return [int(finite.size)]
    place = (finite * 0.5 - low * 0.5) / (high * 0.5 - low * 0.5)
    bins = np.clip(np.nan_to_num(place) * BINS, 0, BINS - 1).astype(np.intp)
    counts: list[int] = np.bincount(bins, minlength=BINS).tolist()
    return counts


def heat_map(numbers: Array, side: int) -> dict[str, Any]:
    """Give the colours of at most `side` rows and columns; 0 is in the middle of the scale."""
    blocks = block_means(as_rows(numbers), side)
    finite = np.isfinite(blocks)
    scale = float(np.max(np.abs(blocks), initial=0, where=finite))
    safe = np.where(finite, blocks, 0) / (scale or 1)
    codes = np.rint(safe * LEVELS) + LEVELS
    codes[np.isnan(blocks)] = NAN
    codes[blocks == np.inf] = INFINITY
    codes[blocks == -np.inf] = MINUS_INFINITY
    packed = base64.b64encode(codes.astype(np.uint8).tobytes()).decode()
    return {"rows": codes.shape[0], "columns": codes.shape[1], "scale": number(scale), "of": packed}


def as_rows(numbers: Array) -> Array:
    """Give an array as the rows of its last axis."""
    if numbers.ndim < 2:
        return numbers.reshape(1, -1)
    return numbers.reshape(prod(numbers.shape[:-1]), numbers.shape[-1])


def block_means(rows: Array, side: int) -> Array:
    """Give the means of blocks, at most `side` along each axis."""
    for axis in (0, 1):
        count = rows.shape[axis]
        if count > side:
            starts = np.arange(side) * count // side
            lengths = np.diff([*starts.tolist(), count])
            sums = np.add.reduceat(rows, starts, axis=axis)
            rows = sums / (lengths[:, None] if axis == 0 else lengths)
    return rows
