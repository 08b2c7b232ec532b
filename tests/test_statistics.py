"""Averages, order statistics and covariances: conventions, and where Nodes may stand."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.samples.statistics import METHODS
from tests.test_reduction import MASK, X, assert_derivatives, gradient_of

QUANTILES = np.array([[0.0, 0.25, 0.5], [0.7, 0.95, 1.0]])
WEIGHTS = np.array([0.5, 1.0, 2.0, 1.5])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [None, 0, 1, (1, 0)])
def test_derivatives_of_many_quantiles(method: str, axis: Any) -> None:
    params = {"axis": axis, "method": method, "keepdims": True}
    assert_derivatives(lambda x: np.quantile(x, QUANTILES, **params), X)
    assert_derivatives(lambda x: np.percentile(x, [0, 37.5, 100], **params), X)


@pytest.mark.parametrize("axis", [None, 0, 1, (1, 0)])
@pytest.mark.parametrize("method", METHODS)
def test_derivatives_of_quantiles_that_pass_by_nan(method: str, axis: Any) -> None:
    def known(x: Any) -> Any:
        return np.where(MASK, x, np.nan)

    params = {"axis": axis, "method": method}
    assert_derivatives(lambda x: np.nanquantile(known(x), QUANTILES[0], **params), X)
    assert_derivatives(lambda x: np.nanpercentile(known(x), 40.0, **params), X)
    assert_derivatives(lambda x: np.nanmedian(known(x), axis=axis), X)


@pytest.mark.parametrize("f", [np.quantile, np.nanquantile])
@pytest.mark.parametrize("q", [0.4, [0.1, 0.6, 1.0]])
def test_weighted_quantiles_give_the_gradient_to_the_elements_they_are(f: Any, q: Any) -> None:
    params = {"method": "inverted_cdf", "weights": np.abs(X) + 0.1, "axis": 1}
    assert_derivatives(lambda x: f(x, q, **params), X)


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (np.median, [1.0, 1.0, 1.0, 5.0], [1 / 3, 1 / 3, 1 / 3, 0]),
        (np.median, [3.0, 1.0, 2.0], [0, 0, 1]),
        (np.median, [4.0, 1.0, 3.0, 2.0], [0, 0, 0.5, 0.5]),
        (np.median, [2.0, 1.0, 3.0, 3.0], [0.5, 0, 0.25, 0.25]),
        (lambda x: np.quantile(x, 1.0), [5.0, 1.0, 5.0], [0.5, 0, 0.5]),
        (lambda x: np.percentile(x, 0), [5.0, 1.0, 5.0], [0, 1, 0]),
        (lambda x: np.quantile(x, 0.25), [0.0, 2.0], [0.75, 0.25]),
    ],
)
def test_elements_that_tie_share_equally(f: Any, x: Any, expected: Any) -> None:
    np.testing.assert_allclose(gradient_of(f, x), expected)


@pytest.mark.parametrize(
    "f",
    [np.median, lambda x, **p: np.quantile(x, [0.2, 0.3], **p)[0]],
    ids=["median", "quantile"],
)
def test_the_nans_that_an_order_statistic_follows_share_its_gradient(f: Any) -> None:
    x = [[np.nan, 1.0, 2.0, np.nan], [0.0, 1.0, 2.0, 3.0]]
    gradient = gradient_of(lambda x: f(x, axis=1), x)
    np.testing.assert_allclose(gradient[0], [0.5, 0, 0, 0.5])
    np.testing.assert_allclose(np.sum(gradient[1]), 1)
    np.testing.assert_allclose(gradient_of(f, x)[0], [0.5, 0, 0, 0.5])


@pytest.mark.parametrize(
    "f", [np.nanmedian, lambda x, **p: np.nanquantile(x, 0.3, **p)], ids=["median", "quantile"]
)
def test_a_slice_of_nothing_but_nan_has_gradient_zero(f: Callable[..., Any]) -> None:
    x = tg.Node([[np.nan, np.nan], [1.0, 2.0]])
    with pytest.warns(RuntimeWarning):
        out = f(x, axis=1)
    assert np.isnan(out.value[0])
    out.backward(np.ones(2))
    assert x.grad[0].tolist() == [0, 0]
    np.testing.assert_allclose(np.sum(x.grad[1]), 1)


@pytest.mark.parametrize("axis", [[0, 1], (-1, 0), -1, np.int64(0)])
def test_medians_take_axes_of_any_kind(axis: Any) -> None:
    for f in (np.median, np.nanmedian, lambda x, axis: np.quantile(x, 0.4, axis=axis)):
        assert_derivatives(lambda x, f=f: f(x, axis=axis), X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_order_statistics_of_narrow_floats(dtype: Any) -> None:
    x = X.astype(dtype)
    for f in (np.median, np.nanmedian, lambda x, **p: np.quantile(x, 0.25, **p)):
        assert f(tg.Node(x), axis=1).value.tobytes() == f(x, axis=1).tobytes()
        gradient = gradient_of(lambda x, f=f: f(x, axis=1), x)
        np.testing.assert_allclose(np.sum(gradient, axis=1), 1, rtol=1e-3)
    wide = np.quantile(tg.Node(x), np.array([0.25, 0.5]))
    assert wide.dtype == np.quantile(x, np.array([0.25, 0.5])).dtype
    assert gradient_of(lambda x: np.quantile(x, np.array([0.25, 0.5])), x).sum() == 2


def test_quantiles_in_a_long_row_have_exact_weights() -> None:
    x = np.random.default_rng(0).permutation(np.arange(10_001.0))
    gradient = gradient_of(lambda x: np.quantile(x, 0.12345), x)
    np.testing.assert_allclose(np.sum(gradient * x), 1234.5)
    np.testing.assert_allclose(np.sum(gradient), 1)


def test_order_statistics_of_nothing() -> None:
    assert gradient_of(lambda x: np.median(x, axis=1), np.zeros((0, 3))).shape == (0, 3)
    assert (
        gradient_of(lambda x: np.quantile(x, [], axis=1), X).tolist() == np.zeros_like(X).tolist()
    )
    x = tg.Node(np.zeros((2, 0)))
    with pytest.warns(RuntimeWarning):
        out = np.median(x, axis=1)
    out.backward(np.ones(2))
    assert x.grad.shape == (2, 0)


def test_the_permission_to_overwrite_is_not_used() -> None:
    x = tg.Node(X)
    for f in (np.median, np.nanmedian, lambda x, **p: np.percentile(x, 30, **p)):
        f(x, overwrite_input=True).backward()
    np.testing.assert_array_equal(x.value, X)


@pytest.mark.parametrize("f", [np.quantile, np.percentile, np.nanquantile, np.nanpercentile])
def test_probabilities_and_weights_that_are_nodes_are_refused(f: Callable[..., Any]) -> None:
    for x in (tg.Node(X), X):
        with pytest.raises(TypeError, match="parameter 'q' is a Node"):
            f(x, tg.Node(0.5))
    with pytest.raises(TypeError, match="parameter 'weights' is a Node"):
        f(tg.Node(X), 0.5, method="inverted_cdf", weights=tg.Node(np.abs(X)))


def test_averages_with_weights_that_are_nodes() -> None:
    assert_derivatives(lambda w: np.average(X, axis=1, weights=w), WEIGHTS)
    assert_derivatives(lambda a, w: np.average(a, axis=1, weights=w), X, WEIGHTS)
    whole = X.round().astype(np.int8)
    assert_derivatives(lambda w: np.average(whole, axis=1, weights=w), WEIGHTS)
    narrow = np.average(whole, axis=1, weights=tg.Node(WEIGHTS.astype(np.float32)))
    assert narrow.dtype == np.float64


def test_averages_along_several_axes_take_weights_in_the_order_of_these() -> None:
    a = np.random.default_rng(0).normal(size=(2, 3, 4))
    weights = np.random.default_rng(1).uniform(0.5, 1, (4, 2))
    assert_derivatives(lambda a, w: np.average(a, axis=(2, 0), weights=w), a, weights)


def test_averages_give_the_sum_of_the_weights_too() -> None:
    mean, total = np.average(tg.Node(X), axis=0, returned=True)
    assert total.tobytes() == np.average(X, axis=0, returned=True)[1].tobytes()
    mean, total = np.average(tg.Node(X), axis=1, weights=tg.Node(WEIGHTS), returned=True)
    expected = np.average(X, axis=1, weights=WEIGHTS, returned=True)
    assert mean.value.tobytes() == expected[0].tobytes()
    assert total.value.tobytes() == expected[1].tobytes()


def test_averages_refuse_what_numpy_refuses() -> None:
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        np.average(tg.Node(X), weights=np.zeros_like(X))
    with pytest.raises(TypeError, match=r"weights of shape \(4,\) for an array of shape \(3, 4\)"):
        np.average(tg.Node(X), weights=WEIGHTS)
    with pytest.raises(ValueError, match=r"expected \(3,\), the array's along axes \(0,\)"):
        np.average(tg.Node(X), axis=0, weights=WEIGHTS)


@pytest.mark.parametrize("f", [np.ptp, np.median, np.nanmedian, np.average])
def test_nodes_need_not_require_gradients(f: Callable[..., Any]) -> None:
    out = f(tg.Node(X, requires_grad=False), axis=1, keepdims=True)
    assert out.value.tobytes() == f(X, axis=1, keepdims=True).tobytes()


def test_the_weights_of_a_covariance_may_be_nodes_alone() -> None:
    assert_derivatives(lambda w: np.cov(X, aweights=w), WEIGHTS)
    assert_derivatives(lambda w: np.cov(X, aweights=w, fweights=[1, 2, 1, 3], ddof=0), WEIGHTS)


@pytest.mark.parametrize("rowvar", [True, False])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4), (4, 1), (2, 3), (0, 3)])
def test_covariances_take_shapes_as_numpy_does(shape: tuple[int, ...], rowvar: bool) -> None:
    m = np.random.default_rng(0).normal(size=shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            expected = np.cov(m, rowvar=rowvar)
            out = np.cov(tg.Node(m), rowvar=rowvar)
    out = out.value if isinstance(out, tg.Node) else out
    np.testing.assert_array_equal(out, expected)
    assert out.shape == expected.shape


def test_covariances_without_freedom_warn_as_in_numpy() -> None:
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        np.cov(tg.Node([[1.0], [2.0]]))


def test_covariances_in_float32_when_asked_for() -> None:
    x = X.astype(np.float32)
    for params in ({}, {"aweights": WEIGHTS}):
        out = np.cov(tg.Node(x), dtype=np.float32, **params)
        expected = np.cov(x, dtype=np.float32, **params)
        assert out.dtype == expected.dtype
        assert out.value.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"ddof": 0.5}, ValueError, "whole number for ddof"),
        ({"aweights": [1.0, 2.0]}, RuntimeError, r"aweights of shape \(4,\), got \(2,\)"),
        ({"aweights": [-1.0, 1, 1, 1]}, ValueError, "aweights cannot be negative"),
        ({"fweights": [0.5, 1, 1, 1]}, TypeError, "fweights must be integer"),
    ],
)
def test_covariances_refuse_what_numpy_refuses(params: Any, error: Any, match: str) -> None:
    with pytest.raises(error):
        np.cov(X, **params)
    with pytest.raises(error, match=match):
        np.cov(tg.Node(X), **params)


def test_the_correlation_of_one_variable_is_one() -> None:
    x = tg.Node(X[0])
    out = np.corrcoef(x)
    assert out.value == 1
    out.backward()
    np.testing.assert_allclose(x.grad, 0, atol=1e-15)


def test_correlations_of_what_depends_on_itself_are_flat() -> None:
    gradient = gradient_of(lambda x: np.corrcoef(x, 2 * x + 1), X[0])
    np.testing.assert_allclose(gradient, 0, atol=1e-14)
