"""Functions of trees as functions from real vectors to real vectors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.bundle import Bundle
from tinygraph.node import Node, refuse_masked
from tinygraph.op import Op
from tinygraph.state import no_grad
from tinygraph.transforms import Trace, give_value, vjp
from tinygraph.tree import flatten, paths

Array = NDArray[Any]
Leaves = list[Array]


SELECTING = (np.maximum, np.minimum, np.fmax, np.fmin)


class RuleError(Exception):
    """What a derivative rule raised in place of giving gradients, as its cause."""


class Layout:
    """Where the elements of arrays are in a vector of real numbers; complex ones take two."""

    def __init__(self, leaves: Sequence[Array], names: Sequence[str]) -> None:
        self.names = list(names)
        self.shapes = [leaf.shape for leaf in leaves]
        self.parts = [2 if leaf.dtype.kind == "c" else 1 for leaf in leaves]
        sizes = [leaf.size * parts for leaf, parts in zip(leaves, self.parts, strict=True)]
        self.stops = list(accumulate(sizes, initial=0))
        self.size = self.stops[-1]

    def pack(self, leaves: Sequence[Array]) -> Array:
        """Give the arrays as one vector."""
        if [leaf.shape for leaf in leaves] != self.shapes:
            raise ValueError(f"shapes {[leaf.shape for leaf in leaves]} in place of {self.shapes}")
        pieces = [
            np.array(leaf, complex if parts == 2 else float, order="C").reshape(-1).view(float)
            for leaf, parts in zip(leaves, self.parts, strict=True)
        ]
        return pieces[0].copy() if len(pieces) == 1 else np.concatenate([np.zeros(0), *pieces])

    def unpack(self, vector: Array) -> Leaves:
        """Give the arrays of a vector, views of it."""
        return [
            (vector[start:stop].view(complex) if parts == 2 else vector[start:stop]).reshape(shape)
            for (start, stop), shape, parts in zip(
                pairwise(self.stops), self.shapes, self.parts, strict=True
            )
        ]

    def pack_dual(self, leaves: Sequence[Array]) -> Array:
        """Give arrays g as the vector v for which v . pack(x) is the real part of sum(g * x)."""
        return self.pack([np.conj(leaf) for leaf in leaves])

    def unpack_dual(self, vector: Array) -> Leaves:
        """Give the arrays of a vector that pack_dual makes."""
        return [np.conj(leaf) for leaf in self.unpack(vector)]

    def typical(self, vector: Array) -> Array:
        """Give for every element of a vector the size of the numbers in its array, 1 of zeros."""
        sizes = np.ones_like(vector)
        for start, stop in pairwise(self.stops):
            finite = vector[start:stop][np.isfinite(vector[start:stop])]
            size = np.hypot.reduce(finite) / np.sqrt(max(finite.size, 1))
            sizes[start:stop] = size if 0 < size < np.inf else 1.0
        return sizes

    def leaf_of(self, position: int) -> int:
        """Give the number of the array that holds an element of the vector."""
        return int(np.searchsorted(self.stops, position, side="right")) - 1

    def place(self, position: int) -> tuple[str, tuple[int, ...], str]:
        """Give the array's name, the index and the part of an element of the vector."""
        leaf = self.leaf_of(position)
        number, part = divmod(position - self.stops[leaf], self.parts[leaf])
        index = tuple(int(i) for i in np.unravel_index(number, self.shapes[leaf]))
        return self.names[leaf], index, "imaginary" if part else ""


class VectorFunction:
    """A function of arrays, with its derivative, as one between real vectors.

    `run(*leaves)` gives the inexact arrays of the result; it is called with arrays for values and
    with Nodes for derivatives, and where arrays do not do, with Nodes that require no gradients.
    """

    def __init__(
        self,
        run: Callable[..., list[Any]],
        leaves: Sequence[Array],
        names: Sequence[str],
        is_pullback: bool = False,
    ) -> None:
        self.run = run
        self.inputs = Layout(leaves, names)
        self.x = self.inputs.pack(leaves)
        self.evaluations = 0
        self.refused: Exception | None = None
        self.as_nodes = False
        outputs = self.first_values()
        self.outputs = Layout(outputs, [f"result {i}" for i in range(len(outputs))])
        self.y = self.outputs.pack(outputs)
        self.rounding = np.repeat(
            [np.finfo(leaf.dtype).eps / 2 for leaf in outputs], np.diff(self.outputs.stops)
        )

        is_real = all(parts == 1 for parts in self.inputs.parts + self.outputs.parts)
        self.takes_complex_steps = is_real and not self.as_nodes and not is_pullback

    def first_values(self) -> Leaves:
        """Evaluate at x, on Nodes if arrays lack what the function asks of them."""
        try:
            return self.values(self.x.copy())
        except (AttributeError, TypeError) as error:
            self.as_nodes = True
            try:
                return self.values(self.x.copy())
            except Exception:
                raise error from None

    def values(self, vector: Array) -> Leaves:
        """Evaluate, and give the arrays of the result."""
        self.evaluations += 1
        leaves: list[Any] = self.inputs.unpack(vector)
        if self.as_nodes:
            with no_grad():
                out = self.run(*(Node(leaf, requires_grad=False) for leaf in leaves))
        else:
            out = self.run(*leaves)
        return [np.asarray(y.value if isinstance(y, Node) else y) for y in out]

    def __call__(self, vector: Array) -> Array:
        """Evaluate; where that is impossible, outside of the domain, give NaN."""
        try:
            return self.outputs.pack(self.values(vector.copy()))
        except Exception as error:
            self.refused = error
            return np.full(self.outputs.size, np.nan)

    def trace(self, vector: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Give the values on Nodes and the pullback, from and to vectors of real numbers."""
        out, pullback = vjp(self.run, *self.inputs.unpack(vector.copy()))

        def pull(weights: Array) -> Array:
            try:
                return self.inputs.pack_dual(pullback(self.outputs.unpack_dual(weights)))
            except Exception as error:
                raise RuleError from error

        return self.outputs.pack([np.asarray(y) for y in out]), pull

    def gradient(self, vector: Array, weights: Array) -> Array:
        """Give the gradient of weights . f."""
        return self.trace(vector)[1](weights)

    def pulled(self, *leaves: Any) -> list[Any]:
        """Give the gradients by all inputs, of inputs and cotangents."""
        count = len(self.inputs.names)
        _, pullback = vjp(self.run, *leaves[:count])
        return list(pullback(list(leaves[count:])))

    def derivative(self, weights: Array) -> VectorFunction:
        """Give the pullback as a function of the inputs and the cotangent."""
        cotangents = self.outputs.unpack_dual(weights)
        several = len(cotangents) > 1
        names = [f"cotangent[{i}]" if several else "cotangent" for i in range(len(cotangents))]
        leaves = [*self.inputs.unpack(self.x), *cotangents]
        return VectorFunction(self.pulled, leaves, [*self.inputs.names, *names], is_pullback=True)

    def is_made_of_known_ops(self, vector: Array) -> bool:
        """Tell whether all ops on the graph are in np itself, and so round in their last bits."""
        trace = Trace(self.run, tuple(self.inputs.unpack(vector)))
        functions = [node.op.function for node in trace.order if node.op]
        return all(getattr(np, getattr(f, "__name__", ""), None) is f for f in functions)

    def shaken(self, vector: Array, generator: np.random.Generator) -> Array:
        """Give the values as other rounding errors would make them."""
        return self.outputs.pack(shaken(self.run, self.inputs.unpack(vector), generator))

    def shaken_gradient(
        self, vector: Array, weights: Array, generator: np.random.Generator
    ) -> Array:
        """Give the gradient as other rounding errors would make it."""
        leaves = [*self.inputs.unpack(vector), *self.outputs.unpack_dual(weights)]
        return self.inputs.pack_dual(shaken(self.pulled, leaves, generator))


def shaken(run: Callable[..., list[Any]], leaves: Leaves, generator: np.random.Generator) -> Leaves:
    """Evaluate with a rounding error put on the result of every op.

    What changes tells how much rounding errors matter (D. S. Parker, Monte Carlo arithmetic,
    1997). An op that only selects among its inputs makes none.
    """
    trace = Trace(run, tuple(leaves))
    for node in trace.order:
        if node.forward_fn is not None:
            inputs = [x._value if isinstance(x, Node) else x for x in node.inputs]
            value = node.forward_fn(*inputs)
            is_exact = selects(node.op, value, inputs)
            node._value = value if is_exact else shake(value, generator)
    return [np.asarray(give_value(y)) for y in trace.out_leaves]


def selects(op: Any, value: Any, inputs: list[Any]) -> bool:
    """Tell whether all elements of an op's value are elements of its inputs, and not by chance."""
    if isinstance(op.function, np.ufunc) and op.function not in SELECTING:
        return False
    arrays = [np.ravel(x) for x in inputs if isinstance(x, np.ndarray | np.generic | float)]
    is_array = isinstance(value, np.ndarray | np.generic) and bool(arrays)
    return is_array and bool(np.all(np.isin(value, np.concatenate(arrays))))


def shake(value: Any, generator: np.random.Generator) -> Any:
    """Move floating numbers by up to two units of their last place."""
    if isinstance(value, Bundle):
        return Bundle([shake(part, generator) for part in value.parts])
    value = np.asarray(value)
    if value.dtype.kind not in "fc":
        return value
    move = np.finfo(value.dtype).eps * generator.uniform(-2, 2, value.shape)
    return value * (1 + move).astype(value.dtype)


def is_inexact(leaf: Any) -> bool:
    """Tell whether a leaf of a tree holds floating or complex numbers."""
    if isinstance(leaf, Node | np.ndarray | np.generic):
        return leaf.dtype.kind in "fc"
    return isinstance(leaf, float | complex)


def split_inputs(
    f: Callable[..., Any], inputs: tuple[Any, ...], wrt: int | tuple[int, ...] | None
) -> tuple[Callable[..., list[Any]], list[Array], list[str]]:
    """Give `f` as a function of the leaves to differentiate by, these leaves and their names."""
    chosen = chosen_positions(inputs, wrt)
    leaves, rebuild = flatten(inputs)
    owners = [i for i, x in enumerate(inputs) for _ in flatten(x)[0]]
    labels = argument_names(f, len(inputs))
    names = [path for x, name in zip(inputs, labels, strict=True) for path in paths(x, name)]
    leaves = [leaf.value if isinstance(leaf, Node) else leaf for leaf in leaves]
    variable = [i for i, x in enumerate(leaves) if owners[i] in chosen and is_inexact(x)]
    if not variable:
        kinds = ", ".join(sorted({str(getattr(x, "dtype", type(x).__name__)) for x in leaves}))
        raise TypeError(
            f"gradcheck: expected a floating or complex array among the inputs to differentiate "
            f"by, got {kinds or 'no inputs'}; write x.astype(float)"
        )
    for i in variable:
        refuse_masked(leaves[i], "gradcheck")

    def run(*variables: Any) -> list[Any]:
        full = list(leaves)
        for i, x in zip(variable, variables, strict=True):
            full[i] = x
        return [y for y in flatten(f(*rebuild(iter(full))))[0] if is_inexact(y)]

    return run, [np.asarray(leaves[i]) for i in variable], [names[i] for i in variable]


def chosen_positions(inputs: tuple[Any, ...], wrt: int | tuple[int, ...] | None) -> set[int]:
    """Give the positions of the arguments to differentiate by."""
    if wrt is None:
        return set(range(len(inputs)))
    positions = wrt if isinstance(wrt, tuple | list) else (wrt,)
    if not all(isinstance(i, int) and -len(inputs) <= i < len(inputs) for i in positions):
        raise ValueError(
            f"gradcheck: wrt={wrt!r} of {len(inputs)} inputs; expected the position of an argument "
            f"or a tuple of positions"
        )
    return {i % len(inputs) for i in positions}


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """Give the names of the arguments of `f` where it tells, their numbers where it does not."""
    numbered = [f"argument {i}" for i in range(count)]
    try:
        if isinstance(f, Op):
            names = [] if f.signature.takes_sequence else f.signature.positional
        else:
            taken = inspect.signature(f).parameters.values()
            names = [
                p.name for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            ]
    except (TypeError, ValueError):
        return numbered
    return [*names[:count], *numbered[len(names) :]]


def as_double(leaf: Array) -> Array:
    """Give floating or complex numbers in double precision."""
    return np.array(leaf, complex if leaf.dtype.kind == "c" else float)
