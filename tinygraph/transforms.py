"""Functions of functions: vjp, grad, value_and_grad. They nest."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from tinygraph import engine
from tinygraph.node import Node, next_stamp
from tinygraph.rules.shape import identity
from tinygraph.state import get_state, recording
from tinygraph.tree import flatten, flatten_like

Function = Callable[..., Any]


def variable(x: Any) -> Node:
    """Give a fresh node to differentiate by, which an outer derivative sees through."""
    if isinstance(x, Node):
        alias: Node = identity(x) if x.requires_grad else Node(x.value)
        return alias
    return Node(x)


def vjp(f: Function, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Give f(*primals) and its pullback, from a cotangent of the result to one of each primal.

    Primals and result are arrays or nested tuples, lists and dicts of arrays; the pullback takes
    a cotangent of the result's structure and shapes. It may be called many times. Where Nodes of
    an outer derivative take part, result and gradients are Nodes, so derivatives nest.

    >>> import numpy as np, tinygraph as tg
    >>> out, pullback = tg.vjp(np.sin, np.array([0.0, 1.0]))
    >>> pullback(np.array([1.0, 0.0]))
    (array([1., 0.]),)
    """
    outer_records = get_state().recording
    leaves, rebuild = flatten(primals)
    with recording():
        variables = [variable(leaf) for leaf in leaves]
        # What is older than the variables cannot depend on them; f may give them newer stamps.
        since = min((x.stamp for x in variables), default=next_stamp())
        out = f(*rebuild(iter(variables)))
    out_leaves, rebuild_out = flatten(out)
    outputs = [leaf for leaf in out_leaves if isinstance(leaf, Node) and leaf.requires_grad]
    order = engine.topological_order(outputs, since)
    nested = outer_records and any(x.requires_grad and x.stamp < since for x in order)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        cotangents = flatten_like(out, cotangent, "cotangent")
        create_graph = nested or any(isinstance(c, Node) for c in cotangents)
        seeds: dict[Node, Any] = {}
        for leaf, g in zip(out_leaves, cotangents, strict=True):
            if isinstance(leaf, Node) and leaf.requires_grad:
                g = engine.as_cotangent(g, leaf)
                seeds[leaf] = seeds[leaf] + g if leaf in seeds else g
        gradients = engine.backward(seeds, set(variables), create_graph, since)
        parts = [give_gradient(gradients.get(x), x) for x in variables]
        result: tuple[Any, ...] = rebuild(iter(parts))
        return result

    return rebuild_out(
        iter([leaf if nested else give_value(leaf) for leaf in out_leaves])
    ), pullback


def give_value(x: Any) -> Any:
    """Give a result's value outside the graph."""
    if not isinstance(x, Node):
        return x
    return np.array(x._value) if isinstance(x._value, np.ndarray) else x._value


def give_gradient(gradient: Any, x: Node) -> Any:
    """Give the gradient of `x` as an array that the caller owns, zeros where there is none."""
    if gradient is None:
        return np.zeros(x.shape, x.dtype)
    return gradient if isinstance(gradient, Node) else np.array(gradient)


def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """Make a function that gives f(*args) and its gradient by the arguments at `argnums`.

    Arguments are arrays or nested tuples, lists and dicts of arrays, floating or complex; a
    gradient has its argument's structure, shapes and dtypes. With several `argnums` it is a tuple.
    The gradient by complex arguments follows JAX: of f = u(a + ib) it is du/da - i du/db.

    >>> import numpy as np, tinygraph as tg
    >>> value, gradient = tg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 3.0]))
    >>> float(value), gradient
    (10.0, array([2., 6.]))
    """
    several = isinstance(argnums, tuple)
    numbers: tuple[int, ...] = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"grad: argnums is an int or a tuple of ints, got {argnums!r}")

    @wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        for number in numbers:
            if not -len(args) <= number < len(args):
                raise TypeError(
                    f"grad: argnums names argument {number}, but {name_of(f)} got {len(args)} "
                    f"positional arguments; pass it by position"
                )
        if len({number % len(args) for number in numbers}) < len(numbers):
            raise ValueError(f"grad: argnums {argnums} names one argument twice; name it once")

        def of_chosen(*chosen: Any) -> Any:
            full = list(args)
            for number, argument in zip(numbers, chosen, strict=True):
                full[number] = argument
            return f(*full, **kwargs)

        value, pullback = vjp(of_chosen, *(args[number] for number in numbers))
        gradients = pullback(one_for(value, f))
        return value, gradients if several else gradients[0]

    return differentiated


def one_for(value: Any, f: Function) -> Any:
    """Give the cotangent 1 of a scalar result, and refuse any other."""
    is_number = isinstance(value, Node | np.ndarray | np.generic | int | float | complex)
    if not is_number or np.size(value) != 1:
        got = f"shape {np.shape(value)}" if hasattr(value, "shape") else type(value).__name__
        raise TypeError(f"grad: {name_of(f)} gave {got}, expected one number; sum it, or use vjp")
    if np.iscomplexobj(value):
        raise TypeError(
            f"grad: {name_of(f)} gave a complex number, which has no one gradient; "
            f"take its real part, or use vjp"
        )
    return np.ones(np.shape(value), getattr(value, "dtype", float))


def name_of(f: Function) -> str:
    """Give a function's name for messages."""
    return str(getattr(f, "__name__", f))


def grad(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """Make a function that gives the gradient of `f` by the arguments at `argnums`.

    See `value_and_grad`. It nests for higher derivatives.

    >>> import numpy as np, tinygraph as tg
    >>> third = tg.grad(tg.grad(tg.grad(np.sin)))
    >>> round(float(third(0.0)), 12)
    -1.0
    """
    both = value_and_grad(f, argnums)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient
