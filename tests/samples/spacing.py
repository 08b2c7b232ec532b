"""Samples of numbers that are spaced evenly."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    REAL,
    Call,
    broadcastable_shapes,
    draw_arrays,
)
from tinygraph.op import Domain


@st.composite
def ranges(draw: st.DrawFn, domain: Domain, least: int = 0, **more: st.SearchStrategy[Any]) -> Call:
    """Draw both ends, which broadcast, and how many numbers lie between them."""
    shapes = draw(broadcastable_shapes(2))
    ndim = len(shapes.result_shape)
    params = {
        "num": draw(st.integers(least, 4)),
        "endpoint": draw(st.booleans()),
        "axis": draw(st.integers(-ndim - 1, ndim)),
        **{name: draw(values) for name, values in more.items()},
    }
    return Call(draw_arrays(draw, shapes.input_shapes, domain), params)


NO_DTYPE = st.none()

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "linspace": ranges(REAL, dtype=NO_DTYPE),
    "np.linspace": ranges(REAL, least=2, retstep=st.booleans()),
    "np.logspace": ranges((-1.0, 1.0), base=st.sampled_from([10.0, 2.0])),
    # Of no numbers NumPy gives float64.
    "geomspace": ranges(AWAY_FROM_ZERO, least=1, dtype=NO_DTYPE),
    "np.geomspace": ranges(AWAY_FROM_ZERO, least=1),
}
FORMS = {"linspace": np.linspace, "geomspace": np.geomspace}
ALWAYS_FLOAT64 = {"geomspace", "np.geomspace"}
