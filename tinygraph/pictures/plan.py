"""The plan of a compiled function, as nodes that a picture can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.compiler.memory import lay_out
from tinygraph.compiler.program import Value
from tinygraph.op import OPS
from tinygraph.pictures.model import Picture, Scope, collect
from tinygraph.rules.parts import part

if TYPE_CHECKING:
    from tinygraph.compiler.compiled import Compiled
    from tinygraph.compiler.program import Accumulation, Step


@dataclass(eq=False, slots=True)
class Planned:
    """A value of a plan, with what pictures ask of a Node, and where it is written."""

    name: str | None
    op: Any
    inputs: tuple[Any, ...]
    params: dict[str, Any]
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    requires_grad: bool = False
    scope: Scope = ()
    line: str = ""
    place: str = ""
    buffer: int | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of the value."""
        return 0 if self.shape is None else int(np.prod(self.shape)) * self.dtype.itemsize


def picture_of_plan(compiled: Compiled) -> Picture:
    """Draw the plan that was used last: what it is given, its steps, and what it hands back."""
    program = compiled.last_plan().program
    made = Made()
    for x in (*program.arguments, *program.numbers):
        made.given(x, requires_grad=False)
    for x in program.leaves:
        made.given(x, requires_grad=True)
    for step in program.steps:
        made.step(step)
    layout = lay_out(program)
    for value, number in layout.buffer.items():
        made.nodes[value].place = f"buffer {number}"
        made.nodes[value].buffer = number
    names = [leaf.name or "leaf" for leaf in program.leaves]
    for value, number in layout.update.items():
        made.nodes[value].place = f"next {names[number]}"
    for number, value in program.updates:
        made.end(value).place = f"next {names[number]}"
    for value in program.results:
        made.end(value).place = "result"
    outputs = [made.end(value) for value in dict.fromkeys(program.handed_back())]
    for last in program.accumulations:
        outputs.append(made.accumulation(program.leaves[last.leaf], last))
        outputs[-1].place = f"next {names[last.leaf]}"
    return collect(outputs, below(made.order, outputs))


class Made:
    """The nodes that stand for the values of a program."""

    def __init__(self) -> None:
        self.nodes: dict[Value, Planned] = {}
        self.order: list[Planned] = []

    def given(self, x: Value, requires_grad: bool) -> None:
        """Make the node of a value that a plan starts from."""
        self.add(x, Planned(x.name, None, (), {}, x.shape, x.dtype, requires_grad))

    def add(self, x: Value, node: Planned) -> None:
        """Let a node stand for a value."""
        self.nodes[x] = node
        self.order.append(node)

    def of(self, x: Any) -> Any:
        """Give what stands for an input of a step: a node, a constant array or a number."""
        if x in self.nodes:
            return self.nodes[x]
        return x if getattr(x, "array", None) is None else x.array

    def end(self, x: Value) -> Planned:
        """Give the node of a value that is handed back, which may be a constant."""
        if x not in self.nodes:
            self.given(x, requires_grad=False)
            self.nodes[x].name = "constant"
        return self.nodes[x]

    def step(self, step: Step) -> None:
        """Make the node of a step, and of each of several results."""
        function = step.function
        op = OPS.get(function) or named(function)
        inputs = tuple(self.of(x) if isinstance(x, Value) else x for x in step.inputs)
        first = step.outputs[0]
        node = Planned(
            None, op, inputs, step.params, None if step.joint else first.shape, first.dtype,
            scope=step.scope, line=step.line,
        )  # fmt: skip
        if not step.joint:
            self.add(first, node)
            return
        self.order.append(node)
        for number, out in enumerate(step.outputs):
            params = {"number": number}
            one = Planned(None, part, (node,), params, out.shape, out.dtype, scope=step.scope)
            self.add(out, one)

    def accumulation(self, leaf: Value, last: Accumulation) -> Planned:
        """Make the node of a product that is added to a leaf."""
        inputs = tuple(map(self.of, (leaf, last.a, last.b)))
        node = Planned(None, named(accumulate), inputs, {}, leaf.shape, leaf.dtype)
        self.order.append(node)
        return node


def accumulate() -> None:
    """Stand for BLAS's function that adds a product of matrices to one."""


def named(function: Any) -> Any:
    """Make what a picture needs to know of a function without an op."""
    name = getattr(function, "__name__", "function").strip("_<>")
    return SimpleNamespace(name=name, function=function)


def below(order: list[Planned], outputs: Iterable[Planned]) -> list[Planned]:
    """Give the nodes that outputs are made of, in order."""
    needed: set[Any] = set(outputs)
    for node in reversed(order):
        if node in needed:
            needed.update(x for x in node.inputs if isinstance(x, Planned))
    return [node for node in order if node in needed]
