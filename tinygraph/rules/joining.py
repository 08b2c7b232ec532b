"""Rules of functions that join arrays, and of those that take one apart."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.node import Node
from tinygraph.op import composed, op
from tinygraph.rules.parts import part, parts

Rule = tuple[Any, ...]


def _concatenate(*arrays: Any, **params: Any) -> Any:
    return np.concatenate(arrays, **params)


@op(np.concatenate, forward=_concatenate)
def concatenate(
    g: Any,
    out: Any,
    *arrays: Any,
    axis: int | None = 0,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Rule:
    def piece(x: Any, before: tuple[slice, ...], stop: int, size: int) -> Callable[[], Any]:
        return lambda: g[(*before, slice(stop - size, stop))].reshape(np.shape(x))

    before = () if axis is None else (slice(None),) * (axis % out.ndim)
    sizes = [np.size(x) if axis is None else x.shape[axis] for x in arrays]
    stops = np.cumsum(sizes).tolist()
    parts = zip(arrays, stops, sizes, strict=True)
    return tuple(piece(x, before, stop, size) for x, stop, size in parts)


def _stack(*arrays: Any, **params: Any) -> Any:
    return np.stack(arrays, **params)


@op(np.stack, forward=_stack)
def stack(
    g: Any,
    out: Any,
    *arrays: Any,
    axis: int = 0,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Rule:
    def piece(index: tuple[Any, ...]) -> Callable[[], Any]:
        return lambda: g[index]

    before = (slice(None),) * (axis % out.ndim)
    return tuple(piece((*before, i)) for i in range(len(arrays)))


@composed(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    return np.concatenate([np.atleast_2d(x) for x in tup], 0, dtype=dtype, casting=casting)


@composed(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    arrays = [np.atleast_1d(x) for x in tup]
    axis = 0 if arrays[0].ndim == 1 else 1
    return np.concatenate(arrays, axis, dtype=dtype, casting=casting)


@composed(np.dstack)
def dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(x) for x in tup], 2)


@composed(np.column_stack)
def column_stack(tup: Any) -> Any:
    return np.concatenate([x if np.ndim(x) > 1 else np.atleast_2d(x).T for x in tup], 1)


@composed(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    arrays = [x if isinstance(x, Node) else np.asarray(x) for x in (arr, values)]
    return np.concatenate(arrays, axis)


@composed(np.block)
def block(arrays: Any) -> Any:
    # Of arrays without elements NumPy checks how the lists are nested, and no shapes.
    np.block(map_nested(lambda x: np.empty(0), arrays))
    depth = depth_of(arrays)
    ndim = max(depth, *(np.ndim(x) for x in leaves_of(arrays)))
    return join(arrays, depth, ndim)


def map_nested(function: Callable[[Any], Any], tree: Any) -> Any:
    """Give nested lists, and the tuples that NumPy refuses, with function(x) for every leaf."""
    if isinstance(tree, list | tuple):
        return type(tree)(map_nested(function, branch) for branch in tree)
    return function(tree)


def depth_of(tree: Any) -> int:
    """Count the levels of nested lists."""
    return 1 + depth_of(tree[0]) if isinstance(tree, list) else 0


def leaves_of(tree: Any) -> list[Any]:
    """Give the leaves of nested lists in their order."""
    return [x for row in tree for x in leaves_of(row)] if isinstance(tree, list) else [tree]


def join(tree: Any, depth: int, ndim: int) -> Any:
    """Join nested lists of blocks, the innermost along the last axis."""
    if not isinstance(tree, list):
        return np.reshape(tree, (*(1,) * (ndim - np.ndim(tree)), *np.shape(tree)))
    return np.concatenate([join(branch, depth - 1, ndim) for branch in tree], -depth)


def _split(x: Any, *, sizes: tuple[int, ...], axis: int) -> Bundle:
    return Bundle(np.split(x, np.cumsum(sizes)[:-1], axis))


@op(_split, name="split")
def split_up(g: Any, out: Any, x: Any, *, sizes: tuple[int, ...], axis: int) -> Rule:
    return (np.concatenate([*g], axis),)


def pieces(split: Callable[..., Any], x: Any, sections: Any, axis: int) -> list[Any]:
    """Take `x` apart along an axis in the way in which NumPy's `split` does it to its indices."""
    numbers = split(np.arange(x.shape[axis]), sections)
    sizes = tuple(map(len, numbers))
    if requires_grad(x) and sum(sizes) == x.shape[axis]:
        return list(parts(split_up(x, sizes=sizes, axis=axis)))
    before = (slice(None),) * (axis % x.ndim)
    spans = [slice(run[0], run[-1] + 1) if len(run) else slice(0) for run in numbers]
    return [x[(*before, span)] for span in spans]


def requires_grad(x: Any) -> bool:
    """Tell whether gradients of parts of `x` will have to be put together."""
    return isinstance(x, Node) and x.requires_grad


@composed(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return pieces(np.array_split, ary, indices_or_sections, axis)


@composed(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    return pieces(np.split, ary, indices_or_sections, axis)


@composed(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    check_axes(ary, 1, "hsplit")
    return np.split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@composed(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    check_axes(ary, 2, "vsplit")
    return np.split(ary, indices_or_sections, 0)


@composed(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    check_axes(ary, 3, "dsplit")
    return np.split(ary, indices_or_sections, 2)


def check_axes(x: Any, least: int, name: str) -> None:
    """Refuse an array with fewer axes than `least`."""
    if x.ndim < least:
        raise ValueError(f"{name} only works on arrays of {least} or more dimensions")


def _cut(x: Any, *, count: int) -> Bundle:
    return Bundle([x[index] for index in np.ndindex(x.shape[:count])])


@op(_cut, name="unstack")
def cut(g: Any, out: Any, x: Any, *, count: int) -> Rule:
    zeros = np.zeros(x.shape[count:], x.dtype)
    return (np.stack([zeros if row is None else row for row in g.parts]).reshape(x.shape),)


def subarrays(x: Any, count: int = 1) -> Iterator[Any]:
    """Give what is at each index of the first `count` axes."""
    if not requires_grad(x):
        return (x[index] for index in np.ndindex(x.shape[:count]))
    bundle = cut(x, count=count)
    return (part(bundle, number=number) for number in range(prod(x.shape[:count])))


@composed(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(subarrays(np.moveaxis(x, axis, 0)))


@composed(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    rows = np.moveaxis(arr, axis, -1)
    outer = rows.shape[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    found = np.stack([func1d(row, *args, **kwargs) for row in subarrays(rows, len(outer))])
    whole = found.reshape((*outer, *found.shape[1:]))
    first, count = axis % arr.ndim, found.ndim - 1
    return np.moveaxis(whole, range(len(outer), whole.ndim), range(first, first + count))


@composed(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + a.ndim if axis < 0 else axis
        result = func(a, axis)
        if result.ndim != a.ndim:
            result = np.expand_dims(result, axis)
        if result.ndim != a.ndim:
            raise ValueError("function is not returning an array of the correct shape")
        a = result
    return a
