"""What functions are called with: inputs, which go by position, and parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tinygraph import rules
from tinygraph.op import OPS, Domain, Op
from tinygraph.testing.drawing import REAL, arrays, as_strategy, broadcastable_arrays

Function = Callable[..., Any]


class Call(NamedTuple):
    """What a function is called with."""

    inputs: tuple[Any, ...]
    params: dict[str, Any] = {}  # noqa: RUF012


def op_of(function: Function) -> Op | None:
    """Give the op that a function is, or has in the table."""
    if isinstance(function, Op):
        return function
    rules.import_late(function)
    return OPS.get(function)


def positional_arguments(function: Function) -> list[str]:
    """Give the names of a function's positional arguments; of an op, those of its rule."""
    op = op_of(function)
    return op.signature.positional if op else list(defaults_of(function))


def defaults_of(function: Function) -> dict[str, Any]:
    """Give the names of a function's arguments with their defaults, as far as it tells."""
    try:
        taken = inspect.signature(getattr(function, "function", function)).parameters.values()
    except ValueError:
        return {}
    return {p.name: p.default for p in taken if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def input_count(function: Function) -> int:
    """Count the arguments that a function takes as inputs: those without a default."""
    op = op_of(function)
    if op:
        return op.signature.input_count
    return list(defaults_of(function).values()).count(inspect.Parameter.empty)


def domain_of(function: Function) -> Domain:
    """Give the numbers at which a function is smooth, as far as its op tells."""
    op = op_of(function)
    return op.domain if op else REAL


@st.composite
def calls(draw: st.DrawFn, function: Function, *inputs: Any, **params: Any) -> Call:
    """Draw what to call a function with.

    `inputs` are strategies of its inputs, or one of all of them: of tuples, or of Calls. Without
    any they are arrays that broadcast together, in the domain of the function's op. `params` are
    strategies, or functions that make one of the inputs; those with a default are at times left
    out. What is no strategy stands for itself.
    """
    drawn = [draw(as_strategy(x)) for x in inputs or [default_inputs(function)]]
    call = drawn[0] if isinstance(drawn[0], Call) else Call(tuple(drawn))
    if len(drawn) == 1 and type(drawn[0]) is tuple:
        call = Call(drawn[0])
    chosen = dict(call.params)
    defaults = defaults_of(function)
    for name, x in params.items():
        has_default = defaults.get(name, inspect.Parameter.empty) is not inspect.Parameter.empty
        if not has_default or draw(st.booleans()):
            chosen[name] = draw(as_strategy(x(*call.inputs) if inspect.isfunction(x) else x))
    return Call(call.inputs, chosen)


def default_inputs(function: Function) -> st.SearchStrategy[Any]:
    """Give the strategy of inputs that broadcast together."""
    count = input_count(function)
    op = op_of(function)
    if not count or (op and op.signature.takes_sequence):
        raise TypeError(
            f"cannot tell what {function} takes; pass strategies of its inputs, as in "
            f"check_op(f, arrays(), arrays())"
        )
    domain = domain_of(function)
    return arrays(domain=domain) if count == 1 else broadcastable_arrays(count, domain=domain)
