"""How items fold: into their scopes, and these, where they hold many, into runs of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Scope = tuple[str, ...]

MANY = 36
"""How many boxes a scope may hold before neighbours are put into runs."""
RUN = 20


@dataclass
class Group:
    """A scope, a run of neighbours, or the whole: items, by number, and groups in it."""

    name: str
    kind: str
    contents: list[int | Group] = field(default_factory=list)


def group(order: Sequence[int], scopes: Sequence[Scope], titles: Sequence[str]) -> Group:
    """Put items into the groups of their scopes, each where the first of its items is."""
    whole = Group("", "whole")
    groups: dict[Scope, Group] = {(): whole}
    for item in order:
        around = scopes[item]
        for depth in range(1, len(around) + 1):
            path = around[:depth]
            if path not in groups:
                groups[path] = Group(path[-1], "scope")
                groups[path[:-1]].contents.append(groups[path])
        groups[around].contents.append(item)
    for one in groups.values():
        while len(one.contents) > MANY:
            one.contents = runs(one.contents, titles)
    return whole


def runs(contents: list[int | Group], titles: Sequence[str]) -> list[int | Group]:
    """Put neighbours into runs of about equal length."""
    count = -(-len(contents) // RUN)
    stops = [len(contents) * i // count for i in range(count + 1)]
    pieces = [contents[a:b] for a, b in pairwise(stops)]
    return [
        Group(f"{first_title(piece, titles)} … {last_title(piece, titles)}", "run", piece)
        for piece in pieces
    ]


def first_title(contents: list[int | Group], titles: Sequence[str]) -> str:
    """Name the first thing in a run."""
    first = contents[0]
    return titles[first] if isinstance(first, int) else first.name.split(" … ")[0]


def last_title(contents: list[int | Group], titles: Sequence[str]) -> str:
    """Name the last thing in a run."""
    last = contents[-1]
    return titles[last] if isinstance(last, int) else last.name.split(" … ")[-1]


def table(whole: Group) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """Give the groups, parents first, and the number of the group that each item is in."""
    rows: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    stack: list[tuple[Group, int | None]] = [(whole, None)]
    while stack:
        one, parent = stack.pop()
        number = len(rows)
        rows.append({"name": one.name, "kind": one.kind, "parent": parent})
        for content in one.contents:
            if isinstance(content, int):
                places[content] = number
        inner = [content for content in one.contents if isinstance(content, Group)]
        stack += [(content, number) for content in reversed(inner)]
    return rows, places
