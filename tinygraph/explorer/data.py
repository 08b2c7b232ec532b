"""A graph as what JSON can hold: items, groups, rules, arrays, and the steps of both passes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.explorer.arrays import Detail, describe, detail_for
from tinygraph.explorer.groups import group, table
from tinygraph.explorer.rules import Source
from tinygraph.explorer.walk import Part, Step, backward_steps, seeds
from tinygraph.node import Node, values_of
from tinygraph.op import Op
from tinygraph.pictures.labels import kind_of, lines_of, printable, short, title_of
from tinygraph.pictures.model import Picture, collect

ROOM = 3_000_000
"""Bytes that the arrays of one page may take, about."""


def graph_data(
    outputs: Sequence[Node], cotangents: Sequence[Any] | None = None, room: int = ROOM
) -> dict[str, Any]:
    """Tell everything about the graph below `outputs` that the page shows."""
    picture = collect(outputs)
    sizes = [int(np.size(values_of(item))) for item in picture.items]
    return _Telling(picture, detail_for(sizes, room)).told(outputs, cotangents)


class _Telling:
    """Tables of items, arrays and rules, which refer to each other by number."""

    def __init__(self, picture: Picture, detail: Detail) -> None:
        self.picture = picture
        self.detail = detail
        self.numbers = {id(item): i for i, item in enumerate(picture.items)}
        self.arrays: list[dict[str, Any]] = []
        self.sources: dict[Op, Source] = {}
        self.rules: list[dict[str, Any]] = []
        self.rule_numbers: dict[tuple[Op, int | None], int] = {}
        self.calls: list[dict[str, Any]] = []
        self.call_numbers: dict[Any, int] = {}
        self.types: dict[tuple[tuple[int, ...], str], int] = {}
        self.items: list[dict[str, Any]] = []

    def told(self, outputs: Sequence[Node], cotangents: Sequence[Any] | None) -> dict[str, Any]:
        picture = self.picture
        self.inputs: list[list[int]] = [[] for _ in picture.items]
        for tail, head in picture.edges.tolist():
            self.inputs[head].append(tail)
        self.items = [self.item(i) for i in range(len(picture.items))]
        titles = [printable(title_of(item)) for item in picture.items]
        groups, places = table(group(self.order(), picture.scopes, titles))
        for i, item in enumerate(self.items):
            item["group"] = places[i]
        nodes = [item for item in picture.items if isinstance(item, Node)]
        started = seeds(outputs, cotangents)
        with np.errstate(all="ignore"):
            steps = self.steps(nodes, started)
        for item, node in zip(self.items, nodes, strict=False):
            if node.op is not None and "rule" not in item:
                item["rule"] = self.rule(node.op, None)
        return {
            "items": self.items,
            "outputs": list(dict.fromkeys(picture.outputs)),
            "groups": groups,
            "rules": self.rules,
            "calls": self.calls,
            "arrays": self.arrays,
            "types": [{"shape": list(shape), "dtype": dtype} for shape, dtype in self.types],
            "forward": [self.numbers[id(node)] for node in nodes if node.op is not None],
            "seeds": [[self.numbers[id(x)], self.array(g)] for x, g in started.items()],
            "backward": steps,
        }

    def order(self) -> list[int]:
        """Give the items inputs first, each constant right before what first uses it."""
        seen: dict[int, None] = {}
        for i, item in enumerate(self.picture.items):
            if isinstance(item, Node):
                seen |= dict.fromkeys([*self.inputs[i], i])
        return list(seen)

    def item(self, number: int) -> dict[str, Any]:
        """Tell of a node or a constant."""
        item = self.picture.items[number]
        told: dict[str, Any] = {
            "inputs": self.inputs[number],
            "value": self.array(values_of(item)),
        }
        if isinstance(item, Node) and item.op is not None:
            told["call"] = self.call(item, item.op)
        if kind_of(item) != "op" or item.name:
            told["title"] = printable(title_of(item))
            told["lines"] = [printable(line) for line in lines_of(item)]
            told["kind"] = kind_of(item)
        if not isinstance(item, Node):
            return told
        if line := getattr(item, "line", None):
            told["line"] = printable(os.path.basename(line), 200)
        return told

    def call(self, node: Node, op: Op) -> int:
        """Give the number of an op that is called with such params and so many inputs."""
        params = {key: printable(short(x)) for key, x in node.params.items()}
        count = len(node.inputs)
        key = op, count, tuple(params.items()), node.name is None
        if key not in self.call_numbers:
            self.call_numbers[key] = len(self.calls)
            source = self.source(op)
            name = printable(op.name)
            told: dict[str, Any] = {"title": name, "kind": "op", "op": name}
            told["names"] = source.names(count)
            told["lines"] = [printable(line) for line in lines_of(node)]
            told["params"] = [[key, text] for key, text in params.items()]
            told["formula"] = source.value(count, params)
            self.calls.append(told)
        return self.call_numbers[key]

    def source(self, op: Op) -> Source:
        if op not in self.sources:
            self.sources[op] = Source(op)
        return self.sources[op]

    def rule(self, op: Op, line: int | None) -> int:
        """Give the number of a rule that returned at a line."""
        key = op, line
        if key not in self.rule_numbers:
            self.rule_numbers[key] = len(self.rules)
            source = self.source(op)
            self.rules.append(source.told() | source.gradients(line) | {"line": line})
        return self.rule_numbers[key]

    def array(self, value: Any) -> int:
        """Give the number of what is told of an array."""
        self.arrays.append(self.typed(describe(value, self.detail)))
        return len(self.arrays) - 1

    def typed(self, told: dict[str, Any]) -> dict[str, Any]:
        """Give what is told of an array with the number of its shape and dtype in their place."""
        if "parts" in told:
            return {"parts": [part and self.typed(part) for part in told["parts"]]}
        key = tuple(told.pop("shape")), told.pop("dtype")
        return {"type": self.types.setdefault(key, len(self.types))} | told

    def steps(self, nodes: Sequence[Node], started: dict[Node, Any]) -> list[dict[str, Any]]:
        """Go back through the graph; what is passed on as it is, is told once."""
        known = {x: (g, self.array(g)) for x, g in started.items()}
        return [self.step(step, known) for step in backward_steps(nodes, started)]

    def step(self, step: Step, known: dict[Node, tuple[Any, int]]) -> dict[str, Any]:
        """Tell of one node of the backward pass; `known` holds the gradients told so far."""
        number = self.numbers[id(step.node)]
        g = known.pop(step.node)
        parts = [self.part(part, g, known) for part in step.parts]
        told: dict[str, Any] = {"item": number, "g": g[1], "parts": parts}
        if step.node.op is not None and step.returned is not None:
            self.items[number]["rule"] = self.rule(step.node.op, step.returned)
        return told

    def part(
        self, part: Part, g: tuple[Any, int], known: dict[Node, tuple[Any, int]]
    ) -> dict[str, Any]:
        """Tell what one argument got."""
        if part.reason:
            return {"reason": part.reason}
        fitted = g[1] if part.fitted is g[0] else self.array(part.fitted)
        told: dict[str, Any] = {"fitted": fitted}
        given_shape = np.shape(values_of(part.given))
        if part.given is not part.fitted and given_shape != part.x.shape:
            told["given"] = list(given_shape)
        if part.local is not None:
            told["local"] = self.array(part.local)
        is_first = part.total is part.fitted
        total = fitted if is_first else self.array(part.total)
        if not is_first:
            told["total"] = total
        known[part.x] = part.total, total
        return told
