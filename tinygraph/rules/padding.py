"""Rules of np.pad in all its modes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.op import composed, op
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]
Fold = Callable[[Any, int], Any]

VALUES = {"constant": "constant_values", "linear_ramp": "end_values"}
STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "median": np.median}


@composed(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Pad as NumPy does; where the array is a Node, constant_values and end_values may be, too."""
    if callable(mode) or mode == "empty":
        raise TypeError(
            f"pad of a Node with mode={mode!r}: the elements added would be written in place or "
            f"undefined; write mode='constant', or np.concatenate"
        )
    ndim = np.ndim(array)
    if ndim == 0:
        return np.copy(array)
    widths = np.asarray(pairs_of(pad_width, ndim))
    if mode in STATISTICS:
        return pad_with_statistic(array, widths.tolist(), mode, **kwargs)
    if mode in VALUES:
        values = pairs_of(kwargs.pop(VALUES[mode], 0), ndim)
        return padded_to_values(array, values, pad_width=widths, mode=mode, **kwargs)
    return padded(array, pad_width=widths, mode=mode, **kwargs)


def pairs_of(tree: Any, ndim: int) -> Any:
    """Give what np.pad takes in any form, for every axis and side, in the shape (ndim, 2)."""
    if isinstance(tree, dict):
        rows = [(0, 0)] * ndim
        for axis, width in tree.items():
            rows[axis] = width if isinstance(width, tuple) else (width, width)
        tree = rows
    x = stacked(tree)
    is_pair = x.size <= 2 and x.shape != (2, 1)
    return np.broadcast_to(x.reshape(-1) if is_pair else x, (ndim, 2))


def stacked(tree: Any) -> Any:
    """Give nested lists of numbers, arrays and Nodes as one array or Node."""
    if isinstance(tree, list | tuple):
        return np.stack([stacked(part) for part in tree])
    return tree if hasattr(tree, "shape") else np.asarray(tree)


def _pad(x: Any, **params: Any) -> Any:
    return np.pad(x, **params)


@op(_pad, name="pad")
def padded(
    g: Any,
    out: Any,
    x: Any,
    *,
    pad_width: Any,
    mode: Any,
    stat_length: Any = None,
    reflect_type: str = "even",
) -> Rule:
    def fold(strip: Any, axis: int) -> Any:
        size, widths = x.shape[axis], pad_width[axis]
        if mode == "mean":
            lengths = lengths_of(stat_length, x.shape)[axis]
            return fold_means(strip, axis, size, widths, lengths)
        if reflect_type == "odd":
            add = adding(widths, mode, reflect_type="odd")
            return fold_combinations(strip, axis, size, add)
        return fold_moves(strip, axis, size, adding(widths, mode))

    return (unpad(g, pad_width, fold)[0],)


def _pad_to_values(x: Any, values: Any, *, pad_width: Any, mode: Any, **others: Any) -> Any:
    return np.pad(x, pad_width, mode, **{VALUES[mode]: values}, **others)


@op(_pad_to_values, name="pad_to_values")
def padded_to_values(g: Any, out: Any, x: Any, values: Any, *, pad_width: Any, mode: Any) -> Rule:
    def fold(strip: Any, axis: int) -> Any:
        return fold_combinations(strip, axis, x.shape[axis], adding(pad_width[axis], mode))

    def for_x() -> Any:
        if mode == "constant":
            sides = zip(pad_width[:, 0].tolist(), x.shape, strict=True)
            return g[tuple(slice(before, before + size) for before, size in sides)]
        return unpad(g, pad_width, fold)[0]

    def for_values() -> Any:
        strips = unpad(g, pad_width, None if mode == "constant" else fold)[1]
        return np.stack([total(strip, axis) for axis, strip in enumerate(strips)])

    def total(strip: Any, axis: int) -> Any:
        units = ((1.0, 0.0), (0.0, 1.0))
        zeros = np.zeros(x.shape[axis])
        shares = [adding(pad_width[axis], mode, **{VALUES[mode]: unit})(zeros) for unit in units]
        others = tuple(other for other in range(x.ndim) if other != axis)
        return np.sum(strip, others) @ np.stack(shares, 1).astype(g.dtype)

    return for_x, for_values


def unpad(g: Any, pad_width: Any, fold: Fold | None) -> tuple[Any, list[Any]]:
    """Give the gradient of what was padded, and for every axis that of what was added there.

    NumPy pads one axis after the other, so that the last is undone first: fold(strip, axis) gives
    what elements along an axis get from what was made of them.
    """
    strips = []
    for axis, (before, after) in reversed(list(enumerate(pad_width.tolist()))):
        front, stop = (slice(None),) * axis, g.shape[axis] - after
        sides = g[(*front, slice(before))], g[(*front, slice(stop, stop + after))]
        g, strip = g[(*front, slice(before, stop))], np.concatenate(sides, axis)
        if fold is not None and before + after:
            g = g + fold(strip, axis)
        strips.append(strip)
    return g, strips[::-1]


def adding(widths: Any, mode: Any, **options: Any) -> Callable[[Any], Any]:
    """Give the function from a vector to what np.pad adds to it, on both sides."""

    def add(vector: Any) -> Any:
        row = np.pad(vector, widths, mode, **options)
        return np.delete(row, slice(widths[0], widths[0] + vector.size))

    return add


def along(vector: Any, strip: Any, axis: int) -> Any:
    """Lay a vector along an axis of what it will be multiplied with."""
    return vector.astype(strip.dtype).reshape((-1, *(1,) * (strip.ndim - axis - 1)))


def with_side(strip: Any, axis: int, size: int) -> tuple[int, ...]:
    """Give the shape of `strip` with another length along an axis."""
    return (*strip.shape[:axis], size, *strip.shape[axis + 1 :])


def fold_moves(strip: Any, axis: int, size: int, add: Callable[[Any], Any]) -> Any:
    """Give the gradients of elements along an axis of which each that was added is one."""
    index = (*map(slice, strip.shape[:axis]), add(np.arange(size)))
    return scatter(strip, index=index, shape=with_side(strip, axis, size))


def fold_combinations(strip: Any, axis: int, size: int, add: Callable[[Any], Any]) -> Any:
    """Give them where each is an element, or less it, and shares of the first and the last."""
    numbers = np.arange(1.0, size + 1)
    numbers[[0, -1]] = 0
    found = add(numbers)
    gradients, places = [strip * along(np.sign(found), strip, axis)], [np.abs(found) - 1]
    for end in sorted({0, size - 1}):
        share = add((np.arange(size) == end).astype(float))
        gradients.append(np.sum(strip * along(share, strip, axis), axis, keepdims=True))
        places.append(np.array([end]))
    index = (*map(slice, strip.shape[:axis]), np.concatenate(places).astype(np.intp))
    shape = with_side(strip, axis, size)
    return scatter(np.concatenate(gradients, axis), index=index, shape=shape)


def fold_means(strip: Any, axis: int, size: int, widths: Any, lengths: Any) -> Any:
    """Give them where each is the mean of the `lengths` elements next to its edge."""
    front, numbers = (slice(None),) * axis, np.arange(size)
    before, after = strip[(*front, slice(widths[0]))], strip[(*front, slice(widths[0], None))]
    first = along((numbers < lengths[0]) / lengths[0], strip, axis)
    last = along((numbers >= size - lengths[1]) / lengths[1], strip, axis)
    sums = np.sum(before, axis, keepdims=True), np.sum(after, axis, keepdims=True)
    return sums[0] * first + sums[1] * last


def lengths_of(stat_length: Any, shape: tuple[int, ...]) -> Any:
    """Give how many elements next to every edge statistics are of."""
    sizes = np.stack([shape, shape], 1)
    return sizes if stat_length is None else np.minimum(sizes, pairs_of(stat_length, len(shape)))


def pad_with_statistic(
    x: Any, widths: Any, mode: Any, stat_length: Any = None, **others: Any
) -> Any:
    """Pad along one axis after the other with the statistic of the elements next to the edge."""
    if others:
        # NumPy refuses them.
        np.pad(np.zeros(1), 0, mode, **others)
    lengths = lengths_of(stat_length, x.shape).tolist()
    for axis, counts in enumerate(widths):
        front, size = (slice(None),) * axis, x.shape[axis]
        parts = slice(lengths[axis][0]), slice(size - lengths[axis][1], size)
        statistics = (STATISTICS[mode](x[(*front, part)], axis, keepdims=True) for part in parts)
        before, after = (
            np.broadcast_to(y, with_side(x, axis, n))
            for y, n in zip(statistics, counts, strict=True)
        )
        x = np.concatenate([before, x, after], axis)
    return x
