"""Who makes and who reads the values of a program."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tinygraph.compiler.program import Program, Step, Value


class Graph:
    """Who makes and who reads the values of a program."""

    def __init__(self, program: Program) -> None:
        self.kept = set(program.handed_back())
        self.uses: dict[Value, list[Step]] = defaultdict(list)
        self.makers: dict[Value, tuple[int, Step]] = {}
        for number, step in enumerate(program.steps):
            for x in set(step.values):
                self.uses[x].append(step)
            for out in step.outputs:
                self.makers[out] = number, step

    def is_before(self, s: Any, made: tuple[int, Step]) -> bool:
        """Tell whether a number is known where a step is done."""
        return not isinstance(s, Value) or s not in self.makers or self.makers[s][0] < made[0]

    def is_read_once(self, x: Any) -> bool:
        """Tell whether one step alone reads `x`, and nobody outside."""
        return isinstance(x, Value) and x not in self.kept and len(self.uses[x]) == 1

    def maker_of_alone(self, x: Any) -> Step | None:
        """Give the step that makes `x`, if one other step alone reads it."""
        if not self.is_read_once(x):
            return None
        return self.makers[x][1] if x in self.makers else None
