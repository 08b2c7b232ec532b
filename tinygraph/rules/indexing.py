"""Rules of reading and writing elements by basic and advanced indices."""

from typing import Any

import numpy as np

from tinygraph import buffer
from tinygraph.node import read
from tinygraph.op import Traced, op

Rule = tuple[Any, ...]


def names_elements_once(index: Any) -> bool:
    """Tell whether no element can be named twice: slices, whole numbers and masks only."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(not isinstance(part, np.ndarray) or part.dtype == bool for part in parts)


def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


@op(_getitem)
def getitem(g: Any, out: Any, x: Any, *, index: Any) -> Rule:
    return (scatter(g, index=index, shape=x.shape),)


def _scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    return _put_add(np.zeros(shape, x.dtype), x, index=index)


@op(_scatter)
def scatter(g: Any, out: Any, x: Any, *, index: Any, shape: tuple[int, ...]) -> Rule:
    return (g[index],)


def _writable_copy(x: Any, y: Any) -> Any:
    y_dtype = getattr(y, "dtype", np.result_type(x, y))
    if not np.can_cast(y_dtype, x.dtype, "same_kind"):
        raise TypeError(
            f"at[...].set/add: a node of {x.dtype} cannot take values of {y_dtype}; "
            f"convert the node first, with node.astype({y_dtype})"
        )
    return np.array(x)


def _put(x: Any, y: Any, *, index: Any) -> Any:
    out = _writable_copy(x, y)
    out[index] = y
    return out


@op(_put)
def put(g: Any, out: Any, x: Any, y: Any, *, index: Any) -> Rule:
    def for_values() -> Any:
        read = g[index]
        return read if names_elements_once(index) else read * wrote_last(index, x.shape)

    return lambda: put(g, 0, index=index), for_values


def wrote_last(index: Any, shape: tuple[int, ...]) -> Any:
    """Tell which values stay when `index` names an element several times: the last of them."""
    writers = np.zeros(shape, dtype=np.intp)
    number = np.arange(writers[index].size).reshape(writers[index].shape)
    writers[index] = number
    return writers[index] == number


def _put_add(x: Any, y: Any, *, index: Any) -> Any:
    out = _writable_copy(x, y)
    if names_elements_once(index):
        out[index] += y
    else:
        # NumPy's add.at reads beyond the end of values that it has to broadcast.
        np.add.at(out, index, np.broadcast_to(y, out[index].shape))
    return out


@op(_put_add)
def put_add(g: Any, out: Any, x: Any, y: Any, *, index: Any) -> Rule:
    return g, lambda: g[index]


class At:
    """An index into a node, for functional updates."""

    __slots__ = ("index", "node")

    def __init__(self, node: Any, index: Any = ...) -> None:
        self.node = node
        self.index = index

    def __getitem__(self, index: Any) -> "At":
        return At(self.node, static_index(index))

    def get(self) -> Any:
        """Give the elements at the index."""
        return getitem(self.node, index=self.index)

    def set(self, values: Any) -> Any:
        """Give the node with `values` in place of the elements at the index."""
        return put(self.node, values, index=self.index)

    def add(self, values: Any) -> Any:
        """Give the node with `values` added to the elements at the index; repeated ones add up."""
        return put_add(self.node, values, index=self.index)


def static_index(index: Any) -> Any:
    """Give an index out of reach of the caller's later writes, with values in place of Nodes."""
    if isinstance(index, tuple):
        return tuple(static_index(part) for part in index)
    if isinstance(index, Traced):
        index = np.asarray(read(index))
    if isinstance(index, list):
        index = np.asarray(index) if index else np.empty(0, dtype=np.intp)
    return buffer.freeze(index) if isinstance(index, np.ndarray) else index
