"""np.pad: every form of its arguments, Nodes as values, conventions, refusals."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_protocols import VALUES, check, expressions
from tests.test_rules import assert_same_bits

FORMS = """
np.pad(x, 1)   np.pad(x, (1, 2))   np.pad(x, ((1, 2),))   np.pad(x, ((1, 0), (0, 2)))
np.pad(x, [[1], [2]])   np.pad(x, 0)   np.pad(x, np.array([[1, 2], [3, 4]]))
np.pad(t, ((0, 0), (1, 1), (2, 0)), 'edge')   np.pad(array=x, pad_width=2, mode='constant')
np.pad(x, 1, constant_values=2.5)   np.pad(s, 3)   np.pad(x, 1, constant_values=(1, 2))
np.pad(x, 1, constant_values=((1, 2), (3, 4)))   np.pad(x, 1, constant_values=s)
np.pad(x, 2, constant_values=w)   np.pad(x, 1, constant_values=x[:, :2])
np.pad(x, 1, constant_values=(s, 0))   np.pad(x, 1, constant_values=[[s], [1.0]])
np.pad(v, 1, constant_values=s)
np.pad(x, ((1, 2), (0, 1)), constant_values=((s, w[0]), (2, w[1])))
np.pad(x[:0], 1, constant_values=s)   np.pad(x, 2, 'linear_ramp')
np.pad(x, 2, 'linear_ramp', end_values=s)   np.pad(x, (3, 1), 'linear_ramp', end_values=w)
np.pad(t, 1, 'linear_ramp', end_values=(s, 3.0))
np.pad(x, ((0, 2), (1, 0)), 'linear_ramp', end_values=Z[:2])   np.pad(x, 3, 'edge')
np.pad(x, 1, 'reflect')   np.pad(x, 5, 'reflect')   np.pad(x, 4, mode='symmetric')
np.pad(v, (4, 1), 'reflect', reflect_type='odd')   np.pad(x, 4, 'symmetric', reflect_type='odd')
np.pad(v[:1], 2, 'reflect')   np.pad(v[:1], 3, 'symmetric', reflect_type='odd')
np.pad(x[:1], 2, 'reflect', reflect_type='odd')   np.pad(x, 4, 'wrap')   np.pad(v, (7, 0), 'wrap')
np.pad(t, ((1, 1), (2, 2), (0, 5)), 'wrap')   np.pad(x, 2, 'mean')
np.pad(x, 2, 'mean', stat_length=2)   np.pad(t, 1, 'mean', stat_length=((1, 2), (3, 9), (2, 2)))
np.pad(x, 2, 'maximum')   np.pad(x, 2, 'minimum', stat_length=1)
np.pad(t, (1, 2), 'maximum', stat_length=(1, 2))   np.pad(x, 2, 'maximum', stat_length=None)
np.pad(x, 1, 'minimum', stat_length=((1, 2), (9, 2)))   np.pad(x, 1, 'median')
np.pad(x, 2, 'median', stat_length=(2, 1))
np.pad(x, {0: 1, -1: (0, 2)}) if np.lib.NumpyVersion(np.__version__) >= '2.3.0' else x * 1
"""


@pytest.mark.parametrize("expression", expressions(FORMS))
def test_pad_takes_the_arguments_of_numpy(expression: str) -> None:
    check(expression)


def test_widths_by_axis_are_taken_also_where_numpy_does_not_know_them() -> None:
    x = tg.Node(VALUES["x"])
    out = np.pad(x, {1: (0, 2), -2: 1}, "edge")
    assert_same_bits(out.value, np.pad(VALUES["x"], ((1, 1), (0, 2)), "edge"))


REFUSED: list[Callable[[Any], Any]] = [
    lambda x: np.pad(x, -1),
    lambda x: np.pad(x, 1.5),
    lambda x: np.pad(x, (1, 2, 3)),
    lambda x: np.pad(x, ((1, 2), (3, 4), (5, 6))),
    lambda x: np.pad(x, 1, "other"),
    lambda x: np.pad(x, 1, "edge", constant_values=1),
    lambda x: np.pad(x, 1, "constant", stat_length=1),
    lambda x: np.pad(x, 1, "maximum", reflect_type="odd"),
    lambda x: np.pad(x, 1, "mean", other=1),
    lambda x: np.pad(x[:0], 1, "edge"),
    lambda x: np.pad(x[:0], 1, "maximum"),
    lambda x: np.pad(x, 1, "minimum", stat_length=0),
    lambda x: np.pad(x, 1, "mean", stat_length=-1),
    lambda x: np.pad(x, 1, constant_values=(1, 2, 3)),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_numpy_refuses_is_refused_alike(number: int) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        REFUSED[number](VALUES["x"])
    with pytest.raises(type(expected.value)):
        REFUSED[number](tg.Node(VALUES["x"]))


@pytest.mark.parametrize("mode", ["empty", lambda vector, width, axis, kwargs: None])
def test_modes_that_leave_elements_to_be_written_are_refused(mode: Any) -> None:
    with pytest.raises(TypeError, match=r"pad of a Node with mode=.*mode='constant'"):
        np.pad(tg.Node(VALUES["x"]), 1, mode)


@pytest.mark.parametrize("mode", ["maximum", "minimum"])
def test_elements_that_tie_share_the_gradient_of_padding(mode: str) -> None:
    x = tg.Node([1.0, 1.0])
    np.pad(x, (0, 3), mode).backward(np.array([0.0, 0.0, 1.0, 1.0, 1.0]))
    assert x.grad.tolist() == [1.5, 1.5]


@pytest.mark.parametrize("mode", ["constant", "linear_ramp"])
def test_values_keep_their_dtype_and_the_result_that_of_the_array(mode: str) -> None:
    x, value = tg.Node(np.ones(2, np.float32)), tg.Node(0.5)
    name = {"constant": "constant_values", "linear_ramp": "end_values"}[mode]
    out = np.pad(x, 2, mode, **{name: value})
    assert_same_bits(out.value, np.pad(x.value, 2, mode, **{name: 0.5}))
    np.sum(out).backward()
    assert (x.grad.dtype, value.grad.dtype) == (np.float32, np.float64)


def test_a_later_change_of_widths_does_not_reach_the_graph() -> None:
    widths = np.array([1, 2])
    x = tg.Node([1.0, 2.0])
    out = np.pad(x, widths, "edge")
    widths[:] = 0
    out.backward(np.arange(5.0))
    assert x.grad.tolist() == [1.0, 9.0]


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("edge", {}),
        ("wrap", {}),
        ("reflect", {"reflect_type": "odd"}),
        ("linear_ramp", {}),
        ("mean", {}),
    ],
)
def test_the_way_back_through_long_vectors_takes_no_square_matrix(mode: str, options: Any) -> None:
    x = tg.Node(np.ones(100_000))
    out = np.pad(x, 3, mode, **options)
    out.backward(np.ones(out.shape))
    gained = np.sum(x.grad) - x.size
    added = np.pad(np.ones(100), 3, mode, **options)
    np.testing.assert_allclose(gained, np.sum(added) - 100)
