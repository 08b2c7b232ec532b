"""Samples of functions over axes."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    KEEPDIMS,
    Call,
    axes_of,
    draw_arrays,
    draw_generator,
    shapes_of,
    with_count,
)


@st.composite
def reductions(
    draw: st.DrawFn,
    min_count: int = 0,
    zeros: bool = False,
    **params: st.SearchStrategy[Any],
) -> Call:
    """Draw an array and axes over which at least `min_count` elements come together."""
    at_least_one = int(min_count > 1)
    shape = draw(shapes_of(min_dims=at_least_one))
    axes = st.none() | hypothesis_numpy.valid_tuple_axes(len(shape), min_size=at_least_one)
    if shape:
        axes |= axes_of(len(shape))
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes, **params}))
    shape = with_count(shape, chosen.get("axis"), min_count)
    (x,) = draw_arrays(draw, [shape])
    if zeros:
        x = x * draw_generator(draw).choice([0.0, 1.0, 1.0], shape)
    return Call((np.asarray(x),), chosen)


@st.composite
def spreads(draw: st.DrawFn) -> Call:
    """Draw for var and std: at least three elements, so that ddof leaves some freedom."""
    call = draw(reductions(min_count=3, keepdims=st.booleans()))
    freedom = draw(st.sampled_from([{}, {"ddof": 1}, {"ddof": 2}, {"correction": 1}]))
    return Call(call.inputs, {**call.params, **freedom})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "sum": reductions(keepdims=KEEPDIMS),
    "mean": reductions(min_count=1, keepdims=KEEPDIMS),
    "prod": reductions(zeros=True, keepdims=KEEPDIMS),
    "max": reductions(min_count=1, keepdims=KEEPDIMS),
    "min": reductions(min_count=1, keepdims=KEEPDIMS),
    "amax": reductions(min_count=1, keepdims=KEEPDIMS),
    "amin": reductions(min_count=1, keepdims=KEEPDIMS),
    "var": spreads(),
    "std": spreads(),
}
