"""Rules of running sums, products and extrema, and of differences along an axis."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygraph.node import read
from tinygraph.op import Op, Traced, composed, op
from tinygraph.rules.reduction import divided, divides, equal, kept_shape, nothing
from tinygraph.signature import refuse_out

Rule = tuple[Any, ...]


def as_operand(x: Any) -> Any:
    """Give a Node as it is, anything else as an array."""
    return x if isinstance(x, Traced) else np.asanyarray(x)


def part(x: Any, axis: int, piece: Any) -> Any:
    """Give the part of `x` that the index `piece` names along an axis."""
    return x[(*(slice(None),) * (axis % x.ndim), piece)]


def backwards(x: Any, axis: int = -1) -> Any:
    """Give the elements in the opposite order along an axis."""
    return part(x, axis, slice(None, None, -1))


@op(np.cumsum)
def cumsum(g: Any, out: Any, x: Any, *, axis: int | None = None, dtype: Any = None) -> Rule:
    axis = 0 if axis is None else axis
    return (backwards(np.cumsum(backwards(g, axis), axis), axis).reshape(x.shape),)


@op(np.cumprod)
def cumprod(g: Any, out: Any, x: Any, *, axis: int | None = None, dtype: Any = None) -> Rule:
    axis = 0 if axis is None else axis
    factors = x.reshape(out.shape)
    if divides(out):
        tails = backwards(np.cumsum(backwards(g * out, axis), axis), axis)
        return ((tails / factors).reshape(x.shape),)
    rows = np.moveaxis(factors, axis, -1)
    before = np.concatenate([np.ones_like(rows[..., :1]), np.cumprod(rows[..., :-1], -1)], -1)
    tails = before * weighted_tails(rows, np.moveaxis(g, axis, -1))
    return (np.moveaxis(tails, -1, axis).reshape(x.shape),)


def weighted_tails(factors: Any, terms: Any) -> Any:
    """Give y[i] = terms[i] + factors[i + 1] * y[i + 1] along the last axis.

    As a scan, in a logarithmic number of steps.
    """
    products = factors[..., 1:]
    step = 1
    while step < terms.shape[-1]:
        tails = terms[..., :-step] + products * terms[..., step:]
        terms = np.concatenate([tails, terms[..., -step:]], -1)
        products = products[..., :-step] * products[..., step:]
        step *= 2
    return terms


def _cumulative(name: str, running: Op, start: int) -> Callable[..., Any]:
    """Write a function of the array API as NumPy's older one, at times with `start` in front."""

    def cumulative(
        x: Any,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        if out is not None:
            refuse_out(name)
        if axis is None and x.ndim > 1:
            raise ValueError(
                f"{name}: got shape {x.shape} without an axis; write axis=-1, or another"
            )
        axis = 0 if axis is None else axis
        result = running(x, axis=axis, dtype=dtype)
        if not include_initial:
            return result
        initial = np.full(kept_shape(result.shape, axis), start, result.dtype)
        return np.concatenate([initial, result], axis=axis)

    return cumulative


cumulative_sum = composed(np.cumulative_sum)(_cumulative("cumulative_sum", cumsum, 0))
cumulative_prod = composed(np.cumulative_prod)(_cumulative("cumulative_prod", cumprod, 1))


@composed(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    if out is not None:
        refuse_out("nancumsum")
    return cumsum(np.where(np.isnan(a), 0, a), axis=axis, dtype=dtype)


@composed(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    if out is not None:
        refuse_out("nancumprod")
    return cumprod(np.where(np.isnan(a), 1, a), axis=axis, dtype=dtype)


def _running(accumulate: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x: Any, *, axis: int = 0, dtype: Any = None) -> Any:
        return accumulate(x, axis, dtype)

    return forward


def running_extremum(g: Any, out: Any, x: Any, *, axis: int = 0, dtype: Any = None) -> Rule:
    """Share each gradient equally among the elements up to there that tie, or that are NaN."""
    x, best, g = (np.moveaxis(z, axis, -1) for z in (x, out, g))
    chosen = equal(x, best)
    as_before = np.concatenate(
        [np.zeros_like(chosen[..., :1]), equal(best[..., 1:], best[..., :-1])], -1
    )
    starts = np.maximum.accumulate(np.where(as_before, 0, np.arange(x.shape[-1])), -1)
    count = np.cumsum(chosen, -1)
    ties = count - np.take_along_axis(count, starts, -1) + 1
    gradient = weighted_tails(as_before, divided(g, ties)) * chosen
    return (np.moveaxis(gradient, -1, axis),)


running_max = op(_running(np.maximum.accumulate), name="running_max")(running_extremum)
running_min = op(_running(np.minimum.accumulate), name="running_min")(running_extremum)


def _difference(x: Any, *, axis: int = -1) -> Any:
    return part(x, axis, slice(1, None)) - part(x, axis, slice(None, -1))


@op(_difference)
def difference(g: Any, out: Any, x: Any, *, axis: int = -1) -> Rule:
    if x.shape[axis] == 0:
        return (np.zeros_like(x),)
    return (np.moveaxis(of_differences(np.moveaxis(g, axis, -1)), -1, axis),)


def of_differences(g: Any) -> Any:
    """Give the gradient of what neighbours along the last axis were subtracted from each other."""
    zero = np.zeros((*g.shape[:-1], 1), g.dtype)
    padded = np.concatenate([zero, g, zero], -1)
    return padded[..., :-1] - padded[..., 1:]


@composed(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = nothing, append: Any = nothing) -> Any:
    if n < 0:
        raise ValueError(f"np.diff: expected an order n of at least 0, got {n!r}")
    if n == 0:
        return a
    a = as_operand(a)
    if a.ndim == 0:
        raise ValueError("np.diff: expected an array of at least one axis, got one without")
    axis = normalize_axis_index(axis, a.ndim)
    pieces = [as_end(prepend, a, axis), a, as_end(append, a, axis)]
    pieces = [piece for piece in pieces if piece is not nothing]
    a = np.concatenate(pieces, axis) if len(pieces) > 1 else a
    if a.dtype == bool:
        return np.diff(read(a), n, axis)
    for _ in range(n):
        a = difference(a, axis=axis)
    return a


def as_end(end: Any, a: Any, axis: int) -> Any:
    """Give what is put before or after `a` along an axis; a number is repeated there."""
    if end is nothing:
        return end
    end = as_operand(end)
    return end if end.ndim else np.broadcast_to(end, kept_shape(a.shape, axis))


@composed(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(as_operand(ary))
    pieces = [as_flat_end(to_begin, ary), difference(ary), as_flat_end(to_end, ary)]
    pieces = [piece for piece in pieces if piece is not None]
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def as_flat_end(end: Any, ary: Any) -> Any:
    """Give what np.ediff1d puts at an end of its results, in the dtype of `ary`."""
    if end is None:
        return end
    end = np.ravel(as_operand(end))
    if not np.can_cast(end.dtype, ary.dtype, "same_kind"):
        raise TypeError(
            f"np.ediff1d: to_begin and to_end of dtype {end.dtype} cannot be cast to that of the "
            f"array, {ary.dtype}; convert the array first, with ary.astype({end.dtype})"
        )
    return end.astype(ary.dtype)


def _slope(f: Any, spacing: Any, *, axis: int, edge_order: Any) -> Any:
    return np.gradient(f, spacing, axis=axis, edge_order=edge_order)


@op(_slope)
def slope(g: Any, out: Any, f: Any, spacing: Any, *, axis: int, edge_order: int) -> Rule:
    """Differentiate what np.gradient computes from the quotients of neighbours' differences.

    Inside, out = (right * quotient[i - 1] + left * quotient[i]) / (left + right), with the steps
    `left` and `right`. At an end, out is the quotient there; of edge order 2 it is twice that,
    less the next result, since the slopes of a parabola have the quotient as their mean.
    """
    g = np.moveaxis(g, axis, -1)
    first, inner, last = g[..., :1], g[..., 1:-1], g[..., -1:]
    if edge_order == 2:
        zeros = np.zeros_like(inner[..., 1:])
        inner = inner - np.concatenate([first, zeros], -1) - np.concatenate([zeros, last], -1)
        first, last = 2 * first, 2 * last
    is_even = np.ndim(spacing) == 0
    steps = spacing if is_even else np.diff(1.0 * spacing)
    left, right = (steps, steps) if is_even else (steps[:-1], steps[1:])
    share = inner / (left + right)
    by_quotient = np.concatenate([share * right, last], -1)
    by_quotient = by_quotient + np.concatenate([first, share * left], -1)
    by_difference = by_quotient / steps

    def for_spacing() -> Any:
        quotients = np.diff(np.moveaxis(1.0 * f, axis, -1)) / steps
        inside = np.moveaxis(out, axis, -1)[..., 1:-1]
        by_left, by_right = (
            share * (q - inside) for q in (quotients[..., 1:], quotients[..., :-1])
        )
        zero = np.zeros((*share.shape[:-1], 1), share.dtype)
        by_step = np.concatenate([by_left, zero], -1) + np.concatenate([zero, by_right], -1)
        by_step = np.sum(by_step - by_difference * quotients, axis=tuple(range(out.ndim - 1)))
        return np.sum(by_step) if is_even else of_differences(by_step)

    return lambda: np.moveaxis(of_differences(by_difference), -1, axis), for_spacing


@composed(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = as_operand(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and np.ndim(spacings[0]) == 0:
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise TypeError(
            f"np.gradient: got {len(varargs)} spacings for {len(axes)} axes; write one number for "
            f"all axes, or a number or the coordinates for each"
        )
    pairs = zip(spacings, axes, strict=True)
    slopes = [slope(f, spacing, axis=a, edge_order=edge_order) for spacing, a in pairs]
    return slopes[0] if len(axes) == 1 else tuple(slopes)


@composed(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_operand(y)
    widths = dx
    if x is not None:
        x = as_operand(x)
        widths = np.diff(x, axis=axis if x.ndim > 1 else -1)
        if x.ndim == 1:
            widths = widths.reshape([-1 if a == axis % y.ndim else 1 for a in range(y.ndim)])
    ends = part(y, axis, slice(1, None)) + part(y, axis, slice(None, -1))
    return np.sum(widths * ends / 2.0, axis)
