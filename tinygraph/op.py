"""Op: a forward function, its derivative rule and its name; `op` makes one and registers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from typing import Any

import numpy as np

from tinygraph import buffer

Function = Callable[..., Any]
Domain = tuple[float, float]

OPS: dict[Function, Op] = {}
"""The op of every NumPy function that has a rule, by that function."""

COMPOSED: dict[Function, Function] = {}
"""How other NumPy functions of Nodes are written with those that have rules."""

CONSTANT: set[Function] = set()
"""NumPy functions that do not depend smoothly on values: of Nodes they give plain arrays."""


class Traced:
    """What an op records instead of computing: the base of Node."""

    __slots__ = ()

    @staticmethod
    def record(op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any]) -> Any:
        """Make the node of `op` on `inputs`."""
        raise NotImplementedError


class Op:
    """A differentiable function: called on arrays it computes, on Nodes it records.

    `forward(*inputs, **params)` gives the value; `rule(g, out, *inputs, **params)` gives a tuple,
    for every input its gradient, None where there is none, or, where it is costly, a function
    without arguments that computes it. `domain` bounds the inputs on which it is smooth.
    """

    def __init__(
        self, function: Function, forward: Function, rule: Function, name: str, domain: Domain
    ) -> None:
        self.function = function
        self.forward = guarded_forward(forward)
        self.rule = guarded(rule)
        self.name = name
        self.domain = domain
        self.__doc__ = function.__doc__

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        for x in inputs:
            if isinstance(x, Traced):
                if len(inputs) not in self._arities:
                    self._check_count(inputs, params)
                return x.record(self, inputs, params)
        for key, x in params.items():
            if isinstance(x, Traced):
                raise self.static_error(key)
        return self.forward(*inputs, **params)

    def static_error(self, key: str) -> TypeError:
        """Make the error for a parameter that is a Node."""
        return TypeError(
            f"{self.name}: the parameter {key!r} is a Node; inputs go by position, and parameters "
            f"are static: pass node.value if no gradient is to flow"
        )

    def _check_count(self, inputs: tuple[Any, ...], params: Mapping[str, Any]) -> None:
        names = [p.name for p in self._rule_parameters if p.kind is not p.KEYWORD_ONLY]
        expected = len([name for name in names if name not in params])
        if not self._takes_sequence and len(inputs) != expected:
            raise TypeError(
                f"{self.name}: got {len(inputs)} inputs, but its derivative rule takes "
                f"{self._input_count}; parameters go by keyword"
            )

    @cached_property
    def _arities(self) -> range:
        """The numbers of inputs that are right without a look at the parameters."""
        return (
            range(1, 1 << 60)
            if self._takes_sequence
            else range(self._input_count, self._input_count + 1)
        )

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @cached_property
    def _rule_parameters(self) -> list[inspect.Parameter]:
        parameters = list(inspect.signature(self.rule).parameters.values())
        named = [p.kind is not p.VAR_POSITIONAL for p in parameters[:2]]
        return parameters[sum(named) if all(named[:1]) else 0 :]

    @cached_property
    def _takes_sequence(self) -> bool:
        return any(p.kind is p.VAR_POSITIONAL for p in self._rule_parameters)

    @cached_property
    def _input_count(self) -> int:
        if self._takes_sequence:
            return 1
        return sum(
            p.kind is not p.KEYWORD_ONLY and p.default is p.empty for p in self._rule_parameters
        )

    @cached_property
    def _param_names(self) -> list[str]:
        return [p.name for p in self._rule_parameters if p.kind is not p.VAR_POSITIONAL][
            0 if self._takes_sequence else self._input_count :
        ]

    @cached_property
    def _call_defaults(self) -> dict[str, Any]:
        """The parameters of the NumPy function in their order, with their defaults."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except ValueError:
            return dict.fromkeys(["", *[""] * (self._input_count - 1), *self._param_names])
        return {p.name: p.default for p in parameters}

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Tell the inputs of a call in NumPy's form from its parameters."""
        count = self._input_count
        params = dict(kwargs)
        if len(args) != count:
            names = list(self._call_defaults)
            params.update(zip(names[count:], args[count:], strict=False))
            args = (*args[:count], *(params.pop(name) for name in names[len(args) : count]))
        for name in [name for name in params if name not in self._param_names]:
            default = self._call_defaults.get(name, params)
            if params.pop(name) is not default:
                raise TypeError(
                    f"{self.name} of a Node got the argument {name!r}, which its derivative rule "
                    f"does not know; it knows {', '.join(self._param_names) or 'none'}: leave "
                    f"{name!r} out, or give the function another rule with tg.op"
                )
        return (tuple(args[0]) if self._takes_sequence else args), params


def op(
    function: Function,
    *,
    forward: Function | None = None,
    name: str | None = None,
    domain: Domain = (-np.inf, np.inf),
) -> Callable[[Function], Op]:
    """Make a differentiable function of a NumPy or user function by giving its derivative rule.

    The rule is called as rule(g, out, *inputs, **params), with `g` the cotangent of the result
    `out`, and gives a tuple: for every input its gradient, None where there is none, or a function
    without arguments that computes it where that is costly. Written with operators and NumPy
    functions it serves derivatives of any order. It never undoes broadcasting: the engine does.
    A function of NumPy's is registered: plain NumPy on Nodes then finds the rule.

    >>> import numpy as np, tinygraph as tg
    >>> @tg.op(lambda x: x**3, name="cube")
    ... def cube(g, out, x):
    ...     return (g * 3 * x**2,)
    >>> float(tg.grad(cube)(2.0))
    12.0
    """

    def register(rule: Function) -> Op:
        label = name or getattr(function, "__name__", "function").lstrip("_")
        made = Op(function, forward or function, rule, label, domain)
        if is_dispatched(function):
            OPS[function] = made
        return made

    if not callable(function):
        raise TypeError(f"op: expected a function, got {function!r}; write tg.op(forward)(rule)")
    return register


def is_trusted(function: Function) -> bool:
    """Tell whether a function, of NumPy's or ours, is known not to write into its arguments."""
    module = getattr(function, "__module__", None) or "numpy"
    return isinstance(function, np.ufunc) or module.split(".")[0] in ("numpy", "tinygraph")


def guarded(function: Function) -> Function:
    """Give `function` its arrays read-only, unless it is known not to write into them."""
    if is_trusted(function):
        return function

    @wraps(function)
    def careful(*inputs: Any, **params: Any) -> Any:
        views = [buffer.read_only(x) if x.__class__ is np.ndarray else x for x in inputs]
        return function(*views, **params)

    return careful


def guarded_forward(function: Function) -> Function:
    """Guard `function`, and copy a result that somebody else holds, an argument for one."""
    if is_trusted(function):
        return function
    careful = guarded(function)

    @wraps(function)
    def forward(*inputs: Any, **params: Any) -> Any:
        value = careful(*inputs, **params)
        is_array = value.__class__ is np.ndarray
        if is_array and (value.base is not None or buffer.is_shared(value)):
            return np.array(value)
        return value

    return forward


def composed(function: Function) -> Callable[[Function], Function]:
    """Register how a NumPy function of Nodes is written with functions that have rules."""

    def register(written: Function) -> Function:
        COMPOSED[function] = written
        return written

    return register


def is_dispatched(function: Function) -> bool:
    """Tell whether NumPy's protocols hand calls of `function` on Nodes over to tinygraph."""
    return isinstance(function, np.ufunc | type(np.sum))


def describe(function: Function) -> str:
    """Give a NumPy function's name as users write it."""
    module = (getattr(function, "__module__", None) or "numpy").replace("numpy", "np", 1)
    return f"{module}.{getattr(function, '__name__', function)}"
