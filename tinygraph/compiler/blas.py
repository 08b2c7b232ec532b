"""Steps of weights by BLAS alone: w <- beta * w - alpha * a @ b in one call of SciPy's gemm."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from tinygraph.buffer import Array, is_shared
from tinygraph.compiler.memory import sources
from tinygraph.compiler.passes import Graph, drop_unused, scale_of
from tinygraph.compiler.program import Accumulation, Program, Step, Value
from tinygraph.node import Node

WITH_SMALL_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}
"""OpenBLAS's names of processors for which it has functions for small matrices."""

MOST_BY_SCIPY = {"f": 1 << 22, "d": 1 << 22}
"""Above how many multiplications, by characters of dtypes, NumPy's BLAS, which is newer, is worth a
call and a sum."""


def accumulate_products(program: Program, most: Mapping[str, int] = MOST_BY_SCIPY) -> Program:
    """Leave updates of weights by products of matrices to BLAS, once all else is computed.

    Only with one thread: SciPy's BLAS is another than NumPy's, and where the threads of both wait
    for work in the way that they do, by spinning, a step takes a hundred times as long.
    """
    if not has_one_thread():
        return program
    graph = Graph(program)
    seen_by = sources(program)
    updates, accumulations = [], []
    for number, value in program.updates:
        w = program.leaves[number]
        found = accumulation(graph, w, number, value)
        large = found is not None and w.size * found.a.shape[1] > most[w.dtype.char]
        # A weight has its new value before the next product is taken.
        if found is None or large or reads_leaves(program, seen_by, found):
            updates.append((number, value))
        else:
            accumulations.append(found)
    program.updates, program.accumulations = updates, accumulations
    return drop_unused(program)


def reads_leaves(program: Program, seen_by: Any, found: Accumulation) -> bool:
    """Tell whether the factors look at values of Nodes."""
    seen = {source for x in (found.a, found.b) for source in seen_by.get(x, (x,))}
    return not seen.isdisjoint(program.leaves)


def accumulation(graph: Graph, w: Value, number: int, value: Value) -> Accumulation | None:
    """Give what BLAS is to do for the new value of `w`, None where it cannot."""
    step = maker_of(graph, value)
    if step is None or step.function is not np.subtract or w.dtype.char not in "fd":
        return None
    kept, beta = scaled(graph, step.inputs[0])
    product, alpha = scaled(graph, step.inputs[1])
    maker = graph.maker_of_alone(product)
    if kept is not w or maker is None or maker.function is not np.dot or len(w.shape) != 2:
        return None
    a, b = maker.inputs
    are_alike = is_matrix(a) and is_matrix(b) and a.dtype == b.dtype == w.dtype
    return Accumulation(number, a, b, alpha, beta) if are_alike else None


def maker_of(graph: Graph, value: Value) -> Step | None:
    """Give the step that makes the new value of a leaf, which nobody else reads."""
    made = graph.makers.get(value)
    return made[1] if made and not graph.uses[value] and not made[1].params else None


def scaled(graph: Graph, x: Any) -> tuple[Any, Any]:
    """Give the value that `x` is times a number, and the number."""
    maker = graph.maker_of_alone(x)
    return (maker and scale_of(maker)) or (x, 1.0)


def is_matrix(x: Any) -> bool:
    """Tell whether `x` is a matrix."""
    return isinstance(x, Value) and len(x.shape) == 2


def own_array(leaf: Node) -> Array:
    """Give the value of a leaf to be written over: a copy where somebody else may look at it."""
    value: Array = leaf._value
    alone = value.flags.owndata and value.flags.carray and not is_shared(value, holders=2)
    return value if alone else np.array(value, order="C")


def has_one_thread() -> bool:
    """Tell whether products of matrices are done by one thread, by SciPy's BLAS too."""
    if find_spec("scipy") is None:
        return False
    if find_spec("threadpoolctl") is None:
        return "1" in map(os.environ.get, ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    import scipy.linalg.blas  # noqa: F401 - so that its threads are counted

    return loaded_blas_has_one_thread()


def loaded_blas_has_one_thread() -> bool:
    """Tell whether all BLAS libraries in use have one thread."""
    return all(pool["num_threads"] == 1 for pool in blas_libraries())


def has_small_kernels() -> bool:
    """Tell whether all BLAS libraries in use have functions of their own for small matrices."""
    libraries = blas_libraries()
    names = {library.get("architecture") for library in libraries}
    return bool(libraries) and names <= WITH_SMALL_KERNELS


def blas_libraries() -> list[dict[str, Any]]:
    """Give what threadpoolctl, if it is there, knows of the BLAS libraries in use."""
    if find_spec("threadpoolctl") is None:
        return []
    import threadpoolctl

    return [x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]
