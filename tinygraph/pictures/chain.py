"""The chain rule, one node after the other, so that every node has its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph import engine
from tinygraph.bundle import Bundle
from tinygraph.node import Node, next_stamp
from tinygraph.pictures.model import common


def ones_like(node: Node) -> Any:
    """Give the cotangent that sums a node's elements."""
    value = node._value
    if isinstance(value, Bundle):
        return Bundle([np.ones_like(part) for part in value.parts], value)
    return np.ones_like(value)


def seed_at(node: Node, ones: Any) -> Node:
    """Give a cotangent as a leaf that stands beside what it is of."""
    seed = Node(ones, requires_grad=False)
    seed.scope = beside(node.scope)
    return seed


def beside(scope: tuple[str, ...]) -> tuple[str, ...]:
    """Name the scope of the gradients that come through nodes in another."""
    return (f"∂ {scope[0]}", *scope[1:]) if scope else ()


def gradients_below(outputs: Sequence[Node], create_graph: bool = False) -> dict[Node, Any]:
    """Give the gradients of the sum of all outputs' elements by every node that has one.

    With `create_graph` they are Nodes, in scopes beside those of the nodes they come through.
    """
    gradients: dict[Node, Any] = {}
    for node in outputs:
        if node.requires_grad and node not in gradients and not isinstance(node._value, Bundle):
            ones = ones_like(node)
            gradients[node] = seed_at(node, ones) if create_graph else ones
    for node in reversed(engine.topological_order(outputs)):
        if node not in gradients or node.op is None:
            continue
        mark = next_stamp()
        inputs = {x for x in node.inputs if isinstance(x, Node)}
        partials = engine.backward({node: gradients[node]}, inputs, create_graph, since=node.stamp)
        if create_graph:
            roots = [part for gradient in partials.values() for part in nodes_in(gradient)]
            for made in engine.topological_order(roots, since=mark):
                if made.made_at > mark:
                    made.scope = beside(node.scope)
        for x, gradient in partials.items():
            gradients[x] = added(gradients[x], gradient) if x in gradients else gradient
    return gradients


def nodes_in(gradient: Any) -> list[Node]:
    """Give the Nodes of a gradient, which for a node of several results has parts."""
    parts = gradient.parts if isinstance(gradient, Bundle) else [gradient]
    return [part for part in parts if isinstance(part, Node)]


def added(known: Any, more: Any) -> Any:
    """Give a sum, as a Node in the innermost scope that holds both terms."""
    total = known + more
    if isinstance(total, Node):
        total.scope = common(known.scope, more.scope)
    return total
