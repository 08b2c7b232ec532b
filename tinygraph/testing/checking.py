"""Check an op with everything that can be known of it, on examples that are drawn."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given

from tinygraph.compiler.tape import CompileError
from tinygraph.gradcheck import gradcheck
from tinygraph.testing import properties
from tinygraph.testing.calls import Call, Function, calls, op_of
from tinygraph.testing.source import input_names, program, reference
from tinygraph.tree import flatten

PROPERTIES: dict[str, Function] = {
    "values_agree": properties.values_agree,
    "inputs_are_left_alone": properties.inputs_are_left_alone,
    "gradients": gradcheck,
    "second_order": partial(gradcheck, order=2),
    "calls_are_independent": properties.calls_are_independent,
    "rules_agree": properties.rules_agree,
    "constants_make_no_difference": properties.constants_make_no_difference,
    "float32_stays": properties.float32_stays,
    "compiled_agrees": properties.compiled_agrees,
}
"""What is checked of every example, in this order."""

OF_VALUES = ("values_agree", "inputs_are_left_alone")
"""The properties of functions that have no derivative too."""

STATEMENTS = {
    "gradients": "tg.gradcheck(f, {inputs})",
    "second_order": "tg.gradcheck(f, {inputs}, order=2)",
}
"""How to check a property again, where that is not a function of its name."""

WAYS: dict[str, Any] = {
    "deadline": None,
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    "report_multiple_bugs": False,
    "suppress_health_check": list(HealthCheck),
}
"""How hypothesis goes about checks, which may take long and explain themselves."""


@dataclass
class CheckReport:
    """What was checked: in how many examples each property, and what may be better."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    for_constants: set[int] = field(default_factory=set)
    not_compiled: str = ""

    @property
    def examples(self) -> int:
        """The number of examples that were tried."""
        return self.counts["examples"]

    def __repr__(self) -> str:
        return f"<check_op {self.name}: right in {self.examples} examples>"

    def __str__(self) -> str:
        lines = [f"{self.name}: right"]
        lines += [f"{count:>6}  {what.replace('_', ' ')}" for what, count in self.counts.items()]
        for number in sorted(self.for_constants):
            lines += [
                f"the gradient by input {number} is computed where that is a constant too; where "
                f"that is costly, let the rule give a function in its place: lambda: g * y"
            ]
        if self.not_compiled:
            lines += [f"one was not compiled since {self.not_compiled}"]
        return "\n".join(lines)


def check_op(
    function: Function,
    *inputs: Any,
    examples: int = 100,
    skip: Collection[str] = (),
    **params: Any,
) -> CheckReport:
    """Check a tg.op, a function of NumPy's with a rule, or any function of arrays, on examples.

    `inputs` and `params` are strategies: see `tinygraph.testing.calls`. Every example is checked
    for all PROPERTIES but those in `skip`; the first that does not hold is raised as an
    AssertionError with the smallest example that shows it, as code to paste. The same examples are
    tried at every call.

    >>> import numpy as np, tinygraph as tg
    >>> tg.check_op(np.tanh)
    <check_op np.tanh: right in 100 examples>
    """
    report = CheckReport(reference(function)[1])

    @hypothesis.settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        verbosity=Verbosity.quiet,
        print_blob=False,
        **WAYS,
    )
    @given(calls(function, *inputs, **params))
    def check_all(call: Call) -> None:
        check_call(function, call, skip, report)

    check_all()
    return report


def check(
    function: Function,
    *inputs: Any,
    skip: Collection[str] = (),
    settings: hypothesis.settings | None = None,
    **params: Any,
) -> Callable[[Function], Function]:
    """Make a test of what `check_op` checks, and then of what the decorated function asserts.

    The decorated function is called with each example's inputs and parameters. `settings` are
    those of hypothesis; by default the current ones, without a deadline.

    >>> from tinygraph.testing import arrays, check
    >>> @check(np.square, arrays())
    ... def test_square(x):
    ...     assert np.all(np.square(x) >= 0)
    >>> test_square()
    """

    def decorate(test: Function) -> Function:
        def checked(call: Call) -> None:
            check_call(function, call, skip)
            test(*call.inputs, **call.params)

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(checked, attribute, getattr(test, attribute))
        chosen = settings or hypothesis.settings(**WAYS)
        made: Function = chosen(given(calls(function, *inputs, **params))(checked))
        return made

    return decorate


def check_call(
    function: Function,
    call: Call,
    skip: Collection[str] = (),
    report: CheckReport | None = None,
) -> None:
    """Check one example, and add to the error of what does not hold the code that shows it."""
    report = CheckReport("") if report is None else report
    f = bind(function, call)
    report.counts["examples"] += 1
    for name in chosen_properties(skip):
        if name not in OF_VALUES and not has_derivative(f, call.inputs):
            continue
        try:
            PROPERTIES[name](f, *call.inputs)
        except Exception as error:
            if name == "compiled_agrees" and isinstance(error, CompileError):
                report.counts["not_compiled"] += 1
                report.not_compiled = str(error)
                continue
            statement = STATEMENTS.get(name, f"properties.{name}(f, {{inputs}})")
            error.add_note(f"To see it again:\n\n{program(function, call, statement)}\n")
            raise
        report.counts[name] += 1
    if op_of(function):
        report.for_constants |= properties.computed_for_constants(f, *call.inputs)
    if len({np.shape(x) for x in call.inputs}) > 1:
        report.counts["inputs_of_several_shapes"] += 1


def bind(function: Function, call: Call) -> Function:
    """Give the function of the inputs alone, with a name and argument names for messages."""

    def f(*inputs: Any) -> Any:
        return function(*inputs, **call.params)

    f.__name__ = reference(function)[1]
    names = input_names(function, call.inputs)
    arguments = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    f.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return f


def chosen_properties(skip: Collection[str]) -> list[str]:
    """Give the names of the properties to check."""
    unknown = set(skip) - set(PROPERTIES)
    if unknown:
        raise ValueError(f"skip: expected names among {list(PROPERTIES)}, got {sorted(unknown)}")
    return [name for name in PROPERTIES if name not in skip]


def has_derivative(f: Function, inputs: Any) -> bool:
    """Tell whether there is anything to differentiate, and to differentiate by."""
    variables = map(properties.is_variable, flatten(inputs)[0])
    return any(variables) and bool(properties.floats(f(*inputs)))
