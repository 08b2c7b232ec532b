"""Rules of averages, order statistics and covariances."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygraph.node import Node, holds, plain
from tinygraph.op import Op, composed, op
from tinygraph.rules.cumulative import as_operand
from tinygraph.rules.indexing import getitem
from tinygraph.rules.reduction import Axis, keep, share, to_rows, where_known
from tinygraph.signature import refuse_out

Rule = tuple[Any, ...]


@composed(np.average)
def average(
    a: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Any:
    a = as_operand(a)
    axis = None if axis is None else normalize_axis_tuple(axis, a.ndim)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        total = mean.dtype.type(a.size / mean.size)
    else:
        weights = as_weights(weights, a, axis)
        is_whole = a.dtype.kind in "iub"
        dtype = np.result_type(a.dtype, weights.dtype, *["f8"] * is_whole)
        total = np.sum(weights, axis=axis, dtype=dtype, keepdims=keepdims)
        if holds(np.any(total == 0.0)):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        product = in_dtype(a, dtype) * in_dtype(weights, dtype)
        mean = np.sum(product, axis=axis, keepdims=keepdims) / total
    if not returned:
        return mean
    return mean, total if total.shape == mean.shape else np.broadcast_to(total, mean.shape).copy()


def in_dtype(x: Any, dtype: Any) -> Any:
    """Give `x` in a dtype, as it is if it has it."""
    return x if x.dtype == dtype else x.astype(dtype)


def as_weights(weights: Any, a: Any, axis: tuple[int, ...] | None) -> Any:
    """Give weights that broadcast with `a`: one for each element, or for each place along axes."""
    weights = as_operand(weights)
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError(
            f"np.average: got weights of shape {weights.shape} for an array of shape {a.shape} "
            f"without an axis; write axis=, or give a weight for each element"
        )
    if weights.shape != tuple(a.shape[n] for n in axis):
        raise ValueError(
            f"np.average: got weights of shape {weights.shape}; expected "
            f"{tuple(a.shape[n] for n in axis)}, the array's along axes {axis}"
        )
    weights = np.transpose(weights, np.argsort(axis))
    return weights.reshape([size if n in axis else 1 for n, size in enumerate(a.shape)])


@composed(np.ptp)
def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    if out is not None:
        refuse_out("ptp")
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def in_order(
    g: Any, x: Any, axis: Any, places_of: Callable[[int], Any], passes_by_nan: bool = False
) -> Any:
    """Give the gradient of results that lie between neighbours in the order of elements.

    `places_of(count)` tells where, among that many: 0.25 means three parts of the first element
    and one of the second. Those that tie share equally; so do NaNs where the result is NaN.
    """
    gradient = np.zeros(x.shape, g.dtype)
    if x.size == 0:
        return gradient
    axis = None if axis is None else normalize_axis_tuple(axis, x.ndim)
    where = where_known(x, True) if passes_by_nan else True
    rows = plain(np.sort, (to_rows(x, axis),), {})
    counts = np.full(rows.shape[:-1], rows.shape[-1])
    if passes_by_nan:
        counts = np.sum(~np.isnan(rows), axis=-1)
    for index, number, weight in neighbours(counts, rows.shape[-1], places_of):
        number = np.minimum(number, rows.shape[-1] - 1)
        value = np.take_along_axis(rows, number[..., None], axis=-1)
        if not passes_by_nan:
            value = np.where(np.isnan(rows[..., -1:]), rows[..., -1:], value)
        part = keep(g[index], x, axis) * keep(weight.astype(g.dtype), x, axis)
        gradient = gradient + share(part, x, keep(value, x, axis), axis, where)
    return gradient


def neighbours(
    counts: Any, most: int, places_of: Callable[[int], Any]
) -> Iterator[tuple[tuple[int, ...], Any, Any]]:
    """Give, by the index of a place, numbers and weights of neighbours, for each of the rows.

    A row has as many elements as `counts` says, and at most `most`.
    """
    different: Any
    which: Any
    if isinstance(counts, Node):
        # A plan serves all.
        different, which = np.arange(most + 1), counts
    else:
        different, which = np.unique(counts, return_inverse=True)
    places = np.stack([np.asarray(places_of(max(n, 1))) for n in different.tolist()])
    places = getitem(places, index=which.reshape(counts.shape))
    first = np.floor(places)
    for number, weight in ((first, first + 1 - places), (first + 1, places - first)):
        for index in np.ndindex(places.shape[counts.ndim :]):
            if not holds(np.all(weight[(..., *index)] == 0)):
                yield index, number[(..., *index)].astype(int), weight[(..., *index)]


def middle(count: int) -> float:
    """Give the place of the median."""
    return (count - 1) / 2


def _keeping_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of NumPy's that makes no use of the permission to overwrite its input."""

    def forward(x: Any, *, overwrite_input: bool = False, **params: Any) -> Any:
        return function(x, **params)

    return forward


@op(np.median, forward=_keeping_input(np.median))
def median(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Rule:
    """Share the gradient equally among elements that tie."""
    return (in_order(g, x, axis, middle),)


@op(np.nanmedian, forward=_keeping_input(np.nanmedian))
def nanmedian(
    g: Any,
    out: Any,
    x: Any,
    *,
    axis: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Rule:
    """Share the gradient equally among elements that tie."""
    return (in_order(g, x, axis, middle, passes_by_nan=True),)


def quantile_rule(function: Callable[..., Any], passes_by_nan: bool = False) -> Callable[..., Any]:
    """Make the rule of np.quantile or np.percentile, or of a relative that passes by NaN."""

    def rule(
        g: Any,
        out: Any,
        x: Any,
        *,
        q: Any,
        axis: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
        weights: Any = None,
    ) -> Rule:
        """Share the gradient equally among elements that tie; `q` and weights have none."""
        if weights is not None:
            return (of_elements(g, out, x, axis, np.shape(q), passes_by_nan),)
        # Where the results lie the function itself tells, called on the elements' numbers.
        places = partial(_places, function=function, q=q, method=method)
        return (in_order(g, x, axis, places, passes_by_nan),)

    return rule


def _places(count: int, function: Callable[..., Any], q: Any, method: str) -> Any:
    return function(np.arange(count, dtype=float), q, method=method)


def of_elements(
    g: Any, out: Any, x: Any, axis: Any, shape: tuple[int, ...], passes_by_nan: bool
) -> Any:
    """Give the gradient of results which are elements, a reduction for each index in `shape`."""
    axis = None if axis is None else normalize_axis_tuple(axis, x.ndim)
    where = where_known(x, True) if passes_by_nan else True
    gradient = np.zeros(x.shape, g.dtype)
    for index in np.ndindex(shape):
        part, value = (keep(z[index], x, axis) for z in (g, out))
        gradient = gradient + share(part, x, value, axis, where)
    return gradient


def _quantile(function: Callable[..., Any], plain: Callable[..., Any]) -> Op:
    rule = quantile_rule(plain, passes_by_nan=function is not plain)
    return op(function, forward=_keeping_input(function))(rule)


quantile = _quantile(np.quantile, np.quantile)
percentile = _quantile(np.percentile, np.percentile)
nanquantile = _quantile(np.nanquantile, np.quantile)
nanpercentile = _quantile(np.nanpercentile, np.percentile)


ROW_IS_VARIABLE = np.cov(np.zeros((1, 2)), rowvar=False, ddof=0).ndim == 0
"""Whether NumPy takes a matrix of one row as one variable also where columns are variables."""


@composed(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if ddof is None:
        ddof = 0 if bias else 1
    elif ddof != int(ddof):
        raise ValueError(f"np.cov: expected a whole number for ddof, got {ddof}")
    samples = [as_operand(x) for x in (m, y) if x is not None]
    if dtype is None:
        dtype = np.result_type(np.float64, *[x.dtype for x in samples])
    rows = [as_rows(in_dtype(x, dtype), rowvar, x is samples[0]) for x in samples]
    if rows[0].shape[0] == 0:
        return np.empty((0, 0))
    x = rows[0] if y is None else np.concatenate(rows)
    if aweights is not None:
        aweights = as_sample_weights("aweights", aweights, x.shape[1])
    if fweights is not None:
        fweights = as_sample_weights("fweights", fweights, x.shape[1])
        if holds(np.any(fweights != np.around(fweights))):
            raise TypeError("np.cov: fweights must be integer")
    weights = (
        fweights if aweights is None else aweights if fweights is None else fweights * aweights
    )
    mean, totals = np.average(x, axis=1, weights=weights, returned=True)
    total = x.shape[1] if weights is None else totals[0]
    fact = total - (ddof if aweights is None else ddof * np.sum(weights * aweights) / total)
    if holds(fact <= 0):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
    fact = np.maximum(fact, 0.0)
    away = in_dtype(x - mean[:, None], x.dtype)
    columns = (away if weights is None else away * weights).T
    product = np.dot(away, np.conjugate(columns) if columns.dtype.kind == "c" else columns)
    return np.squeeze(in_dtype(product * np.true_divide(1, fact), product.dtype))


def as_rows(x: Any, rowvar: bool, is_first: bool) -> Any:
    """Give the variables that np.cov takes as the rows of a matrix."""
    if x.ndim > 2:
        raise ValueError(f"np.cov: expected at most 2 axes, got shape {x.shape}")
    if x.ndim < 2:
        return np.reshape(x, (1, -1))
    has_one_row = x.shape[0] == 1 and (ROW_IS_VARIABLE or not is_first)
    return x if rowvar or has_one_row else x.T


def as_sample_weights(name: str, weights: Any, count: int) -> Any:
    """Give weights of np.cov's, one for each of `count` samples, as floats."""
    weights = as_operand(weights)
    if weights.shape != (count,):
        raise RuntimeError(f"np.cov: expected {name} of shape {(count,)}, got {weights.shape}")
    if holds(np.any(weights < 0)):
        raise ValueError(f"np.cov: {name} cannot be negative")
    return in_dtype(weights, np.float64)


@composed(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    diagonal = np.arange(c.shape[0])
    deviation = np.sqrt(np.real(c[diagonal, diagonal]))
    return clip_to_unit(c / deviation[:, None] / deviation[None, :])


def _clip_to_unit(x: Any) -> Any:
    out = x.copy()
    np.clip(out.real, -1, 1, out=out.real)
    if x.dtype.kind == "c":
        np.clip(out.imag, -1, 1, out=out.imag)
    return out


@op(_clip_to_unit)
def clip_to_unit(g: Any, out: Any, x: Any) -> Rule:
    """Count -1 and 1 as inside, for each part of a complex number."""
    if x.dtype.kind != "c":
        return (g * (np.abs(x) <= 1),)
    real, imag = np.real(g), np.imag(g)
    return (real * (np.abs(np.real(x)) <= 1) + 1j * (imag * (np.abs(np.imag(x)) <= 1)),)
