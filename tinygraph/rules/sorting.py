"""Rules of functions that put elements in order."""

from typing import Any

import numpy as np

from tinygraph.node import plain
from tinygraph.op import composed, op
from tinygraph.rules.indexing import getitem

Rule = tuple[Any, ...]


def lines(x: Any, axis: int | None) -> Any:
    """Bring an axis to the end, or all elements into one line."""
    return np.ravel(x) if axis is None else np.moveaxis(x, axis, -1)


def from_lines(x: Any, shape: tuple[int, ...], axis: int | None) -> Any:
    """Bring what came of lines() back to the `shape` from which it came."""
    return x.reshape(shape) if axis is None else np.moveaxis(x, -1, axis)


def ranks(x: Any) -> Any:
    """Tell to which place each element of the last axis goes; those that tie keep their order."""
    return plain(_ranks, (x,), {})


def _ranks(x: Any) -> Any:
    order = np.argsort(x, axis=-1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(x.shape[-1]), axis=-1)
    return places


def take(x: Any, places: Any) -> Any:
    """Take elements along the last axis, as np.take_along_axis does."""
    return getitem(x, index=(*np.indices((*places.shape[:-1], 1), sparse=True)[:-1], places))


@op(np.sort)
def sort(
    g: Any, out: Any, x: Any, *, axis: int | None = -1, kind: Any = None, stable: Any = None
) -> Rule:
    """Give gradients back to where elements came from; those that tie keep their order."""
    gradient = take(lines(g, axis), ranks(lines(x, axis)))
    return (from_lines(gradient, x.shape, axis),)


@op(np.partition)
def partition(
    g: Any, out: Any, x: Any, *, kth: Any, axis: int | None = -1, kind: Any = "introselect"
) -> Rule:
    """Give gradients back to where elements came from; those that tie keep their order."""
    found = np.argsort(lines(out, axis), axis=-1, kind="stable")
    places = np.take_along_axis(found, ranks(lines(x, axis)), axis=-1)
    return (from_lines(take(lines(g, axis), places), x.shape, axis),)


@composed(np.sort_complex)
def sort_complex(a: Any) -> Any:
    ordered = np.sort(a)
    if ordered.dtype.kind == "c":
        return ordered
    return ordered.astype(np.sort_complex(np.empty(0, ordered.dtype)).dtype)
