"""Samples of functions of sets: arrays of which no two elements are equal."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import Call, axes_of, draw_arrays, one_array, shapes_of

FLAG = st.booleans()


@st.composite
def pairs(draw: st.DrawFn) -> Call:
    return Call(draw_arrays(draw, [draw(shapes_of()), draw(shapes_of())]))


@st.composite
def of_distinct(draw: st.DrawFn) -> Call:
    call = draw(pairs())
    return Call(call.inputs, draw(st.sampled_from([{}, {"assume_unique": True}])))


def unique_params(shape: tuple[int, ...]) -> st.SearchStrategy[dict[str, Any]]:
    flags = ("return_index", "return_inverse", "return_counts", "equal_nan")
    axis = {"axis": st.none() | axes_of(len(shape))} if shape and np.prod(shape) else {}
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(flags, FLAG), **axis})


def intersect_params(shape: tuple[int, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={"assume_unique": FLAG, "return_indices": FLAG})


def common_to_itself(x: Any, **params: Any) -> Any:
    return np.intersect1d(x, x, **params)


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "np.unique": one_array(unique_params),
    "np.unique_all": one_array(),
    "np.unique_counts": one_array(),
    "np.unique_inverse": one_array(),
    "np.unique_values": one_array(),
    "np.union1d": pairs(),
    "np.intersect1d": one_array(intersect_params),
    "np.setdiff1d": of_distinct(),
    "np.setxor1d": of_distinct(),
}


def sorted_values(x: Any) -> Any:
    """Sort what NumPy gives in no promised order."""
    values = np.unique_values(x)
    return values[np.argsort(values)]


FORMS = {"np.unique_values": sorted_values, "np.intersect1d": common_to_itself}
