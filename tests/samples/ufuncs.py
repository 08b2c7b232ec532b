"""Samples of what methods of ufuncs are made of."""

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import Call, axes_of, draw_arrays, draw_generator, shapes_of, with_count


@st.composite
def along_axes(draw: st.DrawFn) -> Call:
    """Draw an array, and an axis along which it has elements."""
    shape = draw(shapes_of(min_dims=1))
    axis = draw(axes_of(len(shape)))
    return Call(draw_arrays(draw, [with_count(shape, axis, 1)]), {"axis": axis})


@st.composite
def segments(draw: st.DrawFn) -> Call:
    """Draw an array, an axis, and places along it in any order."""
    (x,), params = draw(along_axes())
    places = draw_generator(draw).integers(0, x.shape[params["axis"]], draw(st.integers(0, 4)))
    return Call((x,), {**params, "indices": places})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "add_reduceat": segments(),
    "running_fmax": along_axes(),
    "running_fmin": along_axes(),
}

FORMS = {
    "add_reduceat": lambda x, indices, axis: np.add.reduceat(x, indices, axis),
    "running_fmax": np.fmax.accumulate,
    "running_fmin": np.fmin.accumulate,
}
