"""What need not be done: steps that nobody reads, and those that are done already."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.compiler.program import Program, Step, Value


def drop_unused(program: Program) -> Program:
    """Drop the steps whose results nobody reads."""
    needed = set(program.read_at_the_end())
    steps: list[Step] = []
    for step in reversed(program.steps):
        if not needed.isdisjoint(step.outputs):
            needed.update(step.values)
            steps.append(step)
    program.steps = steps[::-1]
    return program


def merge_equal(program: Program) -> Program:
    """Compute once what several steps compute alike."""
    same: dict[Value, Value] = {}
    seen: dict[Any, Step] = {}
    steps = []
    for step in program.steps:
        step.replace(same)
        first = seen.setdefault(key_of(step.function, step.inputs, step.params), step)
        if first is step:
            steps.append(step)
        else:
            same.update(zip(step.outputs, first.outputs, strict=True))
    program.steps = steps
    program.results = [same.get(x, x) for x in program.results]
    program.updates = [(number, same.get(x, x)) for number, x in program.updates]
    return program


def key_of(function: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Give what equal steps have in common."""
    return (function, identity_of(inputs), identity_of(tuple(sorted(params.items()))))


def identity_of(x: Any) -> Any:
    """Give what tells inputs apart: values by identity, numbers by type and text."""
    if isinstance(x, Value):
        return x
    if isinstance(x, tuple):
        return (type(x), *map(identity_of, x))
    if isinstance(x, np.ndarray):
        return (x.dtype, x.shape, x.tobytes())
    return (type(x), repr(x))
