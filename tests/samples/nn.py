"""Samples of the ops of tinygraph.nn."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    KEEPDIMS,
    Call,
    axes_of,
    draw_arrays,
    elementwise,
    one_array,
    shapes_of,
    with_count,
    with_params,
)
from tests.samples.reduction import reductions


@st.composite
def normalisations(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    """Draw an array and axes, one or several, which are not empty."""
    shape = draw(shapes_of(min_dims=1))
    axes = axes_of(len(shape)) | hypothesis_numpy.valid_tuple_axes(len(shape), min_size=1)
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes, **params}))
    return Call(draw_arrays(draw, [with_count(shape, chosen.get("axis", -1), 1)]), chosen)


@st.composite
def linear_layers(draw: st.DrawFn) -> Call:
    outputs, inputs = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    batch = draw(st.lists(st.integers(0, 3), max_size=2))
    return Call(draw_arrays(draw, [(*batch, inputs), (outputs, inputs), (outputs,)]))


@st.composite
def losses(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1, min_side=1))
    return Call(draw_arrays(draw, [shape, shape]))


FACTORS = st.sampled_from([0.01, 0.5, 2.0])


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "linear": linear_layers(),
    "sigmoid": elementwise(1),
    "relu": elementwise(1),
    "leaky_relu": with_params(elementwise(1), slope=FACTORS),
    "elu": with_params(elementwise(1), alpha=FACTORS),
    "softplus": elementwise(1),
    "softmax": normalisations(),
    "log_softmax": normalisations(),
    "logsumexp": reductions(min_count=1, keepdims=KEEPDIMS),
    "quadratic": losses(),
    "squared_norm": one_array(),
    "cross_entropy": losses(),
    "binary_cross_entropy_with_logits": losses(),
}

REAL_ONLY = {"binary_cross_entropy_with_logits", "softplus"}
FIRST_DTYPE = {"cross_entropy"}
