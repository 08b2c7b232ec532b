"""Polynomials, convolution and interpolation: every argument a Node, conventions, refusals."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_rules import assert_same_bits, gradients_at

GENERATOR = np.random.default_rng(23)
MODES = ("full", "same", "valid")
PRODUCTS = pytest.mark.parametrize("f", [np.convolve, np.correlate])


def complex_normal(size: Any) -> np.ndarray:
    return GENERATOR.normal(size=size) + 1j * GENERATOR.normal(size=size)


@PRODUCTS
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
def test_gradients_of_products_find_the_overlaps_of_every_mode(
    f: Callable[..., Any], mode: str, n: int, m: int
) -> None:
    a, v = GENERATOR.normal(size=n), GENERATOR.normal(size=m)
    out, pullback = tg.vjp(lambda a, v: f(a, v, mode), a, v)
    assert_same_bits(out, f(a, v, mode))
    g = GENERATOR.normal(size=out.shape)
    by_a = [g @ f(e, v, mode) for e in np.eye(n)]
    by_v = [g @ f(a, e, mode) for e in np.eye(m)]
    np.testing.assert_allclose(np.concatenate(pullback(g)), [*by_a, *by_v], atol=1e-14)


@PRODUCTS
@pytest.mark.parametrize("mode", MODES)
def test_gradients_of_complex_products_have_two_orders(f: Callable[..., Any], mode: str) -> None:
    tg.gradcheck(lambda a, v: f(a, v, mode), complex_normal(3), complex_normal(4), order=2)


@PRODUCTS
def test_products_with_lists_and_integers(f: Callable[..., Any]) -> None:
    x = tg.Node([1.0, 2.0, 3.0])
    for other in ([2.0, 1.0], np.array([1, 2])):
        assert_same_bits(f(x, other).value, f(x.value, other))
        assert_same_bits(f(other, x).value, f(other, x.value))
        tg.gradcheck(lambda x, other=other: f(x, other) * f(other, x)[::-1], x.value)


@pytest.mark.parametrize("number", [3.0, np.float32(2), np.array(2)], ids=["float", "f4", "i8"])
def test_convolution_with_a_number_scales(number: Any) -> None:
    x = tg.Node([1.0, 2.0, 3.0])
    assert_same_bits(np.convolve(x, number).value, np.convolve(x.value, number))
    np.convolve(number, x).sum().backward()
    assert x.grad.tolist() == [number] * 3
    assert gradients_at(lambda k: np.convolve(k, [1.0, 2.0]), 5.0) == [3.0]


def test_every_argument_of_interp_has_its_gradient() -> None:
    x, xp, fp, left, right = gradients_at(
        lambda *z: np.interp(z[0], z[1], z[2], left=z[3], right=z[4]),
        [0.25, -1.0, 5.0, 1.5],
        [0.0, 1.0, 2.0],
        [10.0, 20.0, 40.0],
        7.0,
        8.0,
    )
    assert x == [10, 0, 0, 20]
    assert xp == [-7.5, -2.5 - 10, -10]
    assert fp == [0.75, 0.25 + 0.5, 0.5]
    assert (left, right) == (1, 1)


def test_beyond_the_data_interp_holds_its_ends() -> None:
    x, xp, fp = gradients_at(np.interp, [-1.0, 9.0, 9.0], [0.0, 1.0], [5.0, 6.0])
    assert (x, xp, fp) == ([0, 0, 0], [0, 0], [1, 2])


def test_interp_at_a_point_of_the_data_has_the_slope_to_its_right() -> None:
    (slope, _, fp) = gradients_at(np.interp, [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 5.0])
    assert slope == [1, 4, 4]
    assert fp == [1, 1, 1]


def test_interp_of_one_point_or_of_equal_points_gives_no_nan() -> None:
    assert gradients_at(np.interp, [0.0, 1.0, 2.0], [1.0], [5.0]) == [[0, 0, 0], [0], [3]]
    gradients = gradients_at(np.interp, [0.0, 1.0, 1.5, 2.0], [0.0, 1.0, 1.0, 2.0], np.arange(4.0))
    assert np.isfinite(np.concatenate(gradients)).all()


def test_interp_with_a_period_has_its_gradient_too() -> None:
    x = np.array([-7.3, 0.1, 2.2, 8.8])
    xp, fp = np.array([2.0, -1.0, 0.5]), np.array([1.0, -2.0, 4.0])

    def f(x: Any, xp: Any, fp: Any, period: Any) -> Any:
        return np.interp(x, xp, fp, period=period)

    tg.gradcheck(f, x, xp, fp, np.array(4.0), order=2)
    assert_same_bits(f(tg.Node(x), xp, fp, 4.0).value, f(x, xp, fp, 4.0))
    with pytest.raises(ValueError, match="non-zero"):
        f(tg.Node(x), xp, fp, 0.0)


def test_interp_of_complex_values() -> None:
    xp, fp = np.array([0.0, 1.0, 2.0]), complex_normal(3)
    tg.gradcheck(np.interp, np.array([0.3, 1.6, 3.0]), xp, fp, order=2)
    x = tg.Node(np.array([0.3]))
    assert np.interp(x, xp, fp.astype(np.complex64)).dtype == np.complex128
    with pytest.raises(TypeError, match="Cannot cast"):
        np.interp(tg.Node(np.array([0.3j])), xp, fp)


def test_interp_computes_in_double_precision() -> None:
    x = tg.Node(0.1)
    np.interp(x, np.float32([0, 0.3]), np.float32([0, 0.7])).backward()
    assert x.grad == (np.float64(np.float32(0.7)) / np.float64(np.float32(0.3)))
    fp = tg.Node(np.float32([1, 2]))
    np.interp(0.25, [0, 1], fp).backward()
    assert (fp.grad.dtype, fp.grad.tolist()) == (np.float32, [0.75, 0.25])


@pytest.mark.parametrize(("xp", "fp"), [([0.0, 1.0], [1.0]), ([[0.0, 1.0]], [[0.0, 1.0]])])
@pytest.mark.parametrize("period", [None, 2.0])
def test_data_of_other_shapes_is_refused(xp: Any, fp: Any, period: Any) -> None:
    with pytest.raises(ValueError, match="one axis and the same length"):
        np.interp(tg.Node(0.5), xp, fp, period=period)


def test_polynomials_of_nodes_in_lists() -> None:
    a, b = tg.Node(2.0), tg.Node(3.0)
    x = tg.Node([1.0, 2.0])
    out = np.polyval([a, 1.0, b], x)
    out.backward(np.ones(2))
    assert out.value.tolist() == [6, 13]
    assert (a.grad, b.grad, x.grad.tolist()) == (5, 2, [5, 9])
    assert np.interp(tg.Node(0.5), [0, 1], [a, b]).item() == 2.5


@pytest.mark.parametrize("f", [np.polyadd, np.polysub, np.polymul])
@pytest.mark.parametrize("sizes", [(3, 3), (1, 4), (4, 2)])
def test_arithmetic_of_polynomials(f: Callable[..., Any], sizes: tuple[int, int]) -> None:
    a1, a2 = (GENERATOR.normal(size=size) for size in sizes)
    assert_same_bits(f(tg.Node(a1), a2).value, f(a1, a2))
    assert_same_bits(f(a1, tg.Node(a2)).value, f(a1, a2))
    assert_same_bits(f(tg.Node(a1), np.poly1d(a2)).value, np.asarray(f(a1, a2)))
    tg.gradcheck(f, a1, a2, order=2)


def test_a_polynomial_can_be_one_number() -> None:
    assert_same_bits(np.polyadd(tg.Node(2.0), [1.0, 2.0]).value, np.polyadd(2.0, [1.0, 2.0]))
    assert_same_bits(np.polymul(tg.Node([1.0, 2.0]), 3.0).value, np.polymul([1.0, 2.0], 3.0))


def test_polymul_drops_leading_zeros_of_constants_and_refuses_those_of_nodes() -> None:
    a = tg.Node([1.0, 2.0])
    for constant in ([0.0, 0.0, 3.0], [0.0, 0.0]):
        assert_same_bits(np.polymul(a, constant).value, np.polymul(a.value, constant))
    assert_same_bits(np.polymul(tg.Node([0.0]), a).value, np.polymul([0.0], a.value))
    with pytest.raises(ValueError, match=r"leading coefficient of a Node is 0.*np\.convolve"):
        np.polymul(tg.Node([0.0, 1.0]), a)


def test_polyval_at_a_polynomial_is_refused() -> None:
    with pytest.raises(TypeError, match="at a poly1d is not supported"):
        np.polyval(tg.Node([1.0, 2.0]), np.poly1d([1.0, 2.0]))


def test_integrals_take_constants_of_their_own() -> None:
    p, k = tg.Node([6.0, 2.0]), tg.Node([5.0, 7.0])
    out = np.polyint(p, 2, k)
    assert_same_bits(out.value, np.polyint(p.value, 2, k.value))
    out.backward(np.ones(4))
    assert (p.grad.tolist(), k.grad.tolist()) == ([1 / 6, 1 / 2], [1, 1])
    assert_same_bits(np.polyint(p, 3, 1).value, np.polyint(p.value, 3, 1))


@pytest.mark.parametrize("f", [np.polyder, np.polyint])
def test_orders_of_derivatives_and_integrals(f: Callable[..., Any]) -> None:
    p = tg.Node([1.0, 2.0, 3.0])
    for m in range(5):
        assert_same_bits(f(p, m).value, f(p.value, m))
    with pytest.raises(ValueError, match="order -1, expected 0 or more"):
        f(p, -1)


def test_too_few_constants_of_integration_are_refused() -> None:
    with pytest.raises(ValueError, match="2 constants k for 3 integrals"):
        np.polyint(tg.Node([1.0]), 3, [1.0, 2.0])


def test_roots_move_with_every_coefficient_also_with_those_that_are_zero() -> None:
    """The roots of a x^2 + b x + c at a = 0 and at c = 0, by the formulas for them."""
    (gradient,) = gradients_at(lambda p: np.roots(p), [0.0, 2.0, -6.0])
    np.testing.assert_allclose(gradient, [-9 / 2, -3 / 2, -1 / 2])
    (gradient,) = gradients_at(lambda p: np.roots(p)[1], [1.0, 2.0, 0.0])
    np.testing.assert_allclose(gradient, [0, 0, -1 / 2], atol=1e-15)


def test_roots_that_are_not_real_have_real_gradients() -> None:
    p = np.array([2.0, 1.0, 3.0, 1.0])
    tg.gradcheck(lambda p: np.sum(np.abs(np.roots(p)) ** 2), p, order=2)


def test_roots_and_poly_undo_each_other() -> None:
    zeros = np.array([-1.5, 0.5, 2.0])
    jacobian = tg.jacobian(lambda z: np.sort(np.real(np.roots(np.poly(z)))))(zeros)
    np.testing.assert_allclose(jacobian, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    "zeros",
    [
        np.array([1.0, -2.0]),
        np.array([1 + 2j, 1 - 2j, 3]),
        np.array([1 + 2j, 1]),
        np.array([[1.0, 2.0], [-3.0, 4.0]]),
        np.array([2.0, 1.0], np.float32),
    ],
    ids=["real", "conjugate", "complex", "matrix", "float32"],
)
def test_poly_of_roots_or_a_matrix(zeros: np.ndarray) -> None:
    out = np.poly(tg.Node(zeros))
    assert_same_bits(out.value, np.poly(zeros))
    tg.gradcheck(lambda z: np.real(np.poly(z)), zeros.astype(np.result_type(zeros, 1.0)), order=1)


def test_vander_of_few_columns() -> None:
    x = tg.Node([2.0, 3.0])
    for columns in (None, 0, 1, 2, 4):
        for increasing in (False, True):
            out = np.vander(x, columns, increasing)
            assert_same_bits(out.value, np.vander(x.value, columns, increasing))
    assert gradients_at(lambda x: np.vander(x, 4)[:, :2], [2.0, 3.0]) == [[12 + 4, 27 + 6]]


POINTS = np.array([0.0, 1.0, 2.5, 3.0, 4.5])
VALUES = np.array([1.0, -1.0, 2.0, 0.5, 3.0])
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 1.5])


def test_a_fit_has_gradients_by_points_values_and_weights() -> None:
    def coefficients(x: Any, y: Any, w: Any) -> Any:
        return np.polyfit(x, y, 2, w=w)

    tg.gradcheck(coefficients, POINTS, VALUES, WEIGHTS, order=2)
    weights = tg.Node(WEIGHTS)
    assert_same_bits(
        np.polyfit(POINTS, VALUES, 2, w=weights).value, np.polyfit(POINTS, VALUES, 2, w=WEIGHTS)
    )


@pytest.mark.parametrize("cov", [True, "unscaled"])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_fit_gives_its_covariance(cov: Any, columns: int) -> None:
    y = np.stack([VALUES, VALUES[::-1]], axis=1)[:, :columns].squeeze()
    actual = np.polyfit(tg.Node(POINTS), tg.Node(y), 1, w=tg.Node(WEIGHTS), cov=cov)
    expected = np.polyfit(POINTS, y, 1, w=WEIGHTS, cov=cov)
    for x, z in zip(actual, expected, strict=True):
        assert_same_bits(x.value, z)


def test_a_full_fit_gives_what_numpy_gives() -> None:
    actual = np.polyfit(tg.Node(POINTS), VALUES, 1, full=True)
    expected = np.polyfit(POINTS, VALUES, 1, full=True)
    c, residuals, rank, s, rcond = actual
    for x, z in zip((c, residuals, s), (expected[0], expected[1], expected[3]), strict=True):
        assert_same_bits(x.value, z)
    assert (rank, rcond) == (expected[2], expected[4])


def test_float32_values_to_fit() -> None:
    x, y = POINTS.astype(np.float32), VALUES.astype(np.float32)
    expected = np.polyfit(x, y, 1, w=WEIGHTS)
    assert_same_bits(np.polyfit(tg.Node(x), tg.Node(y), 1, w=WEIGHTS).value, expected)


def test_a_fit_that_is_not_determined_warns() -> None:
    with pytest.warns(np.exceptions.RankWarning) as caught:
        np.polyfit(tg.Node([1.0, 1.0]), VALUES[:2], 1)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.polyfit(tg.Node([1.0, 1.0]), VALUES[:2], 1, full=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((VALUES, -1), ValueError, "degree -1, expected 0 or more"),
        ((VALUES[:2], 1), TypeError, r"values y of shape \(2,\)"),
        ((VALUES, 1, None, False, WEIGHTS[:2]), TypeError, r"weights of shape \(2,\)"),
        ((VALUES, 4, None, False, None, True), ValueError, "5 points for 5 coefficients"),
    ],
    ids=["degree", "values", "weights", "covariance"],
)
def test_fits_that_make_no_sense_are_refused(
    arguments: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        np.polyfit(tg.Node(POINTS), *arguments)
