"""Constants and numbers: computed once, and given to steps as they take them fastest."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.compiler.passes.scales import scale_of
from tinygraph.compiler.program import Program, Step, Value, map_params
from tinygraph.op import OPS


def fold_constants(program: Program) -> Program:
    """Compute what depends on constants alone."""
    steps = []
    for step in program.steps:
        if all(x.array is not None for x in step.values):
            arrays = [*map(array_of, step.inputs)]
            if step.function in OPS and OPS[step.function].signature.takes_sequence:
                arrays = [arrays]
            with np.errstate(all="ignore"):
                result = step.function(*arrays, **map_params(array_of, step.params))
            parts = result.parts if step.joint else [result]
            for out, array in zip(step.outputs, parts, strict=True):
                out.array = np.asarray(array)
        else:
            steps.append(step)
    program.steps = steps
    return program


def array_of(x: Any) -> Any:
    """Give the array of a constant, anything else as it is."""
    return x.array if isinstance(x, Value) else x


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
        step.replace(same)
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


def number_for(x: Any) -> Any:
    """Give the number that all elements of a constant are, or what was given."""
    if not isinstance(x, Value) or x.array is None or not x.array.size:
        return x
    first = x.array.flat[0]
    return first if np.all(x.array == first) else x


def box_numbers(program: Program) -> Program:
    """Make arrays of numbers, which ufuncs look at in half the time."""
    for step in program.steps:
        dtypes = {x.dtype for x in step.values}
        if is_elementwise(step) and not step.params and len(dtypes) == 1:
            (dtype,) = dtypes
            loop = dtype.char * len(step.inputs)
            types = step.function.types  # type: ignore[attr-defined]
            if dtype.kind == "f" and any(x.startswith(loop) for x in types):
                step.inputs = tuple(boxed(x, dtype) for x in step.inputs)
    return program


def boxed(x: Any, dtype: np.dtype[Any]) -> Any:
    """Give a real number as a constant of the dtype that NumPy would cast it to."""
    if isinstance(x, Value) or not (type(x) in (int, float) or getattr(x, "dtype", 0) == dtype):
        return x
    with np.errstate(over="ignore"):
        array = np.array(x, dtype)
    return Value((), dtype, array=array) if np.isfinite(array) else x


def is_elementwise(step: Step) -> bool:
    """Tell whether a step treats elements apart and broadcasts."""
    return isinstance(step.function, np.ufunc) and step.function.signature is None
