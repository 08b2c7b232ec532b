"""A program in words, a step a line."""

from __future__ import annotations

from typing import Any

from tinygraph.compiler.program import Accumulation, Program, Step, Value
from tinygraph.op import describe


def describe_program(program: Program) -> str:
    """Write the steps of a program, one a line."""
    names: dict[Value, str] = {}

    def name_of(x: Any) -> str:
        if isinstance(x, tuple):
            return f"({', '.join(map(name_of, x))}{',' if len(x) == 1 else ''})"
        if not isinstance(x, Value):
            return repr(x)
        if x not in names:
            name = x.name or ("constant" if x.array is not None else "t")
            is_taken = not x.name or name in names.values()
            names[x] = f"{name}{len(names)}" if is_taken else name
        return names[x]

    lines = []
    for step in program.steps:
        inputs = [name_of(x) for x in step.inputs] + [
            f"{key}={name_of(x)}" for key, x in step.params.items()
        ]
        outputs = ", ".join(f"{name_of(x)}: {x.dtype}{list(x.shape)}" for x in step.outputs)
        name = describe(step.function).removeprefix("tinygraph.compiler.loops.")
        lines.append(f"  {outputs} = {name}({', '.join(inputs)}){note_of(step)}")
    handed = [name_of(x) for x in program.results]
    updates = [f"{name_of(program.leaves[n])} <- {name_of(x)}" for n, x in program.updates]
    for x in program.accumulations:
        w, alpha, beta, a, b = map(name_of, (program.leaves[x.leaf], x.alpha, x.beta, x.a, x.b))
        updates.append(f"{w} <- {beta} * {w} - {alpha} * {a} @ {b}{note_of(x)}")
    return "\n".join([*lines, f"  return {', '.join(handed)}", *(f"  {x}" for x in updates)])


def note_of(step: Step | Accumulation) -> str:
    """Give a comment on how a step is done, where that is not by a call of NumPy."""
    notes = [] if step.kernel is None else [f"in kernel {step.kernel}"]
    if step.block is not None:
        notes.append("{} rows, {} columns, {} terms at once".format(*step.block))
    return f"  # {', '.join(notes)}" if notes else ""
