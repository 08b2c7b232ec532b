"""The small typed form of a recorded call: values, and steps that compute them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(eq=False, slots=True)
class Value:
    """What a step computes or a plan is given: an array of known shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str | None = None
    array: Any = None
    """The array itself, of a constant."""

    @property
    def nbytes(self) -> int:
        """The bytes that the elements take."""
        return int(np.prod(self.shape, dtype=int)) * self.dtype.itemsize


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

    @property
    def values(self) -> Iterator[Value]:
        """The inputs that are values."""
        return (x for x in self.inputs if isinstance(x, Value))


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

    def handed_back(self) -> list[Value]:
        """Give all values that outlive the call."""
        return [*self.results, *(value for _, value in self.updates)]
