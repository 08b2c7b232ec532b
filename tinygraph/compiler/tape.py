"""Recording: one call with real values, written down as a program."""

from __future__ import annotations

import inspect
import pickle
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np

from tinygraph import buffer
from tinygraph.bundle import Bundle
from tinygraph.compiler.program import Program, Step, Value, map_params
from tinygraph.debugging import user_line
from tinygraph.node import Node, next_stamp, record, values_of
from tinygraph.op import Function, Op, describe, is_dispatched
from tinygraph.rules.parts import part
from tinygraph.rules.shape import astype
from tinygraph.state import changed_state, get_state
from tinygraph.tree import Rebuild, flatten, map_tree, paths


class CompileError(TypeError):
    """Say that a function cannot be recorded, and why."""


NAME_ELEMENTS = frozenset({"index", "indices", "where"})
"""Parameters that a plan may compute, where eagerly they are plain arrays."""

NOT_ONE_ARRAY = frozenset(
    {
        np.nonzero, np.flatnonzero, np.argwhere, np.unravel_index, np.array_repr, np.array_str,
        np.array2string, np.save, np.savetxt, np.savez, np.savez_compressed, np.roots,
    }
)  # fmt: skip
"""Functions whose results are no array, or one whose shape or dtype depends on values."""


class Tape:
    """What a call of a function does to arrays, step by step.

    Functions that are not NumPy's are expanded into what they call, where that can be recorded.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.values: dict[Node, Any] = {}
        self.leaves: list[Node] = []
        self.numbers: list[Function] = []
        self.written: dict[Node, Value] = {}
        self.graded: dict[Node, int] = {}
        self.gradients: dict[Node, Any] = {}
        self.older: dict[Node, Any] = {}
        self.afterwards: list[Function] = []
        self.stepped: set[Any] = set()
        self.refusal: CompileError | None = None
        self.started = next_stamp()
        self._number_nodes: dict[Any, Node] = {}
        self._constants: dict[int, Value] = {}
        self._expanding: set[Op] = set()

    def argument(self, array: Any, name: str) -> Node:
        """Give the node that stands for an argument of the function."""
        node = Node(array, requires_grad=array.dtype.kind in "fc", name=name)
        value = Value(node.shape, array.dtype, name)
        self.program.arguments.append(value)
        if not array.dtype.isnative:
            given, value = value, Value(node.shape, node.dtype, name)
            self.program.steps.append(Step(np.astype, (given, node.dtype), {}, (value,)))
        self.values[node] = value
        return node

    def number(self, compute: Function, dtype: np.dtype[Any], name: str) -> Node:
        """Give the node of a number that Python computes at every call."""
        key = (compute, dtype)
        if key not in self._number_nodes:
            with changed_state(tape=None):
                node = Node(dtype.type(compute()), requires_grad=False, name=name)
            self._number_nodes[key] = node
            self.values[node] = Value((), node.dtype, name)
            self.program.numbers.append(self.values[node])
            self.numbers.append(compute)
        return self._number_nodes[key]

    def write(self, leaf: Node, new: Any) -> None:
        """Note that `leaf` gets the value of the node `new`."""
        self.value_of(leaf)
        self.written[leaf] = self.values[leaf] = self.value_of(new)
        # Backward through what was made of the old value is refused, as it is eagerly.
        leaf.stamp = next_stamp()

    def assign(self, leaf: Node, new: Any) -> None:
        """Note that somebody sets the value of `leaf`."""
        if isinstance(new, list | tuple):
            raise CompileError(
                f"compile: {leaf._describe()} was given a {type(new).__name__} for its value in "
                f"{user_line()}; give it an array or a Node, of np.stack for one"
            )
        node = new if isinstance(new, Node) else Node(new, requires_grad=False)
        self.write(leaf, node if node.dtype == leaf.dtype else astype(node, dtype=leaf.dtype))

    def detached(self, x: Node, leaf: Node) -> Node:
        """Note that the new `leaf` has the value that `x` has now."""
        self.values[leaf] = self.value_of(x)
        return leaf

    def start_gradients(self, leaves: Iterable[Node]) -> None:
        """Set gradients from before the call aside, to which those of `leaves` will be added."""
        for leaf in leaves:
            self.graded[leaf] = 0
            if leaf.grad is not None and not isinstance(leaf.grad, Node):
                self.older[leaf], leaf.grad = leaf.grad, None

    def end_gradients(self) -> None:
        """Note that what is recorded from here on may read the gradients."""
        for leaf, end in self.graded.items():
            if not end:
                self.graded[leaf], self.gradients[leaf] = len(self.program.steps), leaf.grad

    def is_read(self, leaf: Node, results: Sequence[Any]) -> bool:
        """Tell whether the function goes on with the gradient of `leaf`, or gives it back."""
        gradient = self.value_of(self.gradients.get(leaf))
        later = self.program.steps[self.graded[leaf] :]
        return gradient in results or any(gradient in x.values for x in later)

    def value_of(self, x: Any) -> Any:
        """Give the value of a node or a constant array; numbers stay as they are."""
        if isinstance(x, Node):
            if x not in self.values:
                self.leaves.append(x)
                self.values[x] = Value(x.shape, x.dtype, x.name)
                self.program.leaves.append(self.values[x])
            return self.values[x]
        if isinstance(x, np.ndarray):
            if id(x) not in self._constants:
                self._constants[id(x)] = Value(x.shape, x.dtype, array=x)
            return self._constants[id(x)]
        return x

    def record(self, op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any]) -> Node:
        """Make the node of `op` on `inputs`, and write down what computes it."""
        if op.function in NOT_ONE_ARRAY:
            for x in inputs:
                if isinstance(x, Node):
                    self.refuse(x)
        params = {
            key: buffer.freeze(x) if isinstance(x, np.ndarray) else x for key, x in params.items()
        }
        computed = {key: x for key, x in params.items() if [*nodes_in(x)]}
        for key, x in computed.items():
            for part_of_it in nodes_in(x):
                if key not in NAME_ELEMENTS or (key != "where" and part_of_it.dtype == bool):
                    self.refuse(part_of_it)
        with changed_state(tape=None):
            plain = {key: values_of(x) for key, x in computed.items()}
            node = record(op, inputs, {**params, **plain})
        if computed and node.backward_fn is not None:
            node.backward_fn = partial(node.backward_fn, **computed)
        # The node's own constants, since they are frozen, and live as long as it does.
        kept = node.inputs or tuple(np.array(x) if isinstance(x, np.ndarray) else x for x in inputs)
        if op is part:
            self.values[node] = self.value_of(kept[0])[params["number"]]
        else:
            value = self._expand(op, kept, params, node)
            self.values[node] = value or self._call(op, kept, params, node)
        return node

    def record_plain(
        self, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Node:
        """Make the node of a function without gradients."""

        def rule(g: Any, out: Any, *inputs: Any) -> tuple[Any, ...]:
            return (None,) * len(inputs)

        op = Op(function, function, rule, describe(function), (-np.inf, np.inf))
        node = self.record(op, args, kwargs)
        node.requires_grad = False
        return node

    def _expand(
        self, op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any], node: Node
    ) -> Value | None:
        """Record what the op's forward function calls; give None where that cannot be done."""
        if is_dispatched(op.function) or op in self._expanding:
            return None
        count, before = len(self.program.steps), self.refusal
        self.refusal = None
        self._expanding.add(op)
        try:
            inner = op.forward(*(self._as_node(x) for x in inputs), **params)
        except Exception:
            inner = None
        finally:
            self._expanding.discard(op)
            # What cannot be expanded is called as it is.
            refusal, self.refusal = self.refusal, before
        if refusal is None and isinstance(inner, Node) and is_like(inner._value, node._value):
            value: Value = self.value_of(inner)
            return value
        del self.program.steps[count:]
        return None

    def _as_node(self, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        node = Node(x, requires_grad=False)
        self.values[node] = self.value_of(x)
        return node

    def _call(
        self, op: Op, inputs: tuple[Any, ...], params: Mapping[str, Any], node: Node
    ) -> Value | tuple[Value, ...]:
        """Write the op down as one step."""
        value = node._value
        several = isinstance(value, Bundle)
        arrays = value.parts if several else (value,)
        outputs = tuple(Value(x.shape, x.dtype, order=order_of(x)) for x in map(np.asarray, arrays))
        function = op.function if is_dispatched(op.function) and not several else op.forward
        values = tuple(self.value_of(x) for x in inputs)
        scope, line = get_state().scope, user_line()
        params = map_params(lambda x: self.value_of(x) if isinstance(x, Node) else x, params)
        step = Step(function, values, params, outputs, scope, several, line)
        self.program.steps.append(step)
        return outputs if several else outputs[0]

    def refuse(self, x: Node | str) -> NoReturn:
        """Refuse to give a value which is another one at every call."""
        name = x if isinstance(x, str) else x._describe()
        self.refusal = CompileError(
            f"compile: the value of {name} was asked for in {user_line()}; it is another "
            f"one at every call, so that nothing may depend on it: compute with the Node in place "
            f"of its value, write np.where for a branch, and read or print values outside"
        )
        raise self.refusal


def order_of(array: Any) -> tuple[int, ...] | None:
    """Give the axes as they lie in memory, None for C's order."""
    if array.flags.c_contiguous:
        return None
    return tuple(int(axis) for axis in np.argsort(-np.abs(array.strides), stable=True))


class Gone:
    """The value of a node that outlives the recording which it was made in: nobody may use it."""

    dtype = np.dtype("V")
    shape = ()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise CompileError(
            "compile: a Node that was made while a compiled function was recorded is used outside "
            "of that call, where it has no value; let the function give it back as a result, in "
            "a tuple, list or dict"
        )

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.__array__()

    def __getattr__(self, name: str) -> NoReturn:
        self.__array__()


def nodes_in(x: Any) -> Iterator[Node]:
    """Give the Nodes in a parameter, or in the tuple that it is."""
    return (part for part in (x if isinstance(x, tuple) else (x,)) if isinstance(part, Node))


def is_like(x: Any, y: Any) -> bool:
    """Tell whether two ways to compute a value are meant to give the same."""
    if isinstance(y, Bundle) or (x.shape, x.dtype) != (y.shape, y.dtype):
        return False
    with np.errstate(all="ignore"):
        room = 0.01 * np.max(np.abs(y), initial=0, where=np.isfinite(y))
        return np.allclose(x, y, rtol=0.01, atol=room, equal_nan=True)


@dataclass(slots=True)
class Recording:
    """A recorded call: its program, and what its inputs and results are outside of it."""

    program: Program
    leaves: list[Node]
    numbers: list[Function]
    afterwards: list[Function]
    graded: list[Node]
    differentiated: list[Node]
    """The leaves that got gradients, also if nobody sees them afterwards."""

    older: set[Node]
    """Those that may have a gradient from before, to which theirs is added."""

    alone: list[Node]
    """Those that must have none, since the function goes on with the sum."""

    rebuild: Rebuild
    results: list[Any]
    requires_grad: list[bool]
    is_one_array: bool
    """Whether the result is one array and nothing else is to be done."""

    started: int
    """The stamp before the first node."""

    def result_of(self, arrays: Any) -> Any:
        """Give the result of the call, of what the program computed."""
        if self.is_one_array:
            return arrays[0]
        left = iter(arrays)
        return self.rebuild(next(left) if isinstance(x, Value) else x for x in self.results)

    def gradients_of(self, arrays: Any) -> list[Any]:
        """Give the gradients of `graded`, of what the program computed."""
        gradients = arrays[len(arrays) - len(self.graded) :]
        return [
            leaf.grad + x if leaf in self.older and leaf.grad is not None else x
            for leaf, x in zip(self.graded, gradients, strict=True)
        ]

    def hand_back(self, arrays: Any) -> Any:
        """Give the result of the call, and set gradients."""
        if self.graded:
            for leaf, gradient in zip(self.graded, self.gradients_of(arrays), strict=True):
                leaf.grad = gradient
        return self.result_of(arrays)

    def still_holds(self) -> bool:
        """Tell whether the leaves are still those that gradients are asked of."""
        return [leaf.requires_grad for leaf in self.leaves] == self.requires_grad


def record_call(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recording:
    """Record f(*args, **kwargs), twice, so that what is not the same each time is found."""
    generators = [*generators_of(f)]
    first = record_once(f, args, kwargs)
    state = random_state(generators)
    # What adds to gradients from before is found by giving it some.
    bare = [leaf for leaf in first.differentiated if leaf.grad is None]
    for leaf in bare:
        leaf.grad = np.zeros_like(leaf._value)
    try:
        # What depends on values in a way that nobody knows of is another then.
        second = record_once(f, *map_tree(moved, (args, dict(kwargs))))
    except CompileError:
        raise
    except Exception:
        second = record_once(f, args, kwargs)
    finally:
        for leaf in bare:
            leaf.grad = None
    first.older, first.alone = first.older | second.older, [*first.alone, *second.alone]
    Comparison(first, second, f).refuse_different()
    if random_state(generators) != state:
        refuse_changing(f"{place_of(f)}, or what it calls,")
    return first


SMALL = 1 << 20
"""Bytes above which an argument is not copied to be moved."""


def moved(x: Any) -> Any:
    """Give an argument of a floating dtype a little off, anything else as it is."""
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind not in "fc" or x.nbytes > SMALL:
        return x
    factor: Any = x.dtype.type(1 + 2**-9)
    with np.errstate(all="ignore"):
        return (x * factor).astype(x.dtype, copy=False)


def random_state(generators: Iterable[Any]) -> bytes:
    """Give what the next numbers follow from, of generators and of Python's and NumPy's own."""
    states = [
        x.getstate() if isinstance(x, random.Random) else x.bit_generator.state for x in generators
    ]
    return pickle.dumps((random.getstate(), np.random.get_state(legacy=False), states))


def generators_of(x: Any, seen: set[int] | None = None, depth: int = 4) -> Iterator[Any]:
    """Find the generators of random numbers that a function is likely to draw from."""
    seen = set() if seen is None else seen
    if isinstance(x, random.Random | np.random.Generator):
        yield x
    if depth == 0 or id(x) in seen or isinstance(x, type) or inspect.ismodule(x):
        return
    seen.add(id(x))
    x = inspect.unwrap(x) if callable(x) else x
    known = [getattr(x, "__self__", None), *(getattr(x, "__dict__", None) or {}).values()]
    code = getattr(x, "__code__", None)
    if code is not None:
        try:
            variables = inspect.getclosurevars(x)
        except (TypeError, ValueError):
            return
        known += [*variables.nonlocals.values(), *variables.globals.values()]
    for thing in known:
        if not isinstance(thing, np.ndarray | Node):
            yield from generators_of(thing, seen, depth - 1)


def record_once(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recording:
    """Record f(*args, **kwargs)."""
    tape = Tape()
    leaves, rebuild = flatten((args, dict(kwargs)))
    names = argument_names(f, args, kwargs)
    nodes = [
        tape.argument(x, name) if isinstance(x, np.ndarray | np.generic) else x
        for x, name in zip(leaves, names, strict=True)
    ]
    try:
        with changed_state(tape=tape, recording=True):
            args, kwargs = rebuild(iter(nodes))
            out = f(*args, **kwargs)
        # Somebody may have caught it.
        if tape.refusal is not None:
            raise tape.refusal
        return finished(tape, out)
    finally:
        for node in tape.values.keys() - tape.leaves:
            node._value = Gone()
        for leaf in tape.graded:
            if isinstance(leaf.grad, Node) or leaf in tape.older:
                leaf.grad = tape.older.get(leaf)


def finished(tape: Tape, out: Any) -> Recording:
    """Give the recording of a call whose result is `out`."""
    out_leaves, rebuild_out = flatten(out)
    results = [tape.value_of(x) for x in out_leaves]
    program = tape.program
    program.results = [x for x in results if isinstance(x, Value)]
    graded = []
    known = set(tape.leaves)
    for leaf in tape.graded:
        gradient = leaf.grad
        if isinstance(gradient, Node) and leaf in known and leaf not in tape.written:
            program.results.append(tape.value_of(gradient))
            graded.append(leaf)
    alone = [leaf for leaf in tape.older if leaf in known and tape.is_read(leaf, results)]
    for leaf in alone:
        if isinstance(leaf.grad, Node):
            refuse_old_gradient(leaf)
    numbers = {leaf: number for number, leaf in enumerate(tape.leaves)}
    program.updates = [(numbers[leaf], value) for leaf, value in tape.written.items()]
    differentiated = [leaf for leaf in tape.graded if leaf in known]
    return Recording(
        program, tape.leaves, tape.numbers, tape.afterwards, graded, differentiated, {*tape.older},
        alone, rebuild_out, results,
        [x.requires_grad for x in tape.leaves], isinstance(out, Node) and not graded, tape.started,
    )  # fmt: skip


def argument_names(f: Function, args: Any, kwargs: Mapping[str, Any]) -> list[str]:
    """Name the arrays in the arguments as the function does."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return [path for i, x in enumerate(args) for path in paths(x, f"argument {i}")]
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [*known[: len(args)], *(f"argument {i}" for i in range(len(known), len(args)))]
    found = [path for name, x in zip(names, args, strict=True) for path in paths(x, name)]
    return [*found, *(path for name, x in kwargs.items() for path in paths(x, name))]


def refuse_old_gradient(leaf: Node) -> NoReturn:
    """Refuse to go on with a gradient that is added to one from before."""
    raise CompileError(
        f"compile: {leaf._describe()} has a gradient from before, to which backward adds, and the "
        f"function goes on with the sum; set it to None in the function, with zero_grad()"
    )


class Comparison:
    """Two recordings of the same call, which have to be the same step by step."""

    def __init__(self, first: Recording, second: Recording, f: Function) -> None:
        self.first = first
        self.second = second
        self.place = place_of(f)
        self._same: dict[Value, Value] = {}

    def refuse_different(self) -> None:
        """Refuse recordings that differ, with the line of the first step that does."""
        one, other = self.first.program, self.second.program
        self._pair(one.arguments, other.arguments)
        self._pair(one.numbers, other.numbers)
        if not self._are_same_leaves():
            refuse_changing(self.place)
        self._pair(one.leaves, other.leaves)
        for x, y in zip(one.steps, other.steps, strict=False):
            if name_of(x.function) != name_of(y.function) or not self._agree(
                (x.inputs, x.params), (y.inputs, y.params)
            ):
                refuse_changing(x.line)
            self._pair(x.outputs, y.outputs)
        count = min(len(one.steps), len(other.steps))
        for step in [*one.steps[count:], *other.steps[count:]]:
            refuse_changing(step.line)
        results = ([*x.results, *x.program.results, *x.program.updates] for x in
                   (self.first, self.second))  # fmt: skip
        if not self._agree(*results) or len(self.first.graded) != len(self.second.graded):
            refuse_changing(f"what {self.place} gives")

    def _pair(self, values: Any, others: Any) -> None:
        self._same.update(zip(values, others, strict=False))

    def _are_same_leaves(self) -> bool:
        """Tell whether the leaves are the same, or were made alike in the recorded function."""
        one, other = self.first.leaves, self.second.leaves
        return len(one) == len(other) and all(
            x is y or (x.made_at > self.first.started and same_elements(x._value, y._value))
            for x, y in zip(one, other, strict=True)
        )

    def _agree(self, x: Any, y: Any) -> bool:
        """Tell whether inputs, parameters or results of the two are the same."""
        if isinstance(x, Value) and isinstance(y, Value):
            if x.array is None or y.array is None:
                return self._same.get(x) is y
            return same_elements(x.array, y.array)
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            return same_elements(x, y)
        if type(x) is not type(y):
            return False
        if isinstance(x, list | tuple):
            return len(x) == len(y) and all(map(self._agree, x, y))
        if isinstance(x, dict):
            return x.keys() == y.keys() and all(self._agree(x[key], y[key]) for key in x)
        return not isinstance(x, PLAIN) or repr(x) == repr(y)


PLAIN = (bool, int, float, complex, str, bytes, np.generic, np.dtype, slice)
"""Types whose text tells all."""


def same_elements(x: Any, y: Any) -> bool:
    """Tell whether two arrays are alike."""
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")


def name_of(function: Function) -> str:
    """Name a function; one that is defined anew at every call keeps its name."""
    return str(getattr(function, "__name__", type(function).__name__))


def place_of(f: Function) -> str:
    """Name the line that a function is defined in."""
    code = getattr(inspect.unwrap(f), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(f)


def refuse_changing(place: str) -> NoReturn:
    """Refuse what was another at the second recording."""
    raise CompileError(
        f"compile: {place} did not do the same when it was recorded twice; random numbers, and "
        f"whatever else changes from call to call, have to be arguments of the compiled function"
    )
