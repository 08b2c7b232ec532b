"""Rules of numpy.fft.

A transform is linear: its gradient is its transpose, applied to the cotangent. That is the same
transform, or where one side is real its Hermitian counterpart, of the same normalisation.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from tinygraph.op import Op, composed, op
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]
Transform = Callable[..., Any]
Numbers = Sequence[int] | None
Norm = Literal["backward", "ortho", "forward"] | None


def transform(function: Transform, transposed: Transform) -> Op:
    """Make the op of a transform along one axis by its transpose."""

    def rule(
        g: Any, out: Any, a: Any, *, n: int | None = None, axis: int = -1, norm: Norm = None
    ) -> Rule:
        gradient = transposed(g, a.shape[axis] if n is None else n, axis, norm)
        return (cropped_or_padded(gradient, a.shape),)

    return op(function)(rule)


def cropped_or_padded(x: Any, shape: tuple[int, ...]) -> Any:
    """Give `x` in another shape, with its ends cut off or zeros after them."""
    if x.shape == shape:
        return x
    common = tuple(slice(min(sides)) for sides in zip(x.shape, shape, strict=True))
    return scatter(x[common], index=common, shape=shape)


def from_half(function: Transform) -> Transform:
    """Give a transform of half a spectrum to real numbers, which counts every bin once."""

    def weighted(g: Any, n: int, axis: int, norm: Norm) -> Any:
        return function(g / frequencies_in(g, n, axis), n, axis, norm)

    return weighted


def to_half(function: Transform) -> Transform:
    """Give a transform of real numbers to half a spectrum, times what each bin counts."""

    def weighted(g: Any, n: int, axis: int, norm: Norm) -> Any:
        half = function(g, None, axis, norm)
        return half * frequencies_in(half, g.shape[axis], axis)

    return weighted


def frequencies_in(half: Any, n: int, axis: int) -> Any:
    """Count the frequencies, of `n`, that each bin of half a spectrum stands for.

    That is two, one and its negative, but for frequency 0 and, where n is even, n / 2.
    """
    counts = np.full(n // 2 + 1, 2, np.finfo(half.dtype).dtype)
    counts[0] = 1
    if n % 2 == 0:
        counts[-1] = 1
    return counts.reshape([-1 if i == axis % half.ndim else 1 for i in range(half.ndim)])


fft = transform(np.fft.fft, np.fft.fft)
ifft = transform(np.fft.ifft, np.fft.ifft)
rfft = transform(np.fft.rfft, from_half(np.fft.hfft))
irfft = transform(np.fft.irfft, to_half(np.fft.ihfft))
hfft = transform(np.fft.hfft, to_half(np.fft.rfft))
ihfft = transform(np.fft.ihfft, from_half(np.fft.irfft))


@op(np.fft.fftshift)
def fftshift(g: Any, out: Any, x: Any, *, axes: Any = None) -> Rule:
    return (np.fft.ifftshift(g, axes),)


@op(np.fft.ifftshift)
def ifftshift(g: Any, out: Any, x: Any, *, axes: Any = None) -> Rule:
    return (np.fft.fftshift(g, axes),)


def lengths_and_axes(a: Any, s: Numbers, axes: Numbers) -> list[tuple[int, int]]:
    """Give for every axis to transform the length, which -1 leaves as it is."""
    if axes is None:
        axes = range(-a.ndim if s is None else -len(s), 0)
    if s is None:
        s = [-1] * len(axes)
    if len(s) != len(axes):
        raise ValueError(f"np.fft: got {len(s)} lengths in s for {len(axes)} axes, expected equal")
    return [(a.shape[axis] if n == -1 else n, axis) for n, axis in zip(s, axes, strict=True)]


def along_each(function: Transform, a: Any, steps: Iterable[tuple[int, int]], norm: Norm) -> Any:
    """Transform along one axis after the other."""
    for n, axis in steps:
        a = function(a, n, axis, norm)
    return a


@composed(np.fft.fftn)
def fftn(
    a: Any, s: Numbers = None, axes: Numbers = None, norm: Norm = None, out: Any = None
) -> Any:
    return along_each(np.fft.fft, a, reversed(lengths_and_axes(a, s, axes)), norm)


@composed(np.fft.ifftn)
def ifftn(
    a: Any, s: Numbers = None, axes: Numbers = None, norm: Norm = None, out: Any = None
) -> Any:
    return along_each(np.fft.ifft, a, reversed(lengths_and_axes(a, s, axes)), norm)


@composed(np.fft.rfftn)
def rfftn(
    a: Any, s: Numbers = None, axes: Numbers = None, norm: Norm = None, out: Any = None
) -> Any:
    *others, (n, axis) = lengths_and_axes(a, s, axes)
    return along_each(np.fft.fft, np.fft.rfft(a, n, axis, norm), reversed(others), norm)


@composed(np.fft.irfftn)
def irfftn(
    a: Any, s: Numbers = None, axes: Numbers = None, norm: Norm = None, out: Any = None
) -> Any:
    *others, (n, axis) = lengths_and_axes(a, s, axes)
    whole = along_each(np.fft.ifft, a, others, norm)
    return np.fft.irfft(whole, None if s is None else n, axis, norm)


def of_last_two(function: Transform) -> Transform:
    """Give a transform over axes with those of a picture as default."""

    def transform_of_picture(
        a: Any, s: Numbers = None, axes: Numbers = (-2, -1), norm: Norm = None, out: Any = None
    ) -> Any:
        return function(a, s, axes, norm)

    return transform_of_picture


composed(np.fft.fft2)(of_last_two(fftn))
composed(np.fft.ifft2)(of_last_two(ifftn))
composed(np.fft.rfft2)(of_last_two(rfftn))
composed(np.fft.irfft2)(of_last_two(irfftn))
