"""numpy.linalg: results in NumPy's types, symmetric and degenerate matrices, what is refused."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.test_rules import assert_same_bits, random_like
from tinygraph.tree import flatten

GENERATOR = np.random.default_rng(5)
SQUARE = GENERATOR.normal(size=(3, 3)) + 3 * np.eye(3)
TALL = GENERATOR.normal(size=(4, 2))
WIDE = TALL.T.copy()
BATCH = GENERATOR.normal(size=(2, 3, 3))
DEFINITE = SQUARE @ SQUARE.T
SYMMETRIC = BATCH[0] + BATCH[0].T
TENSOR = GENERATOR.normal(size=(2, 3, 6))
ONE = np.eye(3)


def assert_derivatives(f: Callable[..., Any], *inputs: np.ndarray) -> None:
    """Compare derivatives of two orders with finite differences."""
    out, pullback = tg.vjp(f, *inputs)
    g = [random_like(np.asarray(x), i) for i, x in enumerate(flatten(out)[0])]
    g = flatten(out)[1](iter(g))
    assert_gradients(pullback(g), numeric_vjp(f, inputs, g))

    def gradients(*at: Any) -> Any:
        return tg.vjp(f, *at)[1](g)

    weights = tuple(random_like(x, 7 + i) for i, x in enumerate(inputs))
    _, pullback = tg.vjp(gradients, *inputs)
    assert_gradients(pullback(weights), numeric_vjp(gradients, inputs, weights))


def complex_of(x: np.ndarray) -> np.ndarray:
    return x + 0.5j * x[..., ::-1]


# Values and their types

CALLS = """
inv(s)   det(s)   slogdet(s)   pinv(t)   pinv(w, 0.1)   pinv(t, rtol=None)
pinv(d, hermitian=True)   solve(s, t[:3])   solve(s, v)   solve(b, v)   solve(b, b)
lstsq(t, w[0])   lstsq(w, v[:2])   lstsq(t, t)   lstsq(t, t, -1)   cholesky(d)
cholesky(d, upper=True)   cholesky(d + 0.01 * b)   qr(t)   qr(w)   qr(s, 'complete')
qr(w, mode='complete')   qr(t, mode='r')   qr(b)   eigh(s)   eigh(s, 'U')   eigh(b, UPLO='l')
eigvalsh(s)   eigvalsh(b, 'U')   eig(s)   eig(b)   eig(d)   eigvals(s)   eigvals(b)   svd(t)
svd(w)   svd(t, full_matrices=False)   svd(b)   svd(t, compute_uv=False)   svd(h, hermitian=True)
svd(h, compute_uv=False, hermitian=True)   svdvals(w)   norm(t)   norm(v)   norm(b)
norm(t, 'fro')   norm(t, 'nuc')   norm(t, 2)   norm(t, -2)   norm(t, 1)   norm(t, -1)
norm(t, np.inf)   norm(t, -np.inf)   norm(v, 3)   norm(v, 0)   norm(b, 'nuc', axis=(2, 0))
norm(b, 2, (0, -1), True)   norm(b, 1, (0, 2), keepdims=True)   norm(b, axis=1)
norm(b, 4, -1, True)   norm(b, None, (1, 2))   matrix_norm(b)
matrix_norm(b, ord=-np.inf, keepdims=True)   vector_norm(b)   vector_norm(b, keepdims=True, ord=1)
vector_norm(b, axis=(2, 0), ord=3)   vector_norm(b, axis=(0, 1), keepdims=True)
vector_norm(b, axis=1)   cond(s)   cond(t)   cond(b, -2)   cond(s, 1)   cond(b, -1)
cond(b, np.inf)   cond(s, 'fro')   cond(s, 'nuc')   matrix_power(s, 0)   matrix_power(b, 1)
matrix_power(b, 2)   matrix_power(s, 3)   matrix_power(s, 7)   matrix_power(b, -5)
multi_dot([t, w])   multi_dot([v[:2], w, t])   multi_dot([t, w, t, w, t])
multi_dot((v, s, s, v))   tensorinv(c)   tensorinv(s[:2, :2], ind=1)   tensorsolve(c, c[..., 0])
tensorsolve(c.transpose(2, 0, 1), c[..., 1], axes=(0,))   outer(v, v[:2])   cross(v, s)
cross(s, s[0], axis=-1)   cross(s.T, b[0], axis=0)   matmul(s, v)
tensordot(c, b, axes=([1], [2]))   vecdot(s, b, axis=-1)   vecdot(s, s, axis=0)
matrix_transpose(b)
"""
VARIABLES = {
    "s": SQUARE, "t": TALL, "w": WIDE, "b": BATCH, "d": DEFINITE, "h": SYMMETRIC, "c": TENSOR,
    "v": SQUARE[0],
}  # fmt: skip


def evaluate(call: str, convert: Callable[[np.ndarray], Any]) -> Any:
    variables = {name: convert(value) for name, value in VARIABLES.items()}
    return eval(f"np.linalg.{call}", {"np": np, **variables})


@pytest.mark.parametrize("call", re.split(r"   |\n", CALLS.strip()))
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64"])
def test_results_are_those_of_numpy_bit_for_bit(call: str, dtype: str) -> None:
    def of_dtype(x: np.ndarray) -> np.ndarray:
        is_symmetric = x.ndim == 2 and np.array_equal(x, x.T)
        return (complex_of(x) if "complex" in dtype and not is_symmetric else x).astype(dtype)

    out = evaluate(call, lambda x: tg.Node(of_dtype(x)))
    expected = evaluate(call, of_dtype)
    several = isinstance(expected, tuple)
    assert type(out) is (type(expected) if several else tg.Node)
    results, values = (tuple(x) if several else (x,) for x in (out, expected))
    for result, value in zip(results, values, strict=True):
        assert_same_bits(result.value if isinstance(result, tg.Node) else result, value)


def test_results_have_the_names_that_numpy_gives_them() -> None:
    x = tg.Node(DEFINITE)
    assert np.linalg.slogdet(x)._fields == ("sign", "logabsdet")
    assert np.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert np.linalg.eigh(x).eigenvalues.shape == (3,)
    assert np.linalg.eig(x).eigenvectors.shape == (3, 3)
    assert np.linalg.qr(x).R.shape == (3, 3)


def test_ranks_are_plain_numbers() -> None:
    assert np.linalg.matrix_rank(tg.Node(TALL)) == 2
    assert np.linalg.matrix_rank(tg.Node(SYMMETRIC), hermitian=True) == 3
    _, residuals, rank, s = np.linalg.lstsq(tg.Node(TALL), np.ones(4))
    assert type(rank) is type(np.linalg.lstsq(TALL, np.ones(4))[2])
    assert isinstance(residuals, tg.Node)
    assert isinstance(s, tg.Node)


def test_matrices_without_elements() -> None:
    empty = tg.Node(np.empty((0, 0)))
    for f in (np.linalg.det, lambda x: np.linalg.slogdet(x)[1], np.linalg.norm):
        gradient = tg.grad(f)(empty)
        assert gradient.shape == (0, 0)
    assert np.linalg.inv(empty).shape == (0, 0)
    if np.linalg.norm(np.empty((0, 3)), axis=0).size:
        assert tg.grad(lambda x: np.sum(np.linalg.norm(x, axis=0)))(np.empty((0, 3))).shape == (
            0,
            3,
        )


def test_the_rules_are_imported_when_first_needed() -> None:
    code = (
        "import sys, numpy as np, tinygraph as tg; late = 'tinygraph.rules.linalg';"
        "assert late not in sys.modules;"
        "np.linalg.inv(tg.Node(np.eye(2)));"
        "assert late in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nodes_in_any_place_and_by_keyword() -> None:
    b = np.ones(3)
    assert_derivatives(lambda a: np.linalg.solve(a=a, b=[1.0, 2.0, 3.0]), SQUARE)
    assert_derivatives(lambda b: np.linalg.solve(SQUARE.tolist(), b), b)
    assert_derivatives(lambda b: np.linalg.lstsq(b=b, a=TALL.tolist(), rcond=None)[0], np.ones(4))
    assert_derivatives(lambda a: np.linalg.norm(ord=3, x=a, axis=0), SQUARE)
    assert_derivatives(lambda b: np.linalg.multi_dot([WIDE.tolist(), b, [1.0, 2.0]]), TALL)
    assert_derivatives(lambda b: np.linalg.tensorsolve(TENSOR.tolist(), b), TENSOR[..., 0])
    assert_derivatives(lambda b: np.linalg.vecdot([1.0, 2.0, 3.0], b), SQUARE)
    assert_derivatives(lambda a: np.linalg.cond(x=a, p=None), SQUARE)


# Symmetric matrices

OF_SYMMETRIC = {
    "cholesky": lambda x: np.sum(np.linalg.cholesky(x) ** 3),
    "upper": lambda x: np.sum(np.linalg.cholesky(x, upper=True) ** 3),
    "eigh": lambda x: np.sum(np.linalg.eigh(x)[0] ** 3 + np.abs(np.linalg.eigh(x)[1][0]) ** 3),
    "eigvalsh": lambda x: np.sum(np.linalg.eigvalsh(x, "U") ** 3),
    "pinv": lambda x: np.sum(np.abs(np.linalg.pinv(x, hermitian=True)) ** 3),
    "svd": lambda x: np.sum(np.abs(np.linalg.svd(x, hermitian=True)[0][0]) ** 3),
    "svdvals": lambda x: np.sum(np.linalg.svd(x, compute_uv=False, hermitian=True) ** 3),
}


@pytest.mark.parametrize("name", OF_SYMMETRIC)
@pytest.mark.parametrize("is_complex", [False, True])
def test_gradients_by_symmetric_matrices_are_symmetric(name: str, is_complex: bool) -> None:
    imaginary = 1j * (BATCH[1] - BATCH[1].T) if is_complex else 0

    def real(x: Any) -> Any:
        return np.real(OF_SYMMETRIC[name](x))

    generator = np.random.default_rng(1)
    a = DEFINITE + imaginary
    gradient = tg.grad(real)(a)
    np.testing.assert_allclose(gradient, np.conjugate(gradient).T, rtol=1e-12)
    for _ in range(3):
        change = generator.normal(size=(3, 3)) + imaginary
        change = change + np.conjugate(change).T
        step = 1e-5
        slope = (real(a + step * change) - real(a - step * change)) / (2 * step)
        np.testing.assert_allclose(np.sum(np.real(gradient * change)), slope, rtol=1e-6)


def test_the_triangle_that_is_read_makes_no_difference_to_the_gradient() -> None:
    lower, upper = (tg.grad(lambda x, u=u: np.linalg.eigvalsh(x, u)[0])(DEFINITE) for u in "LU")
    np.testing.assert_allclose(lower, upper, rtol=1e-12)


def test_hermitian_svd_of_an_indefinite_matrix() -> None:
    def of_symmetric(x: Any) -> Any:
        u, s, vh = np.linalg.svd((x + x.T) / 2, hermitian=True)
        return [s, u[..., None, :] * vh.T[None], np.linalg.pinv((x + x.T) / 2, hermitian=True)]

    assert np.any(np.linalg.eigvalsh(SYMMETRIC) < -0.1)
    assert np.any(np.linalg.eigvalsh(SYMMETRIC) > 0.1)
    assert_derivatives(of_symmetric, SYMMETRIC)


# Vectors as LAPACK normalises them


@pytest.mark.parametrize(
    "f",
    [
        lambda x: list(np.linalg.eigh(x + x.T)),
        lambda x: list(np.linalg.svd(x)),
        lambda x: list(np.linalg.svd(x[:, :2], full_matrices=False)),
        lambda x: list(np.linalg.svd(x[:, :2])),
        lambda x: list(np.linalg.svd(x[:2])),
        lambda x: list(np.linalg.qr(x)),
        lambda x: list(np.linalg.eig(x)),
    ],
    ids=["eigh", "svd", "tall svd", "full tall svd", "full wide svd", "qr", "eig"],
)
def test_vectors_themselves_have_derivatives(f: Callable[..., Any]) -> None:
    assert_derivatives(f, SQUARE)


def test_complex_eigenvectors_keep_their_largest_component_real() -> None:
    rotation = np.array([[1.0, -3.0, 0.5], [2.0, 1.0, 0.2], [0.3, 0.1, 4.0]])
    assert np.linalg.eig(rotation).eigenvectors.dtype == "complex128"
    assert_derivatives(lambda x: list(np.linalg.eig(x)), rotation)
    assert_derivatives(lambda x: list(np.linalg.eig(x)), complex_of(SQUARE))


def test_eigenvalues_in_another_order_get_their_own_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gradient() -> Any:
        a = np.diag([1.0, 2.0, 4.0]) + 0.1 * SQUARE
        return tg.grad(lambda x: np.sum(np.linalg.eigvals(x) * np.arange(3.0)))(a)

    expected = gradient()
    eig = np.linalg.eig

    def reversed_eig(a: Any) -> Any:
        w, v = eig(a)
        return w[::-1], v[:, ::-1]

    monkeypatch.setattr(np.linalg, "eig", reversed_eig)
    np.testing.assert_allclose(gradient(), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (2, 4, 1)])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_spaces_of_further_singular_vectors_have_derivatives(
    shape: Any, is_complex: bool
) -> None:
    def projection(x: Any) -> Any:
        u, _, vh = np.linalg.svd(x)
        tall = x.shape[-2] > x.shape[-1]
        basis = u[..., x.shape[-1] :] if tall else np.conjugate(vh[..., x.shape[-2] :, :]).mT
        return basis @ np.conjugate(basis).mT

    x = np.random.default_rng(2).normal(size=shape)
    assert_derivatives(projection, complex_of(x) if is_complex else x)


# Singular matrices


SINGULAR = {
    "counting": np.arange(1.0, 10).reshape(3, 3),
    "ones": np.ones((3, 3)),
    "zeros": np.zeros((3, 3)),
    "diagonal": np.diag([1.0, 2.0, 0.0]),
    "nearly": np.diag([1.0, 1e-9, 2.0]),
    "regular": SQUARE,
    "complex": np.outer([1, 1j, 2], [1j, 1, 0]),
}


def minor(a: np.ndarray, rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
    """Give the derivative of det(a) by the elements at pairs of rows and columns, by definition."""
    others = [[i for i in range(len(a)) if i not in chosen] for chosen in (rows, columns)]
    if len(set(rows)) < len(rows) or len(set(columns)) < len(columns):
        return 0
    inversions = sum(chosen[0] > chosen[-1] for chosen in (rows, columns))
    sign = (-1) ** (sum(rows) + sum(columns) + inversions)
    return sign * np.linalg.det(a[np.ix_(*others)])


@pytest.mark.parametrize("name", SINGULAR)
def test_derivatives_of_determinants_are_minors_also_of_singular_matrices(name: str) -> None:
    a = SINGULAR[name]
    pairs = [(i, j) for i in range(3) for j in range(3)]
    first = [minor(a, (i,), (j,)) for i, j in pairs]
    second = [[minor(a, (i, k), (j, m)) for k, m in pairs] for i, j in pairs]
    gradient = tg.jacobian(np.linalg.det)(a)
    hessian = tg.jacobian(tg.jacobian(np.linalg.det))(a)
    third = tg.jacobian(tg.jacobian(tg.jacobian(np.linalg.det)))(a)
    np.testing.assert_allclose(gradient.reshape(9), first, atol=1e-12)
    np.testing.assert_allclose(hessian.reshape(9, 9), second, atol=1e-12)
    levi_civita = np.round(np.real(third)).reshape((3,) * 6)
    np.testing.assert_allclose(third.reshape((3,) * 6), levi_civita, atol=1e-11)
    assert np.sum(np.abs(levi_civita)) == 36


def test_determinants_of_regular_and_singular_matrices_in_one_batch() -> None:
    batch = np.stack([np.diag([1.0, 0.0, 0.0]), SQUARE, np.ones((3, 3)), np.diag([2.0, 3.0, 0.0])])
    together = tg.grad(lambda x: np.sum(np.linalg.det(x)))(batch)
    for gradient, a in zip(together, batch, strict=True):
        np.testing.assert_allclose(gradient, tg.grad(np.linalg.det)(a), atol=1e-13)


def test_the_gradient_of_the_determinant_of_a_large_singular_matrix_is_accurate() -> None:
    a = np.random.default_rng(1).normal(size=(30, 30))
    a[:, 0] = a[:, 1:].sum(axis=1)
    u, s, vh = np.linalg.svd(a)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    expected = sign * np.prod(s[:-1]) * np.outer(u[:, -1], vh[-1])
    gradient = tg.grad(np.linalg.det)(a)
    np.testing.assert_allclose(gradient, expected, atol=1e-10 * np.max(np.abs(expected)))


def test_derivatives_of_the_determinant_of_an_ill_conditioned_matrix_are_accurate() -> None:
    """Compare with exact ones: for a = h d h, h orthogonal but for its size, and d diagonal."""
    h = np.kron([[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0], [1.0, -1.0]])
    d = 2.0 ** np.array([0, -10, -20, -30])
    a = h @ np.diag(d) @ h
    change = np.arange(16.0).reshape(4, 4) - 5
    others = np.array([[np.prod(np.delete(d, [i, j])) for j in range(4)] for i in range(4)])
    first = 16 * h @ np.diag(np.diag(others)) @ h
    pairs = others * (1 - np.eye(4))
    second = 16 * h @ (np.diag(pairs @ np.diag(change)) - pairs * change.T) @ h
    np.testing.assert_allclose(tg.grad(np.linalg.det)(a), first, atol=1e-9 * np.max(first))
    product = tg.hvp(np.linalg.det, (a,), (h @ change @ h,))
    np.testing.assert_allclose(product, second, atol=1e-9 * np.max(np.abs(second)))


def test_slogdet_and_inv_of_a_singular_matrix_are_refused_as_numpy_does() -> None:
    x = tg.Node(np.ones((2, 2)))
    out = np.linalg.slogdet(x)
    assert (out.sign.item(), out.logabsdet.item()) == (0, -np.inf)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        out.logabsdet.backward()
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        np.linalg.inv(x)


def test_pseudo_inverses_and_least_squares_of_constant_rank() -> None:
    u, v, b = TALL, TENSOR[0, :2, :3], TALL[::-1]
    assert_derivatives(lambda u, v: np.linalg.pinv(u @ v, 1e-8), u, v)
    assert_derivatives(lambda u, v: np.linalg.pinv(u @ v, 1e-8), complex_of(u), complex_of(v))
    assert_derivatives(lambda u, v, b: np.linalg.lstsq(u @ v, b, 1e-8)[0], u, v, b)
    assert np.linalg.lstsq(tg.Node(u @ v), b, 1e-8)[1].shape == (0,)


def test_pinv_takes_a_tolerance_for_every_matrix() -> None:
    batch = np.stack([np.diag([4.0, 2.0, 1.0])] * 2)
    tolerances = np.array([0.1, 0.3])
    gradient = tg.grad(lambda x: np.sum(np.linalg.pinv(x, tolerances)))(batch)
    assert gradient[0, 2, 2] == -1.0
    assert gradient[1, 2, 2] == 0.0


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro"])
def test_condition_numbers_of_singular_matrices_are_infinite_and_flat(p: Any) -> None:
    batch = np.stack([np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.5]])])
    out, pullback = tg.vjp(lambda x: np.linalg.cond(x, p), batch)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, np.linalg.cond(batch, p))
    (gradient,) = pullback(np.ones(2))
    assert not np.any(gradient[0])
    assert np.all(gradient[1])


@pytest.mark.parametrize("p", [1, -1, np.inf, -np.inf])
def test_condition_numbers_by_sums(p: Any) -> None:
    assert_derivatives(lambda x: np.linalg.cond(x, p), SQUARE)


# Equal values


EQUAL = {
    "eigvalsh": (lambda x: np.sum(np.linalg.eigvalsh(x) ** 2), 2 * ONE),
    "eigh": (lambda x: np.sum(np.linalg.eigh(x)[0] ** 2), 2 * ONE),
    "eigvals": (lambda x: np.sum(np.real(np.linalg.eigvals(x) ** 2)), 2 * ONE),
    "eig": (lambda x: np.sum(np.real(np.linalg.eig(x)[0] ** 2)), 2 * ONE),
    "svdvals": (lambda x: np.sum(np.linalg.svdvals(x) ** 2), 2 * ONE),
    "svd": (lambda x: np.sum(np.linalg.svd(x)[1] ** 2), 2 * ONE),
    "nuclear norm": (lambda x: np.linalg.norm(x, "nuc"), ONE),
    "spectral norm": (lambda x: np.linalg.norm(x, 2), ONE / 3),
}


@pytest.mark.parametrize("name", EQUAL)
def test_functions_of_equal_values_have_their_gradient(name: str) -> None:
    f, expected = EQUAL[name]
    np.testing.assert_allclose(tg.grad(f)(ONE), expected, atol=1e-15)
    hessian = tg.hessian(f)(ONE)
    assert np.all(np.isfinite(hessian))


def test_the_space_of_equal_eigenvectors_has_its_derivative() -> None:
    def projection(x: Any) -> Any:
        _, v = np.linalg.eigh((x + x.T) / 2)
        return v[:, 1:] @ v[:, 1:].T

    rotation = np.linalg.qr(SQUARE).Q
    a = rotation @ np.diag([1.0, 2.0, 2.0]) @ rotation.T
    out, pullback = tg.vjp(projection, a)
    g = random_like(out, 1)
    assert_gradients(pullback(g), numeric_vjp(projection, (a,), g))


@pytest.mark.parametrize("a", [ONE, np.zeros((3, 3)), np.ones((3, 3)), np.diag([1.0, 1.0, 0.0])])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.abs(np.linalg.eigh(x)[1])),
        lambda x: np.sum(np.abs(np.linalg.svd(x)[0])),
        lambda x: np.sum(np.abs(np.linalg.svd(x[:2])[2])),
        lambda x: np.sum(np.linalg.pinv(x)),
    ],
    ids=["eigh", "svd", "wide svd", "pinv"],
)
def test_gradients_through_vectors_of_equal_values_are_finite(f: Any, a: np.ndarray) -> None:
    assert np.all(np.isfinite(tg.grad(f)(a)))
    assert np.all(np.isfinite(tg.hessian(f)(a)))


# Norms


@pytest.mark.parametrize("order", [None, 0, 0.5, 1, 2, 3, np.inf, -np.inf])
def test_norms_of_zero_vectors_have_gradient_zero(order: Any) -> None:
    f = lambda x: np.linalg.norm(x, order)  # noqa: E731
    assert tg.grad(f)(np.zeros(3)).tolist() == [0, 0, 0]
    assert np.all(np.isfinite(tg.hessian(f)(np.zeros(3))))
    assert np.all(np.isfinite(tg.hessian(f)(np.array([2.0, 0.0, -1.0]))))


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_of_zero_matrices_have_gradient_zero(order: Any) -> None:
    zeros = np.zeros((2, 3))
    assert not np.any(tg.grad(lambda x: np.linalg.norm(x, order))(zeros))
    assert not np.any(tg.grad(lambda x: np.linalg.matrix_norm(x, ord=order))(zeros))


def test_columns_and_elements_that_tie_share_equally() -> None:
    assert tg.grad(lambda x: np.linalg.norm(x, 1))(np.ones((2, 2))).tolist() == [[0.5, 0.5]] * 2
    gradient = tg.grad(lambda x: np.linalg.norm(x, np.inf))(np.array([2.0, -2.0, 1.0]))
    assert gradient.tolist() == [0.5, -0.5, 0]


def test_norms_do_not_overflow_in_their_gradients() -> None:
    x = np.array([3e200, 4e200]) / 1e50
    np.testing.assert_allclose(tg.grad(np.linalg.norm)(x), [0.6, 0.8])
    small = np.array([3e-150, 4e-150])
    np.testing.assert_allclose(tg.grad(np.linalg.norm)(small), [0.6, 0.8])


def test_a_norm_of_integers_is_that_of_numpy() -> None:
    x = tg.Node(np.arange(6).reshape(2, 3), requires_grad=False)
    for order in (None, 1, 2, "nuc"):
        assert np.linalg.norm(x, order).value == np.linalg.norm(np.arange(6).reshape(2, 3), order)
    assert np.linalg.cond(x).value == np.linalg.cond(np.arange(6).reshape(2, 3))


# What is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("qr(t, 'complete')", ValueError, "mode='complete' .*write mode='reduced'"),
        ("qr(t, 'raw')", ValueError, "mode='raw'.*mode='reduced'"),
        ("qr(t, 'full')", ValueError, "mode='full'.*mode='reduced'"),
        ("inv(t)", np.linalg.LinAlgError, "square"),
        ("det(t)", np.linalg.LinAlgError, "square"),
        ("eigh(d, 'X')", ValueError, "UPLO"),
        ("cholesky(h)", np.linalg.LinAlgError, "positive definite"),
        ("solve(s, t)", ValueError, "mismatch"),
        ("lstsq(t, v)", np.linalg.LinAlgError, "Incompatible"),
        ("lstsq(b, v)", np.linalg.LinAlgError, "two-dimensional"),
        ("norm(t, 3)", ValueError, "order"),
        ("norm(t, 'other')", ValueError, "order"),
        ("norm(v, 'fro')", ValueError, "order"),
        ("norm(b, 2)", ValueError, "dimensions"),
        ("norm(b, 1, (0, 0))", ValueError, "Duplicate"),
        ("cond(t, 1)", np.linalg.LinAlgError, "square"),
        ("cond(t[:0])", np.linalg.LinAlgError, "empty"),
        ("matrix_power(s, 0.5)", TypeError, "matrix_power.*int.*0.5"),
        ("matrix_power(t, 2)", np.linalg.LinAlgError, "matrix_power.*square"),
        ("multi_dot([t])", ValueError, "at least two"),
        ("multi_dot([t, w, b])", np.linalg.LinAlgError, "two-dimensional"),
        ("tensorinv(c, ind=0)", ValueError, "tensorinv.*ind=0"),
        ("tensorsolve(b, v)", np.linalg.LinAlgError, "tensorsolve"),
        ("outer(t, v)", ValueError, "outer.*np.outer"),
        ("cross(t, t)", ValueError, "cross.*3"),
        ("multi_dot([t, w], out=np.empty((4, 4)))", TypeError, "out"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(call: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate(call, tg.Node)


def test_scipy_s_functions_refuse_nodes() -> None:
    expm = pytest.importorskip("scipy.linalg").expm
    with pytest.raises(TypeError, match="out of the graph"):
        expm(tg.Node(SQUARE))
