"""Random graphs: functions made of a few steps, each of which uses inputs and earlier steps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from tinygraph import nn
from tinygraph.testing.calls import domain_of, input_count
from tinygraph.testing.drawing import Array, axes, draw_arrays, indices, shapes_of
from tinygraph.testing.source import literal, reference

Function = Callable[..., Any]

SMOOTH: tuple[Function, ...] = (
    np.sin, np.cos, np.tanh, np.arctan, np.arcsinh, np.exp, np.log, np.sqrt, np.square,
    np.add, np.subtract, np.multiply, np.divide, np.logaddexp, np.hypot,
    nn.sigmoid, nn.softplus,
)  # fmt: skip
"""Element-wise functions of one number or two, smooth on the domains of their ops."""

REDUCTIONS: st.SearchStrategy[Function] = st.sampled_from([np.sum, np.mean])
MOVES: st.SearchStrategy[Function] = st.sampled_from([np.transpose, np.ravel])

NUMBERS = st.integers(0, 255)
"""What choices are drawn from, though fewer are left: so examples stay the same as they shrink."""

LARGEST = 1000.0
"""What values, and their changes by a change of the inputs, may be: differences have to follow."""

MANY = 64
"""How many elements a value may have."""

DISTANCE = 2.0**-20
"""How far inputs are moved to see how steep a step is."""


class Step(NamedTuple):
    """A function, the numbers of the values that it is called with, and its parameters."""

    function: Function
    operands: tuple[int, ...]
    params: dict[str, Any]

    def __call__(self, values: Sequence[Any]) -> Any:
        return self.function(*(values[i] for i in self.operands), **self.params)

    def write(self, names: Sequence[str]) -> str:
        """Write the call, with the names of the values."""
        arguments = [names[i] for i in self.operands]
        if self.function is take:
            index = literal(self.params["index"])
            return f"{arguments[0]}[{index}]"
        params = [f"{key}={literal(x)}" for key, x in self.params.items()]
        return f"{reference(self.function)[1]}({', '.join([*arguments, *params])})"


def take(x: Any, *, index: Any) -> Any:
    """Give the elements of `x` at an index."""
    return operator.getitem(x, index)


class Graph:
    """A function of arrays or Nodes that was drawn at random, with `inputs` that suit it.

    It shows itself as Python code that defines it. What no step uses is its result.
    """

    __name__ = "graph"

    def __init__(self, inputs: Sequence[Array], steps: Sequence[Step]) -> None:
        self.inputs = tuple(inputs)
        self.steps = tuple(steps)
        count = len(inputs)
        names = [f"x{i}" for i in range(count)] + [f"y{i}" for i in range(len(steps))]
        used = {i for step in steps for i in step.operands}
        self.results = [i for i in range(count, len(names)) if i not in used] or [0]
        self.head = f"def graph({', '.join(names[:count])}):"
        written = [step.write(names) for step in steps]
        self.body = [f"{name} = {text}" for name, text in zip(names[count:], written, strict=True)]
        self.body += [f"return {', '.join(names[i] for i in self.results)}"]

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for step in self.steps:
            values.append(step(values))
        found = tuple(values[i] for i in self.results)
        return found if len(found) > 1 else found[0]

    def __repr__(self) -> str:
        return f"{self.head} {'; '.join(self.body)}"

    @property
    def imports(self) -> list[str]:
        """The lines that import the functions of the steps."""
        return list(dict.fromkeys(x for step in self.steps for x in reference(step.function)[0]))

    @property
    def definition(self) -> list[str]:
        """The lines that define the function elsewhere."""
        return [*self.imports, "", self.head, *(f"    {line}" for line in self.body)]


class Growing:
    """The steps of a graph in the making, its values, and those at inputs a little off."""

    def __init__(self, inputs: Sequence[Array]) -> None:
        self.steps: list[Step] = []
        self.values = [np.asarray(x) for x in inputs]
        self.moved = [x + DISTANCE * np.cos(np.arange(x.size)).reshape(x.shape) for x in inputs]

    def add(self, step: Step) -> None:
        """Add a step, unless its values become too many, too large or too steep."""
        with np.errstate(all="ignore"):
            value, moved = np.asarray(step(self.values)), np.asarray(step(self.moved))
        largest = np.max(np.abs([value, (moved - value) / DISTANCE]), initial=0)
        if 0 < value.size <= MANY and largest <= LARGEST:
            self.steps.append(step)
            self.values.append(value)
            self.moved.append(moved)

    def draw_operand(self, draw: st.DrawFn, suits: Callable[[Array], bool] | None = None) -> int:
        """Draw the number of a value that suits, half of the time the latest.

        They are counted from the latest, so that a step keeps its operands as others shrink away.
        """
        found = [i for i, x in enumerate(self.values) if suits is None or suits(x)]
        number = draw(NUMBERS)
        return found[-1 - (number // 2 % len(found) if number % 2 else 0)]

    def draw_elementwise(self, draw: st.DrawFn, functions: Sequence[Function]) -> Step:
        """Draw a function and one or two values that broadcast together, in its domain."""
        first = self.draw_operand(draw)
        x = self.values[first]
        function = cycle_to(functions, draw(NUMBERS), lambda f: is_within(x, f))
        if input_count(function) == 1:
            return Step(function, (first,), {})
        second = self.draw_operand(draw, lambda y: broadcast(x, y) and is_within(y, function))
        return Step(function, (first, second), {})

    def draw_other(self, draw: st.DrawFn) -> Step:
        """Draw a step that reduces, moves, reads or multiplies arrays."""
        first = self.draw_operand(draw)
        x = self.values[first]
        kind = draw(st.sampled_from(["reduce", "move", "read", "multiply"]))
        if kind == "reduce":
            params = {"axis": draw(axes(x.ndim)), "keepdims": draw(st.booleans())}
            return Step(draw(REDUCTIONS), (first,), params)
        if kind == "move":
            return Step(draw(MOVES), (first,), {})
        if kind == "read":
            return Step(take, (first,), {"index": draw(indices(x.shape))})
        if draw(st.booleans()):
            return Step(np.outer, (first, self.draw_operand(draw)), {})
        second = self.draw_operand(draw, lambda y: y.shape[-1:] == x.shape[-1:])
        return Step(np.inner, (first, second), {})


def cycle_to(functions: Sequence[Function], number: int, suits: Callable[..., bool]) -> Function:
    """Give the function of that number, or the next one that suits."""
    ordered = [functions[(number + i) % len(functions)] for i in range(len(functions))]
    return next(filter(suits, ordered), np.positive)


def is_within(x: Array, function: Function) -> bool:
    """Tell whether all numbers of `x` are in the domain of a function."""
    low, high = domain_of(function)
    return bool(np.all((low <= x) & (x <= high)))


def broadcast(x: Array, y: Array) -> bool:
    """Tell whether the shapes of two arrays broadcast together."""
    pairs = zip(x.shape[::-1], y.shape[::-1], strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)


@st.composite
def growth(draw: st.DrawFn, graph: Growing, functions: Sequence[Function]) -> bool:
    """Draw a step of a graph, and whether it is the last."""
    is_elementwise = draw(st.sampled_from([True, True, False]))
    graph.add(graph.draw_elementwise(draw, functions) if is_elementwise else graph.draw_other(draw))
    return draw(st.sampled_from([True] + [False] * 7))


@st.composite
def graphs(
    draw: st.DrawFn,
    functions: Sequence[Function] = SMOOTH,
    *,
    max_inputs: int = 2,
    max_steps: int = 6,
) -> Graph:
    """Draw a function made of element-wise `functions`, of one number or two, and of some others.

    Values are used again by several steps. A function gets numbers in the domain of its op; steps
    that would make the graph too steep for finite differences are left out.
    """
    count = draw(st.integers(1, max_inputs))
    graph = Growing(draw_arrays(draw, [draw(shapes_of(min_side=1)) for _ in range(count)]))
    for _ in range(max_steps):
        if draw(growth(graph, functions)):
            break
    return Graph(graph.values[:count], graph.steps)
