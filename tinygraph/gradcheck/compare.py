"""The derivative by the rules against the one by differences, at one point."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.complex_step import STEPS, slope_by_complex_step
from tinygraph.gradcheck.differences import Change, Estimate, Point, look, quick_estimate
from tinygraph.gradcheck.report import Comparison, Verdict
from tinygraph.gradcheck.rounding import Rounding, measure_rounding
from tinygraph.gradcheck.vector import VectorFunction

Array = NDArray[Any]

SAFETY = 10
"""How many doubts a derivative may be off; each is a bound on the error, or nearly one."""

FLOOR = 1e-8
"""The relative error that is nobody's mistake: of constants written with nine digits, say."""

QUICK_STEP = 2.0**-7
"""The step, in scales of the input, whose truncation error is about its rounding error."""

UNDERFLOW = 2.0**-500
"""Changes of a result that are lost where squares of its terms underflow."""

CONFIRMATIONS = 4
"""How often close looks have to bear out quick estimates before these alone tell what is wrong."""

SHIFT = 0.75
"""What steps are multiplied by for a second opinion."""


class Line(NamedTuple):
    """Elements of the input and how they move together, and steps for differences.

    `size` is that of a single element, and 0 of several. Differences are sure enough with a doubt
    of `enough`, in units of the derivatives among which theirs is one.
    """

    positions: Array
    factors: Array
    name: str
    size: float
    scale: float
    finest: float
    widest: float
    enough: float


class Opinion(NamedTuple):
    """What differences say of a derivative by the rules."""

    verdict: Verdict
    numeric: float
    uncertainty: float


class Comparer:
    """A point, a cotangent and the gradient there, to be compared with differences."""

    def __init__(
        self,
        function: VectorFunction,
        x: Array,
        y: Array,
        weights: Array,
        pull: Callable[[Array], Array],
        order: int,
    ) -> None:
        self.function = function
        self.x = x
        self.known = np.isfinite(y)
        self.is_known = bool(np.all(self.known))
        self.y = np.where(self.known, y, 0)
        self.weights = np.where(self.known, weights, 0)
        self.order = order
        self.pull = pull
        self.gradient = pull(self.weights)
        self.rounding = float(np.hypot.reduce(function.rounding * self.weights * self.y))
        self.size = function.inputs.typical(x)
        self.unit = power_of_two(np.maximum(np.abs(x), self.size * 2.0**-10))
        self.hints: dict[int, float] = {}
        self.confirmed = 0
        # One result alone is not weighted in tables: users know its derivative.
        self.shown = float(self.weights[0]) if self.weights.size == 1 and self.weights[0] else 1.0

    @cached_property
    def measured(self) -> Rounding:
        """How much rounding errors matter here, measured when it is first needed."""
        return measure_rounding(self.function, self.x, self.weights, self.gradient)

    def positions(self) -> Array:
        """Give the elements that have a derivative to compare."""
        is_finite = np.isfinite(self.x)
        if not self.is_known:
            # The cotangent 0 of an infinite result gives 0 * inf.
            is_finite &= np.isfinite(self.gradient)
        return np.flatnonzero(is_finite)

    def element(self, position: int) -> Line:
        """Make the line along one element."""
        x, unit = abs(float(self.x[position])), float(self.unit[position])
        finest = max(float(np.spacing(x)), unit * 2.0**-54)
        widest = max(float(power_of_two(self.size[position])), unit, 1.0)
        size = float(power_of_two(np.array(x))) if x else 0.0
        return Line(np.array([position]), np.ones(1), "", size, unit, finest, widest, 1e-10)

    def group(self, positions: Array, sizes: Array, generator: np.random.Generator) -> Line:
        """Make a line along which elements move by about their sizes, each by another factor."""
        # Multiples of 1/64 leave x + h * factor without rounding, for most steps.
        factors = generator.integers(32, 97, positions.size) / 64
        factors *= generator.choice([-1.0, 1.0], positions.size) * sizes[positions]
        return Line(positions, factors, "", 0.0, 1.0, 2.0**-50, 1.0, 1e-8)

    def change(self, line: Line) -> Change:
        """Give how much weights . f changes along a line."""
        noise = self.rounding
        if line.positions.size > 1:
            moved = (self.gradient * self.x)[line.positions]
            noise += 2.0**-53 * float(np.hypot.reduce(moved[np.isfinite(moved)]))

        direction = self.dense(line)

        def change(step: float) -> tuple[float, float]:
            difference = self.function(self.x + step * direction) - self.y
            if not self.is_known:
                difference = np.where(self.known, difference, 0)
            total = float(self.weights @ difference)
            return total, noise + 2.0**-53 * abs(total)

        return change

    def dense(self, line: Line) -> Array:
        """Give a line's direction as a vector."""
        direction = np.zeros_like(self.x)
        direction[line.positions] = line.factors
        return direction

    def compare(self, line: Line) -> Comparison:
        """Compare the derivatives along a line."""
        analytic = self.analytic(line)
        verdict, numeric, uncertainty = self.judge(line, analytic)
        place: tuple[str, tuple[int, ...] | None, str] = (line.name, None, "")
        if line.positions.size == 1:
            factor = float(line.factors[0])
            analytic, numeric = analytic / factor, numeric / factor
            uncertainty /= abs(factor)
            place = self.function.inputs.place(int(line.positions[0]))
        analytic, numeric = analytic / self.shown, numeric / self.shown
        return Comparison(
            *place, self.order, analytic, numeric, uncertainty / abs(self.shown), verdict
        )

    def analytic(self, line: Line) -> float:
        """Give the derivative by the rules along a line."""
        return float(self.gradient[line.positions] @ line.factors)

    def suspicion(self, line: Line) -> float:
        """Give how much too large the error along a line is, above 1 if it is too large."""
        quick, is_enough = self.quick(line)
        if is_enough:
            return abs(self.analytic(line) - quick.value) / (doubt_of(quick) + 1e-300)
        comparison = self.compare(line)
        return 0.0 if comparison.verdict == "right" else 1 + comparison.excess

    def quick(self, line: Line) -> tuple[Estimate, bool]:
        """Estimate the derivative along a line from a few steps, and tell whether that will do.

        Smaller ones and larger ones are tried too, as long as they help.
        """
        leaf = self.function.inputs.leaf_of(int(line.positions[0]))
        start = self.hints.get(leaf, QUICK_STEP)
        change = self.change(line)
        best = quick_estimate(change, start * line.scale)
        for factor in (2.0**-7, 2.0**4):
            step = start * factor
            while not self.is_enough(line, best) and 2.0**-36 < step < 1:
                latest = quick_estimate(change, step * line.scale)
                if not latest.doubt < best.doubt / 2:
                    break
                best = latest
                step *= factor
        if not self.is_enough(line, best):
            return best, False
        self.hints[leaf] = best.step / line.scale
        return best, True

    def is_enough(self, line: Line, estimate: Estimate) -> bool:
        """Tell whether an estimate is as sure as it needs to be."""
        if estimate.value == 0:
            # Where f does not change at all there is its own rounding error alone.
            return estimate.doubt <= 16 * self.rounding / estimate.step
        enough = max(1e-7 * abs(estimate.value), line.enough * self.typical_slope(line))
        return estimate.doubt <= enough

    def judge(self, line: Line, analytic: float) -> Opinion:
        """Say whether a derivative by the rules is right, looking closely only if need be."""
        quick, is_enough = self.quick(line)
        error = abs(analytic - quick.value)
        if is_enough and error <= doubt_of(quick):
            return Opinion("right", quick.value, doubt_of(quick))
        if (
            is_enough
            and self.confirmed >= CONFIRMATIONS
            and error > 1e3 * quick.doubt + 1e-4 * abs(quick.value)
        ):
            return Opinion("wrong", quick.value, doubt_of(quick))
        opinion = self.look(line, analytic)
        if opinion.verdict != "right" and line.scale > 8 * line.size > 0:
            # The element is much smaller than its neighbours, whose size the steps start from.
            line = line._replace(scale=line.size, finest=max(line.size * 2.0**-54, 5e-324))
            opinion = self.look(line, analytic)
        if opinion.verdict == "right":
            return opinion
        shifted = line._replace(factors=SHIFT * line.factors)
        second = self.look(shifted, SHIFT * analytic)
        if second.verdict == "right":
            return Opinion("right", opinion.numeric, opinion.uncertainty + error)
        if is_enough and abs(quick.value - opinion.numeric) <= SAFETY * quick.doubt:
            self.confirmed += 1
        return opinion

    def look(self, line: Line, analytic: float) -> Opinion:
        """Look closely, with steps of all sizes, once it is known how much rounding matters."""
        rounding = self.measured
        steps = line.scale, line.finest, line.widest
        point = look(self.change(line), *steps, rounding.of_value, rounding.is_known)
        return self.weigh(line, analytic, point, rounding)

    def typical_slope(self, line: Line) -> float:
        """Give the size of the derivatives among which that along a line is one."""
        if line.positions.size > 1:
            return float(np.hypot.reduce(self.gradient[line.positions] * line.factors))
        leaf = self.function.inputs.leaf_of(int(line.positions[0]))
        start, stop = self.function.inputs.stops[leaf : leaf + 2]
        return float(np.max(np.abs(self.gradient[start:stop])))

    def weigh(self, line: Line, analytic: float, point: Point, rounding: Rounding) -> Opinion:
        """Say whether a derivative by the rules is one that the differences admit."""
        left, right = point.left.value, point.right.value
        if point.oddity == "unbounded" and np.isinf(analytic):
            slope = right if np.isfinite(right) else left
            if np.sign(slope) == np.sign(analytic):
                return Opinion("right", float(np.sign(slope) * np.inf), 0.0)
        if point.oddity:
            verdict: Verdict = "discontinuity" if point.oddity == "discontinuity" else "kink"
            return Opinion(verdict, (left + right) / 2, abs(left - right) / 2)
        admitted = self.sharpen(line, point.smooth)
        blur = rounding.of_slope(line.positions, line.factors)
        opinions = [(e.value, self.uncertainty(line, e, blur)) for e in admitted]
        for numeric, uncertainty in opinions:
            if abs(analytic - numeric) <= uncertainty:
                return Opinion("right", numeric, uncertainty)
        numeric, uncertainty = opinions[0]
        if np.isfinite(analytic) and not np.isfinite(uncertainty):
            return Opinion("right", numeric, np.inf)
        return Opinion("wrong", numeric, uncertainty)

    def uncertainty(self, line: Line, estimate: Estimate, blur: float) -> float:
        """Give how far a derivative, itself uncertain by `blur`, may be off an estimate."""
        floor = FLOOR if line.positions.size == 1 else FLOOR / 10
        uncertainty = SAFETY * (estimate.doubt + blur) + floor * abs(estimate.value)
        if estimate.doubt > 1e-3 * abs(estimate.value):
            uncertainty += UNDERFLOW * float(np.max(np.abs(self.weights), initial=0)) / line.scale
        return uncertainty

    def sharpen(self, line: Line, smooth: list[Estimate]) -> list[Estimate]:
        """Put the complex step in the place of an unsure estimate that it agrees with."""
        best = smooth[0]
        if best.doubt <= 1e-6 * abs(best.value) or not self.function.takes_complex_steps:
            return smooth
        direction = self.dense(line)
        # Neighbours by rounding errors show how well conditioned the function is here.
        neighbours = [(self.x, step) for step in STEPS]
        neighbours += [(self.x * (1 + sign * 2.0**-52), STEPS[0]) for sign in (-1, 1)]
        slopes = [
            slope_by_complex_step(self.function.values, x, direction, self.weights, step)
            for x, step in neighbours
        ]
        doubt = 4 * float(np.ptp(slopes)) + 1e-13 * abs(slopes[0])
        agrees = abs(slopes[0] - best.value) <= 2 * (best.doubt + doubt)
        return [Estimate(slopes[0], doubt)] if agrees and doubt < best.doubt else smooth


def doubt_of(quick: Estimate) -> float:
    """Give how far a derivative may be off a quick estimate and pass at once."""
    return 4 * quick.doubt + 1e-9 * abs(quick.value)


def power_of_two(x: Array) -> Array:
    """Round up to powers of two."""
    return np.asarray(np.exp2(np.ceil(np.log2(x))))
