"""How the samples of ops are drawn, with what tinygraph.testing has for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygraph.op import Domain
from tinygraph.testing import Call
from tinygraph.testing.drawing import (
    LAYOUTS,
    REAL,
    Shape,
    broadcastable_shapes,
    draw_arrays,
    draw_generator,
    lattice,
    lay_out,
    shapes_of,
)

__all__ = [
    "AWAY_FROM_ZERO",
    "KEEPDIMS",
    "LAYOUTS",
    "REAL",
    "Call",
    "Shape",
    "axes_of",
    "broadcastable_shapes",
    "draw_arrays",
    "draw_generator",
    "elementwise",
    "lay_out",
    "one_array",
    "shapes_of",
    "spaced_numbers",
    "with_count",
    "with_params",
]

AWAY_FROM_ZERO = (0.3, 3.0)


def spaced_numbers(count: int, domain: Domain, generator: np.random.Generator) -> np.ndarray:
    """Give `count` numbers in `domain` as draw_arrays draws them, from a generator."""
    places, spacing = lattice(domain, count)
    beside = generator.uniform(-0.16, 0.16, count) * spacing
    return generator.permutation(places)[:count] + beside


def axes_of(ndim: int) -> st.SearchStrategy[int]:
    return st.integers(-ndim, ndim - 1)


@st.composite
def elementwise(draw: st.DrawFn, count: int, domain: Domain = REAL, signed: bool = False) -> Call:
    """Draw `count` arrays that broadcast together."""
    shapes = draw(broadcastable_shapes(count)).input_shapes
    return Call(draw_arrays(draw, shapes, domain, signed))


@st.composite
def with_params(
    draw: st.DrawFn, calls: st.SearchStrategy[Call], **params: st.SearchStrategy[Any]
) -> Call:
    """Add parameters, each left out at times, to calls."""
    chosen = draw(st.fixed_dictionaries({}, optional=params))
    call = draw(calls)
    return Call(call.inputs, {**call.params, **chosen})


def with_count(shape: Shape, axis: Any, min_count: int) -> Shape:
    """Make the sides along `axis` long enough for `min_count` elements, if they are not."""
    sides = np.array(shape, dtype=int)
    reduced = slice(None) if axis is None else list(np.atleast_1d(axis).astype(int))
    if np.prod(sides[reduced]) < min_count:
        sides[reduced] = min_count
    return tuple(sides.tolist())


@st.composite
def one_array(
    draw: st.DrawFn,
    params_of: Callable[[Shape], st.SearchStrategy[dict[str, Any]]] = lambda shape: st.just({}),
    min_dims: int = 0,
) -> Call:
    """Draw an array, and parameters that depend on its shape."""
    shape = draw(shapes_of(min_dims))
    return Call(draw_arrays(draw, [shape]), draw(params_of(shape)))


KEEPDIMS = st.booleans()
