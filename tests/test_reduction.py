"""Functions over axes: conventions, masks, counts, NaN, and where Nodes may stand."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp

X = np.array([[0.3, -1.2, 2.5, 0.9], [1.7, 0.4, -0.8, 3.1], [-2.2, 1.3, 0.6, -0.1]])
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])


def gradient_of(f: Callable[[Any], Any], x: Any, dtype: Any = None) -> np.ndarray:
    """Give the gradient of sum(f(x))."""
    node = tg.Node(np.asarray(x, dtype))
    out = f(node)
    out.backward(np.ones(out.shape, out.dtype))
    assert node.grad.dtype == node.dtype
    return node.grad


def assert_derivatives(f: Callable[..., Any], *inputs: np.ndarray) -> None:
    """Compare the first two derivatives with finite differences, and values with NumPy's."""
    out = f(*map(tg.Node, inputs))
    assert out.value.tobytes() == np.asarray(f(*inputs)).tobytes()
    generator = np.random.default_rng(0)
    cotangent = generator.normal(size=out.shape)
    _, pullback = tg.vjp(f, *inputs)
    assert_gradients(pullback(cotangent), numeric_vjp(f, inputs, cotangent))

    def gradients(*at: Any) -> Any:
        return tg.vjp(f, *at)[1](cotangent)

    weights = tuple(generator.normal(size=x.shape) for x in inputs)
    _, pullback = tg.vjp(gradients, *inputs)
    assert_gradients(pullback(weights), numeric_vjp(gradients, inputs, weights))


@pytest.mark.parametrize("f", [np.max, np.min, np.amax, np.amin])
def test_the_nans_that_a_maximum_follows_share_its_gradient(f: Callable[..., Any]) -> None:
    x = [[1.0, np.nan, 2.0, np.nan], [3.0, 2.0, 1.0, 0.0]]
    assert gradient_of(f, x).tolist() == [[0, 0.5, 0, 0.5], [0, 0, 0, 0]]
    rows = gradient_of(lambda x: f(x, axis=1), x)
    assert rows[0].tolist() == [0, 0.5, 0, 0.5]
    assert sorted(rows[1].tolist()) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("f", "expected"),
    [(np.nanmax, [0, 0, 1, 0]), (np.nanmin, [1, 0, 0, 0]), (np.nansum, [1, 0, 1, 0])],
)
def test_what_passes_by_nan_gives_it_no_gradient(f: Any, expected: list[float]) -> None:
    assert gradient_of(f, [1.0, np.nan, 2.0, np.nan]).tolist() == expected


@pytest.mark.parametrize(
    ("f", "params"),
    [
        (np.nansum, {}),
        (np.nansum, {"axis": 0, "initial": 2.0, "keepdims": True}),
        (np.nanmean, {"axis": 1}),
        (np.nanmean, {"axis": 1, "where": np.array([True, True, False, True])}),
        (np.nanprod, {"axis": (0, 1)}),
        (np.nanprod, {"axis": 1, "initial": 0.5}),
        (np.nanmax, {"axis": 0}),
        (np.nanmin, {"axis": 1, "initial": 0.25}),
        (np.nanvar, {}),
        (np.nanvar, {"axis": 1, "ddof": 1}),
        (np.nanstd, {"axis": 0, "keepdims": True}),
        (np.nanstd, {"axis": 1, "correction": 1}),
        (np.nanvar, {"where": np.array([[True], [False], [True]])}),
    ],
)
def test_derivatives_of_what_passes_by_nan(f: Any, params: dict[str, Any]) -> None:
    assert_derivatives(lambda x: f(np.where(MASK, x, np.nan), **params), X)


@pytest.mark.parametrize("f", [np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd])
def test_a_slice_of_nothing_but_nan_has_gradient_zero(f: Callable[..., Any]) -> None:
    x = tg.Node([[np.nan, np.nan], [1.0, 2.0]])
    with pytest.warns(RuntimeWarning):
        out = f(x, axis=1)
    assert np.isnan(out.value[0])
    out.backward(np.ones(2))
    assert x.grad[0].tolist() == [0, 0]
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize(
    "f", [np.sum, np.mean, np.prod, np.var, np.std, lambda x, **p: np.max(x, initial=-9.0, **p)]
)
def test_a_nan_that_a_mask_leaves_out_reaches_no_gradient(f: Callable[..., Any]) -> None:
    x = np.where(MASK, X, np.nan)
    gradient = gradient_of(lambda x: f(x, axis=0, where=MASK), x)
    assert np.isfinite(gradient).all()
    assert not gradient[~MASK].any()


def test_a_mask_may_change_after_it_was_given() -> None:
    mask = MASK.copy()
    x = tg.Node(X)
    out = np.sum(x, where=mask)
    mask[:] = True
    out.backward()
    np.testing.assert_array_equal(x.grad, MASK)


def test_a_mask_may_come_from_a_comparison_of_nodes() -> None:
    np.testing.assert_array_equal(gradient_of(lambda x: np.sum(x, where=x > 0), X), X > 0)


@pytest.mark.parametrize(("f", "edge"), [(np.max, 2.0), (np.min, -2.0)])
def test_an_initial_value_takes_its_share(f: Callable[..., Any], edge: float) -> None:
    x = np.array([edge, 0.0, edge])
    third = gradient_of(lambda x: f(x, initial=edge), x)
    np.testing.assert_allclose(third, [1 / 3, 0, 1 / 3])
    assert gradient_of(lambda x: f(x, initial=2 * edge), x).tolist() == [0, 0, 0]
    assert gradient_of(lambda x: f(x, initial=0.0), x).tolist() == [0.5, 0, 0.5]


COUNT = 70_000
"""More than the largest number of float16, which is 65,504."""


@pytest.mark.parametrize("shape", [(COUNT,), (2, COUNT)])
def test_float16_means_of_many_have_their_gradient(shape: tuple[int, ...]) -> None:
    gradient = gradient_of(lambda x: np.mean(x, axis=-1), np.zeros(shape), np.float16)
    np.testing.assert_array_equal(gradient, np.float16(1 / COUNT))


def test_float16_means_of_many_behind_a_mask_have_their_gradient() -> None:
    mask = np.arange(COUNT + 1) > 0
    gradient = gradient_of(lambda x: np.mean(x, where=mask), np.zeros(COUNT + 1), np.float16)
    np.testing.assert_array_equal(gradient, mask * np.float16(1 / COUNT))


@pytest.mark.parametrize("f", [np.max, np.min])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_many_that_tie_share(f: Callable[..., Any], dtype: Any) -> None:
    gradient = gradient_of(f, np.ones(COUNT), dtype)
    np.testing.assert_array_equal(gradient, dtype(1 / COUNT))


@pytest.mark.parametrize("ddof", [0, 1])
def test_float16_variances_of_many_have_their_gradient(ddof: int) -> None:
    x = np.where(np.arange(COUNT) % 2, 0.5, -0.5)
    gradient = gradient_of(lambda x: np.var(x, ddof=ddof), x, np.float16)
    np.testing.assert_allclose(gradient, 2 * x / COUNT, rtol=2e-3)
    gradient = gradient_of(lambda x: np.std(x, ddof=ddof), x, np.float16)
    np.testing.assert_allclose(gradient, 2 * x / COUNT, rtol=2e-3)


@pytest.mark.parametrize("f", [np.var, np.std])
def test_without_freedom_the_gradient_is_nan_and_only_the_value_warns(
    f: Callable[..., Any],
) -> None:
    x = tg.Node([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = f(x, ddof=2)
    out.backward()
    assert np.isnan(x.grad).all()


def test_the_mean_may_be_a_node_and_then_has_its_part_in_the_gradient() -> None:
    def with_mean(x: Any, axis: Any = 1, **params: Any) -> Any:
        return np.var(x, axis=axis, mean=np.mean(x, axis=axis, keepdims=True), **params)

    assert_derivatives(with_mean, X)
    np.testing.assert_allclose(
        tg.hessian(lambda x: np.sum(with_mean(x, None, ddof=1)))(X),
        tg.hessian(lambda x: np.sum(np.var(x, ddof=1)))(X),
        atol=1e-15,
    )


@pytest.mark.parametrize("f", [np.var, np.std])
def test_the_mean_alone_may_be_a_node(f: Callable[..., Any]) -> None:
    assert_derivatives(lambda m: f(X, axis=1, mean=m, ddof=1), np.array([[0.5], [1.0], [-0.2]]))


def test_a_mean_that_is_an_array_is_a_constant() -> None:
    center = np.full((3, 1), 0.5)
    gradient = gradient_of(lambda x: np.var(x, axis=1, mean=center), X)
    np.testing.assert_allclose(gradient, 2 * (X - center) / 4)


@pytest.mark.parametrize("f", [np.var, np.std, np.nanvar, np.nanstd])
def test_ddof_and_correction_together_are_refused_as_in_numpy(f: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="ddof and correction"):
        f(tg.Node(X), ddof=1, correction=1)
    assert f(tg.Node(X), correction=1).value == f(X, ddof=1)


@pytest.mark.parametrize("f", [np.sum, np.prod, np.mean, np.var, np.std, np.nansum])
def test_a_wider_dtype_computes_in_it(f: Callable[..., Any]) -> None:
    x = X.astype(np.float32)
    out = f(tg.Node(x), axis=1, dtype=np.float64)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out.value, f(x, axis=1, dtype=np.float64))
    gradient = gradient_of(lambda x: f(x, axis=1, dtype=np.float64), x)
    np.testing.assert_allclose(gradient, gradient_of(lambda x: f(x, axis=1), x), 1e-5, 1e-6)


@pytest.mark.parametrize(
    ("f", "expected"),
    [(np.sum, 0), (np.prod, 1), (lambda x: np.max(x, initial=3), 3), (np.nansum, 0)],
)
def test_of_nothing_they_give_what_numpy_gives(f: Callable[..., Any], expected: float) -> None:
    x = tg.Node(np.zeros(0))
    out = f(x)
    assert out.value == expected
    out.backward()
    assert x.grad.shape == (0,)


def test_the_mean_of_nothing_is_nan_with_a_warning_and_has_a_gradient_of_nothing() -> None:
    x = tg.Node(np.zeros((2, 0)))
    with pytest.warns(RuntimeWarning):
        out = np.mean(x, axis=1)
    assert np.isnan(out.value).all()
    out.backward(np.ones(2))
    assert x.grad.shape == (2, 0)
    with pytest.raises(ValueError, match="zero-size array"):
        np.max(x)


@pytest.mark.parametrize("axis", [0, -1, (), None])
def test_what_has_no_axes_may_be_reduced_over_some(axis: Any) -> None:
    for f in (np.sum, np.prod, np.max, np.mean, np.var):
        if f in (np.mean, np.var) and axis in (0, -1):
            continue
        assert np.shape(gradient_of(lambda x, f=f: f(x, axis=axis), 2.0)) == ()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1e-200, 1e-200, 1e250], [1e50, 1e50, 0.0]),
        ([np.inf, 2.0, 3.0], [6.0, np.inf, np.inf]),
        ([np.inf, 0.0, 2.0], [0.0, np.inf, np.nan]),
        ([np.nan, 2.0], [2.0, np.nan]),
        ([0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        ([-0.0, 4.0, 3.0], [12.0, 0.0, 0.0]),
    ],
)
def test_a_product_has_the_products_of_the_others_as_gradient(x: Any, expected: Any) -> None:
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(gradient_of(np.prod, x), expected, atol=1e-300)


@pytest.mark.parametrize("axis", [None, 0, (0, 2), (2, 0), (0, 1, 2), ()])
def test_products_with_zeros_have_derivatives_over_any_axes(axis: Any) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 2))
    x[0, 1] = x[1, :, 0] = 0
    assert_derivatives(lambda x: np.prod(x, axis=axis), x)


@pytest.mark.parametrize("f", [np.sum, np.prod, np.max, np.nansum, np.nanmax])
def test_an_initial_value_that_is_a_node_is_refused(f: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="parameter 'initial' is a Node"):
        f(tg.Node(X), initial=tg.Node(1.0))


@pytest.mark.parametrize("f", [np.sum, np.mean, np.prod, np.var, np.nanstd, np.nanmean])
def test_out_is_refused_but_for_none(f: Callable[..., Any]) -> None:
    assert f(tg.Node(X), 0, None, None).shape == (4,)
    assert f(tg.Node(X), axis=0, out=None).shape == (4,)
    for call in (lambda x: f(x, 0, None, np.zeros(4)), lambda x: f(x, axis=0, out=np.zeros(4))):
        with pytest.raises(TypeError, match="cannot be written into an array"):
            call(tg.Node(X))
