"""Rules of functions that only rearrange or convert elements."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.op import composed, op

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


@composed(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Any:
    filled = np.broadcast_to(fill_value, np.shape(a) if shape is None else shape)
    return filled.astype(a.dtype if dtype is None else dtype)


copy = op(np.copy, forward=_identity)(identity.rule)


def _checked_order(order: str) -> Any:
    if order not in ("C", "F"):
        raise ValueError(
            f"order={order!r} of a Node depends on how its memory happens to lie; "
            f"write order='C' or order='F'"
        )
    return order


def _reshape(x: Any, shape: Any, order: str = "C") -> Any:
    return np.reshape(x, shape, order=_checked_order(order))


@op(np.reshape, forward=_reshape)
def reshape(g: Any, out: Any, x: Any, *, shape: Any, order: str = "C") -> Rule:
    return (g.reshape(x.shape, order=order),)


def _ravel(x: Any, order: str = "C") -> Any:
    return np.ravel(x, order=_checked_order(order))


@op(np.ravel, forward=_ravel)
def ravel(g: Any, out: Any, x: Any, *, order: str = "C") -> Rule:
    return (g.reshape(x.shape, order=order),)


@op(np.transpose)
def transpose(g: Any, out: Any, x: Any, *, axes: Any = None) -> Rule:
    if axes is not None:
        axes = tuple(np.argsort([axis % x.ndim for axis in axes]))
    return (np.transpose(g, axes),)


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


def _concatenate(*arrays: Any, **params: Any) -> Any:
    return np.concatenate(arrays, **params)


@op(np.concatenate, forward=_concatenate)
def concatenate(g: Any, out: Any, *arrays: Any, axis: int | None = 0, dtype: Any = None) -> Rule:
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
def stack(g: Any, out: Any, *arrays: Any, axis: int = 0, dtype: Any = None) -> Rule:
    def piece(index: tuple[Any, ...]) -> Callable[[], Any]:
        return lambda: g[index]

    before = (slice(None),) * (axis % out.ndim)
    return tuple(piece((*before, i)) for i in range(len(arrays)))
