"""What ufuncs do with keyword arguments, and their methods."""

import itertools
from collections.abc import Callable, Mapping
from functools import reduce as fold
from itertools import pairwise
from math import prod
from typing import Any, NoReturn

import numpy as np

from tinygraph import rules
from tinygraph.node import Node, call, plain, read, values_of
from tinygraph.op import CONSTANT, OPS, op
from tinygraph.rules.cumulative import running_extremum, running_max, running_min
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]
Axis = int | tuple[int, ...] | None

KEYWORDS = ("casting", "dtype", "order", "subok", "where")


def call_with_keywords(
    ufunc: np.ufunc, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Call a ufunc with where=, dtype=, casting=, order= or subok=.

    Where the mask `where` is false NumPy leaves the result undefined: here it is 0, and what the
    inputs are there is not looked at, so that no NaN comes of it in derivatives of any order.
    How a result lies in memory makes no difference to a Node.
    """
    if ufunc in CONSTANT or not any(name in KEYWORDS for name in keywords):
        return call(ufunc, inputs, keywords)
    own = {name: keywords[name] for name in KEYWORDS if name in keywords}
    rest = {name: x for name, x in keywords.items() if name not in KEYWORDS}
    inputs = cast(ufunc, inputs, own.get("dtype"), own.get("casting", "same_kind"))
    where = own.get("where", True)
    if where is True:
        return call(ufunc, inputs, rest)
    where = plain(np.logical_and, (where, True), {})
    point = smooth_point(ufunc)
    out = call(ufunc, tuple(np.where(where, x, x.dtype.type(point)) for x in inputs), rest)
    if isinstance(out, tuple):
        return tuple(np.where(where, part, 0) for part in out)
    return np.where(where, out, 0)


def cast(ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: Any, casting: Any) -> tuple[Any, ...]:
    """Give the inputs in the dtypes in which NumPy computes a ufunc with dtype= and casting=."""
    inputs = tuple(x if is_number(x) or isinstance(x, Node) else np.asarray(x) for x in inputs)
    given = [type(x) if is_number(x) else x.dtype for x in inputs]
    results = (None,) * ufunc.nout
    if dtype is None:
        dtypes = ufunc.resolve_dtypes((*given, *results), casting=casting)
    else:
        wanted = (*(None,) * ufunc.nin, *(np.dtype(dtype),) * ufunc.nout)
        dtypes = ufunc.resolve_dtypes((*given, *results), signature=wanted, casting=casting)
    return tuple(as_dtype(x, needed) for x, needed in zip(inputs, dtypes, strict=False))


def is_number(x: Any) -> bool:
    """Tell whether `x` is a number of Python's, which takes the dtype of the others."""
    return x.__class__ in (int, float, complex)


def as_dtype(x: Any, dtype: np.dtype[Any]) -> Any:
    """Give an array, or what makes one, or a node, in a dtype."""
    x = x if isinstance(x, Node) else np.asarray(x)
    return x if x.dtype == dtype else x.astype(dtype)


def smooth_point(ufunc: np.ufunc) -> float:
    """Give a number at which a ufunc is smooth in each of its inputs."""
    rules.import_late(ufunc)
    low, high = OPS[ufunc].domain if ufunc in OPS else (-np.inf, np.inf)
    return (low + high) / 2 if np.isfinite(high - low) else 1.0


def call_method(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Do what a method of a ufunc does."""
    if method == "at":
        refuse_at(ufunc)
    if ufunc in CONSTANT:
        return getattr(ufunc, method)(*read(inputs), **read(dict(keywords)))
    return METHODS[method](ufunc, *inputs, **keywords)


def refuse_at(ufunc: np.ufunc) -> NoReturn:
    """Refuse to change values in place."""
    name = f"np.{ufunc.__name__}"
    raise TypeError(
        f"{name}.at with a Node: it writes into an array, and values of Nodes are not changed in "
        f"place; write node = node.at[index].add(values) for np.add, and else "
        f"node = node.at[index].set({name}(node[index], values))"
    )


REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
}


def reduce(ufunc: np.ufunc, array: Any, axis: Axis = 0, **keywords: Any) -> Any:
    """Combine the elements along axes, one after the other."""
    if ufunc in RECORDS and "dtype" in keywords:
        dtype = keywords.pop("dtype")
        array = array if dtype is None else as_dtype(array, np.dtype(dtype))
    if ufunc in REDUCTIONS:
        return call(REDUCTIONS[ufunc], (array,), {"axis": axis, **keywords})
    # NumPy's own result for ones has the dtype and the shape; it refuses what NumPy refuses.
    like = np.asarray(ufunc.reduce(ones_like(array), axis, **values_of(keywords)))
    rows = along_first(as_dtype(array, like.dtype), axis)
    if not len(rows):
        return np.sum(rows, axis=0).reshape(like.shape) + like
    start = keywords.get("initial", ufunc.identity)
    if start is None:
        return combine(ufunc, rows).reshape(like.shape)
    out = as_dtype(start, like.dtype)
    if "where" not in keywords:
        return fold(ufunc, rows, out).reshape(like.shape)
    masks = along_first(np.broadcast_to(read(keywords["where"]), array.shape), axis)
    for row, mask in zip(rows, masks, strict=True):
        out = np.where(mask, ufunc(out, row, where=mask), out)
    return out.reshape(like.shape)


def combine(ufunc: np.ufunc, rows: Any) -> Any:
    """Combine what lies along the first axis; the largest or least that tie share equally."""
    return RECORDS[ufunc](rows, axis=0)[-1] if ufunc in RECORDS else fold(ufunc, rows)


def ones_like(array: Any) -> Any:
    """Give ones that an integer or a floating ufunc takes without a warning."""
    return np.ones(array.shape, array.dtype)


def along_first(x: Any, axis: Axis) -> Any:
    """Give what lies along axes along the first axis, in the order of the elements."""
    if axis is None or not x.ndim:
        axis = tuple(range(x.ndim))
    axes = sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    moved = np.moveaxis(x, axes, range(len(axes)))
    sizes, others = moved.shape[: len(axes)], moved.shape[len(axes) :]
    return moved.reshape((prod(sizes), *others))


def accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Give the results of combining the elements up to each along an axis."""
    if ufunc in ACCUMULATIONS:
        keywords = {} if dtype is None else {"dtype": dtype}
        return call(ACCUMULATIONS[ufunc], (array,), {"axis": axis, **keywords})
    like = ufunc.accumulate(ones_like(array), axis, dtype)
    array = as_dtype(array, like.dtype)
    if not array.shape[axis]:
        return array
    if ufunc in RECORDS:
        return RECORDS[ufunc](array, axis=axis)
    return np.stack([*itertools.accumulate(along_first(array, axis), ufunc)], axis)


def _running_fmax(x: Any, *, axis: int) -> Any:
    return np.fmax.accumulate(x, axis)


def _running_fmin(x: Any, *, axis: int) -> Any:
    return np.fmin.accumulate(x, axis)


running_fmax = op(_running_fmax)(running_extremum)
running_fmin = op(_running_fmin)(running_extremum)

RECORDS = {
    np.maximum: running_max,
    np.minimum: running_min,
    np.fmax: running_fmax,
    np.fmin: running_fmin,
}


def outer(ufunc: np.ufunc, x: Any, y: Any, **keywords: Any) -> Any:
    """Apply a ufunc to all pairs of elements."""
    x, y = (z if isinstance(z, Node) else np.asarray(z) for z in (x, y))
    return ufunc(x.reshape(x.shape + (1,) * y.ndim), y, **keywords)


def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Combine the elements from each index up to the next along an axis."""
    indices = np.asarray(read(indices))
    like = ufunc.reduceat(ones_like(array), indices, axis, dtype)
    array = as_dtype(array, like.dtype)
    if ufunc is np.add:
        return add_reduceat(array, indices=indices, axis=axis)
    if not indices.size:
        return np.take(array, indices, axis)
    rows = along_first(array, axis)
    pieces = [rows[start:stop] for start, stop in segments(indices, len(rows))]
    return np.stack([combine(ufunc, piece) for piece in pieces], axis)


def segments(indices: Any, size: int) -> list[tuple[int, int]]:
    """Give start and stop of what reduceat combines: one element where indices do not grow."""
    starts = indices.tolist()
    return [(start, max(stop, start + 1)) for start, stop in pairwise([*starts, size])]


def _add_reduceat(x: Any, *, indices: Any, axis: int) -> Any:
    return np.add.reduceat(x, indices, axis)


@op(_add_reduceat)
def add_reduceat(g: Any, out: Any, x: Any, *, indices: Any, axis: int) -> Rule:
    before = (slice(None),) * (axis % x.ndim)
    ranges = [np.arange(*segment) for segment in segments(indices, x.shape[axis])]
    sources = np.repeat(np.arange(len(ranges)), [len(part) for part in ranges])
    targets = np.concatenate([*ranges, np.arange(0)])
    return (scatter(g[(*before, sources)], index=(*before, targets), shape=x.shape),)


ACCUMULATIONS: dict[np.ufunc, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}

METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "reduceat": reduceat,
}
