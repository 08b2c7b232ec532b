"""Samples of averages, order statistics and covariances.

Those that pass by NaN are drawn without any: tests/test_statistics.py has what they do with it.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    KEEPDIMS,
    Call,
    draw_arrays,
    draw_generator,
    one_array,
    with_params,
)
from tests.samples.reduction import reductions

METHODS = [
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
]


REDUCTIONS = reductions(min_count=1, keepdims=KEEPDIMS)
NOT_EMPTY = REDUCTIONS.filter(lambda call: call.inputs[0].size)


@st.composite
def averages(draw: st.DrawFn) -> Call:
    """Draw an array, and at times weights, of all elements or of the places along the axes."""
    call = draw(with_params(NOT_EMPTY, returned=st.booleans()))
    (a,) = call.inputs
    if draw(st.booleans()):
        return call
    axis = call.params.get("axis")
    along = None if axis is None else tuple(a.shape[n] for n in np.atleast_1d(axis).astype(int))
    shape = draw(st.sampled_from([a.shape, a.shape if along is None else along]))
    return Call((a, *draw_arrays(draw, [shape], AWAY_FROM_ZERO)), call.params)


def average(a: Any, *weights: Any, **params: Any) -> Any:
    """Give np.average the weights, and without any leave out their sum, which is plain."""
    if weights:
        return np.average(a, weights=weights[0], **params)
    return np.average(a, **{**params, "returned": False})


@st.composite
def quantiles(draw: st.DrawFn, scale: float, weighted: bool = False) -> Call:
    """Draw numbers in the unit interval, times `scale`; an array of them, narrow as no other is."""
    call = draw(NOT_EMPTY)
    (x,) = call.inputs
    numbers = st.floats(0, 1).map(lambda q: round(q, 2) * scale)
    several = st.lists(numbers, max_size=3).map(lambda q: np.array(q, np.float16))
    params = {**call.params, "q": draw(numbers | several), "method": draw(st.sampled_from(METHODS))}
    if weighted and x.ndim and draw(st.booleans()):
        weights = draw_generator(draw).uniform(0.5, 1.5, x.shape)
        params = {**params, "method": "inverted_cdf", "weights": weights}
    return Call((x,), params)


@st.composite
def covariances(draw: st.DrawFn, weighted: bool = False) -> Call:
    """Draw one or two samples of some variables, and at times weights of the observations."""
    count = draw(st.integers(3, 5))
    shapes: Any = st.sampled_from([(count,), (1, count), (2, count), (3, count)])
    arrays = draw_arrays(draw, draw(st.lists(shapes, min_size=1, max_size=2)))
    params: dict[str, Any] = {}
    if draw(st.booleans()) and all(x.shape[0] != 1 for x in arrays):
        arrays = tuple(x.T for x in arrays)
        params["rowvar"] = False
    names = ["m", "y"][: len(arrays)]
    if weighted:
        params |= draw(st.sampled_from([{}, {"ddof": 0}, {"ddof": 2}, {"bias": True}]))
        if draw(st.booleans()):
            params["fweights"] = draw_generator(draw).integers(1, 4, count)
        if draw(st.booleans()):
            arrays = (*arrays, *draw_arrays(draw, [(count,)], AWAY_FROM_ZERO))
            names.append("aweights")
    return Call(arrays, {**params, "names": tuple(names)})


def cov(*inputs: Any, names: tuple[str, ...], **params: Any) -> Any:
    """Give np.cov the arguments that `names` names; weights of complex samples are real."""
    given = dict(zip(names, inputs, strict=True))
    if "aweights" in given:
        given["aweights"] = np.real(given["aweights"])
    return np.cov(**given, **params)


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "np.average": averages(),
    "np.ptp": REDUCTIONS,
    "median": NOT_EMPTY,
    "nanmedian": NOT_EMPTY,
    "quantile": quantiles(1, weighted=True),
    "percentile": quantiles(100, weighted=True),
    "nanquantile": quantiles(1),
    "nanpercentile": quantiles(100),
    "np.cov": covariances(weighted=True),
    "np.corrcoef": covariances(),
    "clip_to_unit": one_array(min_dims=1),
}

FORMS = {
    "np.average": average,
    "np.cov": cov,
    "np.corrcoef": lambda *inputs, names, **params: np.corrcoef(*inputs, **params),
}

REAL_ONLY = {
    "quantile",
    "percentile",
    "nanquantile",
    "nanpercentile",
}
ALWAYS_FLOAT64 = {
    "np.cov",
    "np.corrcoef",
}
