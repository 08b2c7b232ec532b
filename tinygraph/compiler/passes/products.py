"""Products of matrices, and what is done by them: transposes, and sums of rows and columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinygraph.compiler.passes.graph import Graph
from tinygraph.compiler.program import Program, Step, Value

TRANSPOSES = {np.transpose, np.matrix_transpose, np.swapaxes}
PRODUCTS = {np.dot, np.matmul}


def leave_transposes_to_products(program: Program) -> Program:
    """Cancel double transposes, and turn (a @ b).T into b.T @ a.T, which BLAS reads as it lies."""
    graph = Graph(program)
    same: dict[Value, Value] = {}
    steps: list[Step] = []
    for step in program.steps:
        step.replace(same)
        if not is_transpose(step):
            steps.append(step)
            continue
        step.function, step.params = np.transpose, {}
        (x,) = step.inputs
        made = graph.makers.get(x)
        maker = made[1] if made else None
        if maker is not None and is_transpose(maker) and step.outputs[0] not in graph.kept:
            same[step.outputs[0]] = maker.inputs[0]
        elif maker is not None and is_large_product(maker) and graph.is_read_once(x):
            steps += transposed_product(maker, step)
        else:
            steps.append(step)
    program.steps = steps
    return program


def is_transpose(step: Step | None) -> bool:
    """Tell whether a step transposes a matrix."""
    if step is None or step.function not in TRANSPOSES or len(step.outputs[0].shape) != 2:
        return False
    if step.function is np.swapaxes:
        return bool(step.params["axis1"] % 2 != step.params["axis2"] % 2)
    axes = step.params.get("axes")
    return axes is None or tuple(axes) == (1, 0)


def is_turned(graph: Graph, x: Value) -> bool:
    """Tell whether a value is the transpose of a matrix, and so likely to lie by its columns."""
    made = graph.makers.get(x)
    return made is not None and is_transpose(made[1])


def is_large_product(step: Step) -> bool:
    """Tell whether a step multiplies two matrices, and the result is no smaller than they are.

    A smaller one is read across quickly, and the order of the factors may be there on purpose.
    """
    return (
        step.function in PRODUCTS
        and not step.params
        and all(isinstance(x, Value) and len(x.shape) == 2 for x in step.inputs)
        and step.outputs[0].nbytes >= max(x.nbytes for x in step.inputs)
    )


def transposed_product(product: Step, step: Step) -> list[Step]:
    """Give the steps of b.T @ a.T."""
    a, b = product.inputs
    turned = [Value(x.shape[::-1], x.dtype) for x in (b, a)]
    transposes = [
        replace(step, inputs=(x,), outputs=(out,)) for x, out in zip((b, a), turned, strict=True)
    ]
    return [*transposes, replace(product, inputs=tuple(turned), outputs=step.outputs)]


def multiply_by_dot(program: Program) -> Program:
    """Take np.dot for products of matrices, which does what np.matmul does with less ado."""
    for step in program.steps:
        are_matrices = all(len(getattr(x, "shape", ())) in (1, 2) for x in step.inputs)
        if step.function is np.matmul and not step.params and are_matrices:
            step.function = np.dot
    return program


MOST_ADDED = 4096
"""How many numbers are added up one by one; of more, NumPy's sum by halves loses fewer digits."""


def add_up_by_products(program: Program) -> Program:
    """Sum rows or columns by a product with ones, which BLAS does several times as fast."""
    for step in program.steps:
        axis = axis_added_up(step)
        if axis is not None:
            (x,) = step.inputs
            count = x.shape[axis]
            shape = (count,) if not step.params.get("keepdims") else [(1, count), (count, 1)][axis]
            ones = Value(tuple(shape), x.dtype, "ones", np.ones(shape, x.dtype))
            step.inputs = (x, ones) if axis else (ones, x)
            step.outputs[0].name = step.outputs[0].name or "sum"
            step.function, step.params = np.dot, {}
    return program


def axis_added_up(step: Step) -> int | None:
    """Give the axis over which `step` sums a matrix, if that is what it does."""
    if step.function is not np.sum or not step.params.keys() <= {"axis", "keepdims"}:
        return None
    (x,) = step.inputs
    axis = step.params.get("axis")
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if not isinstance(axis, int) or len(x.shape) != 2 or x.dtype.char not in "fd":
        return None
    return axis % 2 if x.shape[axis] <= MOST_ADDED else None
