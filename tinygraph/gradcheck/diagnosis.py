"""What kind of mistake explains the derivatives that are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.compare import Comparer
from tinygraph.gradcheck.report import Comparison
from tinygraph.gradcheck.rounding import Rounding

Array = NDArray[Any]


def diagnose(comparer: Comparer, comparisons: list[Comparison]) -> tuple[list[str], str]:
    """Give codes of what is wrong, and a sentence."""
    wrong = [c for c in comparisons if c.verdict == "wrong"]
    causes, sentences = [], []
    if wrong:
        cause, sentence = explain(comparer, comparisons, wrong)
        causes.append(cause)
        sentences.append(sentence)
    for verdict in ("kink", "discontinuity"):
        found = [c for c in comparisons if c.verdict == verdict]
        if found:
            causes.append(verdict)
            places = ", ".join(c.place for c in found[:3]) + (", ..." if len(found) > 3 else "")
            sentences.append(f"{NO_DERIVATIVE[verdict]} at {places}, so f has no derivative here")
    return causes, "; ".join(sentences)


NO_DERIVATIVE = {
    "kink": "a kink (the slopes on both sides differ)",
    "discontinuity": "a discontinuity (f jumps)",
}


def explain(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> tuple[str, str]:
    """Give the first explanation that fits the wrong derivatives."""
    if not all(np.isfinite(c.analytic) for c in wrong):
        return "not finite", "the gradient is not finite where f is smooth"
    for test in (zero, ignored_cotangent, rearranged, one_factor, uniform_only, partial_sum):
        explanation = test(comparer, comparisons, wrong)
        if explanation:
            return explanation
    right = [c for c in comparisons if c.verdict == "right" and c.index is not None]
    if any(abs(c.numeric) > 100 * c.uncertainty for c in right):
        return "some elements", "wrong only at some elements"
    return "missing term", "a term is missing or wrong"


Explanation = tuple[str, str] | None


def zero(comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]) -> Explanation:
    """Explain gradients of zeros alone."""
    for name in {c.argument for c in wrong}:
        of_argument = [c for c in comparisons if c.argument == name]
        if all(c.analytic == 0 for c in of_argument):
            return "zero", f"zero everywhere by {name}: the graph is cut, or the rule gives zeros"
    return None


def ignored_cotangent(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> Explanation:
    """Explain gradients that are not proportional to the cotangent."""
    doubled = comparer.pull(2 * comparer.weights)
    if np.allclose(doubled, 2 * comparer.gradient, rtol=1e-6, atol=0):
        return None
    if np.allclose(doubled, comparer.gradient, rtol=1e-6, atol=0):
        return "cotangent", "the rule does not use its cotangent g"
    return "cotangent", "the gradient is not linear in the cotangent g"


def rearranged(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> Explanation:
    """Explain right numbers in wrong places, of an argument of which every element is known."""
    layout = comparer.function.inputs
    for name in dict.fromkeys(c.argument for c in wrong):
        leaf = layout.names.index(name) if name in layout.names else -1
        mine = [c for c in comparisons if c.argument == name and not c.part]
        if (
            leaf < 0
            or layout.parts[leaf] == 2
            or len(mine) < max(2, math.prod(layout.shapes[leaf]))
        ):
            continue
        mine = sorted(mine, key=lambda c: c.index or ())
        shape = layout.shapes[leaf]
        analytic = np.array([c.analytic for c in mine]).reshape(shape)
        numeric = np.array([c.numeric for c in mine]).reshape(shape)
        slack = 1e-5 * np.max(np.abs(numeric))
        if len(shape) >= 2:
            transposed = np.swapaxes(numeric, -1, -2).reshape(shape)
            if np.allclose(analytic, transposed, rtol=0, atol=slack):
                return "transposed", f"the gradient by {name} is transposed"
        if np.allclose(np.sort(analytic, None), np.sort(numeric, None), rtol=0, atol=slack):
            return "permuted", f"the gradient by {name} has its elements in another order"
    return None


def one_factor(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> Explanation:
    """Explain gradients that are off by the same factor everywhere."""
    for name in dict.fromkeys(c.argument for c in wrong):
        mine = [
            c for c in comparisons if c.argument == name and abs(c.numeric) > 1e3 * c.uncertainty
        ]
        ratios = np.array([c.analytic / c.numeric for c in mine])
        if len(mine) == 1 and mine[0].index is not None:
            ratios = np.append(ratios, ratio_elsewhere(comparer, mine[0]))
        if len(ratios) < 2 or not np.all(np.abs(ratios - ratios[0]) <= 1e-4 * np.abs(ratios[0])):
            continue
        factor = float(np.median(ratios))
        if abs(factor + 1) < 1e-6:
            return "sign", f"the gradient by {name} has the wrong sign"
        return "factor", f"the gradient by {name} is wrong by a constant factor, {write(factor)}"
    return None


def write(factor: float) -> str:
    """Write a number, as a fraction if it is a simple one."""
    fraction = Fraction(factor).limit_denominator(12)
    is_simple = abs(float(fraction) - factor) < 1e-6 * abs(factor)
    return str(fraction) if is_simple else f"{factor:.6g}"


def ratio_elsewhere(comparer: Comparer, comparison: Comparison) -> float:
    """Give the same ratio at another point, for a function of one number."""
    function = comparer.function
    generator = np.random.default_rng(1)
    x = comparer.x + 0.25 * comparer.unit * generator.uniform(0.5, 1, comparer.x.size)
    y = function(x)
    if not np.array_equal(np.isfinite(y), comparer.known):
        return np.nan
    _, pull = function.trace(x)
    there = Comparer(function, x, y, comparer.weights, pull, comparer.order)
    found = recheck(there, [comparison])[0]
    return found.analytic / found.numeric if found.numeric else np.nan


def uniform_only(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> Explanation:
    """Explain gradients that are right for a cotangent of equal elements."""
    if comparer.weights.size < 2:
        return None
    ones = np.ones_like(comparer.weights)
    uniform = again(comparer, ones)
    if all(c.verdict == "right" for c in recheck(uniform, wrong)):
        return "cotangent", "right only for a uniform cotangent: the rule mixes the elements of g"
    return None


def partial_sum(
    comparer: Comparer, comparisons: list[Comparison], wrong: list[Comparison]
) -> Explanation:
    """Explain gradients that see a part of the results alone, as of a sum that was left out."""
    layout = comparer.function.outputs
    if len(layout.shapes) != 1 or layout.parts[0] != 1 or not layout.shapes[0]:
        return None
    weights = comparer.weights.reshape(layout.shapes[0])
    shape: tuple[int, ...] = weights.shape
    for axis, size in enumerate(shape):
        for i in (0, size - 1) if size > 1 else ():
            kept = np.zeros_like(weights)
            index = (slice(None),) * axis + (i,)
            kept[index] = weights[index]
            part = again(comparer, kept.reshape(-1), comparer.gradient)
            if all(c.verdict == "right" for c in recheck(part, wrong)):
                return "broadcast", (
                    f"the broadcast is not reduced: the gradient is that of part {i} along axis "
                    f"{axis} of the result, not of the sum"
                )
    return None


def again(comparer: Comparer, weights: Array, gradient: Array | None = None) -> Comparer:
    """Give the comparer of another cotangent, or of a gradient that is claimed of it."""
    pull: Callable[[Array], Array] = comparer.pull if gradient is None else (lambda w: gradient)
    function, order = comparer.function, comparer.order
    y = np.where(comparer.known, comparer.y, np.nan)
    other = Comparer(function, comparer.x, y, weights, pull, order)
    if gradient is not None:
        none = np.zeros(gradient.size)
        other.measured = Rounding(comparer.measured.of_value, none[None], none)
    return other


def recheck(comparer: Comparer, wrong: list[Comparison]) -> list[Comparison]:
    """Compare again at some places."""
    layout = comparer.function.inputs
    wanted = {(c.argument, c.index, c.part) for c in wrong[:3] if c.index is not None}
    positions = [i for i in range(layout.size) if layout.place(i) in wanted]
    return [comparer.compare(comparer.element(i)) for i in positions] or wrong
