"""Samples of polynomials, convolution and interpolation."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    Call,
    draw_arrays,
    draw_generator,
    shapes_of,
)

COUNTS = st.integers(1, 4)


@st.composite
def two_sequences(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    """Draw two arrays of one axis, of any lengths."""
    shapes = [(draw(COUNTS),), (draw(COUNTS),)]
    return Call(draw_arrays(draw, shapes), draw(st.fixed_dictionaries({}, optional=params)))


MODES = st.sampled_from(["full", "same", "valid"])


@st.composite
def interpolations(draw: st.DrawFn) -> Call:
    """Draw points near whole numbers, data at those near halves, and what holds beyond these."""
    count = draw(COUNTS)
    generator = draw_generator(draw)
    shape = draw(shapes_of())
    x = np.asarray(generator.integers(-3, 3, shape) + generator.uniform(-0.3, 0.3, shape))
    xp = np.arange(count) - 1.5 + generator.uniform(-0.1, 0.1, count)
    (fp,) = draw_arrays(draw, [(count,)])
    if draw(st.booleans()):
        order = generator.permutation(count)
        return Call((x, xp[order], fp), {"period": 5.0})
    beyond = {"left": st.just(-2.5), "right": st.just(1.5)}
    return Call((x, xp, fp), draw(st.fixed_dictionaries({}, optional=beyond)))


@st.composite
def vectors(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    """Draw an array of one axis."""
    chosen = draw(st.fixed_dictionaries({}, optional=params))
    return Call(draw_arrays(draw, [(draw(COUNTS),)]), chosen)


@st.composite
def polynomials(draw: st.DrawFn) -> Call:
    """Draw coefficients of a polynomial whose roots, real or not, are well apart."""
    generator = draw_generator(draw)
    roots = generator.choice([-2.0, -0.5, 1.0, 2.5], draw(st.integers(1, 3)), replace=False)
    roots = roots + generator.uniform(-0.1, 0.1, roots.shape)
    if len(roots) == 2 and draw(st.booleans()):
        roots = roots[0] + np.array([1j, -1j])
    return Call((4 * np.poly(roots),))


@st.composite
def evaluations(draw: st.DrawFn) -> Call:
    return Call(draw_arrays(draw, [(draw(COUNTS),), draw(shapes_of())]))


@st.composite
def fits(draw: st.DrawFn) -> Call:
    """Draw points, one or two columns of values to fit, and at times weights."""
    generator = draw_generator(draw)
    points = np.arange(5) / 2 - 1 + generator.uniform(-0.1, 0.1, 5)
    (values,) = draw_arrays(draw, [(5, *draw(st.sampled_from([(), (2,)])))])
    weights = draw(st.sampled_from([(), (generator.uniform(0.5, 1.5, 5),)]))
    optional = {"full": st.just(True), "cov": st.sampled_from([True, "unscaled"])}
    degree = {"deg": st.integers(0, 2)}
    return Call((points, values, *weights), draw(st.fixed_dictionaries(degree, optional=optional)))


@st.composite
def divisions(draw: st.DrawFn) -> Call:
    """Draw the coefficients of a dividend and a divisor, in either order of their degrees."""
    lengths = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    return Call(draw_arrays(draw, [(n,) for n in lengths], AWAY_FROM_ZERO))


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "convolve": two_sequences(mode=MODES),
    "correlate": two_sequences(mode=MODES),
    "np.interp": interpolations(),
    "vander": vectors(N=st.integers(0, 4), increasing=st.booleans()),
    "np.polyval": evaluations(),
    "np.polyadd": two_sequences(),
    "np.polysub": two_sequences(),
    "np.polymul": two_sequences(),
    "np.polydiv": divisions(),
    "np.polyder": vectors(m=st.integers(0, 2)),
    "np.polyint": vectors(m=st.integers(0, 2), k=st.just(0.5)),
    "roots": polynomials(),
    "np.poly": vectors(),
    "np.polyfit": fits(),
}

JOINT = {"interpolate"}
REAL_ONLY = {"np.interp", "np.polyfit"}
ALWAYS_FLOAT64 = {"vander", "np.interp", "np.polyder", "np.polyint", "np.polyfit"}
NO_FLOAT16 = {"roots"}


def polyfit(x: Any, y: Any, *weights: Any, **params: Any) -> Any:
    """Fit, and leave out the cutoff that `full` gives too: it is no function of the data."""
    out = np.polyfit(x, y, w=weights[0] if weights else None, **params)
    return out[:-1] if params.get("full") else out


FORMS = {"np.polyfit": polyfit}
