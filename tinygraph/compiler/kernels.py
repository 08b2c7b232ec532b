"""Steps next to each other as one function of loops and products, which numba compiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby, islice

import numpy as np

from tinygraph.compiler.blas import (
    MOST_BY_SCIPY,
    accumulate_products,
    has_one_thread,
    has_small_kernels,
)
from tinygraph.compiler.blocks import (
    MOST_IN_BLOCKS,
    block_of,
    is_product,
    is_real,
    only_second_is_turned,
)
from tinygraph.compiler.loops import MOST_AXES, Loop, is_fusible
from tinygraph.compiler.memory import writes_into
from tinygraph.compiler.passes import MOST_ADDED, Graph
from tinygraph.compiler.program import Accumulation, Program, Step, Value

MOST_JOINED = 64
"""How many steps a kernel does at most: the time that numba takes grows faster than they do."""

STARTS = {np.sum: "0.0", np.max: "-np.inf", np.min: "np.inf"}
"""What functions that take elements together one after the other start from."""


def accumulate_in_blocks(program: Program) -> Program:
    """Leave updates of weights to BLAS, larger ones too where it is given small products."""
    return accumulate_products(program, most_by_gemm())


def most_by_gemm() -> Mapping[str, int]:
    """Give up to how many multiplications a product is left to SciPy's BLAS, by dtype; {} for none.

    As `MOST_IN_BLOCKS` where it is given small products.
    """
    if not has_one_thread():
        return {}
    return MOST_IN_BLOCKS if has_small_kernels() else MOST_BY_SCIPY


def join_steps(program: Program) -> Program:
    """Let numba compile steps next to each other which it does as fast as NumPy, as one."""
    graph = Graph(program)
    most = most_by_gemm()
    steps: list[Step] = []
    runs = groupby(program.steps, lambda step: is_possible(graph, step, most))
    parts = ((possible, part) for possible, run in runs for part in parts_of(run))
    for number, (possible, part) in enumerate(parts):
        calls = sum(2 if isinstance(step.function, Loop) else not is_view(step) for step in part)
        if possible and calls > 1:
            part = [replace(step, kernel=number) for step in part]
        steps += part
    program.steps = steps
    program.accumulations = [replace(x, kernel=len(steps)) for x in program.accumulations]
    products: list[Step | Accumulation] = [*filter(is_product, steps), *program.accumulations]
    for product in products:
        if most is MOST_IN_BLOCKS and product.kernel is not None:
            product.block = block_of(graph, *product.factors)
    return program


def parts_of(run: Iterator[Step]) -> Iterator[list[Step]]:
    """Give the steps of a run by as many as one kernel does."""
    while part := list(islice(run, MOST_JOINED)):
        yield part


def is_possible(graph: Graph, step: Step, most: Mapping[str, int]) -> bool:
    """Tell whether a kernel can do what `step` does, as fast as NumPy."""
    if isinstance(step.function, Loop) or is_fusible(graph, step):
        return True
    if step.function in STARTS:
        return is_small_reduction(step)
    if step.function is np.dot:
        return is_small_product(graph, step, most)
    return is_view(step) and is_view_of_own(graph, step)


def is_view(step: Step) -> bool:
    """Tell whether `step` looks at the memory of its input."""
    is_turned = step.function is np.transpose and not step.params
    return is_turned or step.function in (np.ravel, np.reshape)


def is_view_of_own(graph: Graph, step: Step) -> bool:
    """Tell whether memory can be looked at like that before anything is written there."""
    (x,), (out,) = step.inputs, step.outputs
    # A kernel makes numbers without memory, and reads those it is given before all else.
    if out in graph.kept or not x.shape or not out.shape:
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
    if len(x.shape) > MOST_AXES:
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


def is_small_product(graph: Graph, step: Step, most: Mapping[str, int]) -> bool:
    """Tell whether a loop does a product as fast as BLAS, or SciPy's BLAS as fast as NumPy's."""
    if not is_real(*step.inputs, *step.outputs):
        return False
    a, b = step.inputs
    if {len(a.shape), len(b.shape)} - {1, 2}:
        return False
    by_gemm = most.get(a.dtype.char, 0) if len(a.shape) == len(b.shape) == 2 else 0
    return 0 < multiplications(a, b) <= max(by_gemm, most_in_loops(graph, a, b))


def multiplications(a: Value, b: Value) -> int:
    """Count the multiplications in a product of vectors or matrices."""
    return math.prod(a.shape + b.shape[1:])


def most_in_loops(graph: Graph, a: Value, b: Value) -> int:
    """Give up to how many multiplications a loop takes less time than a call of BLAS."""
    return 1 << 14 if adds_rows(graph, a, b) and a.shape[:-1] in ((), (1,)) else 1 << 12


def adds_rows(graph: Graph, a: Value, b: Value) -> bool:
    """Tell whether a loop does a product by adding up rows of b, several numbers at once."""
    return b.shape[1:] not in ((), (1,)) and not only_second_is_turned(graph, a, b)
