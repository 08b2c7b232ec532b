"""Compare derivative rules with finite differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tinygraph.gradcheck.check import Check, CheckError
from tinygraph.gradcheck.diagnosis import diagnose
from tinygraph.gradcheck.narrow import check_narrow
from tinygraph.gradcheck.report import Comparison, GradientError, Report
from tinygraph.gradcheck.vector import RuleError, VectorFunction, as_double, split_inputs
from tinygraph.op import Op
from tinygraph.transforms import name_of

__all__ = ["Comparison", "GradientError", "Report", "gradcheck"]


def gradcheck(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 1,
    wrt: int | tuple[int, ...] | None = None,
    directions: int | None = None,
    seed: int = 0,
) -> Report:
    """Raise a GradientError unless the derivatives of `f` agree with finite differences.

    `inputs` are arrays, numbers or trees of them: floating and complex ones are differentiated by,
    if they belong to an argument whose position is in `wrt`; the rest are constants. Results are
    weighted with random cotangents drawn from `seed`. Up to 64 elements are each checked by
    themselves, more along random `directions` (0: each element). `order` 2 checks the derivative
    of the derivative too, by the inputs and by the cotangent. Steps and tolerances are found from
    the function: see docs/gradcheck.md.

    >>> import numpy as np, tinygraph as tg
    >>> tg.gradcheck(lambda x: np.sum(np.sin(x) * x), np.array([0.3, -1.2]), order=2)
    <gradcheck of <lambda>: 5 derivatives right, order 2, seed 0>
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"gradcheck: expected an order of 1 or more, got {order!r}")
    run, leaves, names = split_inputs(f, inputs, wrt)
    report = Report(f.name if isinstance(f, Op) else name_of(f), 1, seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Points nearby may be outside of the domain, on which the caller need not be warned.
        warnings.simplefilter("ignore", RuntimeWarning)
        function = VectorFunction(run, [as_double(leaf) for leaf in leaves], names)
        refuse_unfit(function)
        report = replace(report, left_out=int(np.sum(~np.isfinite(function.y))))
        for current in range(1, order + 1):
            check = Check(function, np.random.default_rng([seed, current]), current)
            report = replace(report, order=current)
            report = checked(report, function, partial(check.run, directions))
            if current == 1:
                narrow = partial(check_narrow, function, leaves, check.weights)
                report = checked(report, function, narrow)
            if current < order:
                function = function.derivative(check.weights)
    return report


def refuse_unfit(function: VectorFunction) -> None:
    """Refuse a function whose values cannot be differentiated."""
    if not function.outputs.shapes:
        raise TypeError("gradcheck: the function gives no floating or complex result")
    if function.y.size and not np.any(np.isfinite(function.y)):
        raise ValueError("gradcheck: the function gives no finite value at this point")


def checked(
    report: Report, function: VectorFunction, check: Callable[[], list[Comparison]]
) -> Report:
    """Add the comparisons of a check to the report, or raise the error that it shows."""
    before = function.evaluations
    comparisons: Sequence[Comparison] = ()
    causes: list[str] = []
    words, raised = "", None
    try:
        comparisons = [*report.comparisons, *check()]
    except CheckError as found:
        comparisons, causes, words = found.comparisons, [found.cause], found.words
        if not found.cause and found.comparer:
            causes, diagnosis = diagnose(found.comparer, found.comparisons)
            words += diagnosis
    except RuleError as error:
        raised = error.__cause__
        causes, words = explain_error(raised)
    if causes and report.order > 1:
        causes = ["second order", *causes]
        words = f"in the second order alone, the derivative of the derivative: {words}"
    report = replace(
        report,
        comparisons=ordered(comparisons),
        causes=tuple(causes),
        diagnosis=words,
        evaluations=report.evaluations + function.evaluations - before,
    )
    if causes:
        raise GradientError(report) from raised
    return report


def explain_error(error: BaseException | None) -> tuple[list[str], str]:
    """Say what a rule did that raised an error."""
    message = str(error)
    if "read-only" in message:
        return ["writes"], f"the rule writes into its arguments ({message})"
    is_of_shapes = any(word in message for word in ("shape", "dimension", "broadcast"))
    if isinstance(error, ValueError) and is_of_shapes:
        return ["shape"], f"a gradient has the wrong shape: {message}"
    return ["error"], f"the rule raised {type(error).__name__}: {message}"


def ordered(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Put failed comparisons first, and large errors before small ones."""

    def key(c: Comparison) -> tuple[bool, float]:
        return c.verdict == "right", -c.error if np.isfinite(c.error) else -np.inf

    return tuple(sorted(comparisons, key=key))
