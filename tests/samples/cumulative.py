"""Samples of running sums, products and extrema, and of differences along an axis.

Those that pass by NaN are drawn without any: tests/test_cumulative.py has what they do with it.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    Call,
    Shape,
    axes_of,
    draw_arrays,
    draw_generator,
    shapes_of,
)


@st.composite
def running(draw: st.DrawFn, needs_axis: bool = False, zeros: bool = False) -> Call:
    """Draw an array and an axis; without one NumPy takes all elements in a line."""
    shape = draw(shapes_of(min_dims=int(needs_axis)))
    axes = axes_of(len(shape)) if shape else st.just(0)
    params = {"axis": draw(axes)} if needs_axis or draw(st.booleans()) else {}
    (x,) = draw_arrays(draw, [shape])
    if zeros:
        x = np.asarray(x * draw_generator(draw).choice([0.0, 1.0, 1.0], shape))
    return Call((x,), params)


@st.composite
def running_of_array_api(draw: st.DrawFn, zeros: bool = False) -> Call:
    """Draw also what only the functions of the array API have; they take one line without axis."""
    call = draw(running(zeros=zeros))
    params = {**call.params, "include_initial": draw(st.booleans())}
    if call.inputs[0].ndim > 1:
        params = {"axis": -1, **params}
    return Call(call.inputs, params)


@st.composite
def differences(draw: st.DrawFn) -> Call:
    """Draw an array and what is put before and after it: numbers, or arrays as its neighbours."""
    shape = draw(shapes_of(min_dims=1))
    axis = draw(axes_of(len(shape)))
    ends = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(["prepend", "append"], st.none())))
    neighbour = tuple(2 if i == axis % len(shape) else size for i, size in enumerate(shape))
    shapes = [draw(st.sampled_from([(), neighbour])) for _ in ends]
    params = draw(st.fixed_dictionaries({}, optional={"n": st.integers(0, 3)}))
    return Call(draw_arrays(draw, [shape, *shapes]), {"axis": axis, "ends": tuple(ends), **params})


@st.composite
def flat_differences(draw: st.DrawFn) -> Call:
    shapes = [draw(shapes_of()) for _ in range(draw(st.integers(1, 3)))]
    ends = draw(st.permutations(["to_begin", "to_end"]))
    return Call(draw_arrays(draw, shapes), {"ends": tuple(ends)})


def with_ends(function: Any) -> Any:
    """Give a function with the arguments that `ends` names as further inputs."""
    return lambda a, *inputs, ends, **params: function(
        a, **dict(zip(ends, inputs, strict=False)), **params
    )


def draw_spacing(draw: st.DrawFn, size: int) -> np.ndarray:
    """Draw a step, or coordinates, by steps that stay some when they are rounded up."""
    (steps,) = draw_arrays(draw, [draw(st.sampled_from([(), (size,)]))], (1.1, 3.0))
    return np.cumsum(steps) if steps.ndim else steps


@st.composite
def slopes(draw: st.DrawFn) -> Call:
    shape, edge_order = draw_long_enough(draw)
    axis = draw(axes_of(len(shape)))
    (f,) = draw_arrays(draw, [shape])
    spacing = draw_spacing(draw, shape[axis])
    return Call((f, spacing), {"axis": axis, "edge_order": edge_order})


def draw_long_enough(draw: st.DrawFn) -> tuple[Shape, int]:
    """Draw a shape and the order of the slopes at its edges, for which it has enough elements."""
    edge_order = draw(st.integers(1, 2))
    shape = draw(st.lists(st.integers(edge_order + 1, 4), min_size=1, max_size=2))
    return tuple(shape), edge_order


@st.composite
def gradients(draw: st.DrawFn) -> Call:
    """Draw an array, axes, and steps or coordinates along all or each of them."""
    shape, edge_order = draw_long_enough(draw)
    (f,) = draw_arrays(draw, [shape])
    axes = draw(st.lists(axes_of(len(shape)), min_size=1, unique_by=lambda a: a % len(shape)))
    chosen = draw(st.sampled_from([{}, {"axis": tuple(axes)}, {"axis": axes[0]}]))
    along = np.atleast_1d(chosen.get("axis", range(len(shape)))).tolist()
    step = np.asarray(draw(st.floats(1.1, 3.0)))
    each = [draw_spacing(draw, shape[axis]) for axis in along]
    spacings = draw(st.sampled_from([[], [step], each]))
    return Call((f, *spacings), {"edge_order": edge_order, **chosen})


@st.composite
def integrals(draw: st.DrawFn) -> Call:
    """Draw an array and the steps between its elements: one, or those of coordinates."""
    shape = draw(shapes_of(min_dims=1))
    axis = draw(axes_of(len(shape)))
    kinds: dict[str, Shape] = {"x": (shape[axis],), "dx": ()}
    name = draw(st.sampled_from([None, "x", "dx", "each"]))
    others = [] if name is None else [shape if name == "each" else kinds[name]]
    ends = () if name is None else ("x" if name == "each" else name,)
    return Call(draw_arrays(draw, [shape, *others]), {"axis": axis, "ends": ends})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "cumsum": running(),
    "cumprod": running(zeros=True),
    "running_max": running(needs_axis=True),
    "running_min": running(needs_axis=True),
    "np.cumulative_sum": running_of_array_api(),
    "np.cumulative_prod": running_of_array_api(zeros=True),
    "np.nancumsum": running(),
    "np.nancumprod": running(zeros=True),
    "difference": running(needs_axis=True),
    "np.diff": differences(),
    "np.ediff1d": flat_differences(),
    "slope": slopes(),
    "np.gradient": gradients(),
    "np.trapezoid": integrals(),
}

FORMS = {
    name: with_ends(function)
    for name, function in {
        "np.diff": np.diff,
        "np.ediff1d": np.ediff1d,
        "np.trapezoid": np.trapezoid,
    }.items()
}
FORMS |= {"running_max": np.maximum.accumulate, "running_min": np.minimum.accumulate}

FIRST_DTYPE = {"slope"}
