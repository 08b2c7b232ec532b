"""The walk: topological order, evaluation forward, and the chain rule backward."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Any

import numpy as np

from tinygraph import buffer, debugging
from tinygraph.node import Node, as_value, next_stamp
from tinygraph.state import get_state

closure = type(lambda: None)
_made_at = attrgetter("made_at")


def topological_order(outputs: Iterable[Node], since: int = 0) -> list[Node]:
    """Give every node at and below `outputs`, inputs before what is made of them.

    Nodes with a stamp before `since` are given, but what they were made of is not.
    """
    seen = set(outputs)
    stack = [*seen]
    while stack:
        node = stack.pop()
        if node.stamp >= since:
            for x in node.inputs:
                if x.__class__ is Node and x not in seen:
                    seen.add(x)
                    stack.append(x)
    return sorted(seen, key=_made_at)


def forward(output: Node) -> None:
    """Evaluate every node below `output` again, from the values that the leaves have now.

    Refused where values were read while the graph was made: what came of them (a branch, a mask,
    an index) is not part of the graph, and may be another for new values.
    """
    is_debugging = get_state().debug
    order = topological_order([output])
    refuse_read(order)
    for node in order:
        if node.forward_fn is not None:
            values = [x._value if x.__class__ is Node else x for x in node.inputs]
            node._value = as_value(node.forward_fn(*values), node.op)
            node.stamp = next_stamp()
            if is_debugging:
                debugging.refuse_made(node, node.op.name if node.op else "a node", values)


def backward(
    cotangents: dict[Node, Any],
    wrt: Collection[Node] | None = None,
    create_graph: bool = False,
    since: int = 0,
) -> dict[Node, Any]:
    """Give the gradients of `wrt`, of all leaves by default, from the `cotangents` of outputs.

    Rules get arrays, or with `create_graph` Nodes, so that what they compute is graph again.
    Nodes with a stamp before `since` are not gone through: they are older than all of `wrt`.
    """
    order = topological_order(cotangents, since)
    needed = None if wrt is None else nodes_that_lead_to(order, wrt)
    gradients = dict(cotangents)
    is_debugging = get_state().debug
    for node in reversed(order):
        if node.backward_fn is None or (wrt is not None and node in wrt):
            continue
        g = gradients.pop(node, None)
        if g is None:
            continue
        inputs = node.inputs
        if create_graph:
            partials = node.backward_fn(g, node, *inputs)
        else:
            values = [x._value if x.__class__ is Node else x for x in inputs]
            partials = node.backward_fn(g, node._value, *values)
        if partials.__class__ is not tuple or len(partials) != len(inputs):
            refuse_partials(node, partials)
        for x, gradient in zip(inputs, partials):  # noqa: B905 - as long, by the check above
            if x.__class__ is not Node:
                continue
            if x.stamp > node.stamp:
                refuse_changed(node, x)
            if gradient is None or not x.requires_grad or (needed is not None and x not in needed):
                continue
            if gradient.__class__ is closure:
                gradient = gradient()
            value = x._value
            try:
                fits = gradient.shape == value.shape and gradient.dtype is value.dtype
            except AttributeError:
                fits = False
            if not fits:
                gradient = fit(gradient, x, node)
            before = gradients.get(x)
            gradients[x] = gradient if before is None else before + gradient
            if is_debugging:
                debugging.refuse_gradient(node, gradients[x], g)
    return gradients


def nodes_that_lead_to(order: list[Node], wrt: Collection[Node]) -> set[Node]:
    """Give the nodes in `order` through which gradients flow to `wrt`."""
    needed = set(wrt)
    for node in order:
        if any(x.__class__ is Node and x in needed for x in node.inputs):
            needed.add(node)
    return needed


def fit(gradient: Any, x: Node, node: Node) -> Any:
    """Undo the broadcasting of `x` in its gradient, and cast it to the dtype of `x`."""
    if gradient.__class__ is not np.ndarray or gradient.dtype.kind not in "fc":
        gradient = as_numbers(gradient, x, node)
    value = x._value
    if gradient.shape != value.shape:
        gradient = unbroadcast(gradient, x, node)
    if gradient.dtype != value.dtype:
        if x.dtype.kind not in "fc":
            raise TypeError(
                f"backward: a gradient flows to {x._describe()}, whose values are {x.dtype}; let "
                f"it give floating values, or cut the graph there with detach()"
            )
        if gradient.dtype.kind == "c" and x.dtype.kind != "c":
            gradient = np.real(gradient)
        gradient = gradient.astype(x.dtype)
    return gradient


def as_numbers(gradient: Any, x: Node, node: Node) -> Any:
    """Give what a rule gave, or the function that it gave in its place, as numbers."""
    if callable(gradient):
        gradient = gradient()
    if isinstance(gradient, Node):
        return gradient
    kind = getattr(gradient, "dtype", np.dtype(object)).kind
    if kind not in "biufc" and not isinstance(gradient, int | float | complex):
        raise TypeError(
            f"the derivative rule of {label(node)} gave {type(gradient).__name__} for an input of "
            f"shape {x.shape}; expected numbers of that shape, None, or a function that gives them"
        )
    return np.asarray(gradient)


def unbroadcast(gradient: Any, x: Node, node: Node) -> Any:
    """Sum `gradient` over the axes along which `x` was broadcast."""
    new_axes = gradient.ndim - x.ndim
    if new_axes > 0 and gradient.shape[new_axes:] == x.shape:
        return gradient.sum(axis=0 if new_axes == 1 else tuple(range(new_axes)))
    stretched = [
        new_axes + axis
        for axis, size in enumerate(x.shape)
        if size == 1 and gradient.shape[new_axes + axis :][:1] != (1,)
    ]
    gradient_shape = gradient.shape
    if new_axes >= 0:
        gradient = np.sum(gradient, axis=(*range(new_axes), *stretched), keepdims=True)
        gradient = gradient.reshape(gradient.shape[new_axes:])
    if gradient.shape != x.shape:
        raise ValueError(
            f"the derivative rule of {label(node)} gave a gradient of shape {gradient_shape} for "
            f"an input of shape {x.shape}; it has to have the input's shape, or one that the "
            f"input broadcasts to"
        )
    return gradient


def backward_into_leaves(output: Node, cotangent: Any, create_graph: bool) -> None:
    """Add the gradients of the leaves below `output` to their `grad`, out of place."""
    if not output.requires_grad:
        raise ValueError(
            f"backward: {output._describe()} depends on no leaf that requires gradients; make one "
            f"with Node(x), outside of no_grad() and not through detach()"
        )
    cotangent = as_cotangent(cotangent, output)
    tape = get_state().tape
    create_graph = create_graph or tape is not None
    if isinstance(cotangent, Node) and not create_graph:
        cotangent = cotangent.value
    gradients = backward({output: cotangent}, create_graph=create_graph)
    if tape is not None:
        tape.start_gradients(gradients)
    while gradients:
        leaf, gradient = gradients.popitem()
        if leaf.grad is not None:
            gradient = leaf.grad + gradient
        if gradient.__class__ is Node:
            leaf.grad = gradient
        elif create_graph:
            leaf.grad = Node(gradient, requires_grad=False)
        elif (
            gradient.__class__ is not np.ndarray
            or gradient.base is not None
            or not gradient.flags.writeable
            or buffer.is_shared(gradient)
        ):
            leaf.grad = np.array(gradient)
        else:
            leaf.grad = gradient
    if tape is not None:
        tape.end_gradients()


def as_cotangent(cotangent: Any, output: Node) -> Any:
    """Give the cotangent of `output`, of its shape and dtype; one where it is None."""
    if output.dtype.kind not in "fc":
        raise TypeError(f"backward: {output._describe()} has values of {output.dtype}, no gradient")
    if cotangent is None and output.dtype.kind == "c":
        raise ValueError(
            f"backward: {output._describe()} is complex, so there is no one derivative; take its "
            f"real part, or pass a cotangent"
        )
    if cotangent is None:
        if output.shape == ():
            return output.dtype.type(1)
        if output.size != 1:
            raise ValueError(
                f"backward: {output._describe()} has {output.size} elements, so there is no one "
                f"derivative; sum it, or pass a cotangent of its shape"
            )
        return np.ones(output.shape, output.dtype)
    if not isinstance(cotangent, Node):
        cotangent = np.asarray(cotangent)
    if cotangent.shape != output.shape:
        raise ValueError(
            f"backward: {output._describe()} got a cotangent of shape {cotangent.shape}; "
            f"expected {output.shape}"
        )
    if not np.can_cast(cotangent.dtype, output.dtype, "same_kind"):
        raise TypeError(
            f"backward: {output._describe()} of dtype {output.dtype} got a cotangent of dtype "
            f"{cotangent.dtype}; take its real part"
        )
    return cotangent.astype(output.dtype) if cotangent.dtype != output.dtype else cotangent


def label(node: Node) -> str:
    """Name the op of `node` for messages."""
    return f"{node.op.name!r}" if node.op else "a leaf"


def refuse_changed(node: Node, x: Node) -> None:
    """Refuse to go back through `node`, whose input `x` has got another value since."""
    raise ValueError(
        f"backward: the value of {x._describe()} changed after {label(node)} used it, so the "
        f"derivative there is lost; call forward() on the output before backward, or compute it "
        f"again"
    )


def refuse_read(order: list[Node]) -> None:
    """Refuse to evaluate nodes again that were made after a value since changed had been read."""
    changed = [x for x in order if x.op is None and x.read_at and x.stamp > order[-1].stamp]
    for x in changed:
        for node in order:
            if node.op is not None and node.made_at > x.read_at:
                raise ValueError(
                    f"forward: {x._describe()} has another value, but {node._describe()} was made "
                    f"after the old one had been read (compared, sorted by, used as an index, "
                    f"...), and what came of that is not in the graph; compute the expression "
                    f"again, or read node.value where new values make no difference"
                )


def refuse_partials(node: Node, partials: Any) -> None:
    """Refuse what a rule gave in place of a tuple of gradients."""
    got = f"{len(partials)} gradients" if isinstance(partials, tuple) else type(partials).__name__
    raise TypeError(
        f"the derivative rule of {label(node)} gave {got}, expected a tuple of "
        f"{len(node.inputs)}, one for every input; write (gradient,) for one, None for no gradient"
    )
