"""Samples of the operators."""

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    Call,
    broadcastable_shapes,
    draw_arrays,
    draw_generator,
    elementwise,
)


@st.composite
def powers(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(2)).input_shapes
    (x,) = draw_arrays(draw, shapes[:1], AWAY_FROM_ZERO)
    (y,) = draw_arrays(draw, shapes[1:], AWAY_FROM_ZERO, signed=True)
    return Call((x, y))


@st.composite
def quotients_with_rest(draw: st.DrawFn) -> Call:
    """Draw x, y whose quotient is at least an eighth off every integer, in either sign."""
    shapes = draw(broadcastable_shapes(2)).input_shapes
    generator = draw_generator(draw)
    x = generator.integers(-6, 6, shapes[0]) / 2 + 0.25
    y = generator.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], shapes[1])
    jitter = [generator.uniform(0.999, 1.001, shape) for shape in shapes]
    return Call((np.asarray(x * jitter[0]), np.asarray(y * jitter[1])))


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "divide": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "power": powers(),
    "float_power": powers(),
    "remainder": quotients_with_rest(),
    "fmod": quotients_with_rest(),
    "floor_divide": quotients_with_rest(),
    "np.divmod": quotients_with_rest(),
}

STEPS = {"floor_divide"}
REAL_ONLY = {"floor_divide", "fmod", "np.divmod", "remainder"}
ALWAYS_FLOAT64 = {"float_power"}
