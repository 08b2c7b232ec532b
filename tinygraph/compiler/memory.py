"""Where every value of a program lives: buffers by liveness, in place where an input dies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinygraph.compiler.loops import Loop
from tinygraph.compiler.program import Program, Step, Value

NEVER = 1 << 60

REDUCTIONS = {np.sum: np.add, np.prod: np.multiply, np.max: np.maximum, np.min: np.minimum}
"""Functions whose work a ufunc's reduction does, with less ado."""


@dataclass(slots=True)
class Layout:
    """Where results are written: into a buffer, or where a leaf's new value goes."""

    buffer: dict[Value, int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    """The size of each buffer in bytes."""

    update: dict[Value, int] = field(default_factory=dict)
    """The number of the leaf whose new value's array a result is written into."""


def writes_into(step: Step) -> bool:
    """Tell whether the function of `step` writes its one result where it is told to."""
    if step.joint or not step.outputs[0].shape:
        return False
    function = step.function
    is_ufunc = isinstance(function, np.ufunc) and not step.params
    return is_ufunc or function in REDUCTIONS or function is np.dot or isinstance(function, Loop)


def works_in_place(step: Step) -> bool:
    """Tell whether the function of `step` reads every element before it writes there."""
    return isinstance(step.function, np.ufunc) and step.function.signature is None


def sources(program: Program) -> dict[Value, frozenset[Value]]:
    """Give for every value those whose memory it may be looking at, itself where it has its own."""
    found: dict[Value, frozenset[Value]] = {}
    for step in program.steps:
        seen = frozenset().union(*(found.get(x, frozenset([x])) for x in step.values))
        for out in step.outputs:
            found[out] = frozenset([out]) if writes_into(step) else seen | {out}
    return found


def last_uses(program: Program, seen_by: dict[Value, frozenset[Value]]) -> dict[Value, int]:
    """Give the number of the last step that reads the memory of a value."""
    last: dict[Value, int] = {}
    for number, step in enumerate(program.steps):
        for x in [*step.values, *step.outputs]:
            for source in seen_by.get(x, frozenset([x])):
                last[source] = number
    for x in program.read_at_the_end():
        for source in seen_by.get(x, frozenset([x])):
            last[source] = NEVER
    return last


def lay_out(program: Program) -> Layout:
    """Give every value that a step can write into a buffer, and buffers to several in turn."""
    for step in program.steps:
        if step.function is np.dot:
            # It writes into nothing else.
            step.outputs[0].order = None
    seen_by = sources(program)
    last = last_uses(program, seen_by)
    layout = Layout(update=updates_in_place(program, last, seen_by))
    kept = {*program.handed_back(), *layout.update}
    free: dict[int, list[int]] = {}
    for number, step in enumerate(program.steps):
        dying = [x for x in dict.fromkeys(step.values) if last[x] == number and x in layout.buffer]
        out = step.outputs[0]
        if writes_into(step) and out not in kept:
            taken = next((x for x in dying if can_take(step, x, seen_by)), None)
            if taken is not None:
                dying.remove(taken)
                layout.buffer[out] = layout.buffer[taken]
            else:
                layout.buffer[out] = take(layout, free, out.nbytes)
        for x in [*dying, *(y for y in step.outputs if last[y] == number and y in layout.buffer)]:
            free.setdefault(layout.sizes[layout.buffer[x]], []).append(layout.buffer[x])
    return layout


def updates_in_place(
    program: Program, last: dict[Value, int], seen_by: dict[Value, frozenset[Value]]
) -> dict[Value, int]:
    """Find what can be written where a leaf's new value goes: that value and what it is made of."""
    results = set(program.results)
    number_of = {value: number for number, value in program.updates if value not in results}
    found: dict[Value, int] = {}
    written: set[Value] = set()
    for number, step in enumerate(program.steps):
        out = step.outputs[0]
        if out in number_of and writes_into(step):
            found[out] = number_of[out]
            made_here = (x for x in step.values if x in written and last[x] == number)
            taken = next((x for x in made_here if can_take(step, x, seen_by)), None)
            if taken is not None:
                found.setdefault(taken, number_of[out])
        if writes_into(step) and out not in results:
            written.add(out)
    return found


def can_take(step: Step, x: Value, seen_by: dict[Value, frozenset[Value]]) -> bool:
    """Tell whether `step` can write over `x`: a loop of numba's would read what it wrote before."""
    is_looked_at = any(x in seen_by.get(y, ()) for y in step.values if y is not x)
    return works_in_place(step) and fits(x, step.outputs[0]) and not is_looked_at


def fits(x: Value, out: Value) -> bool:
    """Tell whether `out` can be written over `x`."""
    return (x.shape, x.dtype, x.order) == (out.shape, out.dtype, out.order)


def take(layout: Layout, free: dict[int, list[int]], size: int) -> int:
    """Give a free buffer of `size` bytes, a new one if there is none."""
    if free.get(size):
        return free[size].pop()
    layout.sizes.append(size)
    return len(layout.sizes) - 1
