"""Blocks that repeat: neighbouring scopes of the same structure are drawn once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from tinygraph.pictures.labels import kind_of, params_of
from tinygraph.pictures.model import AGAIN, Picture, Scope, inputs_by_head

FEWEST = 3
"""How many copies of a block are drawn once; so few as two are easier seen side by side."""


def join_repeats(picture: Picture, stay_open: set[Scope], homes: dict[int, Scope]) -> None:
    """Give to each item of a repeated block the box of its counterpart in the first copy.

    Edges from copy to copy are marked AGAIN. Of parameters that are used in one scope alone, their
    home, those join that every copy has one of.
    """
    structures = Structures(picture)
    items = [item for item, scope in enumerate(picture.scopes) if scope]
    depth = 1
    while items:
        members: defaultdict[Scope, list[int]] = defaultdict(list)
        for item in items:
            members[picture.scopes[item][:depth]].append(item)
        runs = []
        for scopes in runs_of_equals(members, structures, stay_open):
            copies = [members[scope] for scope in scopes]
            items += structures.join_parameters(copies, scopes, homes)
            picture.repeats[scopes[0]] = [scope[-1] for scope in scopes]
            runs.append(copies)
        join_copies(picture, runs)
        later = {item for run in runs for copy in run[1:] for item in copy}
        items = [x for x in items if len(picture.scopes[x]) > depth and x not in later]
        depth += 1


def runs_of_equals(
    members: dict[Scope, list[int]], structures: Structures, stay_open: set[Scope]
) -> list[list[Scope]]:
    """Give the runs of neighbouring scopes in the same scope that have the same structure."""
    siblings: defaultdict[Scope, list[Scope]] = defaultdict(list)
    for scope in members:
        siblings[scope[:-1]].append(scope)

    def first_op(scope: Scope) -> int:
        ops = (item for item in members[scope] if structures.has_inputs(item))
        return next(ops, members[scope][0])

    runs = []
    for scopes in siblings.values():
        if len(scopes) < FEWEST:
            continue
        # Leaves may come long before what they are used in.
        scopes.sort(key=first_op)
        for _, alike in groupby(scopes, key=lambda scope: len(members[scope])):
            same_size = list(alike)
            if len(same_size) >= FEWEST:
                runs += [*equals(same_size, members, structures, stay_open)]
    return runs


def equals(
    scopes: list[Scope],
    members: dict[Scope, list[int]],
    structures: Structures,
    stay_open: set[Scope],
) -> Iterator[list[Scope]]:
    """Give the runs of scopes that have the same structure."""
    keys = [None if x in stay_open else structures.of(x, members[x]) for x in scopes]
    for key, pairs in groupby(zip(keys, scopes, strict=True), key=itemgetter(0)):
        run = [scope for _, scope in pairs]
        if key is not None and len(run) >= FEWEST:
            yield run


class Structures:
    """What scopes consist of, but for names and values."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.inputs, self.starts = inputs_by_head(picture.edges, len(picture.items))

    def has_inputs(self, item: int) -> bool:
        """Tell whether an item is made of others."""
        return self.starts[item] < self.starts[item + 1]

    def of(self, scope: Scope, members: list[int]) -> Any:
        """Give what scopes of the same structure have in common."""
        places = {item: place for place, item in enumerate(members)}
        return tuple(self._of_item(item, len(scope), places) for item in members)

    def inputs_of(self, item: int) -> list[int]:
        """Give what an item is made of."""
        return self.inputs[self.starts[item] : self.starts[item + 1]]

    def join_parameters(
        self, copies: list[list[int]], scopes: list[Scope], homes: dict[int, Scope]
    ) -> list[int]:
        """Add to copies the parameters at the same place in all of them; give these."""
        found: dict[tuple[int, ...], None] = {}
        for counterparts in zip(*copies, strict=True):
            for inputs in zip(*map(self.inputs_of, counterparts), strict=True):
                pairs = zip(inputs, scopes, strict=True)
                if all(homes.get(x, ())[: len(scope)] == scope for x, scope in pairs):
                    found[inputs] = None
        times = Counter(x for inputs in found for x in inputs)
        joined = [inputs for inputs in found if all(times[x] == 1 for x in inputs)]
        for inputs in joined:
            for copy, x in zip(copies, inputs, strict=True):
                copy.append(x)
                self.picture.scopes[x] = homes.pop(x)
        return [x for inputs in joined for x in inputs]

    def _of_item(self, item: int, depth: int, places: dict[int, int]) -> Any:
        x = self.picture.items[item]
        function = getattr(x, "op", None)
        params = repr(params_of(x)) if function is not None else ""
        return (
            kind_of(x),
            function,
            params,
            getattr(x, "shape", None),
            getattr(x, "dtype", type(x)),
            self.picture.scopes[item][depth:],
            item in self.picture.marks and self.picture.marks[item],
            tuple(places.get(tail, -1) for tail in self.inputs_of(item)),
        )


def join_copies(picture: Picture, runs: list[list[list[int]]]) -> None:
    """Move the items of later copies into the boxes of the first, and mark edges between them."""
    if not runs:
        return
    count = len(picture.items)
    run_of, copy_of = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    target = np.arange(count)
    for number, run in enumerate(runs, start=1):
        for copy, items in enumerate(run):
            run_of[items], copy_of[items], target[items] = number, copy, run[0]
        for place, item in enumerate(run[0]):
            last = run[-1][place]
            picture.lasts[item] = picture.lasts.get(last, last)
    tails, heads = picture.boxes[picture.edges].T
    again = (run_of[tails] == run_of[heads]) & (run_of[tails] > 0)
    again &= copy_of[tails] != copy_of[heads]
    picture.edge_marks |= dict.fromkeys(np.flatnonzero(again).tolist(), AGAIN)
    picture.boxes = target[picture.boxes]
