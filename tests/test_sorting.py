"""Functions that sort: what ties and NaN do, and values to the bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_reduction import X, gradient_of

TIED = np.array([2.0, 1.0, 2.0, 1.0])
WEIGHTS = np.array([1.0, 10.0, 100.0, 1000.0])


def weighted(f: Callable[..., Any], **params: Any) -> Callable[[Any], Any]:
    return lambda x: f(x, **params) * WEIGHTS


@pytest.mark.parametrize("kind", [None, "quicksort", "heapsort", "stable"])
def test_elements_that_tie_keep_their_order(kind: Any) -> None:
    expected = [100, 1, 1000, 10]
    assert gradient_of(weighted(np.sort, kind=kind), TIED).tolist() == expected
    assert gradient_of(weighted(np.sort, axis=None), TIED).tolist() == expected


def test_a_partition_gives_every_gradient_to_an_element_of_that_value() -> None:
    x = np.random.default_rng(0).integers(0, 5, (3, 40)).astype(float)
    node = tg.Node(x)
    out = np.partition(node, [7, 20], axis=1)
    assert out.value.tobytes() == np.partition(x, [7, 20], axis=1).tobytes()
    out.backward(np.arange(120.0).reshape(3, 40))
    assert sorted(node.grad.ravel().tolist()) == list(range(120))
    places = node.grad.astype(int) % 40
    np.testing.assert_array_equal(np.take_along_axis(out.value, places, 1), x)


def test_nans_sort_to_the_end_and_keep_their_gradient() -> None:
    x = np.array([np.nan, 1.0, np.nan, -1.0])
    assert gradient_of(weighted(np.sort), x).tolist() == [100, 10, 1000, 1]
    gradient = gradient_of(weighted(np.partition, kth=1), x)
    assert sorted(gradient.tolist()) == WEIGHTS.tolist()
    assert gradient[[3, 1]].tolist() == [1, 10]


def test_zeros_of_both_signs_tie_and_keep_their_bits() -> None:
    x = np.array([0.0, -0.0, 0.0, -1.0])
    assert np.sort(tg.Node(x), stable=True).value.tobytes() == np.sort(x, stable=True).tobytes()
    assert gradient_of(weighted(np.sort), x).tolist() == [10, 100, 1000, 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_long_rows_have_the_values_of_numpy(dtype: Any, axis: Any) -> None:
    x = np.random.default_rng(0).normal(size=(40, 300)).astype(dtype)
    node = tg.Node(x)
    out = np.sort(node, axis=axis)
    assert out.value.tobytes() == np.sort(x, axis=axis).tobytes()
    out.backward(out.value)
    np.testing.assert_array_equal(node.grad, x)


def test_the_gradient_of_a_sorted_array_is_linear_in_the_cotangent() -> None:
    def pulled(g: Any) -> Any:
        return tg.vjp(lambda x: np.sort(x, axis=0), X)[1](g)[0]

    assert not tg.hessian(lambda x: np.sum(np.sort(x, axis=0) * X))(X).any()
    np.testing.assert_array_equal(tg.vjp(pulled, X)[1](X)[0], np.sort(X, axis=0))


def test_complex_sorting_makes_real_numbers_complex() -> None:
    x = tg.Node(np.float32([3, 1, 2]))
    out = np.sort_complex(x)
    assert out.dtype == np.sort_complex(x.value).dtype
    np.real(np.sum(out * [1, 10, 100])).backward()
    assert x.grad.tolist() == [100, 1, 10]
    assert x.grad.dtype == np.float32
