"""Functions that reshape, broadcast and convert: forms of their arguments, what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_protocols import VALUES, check, compute, expressions
from tests.test_rules import assert_same_bits

FORMS = """
np.reshape(x, (3, 2), copy=True)   np.reshape(x, 6, copy=False)   x.reshape(3, 2, copy=True)
x.reshape(6, copy=None)   np.reshape(x, (3, -1), 'F', copy=True)   np.reshape(v, (3, 1), 'A')
np.reshape(s, (1,), order='A')   v.reshape(3, 1, order='A')   x.reshape([3, 2], order='F')
np.ravel(v, 'K')   np.ravel(v, order='A')   v.flatten('K')   np.ravel(s, 'A')   np.copy(x, 'F')
np.copy(x, order='C', subok=True)   x.copy('F')   np.astype(x, np.float64)
np.astype(x, 'complex128', copy=False)   np.full_like(x, s)   np.full_like(x, v)
np.full_like(t, x[0, 0], shape=(3, 2))   np.full_like(x, s, np.complex128)
np.full_like(x, s, None, 'C', True, 4)   np.broadcast_arrays(v, Y)[0]
np.broadcast_arrays(X, s)[1]   np.broadcast_arrays(x, 2.0)[0]
np.broadcast_arrays(s, [1, 2], subok=True)[0]   np.broadcast_to(s, ())
np.broadcast_to(v, [2, 3])   np.atleast_1d(s)   np.atleast_1d(x)   np.atleast_2d(s)
np.atleast_2d(v)   np.atleast_2d(t)   np.atleast_3d(s)   np.atleast_3d(v)   np.atleast_3d(x)
np.atleast_3d(t)   np.atleast_1d(1.0, s)[1]   np.atleast_2d([1, 2], v)[1]   np.atleast_3d(x, X)[0]
np.meshgrid(v, w)[0]   np.meshgrid(v, W)[0]   np.meshgrid(V, w, indexing='ij')[1]
np.meshgrid(v, [1, 2], 3.0, sparse=True)[0]   np.meshgrid(v, copy=False)[0]   np.meshgrid(x, w)[0]
np.rollaxis(t, 2)   np.rollaxis(t, 0, 3)   np.rollaxis(t, -1, start=1)   np.rollaxis(t, 1, 1)
np.permute_dims(t, (1, 2, 0))   np.matrix_transpose(t)   np.moveaxis(t, (0, 1), (-1, -2))
np.expand_dims(s, (0, 1))   np.squeeze(s[None, None], -1)
"""


@pytest.mark.parametrize("expression", expressions(FORMS))
def test_functions_take_the_arguments_of_numpy(expression: str) -> None:
    check(expression)


PLAIN = """
np.full_like(x, 3)   np.full_like(x, 2, dtype=int)   np.full_like(x, 1, shape=())
np.astype(x, int)   np.meshgrid(V, w)[0]   np.atleast_1d([1.0, 2.0], s)[0]
np.broadcast_arrays(X, s)[0]   np.diag_indices_from(z[:2])   np.tril_indices_from(x)
np.triu_indices_from(x, 1)   np.unravel_index(3, x.shape)
"""


@pytest.mark.parametrize("expression", expressions(PLAIN))
def test_what_no_gradient_flows_through_is_plain(expression: str) -> None:
    nodes = {name: tg.Node(value) for name, value in VALUES.items()}
    actual, expected = compute(expression, nodes), compute(expression, VALUES)
    assert type(actual) is type(expected)
    np.testing.assert_equal(actual, expected)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_mesh_has_the_types_of_numpy_and_plain_grids_can_be_written(
    copy: bool, sparse: bool
) -> None:
    x, y = VALUES["v"], VALUES["w"]
    actual = np.meshgrid(tg.Node(x), y, copy=copy, sparse=sparse)
    expected = np.meshgrid(x, y, copy=copy, sparse=sparse)
    assert type(actual) is type(expected)
    assert actual[1].flags.writeable or not copy
    assert [grid.shape for grid in actual] == [grid.shape for grid in expected]


@pytest.mark.parametrize("function", [np.atleast_1d, np.atleast_2d, np.atleast_3d])
def test_a_node_with_axes_enough_is_given_back(function: Callable[..., Any]) -> None:
    x = tg.Node(VALUES["t"])
    assert function(x) is x
    assert function(x, 1.0)[0] is x


@pytest.mark.parametrize("order", ["A", "K"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, order: np.ravel(x, order),
        lambda x, order: x.ravel(order),
        lambda x, order: x.flatten(order),
        lambda x, order: np.reshape(x, 6, order=order),
        lambda x, order: x.reshape(6, order=order),
    ],
)
def test_an_order_that_depends_on_memory_is_refused(function: Any, order: str) -> None:
    with pytest.raises(ValueError, match=f"order='{order}' of a Node depends .*order='C'"):
        function(tg.Node(VALUES["x"]), order)


REFUSED: list[Callable[[Any], Any]] = [
    lambda x: x.reshape(4),
    lambda x: np.reshape(x.T, 6, copy=False),
    lambda x: np.transpose(x, (0, 0)),
    lambda x: np.transpose(x, (0,)),
    lambda x: np.swapaxes(x, 0, 2),
    lambda x: np.moveaxis(x, 0, 2),
    lambda x: np.rollaxis(x, 2),
    lambda x: np.rollaxis(x, 0, 5),
    lambda x: np.squeeze(x, 0),
    lambda x: np.expand_dims(x, (0, 0)),
    lambda x: np.expand_dims(x, 4),
    lambda x: np.broadcast_to(x, (2, 4)),
    lambda x: np.broadcast_arrays(x, [1.0, 2.0]),
    lambda x: np.meshgrid(x, x, indexing="yx"),
    lambda x: np.matrix_transpose(x[0]),
    lambda x: x.mT[0].mT,
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_numpy_refuses_is_refused_alike(number: int) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        REFUSED[number](VALUES["x"])
    with pytest.raises(type(expected.value)):
        REFUSED[number](tg.Node(VALUES["x"]))


def test_the_shapes_are_noted_on_an_error_of_numpy() -> None:
    with pytest.raises(ValueError, match="cannot reshape") as error:
        tg.Node(VALUES["x"]).reshape(4)
    assert "in tinygraph's reshape of shapes (2, 3)" in error.value.__notes__


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "complex64"])
def test_a_filled_array_has_the_dtype_of_its_model(dtype: str) -> None:
    fill = tg.Node(2.5)
    filled = np.full_like(tg.Node(np.zeros(3, dtype)), fill)
    assert_same_bits(filled.value, np.full_like(np.zeros(3, dtype), 2.5))
    np.sum(np.real(filled)).backward()
    assert (fill.grad, fill.grad.dtype) == (3.0, np.float64)


def test_what_fills_an_array_is_told_how_to_be_a_node() -> None:
    with pytest.raises(TypeError, match=r"np.broadcast_to\(node, shape\) for np.full_like"):
        np.full_like(VALUES["x"], tg.Node(1.0))


def test_a_mesh_has_second_derivatives() -> None:
    def f(x: Any, y: Any) -> Any:
        along, across = np.meshgrid(x, y, sparse=True)
        return np.sum(np.square(along) * across)

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    np.testing.assert_allclose(tg.hessian(f)(x, y), 2 * np.eye(2) * y.sum())
