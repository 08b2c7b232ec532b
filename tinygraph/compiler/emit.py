"""From a program to the text of a NumPy function."""

from __future__ import annotations

import keyword
import re
import sys
from typing import Any

import numpy as np

from tinygraph.compiler.memory import REDUCTIONS, lay_out, writes_into
from tinygraph.compiler.program import Program, Step, Value
from tinygraph.op import OPS, describe, is_dispatched


class Names:
    """A name of its own for everything that the text speaks of."""

    def __init__(self) -> None:
        self._taken: set[str] = {"np", "make"}
        self._names: dict[Any, str] = {}

    def of(self, thing: Any, hint: str) -> str:
        """Give the name of `thing`, made of `hint` where it has none yet."""
        if thing not in self._names:
            self._names[thing] = self._fresh(hint)
        return self._names[thing]

    def share(self, thing: Any, name: str) -> str:
        """Let `thing` go by a name that is given already."""
        self._names[thing] = name
        return name

    def known(self, thing: Any) -> bool:
        """Tell whether `thing` has a name."""
        return thing in self._names

    def _fresh(self, hint: str) -> str:
        word = re.sub(r"\W+", "_", hint).strip("_") or "value"
        word = f"_{word}" if word[0].isdigit() or keyword.iskeyword(word) else word
        name, number = word, 1
        while name in self._taken:
            number += 1
            name = f"{word}_{number}"
        self._taken.add(name)
        return name


class Emitter:
    """The text of one program: functions, buffers and constants outside, the steps inside.

    `objects` are what the text needs beside NumPy: large constants and functions of others.
    """

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.names = Names()
        self.name = self.names.of(self, name)
        self.objects: dict[str, Any] = {}
        self.imports: dict[str, None] = {}
        self.outside: list[str] = []
        self._layout = lay_out(program)
        self._results = set(program.results)
        self._shape: tuple[int, ...] | None = None

    def text(self) -> str:
        """Give the whole source: a function that makes the function."""
        program = self.program
        for step in program.steps:
            self.function(step)
        sizes = enumerate(self._layout.sizes)
        self.outside += [f"buffer_{n} = np.empty({size}, np.uint8)" for n, size in sizes]
        given = [*program.arguments, *program.leaves, *program.numbers]
        arguments = [self.operand(x) for x in given]
        targets = [self.next_of(number) for number, _ in program.updates]
        lines = [self.line(step) for step in program.steps]
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
                return self.names.share(x, self.constant(x.array))
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
            return self.bound((type(x), x.tobytes()), "number", f"np.{x.dtype.name}({x.item()!r})")
        if isinstance(x, float | complex) and not np.isfinite(x):
            return self.bound((type(x), repr(x)), "number", f"{type(x).__name__}('{x}')")
        return repr(x)

    def constant(self, array: Any) -> str:
        """Give the name of a constant array: written out where it is small."""
        hint = "constant"
        if array.size <= 16 and array.dtype.kind in "biuf" and np.isfinite(array).all():
            text = f"np.array({array.tolist()!r}, np.{array.dtype.name})"
            if 0 in array.shape:
                text += f".reshape({array.shape})"
            return self.bound((array.dtype, array.shape, array.tobytes()), hint, text)
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

    def line(self, step: Step) -> str:
        """Give the line of one step."""
        out = step.outputs[0]
        into = self.into(step)
        call = self.call(step, into)
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

    def hint(self, step: Step, out: Value) -> str:
        """Give the word that a result is named by: the user's, else the scope and the function."""
        words = [*step.scope[-1:], getattr(step.function, "__name__", "value").strip("_<>")]
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
        name = self.names.of(out, self.hint(step, out))
        buffer = f"buffer_{self._layout.buffer[out]}"
        dtype = f"np.{out.dtype.name}"
        self.outside.append(f"{name} = {buffer}[:{out.nbytes}].view({dtype}).reshape({out.shape})")
        return name

    def call(self, step: Step, into: str | None) -> str:
        """Give the text of a step's call."""
        function, params = step.function, step.params
        inputs = [self.operand(x) for x in step.inputs]
        if function is np.transpose and not params:
            return f"{inputs[0]}.T"
        if function in REDUCTIONS:
            params = {"axis": None, **params}
        if function in OPS and OPS[function].signature.takes_sequence:
            inputs = [f"({', '.join(inputs)},)"]
        keywords = [f"{key}={self.operand(x)}" for key, x in params.items()]
        if into is not None:
            keywords.append(f"out={into}")
        return f"{self.function(step)}({', '.join([*inputs, *keywords])})"

    def last_lines(self, targets: list[str]) -> list[str]:
        """Give the lines that hand results back."""
        lines = [
            f"np.copyto({target}, {self.operand(value)})"
            for (_, value), target in zip(self.program.updates, targets, strict=True)
            if self.operand(value) != target
        ]
        made = {step.outputs[0] for step in self.program.steps if not step.joint}
        results = [
            self.operand(x) if x in made else f"np.array({self.operand(x)})"
            for x in self.program.results
        ]
        return [*lines, f"return ({', '.join(results)}{',' if len(results) == 1 else ''})"]


def found_at(path: str) -> Any:
    """Give what a dotted name of NumPy's or SciPy's stands for, None where it does not."""
    package, *names = path.split(".")
    found: Any = sys.modules.get("numpy" if package == "np" else package)
    for name in names:
        found = getattr(found, name, None)
    return found


def indent(lines: list[str]) -> list[str]:
    """Give the lines one level deeper."""
    return [f"    {line}" if line else "" for line in lines]
