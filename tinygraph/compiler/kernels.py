"""Steps next to each other as one function of loops and products, which numba compiles."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from tinygraph.compiler.blas import MOST_BY_SCIPY, has_one_thread
from tinygraph.compiler.loops import Loop, is_fusible
from tinygraph.compiler.memory import writes_into
from tinygraph.compiler.passes import MOST_ADDED, Graph
from tinygraph.compiler.program import Program, Step, Value

REDUCED = (np.sum, np.max, np.min)
"""Functions that take elements together one after the other."""


def join_steps(program: Program) -> Program:
    """Let numba compile steps next to each other which it does as fast as NumPy, as one."""
    graph = Graph(program)
    with_blas = has_one_thread()
    steps: list[Step] = []
    runs = groupby(program.steps, lambda step: is_possible(graph, step, with_blas))
    for number, (possible, run) in enumerate(runs):
        part = list(run)
        calls = sum(2 if isinstance(step.function, Loop) else not is_view(step) for step in part)
        if possible and calls > 1:
            part = [replace(step, kernel=number) for step in part]
        steps += part
    program.steps = steps
    last = [replace(x, kernel=len(steps)) for x in program.accumulations]
    program.accumulations = last
    return program


def is_possible(graph: Graph, step: Step, with_blas: bool) -> bool:
    """Tell whether a kernel can do what `step` does, as fast as NumPy."""
    if isinstance(step.function, Loop) or is_fusible(graph, step):
        return True
    if step.function in REDUCED:
        return is_small_reduction(step)
    if step.function is np.dot:
        return is_small_product(step, with_blas)
    return is_view(step) and is_view_of_own(graph, step)


def is_view(step: Step) -> bool:
    """Tell whether `step` looks at the memory of its input."""
    is_turned = step.function is np.transpose and not step.params
    return is_turned or step.function in (np.ravel, np.reshape)


def is_view_of_own(graph: Graph, step: Step) -> bool:
    """Tell whether memory can be looked at like that before anything is written there."""
    (x,), (out,) = step.inputs, step.outputs
    if out in graph.kept:
        return False
    if step.function is np.transpose:
        return True
    plain = step.params.get("order", "C") == "C" and not step.params.get("copy")
    maker = graph.makers.get(x)
    if not plain or maker is None or not writes_into(maker[1]) or x.order is not None:
        return False
    # What goes where a leaf's new value does may lie in another order.
    after = (made for reader in graph.uses[x] for made in reader.outputs)
    return x not in graph.kept and graph.kept.isdisjoint(after)


def is_small_reduction(step: Step) -> bool:
    """Tell whether `step` takes few neighbouring elements together at a time."""
    (x,), out = step.inputs, step.outputs[0]
    if not step.params.keys() <= {"axis", "keepdims"} or not is_real(x, out) or 0 in x.shape:
        return False
    axes = axes_of(step)
    last = range(len(x.shape) - len(axes), len(x.shape))
    are_neighbours = set(axes) == set(last) and x.order is None
    return x.size <= MOST_ADDED or (are_neighbours and x.size <= out.size * MOST_ADDED)


def axes_of(step: Step) -> tuple[int, ...]:
    """Give the axes that a reduction takes together."""
    count = len(step.inputs[0].shape)
    axis = step.params.get("axis")
    if axis is None:
        return tuple(range(count))
    return tuple(int(x) % count for x in (axis if isinstance(axis, tuple) else (axis,)))


def is_small_product(step: Step, with_blas: bool) -> bool:
    """Tell whether a loop does a product as fast as BLAS, or SciPy's BLAS as fast as NumPy's."""
    if not is_real(*step.inputs, *step.outputs):
        return False
    a, b = step.inputs
    by_gemm = with_blas and len(a.shape) == len(b.shape) == 2
    most = MOST_BY_SCIPY if by_gemm else most_in_loops(a, b)
    return {len(a.shape), len(b.shape)} <= {1, 2} and 0 < multiplications(a, b) <= most


def multiplications(a: Value, b: Value) -> int:
    """Count the multiplications in a product of vectors or matrices."""
    return math.prod(a.shape + b.shape[1:])


def most_in_loops(a: Value, b: Value) -> int:
    """Give up to how many multiplications a loop takes less time than a call of BLAS."""
    # Rows of b are added up several numbers at once.
    return 1 << 14 if a.shape[:-1] in ((), (1,)) and len(b.shape) == 2 else 1 << 12


def is_real(*values: Any) -> bool:
    """Tell whether all are real and of one dtype."""
    first = values[-1]
    alike = all(isinstance(x, Value) and x.dtype == first.dtype for x in values)
    return alike and first.dtype.char in "fd" and first.dtype.isnative
