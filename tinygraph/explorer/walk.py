"""The chain rule one node at a time: what comes in, what each rule gives, what adds up."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import unwrap
from typing import Any

import numpy as np

from tinygraph.engine import as_cotangent, closure, fit, refuse_changed, refuse_partials
from tinygraph.node import Node


@dataclass
class Part:
    """What one argument of a node got: the rule's gradient as given, as it fits, and the sum.

    `local` is the derivative by which an elementwise rule multiplies. `reason` tells why there is
    no gradient.
    """

    x: Any
    reason: str = ""
    given: Any = None
    local: Any = None
    fitted: Any = None
    total: Any = None


@dataclass
class Step:
    """One node of the backward pass: its cotangent, and the part of every argument.

    `returned` is the line of the rule's source, counted from 1, whose return gave the gradients.
    """

    node: Node
    g: Any
    returned: int | None = None
    parts: list[Part] = field(default_factory=list)


def seeds(outputs: Sequence[Node], cotangents: Sequence[Any] | None) -> dict[Node, Any]:
    """Give the cotangents of the outputs that have gradients: ones, where none are given."""
    started: dict[Node, Any] = {}
    for i, output in enumerate(outputs):
        if not output.requires_grad or output.dtype.kind not in "fc":
            continue
        given = cotangents[i] if cotangents is not None else None
        ones = np.ones(output.shape, output.dtype)
        g = ones if given is None else as_cotangent(given, output)
        g = g.value if isinstance(g, Node) else g
        started[output] = started[output] + g if output in started else g
    return started


def backward_steps(order: Sequence[Node], started: dict[Node, Any]) -> Iterator[Step]:
    """Go back through `order` as the engine does, and stop at every node that passes on."""
    gradients = dict(started)
    for node in reversed(order):
        if node.backward_fn is None or node not in gradients:
            continue
        step = Step(node, gradients.pop(node))
        values = [x._value if isinstance(x, Node) else x for x in node.inputs]
        with watched(step):
            partials = node.backward_fn(step.g, node._value, *values)
        if partials.__class__ is not tuple or len(partials) != len(values):
            refuse_partials(node, partials)
        slopes = local_derivatives(node, values)
        for x, given, local in zip(node.inputs, partials, slopes, strict=True):
            step.parts.append(part_of(node, x, given, local, gradients))
        yield step


def part_of(node: Node, x: Any, given: Any, local: Any, gradients: dict[Node, Any]) -> Part:
    """Fit what a rule gave for one argument, and add it to the gradient there."""
    if not isinstance(x, Node):
        return Part(x, "a constant")
    if x.stamp > node.stamp:
        refuse_changed(node, x)
    if not x.requires_grad:
        return Part(x, "it requires no gradient")
    if given is None:
        return Part(x, "the rule gives none: the result does not depend smoothly on it")
    given = given() if given.__class__ is closure else given
    part = Part(x, given=given, local=local() if local.__class__ is closure else local)
    same = getattr(given, "shape", None) == x.shape and given.dtype == x.dtype
    part.fitted = given if same else fit(given, x, node)
    part.total = gradients[x] + part.fitted if x in gradients else part.fitted
    gradients[x] = part.total
    return part


def local_derivatives(node: Node, values: list[Any]) -> tuple[Any, ...]:
    """Give what an elementwise rule multiplies the cotangent by: what it gives for ones.

    Others multiply by a matrix that is never written down.
    """
    none = (None,) * len(values)
    if node.op is None or node.backward_fn is None or not is_elementwise(node.op.function):
        return none
    if node.dtype.kind != "f" or any(np.asarray(x).dtype.kind == "c" for x in values):
        return none
    ones = np.ones(node.shape, node.dtype)
    partials: tuple[Any, ...] = node.backward_fn(ones, node._value, *values)
    return partials


def is_elementwise(function: Any) -> bool:
    """Tell whether each result comes of one element of each argument; np.matmul's do not."""
    return isinstance(function, np.ufunc) and function.signature is None


@contextmanager
def watched(step: Step) -> Iterator[None]:
    """Note the line at which the rule of `step` returns."""
    op = step.node.op
    code = getattr(unwrap(op.rule), "__code__", None) if op else None

    def watch(frame: Any, event: str, result: Any) -> None:
        if event == "return" and frame.f_code is code:
            step.returned = frame.f_lineno - code.co_firstlineno + 1

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
