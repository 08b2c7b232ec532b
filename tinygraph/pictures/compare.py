"""Two graphs in one picture: what was kept, added and removed."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

import numpy as np

from tinygraph.pictures.labels import dtype_of, kind_of, params_of, shape_of, short
from tinygraph.pictures.model import ADDED, REMOVED, Picture, inputs_by_head

Pairs = dict[int, int]
"""Items of the graph before by those of the graph after that are the same."""


def compared(before: Picture, after: Picture) -> Picture:
    """Give a picture of both, in which what is in one alone is marked ADDED or REMOVED."""
    kept = match(before, after)
    number_of = {old: new for new, old in kept.items()}
    removed = [old for old in range(len(before.items)) if old not in number_of]
    marks = {item: ADDED for item in range(len(after.items)) if item not in kept}
    for number, old in enumerate(removed, start=len(after.items)):
        number_of[old] = number
        marks[number] = REMOVED
    old_edges = [(number_of[tail], number_of[head]) for tail, head in before.edges.tolist()]
    new_edges = [(tail, head) for tail, head in after.edges.tolist()]
    edges, edge_marks = united(old_edges, new_edges)
    items = after.items + [before.items[old] for old in removed]
    return Picture(
        items,
        after.scopes + [before.scopes[old] for old in removed],
        list(dict.fromkeys([*after.outputs, *(number_of[old] for old in before.outputs)])),
        np.array(edges, dtype=np.intp).reshape(-1, 2),
        np.arange(len(items)),
        compares=True,
        marks=marks,
        edge_marks=edge_marks,
    )


def united(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], dict[int, str]]:
    """Give the edges of both graphs, and marks of those that are in one alone."""
    left = Counter(old)
    marks: dict[int, str] = {}
    for number, edge in enumerate(new):
        if left[edge]:
            left[edge] -= 1
        else:
            marks[number] = ADDED
    edges = [*new, *left.elements()]
    marks |= dict.fromkeys(range(len(new), len(edges)), REMOVED)
    return edges, marks


def match(before: Picture, after: Picture) -> Pairs:
    """Pair the items that are the same: by identity, by all below, then from neighbours onwards."""
    matching = Matching(before, after)
    by_identity = {id(x): old for old, x in enumerate(before.items) if hasattr(x, "inputs")}
    for new, x in enumerate(after.items):
        if id(x) in by_identity:
            matching.pair(by_identity[id(x)], new)
    waiting: defaultdict[Any, deque[int]] = defaultdict(deque)
    table: dict[Any, int] = {}
    for old, key in enumerate(matching.before.keys(table)):
        if old not in matching.taken and kind_of(before.items[old]) != "constant":
            waiting[key].append(old)
    for new, key in enumerate(matching.after.keys(table)):
        if new not in matching.pairs and waiting[key]:
            matching.pair(waiting[key].popleft(), new)
    for old, new in zip(before.outputs, after.outputs, strict=False):
        matching.pair_if_alike(old, new)
    matching.spread()
    return matching.pairs


class Side:
    """The neighbours and the looks of the items of one graph."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        count = len(picture.items)
        self.tails, self.starts = inputs_by_head(picture.edges, count)
        self.users: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for head in range(count):
            for place, tail in enumerate(self.inputs(head)):
                self.users[tail].append((place, head))
        self.looks = [look_of(x) for x in picture.items]

    def inputs(self, item: int) -> list[int]:
        """Give the inputs of an item."""
        return self.tails[self.starts[item] : self.starts[item + 1]]

    def keys(self, table: dict[Any, int]) -> list[int]:
        """Give for every item a number, the same for what is computed alike all the way down."""
        found = [-1] * len(self.looks)

        def key(item: int) -> int:
            inputs = tuple(found[tail] for tail in self.inputs(item))
            return table.setdefault((self.looks[item], inputs), len(table))

        # Constants come last, and have no inputs.
        constants = [i for i, x in enumerate(self.picture.items) if kind_of(x) == "constant"]
        for item in [*constants, *range(len(found))]:
            found[item] = key(item)
        return found


def look_of(x: Any) -> Any:
    """Give what items that are the same have in common, whatever they are made of."""
    kind = kind_of(x)
    if kind == "op":
        what = (x.op.name, tuple(params_of(x)))
    else:
        what = (short(x) if kind == "constant" else x.name, ())
    return (kind, *what, shape_of(x), dtype_of(x))


class Matching:
    """Pairs that are found, and those whose neighbours are still to be looked at."""

    def __init__(self, before: Picture, after: Picture) -> None:
        self.before, self.after = Side(before), Side(after)
        self.pairs: Pairs = {}
        self.taken: set[int] = set()
        self.fresh: deque[tuple[int, int]] = deque()

    def pair(self, old: int, new: int) -> None:
        """Take two items as the same."""
        self.pairs[new] = old
        self.taken.add(old)
        self.fresh.append((old, new))

    def pair_if_alike(self, old: int, new: int) -> None:
        """Take two items as the same if they look so and are not in a pair yet."""
        free = new not in self.pairs and old not in self.taken
        if free and self.before.looks[old] == self.after.looks[new]:
            self.pair(old, new)

    def spread(self) -> None:
        """Pair what stands at the same place beside pairs, until there is no more."""
        while self.fresh:
            old, new = self.fresh.popleft()
            for x, y in zip(self.before.inputs(old), self.after.inputs(new), strict=False):
                self.pair_if_alike(x, y)
            for place, user in self.after.users[new]:
                for old_place, old_user in self.before.users[old]:
                    if place == old_place:
                        self.pair_if_alike(old_user, user)
