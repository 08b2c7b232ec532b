"""Rules of functions that choose among elements: maximum, minimum, clip, where and their kin."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.node import Node, read, values_of
from tinygraph.op import composed, op
from tinygraph.rules.indexing import put
from tinygraph.rules.ufuncs import as_dtype
from tinygraph.signature import refuse_out

Rule = tuple[Any, ...]


def extremum(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Give the gradient to the element chosen, a NaN for one; half to each where they tie."""

    def is_chosen(z: Any) -> Any:
        return (z == out) | (np.isnan(z) & np.isnan(out))

    def share(mine: Any, other: Any) -> Any:
        mine, other = is_chosen(mine), is_chosen(other)
        return np.where(mine & other, g * 0.5, g * mine)

    return lambda: share(x, y), lambda: share(y, x)


maximum = op(np.maximum)(extremum)
minimum = op(np.minimum)(extremum)
fmax = op(np.fmax)(extremum)
fmin = op(np.fmin)(extremum)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.clip(x, low, high)


def _clip_below(x: Any, low: Any) -> Any:
    return np.clip(x, low, None)


def _clip_above(x: Any, high: Any) -> Any:
    return np.clip(x, None, high)


@op(_clip)
def clip_between(g: Any, out: Any, x: Any, low: Any, high: Any) -> Rule:
    takes_low = ~((x >= low) | np.isnan(x))
    takes_high = ~((x <= high) & (low <= high) | np.isnan(x) | np.isnan(low))
    return (
        lambda: g * ~(takes_low | takes_high),
        lambda: g * (takes_low & ~takes_high),
        lambda: g * takes_high,
    )


@op(_clip_below)
def clip_below(g: Any, out: Any, x: Any, low: Any) -> Rule:
    takes_low = ~((x >= low) | np.isnan(x))
    return lambda: g * ~takes_low, lambda: g * takes_low


@op(_clip_above)
def clip_above(g: Any, out: Any, x: Any, high: Any) -> Rule:
    takes_high = ~((x <= high) | np.isnan(x))
    return lambda: g * ~takes_high, lambda: g * takes_high


@composed(np.clip)
def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *, min: Any = None,
    max: Any = None,
) -> Any:  # fmt: skip
    """Count the bounds as inside: there the gradient goes to what is clipped; to a NaN anyway."""
    if out is not None:
        refuse_out("clip")
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ValueError("clip: got a bound twice; write a_min and a_max, or min= and max=")
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    if low is None and high is None:
        return np.positive(a)
    if low is None:
        return clip_above(a, high)
    return clip_below(a, low) if high is None else clip_between(a, low, high)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


@op(_where)
def select(g: Any, out: Any, condition: Any, x: Any, y: Any) -> Rule:
    return None, lambda: np.where(condition, g, 0), lambda: np.where(condition, 0, g)


@composed(np.where)
def where(condition: Any, *branches: Any) -> Any:
    return select(condition, *branches) if branches else np.nonzero(condition)


@composed(np.select)
def select_first(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    conditions, choices = list(condlist), list(choicelist)
    like = np.select(values_of(conditions), values_of(choices), values_of(default))
    out = as_dtype(default, like.dtype)
    for condition, choice in reversed([*zip(conditions, choices, strict=True)]):
        out = np.where(condition, choice, out)
    return np.broadcast_to(out, like.shape)


@composed(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Call the functions on the elements that they are for, which have to fit the dtype of x."""
    found: dict[int, Any] = {}

    def finder(number: int) -> Callable[[Any], Any]:
        return lambda places: found.setdefault(number, places)

    # NumPy's own function tells, called on the numbers of the elements, which go where.
    places = np.arange(np.size(x)).reshape(np.shape(x))
    np.piecewise(places, read(condlist), [finder(number) for number in range(len(funclist))])
    flat = np.ravel(x)
    out = Node(np.zeros(flat.shape, flat.dtype), requires_grad=False)
    for number, index in found.items():
        function = funclist[number]
        value = function(flat[index], *args, **kw) if callable(function) else function
        out = put(out, value, index=index)
    return np.reshape(out, np.shape(x))
