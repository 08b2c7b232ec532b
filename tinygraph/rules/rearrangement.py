"""Rules of functions that only move, repeat or drop elements, or fill in zeros."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.node import read
from tinygraph.op import Op, composed, op
from tinygraph.rules.indexing import scatter, static_part
from tinygraph.signature import refuse_out

Rule = tuple[Any, ...]


def rearrangement(function: Callable[..., Any], name: str | None = None) -> Op:
    """Make the op of a function of one array whose results are each an element of it, or zero.

    Where the elements come from the function itself tells, called on their numbers: what went to
    several places gets the sum of the gradients there. For functions used in inner loops a rule
    of their own (np.roll is undone by np.roll) is faster.
    """

    def rule(g: Any, out: Any, x: Any, **params: Any) -> Rule:
        return move_back(function, g, (x,), params)

    return op(function, name=name)(rule)


def joint_rearrangement(function: Callable[..., Any], name: str | None = None) -> Op:
    """Make the op of a function of several arrays whose results are each an element of one."""

    def rule(g: Any, out: Any, *arrays: Any, **params: Any) -> Rule:
        return move_back(function, g, arrays, params)

    return op(function, name=name)(rule)


def move_back(function: Any, g: Any, arrays: tuple[Any, ...], params: dict[str, Any]) -> Rule:
    """Give every array the gradients of the places where `function` put its elements."""
    # Number 0 is what the function fills in.
    stops = np.cumsum([1, *map(np.size, arrays)]).tolist()
    spans = list(zip(stops[:-1], stops[1:], map(np.shape, arrays), strict=True))
    numbers = function(*(np.arange(*span).reshape(shape) for *span, shape in spans), **params)
    sums = scatter(np.ravel(g), index=np.ravel(numbers), shape=(stops[-1],))
    return tuple(sums[start:stop].reshape(shape) for start, stop, shape in spans)


@op(np.roll)
def roll(g: Any, out: Any, x: Any, *, shift: Any, axis: Any = None) -> Rule:
    return (np.roll(g, np.negative(shift), axis),)


@op(np.flip)
def flip(g: Any, out: Any, x: Any, *, axis: Any = None) -> Rule:
    return (np.flip(g, axis),)


@op(np.flipud)
def flipud(g: Any, out: Any, x: Any) -> Rule:
    return (np.flipud(g),)


@op(np.fliplr)
def fliplr(g: Any, out: Any, x: Any) -> Rule:
    return (np.fliplr(g),)


@op(np.rot90)
def rot90(g: Any, out: Any, x: Any, *, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Rule:
    return (np.rot90(g, -k, axes),)


@op(np.repeat)
def repeat(g: Any, out: Any, x: Any, *, repeats: Any, axis: int | None = None) -> Rule:
    shape = x.shape if axis is not None and x.ndim else (x.size,)
    axis = (axis or 0) % len(shape)
    before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
    if np.size(repeats) > 1:
        index = (*map(slice, before), np.repeat(np.arange(size), repeats))
        return (scatter(g, index=index, shape=shape).reshape(x.shape),)
    count = g.shape[axis] // max(size, 1)
    if 0 < count < size:
        # NumPy is slow at many short sums.
        turns = (g[(*map(slice, before), slice(turn, None, count))] for turn in range(1, count))
        total = sum(turns, g[(*map(slice, before), slice(0, None, count))])
    else:
        total = np.sum(g.reshape((*before, size, count, *after)), axis + 1)
    return (total.reshape(x.shape),)


@op(np.tile)
def tile(g: Any, out: Any, x: Any, *, reps: Any) -> Rule:
    counts, sides = np.atleast_1d(reps).tolist(), list(x.shape)
    counts = [1] * (out.ndim - len(counts)) + counts
    sides = [1] * (out.ndim - x.ndim) + sides
    pairs = [size for pair in zip(counts, sides, strict=True) for size in pair]
    return (np.sum(g.reshape(pairs), tuple(range(0, len(pairs), 2))).reshape(x.shape),)


def lay_on_diagonal(g: Any, shape: tuple[int, ...], offset: int) -> Any:
    """Give matrices of a shape with the elements along g's last axis on a diagonal."""
    *batch, rows, columns = shape
    start = offset if offset >= 0 else -offset * columns
    # In the flattened matrix a diagonal is a slice.
    diagonal = slice(start, start + g.shape[-1] * (columns + 1), columns + 1)
    return scatter(g, index=(..., diagonal), shape=(*batch, rows * columns)).reshape(shape)


@op(np.diagonal)
def diagonal(g: Any, out: Any, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Rule:
    matrices = lay_on_diagonal(g, (*g.shape[:-1], x.shape[axis1], x.shape[axis2]), offset)
    return (np.moveaxis(matrices, (-2, -1), (axis1, axis2)),)


@op(np.diag)
def diag(g: Any, out: Any, x: Any, *, k: int = 0) -> Rule:
    return (np.diag(g, k) if x.ndim == 1 else lay_on_diagonal(g, x.shape, k),)


@op(np.diagflat)
def diagflat(g: Any, out: Any, x: Any, *, k: int = 0) -> Rule:
    return (np.diag(g, k).reshape(x.shape),)


@composed(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    if out is not None:
        refuse_out("trace")
    return np.sum(np.diagonal(a, offset, axis1, axis2), -1, dtype)


@op(np.tril)
def tril(g: Any, out: Any, x: Any, *, k: int = 0) -> Rule:
    return (np.tril(g, k),)


@op(np.triu)
def triu(g: Any, out: Any, x: Any, *, k: int = 0) -> Rule:
    return (np.triu(g, k),)


def _take(x: Any, **params: Any) -> Any:
    return np.take(x, **params)


@op(_take)
def taken(
    g: Any, out: Any, x: Any, *, indices: Any, axis: int | None = None, mode: str = "raise"
) -> Rule:
    shape = x.shape if axis is not None and x.ndim else (x.size,)
    axis = (axis or 0) % len(shape)
    last = shape[axis] - 1
    numbers = np.clip(indices, 0, last) if mode == "clip" else indices % max(last + 1, 1)
    index = (*map(slice, shape[:axis]), numbers)
    return (scatter(g, index=index, shape=shape).reshape(x.shape),)


@composed(np.take)
def take(
    a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    if out is not None:
        refuse_out("take")
    return taken(a, indices=static_part(indices), axis=axis, mode=mode)


@composed(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    if out is not None:
        refuse_out("compress")
    count = np.size(a) if axis is None else np.shape(a)[axis]
    return taken(a, indices=np.compress(read(condition), np.arange(count)), axis=axis)


@composed(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return taken(arr, indices=np.flatnonzero(read(condition)))


def _take_along_axis(x: Any, **params: Any) -> Any:
    return np.take_along_axis(x, **params)


taken_along_axis = rearrangement(_take_along_axis)


@composed(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    return taken_along_axis(arr, indices=static_part(indices), axis=axis)


def _choose(*choices: Any, **params: Any) -> Any:
    return np.choose(params.pop("a"), choices, **params)


chosen = joint_rearrangement(_choose)


@composed(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    if out is not None:
        refuse_out("choose")
    return chosen(*choices, a=read(a), mode=mode)


def _insert(x: Any, values: Any, **params: Any) -> Any:
    return np.insert(x, params["obj"], values, params["axis"])


inserted = joint_rearrangement(_insert)


@composed(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    return inserted(arr, values, obj=read(obj), axis=axis)


delete = rearrangement(np.delete)
resize = rearrangement(np.resize)


def _sum_of_windows(x: Any, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    for offsets in np.ndindex(x.shape[len(shape) :]):
        starts = np.bincount(axes, offsets, len(shape)).astype(int).tolist()
        sides = zip(starts, x.shape, strict=False)
        out[tuple(slice(start, start + side) for start, side in sides)] += x[(..., *offsets)]
    return out


@op(_sum_of_windows)
def sum_of_windows(
    g: Any, out: Any, x: Any, *, shape: tuple[int, ...], axes: tuple[int, ...]
) -> Rule:
    return (np.lib.stride_tricks.sliding_window_view(g, x.shape[len(shape) :], axes),)


@op(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(g: Any, out: Any, x: Any, *, window_shape: Any, axis: Any = None) -> Rule:
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis) % x.ndim
    return (sum_of_windows(g, shape=x.shape, axes=tuple(axes)),)
