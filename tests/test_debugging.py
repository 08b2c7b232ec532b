"""Debugging: lines of nodes, and where the first NaN or infinity came up."""

import inspect

import numpy as np
import pytest

import tinygraph as tg


def line_below():
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno + 1}"


def test_nodes_remember_the_line_that_made_them_and_only_under_debug():
    x = tg.Node([1.0, 2.0])
    with tg.debug():
        expected = line_below()
        y = np.sum(np.tanh(x))
    assert y.line == expected
    assert y.inputs[0].line == expected
    assert np.sum(x).line is None
    assert x.line is None


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lambda x: np.log(x), "-inf"),
        (lambda x: np.reciprocal(x), "inf"),
        (lambda x: np.sqrt(x - 1), "nan"),
        (lambda x: tg.special.gammaln(x), "inf"),
    ],
    ids=["log", "reciprocal", "sqrt", "gammaln"],
)
def test_the_first_op_that_leaves_the_finite_numbers_is_named_with_its_line(make, number):
    pytest.importorskip("scipy")
    x = tg.Node([[2.0, 1.0], [3.0, 0.0]])
    with tg.debug(), np.errstate(all="ignore"), pytest.raises(FloatingPointError) as caught:
        make(x)
    text = str(caught.value)
    assert f"gave {number} at index (1, 1) of finite inputs of shape (2, 2)" in text
    assert f"in {__file__}:" in text


def test_numbers_that_come_in_are_not_the_fault_of_an_op():
    x = tg.Node([np.nan, np.inf, 1.0])
    with tg.debug():
        assert np.isnan((x * 2).value[0])


def test_a_rule_that_leaves_the_finite_numbers_is_named_with_the_line_of_its_op():
    x = tg.Node([4.0, 0.0])
    with tg.debug():
        expected = line_below()
        y = np.sum(np.sqrt(x))
        with np.errstate(divide="ignore"), pytest.raises(FloatingPointError) as caught:
            y.backward()
    assert "the derivative rule of sqrt gave inf at index (1,) of finite cotangents" in str(
        caught.value
    )
    assert expected in str(caught.value)
    assert x.grad is None


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_the_same_under_debug(create_graph):
    def gradient():
        x = tg.Node([0.5, -1.5])
        np.sum(np.sin(x) * np.linalg.norm(x)).backward(create_graph=create_graph)
        return getattr(x.grad, "value", x.grad)

    with tg.debug():
        looked_at = gradient()
    np.testing.assert_array_equal(looked_at, gradient())


def test_new_values_are_looked_at_by_forward_too():
    x = tg.Node([1.0, 2.0])
    y = np.log(x)
    x.value = [1.0, 0.0]
    with tg.debug(), np.errstate(divide="ignore"), pytest.raises(FloatingPointError, match="log"):
        y.forward()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.linalg.eigh(x)[0],
        lambda x: np.linalg.svd(x)[1],
        lambda x: np.split(x, 2)[0],
        lambda x: tg.checkpoint(lambda x: (x, np.exp(x)))(x)[1],
    ],
    ids=["eigh", "svd", "split", "checkpoint"],
)
def test_ops_with_several_results_are_looked_at_part_by_part(f, create_graph):
    x = tg.Node(np.array([[2.0, 1.0], [1.0, 5.0]]))
    with tg.debug():
        np.sum(f(x) ** 2).backward(create_graph=create_graph)
    looked_at, x.grad = getattr(x.grad, "value", x.grad), None
    np.sum(f(x) ** 2).backward()
    np.testing.assert_array_equal(looked_at, x.grad)


def test_results_without_axes():
    match = "log gave -inf of finite"
    with tg.debug(), np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=match):
        np.log(tg.Node(0.0))


def test_it_is_a_decorator_too():
    @tg.debug()
    def f(x):
        return np.exp(x)

    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="exp gave inf"):
        f(tg.Node(1e4))
    assert f(tg.Node(1.0)).line.startswith(__file__)
