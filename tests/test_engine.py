"""The walk: every gradient is right, owned by its leaf, and nothing is left when a graph goes."""

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tinygraph import engine

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


# Adding up


def test_a_node_used_twice_gets_the_sum():
    x = tg.Node([1.0, 2.0])
    y = np.tanh(x)
    np.sum(y * y + y * x + x).backward()
    t = np.tanh(x.value)
    assert x.grad == pytest.approx((2 * t + x.value) * (1 - t * t) + t + 1)


def test_a_diamond_of_diamonds_counts_every_path():
    x = tg.Node(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_repeated_backward_accumulates_in_leaves_and_nowhere_else():
    x = tg.Node([1.0, 2.0])
    y = x * x
    total = np.sum(y)
    for times in (1, 2, 3):
        total.backward()
        assert x.grad.tolist() == [2.0 * times, 4.0 * times]
    assert y.grad is None
    assert total.grad is None


def test_a_leaf_that_needs_no_gradient_gets_none():
    x, data = tg.Node(2.0), tg.Node(3.0, requires_grad=False)
    (x * data).backward()
    assert x.grad == 3.0
    assert data.grad is None


def test_backward_from_a_leaf_gives_it_the_cotangent():
    x = tg.Node([1.0, 2.0])
    x.backward([3.0, 4.0])
    assert x.grad.tolist() == [3.0, 4.0]


def test_two_outputs_add_to_one_leaf():
    x = tg.Node([1.0, 2.0])
    shared = np.exp(x)
    np.sum(shared).backward()
    np.prod(shared).backward()
    assert x.grad == pytest.approx(np.exp([1.0, 2.0]) + np.exp(3.0))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (0, 2)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_a_gradient_has_its_leafs_shape_and_dtype_always(shape, dtype):
    x = tg.Node(np.ones(shape, dtype))
    y = np.sum(np.real(x * np.float64(2) * np.ones((4, *shape)) + x))
    for _ in range(3):
        y.backward()
        assert type(x.grad) is np.ndarray
        assert x.grad.shape == shape
        assert x.grad.dtype == dtype
    assert np.all(x.grad == 36)


# Ownership


def _gradients_of_sum(cotangent: np.ndarray) -> list[np.ndarray]:
    x, y, z = (tg.Node(np.ones(3)) for _ in range(3))
    (x + y + z).backward(cotangent)
    return [x.grad, y.grad, z.grad]


def _gradients_of_views(cotangent: np.ndarray) -> list[np.ndarray]:
    x, y = tg.Node(np.ones((3, 1))), tg.Node(np.ones((1, 3)))
    (x.reshape(3) + y.T.ravel() + np.broadcast_to(1.0, 3)).backward(cotangent)
    return [x.grad, y.grad]


def _gradients_of_pieces(cotangent: np.ndarray) -> list[np.ndarray]:
    x, y = tg.Node(np.ones(1)), tg.Node(np.ones(2))
    np.concatenate([x, y]).backward(cotangent)
    return [x.grad, y.grad]


def _gradients_of_a_leaf_and_what_is_made_of_it(cotangent: np.ndarray) -> list[np.ndarray]:
    x, y = tg.Node(np.ones(3)), tg.Node(np.ones(3))
    x.backward(cotangent)
    (x.copy() + y).backward(cotangent)
    return [x.grad, y.grad]


@pytest.mark.parametrize(
    "make",
    [
        _gradients_of_sum,
        _gradients_of_views,
        _gradients_of_pieces,
        _gradients_of_a_leaf_and_what_is_made_of_it,
    ],
)
def test_gradients_are_writable_and_share_memory_with_nothing(make):
    cotangent = np.array([1.0, 2.0, 3.0])
    gradients = make(cotangent)
    for position, gradient in enumerate(gradients):
        assert gradient.flags.writeable
        assert not np.shares_memory(gradient, cotangent)
        for other in gradients[position + 1 :]:
            assert not np.shares_memory(gradient, other)
    for gradient in gradients:
        gradient[...] = -1
    assert cotangent.tolist() == [1.0, 2.0, 3.0]


def test_a_gradient_handed_out_is_not_changed_by_the_next_backward():
    x = tg.Node([1.0, 2.0])
    y = np.sum(x * x)
    y.backward()
    first = x.grad
    y.backward()
    assert first.tolist() == [2.0, 4.0]


def test_a_gradient_does_not_share_memory_with_a_value_or_a_constant():
    x, constant = tg.Node(np.ones(4096)), np.full(4096, 2.0)
    constant.flags.writeable = False
    y = x * constant
    np.sum(y).backward()
    x.grad += 1
    assert set(constant.tolist()) == {2.0}
    assert set(y.forward().value.tolist()) == {2.0}


def test_a_rule_that_gives_read_only_arrays_leaves_writable_gradients():
    def rule(g: Any, out: Any, x: Any) -> tuple[Any]:
        gradient = np.array(g)
        gradient.flags.writeable = False
        return (gradient,)

    x = tg.Node(np.ones(3))
    np.sum(tg.op(lambda x: x + 0)(rule)(x)).backward()
    x.grad += 1
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_rule_that_gives_the_same_array_again_does_not_tie_gradients_together():
    kept = np.ones(3)
    keep = tg.op(lambda x: x + 0, name="keep")(lambda g, out, x: (kept,))
    x, y = tg.Node(np.ones(3)), tg.Node(np.ones(3))
    np.sum(keep(x) + keep(y)).backward()
    x.grad += 1
    assert y.grad.tolist() == kept.tolist() == [1.0, 1.0, 1.0]


def test_the_gradient_is_set_to_none_by_the_user_to_start_anew():
    x = tg.Node(3.0)
    (x * x).backward()
    x.grad = None
    (x * x).backward()
    assert x.grad == 6.0


# Cotangents


def test_a_cotangent_weighs_the_outputs():
    x = tg.Node([1.0, 2.0, 3.0])
    (x * x).backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [2.0, 40.0, 600.0]


def test_a_cotangent_is_cast_to_the_outputs_dtype():
    x = tg.Node(np.ones(2, np.float32))
    (x * 2).backward(np.array([1, 2]))
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [2.0, 4.0]


def test_one_element_of_any_shape_needs_no_cotangent():
    x = tg.Node([[3.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[6.0]]


@pytest.mark.parametrize("requires_grad", [True, False])
def test_without_create_graph_gradients_are_arrays_whatever_the_cotangent(requires_grad):
    x = tg.Node([1.0, 2.0])
    (x * x).backward(tg.Node([1.0, 1.0], requires_grad=requires_grad))
    assert type(x.grad) is np.ndarray
    assert x.grad.tolist() == [2.0, 4.0]


# Broadcasting

SHAPES = [(), (1,), (3,), (1, 1), (1, 3), (2, 1), (2, 3), (4, 1, 1), (4, 2, 3), (1, 2, 1), (0, 1)]


def fit_together(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("x_shape", "y_shape"), [(x, y) for x in SHAPES for y in SHAPES if fit_together(x, y)]
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_are_summed_over_broadcast_axes(x_shape, y_shape, create_graph):
    shape = np.broadcast_shapes(x_shape, y_shape)
    generator = np.random.default_rng(0)
    x, y, weights = (generator.normal(size=s) for s in (x_shape, y_shape, shape))
    x_node, y_node = tg.Node(x), tg.Node(y)
    np.sum(x_node * y_node * weights).backward(create_graph=create_graph)
    for node, other in ((x_node, y), (y_node, x)):
        gradient = node.grad.value if create_graph else node.grad
        added = len(shape) - node.ndim
        padded = (1,) * added + node.shape
        full = np.broadcast_to(other, shape) * weights
        axes = tuple(a for a, size in enumerate(padded) if size == 1)
        expected = np.sum(full, axis=axes, keepdims=True).reshape(node.shape)
        assert gradient.shape == node.shape
        assert gradient == pytest.approx(expected)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_real_leaf_gets_the_real_part_of_a_complex_gradient(create_graph):
    x = tg.Node(np.ones(2, np.float32))
    np.sum(np.real(x * np.array([2 + 3j, 4 - 5j]))).backward(create_graph=create_graph)
    assert x.grad.dtype == np.float32
    assert np.array_equal(x.grad.value if create_graph else x.grad, [2.0, 4.0])


# Derivatives of derivatives


@pytest.mark.parametrize("make", [np.sum, lambda x: x[0] + x[1], lambda x: np.dot(x, [1.0, 1.0])])
def test_with_create_graph_gradients_are_nodes_even_where_they_are_constant(make):
    x = tg.Node([1.0, 2.0])
    make(x).backward(create_graph=True)
    assert isinstance(x.grad, tg.Node)
    assert x.grad.value.tolist() == [1.0, 1.0]
    np.sum(x * x).backward(create_graph=True)
    assert x.grad.value.tolist() == [3.0, 5.0]


def test_third_derivatives_through_backward():
    x = tg.Node(2.0)
    y = x**4 + np.sin(x)
    for expected in (32 + np.cos(2.0), 48 - np.sin(2.0), 48 - np.cos(2.0)):
        x.grad = None
        y.backward(create_graph=True)
        y = x.grad
        assert y.item() == pytest.approx(expected, rel=1e-14)


def test_a_gradient_takes_part_in_a_loss():
    x = tg.Node([1.0, 2.0])
    np.sum(x**3).backward(create_graph=True)
    penalty = np.sum(x.grad * x.grad)
    x.grad = None
    penalty.backward()
    assert x.grad.tolist() == [36.0, 288.0]


def test_create_graph_adds_to_gradients_that_are_there():
    x = tg.Node(3.0)
    (x * x).backward()
    (x * x).backward(create_graph=True)
    assert isinstance(x.grad, tg.Node)
    assert x.grad.item() == 12.0
    (x * x).backward()
    assert float(x.grad.item()) == 18.0


def test_a_rule_that_leaves_the_graph_says_so_when_it_is_differentiated():
    leaving = tg.op(lambda x: x**2, name="leaving")(lambda g, out, x: (g * 2 * np.asarray(x),))
    x = tg.Node(3.0)
    leaving(x).backward()
    assert x.grad == 6.0
    with pytest.raises(TypeError, match=r"np\.asarray\(node\) would cut"):
        leaving(x).backward(create_graph=True)


# Forward


def test_forward_evaluates_the_graph_on_the_leaves_new_values():
    x, w = tg.Node([1.0, 2.0]), tg.Node([[1.0, 0.0], [1.0, 1.0]])
    y = np.sum(np.tanh(w @ x) ** 2)
    x.value, w.value = [0.5, -1.0], [[2.0, 1.0], [0.0, 3.0]]
    assert y.forward() is y
    assert y.item() == np.sum(np.tanh(w.value @ x.value) ** 2)
    y.backward()
    fresh_x, fresh_w = tg.Node(x.value), tg.Node(w.value)
    np.sum(np.tanh(fresh_w @ fresh_x) ** 2).backward()
    assert x.grad.tolist() == fresh_x.grad.tolist()
    assert w.grad.tolist() == fresh_w.grad.tolist()


def test_forward_keeps_the_identity_of_nodes_and_their_parameters():
    x = tg.Node(np.ones((2, 3)))
    inner = np.sum(x, axis=1, keepdims=True)
    y = inner[0]
    x.value = np.full((2, 3), 5.0)
    y.forward()
    assert y.inputs == (inner,)
    assert inner.value.tolist() == [[15.0], [15.0]]


def test_forward_of_a_leaf_changes_nothing():
    x = tg.Node(1.0)
    assert x.forward() is x
    assert x.item() == 1.0


READING = {
    "comparison": lambda x: np.where(x > 1.5, x**2, x),
    "branch": lambda x: x**2 if x[0] > 1.5 else x,
    "ufunc": lambda x: np.where(np.less(x, 1.5), x**2, x),
    "argmax": lambda x: x[np.argmax(x)],
    "argsort": lambda x: x[x.argsort()],
    "isfinite": lambda x: x * np.isfinite(x),
    "index": lambda x: x[tg.Node([1, 0], requires_grad=False)] * (x > 0),
    "a node made before": lambda x: (x * 2) * (x > 1.5),
    "a node beside": lambda x: np.where(x * 2 > 3, x, 0),
}


@pytest.mark.parametrize("f", READING.values(), ids=READING)
def test_forward_refuses_what_was_made_of_values_that_were_read(f: Callable[..., Any]) -> None:
    x = tg.Node([1.0, 2.0])
    y = np.sum(f(x))
    before = y.item()
    assert y.forward().item() == before
    x.value = [2.0, 1.0]
    with pytest.raises(ValueError, match=r"forward: a leaf of shape \(2,\) has another value, but"):
        y.forward()
    assert y.item() == before
    assert np.sum(f(x)).item() == np.sum(f(tg.Node([2.0, 1.0]))).item()


def test_forward_evaluates_again_what_was_made_before_values_were_read():
    x = tg.Node([1.0, 2.0])
    y = np.sum(x * x)
    for new, expected in [([2.0, 1.0], 5.0), ([3.0, 1.0], 10.0)]:
        assert not y > 100
        assert not np.any(x < 0)
        x.value = new
        assert y.forward().item() == expected


def test_forward_does_not_mind_shapes_and_values_read_on_purpose():
    x = tg.Node([1.0, 2.0])
    y = np.sum(x * np.size(x) + np.zeros_like(x) + x.value.max())
    x.value = [2.0, 1.0]
    assert y.forward().item() == 2 * 3.0 + 2 * 2.0


def test_forward_through_one_head_makes_the_other_refuse():
    x = tg.Node([1.0, 2.0])
    shared = x * x
    first, second = np.sum(shared), np.prod(shared)
    x.value = [3.0, 4.0]
    first.forward()
    with pytest.raises(ValueError, match=r"multiply of shape .* changed after 'prod'"):
        second.backward()
    assert x.grad is None
    first.backward()
    assert x.grad.tolist() == [6.0, 8.0]
    second.forward().backward()
    assert x.grad.tolist() == [6.0 + 96.0, 8.0 + 72.0]


def test_a_stale_head_that_keeps_its_own_values_still_goes_back():
    x, y = tg.Node(2.0), tg.Node(3.0)
    first, second = x * x, y * y
    y.value = 5.0
    first.backward()
    assert x.grad == 4.0
    with pytest.raises(ValueError, match="changed"):
        second.backward()


def test_a_forward_that_fails_leaves_a_graph_that_refuses():
    limited = tg.op(lambda x: x if x < 5 else np.full(3, "x"), name="limited")(
        lambda g, out, x: (g,)
    )
    x = tg.Node(2.0)
    y = limited(x * x) * 3
    x.value = 4.0
    with pytest.raises(TypeError, match="the forward function of limited gave"):
        y.forward()
    with pytest.raises(ValueError, match="changed after 'limited'"):
        y.backward()
    x.value = 1.0
    y.forward().backward()
    assert x.grad == 6.0


# Random graphs

Program = list[tuple[str, int, int]]

STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: np.sin(x * y),
    "divide": lambda x, y: x / (y * y + 2),
    "tanh": lambda x, y: np.tanh(x),
    "exp": lambda x, y: np.exp(np.sin(x) - y * y),
    "power": lambda x, y: np.cos(x) ** 3,
    "mean": lambda x, y: np.mean(x, axis=0) + y if np.ndim(x) else x,
    "sum": lambda x, y: np.sin(np.sum(x, keepdims=True)),
    "column": lambda x, y: np.reshape(x, (-1, 1))[:2],
    "flip": lambda x, y: x[::-1] if np.ndim(x) else -x,
}
LEAF_SHAPES = [(3,), (2, 3), (), (2, 1)]


def run(program: Program, *leaves: Any) -> Any:
    """Run the program on arrays or Nodes alike, and give one number that depends on every step."""
    values = list(leaves)
    for name, i, j in program:
        x, y = values[i % len(values)], values[j % len(values)]
        if not fit_together(np.shape(x), np.shape(y)):
            y = np.sum(y)
        values.append(STEPS[name](x, y))
    return sum(np.sum(np.cos(value)) for value in values)


programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 20), st.integers(0, 20)),
    min_size=1,
    max_size=15,
)
seeds = st.integers(0, 2**32 - 1)


def draw_leaves(seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.uniform(-1, 1, shape)) for shape in LEAF_SHAPES]


def complex_step(f: Callable[..., Any], leaves: list[np.ndarray], position: int) -> np.ndarray:
    """Differentiate by an imaginary step, which has no rounding error to speak of."""
    gradient = np.zeros(leaves[position].shape)
    for index in np.ndindex(gradient.shape):
        moved = leaves[position].astype(complex)
        moved[index] += 1e-30j
        gradient[index] = np.imag(f(*leaves[:position], moved, *leaves[position + 1 :])) / 1e-30
    return gradient


@given(programs, seeds)
def test_gradients_of_random_graphs_agree_with_differences(program, seed):
    leaves = draw_leaves(seed)
    nodes = [tg.Node(leaf) for leaf in leaves]
    out = run(program, *nodes)
    assert out.item() == run(program, *leaves)
    out.backward()
    for position, node in enumerate(nodes):
        expected = complex_step(lambda *x: run(program, *x), leaves, position)
        np.testing.assert_allclose(node.grad, expected, rtol=1e-9, atol=1e-9)


@given(programs, seeds)
def test_backward_with_and_without_a_graph_agree_to_the_bit(program, seed):
    first, second = ([tg.Node(leaf) for leaf in draw_leaves(seed)] for _ in range(2))
    run(program, *first).backward()
    run(program, *second).backward(create_graph=True)
    for x, y in zip(first, second, strict=True):
        assert isinstance(y.grad, tg.Node)
        np.testing.assert_array_equal(x.grad, y.grad.value)


@given(programs, seeds)
def test_second_derivatives_of_random_graphs_agree_with_differences(program, seed):
    leaves = draw_leaves(seed)
    directions = draw_leaves(seed + 1)
    every = tuple(range(len(leaves)))
    gradient = tg.grad(lambda *x: run(program, *x), every)

    def slope(*x: Any) -> Any:
        return sum(np.sum(g * d) for g, d in zip(gradient(*x), directions, strict=True))

    product = tg.grad(slope, every)(*leaves)
    step = 1e-5
    above, below = (
        gradient(*(x + sign * step * d for x, d in zip(leaves, directions, strict=True)))
        for sign in (1, -1)
    )
    for got, high, low in zip(product, above, below, strict=True):
        difference = (high - low) / (2 * step)
        scale = 1 + max(np.max(np.abs(g)) for g in (*above, difference))
        np.testing.assert_allclose(got, difference, rtol=1e-5, atol=1e-6 * scale)


@given(programs, seeds, seeds)
def test_forward_on_new_values_equals_a_graph_made_anew(program, seed, other_seed):
    nodes = [tg.Node(leaf) for leaf in draw_leaves(seed)]
    out = run(program, *nodes)
    fresh = [tg.Node(leaf) for leaf in draw_leaves(other_seed)]
    for node, other in zip(nodes, fresh, strict=True):
        node.value = other.value
    expected = run(program, *fresh)
    assert out.forward().item() == expected.item()
    out.backward()
    expected.backward()
    for node, other in zip(nodes, fresh, strict=True):
        np.testing.assert_array_equal(node.grad, other.grad)


@given(programs, seeds)
def test_inputs_come_before_what_is_made_of_them_and_every_node_once(program, seed):
    out = run(program, *(tg.Node(leaf) for leaf in draw_leaves(seed)))
    order = engine.topological_order([out])
    place = {node: number for number, node in enumerate(order)}
    assert len(place) == len(order)
    for node in order:
        assert all(place[x] < place[node] for x in node.inputs if isinstance(x, tg.Node))


# What is not needed is not computed


def test_thunks_of_inputs_that_need_no_gradient_are_not_called():
    calls = []

    def product(g: Any, out: Any, x: Any, y: Any, z: Any) -> tuple[Any, ...]:
        def times(name: str, factor: Any) -> Any:
            calls.append(name)
            return g * factor

        return lambda: times("x", y * z), lambda: times("y", x * z), lambda: times("z", x * y)

    multiply = tg.op(lambda x, y, z: x * y * z, name="product")(product)
    x, data = tg.Node(2.0), tg.Node(3.0, requires_grad=False)
    multiply(x, data * 2, 5.0).backward()
    assert calls == ["x"]
    assert x.grad == 30.0
    calls.clear()
    assert tg.grad(multiply, argnums=1)(2.0, 3.0, tg.Node(4.0, requires_grad=False)) == 8.0
    assert calls == ["y"]
    calls.clear()
    _, pullback = tg.vjp(lambda y: np.sum(multiply(np.ones(2), y, x.detach())), np.ones(2))
    assert calls == []
    pullback(1.0)
    assert calls == ["y"]
    calls.clear()
    outer = tg.Node(4.0)
    assert tg.grad(lambda y: multiply(2.0, y, outer))(3.0).item() == 8.0
    assert calls == ["y"]


def test_rules_of_nodes_that_lead_nowhere_are_not_called():
    calls = []
    watched = tg.op(lambda x: x + 0, name="watched")(lambda g, out, x: (calls.append("rule"),))
    data = tg.Node(np.ones(2), requires_grad=False)
    x = tg.Node(np.ones(2))
    np.sum(watched(data) * x).backward()
    assert calls == []


# Rules that are wrong


def _apply(rule: Callable[..., Any]) -> tg.Node:
    x = tg.Node([1.0, 2.0])
    np.sum(tg.op(lambda x: x * 2, name="twice")(rule)(x)).backward()
    return x


WRONG_RULES = {
    "too few": (lambda g, out, x: (), TypeError, ["0 gradients", "tuple of 1"]),
    "too many": (lambda g, out, x: (g, g), TypeError, ["2 gradients", "tuple of 1"]),
    "no tuple": (lambda g, out, x: g * 2, TypeError, ["ndarray", "(gradient,)"]),
    "a list": (lambda g, out, x: [g * 2], TypeError, ["list", "(gradient,)"]),
    "nothing": (lambda g, out, x: None, TypeError, ["NoneType", "(gradient,)"]),
    "another shape": (
        lambda g, out, x: (np.ones(3),),
        ValueError,
        ["shape (3,)", "shape (2,)"],
    ),
    "fewer axes": (lambda g, out, x: (1.0,), ValueError, ["shape ()", "shape (2,)"]),
    "a longer axis": (lambda g, out, x: (np.ones((2, 1)),), ValueError, ["(2, 1)", "(2,)"]),
    "text": (lambda g, out, x: ("abc",), TypeError, ["str"]),
    "an object": (lambda g, out, x: ({},), TypeError, ["dict"]),
    "objects": (lambda g, out, x: (np.array([{}, {}]),), TypeError, ["numbers"]),
    "a tuple from a thunk": (lambda g, out, x: (lambda: (g, {}),), TypeError, ["tuple"]),
}


@pytest.mark.parametrize("what", WRONG_RULES)
def test_a_rule_that_gives_something_else_is_refused_by_its_name(what):
    rule, kind, words = WRONG_RULES[what]
    with pytest.raises(kind) as error:
        _apply(rule)
    for word in ("'twice'", *words):
        assert word in str(error.value)


def test_gradients_never_take_an_integer_dtype():
    rounded = tg.op(lambda x: np.rint(x).astype(int), name="rounded")(lambda g, out, x: (g,))
    for integers in (rounded, lambda x: np.sum(x, dtype=int)):
        x = tg.Node([1.2, 2.2])
        with pytest.raises(ValueError, match="depends on no leaf that requires gradients"):
            np.sum(integers(x) * 0.5).backward()
        assert x.grad is None


# Memory


def live_nodes() -> int:
    return sum(type(thing) is tg.Node for thing in gc.get_objects())


@contextmanager
def without_collector() -> Iterator[None]:
    """Leave cycles where they are, and fail if any Node made inside is left at the end."""
    gc.collect()
    gc.disable()
    try:
        before = live_nodes()
        yield
        assert live_nodes() == before
    finally:
        gc.enable()


def loss_of(x: Any, w: Any) -> Any:
    return np.sum(np.tanh(x @ w + np.ones(2))[1:] ** 2) + np.max(np.where(x > 0, x, 0.0))


def failing(g: Any, out: Any, x: Any) -> Any:
    raise ArithmeticError("on purpose")


def test_dropped_products_leave_nothing():
    with without_collector():
        for _ in range(1000):
            _ = tg.Node(np.ones((2, 2))) @ tg.Node(np.ones((2, 2)))
        del _


def test_a_graph_leaves_nothing_after_backward():
    with without_collector():
        x, w = tg.Node(np.ones((3, 4))), tg.Node(np.ones((4, 2)))
        for _ in range(3):
            loss_of(x, w).backward()
        del x, w


def test_a_graph_leaves_nothing_after_backward_with_create_graph():
    with without_collector():
        x, w = tg.Node(np.ones((3, 4))), tg.Node(np.ones((4, 2)))
        loss_of(x, w).backward(create_graph=True)
        np.sum(x.grad * x.grad).backward()
        x.grad = w.grad = None
        del x, w


def test_transforms_leave_nothing():
    x, w = np.ones((3, 4)), np.ones((4, 2))
    with without_collector():
        tg.grad(loss_of)(x, w)
        tg.value_and_grad(lambda tree: loss_of(tree["x"], tree["w"]))({"x": x, "w": w})
        _, pullback = tg.vjp(loss_of, x, w)
        pullback(1.0)
        tg.grad(lambda x: np.sum(tg.grad(loss_of)(x, w) ** 2))(x)
        del pullback


def test_exceptions_leave_nothing():
    broken = tg.op(lambda x: x + 0, name="broken")(failing)
    x = tg.Node(np.ones(3))
    y = np.sum(broken(x * 2))
    with without_collector():
        for create_graph in (False, True):
            with pytest.raises(ArithmeticError, match="on purpose"):
                y.backward(create_graph=create_graph)
        with pytest.raises(ValueError, match="matmul"):
            (x * 2) @ np.ones(4)
        with pytest.raises(TypeError, match=r"np\.lib\.\w+\.sqrt"):
            np.emath.sqrt(x * 2)
        with pytest.raises(ArithmeticError, match="on purpose"):
            tg.grad(lambda x: np.sum(broken(x)))(np.ones(3))
    assert x.grad is None


def test_forward_and_no_grad_leave_nothing():
    x, w = tg.Node(np.ones((3, 4))), tg.Node(np.ones((4, 2)))
    with without_collector():
        loss = np.sum(np.tanh(x @ w + np.ones(2))[1:] ** 2) + np.max(np.maximum(x, 0))
        x.value = np.zeros((3, 4))
        loss.forward()
        with tg.no_grad():
            loss_of(x, w)
        del loss


# Depth and breadth

LENGTH = 100_000

DEEP = f"""
import gc, sys, threading
import numpy as np
import tinygraph as tg

STEPS = [np.tanh, lambda y: y * 1.0, lambda y: y.reshape(2, 1), lambda y: y.reshape(2)]

def work():
    x = y = tg.Node([0.1, 0.2])
    for step in range({LENGTH}):
        y = STEPS[step % 4](y)
    y.forward()
    y.backward(np.ones(2), create_graph=True)
    gradient, x.grad = x.grad, None
    np.sum(y).backward()
    assert np.array_equal(gradient.value, x.grad)
    assert 0 < x.grad[0] < 1
    repr(y)
    del y, gradient
    left = sum(type(thing) is tg.Node for thing in gc.get_objects())
    assert left == 1, left
    done.append(True)

gc.disable()
done = []
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=work)
sys.setrecursionlimit(60)
thread.start()
thread.join()
assert done
"""


def test_a_deep_chain_needs_no_stack():
    """Do all with room for 60 Python calls and a megabyte of C's: CPython 3.13 needs most of it."""
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def chain(step: Callable[[Any], Any], length: int) -> tuple[tg.Node, tg.Node]:
    x = y = tg.Node(np.ones(2))
    for _ in range(length):
        y = step(y)
    return x, y


CHAINS = {
    "product": lambda y: y * 1.0,
    "tanh": np.tanh,
    "view": lambda y: y.reshape(2),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_long_chain_builds_runs_and_is_freed(name):
    length = 10 * LENGTH if THOROUGH else LENGTH // 4
    with without_collector():
        x, y = chain(CHAINS[name], length)
        y.forward()
        y.backward(np.ones(2))
        assert np.all(x.grad > 0)
        started = time.perf_counter()
        del y
        assert time.perf_counter() - started < length * 2e-5
        del x


def bytes_a_node(length: int) -> tuple[float, float]:
    """Measure what a chain holds, and what it takes at most, backward included."""
    tracemalloc.start()
    try:
        x, y = chain(np.tanh, length)
        held, _ = tracemalloc.get_traced_memory()
        y.backward(np.ones(2))
        _, peak = tracemalloc.get_traced_memory()
        del x, y
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000
    return held / length, peak / length


def test_memory_is_linear_in_the_length_of_a_chain():
    with without_collector():
        held, peak = bytes_a_node(20_000)
    assert held < 500
    assert peak < 800


def seconds(work: Callable[[int], None], size: int) -> float:
    times = []
    for _ in range(5):
        started = time.process_time()
        work(size)
        times.append(time.process_time() - started)
    return min(times)


def use_one_leaf_often(times: int) -> None:
    x = y = tg.Node(np.ones(2))
    for _ in range(times):
        y = y * x
    np.sum(y).backward()
    assert x.grad.tolist() == [times + 1] * 2


def stack_one_leaf_often(times: int) -> None:
    x = tg.Node(np.ones(2))
    np.sum(np.stack([x] * times)).backward()
    assert x.grad.tolist() == [times] * 2


def stack_constants(times: int) -> None:
    x = tg.Node(np.ones(2))
    np.sum(np.stack([x, *[np.ones(2)] * times])).backward()
    assert x.grad.tolist() == [1, 1]


def go_back_from_a_chain(length: int) -> None:
    _, y = chain(np.tanh, length)
    y.backward(np.ones(2))


def nest_derivatives_in_a_loop(times: int) -> None:
    def descend(w: Any) -> Any:
        for _ in range(times):
            w = w - 0.01 * tg.grad(lambda w: np.sum(w * w))(w)
        return np.sum(w)

    assert tg.grad(descend)(np.ones(2)) == pytest.approx([0.98**times] * 2)


@pytest.mark.parametrize(
    ("work", "size"),
    [
        (use_one_leaf_often, 2000),
        (stack_one_leaf_often, 5000),
        (stack_constants, 2000),
        (go_back_from_a_chain, 2000),
        (nest_derivatives_in_a_loop, 60),
    ],
)
def test_time_is_linear(work, size):
    """Eight times the work takes eight times as long; were it quadratic, sixty-four times."""
    work(size)
    assert seconds(work, 8 * size) < 24 * seconds(work, size)


def test_one_leaf_used_a_hundred_thousand_times():
    with without_collector():
        use_one_leaf_often(LENGTH)
