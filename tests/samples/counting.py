"""Samples of weighted counts."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import Call, draw_arrays, draw_generator


@st.composite
def weighed(draw: st.DrawFn) -> Call:
    """Draw whole numbers with a weight each."""
    count = draw(st.integers(1, 5))
    places = draw_generator(draw).integers(0, 4, count)
    return Call((places, *draw_arrays(draw, [(count,)])), {"minlength": draw(st.integers(0, 6))})


@st.composite
def weighed_in_bins(draw: st.DrawFn) -> Call:
    """Draw eighths, some of which are edges of bins and some outside, with a weight each."""
    shape = draw(st.sampled_from([(1,), (5,), (2, 3)]))
    a = draw_generator(draw).integers(-8, 20, shape) // 2 * 2
    options: dict[str, Any] = {
        "bins": st.sampled_from([1, 3, 4, np.array([-3, 0, 4, 5])]),
        "range": st.sampled_from([None, (0, 8), (-8, 4)]),
    }
    weights = np.abs(draw_arrays(draw, [shape])[0]) + 0.5
    return Call((a, weights), draw(st.fixed_dictionaries({}, optional=options)))


@st.composite
def densities(draw: st.DrawFn) -> Call:
    """Draw the same with a normalisation, and with something inside of the bins."""
    call = draw(weighed_in_bins().filter(lambda call: np.any(count_in_bins(*call))))
    return Call(call.inputs, {**call.params, "density": draw(st.booleans())})


def count_in_bins(inputs: Any, params: dict[str, Any]) -> Any:
    return np.histogram(inputs[0], **params)[0]


def weigh(weights: Any, places: Any, count: int) -> Any:
    return np.bincount(places, weights, count)


def weigh_bins(weights: Any, a: Any, bins: Any, range: Any) -> Any:
    return np.histogram(a, bins, range, weights=weights)[0]


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "weigh": weighed().map(
        lambda call: Call(
            call.inputs[1:], {"places": call.inputs[0], "count": call.params["minlength"]}
        )
    ),
    "weigh_bins": weighed_in_bins().map(
        lambda call: Call(
            call.inputs[1:],
            {"a": call.inputs[0], "bins": 10, "range": None, **call.params},
        )
    ),
    "np.bincount": weighed(),
    "np.histogram": densities(),
    "np.histogram2d": weighed_in_bins().map(lambda call: Call(call.inputs[1:])),
    "np.histogramdd": weighed_in_bins().map(lambda call: Call(call.inputs[1:])),
}

FORMS = {
    "weigh": weigh,
    "weigh_bins": weigh_bins,
    "np.bincount": lambda x, weights, minlength: np.bincount(x, weights, minlength),
    "np.histogram": lambda a, weights, **params: np.histogram(a, weights=weights, **params)[0],
    "np.histogram2d": lambda x: np.histogram2d(np.ravel(x), np.ravel(x), 2)[0].astype(int),
    "np.histogramdd": lambda x: np.histogramdd(np.reshape(x, (-1, 1)), 2)[0].astype(int),
}
ALWAYS_FLOAT64 = {"weigh", "np.bincount", "np.histogram"}
REAL_ONLY = {"weigh", "np.bincount", "np.histogram2d", "np.histogramdd"}
