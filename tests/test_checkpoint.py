"""checkpoint: the same derivatives of any order, in less memory."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinygraph as tg

W = np.array([[0.5, -1.0], [2.0, 0.25]])
X = np.array([0.3, -0.6])


def layer(tree: dict[str, Any], scale: float = 1.0) -> dict[str, Any]:
    h = np.tanh(tree["w"] @ tree["x"]) * scale
    return {"w": tree["w"], "x": h, "size": np.sum(h**2), "kind": "tanh"}


def loss(step: Any, tree: dict[str, Any]) -> Any:
    first = step(tree, scale=2.0)
    second = step({"w": first["w"], "x": first["x"] + first["size"]})
    return np.sum(second["x"] ** 3) + second["size"]


@pytest.fixture
def tree() -> dict[str, Any]:
    return {"w": W, "x": X}


def test_values_and_gradients_are_those_without(tree):
    expected, gradient = tg.value_and_grad(lambda t: loss(layer, t))(tree)
    value, found = tg.value_and_grad(lambda t: loss(tg.checkpoint(layer), t))(tree)
    assert value == expected
    for key in tree:
        np.testing.assert_allclose(found[key], gradient[key], rtol=1e-14)


def test_derivatives_of_second_and_third_order_are_those_without():
    def f(step: Any) -> Any:
        return lambda x: loss(step, {"w": W, "x": x})

    for derivative in (tg.hessian, lambda f: tg.jacobian(tg.hessian(f))):
        found, expected = derivative(f(tg.checkpoint(layer)))(X), derivative(f(layer))(X)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_nodes_that_the_function_finds_elsewhere_get_their_gradients():
    w, x = tg.Node(W), tg.Node(X)
    np.sum(tg.checkpoint(lambda x: np.tanh(w @ x))(x)).backward()
    found = w.grad, x.grad
    w.grad = x.grad = None
    np.sum(np.tanh(w @ x)).backward()
    for gradient, y in zip(found, (w, x), strict=True):
        np.testing.assert_array_equal(gradient, y.grad)


def test_the_function_runs_once_forward_and_once_backward():
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.sin(x)

    x = tg.Node(X)
    y = np.sum(tg.checkpoint(f)(x))
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2


def test_forward_evaluates_it_again():
    x = tg.Node(X)
    y = np.sum(tg.checkpoint(np.sin)(x * 2))
    x.value = X + 1
    assert y.forward().item() == np.sum(np.sin((X + 1) * 2))
    y.backward()
    np.testing.assert_allclose(x.grad, 2 * np.cos((X + 1) * 2))


def test_without_nodes_or_gradients_it_is_the_function_itself(tree):
    step = tg.checkpoint(layer)
    assert step(tree)["x"].tolist() == layer(tree)["x"].tolist()
    with tg.no_grad():
        assert step({"w": tg.Node(W), "x": X})["x"].inputs == ()
    assert step.__name__ == "layer"


def test_an_exception_of_the_function_comes_through():
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tg.checkpoint(f)(tg.Node(X))


def peak(step: Any) -> int:
    x = tg.Node(np.linspace(-1, 1, 20_000))
    tracemalloc.start()
    y = x
    for _ in range(8):
        y = step(y)
    np.sum(y).backward()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_it_takes_less_memory():
    def deep(x: Any) -> Any:
        for _ in range(20):
            x = np.sin(x)
        return x

    assert peak(tg.checkpoint(deep)) < 0.35 * peak(deep)


def test_nothing_of_it_is_left():
    gc.collect()
    gc.disable()
    try:
        before = sum(type(x) is tg.Node for x in gc.get_objects())
        x = tg.Node(X)
        np.sum(tg.checkpoint(lambda x: np.sin(np.cos(x)))(x)).backward()
        del x
        assert sum(type(x) is tg.Node for x in gc.get_objects()) == before
    finally:
        gc.enable()
