"""Samples of functions of one number, or two."""

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    Call,
    axes_of,
    broadcastable_shapes,
    draw_arrays,
    draw_generator,
    elementwise,
    shapes_of,
    with_params,
)


@st.composite
def with_whole_numbers(draw: st.DrawFn, numbers: tuple[int, ...], first: bool) -> Call:
    """Draw an array, and one of whole numbers of one byte, which make no dtype wider."""
    shapes = draw(broadcastable_shapes(2)).input_shapes
    (x,) = draw_arrays(draw, shapes[:1])
    whole = np.asarray(draw_generator(draw).choice(numbers, shapes[1]), dtype=np.int8)
    return Call((whole, x) if first else (x, whole))


@st.composite
def off_powers_of_two(draw: st.DrawFn) -> Call:
    (x,) = draw(elementwise(1, (0.5, 1.0), signed=True)).inputs
    return Call((np.asarray(x * 2.0 ** draw_generator(draw).integers(-2, 3, x.shape)),))


@st.composite
def angles(draw: st.DrawFn) -> Call:
    """Draw numbers whose steps are near integers, away from half the period and from discont."""
    shape = draw(shapes_of(min_dims=1))
    generator = draw_generator(draw)
    x = generator.integers(0, 9, shape) + generator.uniform(-0.05, 0.05, shape)
    options = {
        "axis": axes_of(len(shape)),
        "discont": st.sampled_from([None, 1.5, 4.5]),
        "period": st.sampled_from([2 * np.pi, 5.0]),
    }
    return Call((x,), draw(st.fixed_dictionaries({}, optional=options)))


@st.composite
def with_order(draw: st.DrawFn, calls: st.SearchStrategy[Call]) -> Call:
    return Call(draw(calls).inputs, {"order": draw(st.integers(1, 4))})


DECIMALS = st.sampled_from([-1, 0])

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "reciprocal": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "cbrt": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "arctan2": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "hypot": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "real": elementwise(1),
    "imag": elementwise(1),
    "fix": elementwise(1),
    "round": with_params(elementwise(1), decimals=DECIMALS),
    "around": with_params(elementwise(1), decimals=DECIMALS),
    "heaviside": with_whole_numbers((-1, 0, 0, 1), first=True),
    "ldexp": with_whole_numbers((-2, -1, 0, 1, 2), first=False),
    "nan_to_num": with_params(elementwise(1), nan=st.just(1.0), posinf=st.just(2.0)),
    "unwrap": angles(),
    "sinc": elementwise(1, (-1.5, 2.0)),
    "sinc_derivative": with_order(elementwise(1, (-1.5, 2.0))),
    "i0": elementwise(1, (-3.0, 4.0)),
    "bessel_i": with_order(elementwise(1, (-3.0, 4.0))),
    "np.frexp": off_powers_of_two(),
    "np.modf": elementwise(1),
    "np.angle": with_params(elementwise(1, AWAY_FROM_ZERO, signed=True), deg=st.booleans()),
    "np.real_if_close": with_params(elementwise(1), tol=st.sampled_from([100, 0.5])),
}

STEPS = {"sign", "floor", "ceil", "trunc", "rint", "fix", "spacing", "round", "around"}
REAL_ONLY = {
    "arctan2", "bessel_i", "cbrt", "ceil", "copysign", "deg2rad", "degrees", "fabs", "fix", "floor",
    "heaviside", "hypot", "i0", "ldexp", "logaddexp", "logaddexp2", "nextafter", "np.frexp",
    "np.modf", "rad2deg", "radians", "spacing", "trunc", "unwrap",
}  # fmt: skip
FIRST_DTYPE = {"ldexp"}
JOINT = {"frexp", "modf"}
