"""The graph of the gradients, beside the graph that they are of."""

from __future__ import annotations

from collections.abc import Sequence

from tinygraph.engine import topological_order
from tinygraph.node import Node
from tinygraph.pictures.chain import gradients_below
from tinygraph.pictures.model import BACKWARD, Picture, collect


def with_gradients(outputs: Sequence[Node]) -> Picture:
    """Give the picture of nodes and of the gradients of the leaves below them."""
    forward = topological_order(outputs)
    gradients = gradients_below(outputs, create_graph=True)
    leaves = [node for node in forward if node.op is None and node in gradients]
    if not leaves:
        raise ValueError(
            "render: backward=True of outputs that depend on no leaf that requires gradients; make "
            "one with Node(x), outside of no_grad() and not through detach()"
        )
    picture = collect([*outputs, *(gradients[leaf] for leaf in leaves)])
    known = set(forward)
    for number, x in enumerate(picture.items):
        if isinstance(x, Node) and x not in known:
            picture.marks[number] = BACKWARD
    name_gradients(picture, outputs, leaves, gradients)
    return picture


def name_gradients(
    picture: Picture, outputs: Sequence[Node], leaves: list[Node], gradients: dict[Node, Node]
) -> None:
    """Give the gradients of outputs and leaves titles like ∂y/∂x."""
    numbers = {id(x): number for number, x in enumerate(picture.items)}
    of = outputs[0].name or "y" if len(outputs) == 1 else ""
    ends = [(node, node.name or "y") for node in dict.fromkeys(outputs)]
    ends += [(leaf, leaf.name or "x") for leaf in leaves if leaf not in dict(ends)]
    for node, name in ends:
        number = numbers.get(id(gradients.get(node)), -1)
        if number in picture.marks:
            titles = [*filter(None, [picture.names.get(number)]), f"∂{of}/∂{name}"]
            picture.names[number] = ", ".join(titles)
