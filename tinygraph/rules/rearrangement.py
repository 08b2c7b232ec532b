"""One rule for every function that only moves, repeats or drops elements, or fills in zeros."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.op import Op, op
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]


def rearrangement(function: Callable[..., Any], name: str | None = None) -> Op:
    """Make the op of a function of one array whose results are each an element of it, or zero.

    Where the elements come from the function itself tells, called on their numbers: what went to
    several places gets the sum of the gradients there. For functions used in inner loops a rule
    of their own (np.roll is undone by np.roll) is faster.
    """

    def rule(g: Any, out: Any, x: Any, **params: Any) -> Rule:
        # Number 0 is what the function fills in.
        numbers = function(np.arange(1, x.size + 1).reshape(x.shape), **params)
        sums = scatter(np.ravel(g), index=np.ravel(numbers), shape=(x.size + 1,))
        return (sums[1:].reshape(x.shape),)

    return op(function, name=name)(rule)
