"""The check of a function: where to compare its derivatives, and what else can be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.compare import Comparer, Line
from tinygraph.gradcheck.report import Comparison
from tinygraph.gradcheck.vector import RuleError, VectorFunction

Array = NDArray[Any]

EVERY_ELEMENT = 64
"""Up to how many elements each is checked by itself."""

SAMPLED = 16
"""How many elements are tried by themselves where a random direction fails."""

FOUND = 4
"""How many wrong elements are searched for by halving."""

ADVICE = "a rule has to work from its arguments alone"


class CheckError(Exception):
    """What is wrong, in a code and in words, with the comparisons that show it."""

    def __init__(
        self,
        cause: str,
        words: str,
        comparisons: list[Comparison] | None = None,
        comparer: Comparer | None = None,
    ) -> None:
        super().__init__(words)
        self.cause = cause
        self.words = words
        self.comparisons = comparisons or []
        self.comparer = comparer


class Check:
    """The check of one function at its point, and along a line at another point nearby."""

    def __init__(
        self, function: VectorFunction, generator: np.random.Generator, order: int
    ) -> None:
        self.function = function
        self.generator = generator
        self.order = order

    def run(self, directions: int | None) -> list[Comparison]:
        """Give all comparisons, or raise the CheckError that they show."""
        f = self.function
        self.refuse_noise(f.y, f(f.x), "values")
        elsewhere, y_elsewhere = self.another_point()
        self.weights = self.draw_cotangent(y_elsewhere)
        here, there = self.trace_both(elsewhere, y_elsewhere)
        comparisons = self.compare_at(here, directions)
        self.refuse_noise(f.y, f(f.x), "values")
        if any(c.verdict != "right" for c in comparisons):
            raise CheckError("", "", comparisons, here)
        if comparisons and all(np.isnan(c.numeric) for c in comparisons):
            raise ValueError(
                "gradcheck: the function gives no finite values near the point, so that there are "
                "no differences to compare with"
            ) from f.refused
        self.compare_elsewhere(there)
        return comparisons

    def refuse_noise(self, first: Array, second: Array, what: str) -> None:
        """Refuse other numbers than before, beyond the last bits that threads may change."""
        if not same(first, second):
            raise CheckError("noise", f"noise: f gives other {what} when it is called again")

    def another_point(self) -> tuple[Array, Array]:
        """Give a point nearby at which the function has finite values too, and these."""
        f = self.function
        size = np.maximum(np.abs(f.x), f.inputs.typical(f.x) / 16)
        move = self.generator.uniform(0.5, 1, f.x.size) * self.generator.choice([-1, 1], f.x.size)
        for exponent in (-10, -20, -30):
            x = f.x + 2.0**exponent * size * move
            y = f(x)
            if np.array_equal(np.isfinite(y), np.isfinite(f.y)):
                return x, y
        return f.x.copy(), f.y.copy()

    def draw_cotangent(self, y_elsewhere: Array) -> Array:
        """Draw random weights for the results, larger ones for results that are small.

        So no result drowns in the rounding errors of the others.
        """
        y = self.function.y
        draw = self.generator.uniform(0.5, 1.5, y.size) * self.generator.choice([-1, 1], y.size)
        with np.errstate(all="ignore"):
            size = np.nan_to_num(np.abs(y) + 2**10 * np.abs(y_elsewhere - y), posinf=0)
            ratio = np.max(size, initial=0) / size
        ratio = np.where((size > 0) & (ratio > 2**10), np.minimum(ratio, 2.0**26), 1)
        return np.asarray(draw * np.exp2(np.round(np.log2(ratio))))

    def trace(self, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Give the values on Nodes and the pullback."""
        try:
            return self.function.trace(x)
        except Exception as error:
            # The function whose derivative is checked in the second order is a pullback itself.
            if self.order == 1:
                raise
            raise RuleError from error

    def trace_both(self, elsewhere: Array, y_elsewhere: Array) -> tuple[Comparer, Comparer]:
        """Pull back at both points, each after the function has been called at the other.

        A rule that remembers values of another call in the place of its own gives itself away.
        """
        f = self.function
        y, pull = self.trace(f.x)
        _, pull_elsewhere = self.trace(elsewhere)
        here = Comparer(f, f.x, f.y, self.weights, pull, self.order)
        self.refuse_noise(here.gradient, pull(here.weights), "gradients")
        # The other sign too, for rules that look at the sign of their cotangent.
        other_weights = -self.weights * self.generator.uniform(0.5, 1.5, self.weights.size)
        there = Comparer(f, elsewhere, y_elsewhere, other_weights, pull_elsewhere, self.order)
        again, pull_again = self.trace(f.x)
        self.refuse_noise(y, again, "values")
        if not close(y, f.y):
            raise CheckError("value", "f gives other values of Nodes than of arrays")
        if not close(here.gradient, pull_again(here.weights)):
            raise CheckError(
                "stale",
                f"stale: the gradient depends on which point f was called at last; {ADVICE}",
            )
        return here, there

    def compare_at(self, comparer: Comparer, directions: int | None) -> list[Comparison]:
        """Compare every element, or along random directions."""
        positions = comparer.positions()
        if directions is None:
            directions = 0 if positions.size <= EVERY_ELEMENT else 3
        if not directions:
            return [comparer.compare(comparer.element(i)) for i in positions.tolist()]
        comparisons = []
        for line in self.lines(comparer, positions, directions):
            comparison = comparer.compare(line)
            comparisons.append(comparison)
            if comparison.verdict != "right":
                return self.locate(comparer, line, comparison)
        return comparisons

    def compare_elsewhere(self, there: Comparer) -> None:
        """Compare along a line at the other point, where a stale rule gives itself away."""
        positions = there.positions()
        positions = positions[np.isfinite(there.gradient[positions])]
        if not positions.size:
            return
        line = there.group(positions, there.unit, self.generator)._replace(name="direction 0")
        comparison = there.compare(line)
        if comparison.verdict != "wrong":
            return
        wrong = [c for c in self.locate(there, line, comparison) if c.verdict != "right"]
        if any(c.verdict != "wrong" for c in wrong):
            return
        f = self.function
        for remembered, what in (
            (f.gradient(f.x, there.weights), "point"),
            (there.pull(-2 * there.weights), "cotangent"),
        ):
            if close(there.gradient, remembered):
                raise CheckError(
                    "stale",
                    f"stale: of a second {what} the gradient is still that of the first; {ADVICE}",
                    wrong,
                )
        raise CheckError("", "right at the point given, but not at one nearby: ", wrong, there)

    def lines(self, comparer: Comparer, positions: Array, count: int) -> Iterator[Line]:
        """Give random directions, by the size of every element and by that of its array in turn.

        Elements that contribute little to the derivative along them get directions of their own.
        """
        group = comparer.group
        number = 0
        for number in range(count):
            sizes = comparer.size if number % 2 else comparer.unit
            line = group(positions, sizes, self.generator)
            yield line._replace(name=f"direction {number}")
        with np.errstate(all="ignore"):
            shares = np.abs(comparer.gradient * [comparer.unit, comparer.size])[:, positions]
            share = np.max(shares / np.max(shares, axis=1, keepdims=True, initial=0), axis=0)
            rank = np.minimum(np.floor(-np.log(share) / np.log(1e4)), 3)
        for level in (1, 2, 3):
            faint = positions[(rank == level) & (share > 0)]
            if faint.size:
                number += 1
                line = group(faint, comparer.unit, self.generator)
                yield line._replace(name=f"direction {number}", enough=1e-3)

    def locate(self, comparer: Comparer, line: Line, failed: Comparison) -> list[Comparison]:
        """Find elements that fail along a line that does: try some, and else halve it."""
        positions = line.positions
        share = np.abs(comparer.gradient[positions] * line.factors)
        largest = positions[np.argsort(np.nan_to_num(share, nan=np.inf))[-4:]]
        drawn = self.generator.permutation(positions)[:SAMPLED]
        tried = np.unique(np.concatenate([largest, drawn])).tolist()
        comparisons = [comparer.compare(comparer.element(i)) for i in tried]
        if any(c.verdict != "right" for c in comparisons):
            return comparisons
        left = np.isin(positions, tried, invert=True)
        line = line._replace(positions=positions[left], factors=line.factors[left])
        for _ in range(FOUND):
            found = self.halve(comparer, line)
            if found is None:
                break
            comparisons.append(comparer.compare(comparer.element(found)))
            keep = line.positions != found
            line = line._replace(positions=line.positions[keep], factors=line.factors[keep])
        has_found = any(c.verdict != "right" for c in comparisons)
        return comparisons if has_found else [failed, *comparisons]

    def halve(self, comparer: Comparer, line: Line) -> int | None:
        """Find one element that fails along a line, None if no half of it does."""
        while line.positions.size > 1:
            middle = line.positions.size // 2
            halves = [
                line._replace(positions=line.positions[part], factors=line.factors[part])
                for part in (slice(middle), slice(middle, None))
            ]
            doubts = [comparer.suspicion(half) for half in halves]
            if not max(doubts) > 1:
                return None
            line = halves[int(np.argmax(doubts))]
        return int(line.positions[0]) if line.positions.size else None


def same(first: Array, second: Array) -> bool:
    """Tell whether numbers are equal up to their last bits, as sums in another order may be."""
    scale = np.max(np.abs(first[np.isfinite(first)]), initial=0)
    return bool(np.allclose(first, second, rtol=1e-13, atol=1e-14 * scale, equal_nan=True))


def close(first: Array, second: Array) -> bool:
    """Tell whether numbers are equal as far as two ways to compute them may be."""
    scale = np.max(np.abs(first[np.isfinite(first)]), initial=0)
    return bool(np.allclose(first, second, rtol=1e-7, atol=1e-9 * scale, equal_nan=True))
