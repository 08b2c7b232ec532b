"""Samples of functions that choose among elements."""

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


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "clip": elementwise(3),
    "where": selections(),
}

SAMPLES |= {"np.clip": SAMPLES["clip"], "np.where": SAMPLES["where"]}
FORMS = {"clip": np.clip, "where": np.where}
