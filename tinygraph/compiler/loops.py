"""Element-wise steps whose results one other reads, as one loop over the elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from tinygraph.compiler.passes import Graph
from tinygraph.compiler.passes.numbers import is_elementwise
from tinygraph.compiler.program import Program, Step, Value

SIMPLE = frozenset(
    {
        np.absolute, np.add, np.divide, np.equal, np.greater, np.greater_equal, np.less,
        np.less_equal, np.maximum, np.minimum, np.multiply, np.negative, np.not_equal,
        np.reciprocal, np.sqrt, np.square, np.subtract,
    }
)  # fmt: skip
"""Functions that the processor computes of several numbers at once."""

FROM_LIBRARY = frozenset(
    {np.cos, np.exp, np.expm1, np.log, np.log1p, np.sin, np.tanh}
)  # fmt: skip
"""Functions that a loop asks the C library for, a number at a time."""

FUSED = SIMPLE | FROM_LIBRARY

MOST_FROM_LIBRARY = 1024
"""Of how many numbers the C library computes a function about as fast as NumPy does."""

MOST_AXES = 10
"""How many axes a loop goes along at most; Python takes twenty blocks in each other."""


@dataclass(eq=False, slots=True)
class Loop:
    """Steps that are done for one element after the other: a function of a step."""

    steps: list[Step]

    @property
    def __name__(self) -> str:
        """The names of the functions, each once."""
        return "_".join(dict.fromkeys(step.function.__name__ for step in self.steps))


def fuse_elementwise(program: Program) -> Program:
    """Compute element-wise steps in the loop of the one step that reads their results."""
    graph = Graph(program)
    inside: set[Step] = set()
    loops: dict[Step, Step] = {}
    for step in reversed(program.steps):
        if step not in inside and step.outputs[0].shape and is_fusible(graph, step):
            run = list(run_of(graph, step))
            if len(run) > 1:
                inside.update(run)
                loops[step] = loop_step(graph, run)
    program.steps = [
        loops.get(step, step) for step in program.steps if step not in inside or step in loops
    ]
    return program


def is_fusible(graph: Graph, step: Step) -> bool:
    """Tell whether a loop over the elements can do what `step` does, as fast as NumPy."""
    out = step.outputs[0]
    return (
        is_elementwise(step)
        and step.function in FUSED
        and not step.params
        and 0 not in out.shape
        and len(out.shape) <= MOST_AXES
        and out.dtype.char in "fd?"
        and all(is_readable(x) for x in step.inputs)
        and (step.function in SIMPLE or out.size <= MOST_FROM_LIBRARY)
    )


def is_readable(x: Any) -> bool:
    """Tell whether a loop can read the elements of `x`."""
    return isinstance(x, Value) and x.dtype.char in "fd?" and x.dtype.isnative


def run_of(graph: Graph, last: Step) -> Iterator[Step]:
    """Give `last`, and the steps before whose results are read in this run alone."""
    run = {last}
    waiting = [last]
    while waiting:
        step = waiting.pop()
        yield step
        for x in step.values:
            made = graph.makers.get(x)
            if made is None or made[1] in run or x in graph.kept:
                continue
            alike = made[1].outputs[0].shape == last.outputs[0].shape
            if alike and is_fusible(graph, made[1]) and run.issuperset(graph.uses[x]):
                run.add(made[1])
                waiting.append(made[1])


def loop_step(graph: Graph, run: list[Step]) -> Step:
    """Give the one step that does what a run of steps does."""
    run = sorted(run, key=lambda step: graph.makers[step.outputs[0]][0])
    made = {step.outputs[0] for step in run}
    inputs = dict.fromkeys(x for step in run for x in step.values if x not in made)
    last, function = run[-1], cast(Any, Loop(run))
    return Step(function, tuple(inputs), {}, last.outputs, last.scope, line=last.line)
