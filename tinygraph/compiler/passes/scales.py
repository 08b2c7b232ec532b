"""Multiplications by a number: where the array is smallest, or as part of an update."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygraph.compiler.passes.graph import Graph
from tinygraph.compiler.passes.redundant import drop_unused, identity_of, merge_equal
from tinygraph.compiler.program import Program, Step, Value

BEFORE_SUMS = {np.dot, np.matmul, np.transpose, np.sum, np.reshape, np.ravel}
BEFORE_PRODUCTS = {np.multiply}


def scale_smaller(program: Program) -> Program:
    """Multiply by a number where the array is smallest: (a @ b) * s becomes (a * s) @ b.

    So the learning rate goes into a layer's deltas, not into the gradient of its weights.
    """
    for movers in (BEFORE_SUMS, BEFORE_SUMS | BEFORE_PRODUCTS):
        while move_one_scale(program, movers):
            merge_equal(program)
            drop_unused(program)
    return program


def move_one_scale(program: Program, movers: set[Any]) -> bool:
    """Move one multiplication by a number one step up; tell whether there was one to move."""
    graph = Graph(program)
    for step in reversed(program.steps):
        found = scale_of(step)
        if found is None:
            continue
        x, s = found
        made = graph.makers.get(x)
        if (
            made is None
            or x in graph.kept
            or len(graph.uses[x]) > 1
            or not graph.is_before(s, made)
        ):
            continue
        number, maker = made
        new = scaled_maker(graph, maker, step, s, movers)
        if new is not None:
            program.steps.remove(step)
            program.steps[number : number + 1] = new
            return True
    return False


def scale_of(step: Step) -> tuple[Value, Any] | None:
    """Give what `step` multiplies by a number, and the number, if that is what it does."""
    if step.function is not np.multiply or step.params or len(step.inputs) != 2:
        return None
    for x, s in (step.inputs, step.inputs[::-1]):
        is_number = not isinstance(s, Value) or s.shape == ()
        if isinstance(x, Value) and x.shape and is_number and x.dtype == step.outputs[0].dtype:
            return x, s
    return None


def scaled_maker(
    graph: Graph, maker: Step, step: Step, s: Any, movers: set[Any]
) -> list[Step] | None:
    """Give the steps that make the result of `step`, the scaled result of `maker`."""
    inner = scale_of(maker)
    if inner is not None:
        return scaled_twice(*inner, s, step)
    if maker.function in (np.add, np.subtract) and not maker.params:
        if not all(is_scaled_for_free(graph, x) for x in maker.inputs):
            return None
        pairs = [scaled(x, s, maker) for x in maker.inputs]
        inputs = tuple(x for x, _ in pairs)
        return [*(scale for _, scale in pairs), replace(maker, inputs=inputs, outputs=step.outputs)]
    if maker.function not in movers:
        return None
    position = operand_to_scale(graph, maker, s)
    if position is None:
        return None
    x, scale = scaled(maker.inputs[position], s, maker)
    inputs = (*maker.inputs[:position], x, *maker.inputs[position + 1 :])
    return [scale, replace(maker, inputs=inputs, outputs=step.outputs)]


def scaled(x: Value, s: Any, like: Step) -> tuple[Value, Step]:
    """Give x * s, and the step that makes it."""
    out = Value(x.shape, x.dtype)
    return out, replace(like, function=np.multiply, inputs=(x, s), params={}, outputs=(out,))


def scaled_twice(x: Value, s: Any, t: Any, step: Step) -> list[Step]:
    """Give the steps of x * (s * t) in place of (x * s) * t."""
    if isinstance(s, Value) or isinstance(t, Value):
        both = Value((), x.dtype)
        number = replace(step, inputs=(s, t), outputs=(both,))
        return [number, replace(step, inputs=(x, both))]
    return [replace(step, inputs=(x, s * t))]


def is_scaled_for_free(graph: Graph, x: Any) -> bool:
    """Tell whether `x` is a product with a number, or of matrices one of which is smaller."""
    maker = graph.maker_of_alone(x)
    if maker is None or x.shape == ():
        return False
    is_product = maker.function in (np.dot, np.matmul)
    return scale_of(maker) is not None or (
        is_product and operand_to_scale(graph, maker, None) is not None
    )


def operand_to_scale(graph: Graph, maker: Step, s: Any) -> int | None:
    """Give the number of the operand that is scaled in place of the result: none that is larger.

    One that is scaled by the same number already, for another step, comes first.
    """
    out = maker.outputs[0]
    linear = [
        (position, x)
        for position, x in enumerate(maker.inputs)
        if isinstance(x, Value) and x.dtype == out.dtype and x.shape and x.array is None
    ]
    for position, x in linear:
        scales = [scale_of(step) for step in graph.uses[x]]
        if any(scale and identity_of(scale[1]) == identity_of(s) for scale in scales):
            return position
    smaller = [(x.nbytes, position) for position, x in linear if x.nbytes <= out.nbytes]
    return min(smaller)[1] if smaller and maker.function is not np.sum else None


def fold_decay(program: Program) -> Program:
    """Take a decay into a step: w - (d + w * s) becomes w * (1 - s) - d."""
    graph = Graph(program)
    steps: list[Step] = []
    for step in program.steps:
        steps += decayed(graph, step) or [step]
    program.steps = steps
    return program


def decayed(graph: Graph, step: Step) -> list[Step] | None:
    """Give the steps in place of w - (d + w * s), None for another."""
    if step.function is not np.subtract or step.params or not isinstance(step.inputs[0], Value):
        return None
    w, change = step.inputs
    total = graph.maker_of_alone(change)
    if total is None or total.function is not np.add or total.params:
        return None
    for d, term in (total.inputs, total.inputs[::-1]):
        maker = graph.maker_of_alone(term)
        found = scale_of(maker) if maker is not None else None
        if found is not None and found[0] is w:
            rest = Value((), w.dtype)
            kept = Value(w.shape, w.dtype)
            return [
                replace(step, inputs=(1, found[1]), outputs=(rest,)),
                replace(step, function=np.multiply, inputs=(w, rest), outputs=(kept,)),
                replace(step, inputs=(kept, d)),
            ]
    return None
