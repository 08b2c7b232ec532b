"""Rules of numbers that are spaced evenly between two, or their powers are."""

from typing import Any

import numpy as np

from tinygraph.op import composed, op

Rule = tuple[Any, ...]


def places(out: Any, num: int, endpoint: bool, axis: int) -> Any:
    """Give where each number lies between the first and the last, from 0 to 1, along `axis`."""
    count = max(num - endpoint, 1)
    shape = [1] * out.ndim
    shape[axis] = num
    return (np.arange(num) / count).reshape(shape).astype(out.real.dtype)


def _linspace(start: Any, stop: Any, *, num: int, endpoint: bool, dtype: Any, axis: int) -> Any:
    return np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


@op(_linspace)
def evenly_spaced(
    g: Any, out: Any, start: Any, stop: Any, *, num: int, endpoint: bool, dtype: Any, axis: int
) -> Rule:
    t = places(out, num, endpoint, axis)
    return lambda: np.sum(g * (1 - t), axis), lambda: np.sum(g * t, axis)


@composed(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    out = evenly_spaced(start, stop, num=num, endpoint=endpoint, dtype=dtype, axis=axis)
    if not retstep:
        return out
    count = num - endpoint
    return out, (stop - start) / count if count > 0 else np.nan


@composed(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (
            np.expand_dims(x, tuple(range(ndim - np.ndim(x)))) for x in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    out = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return out if dtype is None else out.astype(dtype)


def _geomspace(start: Any, stop: Any, *, num: int, endpoint: bool, dtype: Any, axis: int) -> Any:
    return np.geomspace(start, stop, num, endpoint, dtype, axis)


@op(_geomspace, domain=(0.3, 3.0))
def geometrically_spaced(
    g: Any, out: Any, start: Any, stop: Any, *, num: int, endpoint: bool, dtype: Any, axis: int
) -> Rule:
    t = places(out, num, endpoint, axis)
    return (
        lambda: np.sum(g * out * (1 - t), axis) / start,
        lambda: np.sum(g * out * t, axis) / stop,
    )


@composed(np.geomspace)
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    return geometrically_spaced(start, stop, num=num, endpoint=endpoint, dtype=dtype, axis=axis)
