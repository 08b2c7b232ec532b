"""The small typed form of a recorded call: values, and steps that compute them in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Function = Callable[..., Any]

Block = tuple[int, int, int]
"""The rows and columns of a product that are done at once, and the terms of its sums."""


@dataclass(eq=False, slots=True)
class Value:
    """What a step computes or a plan is given: an array of known shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str | None = None
    array: Any = None
    """The array itself, of a constant."""

    order: tuple[int, ...] | None = None
    """The axes as they lie in memory, the widest strides first; None for C's order."""

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that the elements take."""
        return self.size * self.dtype.itemsize

    def new_array(self, dtype: np.dtype[Any]) -> Any:
        """Make an array of a dtype that lies as the value is to lie."""
        order = self.order or tuple(range(len(self.shape)))
        array = np.empty([self.shape[axis] for axis in order], dtype)
        # Not that view, but one of its own memory, whose holders can be counted.
        return np.empty_like(array.transpose([*map(order.index, range(len(order)))]))


@dataclass(eq=False, slots=True)
class Step:
    """A call of a function on values and plain numbers, with static parameters."""

    function: Function
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    outputs: tuple[Value, ...]
    scope: tuple[str, ...] = ()
    joint: bool = False
    """Whether the function gives a Bundle of results."""

    line: str = ""
    """Where the user's code asked for it."""

    kernel: int | None = None
    """The number of the function that does it with its neighbours, which numba compiles."""

    block: Block | None = None
    """How much of a product of matrices is done at once; None for all of it."""

    @property
    def values(self) -> Iterator[Value]:
        """The inputs that are values, and the parameters: computed indices and masks."""
        return values_in((self.inputs, *self.params.values()))

    @property
    def factors(self) -> tuple[Any, Any]:
        """The two inputs of a product."""
        a, b = self.inputs
        return a, b

    def replace(self, same: Mapping[Value, Value]) -> None:
        """Let the step read other values than before."""
        if not same:
            return

        def other(x: Any) -> Any:
            return same.get(x, x) if isinstance(x, Value) else x

        self.inputs = tuple(map(other, self.inputs))
        self.params = map_params(other, self.params)


def values_in(x: Any) -> Iterator[Value]:
    """Give the values in nested tuples."""
    if isinstance(x, Value):
        yield x
    elif isinstance(x, tuple):
        for part in x:
            yield from values_in(part)


def map_params(function: Function, params: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a function to parameters, and to the parts of those that are tuples."""
    return {
        key: tuple(map(function, x)) if type(x) is tuple else function(x)
        for key, x in params.items()
    }


@dataclass(eq=False, slots=True)
class Accumulation:
    """The update of a leaf, by its number, to beta * leaf - alpha * a @ b, in place."""

    leaf: int
    a: Value
    b: Value
    alpha: Any
    beta: Any
    kernel: int | None = None
    """The number of the function that does it with its neighbours, which numba compiles."""

    block: Block | None = None
    """How much of the product is done at once; None for all of it."""

    @property
    def factors(self) -> tuple[Value, Value]:
        """The two factors of the product."""
        return self.a, self.b

    @property
    def values(self) -> Iterator[Value]:
        """The values that it reads beside the leaf."""
        return values_in((self.a, self.b, self.alpha, self.beta))


@dataclass(eq=False, slots=True)
class Program:
    """Steps in order, the values that they start from, and those that are handed back."""

    arguments: list[Value] = field(default_factory=list)
    leaves: list[Value] = field(default_factory=list)
    """Values of Nodes that the function found outside, read at every call."""

    numbers: list[Value] = field(default_factory=list)
    """Numbers that are computed in Python at every call: a learning rate for one."""

    steps: list[Step] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)
    """What the caller gets: never overwritten by a later call."""

    updates: list[tuple[int, Value]] = field(default_factory=list)
    """New values of leaves, by the leaf's number."""

    accumulations: list[Accumulation] = field(default_factory=list)
    """What is left to BLAS, when all else is done."""

    def handed_back(self) -> list[Value]:
        """Give all values that outlive the call."""
        return [*self.results, *(value for _, value in self.updates)]

    def read_at_the_end(self) -> list[Value]:
        """Give all values that are still needed when the steps are done."""
        return [*self.handed_back(), *(x for last in self.accumulations for x in last.values)]
