"""Samples of np.pad."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import Call, Shape, draw_arrays

COUNTS = st.integers(0, 3)
STATISTICS = ["maximum", "minimum", "mean", "median"]


@st.composite
def widths(draw: st.DrawFn, ndim: int) -> Any:
    """Draw the widths of padding in one of the forms that NumPy takes."""
    pair = st.tuples(COUNTS, COUNTS)
    pairs = st.lists(pair, min_size=ndim, max_size=ndim)
    return draw(COUNTS | pair | pair.map(lambda x: (x,)) | pairs | pairs.map(np.array))


def options_of(mode: str, ndim: int) -> st.SearchStrategy[dict[str, Any]]:
    options: dict[str, st.SearchStrategy[Any]] = {}
    if mode in ("reflect", "symmetric"):
        options["reflect_type"] = st.sampled_from(["even", "odd"])
    if mode in STATISTICS:
        length = st.integers(1, 3)
        options["stat_length"] = st.none() | length | st.tuples(length, length)
    return st.fixed_dictionaries({}, optional=options)


@st.composite
def pads(draw: st.DrawFn, modes: list[str]) -> Call:
    mode = draw(st.sampled_from(modes))
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    params = {"pad_width": draw(widths(len(shape))), "mode": mode}
    return Call(draw_arrays(draw, [shape]), {**params, **draw(options_of(mode, len(shape)))})


@st.composite
def normal_pads(draw: st.DrawFn) -> Call:
    """Draw what the op gets from np.pad as it is written for Nodes."""
    call = draw(pads(["edge", "reflect", "symmetric", "wrap", "mean"]))
    return Call(call.inputs, {**call.params, "pad_width": pairs(call)})


def pairs(call: Call) -> Any:
    x = np.asarray(call.params["pad_width"])
    return np.broadcast_to(x.ravel() if x.size <= 2 else x, (call.inputs[0].ndim, 2))


@st.composite
def pads_to_values(draw: st.DrawFn) -> Call:
    call = draw(pads(["constant", "linear_ramp"]))
    shapes: list[Shape] = [(), (2,), (call.inputs[0].ndim, 2)]
    x, values = draw_arrays(draw, [call.inputs[0].shape, draw(st.sampled_from(shapes))])
    return Call((x, values), {**call.params, "pad_width": pairs(call)})


def pad(x: Any, *values: Any, mode: str, **params: Any) -> Any:
    """Pad with values, where there are some, as the second input."""
    names = {"constant": "constant_values", "linear_ramp": "end_values"}
    named = {names[mode]: values[0]} if values else {}
    return np.pad(x, mode=mode, **named, **params)


ALL = [*STATISTICS, "constant", "edge", "linear_ramp", "reflect", "symmetric", "wrap"]
SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "pad": normal_pads(),
    "pad_to_values": pads_to_values(),
    "np.pad": pads(ALL) | pads_to_values(),
}
FIRST_DTYPE = {"pad_to_values"}
FORMS = {"np.pad": pad}
