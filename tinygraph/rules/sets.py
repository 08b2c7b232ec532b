"""The functions of sets whose results are elements: their gradients go where these are from."""

from typing import Any

import numpy as np

from tinygraph.node import read
from tinygraph.op import composed


@composed(np.unique)
def unique(
    ar: Any,
    return_index: Any = False,
    return_inverse: Any = False,
    return_counts: Any = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """Give the gradient to the first of equal elements. Sorted in any case."""
    _, index, *others = np.unique(
        read(ar), True, return_inverse, return_counts, axis, equal_nan=equal_nan
    )
    results = (np.take(ar, index, axis), *([index] if return_index else []), *others)
    return results if len(results) > 1 else results[0]


@composed(np.unique_all)
def unique_all(x: Any, /) -> Any:
    found = np.unique_all(read(x))
    return found._replace(values=np.take(x, found.indices))


@composed(np.unique_counts)
def unique_counts(x: Any, /) -> Any:
    return np.unique_counts(read(x))._replace(values=unique_all(x).values)


@composed(np.unique_inverse)
def unique_inverse(x: Any, /) -> Any:
    return np.unique_inverse(read(x))._replace(values=unique_all(x).values)


@composed(np.unique_values)
def unique_values(x: Any, /) -> Any:
    return unique_all(x).values


@composed(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    return np.unique(np.concatenate((ar1, ar2), axis=None))


@composed(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """Give half of the gradient to each of the two equal elements."""
    values, *places = np.intersect1d(read(ar1), read(ar2), assume_unique, return_indices=True)
    if values.dtype.kind in "fc":
        values = (np.take(ar1, places[0]) + np.take(ar2, places[1])) * 0.5
    return (values, *places) if return_indices else values


@composed(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    elements = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return elements[np.isin(elements, ar2, assume_unique=True, invert=True)]


@composed(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    elements = np.concatenate((ar1, ar2), axis=None)
    elements = elements[np.argsort(elements)]
    differ = np.pad(elements[1:] != elements[:-1], 1, constant_values=True)
    return elements[differ[1:] & differ[:-1]] if elements.size else elements
