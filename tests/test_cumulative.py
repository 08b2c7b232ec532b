"""Running sums, products and extrema, differences: conventions, and where Nodes may stand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_reduction import MASK, X, assert_derivatives, gradient_of
from tinygraph.rules.cumulative import running_max, running_min

COORDINATES = np.array([0.0, 0.5, 1.75, 2.5])


@pytest.mark.parametrize("zeros", [[], [0], [2], [1, 2], [0, 1, 2, 3]])
def test_derivatives_of_running_products_with_zeros(zeros: list[int]) -> None:
    x = np.array([2.0, -3.0, 0.5, 4.0])
    x[zeros] = 0
    assert_derivatives(np.cumprod, x)
    third = tg.hessian(lambda x: np.sum(tg.grad(lambda x: np.sum(np.cumprod(x)))(x) ** 2))(x)
    assert np.isfinite(third).all()
    np.testing.assert_allclose(third, third.T)


def test_running_products_that_underflow_keep_their_gradient() -> None:
    gradient = gradient_of(lambda x: np.cumprod(x)[-1:], [1e-200, 1e-200, 1e250])
    np.testing.assert_allclose(gradient, [1e50, 1e50, 0], atol=1e-300)


def test_running_products_of_rows_without_elements() -> None:
    assert gradient_of(lambda x: np.cumprod(x, axis=1), np.zeros((2, 0))).shape == (2, 0)
    assert gradient_of(np.cumsum, np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("f", [np.cumsum, np.cumprod, np.nancumsum, np.nancumprod])
def test_running_results_are_computed_in_a_wider_dtype(f: Callable[..., Any]) -> None:
    x = X.astype(np.float32)
    out = f(tg.Node(x), axis=1, dtype=np.float64)
    assert out.value.tobytes() == f(x, axis=1, dtype=np.float64).tobytes()
    gradient = gradient_of(lambda x: f(x, axis=1, dtype=np.float64), x)
    np.testing.assert_allclose(gradient, gradient_of(lambda x: f(x, axis=1), X), rtol=1e-5)


@pytest.mark.parametrize("f", [np.nancumsum, np.nancumprod])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_running_results_pass_by_nan(f: Callable[..., Any], axis: Any) -> None:
    assert_derivatives(lambda x: f(np.where(MASK, x, np.nan), axis=axis), X)


@pytest.mark.parametrize(
    ("f", "ufunc"), [(running_max, np.maximum), (running_min, np.minimum)], ids=["max", "min"]
)
def test_running_extrema_have_the_values_of_numpy(f: Any, ufunc: np.ufunc) -> None:
    for axis in (0, 1, -1):
        assert f(tg.Node(X), axis=axis).value.tobytes() == ufunc.accumulate(X, axis).tobytes()


def test_elements_that_tie_share_in_a_running_maximum() -> None:
    assert gradient_of(running_max, [2.0, 1.0, 2.0, 3.0]).tolist() == [2.5, 0, 0.5, 1]
    thirds = gradient_of(running_min, [0.0, 0.0, 0.0])
    np.testing.assert_allclose(thirds, [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3])
    assert gradient_of(running_max, [1.0, np.nan, 2.0, np.nan]).tolist() == [1, 2.5, 0, 0.5]


def test_many_that_tie_share_in_a_running_maximum() -> None:
    count = 70_000
    last = gradient_of(lambda x: running_max(x)[-1:], np.ones(count), np.float16)
    np.testing.assert_array_equal(last, np.float16(1 / count))


@pytest.mark.parametrize("f", [np.cumulative_sum, np.cumulative_prod])
def test_the_functions_of_the_array_api_want_an_axis(f: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"got shape \(3, 4\) without an axis"):
        f(tg.Node(X))
    out = f(tg.Node(X), axis=1, include_initial=True, dtype=np.float32)
    assert out.value.tobytes() == f(X, axis=1, include_initial=True, dtype=np.float32).tobytes()
    assert f(tg.Node(2.0)).shape == (1,)


@pytest.mark.parametrize(
    "f",
    [np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.cumulative_sum, np.cumulative_prod],
)
def test_out_is_refused_but_for_none(f: Callable[..., Any]) -> None:
    x = tg.Node(X[0])
    assert f(x, out=None).shape == (4,)
    with pytest.raises(TypeError, match="cannot be written into an array"):
        f(x, out=np.zeros(4))


def test_the_ends_of_differences_may_be_nodes_alone() -> None:
    assert_derivatives(lambda end: np.diff(X, prepend=end, axis=0), X[:1])
    assert_derivatives(lambda end: np.diff(X, append=end), np.array(0.5))
    assert_derivatives(lambda end: np.ediff1d(X, to_begin=end), np.array([0.5, 2.0]))


def test_differences_promote_as_in_numpy() -> None:
    x = X.astype(np.float32)
    for params in ({}, {"prepend": 0.0}, {"append": 1}, {"prepend": np.float32(2)}):
        out = np.diff(tg.Node(x), **params)
        assert out.dtype == np.diff(x, **params).dtype
        assert out.value.tobytes() == np.diff(x, **params).tobytes()
    whole = np.array([3, 1, 4])
    assert np.diff(whole, prepend=tg.Node(0.5)).value.tolist() == [2.5, -2, 3]


def test_differences_of_no_order_are_the_node_itself() -> None:
    x = tg.Node(X)
    assert np.diff(x, n=0) is x
    with pytest.raises(ValueError, match="at least 0, got -1"):
        np.diff(x, n=-1)
    with pytest.raises(ValueError, match="at least one axis"):
        np.diff(tg.Node(1.0))
    mask = np.diff(tg.Node(X > 0, requires_grad=False))
    np.testing.assert_array_equal(mask, np.diff(X > 0))


def test_flat_differences_refuse_wider_ends_as_numpy_does() -> None:
    with pytest.raises(TypeError, match="complex128 cannot be cast to that of the array, float64"):
        np.ediff1d(tg.Node(X), to_end=1j)
    x = X.astype(np.float32)
    out = np.ediff1d(tg.Node(x), to_begin=np.float64(0.3), to_end=[1.0, 2.0])
    assert out.value.tobytes() == np.ediff1d(x, np.array([1.0, 2.0]), np.float64(0.3)).tobytes()


@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_at_even_coordinates_have_the_derivative_by_uneven_ones(edge_order: int) -> None:
    """NumPy computes them by a formula of its own, which has another derivative by x[0], x[1]."""
    even = np.arange(4.0)
    assert_derivatives(lambda f, x: np.gradient(f, x, axis=1, edge_order=edge_order), X, even)


def test_spacings_alone_may_be_nodes() -> None:
    assert_derivatives(lambda step: np.gradient(X, step, axis=0), np.array(0.5))
    assert_derivatives(lambda x: np.gradient(X, x, axis=1), COORDINATES)
    whole = X.round().astype(np.int8)
    assert_derivatives(lambda x: np.gradient(whole, x, axis=1), COORDINATES)


def test_slopes_along_several_axes_are_a_tuple() -> None:
    slopes = np.gradient(tg.Node(X), 0.5, COORDINATES)
    assert isinstance(slopes, tuple)
    expected = np.gradient(X, 0.5, COORDINATES)
    assert [s.value.tobytes() for s in slopes] == [s.tobytes() for s in expected]
    assert isinstance(np.gradient(tg.Node(X), axis=1), tg.Node)
    with pytest.raises(TypeError, match="got 3 spacings for 2 axes"):
        np.gradient(tg.Node(X), 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="too small to calculate a numerical gradient"):
        np.gradient(tg.Node([1.0]))


def test_slopes_of_narrow_floats_stay_narrow() -> None:
    f = tg.Node(X.astype(np.float32))
    out = np.gradient(f, 0.5, axis=1)
    assert out.dtype == np.float32
    by_f, by_step = out.op.rule(out.value, out.value, f.value, 0.5, **out.params)
    assert by_f().dtype == by_step().dtype == np.float32


def test_the_steps_of_an_integral_may_be_nodes_alone() -> None:
    assert_derivatives(lambda x: np.trapezoid(X, x), COORDINATES)
    assert_derivatives(lambda x: np.trapezoid(X, x, axis=0), X**2)
    assert_derivatives(lambda dx: np.trapezoid(tg.Node(X, False), dx=dx), np.array(0.5))
