"""Samples of functions that join arrays, and of those that take one apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import Call, Shape, axes_of, draw_arrays, one_array, shapes_of


def joined_shapes(draw: st.DrawFn, shape: Shape, axis: int) -> list[Shape]:
    """Draw shapes that differ from `shape` along an axis alone."""
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


@st.composite
def joins(draw: st.DrawFn) -> Call:
    """Draw arrays that concatenate along an axis, or flattened where it is None."""
    if draw(st.booleans()):
        shapes = draw(st.lists(shapes_of(), min_size=1, max_size=3))
        return Call(draw_arrays(draw, shapes), {"axis": None})
    shape = draw(shapes_of(min_dims=1))
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes_of(len(shape))}))
    axis = chosen.get("axis", 0) % len(shape)
    return Call(draw_arrays(draw, joined_shapes(draw, shape, axis)), chosen)


@st.composite
def joins_along(draw: st.DrawFn, axis_of: Callable[[int], int], full: int, flat: int = 0) -> Call:
    """Draw arrays of `full` axes or more, or of fewer but all alike, that join along one axis."""
    shape = draw(shapes_of(min_dims=flat))
    if len(shape) < full:
        return Call(draw_arrays(draw, [shape] * draw(st.integers(1, 3))))
    return Call(draw_arrays(draw, joined_shapes(draw, shape, axis_of(len(shape)))))


@st.composite
def stacks(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    axes = st.integers(-len(shape) - 1, len(shape))
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes}))
    return Call(draw_arrays(draw, [shape] * draw(st.integers(1, 3))), chosen)


@st.composite
def appended(draw: st.DrawFn) -> Call:
    call = draw(joins())
    x = call.inputs[0]
    params = call.params if "axis" in call.params else {"axis": 0}
    return Call((x, call.inputs[-1]), params)


@st.composite
def blocks(draw: st.DrawFn) -> Call:
    """Draw a row of two blocks above one that is as long as both."""
    rows, below, left, right = (draw(st.integers(0, 3)) for _ in range(4))
    batch = draw(st.sampled_from([(), (1,), (2,)]))
    shapes = [(rows, left), (rows, right), (below, left + right)]
    return Call(draw_arrays(draw, [(*batch, *shape) for shape in shapes]))


SECTIONS = st.sampled_from([1, [1], [0, 2], [2, 1], [-1], [1, 1, 5], []])


@st.composite
def splits(draw: st.DrawFn, least: int = 1, uneven: bool = False, axis: bool = True) -> Call:
    """Draw an array and the numbers or places of cuts that it can have along an axis."""
    shape = draw(shapes_of(min_dims=least))
    number = draw(axes_of(len(shape))) if axis else 0 if len(shape) == 1 else least - 1
    size = shape[number]
    counts = [count for count in range(1, 4) if uneven or size % count == 0]
    sections = draw(SECTIONS | st.sampled_from(counts))
    params = {"indices_or_sections": sections, **({"axis": number} if axis else {})}
    return Call(draw_arrays(draw, [shape]), params)


@st.composite
def columns_of_splits(draw: st.DrawFn, name: str) -> Call:
    least = {"hsplit": 1, "vsplit": 2, "dsplit": 3}[name]
    shape = draw(shapes_of(min_dims=least))
    axis = {"hsplit": min(1, len(shape) - 1), "vsplit": 0, "dsplit": 2}[name]
    counts = [count for count in range(1, 4) if shape[axis] % count == 0]
    sections = draw(SECTIONS | st.sampled_from(counts))
    return Call(draw_arrays(draw, [shape]), {"indices_or_sections": sections})


def one_axis(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={"axis": axes_of(len(shape))})


ALONG_AXIS: list[Callable[..., Any]] = [
    np.sum,
    np.tanh,
    np.argmax,
    lambda row, power=2: row**power * np.max(row),
    lambda row: np.outer(row, row),
]


@st.composite
def along_axes(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1, min_side=1))
    params = {"func1d": draw(st.sampled_from(ALONG_AXIS)), "axis": draw(axes_of(len(shape)))}
    return Call(draw_arrays(draw, [shape]), params)


OVER_AXES: list[Callable[..., Any]] = [
    np.sum,
    lambda x, axis: np.roll(x, 1, axis) * x,
    lambda x, axis: np.mean(x, axis, keepdims=True),
    lambda x, axis: np.square(x),
]


@st.composite
def over_axes(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1))
    axis = axes_of(len(shape))
    axes = draw(axis | st.lists(axis, min_size=1, max_size=2))
    function = draw(st.sampled_from(OVER_AXES[:2] if 0 in shape else OVER_AXES))
    return Call(draw_arrays(draw, [shape]), {"func": function, "axes": axes})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "concatenate": joins(),
    "stack": stacks(),
    "np.vstack": joins_along(lambda ndim: 0, 2),
    "np.hstack": joins_along(lambda ndim: min(1, ndim - 1), 1),
    "np.dstack": joins_along(lambda ndim: 2, 3),
    "np.column_stack": joins_along(lambda ndim: 1, 2),
    "np.append": appended(),
    "np.block": blocks(),
    "np.split": splits(),
    "np.array_split": splits(uneven=True),
    "np.hsplit": columns_of_splits("hsplit"),
    "np.vsplit": columns_of_splits("vsplit"),
    "np.dsplit": columns_of_splits("dsplit"),
    "np.unstack": one_array(one_axis, min_dims=1),
    "np.apply_along_axis": along_axes(),
    "np.apply_over_axes": over_axes(),
}


def of_sequence(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **params: function(arrays, **params)


OF_SEQUENCES = {"concatenate", "stack"}
JOINT = {"split", "unstack"}
FORMS = {
    **{
        f"np.{function.__name__}": of_sequence(function)
        for function in (np.vstack, np.hstack, np.dstack, np.column_stack)
    },
    "np.block": lambda left, right, below: np.block([[left, right], [below]]),
    "np.apply_along_axis": lambda x, func1d, axis: np.apply_along_axis(func1d, axis, x),
    "np.apply_over_axes": lambda x, func, axes: np.apply_over_axes(func, x, axes),
}
