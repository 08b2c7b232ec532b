"""Samples of functions that rearrange or convert elements."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    Call,
    Shape,
    axes_of,
    broadcastable_shapes,
    draw_arrays,
    one_array,
    shapes_of,
)

ORDERS = st.sampled_from(["C", "F"])


def reshape_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    size = int(np.prod(shape))
    targets = [shape, shape[::-1], (size,), (1, size), size, (*shape, 1)]
    if size:
        targets += [-1, (-1, 1), (*shape[:1], -1)]
    options = {"order": ORDERS, "copy": st.sampled_from([None, True])}
    return st.fixed_dictionaries({"shape": st.sampled_from(targets)}, optional=options)


def transpose_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    ndim = len(shape)
    orders = st.permutations(range(ndim)).map(tuple)
    from_behind = orders.map(lambda order: tuple(axis - ndim for axis in order))
    return st.fixed_dictionaries({}, optional={"axes": st.none() | orders | from_behind})


def swapaxes_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    axis = axes_of(len(shape))
    return st.fixed_dictionaries({"axis1": axis, "axis2": axis})


@st.composite
def moveaxis_params(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"source": draw(axes_of(len(shape))), "destination": draw(axes_of(len(shape)))}
    source = draw(hypothesis_numpy.valid_tuple_axes(len(shape)))
    count = len(source)
    axes = hypothesis_numpy.valid_tuple_axes(len(shape), min_size=count, max_size=count)
    return {"source": source, "destination": draw(axes)}


def expand_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    ndim = len(shape)
    pairs = hypothesis_numpy.valid_tuple_axes(ndim + 2, min_size=2, max_size=2)
    return st.fixed_dictionaries({"axis": st.integers(-ndim - 1, ndim) | pairs})


@st.composite
def squeezes(draw: st.DrawFn) -> Call:
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 0]), max_size=3).map(tuple))
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    choices = [st.none(), st.just(())]
    if ones:
        choices += [
            st.sampled_from(ones),
            st.sampled_from(ones).map(lambda axis: axis - len(shape)),
            st.lists(st.sampled_from(ones), unique=True).map(tuple),
        ]
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": st.one_of(choices)}))
    return Call(draw_arrays(draw, [shape]), chosen)


@st.composite
def broadcasts(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(2))
    return Call(draw_arrays(draw, shapes.input_shapes[:1]), {"shape": shapes.result_shape})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "identity": one_array(),
    "copy": one_array(lambda shape: st.fixed_dictionaries({}, optional={"order": ORDERS})),
    "astype": one_array(
        lambda shape: st.fixed_dictionaries({"dtype": st.sampled_from(["float64", "complex128"])})
    ),
    "reshape": one_array(reshape_params),
    "ravel": one_array(lambda shape: st.fixed_dictionaries({}, optional={"order": ORDERS})),
    "transpose": one_array(transpose_params),
    "swapaxes": one_array(swapaxes_params, min_dims=1),
    "matrix_transpose": one_array(min_dims=2),
    "moveaxis": one_array(moveaxis_params, min_dims=1),
    "expand_dims": one_array(expand_params),
    "squeeze": squeezes(),
    "broadcast_to": broadcasts(),
}


@st.composite
def fills(draw: st.DrawFn) -> Call:
    """Draw an array to be like, and a number or a row to fill in."""
    shape = draw(shapes_of())
    return Call(draw_arrays(draw, [shape, draw(st.sampled_from([(), shape[-1:]]))]))


@st.composite
def broadcast_together(draw: st.DrawFn) -> Call:
    return Call(draw_arrays(draw, draw(broadcastable_shapes(draw(st.integers(1, 3)))).input_shapes))


@st.composite
def grids(draw: st.DrawFn) -> Call:
    """Draw the coordinates of a grid; NumPy flattens what is no vector."""
    shapes = draw(st.lists(shapes_of().filter(lambda shape: len(shape) < 3), max_size=3))
    options = {"indexing": st.sampled_from(["xy", "ij"]), "sparse": st.booleans()}
    chosen = draw(st.fixed_dictionaries({}, optional={**options, "copy": st.booleans()}))
    return Call(draw_arrays(draw, shapes), chosen) if shapes else draw(grids())


def rollaxis_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    start = st.integers(-len(shape), len(shape))
    return st.fixed_dictionaries({"axis": axes_of(len(shape))}, optional={"start": start})


@st.composite
def several(draw: st.DrawFn) -> Call:
    return Call(draw_arrays(draw, draw(st.lists(shapes_of(), min_size=1, max_size=3))))


SAMPLES |= {
    "np.full_like": fills(),
    "np.astype": SAMPLES["astype"],
    "np.broadcast_arrays": broadcast_together(),
    "np.meshgrid": grids(),
    "np.rollaxis": one_array(rollaxis_params, min_dims=1),
    "np.atleast_1d": several(),
    "np.atleast_2d": several(),
    "np.atleast_3d": several(),
}
ALWAYS_FLOAT64 = {"np.astype"}
FORMS = {
    "astype": lambda x, dtype: x.astype(dtype),
    "np.astype": lambda x, dtype: np.astype(x, dtype),
}
