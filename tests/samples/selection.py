"""Samples of functions that choose among elements."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    Call,
    broadcastable_shapes,
    draw_arrays,
    draw_generator,
    elementwise,
)


@st.composite
def selections(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(3)).input_shapes
    condition = np.asarray(draw_generator(draw).random(shapes[0]) < 0.5)
    return Call((condition, *draw_arrays(draw, shapes[1:])))


@st.composite
def cases(draw: st.DrawFn) -> Call:
    """Draw two conditions, a choice for each, and one for what meets neither."""
    shapes = draw(broadcastable_shapes(5)).input_shapes
    generator = draw_generator(draw)
    conditions = [np.asarray(generator.random(shape) < 0.5) for shape in shapes[:2]]
    return Call((*conditions, *draw_arrays(draw, shapes[2:])))


def select_cases(first: Any, second: Any, x: Any, y: Any, default: Any) -> Any:
    return np.select([first, second], [x, y], default)


def three_pieces(x: Any) -> Any:
    return np.piecewise(x, [x < -1, x > 1], [np.square, lambda part: part * 3, 0.5])


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "clip": elementwise(3),
    "clip_below": elementwise(2),
    "clip_above": elementwise(2),
    "where": selections(),
    "np.select": cases(),
    "np.piecewise": elementwise(1),
}

SAMPLES |= {"np.clip": SAMPLES["clip"], "np.where": SAMPLES["where"]}
FORMS = {
    "clip": np.clip,
    "clip_below": lambda x, low: np.clip(x, low, None),
    "clip_above": lambda x, high: np.clip(x, None, high),
    "where": np.where,
    "np.select": select_cases,
    "np.piecewise": three_pieces,
}
