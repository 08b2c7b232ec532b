"""Op: a forward function, its derivative rule and its name; `op` makes one and registers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from typing import Any

import numpy as np

from tinygraph import buffer
from tinygraph.signature import Signature

Function = Callable[..., Any]
Domain = tuple[float, float]

OPS: dict[Function, Op] = {}
"""The op of every NumPy function that has a rule, by that function."""

COMPOSED: dict[Function, Function] = {}
"""How other NumPy functions of Nodes are written with those that have rules."""

CONSTANT: set[Function] = set()
"""NumPy functions that do not depend smoothly on values: of Nodes they give plain arrays."""

OF_SHAPES: set[Function] = set()
"""NumPy functions that look at shapes and dtypes alone: of Nodes they give plain results."""

INSTEAD: dict[Function, str] = {}
"""What to write instead of NumPy functions that cannot take Nodes, since they write in place."""


class Traced:
    """What an op records instead of computing: the base of Node."""

    __slots__ = ()

    value: Any

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
        self.is_ufunc = isinstance(function, np.ufunc)
        self.__doc__ = function.__doc__

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        for x in inputs:
            if isinstance(x, Traced):
                if len(inputs) != self.signature.input_count:
                    self.signature.check_count(len(inputs), params)
                return x.record(self, inputs, params)
        for param in params.values():
            for x in param if param.__class__ is tuple else (param,):
                if isinstance(x, Traced):
                    return x.record(self, inputs, params)
        return self.forward(*inputs, **params)

    def static_error(self, key: str) -> TypeError:
        """Make the error for a parameter that is a Node."""
        return TypeError(
            f"{self.name}: the parameter {key!r} is a Node; inputs go by position, and parameters "
            f"are static: pass node.value if no gradient is to flow"
        )

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    @cached_property
    def signature(self) -> Signature:
        """How calls name inputs and parameters."""
        return Signature(self.name, self.function, self.rule)


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
    name = getattr(function, "__name__", str(function))
    # Ufuncs may not tell where they are from.
    home = "numpy" if getattr(np, name, None) is function else "scipy.special"
    module = getattr(function, "__module__", None) or home
    return f"{module.replace('numpy', 'np', 1)}.{name}"
