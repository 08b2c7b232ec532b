"""Functions of functions: vjp, jvp, grad, hvp and their kin. They nest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any

import numpy as np

from tinygraph import engine
from tinygraph.node import Node, next_stamp
from tinygraph.rules.shape import identity, stopped
from tinygraph.state import get_state, recording
from tinygraph.tree import flatten, flatten_like, map_tree, paths

Function = Callable[..., Any]
Walk = Callable[..., dict[Node, Any]]


def variable(x: Any, path: str) -> Node:
    """Give a fresh node to differentiate by, which an outer derivative sees through."""
    if isinstance(x, Node):
        alias: Node = identity(x) if x.requires_grad else Node(x.value)
        return alias
    try:
        return Node(x)
    except (TypeError, ValueError) as error:
        error.add_note(f"as {path}, to be differentiated by")
        raise


def is_variable(x: Any) -> bool:
    """Tell whether gradients flow through `x`."""
    return isinstance(x, Node) and x.requires_grad


class Trace:
    """A call f(*primals), recorded on fresh variables, and the way back through it."""

    def __init__(self, f: Function, primals: tuple[Any, ...], has_aux: bool = False) -> None:
        outer_records = get_state().recording
        leaves, self.rebuild = flatten(primals)
        with recording():
            names = paths(primals, "primal")
            self.variables = [variable(*pair) for pair in zip(leaves, names, strict=True)]
            # What is older than the variables cannot depend on them; f may give them newer stamps.
            self.since = min((x.stamp for x in self.variables), default=next_stamp())
            out = f(*self.rebuild(iter(self.variables)))
        self.out: Any = out
        self.aux: Any = None
        if has_aux:
            self.out, self.aux = split_aux(out, f)
        self.out_leaves, self.rebuild_out = flatten(self.out)
        self.outputs = [x for x in self.out_leaves if is_variable(x)]
        self.order = engine.topological_order(self.outputs, self.since)
        older = (x.requires_grad and x.stamp < self.since for x in self.order)
        # What compile records depends on its arguments in other ways than through gradients.
        is_taped = get_state().tape is not None
        self.nested = is_taped or (outer_records and any(older))

    def give(self, x: Any) -> Any:
        """Give a result as an outer derivative, where there is one, or the caller gets it."""
        return x if self.nested else give_value(x)

    def seeds(self, cotangent: Any) -> dict[Node, Any]:
        """Give the cotangent of every output node."""
        seeds: dict[Node, Any] = {}
        cotangents = flatten_like(self.out, cotangent, "cotangent")
        for leaf, g in zip(self.out_leaves, cotangents, strict=True):
            if is_variable(leaf):
                g = engine.as_cotangent(g, leaf)
                seeds[leaf] = seeds[leaf] + g if leaf in seeds else g
        return seeds

    def pull(self, seeds: dict[Node, Any], wrt: Collection[Node], walk: Walk) -> dict[Node, Any]:
        """Give the gradients of `wrt`, nodes of the graph, from the cotangents of outputs."""
        create_graph = self.nested or any(isinstance(g, Node) for g in seeds.values())
        return walk(seeds, set(wrt), create_graph, self.since)

    def pushforward(self) -> Callable[[list[Any], Walk], list[Any]]:
        """Give the function from tangents of the variables to tangents of the output leaves.

        A pullback is linear in its cotangent, and its own pullback is the pushforward of `f`:
        forward mode needs no rules of its own. (J. Townsend, "A new trick for calculating
        Jacobian vector products", 2017.) None stands for a tangent of zeros.
        """
        with recording():
            cotangents = {x: Node(np.zeros(x.shape, x.dtype)) for x in dict.fromkeys(self.outputs)}
            since = min((g.stamp for g in cotangents.values()), default=next_stamp())
            pulled = engine.backward(dict(cotangents), set(self.variables), True, self.since)

        def push(tangents: list[Any], walk: Walk) -> list[Any]:
            seeds: dict[Node, Any] = {}
            for x, tangent in zip(self.variables, tangents, strict=True):
                y = pulled.get(x)
                if isinstance(y, Node) and tangent is not None:
                    seeds[y] = seeds[y] + tangent if y in seeds else tangent
            create_graph = self.nested or any(isinstance(t, Node) for t in tangents)
            pushed = walk(seeds, set(cotangents.values()), create_graph, since)
            leaves = [cotangents[x] if is_variable(x) else None for x in self.out_leaves]
            return [None if x is None else pushed.get(x) for x in leaves]

        return push


def split_aux(out: Any, f: Function) -> tuple[Any, Any]:
    """Give the two parts of what a function with auxiliary output gave."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"has_aux: {name_of(f)} gave {type(out).__name__}, expected a tuple (value, aux)"
        )
    return out[0], out[1]


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> Any:
    """Give f(*primals) and its pullback, from a cotangent of the result to one of each primal.

    Primals and result are arrays or nested tuples, lists and dicts of arrays; the pullback takes
    a cotangent of the result's structure and shapes. It may be called many times. Where Nodes of
    an outer derivative take part, result and gradients are Nodes, so derivatives nest. With
    `has_aux` f gives a tuple (result, aux), and vjp gives (result, pullback, aux).

    >>> import numpy as np, tinygraph as tg
    >>> out, pullback = tg.vjp(np.sin, np.array([0.0, 1.0]))
    >>> pullback(np.array([1.0, 0.0]))
    (array([1., 0.]),)
    """
    trace = Trace(f, primals, has_aux)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        seeds = trace.seeds(cotangent)
        gradients = trace.pull(seeds, trace.variables, engine.backward)
        parts = [give_gradient(gradients.get(x), x) for x in trace.variables]
        result: tuple[Any, ...] = trace.rebuild(iter(parts))
        return result

    out = trace.rebuild_out(map(trace.give, trace.out_leaves))
    return (out, pullback, map_tree(trace.give, trace.aux)) if has_aux else (out, pullback)


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


Argnums = int | tuple[int, ...]


def chosen_arguments(
    f: Function, argnums: Argnums, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Function, tuple[Any, ...]]:
    """Give `f` as a function of the arguments at `argnums` alone, and these arguments."""
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(
            f"argnums of {name_of(f)}: expected an int or a tuple of ints, got {argnums!r}"
        )
    for number in numbers:
        if not -len(args) <= number < len(args):
            raise TypeError(
                f"argnums names argument {number}, but {name_of(f)} got {len(args)} positional "
                f"arguments; pass it by position"
            )
    if len({number % len(args) for number in numbers}) < len(numbers):
        raise ValueError(f"argnums {argnums} of {name_of(f)} names one argument twice")

    @wraps(f)
    def of_chosen(*chosen: Any) -> Any:
        full = list(args)
        for number, argument in zip(numbers, chosen, strict=True):
            full[number] = argument
        return f(*full, **kwargs)

    return of_chosen, tuple(args[number] for number in numbers)


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make a function that gives f(*args) and its gradient by the arguments at `argnums`.

    Arguments are arrays or nested tuples, lists and dicts of arrays, floating or complex; a
    gradient has its argument's structure, shapes and dtypes. With several `argnums` it is a tuple.
    With `has_aux` f gives (value, aux), and so does the new function in the place of the value.
    The gradient by complex arguments follows JAX: of f = u(a + ib) it is du/da - i du/db.

    >>> import numpy as np, tinygraph as tg
    >>> value, gradient = tg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 3.0]))
    >>> float(value), gradient
    (10.0, array([2., 6.]))
    """

    @wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        of_chosen, chosen = chosen_arguments(f, argnums, args, kwargs)
        value, pullback, *aux = vjp(of_chosen, *chosen, has_aux=has_aux)
        gradients = pullback(one_for(value, f))
        gradient = gradients if isinstance(argnums, tuple) else gradients[0]
        return ((value, *aux) if has_aux else value), gradient

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


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make a function that gives the gradient of `f` by the arguments at `argnums`.

    See `value_and_grad`. It nests for higher derivatives. With `has_aux` f gives (value, aux), and
    the new function gives (gradient, aux).

    >>> import numpy as np, tinygraph as tg
    >>> third = tg.grad(tg.grad(tg.grad(np.sin)))
    >>> round(float(third(0.0)), 12)
    -1.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def elementwise_grad(f: Function, argnums: Argnums = 0) -> Function:
    """Make a function that gives the derivative of every element of `f` by its own input.

    `f` treats elements apart, as np.tanh does: this is the gradient of the sum of its results.

    >>> import numpy as np, tinygraph as tg
    >>> tg.elementwise_grad(np.square)(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = chosen_arguments(f, argnums, args, kwargs)
        out, pullback = vjp(of_chosen, *chosen)
        gradients = pullback(map_tree(np.ones_like, out))
        return gradients if isinstance(argnums, tuple) else gradients[0]

    return gradient


def jvp(f: Function, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Give f(*primals) and the tangent of the result along `tangents`, of the primals' structure.

    It needs no rules of its own (see Trace.pushforward), and costs about three gradients.

    >>> import numpy as np, tinygraph as tg
    >>> out, tangent = tg.jvp(np.square, (3.0,), (1.0,))
    >>> float(out), float(tangent)
    (9.0, 6.0)
    """
    primals, tangents = as_arguments(primals), as_arguments(tangents)
    trace = Trace(f, primals)
    pushed = trace.pushforward()(match(tangents, primals), engine.backward)
    pairs = zip(pushed, trace.out_leaves, strict=True)
    tangent = [give_gradient(t, x) if isinstance(x, Node) else np.zeros_like(x) for t, x in pairs]
    return trace.rebuild_out(map(trace.give, trace.out_leaves)), trace.rebuild_out(iter(tangent))


def as_arguments(x: Any) -> tuple[Any, ...]:
    """Give a function's arguments as a tuple; anything but a tuple or list is the only one."""
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def match(tangents: Any, primals: Any) -> list[Any]:
    """Give the tangents of all leaves of the primals, in their dtypes."""
    leaves = flatten_like(primals, tangents, "tangents")
    triples = zip(leaves, flatten(primals)[0], paths(primals, "primals"), strict=True)
    return [as_tangent(*triple) for triple in triples]


def as_tangent(tangent: Any, x: Any, path: str) -> Any:
    """Give the tangent of `x`, and refuse one of another shape."""
    if np.shape(tangent) != np.shape(x):
        raise ValueError(
            f"tangents: {path} has shape {np.shape(x)} and its tangent {np.shape(tangent)}; "
            f"expected the same"
        )
    if not np.can_cast(np.result_type(tangent), np.result_type(x), "same_kind"):
        raise TypeError(
            f"tangents: {path} has values of {np.result_type(x)} and its tangent of "
            f"{np.result_type(tangent)}; take its real part"
        )
    return tangent if isinstance(tangent, Node) else np.asarray(tangent, np.result_type(x))


def hvp(f: Function, primals: Any, tangents: Any) -> Any:
    """Give the product of the Hessian of `f` at `primals` with `tangents`, without the matrix.

    `f` gives one real number; `tangents` have the primals' structure, and so has the product: a
    tuple for several primals. It costs about as much as two gradients. The Hessian is symmetric,
    so that this is the pullback of the gradient.

    >>> import numpy as np, tinygraph as tg
    >>> tg.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
    array([  6., 120.])
    """
    primals, tangents = as_arguments(primals), as_arguments(tangents)
    _, pullback = vjp(grad(f, tuple(range(len(primals)))), *primals)
    product = pullback(flatten(primals)[1](iter(match(tangents, primals))))
    return product if len(primals) > 1 else product[0]


def stop_gradient(tree: Any) -> Any:
    """Give `tree` with Nodes through which no gradient flows; unlike detach, forward() sees them.

    >>> import numpy as np, tinygraph as tg
    >>> float(tg.grad(lambda x: x * tg.stop_gradient(x))(3.0))
    3.0
    """
    return map_tree(lambda x: stopped(x) if isinstance(x, Node) else x, tree)
