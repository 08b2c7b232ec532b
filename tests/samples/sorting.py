"""Samples of functions that put elements in order."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    Call,
    Shape,
    axes_of,
    draw_arrays,
    one_array,
    shapes_of,
)


def lines(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an axis; without one all elements are in a line, which is all that one number can be."""
    if not shape:
        return st.just({"axis": None})
    return st.fixed_dictionaries({}, optional={"axis": st.none() | axes_of(len(shape))})


@st.composite
def orders(draw: st.DrawFn) -> Call:
    call = draw(one_array(lines))
    kinds = st.sampled_from([{}, {"kind": "stable"}, {"kind": "heapsort"}, {"stable": True}])
    return Call(call.inputs, {**call.params, **draw(kinds)})


@st.composite
def partitions(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_side=1))
    params = draw(lines(shape))
    axis = params.get("axis", -1)
    size = int(np.prod(shape)) if axis is None else shape[axis]
    numbers = st.integers(-size, size - 1)
    kth = draw(numbers | st.lists(numbers, min_size=1, max_size=2).map(tuple))
    return Call(draw_arrays(draw, [shape]), {**params, "kth": kth})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "sort": orders(),
    "partition": partitions(),
    "np.sort_complex": one_array(min_dims=1),
}

ALWAYS_FLOAT64 = {"np.sort_complex"}
