"""Runs of element-wise steps as one loop each, which numba compiles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygraph.compiler.passes import Graph
from tinygraph.compiler.passes.numbers import is_elementwise
from tinygraph.compiler.program import Program, Step, Value

FUSED = frozenset(
    {
        np.absolute, np.add, np.cos, np.divide, np.equal, np.exp, np.expm1, np.greater,
        np.greater_equal, np.less, np.less_equal, np.log, np.log1p, np.maximum, np.minimum,
        np.multiply, np.negative, np.not_equal, np.reciprocal, np.sin, np.sqrt, np.square,
        np.subtract, np.tanh,
    }
)  # fmt: skip
"""Functions that numba computes of numbers as NumPy does of arrays."""

_numbers = itertools.count()


def fuse_elementwise(program: Program) -> Program:
    """Compute element-wise steps in the loop of the one step that reads their results."""
    graph = Graph(program)
    inside: set[Step] = set()
    kernels: dict[Step, Step] = {}
    for step in reversed(program.steps):
        if step not in inside and is_fusible(graph, step) and step.outputs[0].dtype.kind == "f":
            run = list(run_of(graph, step))
            if len(run) > 1 and step.outputs[0] not in program.results:
                inside.update(run)
                kernels[step] = kernel_step(graph, run)
    program.steps = [
        kernels.get(step, step) for step in program.steps if step not in inside or step in kernels
    ]
    return program


def is_fusible(graph: Graph, step: Step) -> bool:
    """Tell whether a loop over the elements can do what `step` does."""
    out = step.outputs[0]
    return (
        is_elementwise(step)
        and step.function in FUSED
        and not step.params
        and 0 not in out.shape != ()
        and all(is_readable(graph, x) for x in step.inputs)
    )


def is_readable(graph: Graph, x: Any) -> bool:
    """Tell whether a loop can read `x`: an array, a constant, or a number that a step makes."""
    if not isinstance(x, Value) or x.dtype.char not in "fd?":
        return False
    return x.shape != () or x.array is not None or x in graph.makers


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


def kernel_step(graph: Graph, run: list[Step]) -> Step:
    """Give the one step that does what a run of steps does."""
    run = sorted(run, key=lambda step: graph.makers[step.outputs[0]][0])
    made = {step.outputs[0] for step in run}
    inputs = dict.fromkeys(x for step in run for x in step.values if x not in made)
    arrays = [x for x in inputs if x.array is None or x.shape]
    name = "_".join(dict.fromkeys(step.function.__name__ for step in run))
    function = compiled(name, run, arrays, [x for x in inputs if x not in arrays])
    last = run[-1]
    return Step(function, tuple(arrays), {}, last.outputs, last.scope, line=last.line)


def compiled(name: str, run: list[Step], arrays: list[Value], constants: list[Value]) -> Any:
    """Compile the loop over the elements of the run's result."""
    import numba

    names = {x: f"x{number}" for number, x in enumerate(arrays)}
    names |= {x: f"c{number}" for number, x in enumerate(constants)}
    out = run[-1].outputs[0]
    indices = [f"i{axis}" for axis in range(len(out.shape))]
    lines = [f"def {name}({', '.join([*map(names.__getitem__, arrays), 'out'])}):"]
    for depth, (index, size) in enumerate(zip(indices, out.shape, strict=True), start=1):
        lines.append(f"{'    ' * depth}for {index} in range({size}):")
    pad = "    " * (len(indices) + 1)
    # All is read before anything is written.
    lines += [f"{pad}e{names[x]} = {element(names[x], x, out)}" for x in arrays]
    elements = {x: f"e{names[x]}" for x in arrays} | {x: names[x] for x in constants}
    for number, step in enumerate(run):
        operands = ", ".join(elements[x] for x in step.inputs)
        elements[step.outputs[0]] = f"t{number}"
        lines.append(f"{pad}t{number} = np.{step.function.__name__}({operands})")
    lines.append(f"{pad}out[{', '.join(indices)}] = t{len(run) - 1}")
    space: dict[str, Any] = {"np": np} | {names[x]: x.array.flat[0] for x in constants}
    exec(compile("\n".join(lines), f"<tinygraph.kernel {next(_numbers)}>", "exec"), space)
    return numba.njit(error_model="numpy")(space[name])


def element(name: str, x: Value, out: Value) -> str:
    """Give the text that reads the element of an operand which goes into one of the result."""
    if x.shape == ():
        return name
    first = len(out.shape) - len(x.shape)
    parts = ["0" if size == 1 else f"i{first + axis}" for axis, size in enumerate(x.shape)]
    return f"{name}[{', '.join(parts)}]"
