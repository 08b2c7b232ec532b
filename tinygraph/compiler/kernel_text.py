"""The text of functions of loops and products, which numba compiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.compiler.kernels import (
    STARTS,
    adds_rows,
    axes_of,
    is_view,
    most_in_loops,
    multiplications,
)
from tinygraph.compiler.loops import Loop
from tinygraph.compiler.memory import REDUCTIONS
from tinygraph.compiler.program import Accumulation, Step, Value
from tinygraph.compiler.text import indent

if TYPE_CHECKING:
    from tinygraph.compiler.emit import Emitter


class Kernel:
    """A function that numba compiles, and the lines that call it."""

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.names = emitter.names
        self.arguments: dict[str, None] = {}
        self.before: list[str] = []
        self._numbers: dict[Value, str] = {}
        self._results: dict[Value, str] = {}
        self._first: list[str] = []
        self._graph = emitter.graph

    def steps(self, steps: Sequence[Step]) -> list[str]:
        """Write the function that does steps, and give the lines that call it."""
        body = [line for step in steps for line in self.lines_of(step)]
        ends = {*self.emitter.program.read_at_the_end()} - self._results.keys()
        made = [step.outputs[0] for step in steps if not step.outputs[0].shape]
        others = [x for x in made if x not in self._results]
        others = [x for x in others if x in ends or not {*self._graph.uses[x]} <= {*steps}]
        body += [f"{name}[()] = {self._numbers[x]}" for x, name in self._results.items()]
        names = [self._numbers[x] for x in others]
        if not names:
            return [*self.before, self.define("kernel", body)]
        call = self.define("kernel", [*body, f"return {', '.join(names)}"])
        # They are numbers of Python's now.
        after = [
            f"{name} = np.{x.dtype.name}({name})" for name, x in zip(names, others, strict=True)
        ]
        return [*self.before, f"{', '.join(names)} = {call}", *after]

    def accumulations(self, accumulations: Iterable[Accumulation]) -> str:
        """Write the function that adds products to leaves, and give the text of its partial."""
        body = []
        for last in accumulations:
            leaf, w = self.emitter.program.leaves[last.leaf], self.emitter.next_of(last.leaf)
            self.arguments[w] = None
            alpha, beta = (
                self.element(x, [])
                if isinstance(x, Value)
                else self.emitter.operand(last.a.dtype.type(x))
                for x in (last.alpha, last.beta)
            )
            if last.beta != 1:
                # BLAS's own scaling takes three times as long.
                indices = self.indices(2)
                scaled = f"{w}[{', '.join(indices)}] *= {beta}"
                body += nest(zip(indices, leaf.shape, strict=True), [scaled])
            gemm = self.emitter.gemm(last.a, "tinygraph.compiler.native")
            factors = f"{self.array(last.a)}, {self.array(last.b)}"
            body.append(f"{gemm}(-{alpha}, {factors}, 1.0, {w}, {block_text(last)})")
        partial = self.emitter.imported("functools", "partial")
        name = self.define("update", body).removesuffix(")").replace("(", ", ", 1)
        return f"{partial}({name})"

    def define(self, hint: str, body: list[str]) -> str:
        """Write the function outside, and give the text of its call."""
        njit = self.emitter.imported("numba", "njit")
        call = f"{self.names.of(self, hint)}({', '.join(self.arguments)})"
        lines = [f"def {call}:", *indent([*self._first, *body])]
        self.emitter.outside += ["", f'@{njit}(error_model="numpy")', *lines, ""]
        return call

    def lines_of(self, step: Step) -> list[str]:
        """Give the lines that do what `step` does."""
        if is_view(step):
            return self.view(step)
        if step.function in STARTS:
            return self.reduction(step)
        if step.function is np.dot:
            return self.product(step)
        return self.elementwise(step)

    def elementwise(self, step: Step) -> list[str]:
        """Give a loop over the elements for one step or for several."""
        out = step.outputs[0]
        run = step.function.steps if isinstance(step.function, Loop) else [step]
        indices = self.indices(len(out.shape))
        body = []
        for one in run:
            operands = [self.element(x, indices) for x in one.inputs]
            text = f"np.{one.function.__name__}({', '.join(operands)})"
            if one is run[-1] and out.shape:
                body.append(f"{self.target(step)}[{', '.join(indices)}] = {text}")
            else:
                body.append(f"{self.number(one)} = {text}")
        order = out.order or range(len(out.shape))
        return nest([(indices[axis], out.shape[axis]) for axis in order], body)

    def reduction(self, step: Step) -> list[str]:
        """Give loops that take elements together, in float64."""
        (x,), out, axes = step.inputs, step.outputs[0], axes_of(step)
        indices = self.indices(len(x.shape))
        loops = list(zip(indices, x.shape, strict=True))
        start, function = STARTS[step.function], f"np.{REDUCTIONS[step.function].__name__}"
        one = self.names.of("one", "one")
        added = f"{one} = {function}({one}, {self.element(x, indices)})"
        together = [f"{one} = {start}", *nest([loops[axis] for axis in axes], [added])]
        if not out.shape:
            return [*together, f"{self.number(step)} = np.{out.dtype.name}({one})"]
        places = [
            "0" if axis in axes else index
            for axis, index in enumerate(indices)
            if axis not in axes or step.params.get("keepdims")
        ]
        last = f"{self.target(step)}[{', '.join(places)}] = {one}"
        kept = [loop for axis, loop in enumerate(loops) if axis not in axes]
        return nest(kept, [*together, last])

    def product(self, step: Step) -> list[str]:
        """Give loops, or a call of BLAS, that multiply vectors and matrices."""
        (a, b), out = step.inputs, step.outputs[0]
        if multiplications(a, b) > most_in_loops(self._graph, a, b):
            gemm = self.emitter.gemm(out, "tinygraph.compiler.native")
            factors = f"{self.array(a)}, {self.array(b)}"
            return [f"{gemm}(1.0, {factors}, 0.0, {self.target(step)}, {block_text(step)})"]
        i, j, k = self.indices(3)
        rows = [(i, size) for size in a.shape[:-1]]
        columns = [(j, size) for size in b.shape[1:]]
        places = [index for index, _ in [*rows, *columns]]
        left = self.element(a, [*(index for index, _ in rows), k])
        right = self.element(b, [k, *(index for index, _ in columns)])
        one = self.names.of("one", "one")
        terms = nest([(k, a.shape[-1])], [f"{one} += np.float64({left}) * {right}"])
        together = [f"{one} = 0.0", *terms]
        if not out.shape:
            return [*together, f"{self.number(step)} = np.{out.dtype.name}({one})"]
        target = f"{self.target(step)}[{', '.join(places)}]"
        if not adds_rows(self._graph, a, b):
            return nest([*rows, *columns], [*together, f"{target} = {one}"])
        added = nest([(k, a.shape[-1]), *columns], [f"{target} += {left} * {right}"])
        return nest(rows, [*nest(columns, [f"{target} = 0"]), *added])

    def view(self, step: Step) -> list[str]:
        """Look at memory as `step` does before the call, which writes there."""
        line = self.emitter.line(step)
        if line is not None:
            self.before.append(line)
        return []

    def indices(self, count: int) -> list[str]:
        """Give names of indices."""
        return [self.names.of(("index", n), "ijkl"[n : n + 1] or f"i{n}") for n in range(count)]

    def number(self, step: Step) -> str:
        """Give the name of a result that is a number."""
        out, hint = step.outputs[0], self.emitter.hint(step, step.outputs[0])
        is_result = out in self.emitter.program.results
        if is_result:
            self._results[out] = self.names.of(out, hint)
            self.before.append(f"{self._results[out]} = {self.emitter.fresh(out)}")
            self.arguments[self._results[out]] = None
        self._numbers[out] = self.names.of((self, out) if is_result else out, hint)
        return self._numbers[out]

    def target(self, step: Step) -> str:
        """Give the name of the array that takes the result of `step`."""
        out = step.outputs[0]
        name = self.emitter.into(step)
        if name is None:
            name = self.names.of(out, self.emitter.hint(step, out))
            self.before.append(f"{name} = {self.emitter.fresh(out)}")
        self.arguments[name] = None
        return name

    def array(self, x: Value) -> str:
        """Give the name of an array that the function is given."""
        name = self.emitter.operand(x)
        self.arguments[name] = None
        return name

    def element(self, x: Any, indices: Sequence[str]) -> str:
        """Give the text that reads the element of an operand which belongs to indices."""
        if x in self._numbers:
            return self._numbers[x]
        if x.array is not None and x.size == 1:
            return self.emitter.operand(x.array.flat[0])
        name = self.array(x)
        if not x.shape:
            self._numbers[x] = self.names.of((self, x), f"{name}_number")
            # It may be a number of NumPy's or an array without axes.
            self._first.append(f"{self._numbers[x]} = np.asarray({name})[()]")
            return self._numbers[x]
        own = indices[len(indices) - len(x.shape) :]
        parts = ["0" if size == 1 else index for size, index in zip(x.shape, own, strict=True)]
        return f"{name}[{', '.join(parts)}]"


def block_text(product: Step | Accumulation) -> str:
    """Give the text of how many rows, columns and terms of a product are done at once."""
    a, b = product.factors
    return str(product.block or (a.shape[0], b.shape[1], a.shape[1]))


def nest(loops: Iterable[tuple[str, int]], body: list[str]) -> list[str]:
    """Give loops, one in the other, around lines."""
    for index, size in reversed(list(loops)):
        body = [f"for {index} in range({size}):", *indent(body)]
    return body
