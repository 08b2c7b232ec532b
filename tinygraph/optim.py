"""Optimisers: they move leaves against their gradients, by PyTorch's mathematics.

A learning rate is a number, or a schedule: a function from the step number, counted from 0.

>>> import numpy as np, tinygraph as tg
>>> x = tg.Node([3.0, -2.0])
>>> optimizer = SGD([x], cosine(0.2, steps=100))
>>> for _ in range(100):
...     optimizer.zero_grad()
...     np.sum(x * x).backward()
...     optimizer.step()
>>> bool(np.all(np.abs(x.value) < 1e-6))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from tinygraph.buffer import Array
from tinygraph.node import Node, next_stamp
from tinygraph.state import get_state

Schedule = Callable[[int], float]
Rate = float | Schedule
Parameters = Iterable[Node | Mapping[str, Any]]


def constant(rate: float) -> Schedule:
    """Give the schedule that is always `rate`."""
    rate = _number("rate", rate)
    return lambda number: rate


def step(rate: float, every: int, factor: float) -> Schedule:
    """Give the schedule that starts at `rate` and takes it times `factor` after `every` steps."""
    rate, factor = _number("rate", rate), _number("factor", factor)
    _number("every", every, least=1)
    return lambda number: rate * factor ** (number // every)


def cosine(rate: float, steps: int, final: float = 0.0) -> Schedule:
    """Give the schedule that falls from `rate` to `final` in `steps` steps, along half a cosine."""
    rate, final = _number("rate", rate), _number("final", final)
    _number("steps", steps, least=1)
    middle, amplitude = (rate + final) / 2, (rate - final) / 2
    return lambda number: middle + amplitude * math.cos(math.pi * min(number / steps, 1))


def warm_up(schedule: Rate, steps: int) -> Schedule:
    """Give `schedule` times 1/steps, 2/steps, ... in its first `steps` steps, then as it is."""
    schedule = _rate("schedule", schedule)
    _number("steps", steps, least=1)
    return lambda number: _rate_at(schedule, number) * min((number + 1) / steps, 1)


class Parameter:
    """A leaf with its options, and what is remembered of its steps: leaves too."""

    __slots__ = ("node", "options", "state", "steps")

    def __init__(self, node: Node, options: dict[str, Any], state_names: Iterable[str]) -> None:
        self.node = node
        self.options = options
        self.steps = 0
        zeros = np.zeros_like(_as_real(node._value))
        self.state = {name: Node(zeros, False, f"{name} {node.name}") for name in state_names}

    def describe(self) -> str:
        """Name the leaf, with its shape and dtype."""
        return f"{self.node._describe()} and dtype {self.node.dtype}"


class Optimizer:
    """Own the parameters and take the steps, of which a subclass gives the `direction`.

    `parameters` are leaves that require gradients, or groups of them: dicts {"parameters": leaves,
    "weight_decay": 1e-4, ...} of which each further entry stands in for the argument of its name.
    """

    state_names: tuple[str, ...] = ()
    """The arrays that a parameter's state begins with, zeros; "velocity" only with momentum."""

    decoupled = False
    """Whether weight decay is added to the direction instead of the gradient."""

    def __init__(self, parameters: Parameters, learning_rate: Rate, **options: Any) -> None:
        self._learning_rate = _rate("learning_rate", learning_rate)
        self._steps = 0
        self._parameters: list[Parameter] = []
        for group in [parameters] if isinstance(parameters, Node | Mapping) else parameters:
            nodes, own = _checked_group(group, {"learning_rate": None, **options})
            names = [x for x in self.state_names if x != "velocity" or own["momentum"]]
            self._parameters += [Parameter(node, own, names) for node in nodes]
        if not self._parameters:
            raise ValueError("parameters: expected at least one Node, got none")
        if len({x.node for x in self._parameters}) < len(self._parameters):
            raise ValueError("parameters: expected every Node once, got one of them twice")

    def numbers(self, parameter: Parameter) -> tuple[float, ...]:
        """Give the numbers beside the options that the step from `parameter.steps` depends on."""
        return ()

    def direction(
        self, gradient: Any, state: dict[str, Any], options: Mapping[str, Any], *numbers: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Give what, times the rate, a value is lowered by, and the new state.

        Written with operators and NumPy's functions, it serves arrays, and Nodes for `compile`.
        The arrays are real, also of complex values.
        """
        raise NotImplementedError

    @property
    def learning_rate(self) -> float:
        """The rate of the next step, in groups without their own; assign a number or a schedule."""
        tape = get_state().tape
        if tape is not None:
            tape.refuse("the learning rate")
        return self._rate_now(self._learning_rate)

    @learning_rate.setter
    def learning_rate(self, rate: Rate) -> None:
        self._learning_rate = _rate("learning_rate", rate)

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self._parameters:
            parameter.node.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient; arrays that others hold stay as they are.

        Raises ValueError, and changes nothing, if no parameter has one, or if one differs from its
        parameter in shape or dtype.
        """
        moved = [x for x in self._parameters if x.node.grad is not None]
        if not moved:
            raise ValueError("step: the grad of every parameter is None; call backward() first")
        gradients = [_gradient_of(x) for x in moved]
        tape = get_state().tape
        if tape is not None:
            for parameter, gradient in zip(moved, gradients, strict=True):
                if parameter in tape.stepped and self._depends_on_step(parameter):
                    raise ValueError(
                        "step: a second step in one call of a compiled function, whose numbers "
                        "(a schedule's rate, the averages' correction) are those of the first; "
                        "compile a function that takes one step"
                    )
                self._record(tape, parameter, gradient)
                tape.stepped.add(parameter)
            tape.afterwards.append(lambda: self._advance(moved))
            return
        rate = self.learning_rate
        numbers = [(self._rate_of(x, rate), *self.numbers(x)) for x in moved]
        for parameter, gradient, of_step in zip(moved, gradients, numbers, strict=True):
            self._move(parameter, gradient, of_step)
        self._advance(moved)

    def _advance(self, moved: list[Parameter]) -> None:
        self._steps += 1
        for parameter in moved:
            parameter.steps += 1

    def _depends_on_step(self, parameter: Parameter) -> bool:
        rates = self._learning_rate, parameter.options["learning_rate"]
        return any(map(callable, rates)) or bool(self.numbers(parameter))

    def _number(self, parameter: Parameter, position: int) -> float:
        return self.numbers(parameter)[position]

    def _common_rate(self) -> float:
        return self.learning_rate

    def _rate_of(self, parameter: Parameter, common: float) -> float:
        own_rate = parameter.options["learning_rate"]
        return common if own_rate is None else self._rate_now(own_rate)

    def _rate_now(self, rate: Rate) -> float:
        return _rate_at(rate, self._steps)

    def _next(
        self,
        value: Any,
        gradient: Any,
        state: dict[str, Any],
        options: Mapping[str, Any],
        rate: Any,
        *numbers: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """Give the value after a step, and the state."""
        decay = options["weight_decay"]
        if decay and not self.decoupled:
            gradient = gradient + value * decay
        direction, state = self.direction(gradient, state, options, *numbers)
        if decay and self.decoupled:
            direction = direction + value * decay
        change = direction * rate
        if change.__class__ is np.ndarray:
            return np.subtract(value, change, out=change), state
        return value - change, state

    def _move(self, parameter: Parameter, gradient: Array, numbers: tuple[float, ...]) -> None:
        node, value = parameter.node, parameter.node._value
        state: dict[str, Any] = {}
        if parameter.state:
            state = {name: x._value for name, x in parameter.state.items()}
        is_complex = value.dtype.kind == "c"
        if is_complex:
            # The gradient is df/da - i df/db at a + ib: the conjugate of the steepest ascent.
            value, gradient = _as_real(value), _as_real(np.conjugate(gradient))
        new, state = self._next(value, gradient, state, parameter.options, *numbers)
        _set(node, new.view(node.dtype).reshape(node.shape) if is_complex else new)
        for name, array in state.items():
            _set(parameter.state[name], array)

    def _record(self, tape: Any, parameter: Parameter, gradient: Any) -> None:
        """Write the step of a leaf down on the tape of `compile`."""
        node = parameter.node
        if not isinstance(gradient, Node):
            raise TypeError(
                f"compile: {parameter.describe()} has a gradient from outside of the function, "
                f"which would not change from call to call; call backward() inside, too"
            )
        if node.dtype.kind == "c":
            raise TypeError(f"compile: {parameter.describe()} is complex; its steps run eagerly")
        own_rate = parameter.options["learning_rate"]
        rate_of = self._common_rate if own_rate is None else partial(self._rate_now, own_rate)
        rate = tape.number(rate_of, node.dtype, "learning rate")
        count = len(self.numbers(parameter))
        numbers = [
            tape.number(partial(self._number, parameter, i), node.dtype, f"number {i}")
            for i in range(count)
        ]
        new, state = self._next(node, gradient, parameter.state, parameter.options, rate, *numbers)
        tape.write(node, new)
        for name, x in state.items():
            tape.write(parameter.state[name], x)

    def state_dict(self) -> dict[str, Any]:
        """Give a copy of all that training goes on from, as a tree that `tinygraph.save` takes.

        A learning rate that is a number is in it; schedules and other options are not.
        """
        rate = self._learning_rate
        return {
            "optimizer": type(self).__name__,
            "learning_rate": "a schedule" if callable(rate) else rate,
            "steps": self._steps,
            "parameters": [
                {
                    "parameter": x.describe(),
                    "steps": x.steps,
                    "state": {name: np.array(y.value) for name, y in x.state.items()},
                }
                for x in self._parameters
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, in an optimiser that was made like the one saved.

        Raises ValueError, and changes nothing, if it is of another optimiser, another kind of
        learning rate, or parameters of other names, shapes or dtypes, or if its arrays are.
        """
        _check_like(state, self.state_dict(), "state")
        if not callable(self._learning_rate):
            self.learning_rate = state["learning_rate"]
        self._steps = state["steps"]
        for parameter, saved in zip(self._parameters, state["parameters"], strict=True):
            parameter.steps = saved["steps"]
            for name, x in parameter.state.items():
                _set(x, np.array(saved["state"][name]))


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, Nesterov's if asked for."""

    state_names = ("velocity",)

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: Rate,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(parameters, learning_rate, **options)

    def direction(
        self, gradient: Any, state: dict[str, Any], options: Mapping[str, Any], *numbers: Any
    ) -> tuple[Any, dict[str, Any]]:
        momentum = options["momentum"]
        if not momentum:
            return gradient, state
        velocity = state["velocity"] * momentum + gradient
        step = velocity * momentum + gradient if options["nesterov"] else velocity
        return step, {"velocity": velocity}


class Adam(Optimizer):
    """The mean gradient over the root of the mean square (Kingma and Ba 2015)."""

    state_names = ("mean", "square")

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"betas": betas, "epsilon": epsilon, "weight_decay": weight_decay}
        super().__init__(parameters, learning_rate, **options)

    def numbers(self, parameter: Parameter) -> tuple[float, ...]:
        """Give the corrections of the averages, which start from zero."""
        beta, square_beta = parameter.options["betas"]
        steps = parameter.steps + 1
        bias = 1 - beta**steps
        return bias / math.sqrt(1 - square_beta**steps), bias * parameter.options["epsilon"]

    def direction(
        self, gradient: Any, state: dict[str, Any], options: Mapping[str, Any], *numbers: Any
    ) -> tuple[Any, dict[str, Any]]:
        (beta, square_beta), (scale, epsilon) = options["betas"], numbers
        mean = state["mean"] * beta + gradient * (1 - beta)
        square = state["square"] * square_beta + np.square(gradient) * (1 - square_beta)
        step = mean / (np.sqrt(square) * scale + epsilon)
        return step, {"mean": mean, "square": square}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    decoupled = True

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: Rate = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(
            parameters, learning_rate, betas=betas, epsilon=epsilon, weight_decay=weight_decay
        )


class RMSprop(Optimizer):
    """The gradient over the root of its mean square (Hinton 2012)."""

    state_names = ("square", "velocity")

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: Rate = 1e-2,
        *,
        decay: float = 0.99,
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"decay": decay, "epsilon": epsilon, "momentum": momentum}
        super().__init__(parameters, learning_rate, weight_decay=weight_decay, **options)

    def direction(
        self, gradient: Any, state: dict[str, Any], options: Mapping[str, Any], *numbers: Any
    ) -> tuple[Any, dict[str, Any]]:
        decay, momentum = options["decay"], options["momentum"]
        square = state["square"] * decay + np.square(gradient) * (1 - decay)
        step = gradient / (np.sqrt(square) + options["epsilon"])
        if not momentum:
            return step, {"square": square}
        velocity = state["velocity"] * momentum + step
        return velocity, {"square": square, "velocity": velocity}


def _set(node: Node, array: Array) -> None:
    node._value = array
    node.stamp = next_stamp()


def _as_real(array: Any) -> Array:
    """View complex numbers as pairs of real ones, on a last axis of their own."""
    real: Array = np.asarray(array)
    if real.dtype.kind == "c":
        real = real[..., np.newaxis].view(real.real.dtype)
    return real


def _rate_at(rate: Rate, number: int) -> float:
    return _number(f"learning rate of step {number}", rate(number)) if callable(rate) else rate


def _rate(name: str, x: Any) -> Rate:
    return x if callable(x) else _number(name, x)


def _number(name: str, x: Any, least: float = 0, below: float = math.inf) -> float:
    if not isinstance(x, Real):
        raise TypeError(f"{name}: expected a number, got {type(x).__name__}")
    number = float(x)
    if not least <= number < below:
        raise ValueError(f"{name}: expected a number from {least} to below {below}, got {x}")
    return number


def _checked_group(group: Any, defaults: dict[str, Any]) -> tuple[list[Node], dict[str, Any]]:
    """Give the leaves of a group, which may be one Node, and their options."""
    if not isinstance(group, Mapping):
        group = {"parameters": [group]}
    if "parameters" not in group or not group.keys() <= {"parameters", *defaults}:
        raise ValueError(
            f"parameters: expected groups of 'parameters' and any of {list(defaults)}, "
            f"got one of {list(group)}"
        )
    options = {name: _checked_option(name, x) for name, x in {**defaults, **group}.items()}
    if options.get("nesterov") and not options["momentum"]:
        raise ValueError("nesterov: expected a momentum above 0 with it, got 0")
    return options.pop("parameters"), options


def _checked_option(name: str, x: Any) -> Any:
    match name:
        case "parameters":
            return [_checked_leaf(node) for node in ([x] if isinstance(x, Node) else x)]
        case "learning_rate":
            return x if x is None else _rate(name, x)
        case "nesterov":
            return bool(x)
        case "decay":
            return _number(name, x, below=1)
        case "betas":
            if not isinstance(x, list | tuple) or len(x) != 2:
                raise ValueError(f"betas: expected two numbers, got {x!r}")
            return [_number(name, beta, below=1) for beta in x]
    return _number(name, x)


def _checked_leaf(x: Any) -> Node:
    if not isinstance(x, Node):
        raise TypeError(f"parameters: expected Nodes, got {type(x).__name__}; write Node(array)")
    if x.op is not None or not x.requires_grad:
        raise ValueError(
            f"parameters: expected leaves that require gradients, got {x._describe()} with "
            f"requires_grad={x.requires_grad}; make leaves with Node(array)"
        )
    return x


_arrays = (np.ndarray, np.generic)


def _gradient_of(parameter: Parameter) -> Any:
    """Give the gradient of a leaf as an array, refused where it does not fit."""
    gradient, value = parameter.node.grad, parameter.node._value
    if gradient.__class__ is Node:
        if get_state().tape is not None:
            return gradient
        gradient = gradient._value
    if (
        not isinstance(gradient, _arrays)
        or gradient.dtype != value.dtype
        or gradient.shape != value.shape
    ):
        raise ValueError(
            f"step: the grad of {parameter.describe()} is {_describe(gradient)}; expected an array "
            f"of the parameter's shape and dtype"
        )
    return gradient


def _check_like(got: Any, expected: Any, path: str) -> None:
    """Refuse a tree of other names, texts, types, shapes or dtypes than those of `expected`."""
    if _describe(got) != _describe(expected):
        raise ValueError(
            f"load_state_dict: {path} is {_describe(got)}, expected {_describe(expected)}; load "
            f"the state of an optimiser that was made in the same way"
        )
    if isinstance(expected, dict | list):
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            _check_like(got[key], expected[key], f"{path}[{key!r}]")


def _describe(x: Any) -> str:
    if isinstance(x, np.ndarray | np.generic):
        return f"an array of shape {x.shape} and dtype {x.dtype}"
    if isinstance(x, dict):
        return f"a dict of {sorted(map(str, x))}"
    if isinstance(x, list):
        return f"a list of {len(x)}"
    return repr(x) if isinstance(x, str) else f"of type {type(x).__name__}"
