"""Activation functions of the network's layers, and the way to write one's own."""

from __future__ import annotations

from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

import tinygraph as tg
from tinygraph import nn
from tinygraph.gradcheck import gradcheck

__all__ = [
    "Activation",
    "Elu",
    "Identity",
    "LeakyRelu",
    "Relu",
    "Sigmoid",
    "Softplus",
    "Tanh",
]


class Activation:
    """A function of every element: a subclass gives `result`, and may give its derivative `prime`.

    Without `prime`, `result` is written in NumPy functions and is differentiated. A `prime` that
    is given is the derivative that training uses; `check` compares the two. Numbers that a
    subclass keeps as attributes are saved with the network.

    >>> class Cube(Activation):
    ...     def result(self, x):
    ...         return x**3
    >>> float(Cube().prime(np.array(2.0)))
    12.0
    """

    def result(self, x: Any) -> Any:
        """Give the function's values at `x`, an array or a Node."""
        raise NotImplementedError(f"{type(self).__name__} has to define result(self, x)")

    def prime(self, x: Any) -> Any:
        """Give the derivative at every element of `x`."""
        values, pullback = tg.vjp(self.result, x)
        return pullback(np.ones(np.shape(values), values.dtype))[0]

    def __call__(self, x: Any) -> Any:
        """Give the values at `x` as graph, with the derivative that training uses."""
        return self._with_own_prime(x) if self._gives_prime else self.result(x)

    @property
    def _gives_prime(self) -> bool:
        return getattr(self.prime, "__func__", self.prime) is not Activation.prime

    @cached_property
    def _with_own_prime(self) -> Any:
        def rule(g: Any, out: Any, x: Any) -> tuple[Any]:
            return (g * self.prime(x),)

        return tg.op(self.result, name=type(self).__name__)(rule)

    def check(self, points: Any = None) -> None:
        """Raise tg.GradientError unless the derivative in use agrees with finite differences.

        `points` are arrays of places to compare at; 40 between -4 and 4, away from 0, by default.
        """
        points = np.linspace(-4, 4, 40) if points is None else points
        gradcheck(self, np.asarray(points, dtype=float))

    def parameters(self) -> dict[str, float]:
        """Give the numbers that make this activation, by name."""
        return numbers_of(self)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{key}={x}" for key, x in self.parameters().items())
        return f"{type(self).__name__}({numbers})"


class Sigmoid(Activation):
    """1 / (1 + exp(-x)), without overflow."""

    def result(self, x: Any) -> Any:
        return nn.sigmoid(x)


class Relu(Activation):
    """max(x, 0), with derivative 0 at 0."""

    def result(self, x: Any) -> Any:
        return nn.relu(x)


class Tanh(Activation):
    """The hyperbolic tangent."""

    def result(self, x: Any) -> Any:
        return np.tanh(x)


class LeakyRelu(Activation):
    """x where it is positive, else slope * x."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = float(slope)

    def result(self, x: Any) -> Any:
        return nn.leaky_relu(x, slope=self.slope)


class Elu(Activation):
    """x where it is positive, else alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = float(alpha)

    def result(self, x: Any) -> Any:
        return nn.elu(x, alpha=self.alpha)


class Softplus(Activation):
    """log(1 + exp(x))."""

    def result(self, x: Any) -> Any:
        return nn.softplus(x)


class Identity(Activation):
    """x itself."""

    def result(self, x: Any) -> Any:
        return x


KNOWN = {cls.__name__: cls for cls in (Sigmoid, Relu, Tanh, LeakyRelu, Elu, Softplus, Identity)}


def make_activation(given: Any) -> Activation:
    """Give an activation from an instance, a class or the name of a known one."""
    if isinstance(given, str):
        names = {name.lower(): cls for name, cls in KNOWN.items()}
        key = given.lower().replace("_", "")
        if key not in names:
            raise ValueError(f"unknown activation {given!r}; expected one of {', '.join(KNOWN)}")
        given = names[key]
    if isinstance(given, type):
        given = given()
    result = getattr(given, "result", None)
    if not callable(result) or getattr(result, "__func__", None) is Activation.result:
        raise TypeError(
            f"activation {given!r}: expected an Activation with result(x), its class, or one of "
            f"the names {', '.join(KNOWN)}"
        )
    return given if isinstance(given, Activation) else _adopt(given)


def numbers_of(x: Any) -> dict[str, float]:
    """Give the numbers among an object's attributes, as Python's own."""
    return {
        name: number.item() if isinstance(number, np.generic) else number
        for name, number in getattr(x, "__dict__", {}).items()
        if isinstance(number, Real)
    }


def _adopt(other: Any) -> Activation:
    """Wrap an object that has result(x), and perhaps prime(x), but is no Activation."""
    members = {
        "result": staticmethod(other.result),
        "parameters": lambda self: numbers_of(other),
    }
    if callable(getattr(other, "prime", None)):
        members["prime"] = staticmethod(other.prime)
    cls = type(type(other).__name__, (Activation,), members)
    return cls()
