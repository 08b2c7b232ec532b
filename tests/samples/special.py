"""Samples of special functions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples.drawing import (
    AWAY_FROM_ZERO,
    KEEPDIMS,
    REAL,
    Call,
    broadcastable_shapes,
    draw_arrays,
    draw_generator,
    elementwise,
)
from tests.samples.reduction import reductions
from tinygraph.op import Domain

PROBABILITY = (0.05, 0.95)


@st.composite
def of_orders(
    draw: st.DrawFn, orders: Sequence[int], domain: Domain, count: int = 1, signed: bool = False
) -> Call:
    """Draw `count` arrays of orders, whole numbers that are held constant, and one of numbers."""
    shapes = draw(broadcastable_shapes(count + 1)).input_shapes
    generator = draw_generator(draw)
    chosen = [np.asarray(generator.choice(orders, shape), np.int8) for shape in shapes[:-1]]
    return Call((*chosen, *draw_arrays(draw, shapes[-1:], domain, signed)))


@st.composite
def of_domains(draw: st.DrawFn, *domains: Domain) -> Call:
    """Draw arrays that broadcast together, the numbers of each from its own domain."""
    shapes = draw(broadcastable_shapes(len(domains))).input_shapes
    pairs = zip(shapes, domains, strict=True)
    return Call(tuple(draw_arrays(draw, [shape], domain)[0] for shape, domain in pairs))


def over_axes(**params: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    """Draw an array with elements, and one or more axes: SciPy fails at less."""
    calls = reductions(min_count=1, **params)
    return calls.filter(lambda call: call.params.get("axis") != () and call.inputs[0].size > 0)


@st.composite
def weighted_sums(draw: st.DrawFn) -> Call:
    """Draw terms for logsumexp, at times with weights that broadcast with them."""
    call = draw(over_axes(keepdims=KEEPDIMS))
    (a,) = call.inputs
    if draw(st.booleans()):
        return call
    shape = draw(st.sampled_from([a.shape, a.shape[1:], tuple(min(n, 1) for n in a.shape), ()]))
    return Call((a, *draw_arrays(draw, [shape], AWAY_FROM_ZERO)), call.params)


@st.composite
def repeated_integrals(draw: st.DrawFn) -> Call:
    return Call(draw(elementwise(1, (-2.0, 4.0))).inputs, {"n": draw(st.integers(1, 3))})


@st.composite
def square_matrices(draw: st.DrawFn) -> Call:
    size = draw(st.integers(1, 2))
    batch = draw(st.sampled_from([(), (2,), (0,)]))
    return Call(draw_arrays(draw, [(*batch, size, size)], (-1.0, 1.0)))


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "special.cbrt": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "erfc_integral": repeated_integrals(),
    "i0e": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "i1e": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "polygamma": of_orders(range(4), (0.5, 4.0)),
    "zeta": of_orders([2, 3, 4], (0.5, 4.0)),
    "gammainc": of_orders([1, 2, 3], AWAY_FROM_ZERO),
    "gammaincc": of_orders([1, 2, 3], AWAY_FROM_ZERO),
    "betainc": of_orders([1, 2, 3], PROBABILITY, count=2),
    "betaincc": of_orders([1, 2, 3], PROBABILITY, count=2),
    "xlogy": of_domains(REAL, AWAY_FROM_ZERO),
    "xlog1py": of_domains(REAL, AWAY_FROM_ZERO),
    "jv": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO),
    "yv": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO),
    "yn": of_orders([0, 1, 2], AWAY_FROM_ZERO),
    "iv": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO),
    "kv": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO),
    "ive": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO, signed=True),
    "kve": of_orders([-1, 0, 1, 2], AWAY_FROM_ZERO),
    "kn": of_orders([0, 1, 2], AWAY_FROM_ZERO),
    "hyp0f1": of_orders([1, 2, 3], AWAY_FROM_ZERO, signed=True),
    "hyp1f1": of_orders([1, 2, 3], AWAY_FROM_ZERO, count=2, signed=True),
    "hyp2f1": of_orders([1, 2, 3], (0.1, 0.8), count=3, signed=True),
    "huber": of_domains((0.55, 0.65), REAL),
    "pseudo_huber": of_domains(AWAY_FROM_ZERO, REAL),
    "boxcox": of_domains(AWAY_FROM_ZERO, REAL),
    "inv_boxcox": of_domains((0.2, 0.8), (-1.0, 3.0)),
    "special.softmax": over_axes(),
    "special.log_softmax": over_axes(),
    "special.logsumexp": weighted_sums(),
    "expm": square_matrices(),
    "scipy.special.sici": elementwise(1, AWAY_FROM_ZERO),
    "scipy.special.shichi": elementwise(1, AWAY_FROM_ZERO),
    "scipy.special.fresnel": elementwise(1, AWAY_FROM_ZERO, signed=True),
}

JOINT = {"sici", "shichi", "fresnel"}
ALWAYS_FLOAT64 = {
    "polygamma", "gammainc", "gammaincc", "hyp2f1", "kn", "yn",
}  # fmt: skip
REAL_ONLY = {
    "cosm1", "ellipe", "ellipk", "exprel", "ive", "k0e", "k1e",
    "beta", "betainc", "betaincc", "betaln", "boxcox", "entr", "erfcinv", "erfinv", "exp10",
    "expit", "gamma", "gammainc", "gammaincc", "gammaln", "huber", "i0e", "i1", "i1e", "inv_boxcox",
    "j0", "j1", "k0", "k1", "kl_div", "kn", "log_expit", "loggamma", "logit", "ndtri", "polygamma",
    "pseudo_huber", "psi", "rel_entr", "special.cbrt", "special.exp2", "special.i0", "y0", "y1",
    "yn", "zeta",
}  # fmt: skip
WIDENS_FLOAT16 = {
    "cosm1", "dawsn", "ellipe", "ellipk", "exprel", "ive", "k0e", "k1e", "kve",
    "beta", "betainc", "betaincc", "betaln", "boxcox", "entr", "erf", "erfc", "erfc_integral",
    "erfcinv", "erfcx", "erfi", "erfinv", "exp1", "exp10", "expi", "expit", "expm", "gamma",
    "gammaln", "huber", "hyp0f1", "hyp1f1", "i0e", "i1", "i1e", "inv_boxcox", "iv", "j0", "j1",
    "jv", "k0", "k1", "kl_div", "kv", "log_expit", "log_ndtr", "loggamma", "logit", "ndtr",
    "ndtri", "pseudo_huber", "psi", "rel_entr", "special.cbrt", "special.exp2", "special.expm1",
    "special.i0", "special.log1p", "spence", "xlog1py", "xlogy", "y0", "y1", "yv", "zeta",
}  # fmt: skip
