"""A Node keeps its value safe, records what happens to it, and refuses what would cut the graph."""

import asyncio
import contextvars
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tinygraph.op import OPS
from tinygraph.state import get_state


@pytest.fixture
def weights() -> tg.Node:
    return tg.Node([1.0, 2.0], name="weights")


# Leaves


def test_a_leaf_copies_its_array():
    array = np.array([1.0, 2.0])
    x = tg.Node(array)
    array[:] = 9
    assert x.value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64])
def test_a_leaf_keeps_its_dtype(dtype):
    x = tg.Node(np.ones((2, 3), dtype))
    assert (x.dtype, x.shape, x.ndim, x.size) == (np.dtype(dtype), (2, 3), 2, 6)


def test_a_leaf_takes_numbers_lists_and_nodes_without_gradients():
    data = tg.Node([1, 2], requires_grad=False)
    assert tg.Node(3.0).shape == ()
    assert tg.Node([[1.0], [2.0]]).shape == (2, 1)
    assert tg.Node(data, requires_grad=False).value.tolist() == [1, 2]


def test_a_leaf_has_native_byte_order_and_its_gradient_too():
    x = tg.Node(np.array([1.0, 2.0], ">f8" if np.little_endian else "<f8"))
    np.sum(x * x + x).backward()
    assert x.dtype == x.grad.dtype == np.float64
    assert x.grad.tolist() == [3.0, 5.0]


def test_a_leaf_says_what_it_is(weights):
    assert weights.op is None
    assert weights.inputs == ()
    assert weights.forward_fn is None
    assert weights.backward_fn is None
    assert weights.grad is None
    assert weights.requires_grad
    assert weights.name == "weights"


@pytest.mark.parametrize("array", [[1, 2], [True], np.uint8(3), np.arange(3)])
def test_only_floating_and_complex_leaves_can_require_gradients(array):
    dtype = np.asarray(array).dtype
    with pytest.raises(TypeError, match=f"got {dtype}; write .*dtype=float.*requires_grad=False"):
        tg.Node(array)
    assert tg.Node(array, requires_grad=False).dtype == dtype


@pytest.mark.parametrize("array", [["text"], [None], np.array(["2020-01-01"], "datetime64[D]")])
def test_a_leaf_of_anything_but_numbers_is_refused(array):
    with pytest.raises(TypeError, match="expected numbers, got dtype"):
        tg.Node(array, requires_grad=False)


def test_a_mask_is_not_lost_without_a_word(weights):
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    with pytest.raises(TypeError, match="mask"):
        tg.Node(masked)
    with pytest.raises(TypeError, match="mask"):
        weights * masked


def test_attributes_that_a_node_has_not_cannot_be_set(weights):
    with pytest.raises(AttributeError, match="vaule"):
        weights.vaule = [3.0, 4.0]


# Values


def test_values_are_read_only(weights):
    y = weights * 2
    for node in (weights, y, np.sum(y), weights.detach()):
        with pytest.raises(ValueError, match="read-only"):
            node.value[...] = 0
    assert y.value.tolist() == [2.0, 4.0]


def test_a_leafs_value_can_be_set_and_is_copied_and_cast():
    x = tg.Node(np.ones(2, np.float32))
    array = np.array([3.0, 4.0])
    x.value = array
    array[:] = 9
    assert x.value.tolist() == [3.0, 4.0]
    assert x.dtype == np.float32
    x.value = [5, 6]
    assert x.value.tolist() == [5.0, 6.0]
    x.value = x * 2
    assert x.value.tolist() == [10.0, 12.0]


@pytest.mark.parametrize("array", [[1.0, 2.0, 3.0], 1.0, [[1.0, 2.0]], [1j, 2.0]])
def test_a_leafs_value_keeps_its_shape_and_kind(weights, array):
    got = np.asarray(array)
    with pytest.raises(ValueError, match="weights of shape") as error:
        weights.value = array
    for part in ("(2,)", "float64", str(got.shape), str(got.dtype), "make a new Node"):
        assert part in str(error.value)
    assert weights.value.tolist() == [1.0, 2.0]


def test_an_integer_leaf_does_not_take_fractions():
    labels = tg.Node([1, 2], requires_grad=False)
    with pytest.raises(ValueError, match="casts to int64"):
        labels.value = [1.5, 2.5]


def test_the_value_of_an_inner_node_cannot_be_set(weights):
    y = weights * 2
    with pytest.raises(TypeError, match=r"multiply.*only a leaf's.*forward\(\)"):
        y.value = [1.0, 2.0]


def test_detach_gives_a_leaf_outside_the_graph(weights):
    y = (weights * 2).detach()
    assert (y.op, y.inputs, y.requires_grad) == (None, (), False)
    assert y.value.tolist() == [2.0, 4.0]
    np.sum(y * weights).backward()
    assert weights.grad.tolist() == [2.0, 4.0]


def test_a_detached_node_does_not_follow_its_leaf(weights):
    detached = weights.detach()
    weights.value = [5.0, 6.0]
    assert detached.value.tolist() == [1.0, 2.0]
    detached.value = [7.0, 8.0]
    assert weights.value.tolist() == [5.0, 6.0]


def test_item_and_tolist_give_python_numbers(weights):
    total = np.sum(weights)
    assert total.item() == 3.0
    assert type(total.item()) is float
    assert type(tg.Node(3, requires_grad=False).item()) is int
    assert weights.tolist() == [1.0, 2.0]
    assert total.tolist() == 3.0
    with pytest.raises(ValueError, match="size 1"):
        weights.item()


def test_a_node_without_gradients_converts_to_arrays_and_numbers():
    x = tg.Node([1.0, 2.0], requires_grad=False)
    assert np.asarray(x).tolist() == [1.0, 2.0]
    assert np.array(x, dtype=np.float32).dtype == np.float32
    assert np.array([x, x]).shape == (2, 2)
    assert float(x[0]) == 1.0
    assert int(x[1]) == 2
    assert complex(x[0]) == 1.0
    assert math.exp(x[0]) == math.e


def test_an_array_of_a_node_is_read_only_or_a_copy():
    x = tg.Node([1.0, 2.0], requires_grad=False)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 9
    np.array(x)[0] = 9
    assert x.value.tolist() == [1.0, 2.0]


def test_an_array_of_a_node_is_not_copied_where_that_is_forbidden():
    x = tg.Node([1.0, 2.0], requires_grad=False)
    assert np.shares_memory(np.asarray(x, copy=False), x.value)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float32, copy=False)


# Names, pictures in text


def test_nodes_show_what_they_are(weights):
    assert repr(weights) == "Node([1., 2.], name='weights', requires_grad=True)"
    assert repr(weights * 2) == "Node([2., 4.], op=multiply)"
    assert repr(tg.Node(1.0, requires_grad=False)) == "Node(1., requires_grad=False)"
    assert repr(np.sum(weights)) == "Node(3., op=sum)"


def test_a_long_node_is_shown_short():
    assert len(repr(tg.Node(np.zeros(10_000)))) < 100
    assert "..." in repr(tg.Node(np.zeros(10_000)))


def test_a_node_formats_like_its_number(weights):
    assert f"{np.sum(weights):.2f}" == "3.00"
    assert f"{weights}" == repr(weights)


def test_an_inner_node_can_be_named_and_errors_use_the_name(weights):
    y = weights * 2
    assert y.name is None
    y.name = "doubled"
    with pytest.raises(ValueError, match="doubled of shape"):
        y.backward(np.ones(3))


def test_an_inner_node_holds_its_inputs_and_two_closures(weights):
    y = weights[:, None].sum(axis=1, keepdims=True)
    assert y.op.name == "sum"
    assert y.params == {"axis": 1, "keepdims": True}
    (x,) = y.inputs
    assert x.inputs == (weights,)
    assert y.forward_fn(np.array([[3.0, 4.0]])).tolist() == [[7.0]]
    (gradient,) = y.backward_fn(np.ones((2, 1)), y.value, x.value)
    assert gradient.tolist() == [[1.0], [1.0]]


def test_nodes_are_told_apart_by_identity(weights):
    twin = tg.Node([1.0, 2.0])
    assert len({weights, twin, weights}) == 2
    assert {weights: "first", twin: "second"}[twin] == "second"


def test_scopes_nest_and_end_with_their_block(weights):
    with tg.scope("layer 1"):
        outer = weights * 2
        with tg.scope("activation"):
            inner = np.tanh(outer)
            leaf = tg.Node(1.0)
        after = outer + 1
    assert outer.scope == after.scope == ("layer 1",)
    assert inner.scope == leaf.scope == ("layer 1", "activation")
    assert (weights * 2).scope == weights.scope == ()


def test_a_scope_ends_with_an_exception(weights):
    with pytest.raises(ZeroDivisionError), tg.scope("layer 1"):
        _ = 1 // 0
    assert (weights * 2).scope == ()


def test_a_scope_nests_where_it_is_entered_not_where_it_is_made(weights):
    layer = tg.scope("layer")

    @tg.scope("activation")
    def activate(x: tg.Node) -> Any:
        return np.tanh(x)

    with tg.scope("model"), layer:
        node = activate(weights)
    assert node.scope == ("model", "layer", "activation")
    assert activate(weights).scope == ("activation",)


def test_a_scope_is_kept_inside_no_grad_and_the_other_way_round(weights):
    with tg.scope("evaluation"), tg.no_grad():
        node = weights * 2
    assert node.scope == ("evaluation",)
    with tg.no_grad(), tg.scope("evaluation"):
        assert (weights * 2).op is None


# no_grad


def test_no_grad_makes_leaves_that_require_no_gradient(weights):
    with tg.no_grad():
        y = np.tanh(weights * 2)
    assert (y.op, y.inputs, y.requires_grad, y.forward_fn) == (None, (), False, None)
    assert y.value == pytest.approx(np.tanh([2.0, 4.0]))
    assert (weights * 2).requires_grad


def test_leaves_made_in_no_grad_may_require_gradients():
    with tg.no_grad():
        x = tg.Node(2.0)
    (x * x).backward()
    assert x.grad == 4.0


def test_no_grad_nests_and_ends_with_an_exception(weights):
    with tg.no_grad():
        with pytest.raises(ZeroDivisionError), tg.no_grad():
            _ = 1 // 0
        assert (weights * 2).op is None
    assert (weights * 2).op is not None


def test_no_grad_decorates_functions_even_recursive_ones(weights):
    @tg.no_grad()
    def power(x: tg.Node, n: int) -> Any:
        """Multiply x by itself."""
        return x if n == 1 else x * power(x, n - 1)

    assert power(weights, 3).op is None
    assert power(weights, 3).value.tolist() == [1.0, 8.0]
    assert power.__doc__ == "Multiply x by itself."
    assert (weights * 2).op is not None


def test_inside_no_grad_a_node_converts_and_branches(weights):
    with tg.no_grad():
        assert np.asarray(weights).tolist() == [1.0, 2.0]
        assert float(weights[0]) == 1.0
        assert bool(weights[0])
        assert tg.Node(weights).value.tolist() == [1.0, 2.0]


def test_no_grad_is_local_to_its_thread(weights):
    entered, finish = threading.Event(), threading.Event()
    made = []

    def work() -> None:
        with tg.no_grad(), tg.scope("thread"):
            entered.set()
            finish.wait(10)
            made.append(weights * 2)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    here = weights * 2
    finish.set()
    thread.join()
    assert (here.requires_grad, here.scope) == (True, ())
    assert (made[0].requires_grad, made[0].scope) == (False, ("thread",))


def test_one_no_grad_object_serves_several_threads_and_nests(weights):
    evaluation = tg.no_grad()
    inside = threading.Barrier(2, timeout=10)
    errors = []

    def work() -> None:
        try:
            with evaluation:
                inside.wait()
                with evaluation:
                    inside.wait()
            assert (weights * 2).requires_grad
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_no_grad_is_local_to_its_task(weights):
    async def evaluate(entered: asyncio.Event, finish: asyncio.Event) -> tg.Node:
        with tg.no_grad():
            entered.set()
            await finish.wait()
            return weights * 2

    async def both() -> tuple[tg.Node, tg.Node]:
        entered, finish = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(evaluate(entered, finish))
        await entered.wait()
        recorded = weights * 2
        finish.set()
        return recorded, await task

    recorded, evaluated = asyncio.run(both())
    assert recorded.requires_grad
    assert not evaluated.requires_grad


def test_no_grad_is_local_to_its_context(weights):
    other = contextvars.copy_context()
    with tg.no_grad():
        assert other.run(lambda: weights * 2).requires_grad
        assert not contextvars.copy_context().run(lambda: weights * 2).requires_grad
    assert get_state().recording


def test_a_block_left_in_another_context_does_no_harm(weights):
    def evaluate() -> Iterator[tg.Node]:
        with tg.no_grad():
            yield weights * 2

    generator = evaluate()
    one, another = contextvars.copy_context(), contextvars.copy_context()
    assert not one.run(next, generator).requires_grad
    another.run(generator.close)
    assert another.run(lambda: weights * 2).requires_grad


# Refusals


def _set_element(x: tg.Node) -> None:
    x[0] = 3.0


def _add_to_element(x: tg.Node) -> None:
    x[0] += 3.0


def _add_into_array(x: tg.Node) -> None:
    array = np.ones(2)
    array += x


def _write_into_array(x: tg.Node) -> None:
    np.zeros(2)[:] = x


def _set_inner(x: tg.Node) -> None:
    (x * 2).value = [1.0, 2.0]


REFUSALS = {
    "np.asarray": (np.asarray, TypeError, ["np.asarray(node)", "weights of shape (2,)", "value"]),
    "np.array of a list": (lambda x: np.array([x, x]), TypeError, ["weights", "np.stack"]),
    "np.array of elements": (lambda x: np.array([[x[0], 1.0]]), TypeError, ["getitem", "np.stack"]),
    "np.array of objects": (lambda x: np.array([x[0]], dtype=object), TypeError, ["np.stack"]),
    "np.float64": (lambda x: np.float64(x[0]), TypeError, ["getitem of shape ()", "node.value"]),
    "writing into an array": (_write_into_array, TypeError, ["weights", "node.value"]),
    "float": (lambda x: float(x[0]), TypeError, ["float(node)", "getitem", "node.item()"]),
    "int": (lambda x: int(x[0]), TypeError, ["int(node)", "getitem", "node.item()"]),
    "complex": (lambda x: complex(x[0]), TypeError, ["complex(node)", "node.item()"]),
    "math.exp": (lambda x: math.exp(x[0]), TypeError, ["getitem", "np.exp for math.exp"]),
    "Node of a Node": (tg.Node, TypeError, ["Node(node)", "weights", "node.detach()"]),
    "no rule": (
        lambda x: np.emath.sqrt(x),
        TypeError,
        ["np.lib.", ".sqrt of a Node", "no derivative rule", ".sqrt)(rule)"],
    ),
    "node[i] = v": (_set_element, TypeError, ["node[index] = values", "node.at[index].set"]),
    "node[i] += v": (_add_to_element, TypeError, ["node.at[index]", ".add(values)"]),
    "ufunc out": (
        lambda x: np.exp(x, out=np.zeros(2)),
        TypeError,
        ["exp with out=", "result = np.exp(...)"],
    ),
    "out onto a Node": (
        lambda x: np.exp(np.ones(2), out=x),
        TypeError,
        ["exp with out=", "result = np.exp(...)"],
    ),
    "function out": (
        lambda x: np.concatenate([x, x], out=np.zeros(4)),
        TypeError,
        ["concatenate with out=", "result = np.concatenate(...)"],
    ),
    "method out": (lambda x: x.sum(out=np.zeros(())), TypeError, ["sum", "out"]),
    "ndarray += node": (_add_into_array, TypeError, ["a = a + node"]),
    "bool": (bool, TypeError, ["bool(weights of shape (2,))", "np.where", "bool(node.value)"]),
    "and": (lambda x: x[0] and x[1], TypeError, ["getitem", "np.where"]),
    "ufunc.at": (
        lambda x: np.add.at(x, [0], 1.0),
        TypeError,
        ["np.add.at", "node.at[index].add(values)"],
    ),
    "signature=": (lambda x: np.exp(x, signature="d->d"), TypeError, ["exp", "'signature'"]),
    "unknown=": (lambda x: x.sum(unknown=1.0), TypeError, ["sum", "'unknown'", "axis, dtype"]),
    "text": (lambda x: np.add(x, "a"), TypeError, ["add", "got str"]),
    "cotangent of another shape": (
        lambda x: (x * 2).backward(np.ones((2, 1))),
        ValueError,
        ["multiply of shape (2,)", "cotangent of shape (2, 1)", "expected (2,)"],
    ),
    "cotangent that would be broadcast": (
        lambda x: (x * 2).backward(1.0),
        ValueError,
        ["cotangent of shape ()", "expected (2,)"],
    ),
    "complex cotangent": (
        lambda x: (x * 2).backward(np.ones(2) * 1j),
        TypeError,
        ["float64", "complex128", "real part"],
    ),
    "no cotangent": (
        lambda x: (x * 2).backward(),
        ValueError,
        ["multiply of shape (2,)", "2 elements", "sum it", "cotangent"],
    ),
    "backward from data": (
        lambda x: np.sum(x.detach() * 2).backward(),
        ValueError,
        ["sum of shape ()", "no leaf that requires gradients", "detach()", "no_grad()"],
    ),
    "value of an inner node": (_set_inner, TypeError, ["multiply", "set the leaves"]),
    "mT of a vector": (lambda x: x.mT, ValueError, ["mT", "2 axes", "(2,)"]),
    "len of a number": (lambda x: len(x[0]), TypeError, ["len()", "without axes"]),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_would_cut_the_graph_is_refused_with_advice(what, weights):
    action, kind, words = REFUSALS[what]
    with pytest.raises(kind) as error:
        action(weights)
    for word in words:
        assert word in str(error.value)
    assert weights.value.tolist() == [1.0, 2.0]
    assert weights.grad is None


def test_writing_a_node_into_an_element_of_an_array_is_refused(weights):
    array = np.zeros(2)
    with pytest.raises(ValueError, match="setting an array element") as error:
        array[0] = weights[0]
    assert "node.item()" in str(error.value.__cause__)
    assert array.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("function", "args"), [(np.tanh, ()), (np.transpose, ((1, 0),))])
def test_a_function_loses_its_derivative_with_its_rule(function, args, monkeypatch):
    x = tg.Node(np.ones((2, 2)))
    monkeypatch.delitem(OPS, function)
    with pytest.raises(TypeError, match=f"np.{function.__name__} of a Node: .*no derivative rule"):
        function(x, *args)


def test_operators_refuse_what_is_no_number(weights):
    for other in ("a", None, object(), {}):
        with pytest.raises(TypeError, match="unsupported operand"):
            weights + other
        with pytest.raises(TypeError, match="unsupported operand"):
            other - weights


def test_a_node_equals_nothing_that_is_no_number(weights):
    assert (weights == "a").tolist() == [False, False]
    assert (weights != "a").tolist() == [True, True]
    with pytest.raises(TypeError, match="'<' not supported"):
        weights < "a"  # noqa: B015


def test_integers_to_negative_powers_are_refused_as_numpy_does():
    data = tg.Node([2, 4], requires_grad=False)
    with pytest.raises(ValueError, match="negative integer powers"):
        data**-1
    assert (data**2).value.tolist() == [4, 16]


# Changed values


def test_backward_through_a_leaf_that_was_set_since_is_refused(weights):
    y = np.sum(weights * weights)
    weights.value = [3.0, 4.0]
    with pytest.raises(
        ValueError, match=r"weights of shape \(2,\) changed after 'multiply'.*again"
    ):
        y.backward()
    assert weights.grad is None
    y.forward().backward()
    assert weights.grad.tolist() == [6.0, 8.0]


def test_backward_through_data_that_was_set_since_is_refused(weights):
    data = tg.Node([5.0, 6.0], requires_grad=False, name="data")
    y = np.sum(weights * data)
    data.value = [7.0, 8.0]
    with pytest.raises(ValueError, match=r"data of shape \(2,\) changed after 'multiply'"):
        y.backward()
    y.forward().backward()
    assert weights.grad.tolist() == [7.0, 8.0]


def test_setting_an_equal_value_counts_as_a_change(weights):
    y = np.sum(weights * weights)
    weights.value = weights.value
    with pytest.raises(ValueError, match="changed after"):
        y.backward()


@pytest.mark.parametrize("size", [2, 100_000])
def test_constants_changed_by_the_caller_do_not_reach_the_graph(size):
    x = tg.Node(np.ones(size))
    constant = np.full(size, 2.0)
    y = np.sum(constant * x) + np.sum(np.multiply(x, constant)) + np.dot(x, constant)
    constant[:] = 100
    y.backward()
    assert set(x.grad.tolist()) == {6.0}
    assert y.forward().item() == 6.0 * size


def test_lists_changed_by_the_caller_do_not_reach_the_graph(weights):
    constant, index = [2.0, 3.0], [0, 0]
    y = np.sum(weights * constant) + np.sum(weights[index])
    constant[0] = 100.0
    index[0] = 1
    y.backward()
    assert weights.grad.tolist() == [4.0, 3.0]


def test_indices_and_masks_changed_by_the_caller_do_not_reach_the_graph(weights):
    index, mask = np.array([0, 0]), np.array([False, True])
    y = np.sum(weights[index]) + np.sum(weights[mask] * 10)
    index[:] = 1
    mask[:] = True
    y.backward()
    assert weights.grad.tolist() == [2.0, 10.0]
