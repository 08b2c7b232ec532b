"""Which arguments of a call are inputs and which parameters, as the derivative rule names them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, NoReturn


class Signature:
    """The inputs and parameters of an op: what its rule takes after `g` and `out`.

    Inputs are positional and have no default; a rule with *arrays belongs to a function that takes
    a sequence of them. The rest are parameters, and have the defaults of the function itself; a
    rule with **params takes all that the function has.
    """

    def __init__(self, name: str, function: Callable[..., Any], rule: Callable[..., Any]) -> None:
        taken = list(inspect.signature(rule).parameters.values())
        taken = taken[2:] if all(p.kind is not p.VAR_POSITIONAL for p in taken[:2]) else taken
        self.name = name
        self.function = function
        self.takes_sequence = any(p.kind is p.VAR_POSITIONAL for p in taken)
        self.positional = [p.name for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD]
        takes_all = any(p.kind is p.VAR_KEYWORD for p in taken)
        named = [p for p in taken if p.kind is not p.VAR_KEYWORD]
        inputs = [p for p in named if p.kind is not p.KEYWORD_ONLY and p.default is p.empty]
        self.input_count = 1 if self.takes_sequence else len(inputs)
        self.parameters = [p.name for p in named if p not in inputs]
        if takes_all:
            self.parameters += list(self.defaults)[self.input_count :]

    def check_count(self, got: int, params: Collection[str]) -> None:
        """Refuse another number of inputs than the rule takes beside `params`."""
        expected = len([name for name in self.positional if name not in params])
        if not self.takes_sequence and got != expected:
            raise TypeError(
                f"{self.name}: got {got} inputs, but its derivative rule takes {self.input_count}; "
                f"parameters go by keyword"
            )

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the inputs, and the parameters that are no defaults, of a call of the function."""
        count = self.input_count
        defaults = self.defaults
        if len(args) > count:
            kwargs = {**kwargs, **dict(zip(self.names[count:], args[count:], strict=False))}
            args = args[:count]
        elif len(args) < count:
            kwargs = dict(kwargs)
            args = (*args, *(kwargs.pop(name) for name in self.names[len(args) : count]))
        params = {}
        for name, x in kwargs.items():
            if x is not defaults.get(name, self):
                if name not in self.parameters:
                    refuse_argument(self.name, name, self.parameters)
                params[name] = x
        return (tuple(args[0]) if self.takes_sequence else args), params

    @cached_property
    def names(self) -> list[str]:
        """Give the names of the function's arguments in their order."""
        return list(self.defaults)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Give the names of the function's arguments in their order, with their defaults."""
        try:
            arguments = inspect.signature(self.function).parameters.values()
        except ValueError:
            # A function in C may not tell; its rule then lists the parameters in their order.
            unnamed = [f"input {number}" for number in range(self.input_count)]
            return dict.fromkeys([*unnamed, *self.parameters], self)
        return {p.name: p.default for p in arguments}


def refuse_argument(function_name: str, name: str, known: Collection[str]) -> NoReturn:
    """Refuse an argument that a derivative rule does not know."""
    if name == "out":
        refuse_out(function_name)
    raise TypeError(
        f"{function_name} of a Node got the argument {name!r}, which its derivative rule does not "
        f"know; it knows {', '.join(known) or 'none'}: leave {name!r} out, or give the function "
        f"another rule with tg.op"
    )


def refuse_out(function_name: str) -> NoReturn:
    """Refuse to write the result of a function of Nodes into an array."""
    raise TypeError(
        f"{function_name} with out=: results of Nodes are Nodes and cannot be written into an "
        f"array; write result = np.{function_name}(...), and a = a + node instead of a += node"
    )


def refuse_unknown_arguments(
    function: Callable[..., Any],
    written: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    """Refuse arguments of NumPy's `function` which what is `written` for Nodes does not take."""
    known = inspect.signature(written).parameters
    try:
        inspect.signature(written).bind(*args, **kwargs)
    except TypeError:
        try:
            given = inspect.signature(function).bind(*args, **kwargs).arguments
        except (TypeError, ValueError):
            return
        for name in (*kwargs, *given):
            if name not in known:
                refuse_argument(function.__name__, name, known)
