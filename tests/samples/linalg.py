"""Samples of numpy.linalg.

What reads one triangle of a matrix is tested on the Hermitian part of its input, and what gives
vectors on what does not depend on their phases.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples import products
from tests.samples.drawing import (
    KEEPDIMS,
    LAYOUTS,
    Call,
    Shape,
    axes_of,
    draw_arrays,
    draw_generator,
    lay_out,
    one_array,
    shapes_of,
    with_params,
)

SIDES = st.integers(1, 3)
BATCHES = st.sampled_from([(), (), (2,), (0,)])


def draw_layout(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    return lay_out(array, draw(st.sampled_from(sorted(LAYOUTS))))


def orthogonal(generator: np.random.Generator, batch: Shape, size: int) -> np.ndarray:
    return np.linalg.qr(generator.normal(size=(*batch, size, size))).Q


def spread_values(generator: np.random.Generator, batch: Shape, size: int) -> np.ndarray:
    """Give numbers so far apart that small changes of a matrix let none of them meet or vanish."""
    return np.array([9.0, 5.0, 2.0])[:size] * generator.uniform(0.95, 1.05, (*batch, size))


def draw_matrices(draw: st.DrawFn, batch: Shape, rows: int, columns: int) -> np.ndarray:
    """Draw matrices whose singular values are far apart and from 0."""
    generator = draw_generator(draw)
    size = min(rows, columns)
    u, v = orthogonal(generator, batch, rows), orthogonal(generator, batch, columns)
    s = spread_values(generator, batch, size)
    matrices = (u[..., :size] * s[..., None, :]) @ v[..., :size].mT
    return draw_layout(draw, matrices)


@st.composite
def matrices(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    a = draw_matrices(draw, draw(BATCHES), draw(SIDES), draw(SIDES))
    return Call((a,), draw(st.fixed_dictionaries({}, optional=params)))


@st.composite
def matrices_to_orthogonalise(draw: st.DrawFn) -> Call:
    """Draw matrices whose first columns, as many as there are rows, are independent."""
    batch, rows, columns = draw(BATCHES), draw(SIDES), draw(SIDES)
    mode = draw(st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["reduced", "r"])}))
    if rows <= columns and draw(st.booleans()):
        mode = {"mode": "complete"}
    a = draw_matrices(draw, batch, rows, min(rows, columns))
    rest = draw_generator(draw).normal(size=(*batch, rows, max(columns - rows, 0)))
    return Call((draw_layout(draw, np.concatenate([a, rest], axis=-1)),), mode)


@st.composite
def square_matrices(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    size = draw(st.sampled_from([3, 2, 1, 0]))
    a = draw_matrices(draw, draw(BATCHES), size, size)
    return Call((a,), draw(st.fixed_dictionaries({}, optional=params)))


@st.composite
def matrices_of_any_rank(draw: st.DrawFn) -> Call:
    """Draw square matrices, singular ones too: determinants are smooth there as well."""
    size = draw(st.integers(0, 3))
    rank = draw(st.integers(0, size))
    batch = draw(BATCHES)
    return Call(
        (draw_matrices(draw, batch, size, rank) @ draw_matrices(draw, batch, rank, size) / 9,)
    )


@st.composite
def definite_matrices(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    """Draw symmetric positive definite matrices whose eigenvalues are far apart."""
    generator = draw_generator(draw)
    batch, size = draw(BATCHES), draw(SIDES)
    v = orthogonal(generator, batch, size)
    w = spread_values(generator, batch, size)
    a = (v * w[..., None, :]) @ v.mT
    return Call((draw_layout(draw, a),), draw(st.fixed_dictionaries({}, optional=params)))


@st.composite
def matrices_with_distinct_eigenvalues(draw: st.DrawFn) -> Call:
    """Draw matrices that are not symmetric, at times with a pair of complex eigenvalues."""
    generator = draw_generator(draw)
    batch, size = draw(BATCHES), draw(SIDES)
    inner = 0.5 * np.triu(generator.normal(size=(*batch, size, size)), 1)
    inner = inner + spread_values(generator, batch, size)[..., None, :] * np.eye(size)
    if size > 1 and draw(st.booleans()):
        inner[..., :2, :2] = [[-2.0, 4.0], [-3.0, -2.0]]
    v = orthogonal(generator, batch, size)
    return Call((draw_layout(draw, v @ inner @ v.mT),))


@st.composite
def systems(draw: st.DrawFn) -> Call:
    """Draw equations whose matrices stay regular when they are rounded to integers."""
    generator = draw_generator(draw)
    size = draw(st.integers(0, 3))
    a_batch, b_batch = draw(st.sampled_from([((), ()), ((2,), (2,)), ((2,), (1,)), ((), (2,))]))
    a = generator.uniform(-1, 1, (*a_batch, size, size)) * (1 - np.eye(size))
    a = a + np.eye(size) * generator.uniform(3.2, 5, size) * generator.choice([-1, 1], size)
    shape = draw(st.sampled_from([(size,), (*b_batch, size, draw(st.integers(0, 2)))]))
    return Call((draw_layout(draw, a), *draw_arrays(draw, [shape])))


@st.composite
def overdetermined_systems(draw: st.DrawFn) -> Call:
    rows, columns = draw(SIDES), draw(SIDES)
    shape = draw(st.sampled_from([(rows,), (rows, 1), (rows, 2)]))
    params = draw(st.fixed_dictionaries({}, optional={"rcond": st.sampled_from([None, -1, 0.01])}))
    return Call((draw_matrices(draw, (), rows, columns), *draw_arrays(draw, [shape])), params)


def away_from_kinks(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Give numbers whose moduli do not tie, also when they get small imaginary parts."""
    size = int(np.prod(shape))
    moduli = 1 + generator.permutation(size) / 8 + generator.uniform(-0.01, 0.01, size)
    return (moduli * generator.choice([-1, 1], size)).reshape(shape)


def powers_of_two(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Give matrices in which no two sums of moduli along an axis tie."""
    powers = generator.permutation(int(np.prod(shape[-2:])))
    moduli = 2.0**powers * generator.uniform(0.999, 1.001, powers.size)
    values = moduli.reshape(shape[-2:]) * np.ones(shape)
    return values * generator.choice([-1, 1], shape)


@st.composite
def norms_of_vectors(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_side=1))
    x = draw_layout(draw, away_from_kinks(draw_generator(draw), shape))
    keepdims = draw(st.fixed_dictionaries({}, optional={"keepdims": KEEPDIMS}))
    if len(shape) == 0 or draw(st.booleans()):
        return Call((x,), keepdims)
    order = draw(st.sampled_from([None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf]))
    axis = draw(axes_of(len(shape)) | st.tuples(axes_of(len(shape))))
    return Call((x,), {"ord": order, "axis": axis, **keepdims})


@st.composite
def norms_by_sums(draw: st.DrawFn) -> Call:
    """Draw for the norms of matrices that need no singular values."""
    shape = draw(hypothesis_numpy.array_shapes(min_dims=2, max_dims=3, max_side=3))
    x = powers_of_two(draw_generator(draw), shape)
    order = draw(st.sampled_from(["fro", "f", None, 1, -1, np.inf, -np.inf]))
    keepdims = draw(st.fixed_dictionaries({}, optional={"keepdims": KEEPDIMS}))
    if len(shape) == 2 and draw(st.booleans()):
        return Call((draw_layout(draw, x),), {"ord": order, **keepdims})
    axis = tuple(draw(st.permutations(range(len(shape))))[:2])
    moved = np.moveaxis(x, (-2, -1), axis)
    return Call((draw_layout(draw, moved),), {"ord": order, "axis": axis, **keepdims})


@st.composite
def norms_of_arrays(draw: st.DrawFn) -> Call:
    call = draw(norms_of_vectors())
    ndim = call.inputs[0].ndim
    axis: Any = st.none() | hypothesis_numpy.valid_tuple_axes(ndim)
    if "axis" not in call.params:
        return Call(
            call.inputs, {**call.params, "axis": draw(axis), "ord": draw(st.sampled_from([2, 3]))}
        )
    (place,) = np.ravel(call.params["axis"]).tolist()
    return Call(call.inputs, {**call.params, "axis": place})


@st.composite
def powers(draw: st.DrawFn) -> Call:
    call = draw(square_matrices())
    return Call(tuple(a / 4 for a in call.inputs), {"n": draw(st.integers(-3, 6))})


@st.composite
def chains(draw: st.DrawFn) -> Call:
    """Draw two to four matrices that multiply, the first and the last at times vectors."""
    sides = draw(st.lists(st.integers(1, 3), min_size=3, max_size=5))
    shapes: list[Shape] = list(pairwise(sides))
    if draw(st.booleans()):
        shapes[0] = shapes[0][1:]
    if draw(st.booleans()):
        shapes[-1] = shapes[-1][:1]
    return Call(draw_arrays(draw, shapes))


@st.composite
def tensors_to_invert(draw: st.DrawFn) -> Call:
    shapes: list[tuple[Shape, int]] = [((2, 1, 2), 1), ((3, 3), 1), ((1, 2, 2), 2), ((2, 2, 4), 2)]
    shape, ind = draw(st.sampled_from(shapes))
    size = int(np.prod(shape[:ind]))
    a = draw_matrices(draw, (), min(size, 3), min(size, 3))
    if size == 4:
        a = np.kron(draw_matrices(draw, (), 2, 2), draw_matrices(draw, (), 2, 2)) / 9
    return Call((a.reshape(shape),), {} if ind == 2 else {"ind": ind})


@st.composite
def tensor_systems(draw: st.DrawFn) -> Call:
    a = draw_matrices(draw, (), 2, 2).reshape(2, 1, 2, 1)
    if draw(st.booleans()):
        return Call((a[..., 0], *draw_arrays(draw, [(2, 1)])))
    axes = draw(st.sampled_from([(0,), (0, 3)]))
    places = range(-len(axes), 0)
    return Call((np.moveaxis(a, places, axes), *draw_arrays(draw, [(2, 1)])), {"axes": axes})


@st.composite
def outer_products(draw: st.DrawFn) -> Call:
    sides = st.integers(0, 3)
    return Call(draw_arrays(draw, [(draw(sides),), (draw(sides),)]))


@st.composite
def cross_products(draw: st.DrawFn) -> Call:
    call = draw(products.vectors_in_space())
    axis = draw(axes_of(min(x.ndim for x in call.inputs)))
    if call.inputs[0].shape != call.inputs[1].shape or draw(st.booleans()):
        return call
    return Call(tuple(np.moveaxis(x, -1, axis) for x in call.inputs), {"axis": axis})


def hermitian_part(x: Any) -> Any:
    return (x + np.conjugate(x).mT) / 2


def of_hermitian_part(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **params: function(hermitian_part(x), **params)


def rank_one_terms(u: Any, vh: Any) -> Any:
    """Give the products of every column of `u` with a row of `vh`, whose phases cancel."""
    return u.mT[..., :, None] * vh[..., None, :]


def projections(v: Any) -> Any:
    return rank_one_terms(v, np.conjugate(v).mT)


def eigh_without_phases(x: Any, **params: Any) -> Any:
    w, v = np.linalg.eigh(hermitian_part(x), **params)
    return w, projections(v)


def eig_without_phases(x: Any) -> Any:
    w, v = np.linalg.eig(x)
    return w, projections(v)


def svd_without_phases(x: Any, **params: Any) -> Any:
    """Give what of the results depends on the matrix alone."""
    if not params.get("compute_uv", True):
        return np.linalg.svd(x, **params)
    u, s, vh = np.linalg.svd(x, **params)
    count = s.shape[-1]
    further = [projections(z[..., count:]).sum(-3) for z in (u, np.conjugate(vh).mT)]
    terms = rank_one_terms(u[..., :count], vh[..., :count, :])
    return s, terms, projections(u[..., :count]), *further


UPLO = st.sampled_from(["L", "U", "l", "u"])
ORDERS_OF_MATRICES = st.sampled_from(["fro", "nuc", 2, -2, None])
DIAGONALS = st.integers(-2, 2)

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "inv": square_matrices(),
    "pinv": matrices(rcond=st.just(0.01)) | matrices(rtol=st.sampled_from([None, 0.01])),
    "det": matrices_of_any_rank(),
    "solve": systems(),
    "svdvals": matrices(),
    "norm": norms_of_vectors() | norms_by_sums(),
    "multi_dot": chains(),
    "np.linalg.slogdet": square_matrices(),
    "np.linalg.lstsq": overdetermined_systems(),
    "np.linalg.cholesky": definite_matrices(upper=st.booleans()),
    "np.linalg.qr": matrices_to_orthogonalise(),
    "np.linalg.eigh": definite_matrices(UPLO=UPLO),
    "np.linalg.eigvalsh": definite_matrices(UPLO=UPLO),
    "np.linalg.eig": matrices_with_distinct_eigenvalues(),
    "np.linalg.eigvals": matrices_with_distinct_eigenvalues(),
    "np.linalg.svd": matrices(full_matrices=st.booleans(), compute_uv=st.booleans()),
    "np.linalg.svdvals": matrices(),
    "np.linalg.matrix_norm": matrices(keepdims=KEEPDIMS, ord=ORDERS_OF_MATRICES),
    "np.linalg.vector_norm": norms_of_arrays(),
    "np.linalg.cond": square_matrices(p=st.sampled_from([None, 2, -2, "fro", "nuc"])).filter(
        lambda call: call.inputs[0].size
    ),
    "np.linalg.matrix_power": powers(),
    "np.linalg.tensorinv": tensors_to_invert(),
    "np.linalg.tensorsolve": tensor_systems(),
    "np.linalg.outer": outer_products(),
    "np.linalg.cross": cross_products(),
    "np.linalg.matmul": products.batched_products(np.matmul.signature).filter(
        lambda call: not call.params
    ),
    "np.linalg.tensordot": products.tensor_products(),
    "np.linalg.vecdot": products.vector_products_along(),
    "np.linalg.matrix_transpose": one_array(min_dims=2),
    "np.linalg.diagonal": with_params(one_array(min_dims=2), offset=DIAGONALS),
    "np.linalg.trace": with_params(one_array(min_dims=2), offset=DIAGONALS),
}

NO_FLOAT16 = {"inv", "pinv", "det", "solve", "svdvals"}
OF_SEQUENCES = {"multi_dot"}
JOINT = {"slogdet", "lstsq", "cholesky", "qr", "eigh", "eigvalsh", "eig", "eigvals", "svd"}
FORMS = {
    "np.linalg.cholesky": of_hermitian_part(np.linalg.cholesky),
    "np.linalg.eigvalsh": of_hermitian_part(np.linalg.eigvalsh),
    "np.linalg.eigh": eigh_without_phases,
    "np.linalg.eig": eig_without_phases,
    "np.linalg.svd": svd_without_phases,
}
