"""Recording: one call with real values, written down as a program."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.compiler.program import Program, Step, Value
from tinygraph.node import Node, record
from tinygraph.op import Function, Op, describe, is_dispatched
from tinygraph.rules.parts import part
from tinygraph.state import changed_state, get_state
from tinygraph.tree import Rebuild, flatten, paths


class CompileError(TypeError):
    """Say that a function cannot be recorded, and why."""


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
        self.graded: dict[Node, None] = {}
        self.afterwards: list[Function] = []
        self._number_nodes: dict[Any, Node] = {}
        self._constants: dict[int, Value] = {}
        self._expanding: set[Op] = set()

    def argument(self, array: Any, name: str) -> Node:
        """Give the node that stands for an argument of the function."""
        node = Node(array, requires_grad=array.dtype.kind in "fc", name=name)
        value = Value(node.shape, node.dtype, name)
        self.program.arguments.append(value)
        self.values[node] = value
        return node

    def number(self, compute: Function, dtype: np.dtype[Any], name: str) -> Node:
        """Give the node of a number that Python computes at every call."""
        key = (compute, dtype)
        if key not in self._number_nodes:
            node = Node(dtype.type(compute()), requires_grad=False, name=name)
            self._number_nodes[key] = node
            self.values[node] = Value((), node.dtype, name)
            self.program.numbers.append(self.values[node])
            self.numbers.append(lambda: dtype.type(compute()))
        return self._number_nodes[key]

    def write(self, leaf: Node, new: Any) -> None:
        """Note that `leaf` gets the value of the node `new`."""
        self.value_of(leaf)
        self.written[leaf] = self.values[leaf] = self.value_of(new)

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
        for x in params.values():
            if isinstance(x, Node):
                self.refuse(x)
        with changed_state(tape=None):
            node = record(op, inputs, params)
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
        count = len(self.program.steps)
        self._expanding.add(op)
        try:
            inner = op.forward(*(self._as_node(x) for x in inputs), **params)
        except (TypeError, ValueError, AttributeError):
            inner = None
        finally:
            self._expanding.discard(op)
        if isinstance(inner, Node):
            value = self.values[inner]
            if isinstance(value, Value) and (value.shape, value.dtype) == (node.shape, node.dtype):
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
        outputs = tuple(Value(np.shape(x), np.asarray(x).dtype) for x in arrays)
        function = op.function if is_dispatched(op.function) and not several else op.forward
        values = tuple(self.value_of(x) for x in inputs)
        scope, line = get_state().scope, user_line()
        step = Step(function, values, dict(params), outputs, scope, several, line)
        self.program.steps.append(step)
        return outputs if several else outputs[0]

    def refuse(self, x: Node) -> NoReturn:
        """Refuse to give a value which is another one at every call."""
        raise CompileError(
            f"compile: the value of {x._describe()} was asked for in {user_line()}; it is another "
            f"one at every call, so that nothing may depend on it: write np.where for a branch, "
            f"and read or print values outside of the compiled function"
        )


def user_line() -> str:
    """Name the line outside of tinygraph and NumPy that is being run."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("tinygraph", "numpy", "contextlib"):
            break
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


@dataclass(slots=True)
class Recording:
    """A recorded call: its program, and what its inputs and results are outside of it."""

    program: Program
    leaves: list[Node]
    numbers: list[Function]
    afterwards: list[Function]
    graded: list[Node]
    rebuild: Rebuild
    results: list[Any]
    requires_grad: list[bool]
    is_one_array: bool
    """Whether the result is one array and nothing else is to be done."""

    def hand_back(self, arrays: Any) -> Any:
        """Give the result of the call, of what the program computed, and set gradients."""
        if self.is_one_array:
            return arrays[0]
        left = iter(arrays)
        out = self.rebuild(next(left) if isinstance(x, Value) else x for x in self.results)
        for leaf in self.graded:
            leaf.grad = next(left)
        return out

    def still_holds(self) -> bool:
        """Tell whether the leaves are still those that gradients are asked of."""
        for leaf, was in zip(self.leaves, self.requires_grad, strict=True):
            if leaf.requires_grad is not was:
                return False
        return True


def record_call(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recording:
    """Record f(*args, **kwargs), twice, so that what is not the same each time is found."""
    recording = record_once(f, args, kwargs)
    refuse_random(recording.program, record_once(f, args, kwargs).program)
    return recording


def record_once(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Recording:
    """Record f(*args, **kwargs)."""
    tape = Tape()
    leaves, rebuild = flatten((args, dict(kwargs)))
    names = argument_names(f, args, kwargs)
    nodes = [
        tape.argument(x, name) if isinstance(x, np.ndarray | np.generic) else x
        for x, name in zip(leaves, names, strict=True)
    ]
    with changed_state(tape=tape, recording=True):
        args, kwargs = rebuild(iter(nodes))
        out = f(*args, **kwargs)
    out_leaves, rebuild_out = flatten(out)
    results = [tape.value_of(x) for x in out_leaves]
    program = tape.program
    program.results = [x for x in results if isinstance(x, Value)]
    graded = []
    known = set(tape.leaves)
    for leaf in tape.graded:
        gradient, leaf.grad = leaf.grad, None
        if isinstance(gradient, Node) and leaf in known and leaf not in tape.written:
            program.results.append(tape.value_of(gradient))
            graded.append(leaf)
    numbers = {leaf: number for number, leaf in enumerate(tape.leaves)}
    program.updates = [(numbers[leaf], value) for leaf, value in tape.written.items()]
    return Recording(
        program, tape.leaves, tape.numbers, tape.afterwards, graded, rebuild_out, results,
        [x.requires_grad for x in tape.leaves], isinstance(out, Node) and not graded,
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


def refuse_random(first: Program, second: Program) -> None:
    """Refuse a function that did not do the same twice."""
    steps = [*zip(first.steps, second.steps, strict=False)]
    for one, other in steps:
        if getattr(one.function, "__name__", 0) != getattr(other.function, "__name__", 0):
            refuse_changing(one)
        for x, y in zip(one.inputs, other.inputs, strict=False):
            if not same_constant(x, y):
                refuse_changing(one)
    if len(first.steps) != len(second.steps):
        refuse_changing(
            (first.steps if len(first.steps) > len(steps) else second.steps)[len(steps)]
        )


def same_constant(x: Any, y: Any) -> bool:
    """Tell whether two inputs are the same number, or equal constants, or no constants."""
    if isinstance(x, Value) and isinstance(y, Value):
        if x.array is None or y.array is None:
            return x.array is y.array
        return np.array_equal(x.array, y.array, equal_nan=x.dtype.kind in "fc")
    return type(x) is type(y) and repr(x) == repr(y)


def refuse_changing(step: Step) -> NoReturn:
    """Refuse a step that was another one at the second recording."""
    raise CompileError(
        f"compile: {step.line} did not do the same when it was recorded twice; random numbers, and "
        f"whatever else changes from call to call, have to be arguments of the compiled function"
    )
