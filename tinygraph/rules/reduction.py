"""Rules of functions over axes: sum, mean, prod, max, min, var, std, and those that pass by NaN."""

from collections.abc import Callable
from functools import partial, wraps
from math import nan, prod
from typing import Any

import numpy as np

from tinygraph.node import holds
from tinygraph.op import Op, composed, op
from tinygraph.signature import refuse_out

Rule = tuple[Any, ...]
Axis = int | tuple[int, ...] | None

nothing: Any = np._NoValue
"""What NumPy's functions have for an argument that is not given."""


def reduced_axes(shape: tuple[int, ...], axis: Axis) -> list[int]:
    """Give the numbers of the axes that go, which NumPy may be told of an array without axes."""
    if axis is None or not shape:
        return list(range(len(shape)))
    return [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Give the shape of a reduction over `axis` that keeps its axes at length one."""
    if axis is None:
        return (1,) * len(shape)
    axes = reduced_axes(shape, axis)
    return tuple(1 if a in axes else size for a, size in enumerate(shape))


def keep(reduced: Any, x: Any, axis: Axis) -> Any:
    """Give back to what `x` was reduced to the axes that are gone, at length one."""
    return reduced.reshape(kept_shape(x.shape, axis))


def spread(g: Any, x: Any, axis: Axis) -> Any:
    """Repeat the gradient of a reduction along the axes that are gone."""
    return np.broadcast_to(keep(g, x, axis), x.shape)


def masked(gradient: Any, where: Any) -> Any:
    """Give no gradient to elements that a mask leaves out."""
    return gradient if where is True else np.where(where, gradient, 0)


def terms(x: Any, axis: Axis, where: Any = True) -> Any:
    """Count the elements that go into each of the results, one by one if there is a mask."""
    if where is not True:
        return np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=True)
    if axis is None:
        return x.size
    sizes = zip(x.shape, kept_shape(x.shape, axis), strict=True)
    return prod(size for size, kept in sizes if kept == 1)


def divided(g: Any, count: Any) -> Any:
    """Divide by counts, which may be beyond the range of the gradient's dtype, as of float16."""
    if count.__class__ in (int, float):
        return g * (1 / count)
    return (g / count).astype(g.dtype)


def _over_all_axes(reduce: Any) -> Any:
    """Give a ufunc's reduction with np.sum's default, which is all axes; it is the faster call."""

    def reduction(
        x: Any,
        axis: Axis = None,
        dtype: Any = None,
        keepdims: bool = False,
        initial: Any = nothing,
        where: Any = True,
    ) -> Any:
        return reduce(x, axis, dtype, None, keepdims, initial, where)

    return reduction


@op(np.sum, forward=_over_all_axes(np.add.reduce))
def sum(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Rule:
    return (masked(spread(g, x, axis), where),)


@op(np.mean)
def mean(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    where: Any = True,
) -> Rule:
    if where is True:
        return (spread(g * (1 / max(terms(x, axis), 1)), x, axis),)
    share = divided(keep(g, x, axis), np.maximum(terms(x, axis, where), 1))
    return (masked(np.broadcast_to(share, x.shape), where),)


@op(np.prod, forward=_over_all_axes(np.multiply.reduce))
def product(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Rule:
    factors = x if where is True else np.where(where, x, 1)
    if divides(out):
        return (masked(keep(g * out, x, axis) / factors, where),)
    scale = g if initial is None else g * initial
    return (masked(keep(scale, x, axis) * product_of_others(factors, axis), where),)


def divides(products: Any) -> bool:
    """Tell whether dividing products by a factor gives the products of the others."""
    return holds(np.all(np.isfinite(products) & (products != 0)))


def product_of_others(x: Any, axis: Axis) -> Any:
    """Give for every element the product of all others over `axis`, without dividing."""
    rows = to_rows(x, axis)
    one = np.ones_like(rows[..., :1])
    before = np.concatenate([one, np.cumprod(rows[..., :-1], -1)], -1)
    after = np.concatenate([one, np.cumprod(rows[..., :0:-1], -1)], -1)[..., ::-1]
    return from_rows(before * after, x.shape, axis)


def to_rows(x: Any, axis: Axis) -> Any:
    """Bring the axes of a reduction together, to the end."""
    moved = np.transpose(x, order_of_rows(x.shape, axis))
    kept = x.ndim - len(reduced_axes(x.shape, axis))
    return moved.reshape((*moved.shape[:kept], prod(moved.shape[kept:])))


def from_rows(rows: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Bring what came of to_rows back to the `shape` from which it came."""
    order = order_of_rows(shape, axis)
    return np.transpose(rows.reshape([shape[a] for a in order]), np.argsort(order))


def order_of_rows(shape: tuple[int, ...], axis: Axis) -> list[int]:
    """Give the axes that stay, then those that go."""
    reduced = reduced_axes(shape, axis)
    return [a for a in range(len(shape)) if a not in reduced] + reduced


def extremum(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Rule:
    """Share the gradient equally among the elements that tie; where there are NaNs, they do."""
    return (share(keep(g, x, axis), x, keep(out, x, axis), axis, where, initial),)


def share(g: Any, x: Any, value: Any, axis: Axis, where: Any = True, constant: Any = None) -> Any:
    """Share `g` equally among the elements that equal `value`, and a constant that does too."""
    chosen = x == value
    ties = np.add.reduce(chosen, axis, keepdims=True)
    is_plain = where is True and constant is None
    if not is_plain or not holds(np.count_nonzero(ties) == ties.size):
        chosen = where & equal(x, value)
        ties = np.add.reduce(chosen, axis, keepdims=True)
        ties = np.maximum(ties if constant is None else ties + equal(constant, value), 1)
    return (g / ties).astype(g.dtype) * chosen


def equal(x: Any, y: Any) -> Any:
    """Tell where numbers are equal, or both NaN."""
    return (x == y) | ((x != x) & (y != y))


max_ = op(np.max, forward=_over_all_axes(np.maximum.reduce))(extremum)
min_ = op(np.min, forward=_over_all_axes(np.minimum.reduce))(extremum)
amax = op(np.amax, forward=max_.forward)(extremum)
amin = op(np.amin, forward=min_.forward)(extremum)


def freedom(x: Any, axis: Axis, ddof: float, where: Any) -> Any:
    """Count the terms, less `ddof`; give NaN where none is left."""
    left = terms(x, axis, where) - ddof
    if where is True:
        return left if left > 0 else nan
    return np.where(left > 0, left, nan)


def deviation(x: Any, axis: Axis, dtype: Any, where: Any, center: tuple[Any, ...]) -> Any:
    """Give the distance of every element from the mean, or from a `center` that is given."""
    if not center:
        # A mean of nothing would warn; nobody sees that of all in its place.
        some = where if where is True else where | (terms(x, axis, where) == 0)
        center = (np.mean(x, axis=axis, dtype=dtype, keepdims=True, where=some),)
    away = masked(x - center[0], where)
    return np.conjugate(away) if away.dtype.kind == "c" else away


def _about(function: Callable[..., Any], x: Any, *center: Any, **params: Any) -> Any:
    """Give np.var of x, or a relative, about the mean, if there is one as the second input."""
    return function(x, mean=center[0], **params) if center else function(x, **params)


def var_rule(
    g: Any,
    out: Any,
    x: Any,
    *center: Any,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
) -> Rule:
    scale = divided(keep(g, x, axis), freedom(x, axis, ddof, where) / 2)
    gradient = masked(scale * deviation(x, axis, dtype, where, center), where)
    return gradient, *(-gradient for _ in center)


def std_rule(
    g: Any,
    out: Any,
    x: Any,
    *center: Any,
    axis: Axis = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = True,
) -> Rule:
    """Give 0 where all elements are equal."""
    scale = divided(keep(g / (out + (out == 0)), x, axis), freedom(x, axis, ddof, where))
    gradient = masked(scale * deviation(x, axis, dtype, where, center), where)
    return gradient, *(-gradient for _ in center)


def _with_center(function: Callable[..., Any], rule: Callable[..., Any]) -> Op:
    """Make the op of a relative of np.var, and let `function` have its `mean` as second input."""
    made = op(partial(_about, function), name=function.__name__)(rule)
    defaults = {"axis": None, "dtype": None, "ddof": 0, "keepdims": False, "where": True}

    @composed(function)
    def written(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        mean: Any = None,
        correction: Any = nothing,
    ) -> Any:
        if out is not None:
            refuse_out(made.name)
        if correction is not nothing:
            if ddof != 0:
                raise ValueError("ddof and correction can't be provided simultaneously.")
            ddof = correction
        given = {"axis": axis, "dtype": dtype, "ddof": ddof, "keepdims": keepdims, "where": where}
        params = {name: x for name, x in given.items() if x is not defaults[name]}
        return made(a, **params) if mean is None else made(a, mean, **params)

    written.__doc__ = rule.__doc__
    return made


def where_known(x: Any, where: Any) -> Any:
    """Give a mask without the elements that are NaN."""
    return where & ~np.isnan(x)


def _passing_by_nan(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Make of the rule of a function over axes that of its relative which passes by NaN."""

    @wraps(rule)
    def passing(g: Any, out: Any, x: Any, *center: Any, where: Any = True, **params: Any) -> Rule:
        result: Rule = rule(g, out, x, *center, where=where_known(x, where), **params)
        return result

    return passing


var = _with_center(np.var, var_rule)
std = _with_center(np.std, std_rule)
nanvar = _with_center(np.nanvar, _passing_by_nan(var_rule))
nanstd = _with_center(np.nanstd, _passing_by_nan(std_rule))
nansum = op(np.nansum)(_passing_by_nan(sum.rule))
nanmean = op(np.nanmean)(_passing_by_nan(mean.rule))
nanprod = op(np.nanprod)(_passing_by_nan(product.rule))
nanmax = op(np.nanmax)(_passing_by_nan(extremum))
nanmin = op(np.nanmin)(_passing_by_nan(extremum))
