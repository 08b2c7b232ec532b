"""Products of vectors, matrices and tensors: keywords, odd operands, blocks of cotangents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.test_protocols import assert_like_numpy
from tests.test_rules import random_like
from tinygraph.op import OPS
from tinygraph.rules.products import cross_of_last

GENERATOR = np.random.default_rng(11)
M, N, V, W, B = (GENERATOR.normal(size=shape) for shape in [(2, 3), (3, 2), (3,), (2,), (4, 2, 3)])

has_matvec = pytest.mark.skipif(not hasattr(np, "matvec"), reason="np.matvec is newer")


# Keywords of gufuncs


@pytest.mark.parametrize(
    ("f", "operands"),
    [
        (lambda x, y: np.matmul(x, y, axes=[(1, 0), (-2, -1), (1, 0)]), (N, N)),
        (lambda x, y: np.matmul(x, y, axes=[(0, 2), (0,), (0,)]), (B.mT, W)),
        (lambda x, y: np.vecdot(x, y, axes=[0, 0]), (V, N)),
        (lambda x, y: np.vecdot(x, y, axes=[(1,), (0,), ()]), (M, V)),
        (lambda x, y: np.vecdot(x, y, axes=[0, 2], keepdims=True), (N, B)),
        (lambda x, y: np.vecdot(x, y, axis=0, keepdims=True), (V, N)),
    ],
    ids=["matmul", "matmul of a vector", "pair", "triple", "kept last", "kept"],
)
def test_axes_of_gufuncs(f: Callable[..., Any], operands: Any) -> None:
    x, y = operands
    assert_like_numpy(f, x, y)
    assert_like_numpy(lambda x: f(x, y), x)
    assert_like_numpy(lambda y: f(x, y), y)


@has_matvec
def test_axes_of_matvec_and_vecmat() -> None:
    assert_like_numpy(lambda x, y: np.matvec(x, y, axes=[(0, 1), 0, 0]), N, W)
    assert_like_numpy(lambda x, y: np.matvec(x, y, axes=[(2, 0), (1,), (1,)]), B, B[:, :, 0].T)
    assert_like_numpy(lambda x, y: np.vecmat(x, y, axes=[0, (1, 0), 0]), W, N)


def test_a_keyword_of_matmul_without_a_rule_is_named() -> None:
    with pytest.raises(TypeError, match=r"matmul.*signature"):
        np.matmul(tg.Node(M), N, signature="dd->d")


GUFUNCS = [
    ("matmul", (3,), (3,)), ("matmul", (2, 3), (3,)), ("matmul", (3,), (3, 2)),
    ("matmul", (4, 2, 3), (3,)), ("matmul", (3,), (4, 3, 2)), ("matmul", (4, 2, 3), (3, 2)),
    ("vecdot", (3,), (3,)), ("vecdot", (2, 3), (3,)), ("matvec", (2, 3), (3,)),
    ("matvec", (2, 3), (4, 3)), ("vecmat", (3,), (3, 2)), ("vecmat", (3,), (4, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x_shape", "y_shape"), GUFUNCS)
@pytest.mark.parametrize("dtype", [float, complex])
def test_rules_of_gufuncs_take_a_block_of_cotangents(
    name: str, x_shape: Any, y_shape: Any, dtype: Any
) -> None:
    if not hasattr(np, name):
        pytest.skip(f"np.{name} is newer")
    op = OPS[getattr(np, name)]
    x, y = (random_like(np.empty(shape, dtype), i) for i, shape in enumerate([x_shape, y_shape]))
    out = np.asarray(op(x, y))
    block = random_like(np.empty((5, *out.shape), dtype), 3)
    together = op.rule(block, out, x, y)
    for position, operand in enumerate((x, y)):
        rows = np.stack([op.rule(g, out, x, y)[position]() for g in block])
        np.testing.assert_allclose(together[position](), rows, rtol=1e-13, atol=1e-13)
        assert rows.shape[rows.ndim - operand.ndim :] == operand.shape


# Einsum


@pytest.mark.parametrize(
    "optimize",
    [
        True, False, None, "greedy", "optimal", ("greedy", 1000), ["einsum_path", (0, 1), (0, 1)],
        ["einsum_path", (0, 1, 2)],
    ],
    ids=str,
)  # fmt: skip
def test_einsum_with_every_form_of_optimize(optimize: Any) -> None:
    assert_like_numpy(
        lambda x, y, z: np.einsum("ij,jk,kl->il", x, y, z, optimize=optimize), M, N, M
    )


def test_einsum_along_the_path_that_einsum_path_gives() -> None:
    x = tg.Node(M)
    path, text = np.einsum_path("ij,jk,kl->il", x, N, x, optimize="optimal")
    assert (path, text) == np.einsum_path("ij,jk,kl->il", M, N, M, optimize="optimal")
    assert np.einsum_path(x, [0, 1], V, [1])[0] == ["einsum_path", (0, 1)]
    assert_like_numpy(lambda x: np.einsum("ij,jk,kl->il", x, N, x, optimize=path), M)


@pytest.mark.parametrize(
    "keywords",
    [
        {"dtype": "float32", "casting": "same_kind"},
        {"dtype": "complex128"},
        {"order": "F"},
        {"dtype": "float64", "order": "C", "casting": "no", "optimize": True},
    ],
    ids=str,
)
def test_einsum_with_dtype_order_and_casting(keywords: Any) -> None:
    x, y = tg.Node(M), tg.Node(N)
    out = np.einsum("ij,jk->ik", x, y, **keywords)
    expected = np.einsum("ij,jk->ik", M, N, **keywords)
    assert out.dtype == expected.dtype
    assert out.value.tobytes() == expected.tobytes()
    assert out.value.flags.f_contiguous == expected.flags.f_contiguous
    out.backward(np.ones(out.shape, out.dtype))
    np.testing.assert_allclose(x.grad, np.ones((2, 2)) @ N.T, rtol=1e-6)
    assert x.grad.dtype == y.grad.dtype == "float64"


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"dtype": "float32"}, "safe"),
        ({"order": "X"}, "order"),
        ({"axis": 0}, "axis"),
        ({"out": np.empty((2, 2))}, "out"),
    ],
    ids=str,
)
def test_keywords_that_einsum_refuses_are_refused(keywords: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        np.einsum("ij,jk->ik", tg.Node(M), N, **keywords)


def test_einsum_of_lists_and_numbers() -> None:
    assert_like_numpy(lambda v: np.einsum("i,ij,->j", [1.0, 2.0, 3.0], N.tolist(), v), V[0])
    assert_like_numpy(lambda v: np.einsum([1.0, 2.0, 3.0], [0], v, [0]), V)


# Kronecker, cross and inner products


@pytest.mark.parametrize(("a", "b"), [(M, W), (W, M), (V[0], M), (M, V[0]), (B, W), (M, N)])
def test_kron_of_every_dimensionality(a: Any, b: Any) -> None:
    assert_like_numpy(np.kron, np.asarray(a), np.asarray(b))


def test_kron_with_a_list_and_by_keyword() -> None:
    assert_like_numpy(lambda x: np.kron([[1.0, 2.0]], x), M)
    assert_like_numpy(lambda x: np.kron(b=[1.0, 2.0], a=x), M)


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors:DeprecationWarning")
@pytest.mark.parametrize(
    ("x_shape", "y_shape"), [((2,), (2,)), ((2,), (3,)), ((4, 3), (2,)), ((4, 2), (3, 4, 2))]
)
def test_cross_of_vectors_in_the_plane(x_shape: Any, y_shape: Any) -> None:
    x, y = GENERATOR.normal(size=x_shape), GENERATOR.normal(size=y_shape)
    assert_like_numpy(np.cross, x, y)
    assert_like_numpy(lambda x: np.cross(x, y), x)

    def gradients(x: Any, y: Any) -> Any:
        return tg.vjp(cross_of_last, x, y)[1](np.ones(np.cross(x, y).shape))

    weights = (random_like(x, 1), random_like(y, 2))
    _, pullback = tg.vjp(gradients, x, y)
    assert_gradients(pullback(weights), numeric_vjp(gradients, (x, y), weights))


@pytest.mark.parametrize("shape", [(4,), (1,), ()])
def test_cross_of_vectors_of_other_dimensions_is_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"incompatible|out of bounds"):
        np.cross(tg.Node(V), np.ones(shape))


@pytest.mark.parametrize("function", [np.inner, np.vdot, np.dot, np.kron, np.vecdot])
def test_real_and_complex_operands_mix(function: Callable[..., Any]) -> None:
    z = V + 1j * V[::-1]
    for x, y in [(V, z), (z, V)]:
        g = random_like(np.asarray(function(x, y)), 1)
        gradients = tg.vjp(function, x, y)[1](g)
        assert [gradient.dtype for gradient in gradients] == [x.dtype, y.dtype]
        assert_gradients(gradients, numeric_vjp(function, (x, y), g))


@pytest.mark.parametrize("function", [np.inner, np.vdot, np.kron, np.cross, np.vecdot, np.matmul])
def test_a_list_of_nodes_is_refused(function: Callable[..., Any]) -> None:
    x = tg.Node(V)
    with pytest.raises(TypeError, match=r"np\.stack"):
        function([x[0], x[1], x[2]], x)
