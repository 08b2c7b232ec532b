"""Rules of functions that only rearrange or convert elements."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.op import Traced, composed, op

Rule = tuple[Any, ...]


def _identity(x: Any) -> Any:
    return x


@op(_identity)
def identity(g: Any, out: Any, x: Any) -> Rule:
    return (g,)


@op(_identity, name="stop_gradient")
def stopped(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


def _astype(x: Any, *, dtype: Any) -> Any:
    return x.astype(dtype)


@op(_astype)
def astype(g: Any, out: Any, x: Any, *, dtype: Any) -> Rule:
    return (g,)


@composed(np.astype)
def astype_(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype)


@composed(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    filled = np.broadcast_to(fill_value, np.shape(a) if shape is None else shape)
    return filled.astype(np.result_type(a) if dtype is None else dtype)


def _copy(x: Any, order: str = "K", subok: bool = False) -> Any:
    return x


@op(np.copy, forward=_copy)
def copy(g: Any, out: Any, x: Any, *, order: str = "K", subok: bool = False) -> Rule:
    return (g,)


def definite_order(order: str, x: Any) -> Any:
    """Give C or F, and refuse an order that depends on how memory happens to lie."""
    if order in ("C", "F"):
        return order
    if order not in ("A", "K") or x.ndim > 1:
        raise ValueError(
            f"order={order!r} of a Node depends on how its memory happens to lie; "
            f"write order='C' or order='F'"
        )
    return "C"


def _reshape(x: Any, shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    if order == "C" and copy is None:
        return x.reshape(shape)
    return np.reshape(x, shape, order=definite_order(order, x), copy=copy)


@op(np.reshape, forward=_reshape)
def reshape(
    g: Any, out: Any, x: Any, *, shape: Any, order: str = "C", copy: bool | None = None
) -> Rule:
    return (g.reshape(x.shape, order=definite_order(order, x)),)


def _ravel(x: Any, order: str = "C") -> Any:
    return x.reshape(-1) if order == "C" else np.ravel(x, order=definite_order(order, x))


@op(np.ravel, forward=_ravel)
def ravel(g: Any, out: Any, x: Any, *, order: str = "C") -> Rule:
    return (g.reshape(x.shape, order=definite_order(order, x)),)


def _transpose(x: Any, axes: Any = None) -> Any:
    return x.transpose(axes)


@op(np.transpose, forward=_transpose)
def transpose(g: Any, out: Any, x: Any, *, axes: Any = None) -> Rule:
    if axes is not None:
        axes = tuple(np.argsort([axis % x.ndim for axis in axes]))
    return (g.transpose(axes),)


@op(np.swapaxes)
def swapaxes(g: Any, out: Any, x: Any, *, axis1: int, axis2: int) -> Rule:
    return (np.swapaxes(g, axis1, axis2),)


@op(np.matrix_transpose)
def matrix_transpose(g: Any, out: Any, x: Any) -> Rule:
    return (g.mT,)


@op(np.moveaxis)
def moveaxis(g: Any, out: Any, x: Any, *, source: Any, destination: Any) -> Rule:
    return (np.moveaxis(g, destination, source),)


@op(np.expand_dims)
def expand_dims(g: Any, out: Any, x: Any, *, axis: Any) -> Rule:
    return (g.reshape(x.shape),)


@op(np.squeeze)
def squeeze(g: Any, out: Any, x: Any, *, axis: Any = None) -> Rule:
    return (g.reshape(x.shape),)


@op(np.broadcast_to)
def broadcast_to(g: Any, out: Any, x: Any, *, shape: Any) -> Rule:
    return (g,)


@composed(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(x, shape) for x in args)


@composed(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> Any:
    count = len(xi)
    # Of arrays of one element NumPy checks the other arguments, and no memory is spent.
    np.meshgrid(*[0.0] * count, copy=copy, sparse=sparse, indexing=indexing)
    swapped = indexing == "xy" and count > 1
    places = [1, 0, *range(2, count)] if swapped else range(count)
    grids = [
        np.reshape(x, (*(1,) * place, -1, *(1,) * (count - place - 1)))
        for x, place in zip(xi, places, strict=True)
    ]
    whole = grids if sparse else np.broadcast_arrays(*grids)
    if not copy:
        return whole
    return tuple(np.array(x) if isinstance(x, np.ndarray) else x for x in whole)


@composed(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    # The sides of this array are the numbers of its axes.
    numbered = np.empty(range(a.ndim))
    return np.transpose(a, np.rollaxis(numbered, axis, start).shape)


def with_axes(shape_for: Callable[[Any], Any], arrays: tuple[Any, ...]) -> Any:
    """Give arrays in the shapes that shape_for(shape) tells: one alone, several as a tuple."""

    def shaped(x: Any) -> Any:
        shape = np.shape(x)
        target = shape_for(shape)
        return x if isinstance(x, Traced) and shape == target else np.reshape(x, target)

    return shaped(arrays[0]) if len(arrays) == 1 else tuple(map(shaped, arrays))


@composed(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    return with_axes(lambda shape: shape or (1,), arys)


@composed(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    return with_axes(lambda shape: (1,) * (2 - len(shape)) + shape, arys)


@composed(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    def shape_for(shape: tuple[int, ...]) -> tuple[int, ...]:
        rows = shape if len(shape) > 1 else (1, *shape)
        return rows + (1,) * (3 - len(rows))

    return with_axes(shape_for, arys)
