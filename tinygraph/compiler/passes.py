"""The simplifications of a program, each a function of its own, in the order they are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygraph.compiler.program import Program, Step, Value
from tinygraph.op import describe

Pass = Callable[[Program], Program]


def drop_unused(program: Program) -> Program:
    """Drop the steps whose results nobody reads."""
    needed = set(program.handed_back())
    steps: list[Step] = []
    for step in reversed(program.steps):
        if not needed.isdisjoint(step.outputs):
            needed.update(step.values)
            steps.append(step)
    program.steps = steps[::-1]
    return program


def merge_equal(program: Program) -> Program:
    """Compute once what several steps compute alike."""
    same: dict[Value, Value] = {}
    seen: dict[Any, Step] = {}
    steps = []
    for step in program.steps:
        step.inputs = tuple(same.get(x, x) if isinstance(x, Value) else x for x in step.inputs)
        first = seen.setdefault(key_of(step.function, step.inputs, step.params), step)
        if first is step:
            steps.append(step)
        else:
            same.update(zip(step.outputs, first.outputs, strict=True))
    program.steps = steps
    program.results = [same.get(x, x) for x in program.results]
    program.updates = [(number, same.get(x, x)) for number, x in program.updates]
    return program


def key_of(function: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Give what equal steps have in common."""
    return (function, tuple(map(identity_of, inputs)), repr(sorted(params.items())))


def identity_of(x: Any) -> Any:
    """Give what tells inputs apart: values by identity, numbers by type and text."""
    return x if isinstance(x, Value) else (type(x), repr(x))


def fold_constants(program: Program) -> Program:
    """Compute what depends on constants alone."""
    steps = []
    for step in program.steps:
        if all(not isinstance(x, Value) or x.array is not None for x in step.inputs):
            arrays = [x.array if isinstance(x, Value) else x for x in step.inputs]
            with np.errstate(all="ignore"):
                result = step.function(*arrays, **step.params)
            parts = result.parts if step.joint else [result]
            for out, array in zip(step.outputs, parts, strict=True):
                out.array = np.asarray(array)
        else:
            steps.append(step)
    program.steps = steps
    return program


def use_numbers(program: Program) -> Program:
    """Take a number in place of a constant array of equal elements, where it broadcasts alike."""
    for step in program.steps:
        if not is_elementwise(step):
            continue
        others = [x for x in step.values if x.array is None]
        if any(x.shape == step.outputs[0].shape for x in others):
            step.inputs = tuple(number_for(x) for x in step.inputs)
    return program


def drop_ones(program: Program) -> Program:
    """Drop multiplications by 1."""
    same: dict[Value, Value] = {}
    kept = set(program.handed_back())
    steps: list[Step] = []
    for step in program.steps:
        step.inputs = tuple(same.get(x, x) if isinstance(x, Value) else x for x in step.inputs)
        found = scale_of(step)
        out = step.outputs[0]
        if found is not None and not isinstance(found[1], Value) and found[1] == 1:
            x = found[0]
            if x.shape == out.shape and out not in kept:
                same[out] = x
                continue
        steps.append(step)
    program.steps = steps
    return program


def is_elementwise(step: Step) -> bool:
    """Tell whether a step treats elements apart and broadcasts."""
    return isinstance(step.function, np.ufunc) and step.function.signature is None


def number_for(x: Any) -> Any:
    """Give the number that all elements of a constant are, or what was given."""
    if not isinstance(x, Value) or x.array is None or not x.array.size:
        return x
    first = x.array.flat[0]
    return first if np.all(x.array == first) else x


TRANSPOSES = {np.transpose, np.matrix_transpose, np.swapaxes}
PRODUCTS = {np.dot, np.matmul}


def is_transpose(step: Step | None) -> bool:
    """Tell whether a step transposes a matrix."""
    if step is None or step.function not in TRANSPOSES or len(step.outputs[0].shape) != 2:
        return False
    if step.function is np.swapaxes:
        return bool(step.params["axis1"] % 2 != step.params["axis2"] % 2)
    axes = step.params.get("axes")
    return axes is None or tuple(axes) == (1, 0)


def leave_transposes_to_products(program: Program) -> Program:
    """Cancel double transposes, and turn (a @ b).T into b.T @ a.T, which BLAS reads as it lies."""
    graph = Graph(program)
    same: dict[Value, Value] = {}
    steps: list[Step] = []
    for step in program.steps:
        step.inputs = tuple(same.get(x, x) if isinstance(x, Value) else x for x in step.inputs)
        if not is_transpose(step):
            steps.append(step)
            continue
        step.function, step.params = np.transpose, {}
        (x,) = step.inputs
        made = graph.makers.get(x)
        maker = made[1] if made else None
        if maker is not None and is_transpose(maker) and step.outputs[0] not in graph.kept:
            same[step.outputs[0]] = maker.inputs[0]
        elif maker is not None and is_large_product(maker) and graph.is_read_once(x):
            steps += transposed_product(maker, step)
        else:
            steps.append(step)
    program.steps = steps
    return program


def is_large_product(step: Step) -> bool:
    """Tell whether a step multiplies two matrices, and the result is no smaller than they are.

    A smaller one is read across quickly, and the order of the factors may be there on purpose.
    """
    return (
        step.function in PRODUCTS
        and not step.params
        and all(isinstance(x, Value) and len(x.shape) == 2 for x in step.inputs)
        and step.outputs[0].nbytes >= max(x.nbytes for x in step.inputs)
    )


def transposed_product(product: Step, step: Step) -> list[Step]:
    """Give the steps of b.T @ a.T."""
    a, b = product.inputs
    turned = [Value(x.shape[::-1], x.dtype) for x in (b, a)]
    transposes = [
        replace(step, inputs=(x,), outputs=(out,)) for x, out in zip((b, a), turned, strict=True)
    ]
    return [*transposes, replace(product, inputs=tuple(turned), outputs=step.outputs)]


def scale_smaller(program: Program) -> Program:
    """Multiply by a number where the array is smallest: (a @ b) * s becomes (a * s) @ b.

    So the learning rate goes into a layer's deltas, not into the gradient of its weights.
    """
    for movers in (BEFORE_SUMS, BEFORE_SUMS | BEFORE_PRODUCTS):
        while move_one_scale(program, movers):
            merge_equal(program)
            drop_unused(program)
    return program


BEFORE_SUMS = {np.dot, np.matmul, np.transpose, np.sum, np.reshape, np.ravel}
BEFORE_PRODUCTS = {np.multiply}


def scale_of(step: Step) -> tuple[Value, Any] | None:
    """Give what `step` multiplies by a number, and the number, if that is what it does."""
    if step.function is not np.multiply or step.params or len(step.inputs) != 2:
        return None
    for x, s in (step.inputs, step.inputs[::-1]):
        is_number = not isinstance(s, Value) or s.shape == ()
        if isinstance(x, Value) and x.shape and is_number and x.dtype == step.outputs[0].dtype:
            return x, s
    return None


def move_one_scale(program: Program, movers: set[Any]) -> bool:
    """Move one multiplication by a number one step up; tell whether there was one to move."""
    graph = Graph(program)
    for step in reversed(program.steps):
        found = scale_of(step)
        if found is None:
            continue
        x, s = found
        made = graph.makers.get(x)
        if (
            made is None
            or x in graph.kept
            or len(graph.uses[x]) > 1
            or not graph.is_before(s, made)
        ):
            continue
        number, maker = made
        new = scaled_maker(graph, maker, step, s, movers)
        if new is not None:
            program.steps.remove(step)
            program.steps[number : number + 1] = new
            return True
    return False


class Graph:
    """Who makes and who reads the values of a program."""

    def __init__(self, program: Program) -> None:
        self.kept = set(program.handed_back())
        self.uses: dict[Value, list[Step]] = defaultdict(list)
        self.makers: dict[Value, tuple[int, Step]] = {}
        for number, step in enumerate(program.steps):
            for x in set(step.values):
                self.uses[x].append(step)
            for out in step.outputs:
                self.makers[out] = number, step

    def is_before(self, s: Any, made: tuple[int, Step]) -> bool:
        """Tell whether a number is known where a step is done."""
        return not isinstance(s, Value) or s not in self.makers or self.makers[s][0] < made[0]

    def is_read_once(self, x: Any) -> bool:
        """Tell whether one step alone reads `x`, and nobody outside."""
        return isinstance(x, Value) and x not in self.kept and len(self.uses[x]) == 1

    def maker_of_alone(self, x: Any) -> Step | None:
        """Give the step that makes `x`, if one other step alone reads it."""
        if not self.is_read_once(x):
            return None
        return self.makers[x][1] if x in self.makers else None


def scaled_maker(
    graph: Graph, maker: Step, step: Step, s: Any, movers: set[Any]
) -> list[Step] | None:
    """Give the steps that make the result of `step`, the scaled result of `maker`."""
    inner = scale_of(maker)
    if inner is not None:
        return scaled_twice(*inner, s, step)
    if maker.function in (np.add, np.subtract) and not maker.params:
        if not all(is_scaled_for_free(graph, x) for x in maker.inputs):
            return None
        pairs = [scaled(x, s, maker) for x in maker.inputs]
        inputs = tuple(x for x, _ in pairs)
        return [*(scale for _, scale in pairs), replace(maker, inputs=inputs, outputs=step.outputs)]
    if maker.function not in movers:
        return None
    position = operand_to_scale(graph, maker, s)
    if position is None:
        return None
    x, scale = scaled(maker.inputs[position], s, maker)
    inputs = (*maker.inputs[:position], x, *maker.inputs[position + 1 :])
    return [scale, replace(maker, inputs=inputs, outputs=step.outputs)]


def scaled(x: Value, s: Any, like: Step) -> tuple[Value, Step]:
    """Give x * s, and the step that makes it."""
    out = Value(x.shape, x.dtype)
    return out, replace(like, function=np.multiply, inputs=(x, s), params={}, outputs=(out,))


def scaled_twice(x: Value, s: Any, t: Any, step: Step) -> list[Step]:
    """Give the steps of x * (s * t) in place of (x * s) * t."""
    if isinstance(s, Value) or isinstance(t, Value):
        both = Value((), x.dtype)
        number = replace(step, inputs=(s, t), outputs=(both,))
        return [number, replace(step, inputs=(x, both))]
    return [replace(step, inputs=(x, s * t))]


def is_scaled_for_free(graph: Graph, x: Any) -> bool:
    """Tell whether `x` is a product with a number, or of matrices one of which is smaller."""
    maker = graph.maker_of_alone(x)
    if maker is None or x.shape == ():
        return False
    is_product = maker.function in (np.dot, np.matmul)
    return scale_of(maker) is not None or (
        is_product and operand_to_scale(graph, maker, None) is not None
    )


def operand_to_scale(graph: Graph, maker: Step, s: Any) -> int | None:
    """Give the number of the operand that is scaled in place of the result: none that is larger.

    One that is scaled by the same number already, for another step, comes first.
    """
    out = maker.outputs[0]
    linear = [
        (position, x)
        for position, x in enumerate(maker.inputs)
        if isinstance(x, Value) and x.dtype == out.dtype and x.shape
    ]
    for position, x in linear:
        scales = [scale_of(step) for step in graph.uses[x]]
        if any(scale and identity_of(scale[1]) == identity_of(s) for scale in scales):
            return position
    smaller = [(x.nbytes, position) for position, x in linear if x.nbytes <= out.nbytes]
    return min(smaller)[1] if smaller and maker.function is not np.sum else None


def fold_decay(program: Program) -> Program:
    """Take a decay into a step: w - (d + w * s) becomes w * (1 - s) - d."""
    graph = Graph(program)
    steps: list[Step] = []
    for step in program.steps:
        steps += decayed(graph, step) or [step]
    program.steps = steps
    return program


def decayed(graph: Graph, step: Step) -> list[Step] | None:
    """Give the steps in place of w - (d + w * s), None for another."""
    if step.function is not np.subtract or step.params or not isinstance(step.inputs[0], Value):
        return None
    w, change = step.inputs
    total = graph.maker_of_alone(change)
    if total is None or total.function is not np.add or total.params:
        return None
    for d, term in (total.inputs, total.inputs[::-1]):
        maker = graph.maker_of_alone(term)
        found = scale_of(maker) if maker is not None else None
        if found is not None and found[0] is w:
            rest = Value((), w.dtype)
            kept = Value(w.shape, w.dtype)
            return [
                replace(step, inputs=(1, found[1]), outputs=(rest,)),
                replace(step, function=np.multiply, inputs=(w, rest), outputs=(kept,)),
                replace(step, inputs=(kept, d)),
            ]
    return None


PASSES: list[Pass] = [
    drop_unused,
    fold_constants,
    use_numbers,
    drop_ones,
    leave_transposes_to_products,
    leave_transposes_to_products,
    merge_equal,
    scale_smaller,
    fold_decay,
    drop_unused,
]


def describe_program(program: Program) -> str:
    """Write the steps of a program, one a line."""
    names: dict[Value, str] = {}

    def name_of(x: Any) -> str:
        if not isinstance(x, Value):
            return repr(x)
        return names.setdefault(
            x, x.name or f"{'constant' if x.array is not None else 't'}{len(names)}"
        )

    lines = []
    for step in program.steps:
        inputs = [name_of(x) for x in step.inputs] + [f"{k}={v!r}" for k, v in step.params.items()]
        outputs = ", ".join(f"{name_of(x)}: {x.dtype}{list(x.shape)}" for x in step.outputs)
        lines.append(f"  {outputs} = {describe(step.function)}({', '.join(inputs)})")
    handed = [name_of(x) for x in program.results]
    updates = [f"{name_of(program.leaves[n])} <- {name_of(x)}" for n, x in program.updates]
    return "\n".join([*lines, f"  return {', '.join(handed)}", *(f"  {x}" for x in updates)])
