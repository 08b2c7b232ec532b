"""Samples of functions over axes.

Those that pass by NaN are drawn without any: tests/test_reduction.py has what they do with it.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    KEEPDIMS,
    Call,
    Shape,
    axes_of,
    draw_arrays,
    draw_generator,
    shapes_of,
    with_count,
)
from tinygraph.rules.reduction import kept_shape


@st.composite
def reductions(
    draw: st.DrawFn,
    min_count: int = 0,
    zeros: bool = False,
    masks: bool = False,
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
    if masks and shape and draw(st.booleans()):
        chosen["where"] = draw_mask(draw, shape, chosen.get("axis"), min_count)
    (x,) = draw_arrays(draw, [shape])
    if zeros:
        x = x * draw_generator(draw).choice([0.0, 1.0, 1.0], shape)
    return Call((np.asarray(x),), chosen)


def draw_mask(draw: st.DrawFn, shape: Shape, axis: Any, min_count: int) -> np.ndarray:
    """Draw a mask that broadcasts to `shape` and leaves at least `min_count` elements each time."""
    own = draw(st.sampled_from([shape, shape[1:], tuple(min(size, 1) for size in shape)]))
    mask = np.asarray(draw_generator(draw).random(own) < 0.6)
    count = np.sum(np.broadcast_to(mask, shape), axis=axis, keepdims=True)
    return mask if np.all(count >= min_count) else mask | (count < min_count)


@st.composite
def extrema(draw: st.DrawFn) -> Call:
    """Draw for max and min, which start from an initial value where there may be nothing else."""
    call = draw(reductions(masks=True, keepdims=KEEPDIMS))
    (x,) = call.inputs
    if x.size and "where" not in call.params and draw(st.booleans()):
        return call
    return Call((x,), {**call.params, "initial": draw(st.sampled_from([-99.0, 0.0, 99.0]))})


@st.composite
def spreads(draw: st.DrawFn, with_center: bool = True) -> Call:
    """Draw for var and std: at least three elements, so that ddof leaves some freedom.

    At times a center, away from which the elements are in place of their mean, is an input too.
    """
    call = draw(reductions(min_count=3, masks=True, keepdims=KEEPDIMS))
    (x,) = call.inputs
    freedom = draw(st.sampled_from([{}, {"ddof": 1}, {"ddof": 2}]))
    center = ()
    if with_center and draw(st.booleans()):
        center = draw_arrays(draw, [kept_shape(x.shape, call.params.get("axis"))])
    return Call((x, *center), {**call.params, **freedom})


@st.composite
def corrected_spreads(draw: st.DrawFn) -> Call:
    """Draw for var and std as users write them, where ddof has another name too."""
    call = draw(spreads())
    params = dict(call.params)
    if "ddof" in params and draw(st.booleans()):
        params["correction"] = params.pop("ddof")
    return Call(call.inputs, params)


def with_center(function: Any) -> Any:
    """Give np.var or a relative with its parameter `mean` as the second input."""
    return lambda x, *mean, **params: function(
        x, **params, **dict(zip(["mean"], mean, strict=False))
    )


SUMS = reductions(masks=True, keepdims=KEEPDIMS, initial=st.sampled_from([0.0, 2.5]))
MEANS = reductions(min_count=1, masks=True, keepdims=KEEPDIMS)
PRODUCTS = reductions(
    zeros=True, masks=True, keepdims=KEEPDIMS, initial=st.sampled_from([0.0, 2.5])
)

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "sum": SUMS,
    "mean": MEANS,
    "prod": PRODUCTS,
    "nansum": SUMS,
    "nanmean": MEANS,
    "nanprod": PRODUCTS,
}
SAMPLES |= dict.fromkeys(["max", "min", "amax", "amin", "nanmax", "nanmin"], extrema())

FORMS = {}
for function in (np.var, np.std, np.nanvar, np.nanstd):
    name = function.__name__
    SAMPLES |= {name: spreads(), f"np.{name}": corrected_spreads()}
    FORMS |= dict.fromkeys([name, f"np.{name}"], with_center(function))

FIRST_DTYPE = {"nanvar", "nanstd"}
