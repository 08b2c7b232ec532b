"""Strategies of arrays: their shapes, their numbers, and how they lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, isfinite, log10, prod
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from numpy.typing import NDArray

from tinygraph.op import Domain

Array = NDArray[Any]
Shape = tuple[int, ...]
Shapes = st.SearchStrategy[Shape]

MANY = 256
"""How many numbers are drawn one by one, so that they shrink one by one."""

REAL: Domain = (-np.inf, np.inf)


def lattice(domain: Domain, count: int) -> tuple[Array, float]:
    """Give places for `count` numbers in a domain, the middle first, and their spacing.

    On the whole line they are off halves and integers: so are none of abs, relu, floor or rint at
    a kink there.
    """
    places = max(96, 2 * count)
    low, high = domain
    if isfinite(low) or isfinite(high):
        low, high = (low if isfinite(low) else high - 6), (high if isfinite(high) else low + 6)
        middle, spacing = (low + high) / 2, (high - low) * (15 / 16) / places
    else:
        middle, spacing = 0.1, 1 / 16
    number = np.arange(places)
    return middle + spacing * np.where(number % 2, -(number + 1) // 2, number // 2), spacing


def draw_numbers(
    draw: st.DrawFn, count: int, domain: Domain = REAL, kinks: Sequence[float] = ()
) -> Array:
    """Draw `count` numbers in `domain`, no two of which tie and none of which is near a kink.

    Each comes of two whole numbers, a place on a lattice and a little beside it, so that the
    numbers of a failing example shrink one by one, to short ones.
    """
    places, spacing = lattice(domain, count)
    for kink in kinks:
        places = places[np.abs(places - kink) > spacing / 2]
    if len(places) < count:
        raise ValueError(f"draw_numbers: not enough of {domain} is away from {tuple(kinks)}")
    chosen = places[apart(draw_integers(draw, count, len(places)), len(places))]
    beside = draw_integers(draw, count, 256).astype(np.int8) * (spacing * 0.16 / 128)
    return np.asarray((chosen + beside).round(ceil(-log10(spacing)) + 2))


def draw_integers(draw: st.DrawFn, count: int, end: int) -> NDArray[np.intp]:
    """Draw whole numbers from 0 up to `end`, one by one as long as they are not many."""
    if count > MANY:
        return draw_generator(draw).integers(0, end, count)
    numbers = st.integers(0, end - 1)
    return np.array([draw(numbers) for _ in range(count)], np.intp)


def apart(wanted: NDArray[np.intp], end: int) -> list[int]:
    """Give for each wanted number one below `end` that no other has, the same where possible."""
    taken: dict[int, None] = {}
    for number in wanted.tolist():
        while number in taken:
            number = (number + 1) % end
        taken[number] = None
    return list(taken)


def draw_generator(draw: st.DrawFn) -> np.random.Generator:
    """Draw a generator of random numbers."""
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


def lay_out(array: Array, layout: str) -> Array:
    """Give an equal array that lies in memory as `layout`, one of LAYOUTS, says."""
    return LAYOUTS[layout](array) if array.ndim else array


def draw_arrays(
    draw: st.DrawFn,
    shapes: Sequence[Shape],
    domain: Domain = REAL,
    signed: bool = False,
    kinks: Sequence[float] = (),
    on_kinks: bool = False,
    dtype: Any = np.float64,
) -> tuple[Array, ...]:
    """Draw arrays in any memory layout, as `broadcastable_arrays` describes them."""
    sizes = [prod(shape) for shape in shapes]
    pool = draw_numbers(draw, sum(sizes), domain, () if on_kinks else kinks)
    if signed:
        # What has its mirror image in the domain too could tie with another number there.
        is_lonely = (-pool <= domain[0]) | (-pool >= domain[1])
        pool = np.where(is_lonely & (draw_integers(draw, pool.size, 2) == 1), -pool, pool)
    if on_kinks:
        pool = put_on_kinks(draw, pool, kinks)
    pieces = np.split(pool, np.cumsum(sizes)[:-1])
    return tuple(
        lay_out(
            convert(draw, piece.reshape(shape), draw(as_strategy(dtype))),
            draw(st.sampled_from(list(LAYOUTS))),
        )
        for piece, shape in zip(pieces, shapes, strict=True)
    )


def as_strategy(x: Any) -> st.SearchStrategy[Any]:
    """Give the strategy `x`, or one that always draws `x` where it is none."""
    return x if isinstance(x, st.SearchStrategy) else st.just(x)


def put_on_kinks(draw: st.DrawFn, x: Array, kinks: Sequence[float]) -> Array:
    """Put the elements of `x`, or some of them, exactly on kinks."""
    number = draw_integers(draw, x.size, len(kinks) + 1)
    return np.where(number < len(kinks), np.asarray([*kinks, 0])[number], x)


def convert(draw: st.DrawFn, x: Array, dtype: Any) -> Array:
    """Give `x` in a dtype: rounded away from zero, or with small imaginary parts."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        number = draw_integers(draw, x.size, 256).reshape(x.shape)
        x = x + 1j * np.where(number % 2, -0.2, 0.2) * (1 + number / 256)
    elif dtype.kind in "iu":
        x = np.copysign(np.ceil(np.abs(x)), x)
    elif dtype.kind == "b":
        x = x > 0
    return x.astype(dtype, copy=False)


@st.composite
def shapes_of(
    draw: st.DrawFn, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> Shape:
    """Draw shapes, small ones by default."""
    some = range(max(min_side, 1), max_side + 1)
    sides = st.sampled_from([*some, *some[1:], *some[1:], *range(min_side, 1)])
    counts = range(min_dims, max_dims + 1)
    return tuple(draw(sides) for _ in range(draw(st.sampled_from([*counts, *counts[1:]]))))


@st.composite
def broadcastable_shapes(
    draw: st.DrawFn, count: int, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> hypothesis_numpy.BroadcastableShapes:
    """Draw `count` shapes that broadcast together, and the shape that they broadcast to."""
    full = draw(shapes_of(0, max_dims, min_side, max_side))
    shapes = tuple(draw_part(draw, full) for _ in range(count))
    return hypothesis_numpy.BroadcastableShapes(shapes, np.broadcast_shapes(*shapes))


def draw_part(draw: st.DrawFn, shape: Shape) -> Shape:
    """Draw a shape that broadcasts to `shape`: some axes in front are gone, some have length 1."""
    missing = draw(st.sampled_from([0, 0, *range(1, len(shape) + 1)]))
    stretched = st.sampled_from([False, False, True])
    return tuple(1 if draw(stretched) else side for side in shape[missing:])


@st.composite
def arrays(
    draw: st.DrawFn,
    shapes: Shapes | Shape | None = None,
    *,
    dtype: Any = np.float64,
    domain: Domain = REAL,
    signed: bool = False,
    kinks: Sequence[float] = (),
    on_kinks: bool = False,
) -> Array:
    """Draw an array: see `broadcastable_arrays`, whose keyword arguments it takes.

    `shapes` is a strategy of shapes or one shape; by default up to three axes of up to three.
    """
    shape = draw(as_strategy(shapes_of() if shapes is None else shapes))
    (array,) = draw_arrays(draw, [shape], domain, signed, kinks, on_kinks, dtype)
    return array


@st.composite
def broadcastable_arrays(
    draw: st.DrawFn,
    count: int = 2,
    *,
    dtype: Any = np.float64,
    domain: Domain = REAL,
    signed: bool = False,
    kinks: Sequence[float] = (),
    on_kinks: bool = False,
) -> tuple[Array, ...]:
    """Draw `count` arrays that broadcast together, in any memory layout.

    `dtype` is a dtype or a strategy of dtypes. The numbers lie in `domain`, or with `signed` in it
    or in its mirror image. No two tie and none is near one of the `kinks`; with `on_kinks` some are
    exactly on one. Complex numbers have small imaginary parts that are not 0.
    """
    shapes = draw(broadcastable_shapes(count)).input_shapes
    return draw_arrays(draw, shapes, domain, signed, kinks, on_kinks, dtype)


@st.composite
def overlapping_arrays(
    draw: st.DrawFn, count: int = 2, shapes: Shapes | Shape | None = None
) -> tuple[Array, ...]:
    """Draw arrays of one shape that are views of the same memory, each an element further on."""
    shape = draw(as_strategy(shapes_of(min_side=1) if shapes is None else shapes))
    size = prod(shape)
    memory = draw_numbers(draw, size + count - 1)
    return tuple(memory[start : start + size].reshape(shape) for start in range(count))


def axes(ndim: int, *, none: bool = True) -> st.SearchStrategy[int | tuple[int, ...] | None]:
    """Draw what `axis` may be for an array of `ndim` axes: numbers of either sign, tuples, None."""
    choices: list[st.SearchStrategy[Any]] = [st.integers(-ndim, ndim - 1)] if ndim else []
    choices += [st.none()] if none else []
    return st.one_of(*choices, hypothesis_numpy.valid_tuple_axes(ndim))


@st.composite
def indices(draw: st.DrawFn, shape: Shape) -> Any:
    """Draw an index of any kind: basic, a mask, or arrays of numbers among slices."""
    kind = draw(st.sampled_from(["basic", "mask", "arrays"]))
    if kind == "basic" or not shape:
        return draw(hypothesis_numpy.basic_indices(shape, allow_newaxis=True, max_dims=5))
    if kind == "mask":
        masked = shape[: draw(st.integers(1, len(shape)))]
        return draw_integers(draw, prod(masked), 3).reshape(masked) < 2
    numbers_shape = draw(st.sampled_from([(), (1,), (4,), (2, 3)]))
    parts: list[Any] = []
    for size in shape:
        part = draw(st.sampled_from(["numbers", "numbers", "slice", "number"]))
        if part == "slice" or size == 0:
            parts.append(draw(st.slices(size)))
        elif part == "number":
            parts.append(draw(st.integers(-size, size - 1)))
        else:
            number = draw_integers(draw, prod(numbers_shape), 2 * size).reshape(numbers_shape)
            parts.append(np.where(number < size, number, number - 2 * size))
    return tuple(parts)


def trees(
    leaves: st.SearchStrategy[Any] | None = None, max_leaves: int = 4
) -> st.SearchStrategy[Any]:
    """Draw nested tuples, lists and dicts of None and of what `leaves` draws, else arrays."""

    def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner | st.none(), min_size=1, max_size=3)
        return some | some.map(tuple) | st.dictionaries(st.sampled_from("abc"), inner, min_size=1)

    return st.recursive(arrays() if leaves is None else leaves, branches, max_leaves=max_leaves)
