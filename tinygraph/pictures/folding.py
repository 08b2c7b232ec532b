"""What is drawn as one box: scopes, and runs of neighbours, until a picture can be read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import groupby

import numpy as np

from tinygraph.pictures.model import (
    AGAIN,
    FIRST_BAD,
    Picture,
    Scope,
    adopt,
    homes_of_parameters,
    inputs_by_head,
)
from tinygraph.pictures.repeats import join_repeats


def fold_picture(
    picture: Picture, max_nodes: int, closed: Sequence[str] = (), opened: Sequence[str] = ()
) -> list[int]:
    """Put items into common boxes until there are at most `max_nodes`; give these, inputs first.

    Scopes that `closed` names are one box, those that `opened` names are none.
    """
    scopes = all_scopes(picture.scopes)
    stay_open = named(scopes, opened, "unfold")
    folds = named(scopes, closed, "fold") - stay_open
    homes = homes_of_parameters(picture)
    join_repeats(picture, stay_open, homes)
    adopt(picture, homes)
    add_folds(picture, max_nodes, folds, stay_open)
    apply_folds(picture, folds)
    order = order_of_boxes(picture)
    return fold_runs(picture, order, max_nodes) if len(order) > max_nodes else order


def all_scopes(scopes: Iterable[Scope]) -> set[Scope]:
    """Give scopes and those around them."""
    found: set[Scope] = set()
    for scope in set(scopes):
        while scope and scope not in found:
            found.add(scope)
            scope = scope[:-1]
    return found


def named(scopes: set[Scope], patterns: Sequence[str], what: str) -> set[Scope]:
    """Give the scopes whose name, or path, is one of `patterns`, which may hold * and ?."""
    found: set[Scope] = set()
    for pattern in patterns:
        matches = {
            scope
            for scope in scopes
            for name in (scope[-1], "/".join(scope))
            if name == pattern or fnmatchcase(name, pattern)
        }
        if not matches and pattern != "*":
            known = ", ".join(sorted({repr(scope[-1]) for scope in scopes})[:10]) or "none"
            raise ValueError(f"render: {what}={pattern!r} names no scope; there are {known}")
        found |= matches
    return found


def add_folds(picture: Picture, max_nodes: int, folds: set[Scope], stay_open: set[Scope]) -> None:
    """Fold enough scopes, the deepest first and of these the largest."""
    boxes = set(picture.boxes.tolist())
    sizes: defaultdict[int, Counter[Scope]] = defaultdict(Counter)
    for box in boxes:
        scope = outermost(picture.scopes[box], folds)
        sizes[len(scope)][scope] += 1
    excess = len(boxes) - max_nodes
    for depth in range(max(sizes, default=0), 0, -1):
        for scope, size in sizes[depth].most_common():
            if scope in folds or (excess > 0 and size > 1 and scope not in stay_open):
                folds.add(scope)
                excess -= size - 1
                size = 1
            sizes[depth - 1][scope[:-1]] += size


def outermost(scope: Scope, folds: set[Scope]) -> Scope:
    """Give the outermost of `folds` around a scope, itself where there is none."""
    around = (scope[:depth] for depth in range(1, len(scope) + 1))
    return next((whole for whole in around if whole in folds), scope)


def apply_folds(picture: Picture, folds: set[Scope]) -> None:
    """Give a box to each of the scopes."""
    if not folds:
        return
    outermost_of = cache(lambda scope: outermost(scope, folds))
    first: dict[Scope, int] = {}
    sizes: Counter[Scope] = Counter()
    target = np.arange(len(picture.boxes))
    for box in np.unique(picture.boxes).tolist():
        whole = outermost_of(picture.scopes[box])
        if whole in folds:
            target[box] = first.setdefault(whole, box)
            sizes[whole] += 1
    picture.boxes = target[picture.boxes]
    picture.folded = {box: scope for scope, box in first.items()}


def order_of_boxes(picture: Picture) -> list[int]:
    """Give the boxes so that each comes after its inputs, but for cycles between scopes."""
    onwards = np.ones(len(picture.edges), dtype=bool)
    onwards[[number for number, mark in picture.edge_marks.items() if mark == AGAIN]] = False
    edges = picture.boxes[picture.edges[onwards]]
    inputs, starts = inputs_by_head(edges[edges[:, 0] != edges[:, 1]], len(picture.items))
    order: list[int] = []
    seen = set()
    stack = picture.boxes[picture.outputs[::-1]].tolist()
    # What leads nowhere but to the next copy of a block is below no output.
    stack = [*np.unique(picture.boxes).tolist()[::-1], *stack]
    while stack:
        box = stack.pop()
        if box < 0:
            order.append(~box)
        elif box not in seen:
            seen.add(box)
            stack.append(~box)
            stack += reversed(inputs[starts[box] : starts[box + 1]])
    return order


def fold_runs(picture: Picture, order: list[int], max_nodes: int) -> list[int]:
    """Give a box to the middle of each of enough runs, the longest first.

    Boxes that follow each other in an order of inputs first make no cycle by becoming one.
    Outputs, the first NaN or infinity and folded scopes end a run, unless there are too many.
    """
    outputs = set(picture.boxes[picture.outputs].tolist())
    first_bad = [item for item, mark in picture.marks.items() if mark == FIRST_BAD]
    marked = outputs | set(picture.boxes[first_bad].tolist())
    choices = [marked | picture.folded.keys(), marked, outputs, set()]
    kept = next(boxes for boxes in choices if 2 * len(boxes) < max_nodes)
    runs = [list(run) for ends, run in groupby(order, kept.__contains__) if not ends]
    excess = len(order) - max_nodes
    target = np.arange(len(picture.boxes))
    for run in sorted(runs, key=len, reverse=True):
        if excess <= 0:
            break
        size = min(len(run), excess + 1)
        start = (len(run) - size) // 2
        target[run[start : start + size]] = run[start]
        picture.folded[run[start]] = ()
        excess -= size - 1
    picture.boxes = target[picture.boxes]
    return list(dict.fromkeys(target[order].tolist()))
