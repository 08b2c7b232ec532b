"""Samples of Fourier transforms."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import (
    Call,
    Shape,
    axes_of,
    draw_arrays,
    one_array,
    shapes_of,
    with_count,
)

NORMS = st.sampled_from([None, "backward", "ortho", "forward"])


@st.composite
def transforms(draw: st.DrawFn, min_count: int = 1) -> Call:
    """Draw an array to transform along an axis, at times with more or fewer elements."""
    shape = draw(shapes_of(min_dims=1))
    chosen = draw(
        st.fixed_dictionaries(
            {}, optional={"n": st.integers(1, 5), "axis": axes_of(len(shape)), "norm": NORMS}
        )
    )
    shape = with_count(shape, chosen.get("axis", -1), 1 if "n" in chosen else min_count)
    return Call(draw_arrays(draw, [shape]), chosen)


@st.composite
def transforms_of_several_axes(draw: st.DrawFn, pictures: bool = False, min_count: int = 1) -> Call:
    """Draw an array of two or more axes of `min_count`, and which of them to transform."""
    shape = draw(hypothesis_numpy.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3))
    shape = (*shape[:-1], max(shape[-1], min_count))
    chosen: dict[str, Any] = draw(st.fixed_dictionaries({}, optional={"norm": NORMS}))
    if draw(st.booleans()):
        axes = draw(hypothesis_numpy.valid_tuple_axes(len(shape), min_size=1))
        shape = with_count(shape, axes[-1], min_count)
        chosen["axes"] = axes
    count = len(chosen.get("axes", shape[-2:]))
    if ("axes" in chosen or pictures) and draw(st.booleans()):
        chosen["s"] = draw(
            st.tuples(*[st.sampled_from([1, 2, 3, 4, -1])] * (count - 1), st.integers(1, 4))
        )
    return Call(draw_arrays(draw, [shape]), chosen)


def shift_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    several = hypothesis_numpy.valid_tuple_axes(len(shape), min_size=1)
    return st.fixed_dictionaries({}, optional={"axes": st.none() | axes_of(len(shape)) | several})


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "fft": transforms(),
    "ifft": transforms(),
    "rfft": transforms(),
    "irfft": transforms(min_count=2),
    "hfft": transforms(min_count=2),
    "ihfft": transforms(),
    "fftshift": one_array(shift_params, min_dims=1),
    "ifftshift": one_array(shift_params, min_dims=1),
    "np.fft.fftn": transforms_of_several_axes(),
    "np.fft.ifftn": transforms_of_several_axes(),
    "np.fft.rfftn": transforms_of_several_axes(),
    "np.fft.irfftn": transforms_of_several_axes(min_count=2),
    "np.fft.fft2": transforms_of_several_axes(pictures=True),
    "np.fft.ifft2": transforms_of_several_axes(pictures=True),
    "np.fft.rfft2": transforms_of_several_axes(pictures=True),
    "np.fft.irfft2": transforms_of_several_axes(pictures=True, min_count=2),
}

REAL_ONLY = {"rfft", "ihfft", "np.fft.rfftn", "np.fft.rfft2"}
WIDENS_FLOAT16 = {"fft", "ifft", "rfft", "ihfft"}
