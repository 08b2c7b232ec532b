"""Rules of functions that choose among elements: maximum, minimum, clip, where."""

from typing import Any

import numpy as np

from tinygraph.op import composed, op

Rule = tuple[Any, ...]


def extremum(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Give the gradient to the element chosen, half to each where they tie."""

    def share(chosen: Any) -> Any:
        return np.where(x == y, g * 0.5, g * (chosen == out))

    return lambda: share(x), lambda: share(y)


maximum = op(np.maximum)(extremum)
minimum = op(np.minimum)(extremum)
fmax = op(np.fmax)(extremum)
fmin = op(np.fmin)(extremum)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


@op(_clip)
def clip_between(g: Any, out: Any, x: Any, low: Any, high: Any) -> Rule:
    return (
        lambda: g * ((x >= low) & (x <= high)),
        lambda: g * ((x < low) & (low <= high)),
        lambda: g * ((x > high) | (low > high)),
    )


@composed(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    return clip_between(a, -np.inf if low is None else low, np.inf if high is None else high)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


@op(_where)
def select(g: Any, out: Any, condition: Any, x: Any, y: Any) -> Rule:
    return None, lambda: np.where(condition, g, 0), lambda: np.where(condition, 0, g)


@composed(np.where)
def where(condition: Any, *branches: Any) -> Any:
    return select(condition, *branches) if branches else np.nonzero(condition)
