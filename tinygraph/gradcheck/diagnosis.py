"""What kind of mistake explains the derivatives that are wrong."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.gradcheck.compare import Comparer
from tinygraph.gradcheck.report import Comparison

Array = NDArray[Any]

Comparisons = list[Comparison]

Explanation = tuple[str, str] | None
"""A code and a sentence, or None of what does not explain the errors."""


def diagnose(comparer: Comparer, comparisons: Comparisons) -> tuple[list[str], str]:
    """Give codes of what is wrong, and a sentence."""
    wrong = [c for c in comparisons if c.verdict == "wrong"]
    causes, sentences = [], []
    if wrong:
        cause, sentence = explain(comparer, comparisons, wrong)
        causes.append(cause)
        sentences.append(sentence)
        if np.max(comparer.function.rounding, initial=0) > np.finfo(float).eps:
            sentences.append("f computes in less than double precision, of double inputs")
    for verdict, what in (
        ("kink", "a kink (the slopes on both sides differ)"),
        ("discontinuity", "a discontinuity (f jumps)"),
    ):
        places = [c.place for c in comparisons if c.verdict == verdict]
        if places:
            causes.append(verdict)
            named = ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")
            sentences.append(f"{what} at {named}, so f has no derivative here")
    return causes, "; ".join(sentences)


def explain(comparer: Comparer, comparisons: Comparisons, wrong: Comparisons) -> tuple[str, str]:
    """Give the first explanation that fits the wrong derivatives by the first argument with any."""
    if not all(np.isfinite(c.analytic) for c in wrong):
        return "not finite", "the gradient is not finite where f is smooth"
    name = wrong[0].argument
    mine = [c for c in comparisons if c.argument == name and c.index is not None]
    if mine:
        for test in (zero, misused_cotangent, rearranged, one_factor, uniform_only, partial_sum):
            explanation = test(comparer, mine)
            if explanation:
                return explanation
    return some_elements(mine) or ("missing term", "a term is missing or wrong")


def wrong_of(comparisons: Comparisons) -> Comparisons:
    """Give those that are wrong."""
    return [c for c in comparisons if c.verdict == "wrong"]


def clear_of(comparisons: Comparisons) -> Comparisons:
    """Give those whose derivatives by differences are clear numbers other than zero."""
    return [c for c in comparisons if abs(c.numeric) > 1e3 * c.uncertainty]


def zero(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain a gradient of zeros alone."""
    if any(c.analytic != 0 for c in mine):
        return None
    return "zero", f"zero everywhere by {mine[0].argument}: the graph is cut, or the rule gives 0"


def misused_cotangent(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain a gradient that is not proportional to the cotangent."""
    other = comparer.pull(-2 * comparer.weights)
    if np.allclose(other, -2 * comparer.gradient, rtol=1e-6, atol=0):
        return None
    if np.allclose(other, comparer.gradient, rtol=1e-6, atol=0):
        return "cotangent", "the rule does not use its cotangent g"
    return "cotangent", "the gradient is not linear in the cotangent g"


def rearranged(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain right numbers in wrong places, of a real argument whose every element is known."""
    layout, name = comparer.function.inputs, mine[0].argument
    leaf = layout.names.index(name)
    shape = layout.shapes[leaf]
    if layout.parts[leaf] == 2 or len(mine) < max(2, math.prod(shape)):
        return None
    mine = sorted(mine, key=lambda c: c.index or ())
    analytic = np.array([c.analytic for c in mine]).reshape(shape)
    numeric = np.array([c.numeric for c in mine]).reshape(shape)
    slack = 1e-6 * np.max(np.abs(numeric))
    if np.max(np.abs(analytic - numeric)) < 100 * slack:
        return None
    if len(shape) >= 2:
        transposed = np.swapaxes(numeric, -1, -2).reshape(shape)
        if np.allclose(analytic, transposed, rtol=0, atol=slack):
            return "transposed", f"the gradient by {name} is transposed"
    if np.allclose(np.sort(analytic, None), np.sort(numeric, None), rtol=0, atol=slack):
        return "permuted", f"the gradient by {name} has its elements in another order"
    return None


def one_factor(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain a gradient that is off by the same factor everywhere."""
    clear = clear_of(mine)
    ratios = [c.analytic / c.numeric for c in clear]
    if len(mine) == 1 and clear:
        ratios += ratio_elsewhere(comparer, mine)
    if len(ratios) < 2 or any(c not in clear for c in wrong_of(mine)):
        return None
    factor = float(np.median(ratios))
    if np.ptp(ratios) > min(1e-4 * abs(factor), 0.1 * abs(factor - 1)):
        return None
    if abs(factor + 1) < 1e-6:
        return "sign", f"the gradient by {mine[0].argument} has the wrong sign"
    return "factor", (
        f"the gradient by {mine[0].argument} is wrong by a constant factor, {write(factor)}"
    )


def write(factor: float) -> str:
    """Write a number, as a fraction if it is a simple one."""
    fraction = Fraction(factor).limit_denominator(12)
    is_simple = abs(float(fraction) - factor) < 1e-6 * abs(factor)
    return str(fraction) if is_simple else f"{factor:.6g}"


def ratio_elsewhere(comparer: Comparer, mine: Comparisons) -> list[float]:
    """Give the same ratio at another point, for the sake of a function of one number."""
    function = comparer.function
    generator = np.random.default_rng(1)
    x = comparer.x + 0.25 * comparer.unit * generator.uniform(0.5, 1, comparer.x.size)
    y = function(x)
    if not np.array_equal(np.isfinite(y), comparer.known):
        return []
    _, pull = function.trace(x)
    there = Comparer(function, x, y, comparer.weights, pull, comparer.order)
    return [c.analytic / c.numeric for c in clear_of(recheck(there, mine))]


def uniform_only(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain a gradient that is right for a cotangent of equal elements."""
    if comparer.weights.size < 2:
        return None
    uniform = with_weights(comparer, np.ones_like(comparer.weights))
    if wrong_of(recheck(uniform, wrong_of(mine)[:4])):
        return None
    return "cotangent", "right only for a uniform cotangent: the rule mixes the elements of g"


def partial_sum(comparer: Comparer, mine: Comparisons) -> Explanation:
    """Explain a gradient that sees a part of the results alone, since a sum was left out."""
    inputs, outputs = comparer.function.inputs, comparer.function.outputs
    size = math.prod(inputs.shapes[inputs.names.index(mine[0].argument)])
    if len(outputs.shapes) != 1 or outputs.parts[0] != 1 or size >= outputs.size:
        return None
    shape = outputs.shapes[0]
    tried = [*wrong_of(mine)[:4], *(c for c in mine if c.verdict == "right")][:8]
    for axis in range(len(shape)):
        for i in {0, shape[axis] - 1}:
            kept = np.zeros(shape)
            kept[(slice(None),) * axis + (i,)] = 1
            weights = comparer.weights * kept.reshape(-1)
            if not wrong_of(recheck(with_weights(comparer, weights, comparer.gradient), tried)):
                return "broadcast", (
                    f"the broadcast is not reduced: the gradient by {mine[0].argument} is that of "
                    f"part {i} along axis {axis} of the result, not of the sum"
                )
    return None


def some_elements(mine: Comparisons) -> Explanation:
    """Explain a gradient of which other elements are right."""
    right = [c for c in clear_of(mine) if c.verdict == "right"]
    if not right:
        return None
    if all(c.part for c in wrong_of(mine)) and not any(c.part for c in right):
        return "some elements", "wrong only in the imaginary parts"
    return "some elements", "wrong only at some elements"


def with_weights(comparer: Comparer, weights: Array, claimed: Array | None = None) -> Comparer:
    """Give the comparer of another cotangent, or of a gradient that is claimed of it."""
    y = np.where(comparer.known, comparer.y, np.nan)
    pull = comparer.pull if claimed is None else (lambda _: claimed)
    other = Comparer(comparer.function, comparer.x, y, weights, pull, comparer.order)
    if claimed is not None:
        other.measured = comparer.measured._replace(of_gradient=np.zeros((1, claimed.size)))
    return other


def recheck(comparer: Comparer, comparisons: Comparisons) -> Comparisons:
    """Compare again at some places."""
    layout = comparer.function.inputs
    wanted = {(c.argument, c.index, c.part) for c in comparisons}
    positions = [i for i in range(layout.size) if layout.place(i) in wanted]
    return [comparer.compare(comparer.element(i)) for i in positions]
