"""Samples of functions of one number, or two."""

from hypothesis import strategies as st

from tests.samples.drawing import AWAY_FROM_ZERO, Call, elementwise

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "reciprocal": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "cbrt": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "arctan2": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "hypot": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "real": elementwise(1),
    "imag": elementwise(1),
}

STEPS = {"sign", "floor", "ceil", "trunc", "rint"}
REAL_ONLY = {
    "arctan2", "cbrt", "ceil", "deg2rad", "fabs", "floor", "hypot", "logaddexp", "logaddexp2",
    "rad2deg", "trunc",
}  # fmt: skip
