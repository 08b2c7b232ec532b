"""The rule of taking one of several results, and what gives the results of an op as a tuple."""

from typing import Any

import numpy as np

from tinygraph.bundle import Bundle, Contributions
from tinygraph.node import Node, read
from tinygraph.op import op
from tinygraph.state import get_state

Rule = tuple[Any, ...]


def _part(x: Bundle, *, number: int) -> Any:
    return x.parts[number]


@op(_part)
def part(g: Any, out: Any, x: Any, *, number: int) -> Rule:
    return (Contributions(x._value if isinstance(x, Node) else x, (number, g)),)


def parts(x: Any) -> tuple[Any, ...]:
    """Give the results of an op that made the Bundle `x`, or a node of one, as a tuple.

    What has no derivative, numbers of other dtypes than floating and complex, is a plain array,
    unless a plan computes it.
    """
    if isinstance(x, Bundle):
        return x.parts
    values = enumerate(x._value.parts)
    is_taped = get_state().tape is not None
    return tuple(
        part(x, number=i) if is_taped or value.dtype.kind in "fc" else np.array(read(x).parts[i])
        for i, value in values
    )
