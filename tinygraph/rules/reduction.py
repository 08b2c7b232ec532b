"""Rules of functions over axes: sum, mean, prod, max, min, var, std."""

from math import prod
from typing import Any

import numpy as np

from tinygraph.op import op

Rule = tuple[Any, ...]
Axis = int | tuple[int, ...] | None


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Give the shape of a reduction over `axis` that keeps its axes at length one."""
    if axis is None:
        return (1,) * len(shape)
    axes = [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))] if shape else []
    return tuple(1 if a in axes else size for a, size in enumerate(shape))


def keep(reduced: Any, x: Any, axis: Axis) -> Any:
    """Give back to what `x` was reduced to the axes that are gone, at length one."""
    return reduced.reshape(kept_shape(x.shape, axis))


def spread(g: Any, x: Any, axis: Axis) -> Any:
    """Repeat the gradient of a reduction along the axes that are gone."""
    return np.broadcast_to(keep(g, x, axis), x.shape)


def terms(x: Any, axis: Axis) -> int:
    """Count the elements that go into each of the results."""
    sizes = zip(x.shape, kept_shape(x.shape, axis), strict=True)
    return prod(size for size, kept in sizes if kept == 1)


def _over_all_axes(reduce: Any) -> Any:
    """Give a ufunc's reduction with np.sum's default, which is all axes; it is the faster call."""

    def reduction(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
        return reduce(x, axis, dtype, None, keepdims)

    return reduction


@op(np.sum, forward=_over_all_axes(np.add.reduce))
def sum(
    g: Any, out: Any, x: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False
) -> Rule:
    return (spread(g, x, axis),)


@op(np.mean)
def mean(
    g: Any, out: Any, x: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False
) -> Rule:
    return (spread(g / max(terms(x, axis), 1), x, axis),)


@op(np.prod)
def product(
    g: Any, out: Any, x: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False
) -> Rule:
    if not np.any(x == 0):
        return (keep(g * out, x, axis) / x,)
    return (keep(g, x, axis) * product_of_others(x, axis),)


def product_of_others(x: Any, axis: Axis) -> Any:
    """Give for every element the product of all others over `axis`, without dividing."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    reduced = [a % x.ndim for a in axes]
    order = [a for a in range(x.ndim) if a not in reduced] + reduced
    moved = np.transpose(x, order)
    rows = moved.reshape((*moved.shape[: x.ndim - len(reduced)], -1))
    before = running_product(rows)
    after = running_product(rows[..., ::-1])[..., ::-1]
    one = np.ones((*rows.shape[:-1], 1), x.dtype)
    others = np.concatenate([one, before[..., :-1]], -1) * np.concatenate([after[..., 1:], one], -1)
    return np.transpose(others.reshape(moved.shape), np.argsort(order))


def running_product(rows: Any) -> Any:
    """Give products of all elements up to each, in a logarithmic number of steps."""
    step = 1
    while step < rows.shape[-1]:
        rows = np.concatenate([rows[..., :step], rows[..., step:] * rows[..., :-step]], -1)
        step *= 2
    return rows


def extremum(g: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Rule:
    """Share the gradient equally among the elements that tie."""
    chosen = x == keep(out, x, axis)
    ties = np.sum(chosen, axis=axis, dtype=x.dtype, keepdims=True)
    return (keep(g, x, axis) / np.maximum(ties, 1) * chosen,)


max_ = op(np.max, forward=_over_all_axes(np.maximum.reduce))(extremum)
min_ = op(np.min, forward=_over_all_axes(np.minimum.reduce))(extremum)
amax = op(np.amax, forward=max_.forward)(extremum)
amin = op(np.amin, forward=min_.forward)(extremum)


def freedom(x: Any, axis: Axis, ddof: float, correction: float) -> float:
    """Count the terms, less what `ddof`, or `correction` as it is also called, takes off."""
    return max(terms(x, axis) - (ddof or correction), 0)


def deviation(x: Any, axis: Axis) -> Any:
    """Give the distance of every element from the mean."""
    away = x - np.mean(x, axis=axis, keepdims=True)
    return np.conjugate(away) if x.dtype.kind == "c" else away


@op(np.var)
def var(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float = 0,
) -> Rule:
    scale = g * 2 / freedom(x, axis, ddof, correction)
    return (keep(scale, x, axis) * deviation(x, axis),)


@op(np.std)
def std(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float = 0,
) -> Rule:
    scale = g / (freedom(x, axis, ddof, correction) * (out + (out == 0)))
    return (keep(scale, x, axis) * deviation(x, axis),)
