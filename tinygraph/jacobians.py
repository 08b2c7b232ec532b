"""Jacobians and Hessians of trees, from blocks of cotangents that go back together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import wraps
from typing import Any

import numpy as np

from tinygraph import engine
from tinygraph.bundle import Bundle
from tinygraph.node import Node
from tinygraph.transforms import (
    Argnums,
    Function,
    Trace,
    chosen_arguments,
    give_gradient,
    grad,
    is_variable,
)

BLOCK_BYTES = 1 << 26
"""The memory that the cotangents of the largest value may take in one block."""

FORWARD_COST = 3
"""How many times as much as a pullback a pushforward costs."""


def backward(
    cotangents: dict[Node, Any], wrt: Collection[Node], create_graph: bool, since: int
) -> dict[Node, Any]:
    """Give the gradients of `wrt` as engine.backward does, of a block of cotangents at once.

    Cotangents and gradients have one axis more than their values, the first. The rule of a ufunc
    serves the whole block in one call, since ufuncs broadcast; others are called for each row.
    """
    order = engine.topological_order(cotangents, since)
    needed = engine.nodes_that_lead_to(order, wrt)
    gradients = dict(cotangents)
    for node in reversed(order):
        if node.op is None or node in wrt or node not in gradients:
            continue
        g = gradients.pop(node)
        pull = pull_together if isinstance(node.op.function, np.ufunc) else pull_each
        wanted = [x.__class__ is Node and x.requires_grad and x in needed for x in node.inputs]
        for x, gradient in zip(node.inputs, pull(node, g, wanted, create_graph), strict=True):
            if gradient is not None:
                gradients[x] = gradients[x] + gradient if x in gradients else gradient
    return gradients


def partials_of(node: Node, g: Any, wanted: list[bool], create_graph: bool) -> list[Any]:
    """Give what the rule of `node` makes of `g` for the inputs `wanted`, None for the others."""
    out = node if create_graph else node._value
    inputs = [x._value if x.__class__ is Node and not create_graph else x for x in node.inputs]
    for x in node.inputs:
        if x.__class__ is Node and x.stamp > node.stamp:
            engine.refuse_changed(node, x)
    assert node.backward_fn is not None
    partials = node.backward_fn(g, out, *inputs)
    if partials.__class__ is not tuple or len(partials) != len(inputs):
        engine.refuse_partials(node, partials)
    found = zip(partials, wanted, strict=True)
    partials = [partial if is_wanted else None for partial, is_wanted in found]
    return [x() if x.__class__ is engine.closure else x for x in partials]


def pull_together(node: Node, g: Any, wanted: list[bool], create_graph: bool) -> list[Any]:
    """Give the gradients of the inputs of a ufunc, whose rule takes the block as it is."""
    partials = partials_of(node, g, wanted, create_graph)
    pairs = zip(partials, node.inputs, strict=True)
    return [None if partial is None else fit(partial, len(g), x) for partial, x in pairs]


def fit(partial: Any, count: int, x: Node) -> Any:
    """Undo the broadcasting of `x` in each of the `count` rows of its gradient, and cast it."""
    aligned = (count, *(1,) * (partial.ndim - 1 - x.ndim), *x.shape)
    sizes = enumerate(zip(partial.shape, aligned, strict=True))
    stretched = tuple(axis for axis, (size, own) in sizes if size != own)
    total = np.sum(partial, axis=stretched, keepdims=True) if stretched else partial
    if total.dtype.kind == "c" and x.dtype.kind != "c":
        total = np.real(total)
    total = total.reshape((count, *x.shape))
    return total.astype(x.dtype) if total.dtype != x.dtype else total


def pull_each(node: Node, g: Any, wanted: list[bool], create_graph: bool) -> list[Any]:
    """Give the gradients of the inputs row by row, stacked."""
    rows = [partials_of(node, row, wanted, create_graph) for row in rows_of(g)]
    return [
        None if any(part is None for part in column) else stack(column, x, node)
        for column, x in zip(zip(*rows, strict=True), node.inputs, strict=True)
    ]


def rows_of(g: Any) -> list[Any]:
    """Give the cotangents in a block."""
    if not isinstance(g, Bundle):
        return list(g)
    count = next(len(part) for part in g.parts if part is not None)
    return [
        Bundle([None if part is None else part[i] for part in g.parts], g.like)
        for i in range(count)
    ]


def stack(column: tuple[Any, ...], x: Node, node: Node) -> Any:
    """Make a block of the gradients of `x`, one a row."""
    if not isinstance(column[0], Bundle):
        return np.stack([engine.fit(gradient, x, node) for gradient in column])
    columns = zip(*(gradient.parts for gradient in column), strict=True)
    parts = [None if part[0] is None else np.stack(part) for part in columns]
    return Bundle(parts, column[0].like)


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """Make a function that gives the derivatives of all results by all elements of arguments.

    By one argument of shape s a result of shape r has a Jacobian of shape r + s; of trees it is
    the result's tree with the argument's tree at each leaf; several `argnums` give a tuple there.
    It goes back from blocks of cotangents, or, with many results of few numbers, forward with
    blocks of tangents. Complex results of complex arguments have to be holomorphic; real results
    of complex arguments have the convention of `grad`.

    >>> import numpy as np, tinygraph as tg
    >>> tg.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """

    @wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = chosen_arguments(f, argnums, args, kwargs)
        trace = Trace(of_chosen, chosen)
        rows = by_pushing(trace) if is_cheaper_forward(trace) else by_pulling(trace)
        parts = [trace.rebuild(iter(row)) for row in rows]
        several = isinstance(argnums, tuple)
        return trace.rebuild_out(iter([row if several else row[0] for row in parts]))

    return differentiated


def is_cheaper_forward(trace: Trace) -> bool:
    """Choose the mode by sizes; complex results of real numbers need the forward one."""
    from_complex = any(x.dtype.kind == "c" for x in trace.variables)
    to_complex = any(x.dtype.kind == "c" for x in trace.outputs)
    if from_complex or to_complex:
        return not from_complex
    inputs, results = (sum(x.size for x in nodes) for nodes in (trace.variables, trace.outputs))
    return inputs * FORWARD_COST < results


def blocks(x: Node, trace: Trace) -> Iterator[Any]:
    """Give the unit vectors of the elements of `x` in blocks that fit into memory."""
    largest = max((node.size for node in trace.order), default=1)
    count = max(1, BLOCK_BYTES // (8 * max(largest, x.size, 1)))
    for start in range(0, x.size, count):
        stop = min(start + count, x.size)
        yield np.eye(stop - start, x.size, start, x.dtype).reshape(stop - start, *x.shape)


def join(parts: list[Any], y: Any, x: Node, unit_axis: int) -> Any:
    """Make of blocks, whose first axis counts unit vectors, an array of y's shape and x's."""
    shape = (*np.shape(y), *x.shape)
    if not parts:
        return np.zeros(shape, x.dtype)
    whole = np.concatenate(parts) if len(parts) > 1 else parts[0]
    whole = whole if unit_axis == 0 else np.moveaxis(whole.reshape((x.size, -1)), 0, -1)
    return give_gradient(whole.reshape(shape), x)


def by_pulling(trace: Trace) -> list[list[Any]]:
    """Give the Jacobian of every output by every variable, pulling unit vectors back."""

    def row(y: Any) -> list[Any]:
        found: list[list[Any]] = [[] for _ in trace.variables]
        for block in blocks(y, trace) if is_variable(y) else ():
            gradients = trace.pull({y: block}, trace.variables, backward)
            for column, x in zip(found, trace.variables, strict=True):
                zeros = np.zeros((len(block), *x.shape), x.dtype)
                column.append(gradients.get(x, zeros))
        return [join(c, y, x, 0) for c, x in zip(found, trace.variables, strict=True)]

    return [row(y) for y in trace.out_leaves]


def by_pushing(trace: Trace) -> list[list[Any]]:
    """Give the same by pushing unit vectors forward."""
    push = trace.pushforward()

    def column(number: int, x: Node) -> list[Any]:
        found: list[list[Any]] = [[] for _ in trace.out_leaves]
        for block in blocks(x, trace):
            tangents: list[Any] = [None] * len(trace.variables)
            tangents[number] = block
            for part, tangent, y in zip(
                found, push(tangents, backward), trace.out_leaves, strict=True
            ):
                zeros = np.zeros((len(block), *np.shape(y)), np.result_type(getattr(y, "dtype", y)))
                part.append(zeros if tangent is None else tangent)
        return [join(part, y, x, -1) for part, y in zip(found, trace.out_leaves, strict=True)]

    columns = [column(number, x) for number, x in enumerate(trace.variables)]
    return [list(row) for row in zip(*columns, strict=True)]


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """Make a function that gives the second derivatives of a real number `f`, as `jacobian` does.

    >>> import numpy as np, tinygraph as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)
