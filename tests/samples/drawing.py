"""How the samples of ops are drawn: shapes, memory layouts, numbers where an op is smooth."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tinygraph.op import Domain

Shape = tuple[int, ...]


REAL = (-np.inf, np.inf)


AWAY_FROM_ZERO = (0.3, 3.0)


class Call(NamedTuple):
    """What an op is called with."""

    inputs: tuple[np.ndarray, ...]
    params: dict[str, Any] = {}  # noqa: RUF012


def spaced_numbers(count: int, domain: Domain, generator: np.random.Generator) -> np.ndarray:
    """Give `count` numbers in `domain`; on the whole line distinct, off halves and integers.

    So no two tie, none is at a kink of abs, relu, floor or rint, and a small step reaches none.
    """
    if np.isfinite(domain).all():
        low, high = domain
        margin = (high - low) / 32
        return generator.uniform(low + margin, high - margin, count)
    half = max(48, count)
    grid = generator.permutation(np.arange(-half, half))[:count] / 16 + 0.1
    return grid + generator.uniform(-0.01, 0.01, count)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Give an equal array that lies in memory as `layout` says."""
    return LAYOUTS[layout](array) if array.ndim else array


def draw_generator(draw: st.DrawFn) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def draw_arrays(
    draw: st.DrawFn, shapes: Sequence[Shape], domain: Domain = REAL, signed: bool = False
) -> tuple[np.ndarray, ...]:
    """Draw float64 arrays in any memory layout, no two of whose elements tie."""
    generator = draw_generator(draw)
    sizes = [int(np.prod(shape)) for shape in shapes]
    pool = spaced_numbers(sum(sizes), domain, generator)
    if signed:
        pool = pool * generator.choice([-1.0, 1.0], pool.size)
    pieces = np.split(pool, np.cumsum(sizes)[:-1])
    return tuple(
        lay_out(piece.reshape(shape), draw(st.sampled_from(sorted(LAYOUTS))))
        for piece, shape in zip(pieces, shapes, strict=True)
    )


def shapes_of(min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[Shape]:
    return hypothesis_numpy.array_shapes(
        min_dims=min_dims, max_dims=3, min_side=min_side, max_side=3
    )


def broadcastable_shapes(count: int) -> st.SearchStrategy[Any]:
    return hypothesis_numpy.mutually_broadcastable_shapes(
        num_shapes=count, max_dims=3, min_side=0, max_side=3
    )


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
