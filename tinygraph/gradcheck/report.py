"""What a check found: comparisons, a report of them, and the error that carries one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ROWS = 12
"""How many comparisons a table shows."""

Verdict = Literal["right", "wrong", "kink", "discontinuity"]


@dataclass(frozen=True)
class Comparison:
    """A derivative by the rules, and by differences.

    It is by the element at `index` of an argument, or along a random direction where that is None.
    On a kink `numeric` is between the slopes on both sides, and `uncertainty` reaches to both.
    """

    argument: str
    index: tuple[int, ...] | None
    part: str
    order: int
    analytic: float
    numeric: float
    uncertainty: float
    verdict: Verdict

    @property
    def error(self) -> float:
        """How far the derivative by the rules is from the one by differences."""
        return 0.0 if self.analytic == self.numeric else abs(self.analytic - self.numeric)

    @property
    def excess(self) -> float:
        """How much worse the error is than what is uncertain about it."""
        excess = self.error / (self.uncertainty + 1e-300)
        return excess if np.isfinite(excess) else np.inf

    @property
    def place(self) -> str:
        """Say where the derivative is taken, as Python would write it."""
        index = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return f"{self.argument}{index}{' imaginary' if self.part else ''}"


@dataclass(frozen=True, repr=False)
class Report:
    """All comparisons of a check, the failed ones first and worst first; and what is wrong.

    `evaluations` counts the calls of the function for differences, `left_out` its results that are
    not finite and so have no derivative.
    """

    function: str
    order: int
    seed: int
    comparisons: tuple[Comparison, ...] = ()
    causes: tuple[str, ...] = ()
    diagnosis: str = ""
    evaluations: int = 0
    left_out: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.causes

    @property
    def wrong(self) -> tuple[Comparison, ...]:
        """The comparisons that failed."""
        return tuple(c for c in self.comparisons if c.verdict != "right")

    @property
    def kinks(self) -> tuple[Comparison, ...]:
        """The comparisons where the slopes on both sides differ."""
        return tuple(c for c in self.comparisons if c.verdict == "kink")

    @property
    def unresolved(self) -> tuple[Comparison, ...]:
        """The comparisons whose uncertainty would hide even a derivative wrong by a tenth."""
        largest = max((abs(c.analytic) for c in self.comparisons), default=0)
        right = [c for c in self.comparisons if c.verdict == "right"]
        return tuple(c for c in right if c.uncertainty > max(0.1 * abs(c.analytic), 1e-6 * largest))

    def __repr__(self) -> str:
        count = f"{len(self.comparisons)} derivatives"
        result = f"{count} right" if self.passed else f"{len(self.wrong)} of {count} failed"
        order = f", order {self.order}" if self.order > 1 else ""
        return f"<gradcheck of {self.function}: {result}{order}, seed {self.seed}>"

    def __str__(self) -> str:
        return "\n".join([self.headline(), *self.table(), *self.footnotes()])

    def headline(self) -> str:
        """Say in a sentence what was found."""
        count = len(self.comparisons)
        if self.passed:
            return f"{self.function}: {count} derivatives agree with finite differences"
        if all(c.verdict != "wrong" for c in self.wrong):
            return f"{self.function}: {self.diagnosis}"
        return (
            f"{self.function}: {len(self.wrong)} of {count} derivatives disagree with finite "
            f"differences: {self.diagnosis}"
        )

    def table(self) -> list[str]:
        """Write the comparisons in columns."""
        rows = (self.comparisons if self.passed else self.wrong)[:ROWS]
        if not rows:
            return []
        width = max(14, *(len(c.place) for c in rows))
        head = ("analytic", "numeric", "error", "uncertainty")
        lines = [" " * width + "".join(f"{word:>15}" for word in head)]
        lines += [
            f"{c.place:<{width}}{c.analytic:>15.8g}{c.numeric:>15.8g}{c.error:>15.2g}"
            f"{c.uncertainty:>15.1g}{note(c)}"
            for c in rows
        ]
        return lines

    def footnotes(self) -> list[str]:
        """Say what the table leaves out."""
        shown = len(self.comparisons if self.passed else self.wrong)
        lines = [f"... and {shown - ROWS} more"] if shown > ROWS else []
        if self.left_out:
            lines.append(f"{self.left_out} results are not finite, and left out")
        if self.unresolved:
            lines.append(f"{len(self.unresolved)} could be wrong by a tenth, and not be noticed")
        return [*lines, f"(order={self.order}, seed={self.seed})"]


def note(comparison: Comparison) -> str:
    """Say what is special about a comparison."""
    if comparison.verdict == "kink":
        if not np.isfinite(comparison.uncertainty):
            return "  kink: a slope without bound"
        low = comparison.numeric - comparison.uncertainty
        high = comparison.numeric + comparison.uncertainty
        return f"  kink: slopes {low:.4g} and {high:.4g} on the two sides"
    if comparison.verdict == "discontinuity":
        return "  discontinuity"
    return f"  order {comparison.order}" if comparison.order > 1 else ""


class GradientError(AssertionError):
    """A derivative that disagrees with finite differences, or a point that has none."""

    # Where users import it from, for messages.
    __module__ = "tinygraph.gradcheck"

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[GradientError], tuple[Report]]:
        return GradientError, (self.report,)
