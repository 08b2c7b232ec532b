"""Samples of reading and writing elements."""

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    Call,
    draw_arrays,
    one_array,
    shapes_of,
    with_params,
)
from tinygraph.testing import indices


@st.composite
def reads(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    return Call(draw_arrays(draw, [shape]), {"index": draw(indices(shape))})


@st.composite
def scatters(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    index = draw(indices(shape))
    read = np.zeros(shape)[index]
    return Call(draw_arrays(draw, [read.shape]), {"index": index, "shape": shape})


@st.composite
def writes(draw: st.DrawFn, more_axes: bool = False) -> Call:
    """Draw an array, an index, and values that broadcast to the elements there.

    NumPy lets them have more axes of length one in front where no mask names them.
    """
    shape = draw(shapes_of())
    index = draw(indices(shape))
    target = np.zeros(shape)[index].shape
    shapes = [target, target[1:], (), tuple(min(size, 1) for size in target)]
    if more_axes and target and not isinstance(index, np.ndarray):
        shapes += [(1, *target), (1, 1)]
    return Call(draw_arrays(draw, [shape, draw(st.sampled_from(shapes))]), {"index": index})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "getitem": reads(),
    "scatter": scatters(),
    "put": writes(more_axes=True),
    "put_add": writes(),
}

FIRST_DTYPE = {"put", "put_add"}
FORMS = {"getitem": lambda x, index: x[index]}


@st.composite
def crosses(draw: st.DrawFn) -> Call:
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    return Call(draw_arrays(draw, [(size,) for size in sizes]))


SAMPLES |= {
    "np.ix_": crosses(),
    # A zero that is moved to estimate a gradient is none.
    "np.trim_zeros": with_params(
        one_array().filter(lambda call: call.inputs[0].ndim == 1),
        trim=st.sampled_from(["f", "b", "bf"]),
    ),
}
