"""Who else holds an array: what lets values be shared safely and updated in place."""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMALL = 1 << 14
"""Bytes below which a constant is simply copied; above, an equal copy is looked for first."""

_bit_types = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_copies: WeakValueDictionary[Any, Array] = WeakValueDictionary()


def freeze(array: Array) -> Array:
    """Give an array which the caller's later writes to `array` cannot reach.

    Read-only arrays are taken as they are. A large one that was frozen before, and has not
    changed since, shares that copy: a loop that uses one constant keeps it once.
    """
    writeable = array.flags.writeable
    if writeable and array.nbytes < SMALL:
        return array.copy("K")
    if not writeable and not _is_writeable(array.base):
        return array
    if array.nbytes < SMALL or array.dtype.itemsize not in _bit_types:
        return array.copy("K")
    key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype)
    copy = _copies.get(key)
    if copy is None or not _same_bits(copy, array):
        copy = array.copy("K")
        copy.flags.writeable = False
        _copies[key] = copy
    return copy


def _is_writeable(owner: Any) -> bool:
    """Tell whether anyone may write to the memory of `owner`, through it or what it views."""
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    # Memory of another kind (a file, a bytearray) may be written behind NumPy's back.
    return not (owner is None or isinstance(owner, bytes))


def _same_bits(x: Array, y: Array) -> bool:
    bits = _bit_types[x.dtype.itemsize]
    return np.array_equal(x.view(bits), y.view(bits))


def read_only(value: Any) -> Array:
    """Give `value` as an array through which it cannot be written."""
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view


def is_shared(array: Any, holders: int = 1) -> bool:
    """Tell whether more than `holders` references, views' included, keep the caller's `array`."""
    return sys.getrefcount(array) - _references_of_a_call > holders


def any_is_shared(arrays: list[Array]) -> bool:
    """Tell whether others than the list keep one of `arrays`."""
    return max(map(sys.getrefcount, arrays), default=0) > _references_of_a_list


def _count_references_of_a_call() -> int:
    global _references_of_a_call
    _references_of_a_call = 0
    array = np.empty(1)
    holders = 1
    while is_shared(array, holders):
        holders += 1
    return holders - 1


_references_of_a_call = _count_references_of_a_call()
_references_of_a_list = max(map(sys.getrefcount, [np.empty(1)]))
