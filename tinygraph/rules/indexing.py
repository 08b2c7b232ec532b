"""Rules of reading and writing elements by basic and advanced indices."""

from operator import index as as_number
from typing import Any

import numpy as np

from tinygraph import buffer
from tinygraph.node import plain, read
from tinygraph.op import Traced, composed, op
from tinygraph.state import get_state

Rule = tuple[Any, ...]


def names_elements_once(index: Any) -> bool:
    """Tell whether no element can be named twice: slices, whole numbers and masks only."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(not getattr(part, "shape", ()) or part.dtype == bool for part in parts)


def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


@op(_getitem)
def getitem(g: Any, out: Any, x: Any, *, index: Any) -> Rule:
    return (scatter(g, index=index, shape=x.shape),)


def _scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    if names_elements_once(index):
        out[index] = x
    else:
        add_into(out, index, x)
    return out


@op(_scatter)
def scatter(g: Any, out: Any, x: Any, *, index: Any, shape: tuple[int, ...]) -> Rule:
    return (getitem(g, index=index),)


def add_into(out: Any, index: Any, y: Any) -> None:
    """Add `y` to the elements of an array of ours, of C's layout, that `index` names."""
    if names_elements_once(index):
        out[index] += y
    elif out.ndim > 1 and out.size <= y.size:
        # On one axis NumPy's add.at is several times as fast.
        places = np.arange(out.size).reshape(out.shape)[index]
        np.add.at(out.reshape(-1), places.reshape(-1), y.reshape(-1))
    else:
        np.add.at(out, index, y)


def _writable_copy(x: Any, y: Any) -> Any:
    y_dtype = y.dtype if hasattr(y, "dtype") else np.result_type(x, y)
    if not np.can_cast(y_dtype, x.dtype, "same_kind"):
        raise TypeError(
            f"at[...].set/add: a node of {x.dtype} cannot take values of {y_dtype}; "
            f"convert the node first, with node.astype({y_dtype})"
        )
    return np.array(x, order="C")


def _put(x: Any, y: Any, *, index: Any) -> Any:
    out = _writable_copy(x, y)
    out[index] = y
    return out


@op(_put)
def put(g: Any, out: Any, x: Any, y: Any, *, index: Any) -> Rule:
    def for_values() -> Any:
        gradient = getitem(g, index=index)
        if not names_elements_once(index):
            gradient = gradient * plain(wrote_last, (), {"index": index, "shape": x.shape})
        # NumPy lets values have more axes than the elements have, of length one.
        return gradient.reshape((1,) * (y.ndim - gradient.ndim) + gradient.shape)

    return lambda: put(g, 0, index=index), for_values


def wrote_last(index: Any, shape: tuple[int, ...]) -> Any:
    """Tell which values stay when `index` names an element several times: the last of them."""
    writers = np.zeros(shape, dtype=np.intp)
    number = np.arange(writers[index].size).reshape(writers[index].shape)
    writers[index] = number
    return writers[index] == number


def _put_add(x: Any, y: Any, *, index: Any) -> Any:
    out = _writable_copy(x, y)
    # NumPy's add.at reads beyond the end of values that it has to broadcast.
    add_into(out, index, np.broadcast_to(y, out[index].shape))
    return out


@op(_put_add)
def put_add(g: Any, out: Any, x: Any, y: Any, *, index: Any) -> Rule:
    return g, lambda: getitem(g, index=index)


class At:
    """What node.at is: the node, to be indexed for functional updates."""

    __slots__ = ("node",)

    def __init__(self, node: Any) -> None:
        self.node = node

    def __getitem__(self, index: Any) -> "Place":
        return Place(self.node, static_index(index))


class Place:
    """An index into a node, for functional updates."""

    __slots__ = ("index", "node")

    def __init__(self, node: Any, index: Any) -> None:
        self.node = node
        self.index = index

    def get(self) -> Any:
        """Give the elements at the index."""
        return getitem(self.node, index=self.index)

    def set(self, values: Any) -> Any:
        """Give the node with `values` in place of the elements at the index."""
        return put(self.node, values, index=self.index)

    def add(self, values: Any) -> Any:
        """Give the node with `values` added to the elements at the index; repeated ones add up."""
        return put_add(self.node, values, index=self.index)


_plain = frozenset({int, type(None), type(...)})


def static_index(index: Any) -> Any:
    """Give an index out of reach of the caller's later writes, with values in place of Nodes."""
    if isinstance(index, tuple):
        return tuple([static_part(part) for part in index])
    return static_part(index)


def static_part(part: Any) -> Any:
    """Give a part of an index in the same way; sequences become arrays."""
    if part.__class__ in _plain:
        return part
    if isinstance(part, slice):
        bounds = (part.start, part.stop, part.step)
        return part if _plain.issuperset(map(type, bounds)) else slice(*map(static_bound, bounds))
    if isinstance(part, Traced):
        if get_state().tape is not None:
            # A step of the plan computes it.
            return part
        part = np.asarray(read(part))
    elif isinstance(part, list | tuple | range):
        part = np.asarray(read(part))
        part = part if part.size else part.astype(np.intp)
    return buffer.freeze(part) if isinstance(part, np.ndarray) else part


def static_bound(bound: Any) -> int | None:
    """Give the bound of a slice as a number of Python's."""
    return None if bound is None else as_number(bound)


@composed(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    found = []
    for number, x in enumerate(args):
        if not isinstance(x, Traced | np.ndarray):
            x = np.asarray(static_part(x))
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        x = np.nonzero(x)[0] if x.dtype.kind == "b" else x
        found.append(np.reshape(x, (*(1,) * number, -1, *(1,) * (len(args) - number - 1))))
    return tuple(found)


@composed(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb", **params: Any) -> Any:
    """Leave out zeros at the edges; which elements are zero is not part of the graph."""
    x = read(filt)
    np.trim_zeros(x, trim, **params)
    starts = np.subtract(x.shape, np.trim_zeros(x, "f", **params).shape).tolist()
    stops = np.trim_zeros(x, "b", **params).shape
    is_cut = {side: side in trim.lower() for side in "fb"}
    return filt[
        tuple(
            slice(start if is_cut["f"] else None, stop if is_cut["b"] else None)
            for start, stop in zip(starts, stops, strict=True)
        )
    ]
