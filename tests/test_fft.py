"""numpy.fft: what its parameters mean, dtypes of gradients, several axes, what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_rules import assert_same_bits
from tinygraph.op import describe

GENERATOR = np.random.default_rng(7)
VECTOR = GENERATOR.normal(size=6)
MATRIX = GENERATOR.normal(size=(3, 4))
NORMS = ("backward", "ortho", "forward")
OF_REALS = (np.fft.rfft, np.fft.ihfft)
TRANSFORMS = (*OF_REALS, np.fft.fft, np.fft.ifft, np.fft.irfft, np.fft.hfft)
OF_SEVERAL_AXES = (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn)

every_transform = pytest.mark.parametrize("f", TRANSFORMS, ids=describe)
every_of_several_axes = pytest.mark.parametrize("f", OF_SEVERAL_AXES, ids=describe)


def matrix_of(f: Callable[..., Any], shape: tuple[int, ...], unit: complex = 1) -> np.ndarray:
    """Give the matrix of a linear function, which it tells of the unit vectors."""
    columns = [f(unit * e.reshape(shape)).ravel() for e in np.eye(int(np.prod(shape)))]
    return np.stack(columns, axis=1)


def assert_transposed(f: Callable[..., Any], x: np.ndarray) -> None:
    """Compare the pullback with the transpose of the matrix, real and imaginary part apart."""
    out, pullback = tg.vjp(f, x)
    g = GENERATOR.normal(size=out.shape)
    if out.dtype.kind == "c":
        g = g + 1j * GENERATOR.normal(size=out.shape)
    (gradient,) = pullback(g)
    by_real = (g.ravel() @ matrix_of(f, x.shape)).real
    np.testing.assert_allclose(gradient.real.ravel(), by_real, atol=1e-14)
    assert (gradient.dtype, gradient.shape) == (x.dtype, x.shape)
    if x.dtype.kind == "c":
        by_imaginary = (g.ravel() @ matrix_of(f, x.shape, 1j)).real
        np.testing.assert_allclose(-gradient.imag.ravel(), by_imaginary, atol=1e-14)


@every_transform
@pytest.mark.parametrize("norm", [None, *NORMS])
@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 7, 12, 13])
def test_the_pullback_of_a_transform_is_its_transpose(
    f: Callable[..., Any], norm: str | None, n: int
) -> None:
    assert_transposed(lambda x: f(x, n, norm=norm), VECTOR)
    if f not in OF_REALS:
        assert_transposed(lambda x: f(x, n, norm=norm), VECTOR + 1j * VECTOR[::-1])


@every_transform
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_a_length_left_out_is_that_of_the_array(f: Callable[..., Any], size: int) -> None:
    assert_transposed(f, VECTOR[:size])


@every_transform
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_an_axis_may_be_any(f: Callable[..., Any], axis: int) -> None:
    assert_transposed(lambda x: f(x, axis=axis), MATRIX)
    assert_transposed(lambda x: f(x, 5, axis), MATRIX)


@every_of_several_axes
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("s", "axes"),
    [
        (None, None),
        (None, (0,)),
        (None, (1, 0)),
        ((2, 5), (0, 1)),
        ((4, 2), (-1, -2)),
        ((-1, 3), (0, 1)),
        ((3, -1), (0, 1)),
        (None, (0, 0)),
        ((2, 5), (1, 1)),
    ],
)
def test_transforms_of_several_axes_are_those_of_numpy(
    f: Callable[..., Any], norm: Any, s: Any, axes: Any
) -> None:
    assert_same_bits(f(tg.Node(MATRIX), s, axes, norm).value, f(MATRIX, s, axes, norm))
    assert_transposed(lambda x: f(x, s=s, axes=axes, norm=norm), MATRIX)


@pytest.mark.parametrize("f", [np.fft.fftn, np.fft.ifftn], ids=describe)
def test_a_transform_of_no_axes_is_the_array(f: Callable[..., Any]) -> None:
    x = tg.Node(MATRIX)
    assert_same_bits(f(x, axes=()).value, f(MATRIX, axes=()))


@every_of_several_axes
def test_lengths_without_axes_belong_to_the_last(f: Callable[..., Any]) -> None:
    with pytest.warns(DeprecationWarning, match="`axes` should not be"):
        expected = f(MATRIX, (3,))
    assert_same_bits(f(tg.Node(MATRIX), (3,)).value, expected)


@every_of_several_axes
def test_lengths_and_axes_have_to_be_as_many(f: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="1 lengths in s for 2 axes"):
        f(tg.Node(MATRIX), (3,), (0, 1))


@every_transform
def test_float32_gives_complex64_and_gradients_in_float32(f: Callable[..., Any]) -> None:
    x = tg.Node(VECTOR.astype(np.float32))
    out = f(x)
    assert out.dtype in (np.float32, np.complex64)
    out.backward(np.ones(out.shape, out.dtype))
    assert x.grad.dtype == np.float32


def test_the_energy_of_a_signal_is_that_of_its_spectrum() -> None:
    """By Parseval's theorem the gradient of half the spectrum's energy is the signal."""
    for norm, scale in [("backward", 6), ("ortho", 1), ("forward", 1 / 6)]:
        x = tg.Node(VECTOR)
        (0.5 * np.sum(np.abs(np.fft.fft(x, norm=norm)) ** 2)).backward()
        np.testing.assert_allclose(x.grad, VECTOR * scale)


def test_convolution_by_spectra_has_the_gradients_of_convolution() -> None:
    a, v = VECTOR, MATRIX[0]
    size = a.size + v.size - 1

    def by_spectra(a: Any, v: Any) -> Any:
        return np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(v, size), size)

    g = GENERATOR.normal(size=size)
    for gradient, expected in zip(
        tg.vjp(by_spectra, a, v)[1](g), tg.vjp(np.convolve, a, v)[1](g), strict=True
    ):
        np.testing.assert_allclose(gradient, expected)


def test_a_picture_filtered_by_its_spectrum_has_second_derivatives() -> None:
    window = np.exp(-np.arange(12.0).reshape(4, 3))

    def energy(x: Any) -> Any:
        spectrum = np.fft.fftshift(np.fft.rfft2(x, norm="ortho"), axes=0)
        return np.sum(np.abs(spectrum * window[: spectrum.shape[0]]) ** 4)

    tg.gradcheck(energy, GENERATOR.normal(size=(4, 4)), order=2)


@pytest.mark.parametrize(
    "f", [*TRANSFORMS, *OF_SEVERAL_AXES, np.fft.fft2, np.fft.irfft2], ids=describe
)
def test_out_may_be_none_and_nothing_else(f: Callable[..., Any]) -> None:
    x = tg.Node(MATRIX)
    assert_same_bits(f(x, out=None).value, f(MATRIX))
    with pytest.raises(TypeError, match="with out="):
        f(x, out=np.empty_like(f(MATRIX)))


@pytest.mark.parametrize("f", OF_REALS, ids=describe)
def test_transforms_of_real_numbers_refuse_complex_ones(f: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="not supported"):
        f(tg.Node(VECTOR * 1j))


def test_a_length_that_is_a_node_is_refused() -> None:
    with pytest.raises(TypeError, match="fft: the parameter 'n' is a Node"):
        np.fft.fft(tg.Node(VECTOR), n=tg.Node(np.array(3), requires_grad=False))
