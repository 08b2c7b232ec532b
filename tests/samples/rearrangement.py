"""Samples of functions that move, repeat or drop elements."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    Call,
    Shape,
    axes_of,
    draw_arrays,
    draw_generator,
    one_array,
    shapes_of,
    with_params,
)

OFFSETS = st.integers(-3, 3)


def axis_or_none(shape: Shape) -> st.SearchStrategy[Any]:
    return st.none() | axes_of(len(shape)) if shape else st.none()


def roll_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    plain = st.fixed_dictionaries(
        {"shift": st.integers(-4, 4)}, optional={"axis": axis_or_none(shape)}
    )
    if not shape:
        return plain
    axes = st.lists(axes_of(len(shape)), min_size=2, max_size=2).map(tuple)
    shifts = st.sampled_from([(1, -1), (2, 1), [0, 3], np.array([1, -2]), 2])
    return plain | st.fixed_dictionaries({"shift": shifts, "axis": axes})


def flip_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    axes = axis_or_none(shape) | hypothesis_numpy.valid_tuple_axes(len(shape))
    return st.fixed_dictionaries({}, optional={"axis": axes})


def rot_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    axes = hypothesis_numpy.valid_tuple_axes(len(shape), min_size=2, max_size=2)
    return st.fixed_dictionaries({}, optional={"k": st.integers(-5, 5), "axes": axes})


@st.composite
def repeats(draw: st.DrawFn) -> Call:
    """Draw an array and counts: one number, or one for each element along the axis."""
    shape = draw(shapes_of())
    axis = draw(axis_or_none(shape))
    size = int(np.prod(shape)) if axis is None else shape[axis]
    counts = st.integers(0, 3)
    each = st.lists(counts, min_size=size, max_size=size)
    chosen = draw(counts | counts.map(lambda n: [n]) | each | each.map(lambda x: np.array(x, int)))
    return Call(draw_arrays(draw, [shape]), {"repeats": chosen, "axis": axis})


TILES = st.sampled_from([0, 1, 2, (2,), [1, 3], (2, 1, 2), np.array([3, 2]), (1, 1, 1, 2), ()])


@st.composite
def diagonals(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=2))
    axes = draw(hypothesis_numpy.valid_tuple_axes(len(shape), min_size=2, max_size=2))
    chosen = draw(st.fixed_dictionaries({}, optional={"offset": OFFSETS}))
    named = dict(zip(("axis1", "axis2"), axes, strict=True)) if draw(st.booleans()) else {}
    return Call(draw_arrays(draw, [shape]), {**chosen, **named})


def of_dims(*counts: int) -> st.SearchStrategy[Call]:
    return one_array().filter(lambda call: call.inputs[0].ndim in counts)


@st.composite
def takes(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_side=1))
    axis = draw(axis_or_none(shape))
    size = int(np.prod(shape)) if axis is None else shape[axis]
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    low, high = (-size, size) if mode == "raise" else (-5, 7)
    numbers_shape = draw(st.sampled_from([(), (0,), (1,), (4,), (2, 3)]))
    indices = draw_generator(draw).integers(low, high, numbers_shape)
    return Call(draw_arrays(draw, [shape]), {"indices": indices, "axis": axis, "mode": mode})


@st.composite
def takes_along(draw: st.DrawFn) -> Call:
    """Draw an array, and numbers that broadcast with it but along the axis."""
    shape = draw(shapes_of(min_dims=1, min_side=1))
    axis = draw(st.none() | axes_of(len(shape)))
    if axis is None:
        size = int(np.prod(shape))
        numbers_shape: Shape = (draw(st.integers(0, 4)),)
    else:
        size, number = shape[axis], axis % len(shape)
        sides = [draw(st.sampled_from([side, 1])) for side in shape]
        numbers_shape = (*sides[:number], draw(st.integers(0, 4)), *sides[number + 1 :])
    indices = draw_generator(draw).integers(-size, size, numbers_shape)
    return Call(draw_arrays(draw, [shape]), {"indices": indices, "axis": axis})


@st.composite
def compressions(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    axis = draw(axis_or_none(shape))
    size = int(np.prod(shape)) if axis is None else shape[axis]
    condition = draw(st.lists(st.booleans(), max_size=size))
    return Call(draw_arrays(draw, [shape]), {"condition": condition, "axis": axis})


@st.composite
def extractions(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    condition = draw_generator(draw).random(shape) < 0.5
    return Call(draw_arrays(draw, [shape]), {"condition": condition})


@st.composite
def choices(draw: st.DrawFn) -> Call:
    """Draw choices that broadcast together with the numbers of the ones to take."""
    count = draw(st.integers(1, 3))
    shapes = draw(hypothesis_numpy.mutually_broadcastable_shapes(num_shapes=count + 1, max_side=3))
    mode = draw(st.sampled_from(["raise", "wrap", "clip"]))
    low, high = (0, count) if mode == "raise" else (-3, 5)
    number = draw_generator(draw).integers(low, high, shapes.input_shapes[0])
    return Call(draw_arrays(draw, shapes.input_shapes[1:]), {"a": number, "mode": mode})


@st.composite
def insertions(draw: st.DrawFn) -> Call:
    """Draw values for one place, for several, or for as many as there are."""
    shape = draw(shapes_of(min_dims=1, min_side=1))
    axis = draw(st.none() | axes_of(len(shape)))
    size = int(np.prod(shape)) if axis is None else shape[axis]
    obj = draw(st.sampled_from([0, -1, size, [0], [size, 0, 0], slice(None, None, 2), [1, -1]]))
    number = (axis or 0) % len(shape)
    row = () if axis is None else (*shape[:number], *shape[number + 1 :])
    values_shape = row if isinstance(obj, int) else ()
    if not isinstance(obj, int) and (axis is None or len(shape) == 1):
        values_shape = draw(st.sampled_from([(), (len(np.arange(size + 1)[obj]),)]))
        values_shape = values_shape if isinstance(obj, list) else ()
    shapes = [shape, draw(st.sampled_from([values_shape, ()]))]
    return Call(draw_arrays(draw, shapes), {"obj": obj, "axis": axis})


@st.composite
def deletions(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1, min_side=1))
    axis = draw(st.none() | axes_of(len(shape)))
    size = int(np.prod(shape)) if axis is None else shape[axis]
    places = [0, -1, [0], [0, -1, 0], slice(1), slice(None, None, 2), np.array([size - 1]), []]
    mask = np.arange(size) % 2 == 0
    obj = draw(st.sampled_from([*places, mask]))
    return Call(draw_arrays(draw, [shape]), {"obj": obj, "axis": axis})


@st.composite
def windows(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1, min_side=1))
    axis = draw(axes_of(len(shape)))
    several = tuple(draw(st.integers(1, size)) for size in shape)
    chosen = draw(
        st.sampled_from(
            [
                {"window_shape": several},
                {"window_shape": several[axis], "axis": axis},
                {"window_shape": (several[axis],), "axis": (axis,)},
                {"window_shape": (1, several[axis]), "axis": (axis, axis)},
            ]
        )
    )
    return Call(draw_arrays(draw, [shape]), chosen)


@st.composite
def sums_of_windows(draw: st.DrawFn) -> Call:
    """Draw what the gradient of sliding_window_view is made of."""
    call = draw(windows())
    (x,), axis = call.inputs, call.params.get("axis")
    view = np.lib.stride_tricks.sliding_window_view(x, **call.params)
    axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % x.ndim)
    return Call(draw_arrays(draw, [view.shape]), {"shape": x.shape, "axes": axes})


NEW_SHAPES = st.sampled_from([0, 1, 5, (2, 3), (4,), (3, 0), [2, 2, 2], ()])

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "roll": one_array(roll_params),
    "flip": one_array(flip_params),
    "flipud": one_array(min_dims=1),
    "fliplr": one_array(min_dims=2),
    "rot90": one_array(rot_params, min_dims=2),
    "repeat": repeats(),
    "tile": with_params(one_array(), reps=TILES).filter(lambda call: "reps" in call.params),
    "diagonal": diagonals(),
    "np.trace": diagonals(),
    "diag": with_params(of_dims(1, 2), k=OFFSETS),
    "diagflat": with_params(of_dims(0, 1, 2), k=OFFSETS),
    "tril": with_params(one_array(min_dims=1), k=OFFSETS),
    "triu": with_params(one_array(min_dims=1), k=OFFSETS),
    "take": takes(),
    "np.take": takes(),
    "take_along_axis": takes_along(),
    "np.take_along_axis": takes_along(),
    "np.compress": compressions(),
    "np.extract": extractions(),
    "choose": choices(),
    "np.choose": choices(),
    "insert": insertions(),
    "np.insert": insertions(),
    "delete": deletions(),
    "resize": with_params(one_array(), new_shape=NEW_SHAPES).filter(
        lambda call: "new_shape" in call.params
    ),
    "sliding_window_view": windows(),
    "sum_of_windows": sums_of_windows(),
}
FIRST_DTYPE = {"insert"}
FORMS = {
    "np.compress": lambda x, condition, axis: np.compress(condition, x, axis),
    "np.extract": lambda x, condition: np.extract(condition, x),
    "np.choose": lambda *choices, a, mode: np.choose(a, choices, mode=mode),
    "np.insert": lambda x, values, obj, axis: np.insert(x, obj, values, axis),
}
