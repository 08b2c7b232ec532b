"""What a picture shows: items, their scopes, the edges between them, and the box of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from tinygraph.buffer import Array
from tinygraph.engine import topological_order

Scope = tuple[str, ...]


@dataclass
class Picture:
    """Nodes and constants by number, inputs first; edges between them; the box of each.

    Items that share a box are folded, or are the same place in copies of a repeated block.
    `folded` holds the boxes of several items, for a scope its names, for a run ().
    """

    items: list[Any]
    scopes: list[Scope]
    outputs: list[int]
    edges: Array
    boxes: Array
    folded: dict[int, Scope] = field(default_factory=dict)
    repeats: dict[Scope, list[str]] = field(default_factory=dict)
    """The names of all copies of a block that is drawn once, by the scope of the first."""

    lasts: dict[int, int] = field(default_factory=dict)
    """The counterpart in the last copy of items in the first."""

    names: dict[int, str] = field(default_factory=dict)
    """Titles that items go by in this picture alone."""

    compares: bool = False
    """Whether two graphs are in the picture."""

    marks: dict[int, str] = field(default_factory=dict)
    """What is special about items: BACKWARD, ADDED, REMOVED, BAD, or FIRST_BAD."""

    edge_marks: dict[int, str] = field(default_factory=dict)
    """The same of edges, by their number, or AGAIN where one leads to a block's next copy."""


AGAIN, BACKWARD, ADDED, REMOVED = "again", "backward", "added", "removed"
BAD, FIRST_BAD = "bad", "first bad"


def collect(outputs: Sequence[Any], order: Sequence[Any] | None = None) -> Picture:
    """Number the nodes and their constants: an array once, a scalar wherever it is used.

    `order` are the nodes that are drawn, inputs first: without it those at and below `outputs`.
    """
    nodes = topological_order(outputs) if order is None else order
    items: list[Any] = list(nodes)
    scopes = [node.scope for node in nodes]
    numbers = {id(node): number for number, node in enumerate(nodes)}
    edges: list[int] = []
    for head, node in enumerate(nodes):
        for x in node.inputs:
            tail = numbers.get(id(x)) if hasattr(x, "inputs") or type(x) is np.ndarray else None
            if tail is None:
                numbers[id(x)] = tail = len(items)
                items.append(x)
                scopes.append(node.scope)
            elif tail >= len(nodes):
                scopes[tail] = common(scopes[tail], node.scope)
            edges += tail, head
    last = [numbers[id(node)] for node in outputs]
    pairs = np.array(edges, dtype=np.intp).reshape(-1, 2)
    return Picture(items, scopes, last, pairs, np.arange(len(items)))


def common(first: Scope, second: Scope) -> Scope:
    """Give the innermost scope that holds both."""
    pairs = zip(first, second, strict=False)
    return tuple(name for name, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def homes_of_parameters(picture: Picture) -> dict[int, Scope]:
    """Give the scopes in which alone parameters are used that were made outside of all scopes."""
    homes: dict[int, Scope] = {}
    items, scopes = picture.items, picture.scopes
    for tail, head in picture.edges.tolist() if any(scopes) else []:
        item = items[tail]
        if not scopes[tail] and getattr(item, "requires_grad", False) and item.op is None:
            scope = scopes[head]
            homes[tail] = common(homes[tail], scope) if tail in homes else scope
    return homes


def adopt(picture: Picture, homes: dict[int, Scope]) -> None:
    """Put items where they are used, but for what the first of several copies alone uses."""
    for item, scope in homes.items():
        around = (scope[:depth] for depth in range(1, len(scope) + 1))
        if picture.repeats.keys().isdisjoint(around):
            picture.scopes[item] = scope


def inputs_by_head(edges: Array, count: int) -> tuple[list[int], list[int]]:
    """Give the tails of edges sorted by their heads, and where those of every head start."""
    tails, heads = edges.T
    by_head = np.argsort(heads, kind="stable")
    starts = np.searchsorted(heads[by_head], np.arange(count + 1))
    return tails[by_head].tolist(), starts.tolist()
