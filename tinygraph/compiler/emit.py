"""From a program to the text of a NumPy function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np

from tinygraph.compiler.kernel_text import Kernel
from tinygraph.compiler.loops import Loop
from tinygraph.compiler.memory import REDUCTIONS, lay_out, writes_into
from tinygraph.compiler.passes import Graph, is_turned
from tinygraph.compiler.program import Accumulation, Program, Step, Value
from tinygraph.compiler.text import Names, indent
from tinygraph.op import OPS, describe, is_dispatched

GEMM = {"f": "sgemm", "d": "dgemm"}
"""BLAS's products of matrices by the characters of dtypes."""


class Emitter:
    """The text of one program: functions, buffers and constants outside, the steps inside.

    `objects` are what the text needs beside NumPy: large constants and functions of others.
    """

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.graph = Graph(program)
        self.names = Names()
        self.name = self.names.of(self, name)
        self.objects: dict[str, Any] = {}
        self.imports: dict[str, None] = {}
        self.outside: list[str] = []
        self._layout = lay_out(program)
        self._results = set(program.results)
        self._shape: tuple[int, ...] | None = None
        self._fixed: set[Value] = set()

    def text(self) -> str:
        """Give the whole source: a function that makes the function."""
        program = self.program
        for step in program.steps:
            if step.kernel is None and not is_method(step):
                self.function(step)
        sizes = enumerate(self._layout.sizes)
        self.outside += [f"buffer_{n} = np.empty({size}, np.uint8)" for n, size in sizes]
        given = [*program.arguments, *program.leaves, *program.numbers]
        arguments = [self.operand(x) for x in given]
        targets = [self.next_of(number) for number, _ in program.updates]
        targets += [self.next_of(last.leaf) for last in program.accumulations]
        lines = []
        for kernel, run in groupby(program.steps, lambda step: step.kernel):
            if kernel is not None:
                lines += Kernel(self).steps(list(run))
            else:
                lines += [line for step in run if (line := self.line(step)) is not None]
        lines += self.last_lines(targets)
        inside = [f"def {self.name}({', '.join([*arguments, *targets])}):", *indent(lines)]
        body = [*self.imports, *self.outside, "", *inside, "", f"return {self.name}"]
        return "\n".join(["def make():", *indent(body), ""])

    def next_of(self, number: int) -> str:
        """Give the name of the array that takes the new value of a leaf."""
        leaf = self.program.leaves[number]
        return self.names.of(("next", number), f"next_{self.operand(leaf)}")

    def operand(self, x: Any) -> str:
        """Give the name of a value, or the text of a number or a parameter."""
        if isinstance(x, Value):
            if x.array is not None and not self.names.known(x):
                return self.names.share(x, self.constant(x.array, x.name or "constant"))
            return self.names.of(x, x.name or "value")
        if isinstance(x, tuple):
            return f"({', '.join(map(self.operand, x))}{',' if len(x) == 1 else ''})"
        if isinstance(x, np.ndarray):
            return self.constant(x)
        if isinstance(x, np.dtype):
            return f"np.dtype({x.str!r})"
        if isinstance(x, type) and issubclass(x, np.generic):
            return f"np.{x.__name__}"
        if isinstance(x, np.integer):
            return repr(int(x))
        if isinstance(x, np.generic):
            value = repr(x.item()) if np.isfinite(x) else repr(str(x))
            return self.bound((type(x), x.tobytes()), hint_of(x), f"np.{x.dtype.name}({value})")
        if isinstance(x, float | complex) and not np.isfinite(x):
            return self.bound((type(x), repr(x)), "number", f"{type(x).__name__}('{x}')")
        return repr(x)

    def constant(self, array: Any, hint: str = "constant") -> str:
        """Give the name of a constant array: written out where it is small."""
        if array.shape == ():
            hint = hint_of(array)
        written = array.dtype.kind in "biuf" and array.flags.c_contiguous
        if written and array.size <= 16 and np.isfinite(array).all():
            text = f"np.array({array.tolist()!r}, np.{array.dtype.name})"
            if 0 in array.shape:
                text += f".reshape({array.shape})"
            return self.bound((array.dtype, array.shape, array.tobytes()), hint, text)
        if written and (array == 1).all():
            text = f"np.ones({array.shape}, np.{array.dtype.name})"
            return self.bound((array.dtype, array.shape, 1), hint, text)
        name = self.names.of(id(array), hint)
        self.objects[name] = array
        return name

    def bound(self, key: Any, hint: str, text: str) -> str:
        """Give the name that is bound to what `text` says, outside of the function."""
        known = self.names.known(key)
        name = self.names.of(key, hint)
        if not known:
            self.outside.append(f"{name} = {text}")
        return name

    def function(self, step: Step) -> str:
        """Give the name of a step's function."""
        function = step.function
        if function in REDUCTIONS:
            path = f"np.{REDUCTIONS[function].__name__}.reduce"
            return self.bound(function, function.__name__, path)
        path = describe(function)
        if is_dispatched(function) and found_at(path) is function:
            if path.startswith("scipy."):
                package = path.rpartition(".")[0]
                self.imports[f"import {package}"] = None
            return self.bound(function, path.rpartition(".")[2], path)
        name = self.names.of(function, getattr(function, "__name__", "function").strip("_<>"))
        self.objects[name] = function
        return name

    def line(self, step: Step) -> str | None:
        """Give the line of one step, None for a view that is made once, outside."""
        out = step.outputs[0]
        into = self.into(step)
        call = self.call(step, into)
        if self.is_fixed_view(step):
            self._fixed.add(out)
            self.outside.append(f"{self.names.of(out, self.hint(step, out))} = {call}")
            return None
        if into is None:
            targets = [self.names.of(x, self.hint(step, x)) for x in step.outputs]
            if step.joint:
                call = f"{', '.join(targets)}, = {call}.parts"
            elif out in self._results and not writes_into(step):
                call = f"{targets[0]} = np.array({call})"
            else:
                call = f"{targets[0]} = {call}"
        comment = f"  # {out.shape}" if out.shape != self._shape else ""
        self._shape = out.shape
        return call + comment

    def is_fixed_view(self, step: Step) -> bool:
        """Tell whether a step looks at the memory of a buffer, always in the same way."""
        if step.function not in (np.transpose, np.ravel, np.reshape):
            return False
        if step.params.get("order", "C") != "C" or step.params.get("copy"):
            return False
        x, out = step.inputs[0], step.outputs[0]
        is_turned = step.function is np.transpose
        is_view = x in self._layout.buffer and (is_turned or x.order is None)
        is_view = is_view or (is_turned and x in self._fixed)
        return is_view and out not in self._results

    def hint(self, step: Step, out: Value) -> str:
        """Give the word that a result is named by: the user's, else the scope and the function."""
        function = (
            step.function.steps[-1].function if isinstance(step.function, Loop) else step.function
        )
        words = [*step.scope[-1:], getattr(function, "__name__", "value").strip("_<>")]
        return out.name or "_".join(words)

    def into(self, step: Step) -> str | None:
        """Give the name of the array that a step is told to write its result into."""
        out = step.outputs[0]
        if not writes_into(step):
            return None
        if out in self._layout.update:
            return self.names.share(out, self.next_of(self._layout.update[out]))
        if out not in self._layout.buffer:
            return None
        known = self.names.known(out)
        name = self.names.of(out, self.hint(step, out))
        bytes = f"buffer_{self._layout.buffer[out]}[:{out.nbytes}].view(np.{out.dtype.name})"
        if not known:
            text = self.lying(out, lambda shape: f"{bytes}.reshape({shape})")
            self.outside.append(f"{name} = {text}")
        return name

    def fresh(self, out: Value) -> str:
        """Give the text of a new array for a result."""
        return self.lying(out, lambda shape: f"np.empty({shape}, np.{out.dtype.name})")

    def lying(self, out: Value, array: Callable[[Any], str]) -> str:
        """Give the text of an array of a shape, with its axes as they are to lie in memory."""
        order = out.order or tuple(range(len(out.shape)))
        text = array(tuple(out.shape[axis] for axis in order))
        if out.order is None:
            return text
        return f"{text}.transpose({tuple(map(order.index, range(len(order))))})"

    def call(self, step: Step, into: str | None) -> str:
        """Give the text of a step's call."""
        function, params = step.function, step.params
        # A whole number of NumPy's is not weak beside arrays, as one of Python's is.
        inputs = [
            self.bound((type(x), x.tobytes()), "number", f"np.{x.dtype.name}({x.item()!r})")
            if isinstance(x, np.integer)
            else self.operand(x)
            for x in step.inputs
        ]
        if function is np.transpose and not params:
            return f"{inputs[0]}.T"
        if function in REDUCTIONS:
            params = {"axis": None, **params}
        if function in OPS and OPS[function].signature.takes_sequence:
            inputs = [f"({', '.join(inputs)},)"]
        keywords = [f"{key}={self.operand(x)}" for key, x in params.items()]
        if into is not None:
            keywords.append(f"out={into}")
        if step.block is not None and into is not None:
            return self.in_rows(inputs, into, step)
        if is_method(step):
            return f"{inputs[0]}.dot({', '.join([*inputs[1:], *keywords])})"
        return f"{self.function(step)}({', '.join([*inputs, *keywords])})"

    def in_rows(self, inputs: list[str], into: str, step: Step) -> str:
        """Give the text of a product that is done some rows at a time."""
        (a, b), (count, _), (rows, *_) = inputs, step.outputs[0].shape, step.block or (0,)
        parts = [slice(start, start + rows) for start in range(0, count, rows)]
        name = self.bound(("rows", count, rows), f"rows_by_{rows}", repr(parts))
        return f"for rows in {name}: {a}[rows].dot({b}, out={into}[rows])"

    def last_lines(self, targets: list[str]) -> list[str]:
        """Give the lines that hand results back."""
        lines = [
            f"np.copyto({target}, {self.operand(value)})"
            for (_, value), target in zip(self.program.updates, targets, strict=False)
            if self.operand(value) != target
        ]
        made = {step.outputs[0] for step in self.program.steps if not step.joint}
        results = [
            self.operand(x) if x in made else f"np.array({self.operand(x)})"
            for x in self.program.results
        ]
        returned = f"return ({', '.join(results)}{',' if len(results) == 1 else ''})"
        last = self.program.accumulations
        if last:
            alone = [self.accumulation(x) for x in last if x.kernel is None]
            calls = ",\n    ".join(alone or [Kernel(self).accumulations(last)])
            returned = f"{returned}, (\n    {calls},\n)"
        return [*lines, *returned.splitlines()]

    def accumulation(self, last: Accumulation) -> str:
        """Give the text of the call of BLAS that is made last, as a partial."""
        w = self.next_of(last.leaf)
        gemm = self.gemm(last.a, "scipy.linalg.blas")
        partial = self.imported("functools", "partial")
        # Of matrices in C's order BLAS sees the transposes: w.T - (a @ b).T.
        (b, b_lies), (a, a_lies) = map(self.turned, (last.b, last.a))
        alpha, beta = self.operand(last.alpha), self.operand(last.beta)
        call = f"{partial}({gemm}, -{alpha}, {b}, {a}, 1.0, {w}.T, {b_lies}, {a_lies}, 1)"
        # BLAS's own scaling takes three times as long as NumPy's.
        scale = f"{partial}(np.multiply, {w}, {beta}, {w}),\n    "
        return call if last.beta == 1 else scale + call

    def gemm(self, a: Value, module: str) -> str:
        """Give the name of BLAS's product of matrices, from a module."""
        return self.imported(module, GEMM[a.dtype.char])

    def imported(self, module: str, name: str) -> str:
        """Give the name under which the text has what it takes from a module."""
        own = self.names.of((module, name), name)
        renamed = "" if own == name else f" as {own}"
        self.imports[f"from {module} import {name}{renamed}"] = None
        return own

    def turned(self, x: Value) -> tuple[str, int]:
        """Give the text of a matrix as BLAS is to see it, and whether it is x itself, not x.T."""
        if is_turned(self.graph, x):
            return self.operand(x), 1
        return f"{self.operand(x)}.T", 0


def is_method(step: Step) -> bool:
    """Tell whether an array's own method does the work of a step, with less ado."""
    return step.function is np.dot and bool(getattr(step.inputs[0], "shape", ()))


def hint_of(number: Any) -> str:
    """Give the word that a constant number is named by."""
    if number.dtype.kind not in "iuf":
        return "number"
    return f"c_{number.item():g}".replace("-", "minus_")


def found_at(path: str) -> Any:
    """Give what a dotted name of NumPy's or SciPy's stands for, None where it does not."""
    package, *names = path.split(".")
    found: Any = sys.modules.get("numpy" if package == "np" else package)
    for name in names:
        found = getattr(found, name, None)
    return found
