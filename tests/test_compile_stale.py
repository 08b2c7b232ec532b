"""compile: every way in which a plan could go stale is noticed, takes effect, or is refused."""

import copy
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygraph as tg
from tests.test_compile import Model, assert_same
from tinygraph.node import Node

A = np.array([1.0, 2.0, 3.0])
B = np.array([4.0, 5.0, 7.0])


def on_nodes(x: Any) -> Any:
    return Node(x, requires_grad=x.dtype.kind in "fc") if isinstance(x, np.ndarray) else x


def assert_follows(f: Callable[..., Any], *calls: tuple[Any, ...]) -> None:
    """Call one compiled function several times: each time it gives what `f` gives."""
    for simplify in (False, True):
        compiled = tg.compile(f, simplify=simplify)
        for args in calls:
            expected = f(*tg.tree.map_tree(on_nodes, args))
            assert_same(compiled(*args), expected, exact=False)


def assert_refuses(f: Callable[..., Any], *args: Any, match: str = "was asked for") -> None:
    with pytest.raises(tg.CompileError, match=match):
        tg.compile(f)(*args)


# Arguments


def test_arguments_of_other_shapes_and_dtypes() -> None:
    assert_follows(
        lambda x: x * x.shape[0] + np.sum(x),
        (A,), (B[:2],), (A.astype("f4"),), (np.arange(3),), (A.astype(">f8"),), (A + 1j,), (A,),
    )  # fmt: skip


def test_arguments_of_another_structure() -> None:
    def f(x: Any, y: Any = None) -> Any:
        return x - y if y is not None else x[0] * 10 + x[1]

    assert_follows(f, ([A, B],), (A, B), ((A, B),), (B, A), ([A, B],))


def test_keywords_in_another_order() -> None:
    def f(x: Any, y: Any) -> Any:
        return x - 2 * y

    compiled = tg.compile(f)
    assert_same(compiled(y=A, x=B), B - 2 * A, exact=True)
    assert_same(compiled(A, B), A - 2 * B, exact=True)
    assert_same(compiled(x=A, y=B), A - 2 * B, exact=True)
    assert_same(compiled(A, y=B), A - 2 * B, exact=True)


class Pair(NamedTuple):
    a: Any
    b: Any


class Other(NamedTuple):
    b: Any
    a: Any


def test_dicts_and_named_tuples_are_told_apart() -> None:
    assert_follows(lambda d: d["a"] - 2 * d["b"], ({"a": A, "b": B},), ({"b": A, "a": B},))
    assert_follows(lambda p: p.a - 2 * p.b, (Pair(A, B),), (Other(A, B),))


def test_numbers_that_are_left_out() -> None:
    def power(x: Any, exponent: int = 2) -> Any:
        return x**exponent

    assert_follows(power, (A, 3), (A,), (A, 3), (B,))


@pytest.mark.parametrize(
    "numbers", [(0.0, -0.0), (1, True, 1.0), (2.0, np.float64(2), np.float32(2), np.array(2.0))]
)
def test_numbers_that_are_equal_but_not_the_same(numbers: tuple[Any, ...]) -> None:
    def f(x: Any, number: Any) -> Any:
        sign = np.copysign(x.astype("f4"), number)
        return sign * number, number is True

    assert_follows(f, *((A, number) for number in numbers))


def test_slices_are_part_of_what_is_recorded() -> None:
    assert_follows(lambda x, part: x[part], (A, slice(0, 2)), (A, slice(1, 3)), (B, slice(0, 2)))


def test_arguments_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(TypeError) as caught:
        tg.compile(lambda x, names: x)(A, {"a", "b"})
    assert "an argument holds a set; expected arrays" in caught.value.__notes__[0]


def test_nan_as_a_number() -> None:
    compiled = tg.compile(lambda x, number: x * number)
    for _ in range(3):
        assert np.isnan(compiled(A, float("nan"))).all()
    assert len(compiled._plans) == 1


def test_weak_numbers_and_arrays_keep_their_dtypes() -> None:
    assert_follows(
        lambda x, s: (x * s, x + 1, x * np.int64(3), x * np.float32(2)),
        (np.arange(3, dtype="i1"), 2), (np.arange(3, dtype="i1"), np.int64(2)),
        (A.astype("f4"), 2.0), (A.astype("f4"), np.float64(2)),
    )  # fmt: skip


LAYOUTS: dict[str, Callable[[], Any]] = {
    "contiguous": lambda: np.arange(12.0).reshape(3, 4),
    "Fortran": lambda: np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "strided": lambda: np.arange(24.0).reshape(3, 8)[:, ::2],
    "backwards": lambda: np.arange(12.0).reshape(3, 4)[::-1, ::-1],
    "broadcast": lambda: np.broadcast_to(np.arange(3.0)[:, None], (3, 4)),
    "misaligned": lambda: np.frombuffer(b"." * 97, np.uint8, 96, 1).view("f8").reshape(3, 4),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arguments_that_lie_otherwise_in_memory(layout: str) -> None:
    x = LAYOUTS[layout]()
    x.flags.writeable = False
    compiled = tg.compile(lambda x: (x.T @ x, np.sum(x, 0), np.ravel(x), x.reshape(4, 3), x.T * 2))
    compiled(LAYOUTS["contiguous"]())
    expected = (x.T @ x, np.sum(x, 0), np.ravel(x), x.reshape(4, 3), x.T * 2)
    assert_same(compiled(x), expected, exact=False)


def test_results_of_another_order_are_no_views_of_buffers() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for f in [
        lambda x: np.reshape(np.tanh(x), (3, 2), order="F") * 2,
        lambda x: np.ravel(np.tanh(x), order="F") * 2,
        lambda x: np.reshape(np.tanh(x), (3, 2), copy=True) * 2,
        lambda x: np.ravel(np.tanh(x).T) * 2,
    ]:
        assert_follows(f, (x,), (x + 1,), (x,))


def test_arguments_that_overlap() -> None:
    x = np.arange(6.0)
    compiled = tg.compile(lambda x, y: (x * y, x + y, y))
    for first, second in [(x[:5], x[1:]), (x[1:], x[:5]), (x[:5], x[:5])]:
        expected = (first * second, first + second, second.copy())
        assert_same(compiled(first, second), expected, exact=True)
    np.testing.assert_array_equal(x, np.arange(6.0))


def test_arguments_that_are_views_of_a_leaf_or_of_earlier_results() -> None:
    eager, compiled = Model(), Model()
    step = tg.compile(compiled.step)
    x = eager.x
    for _ in range(4):
        values = eager.w.value[:3].T.repeat(2, 0)[:5], compiled.w.value[:3].T.repeat(2, 0)[:5]
        assert_same(step(values[1], compiled.y), eager.step(values[0], eager.y), exact=False)
    product = tg.compile(lambda x, y: x @ y)
    out = product(x[:3], np.eye(3))
    np.testing.assert_array_equal(product(out, out), x[:3] @ x[:3])


def test_a_leaf_that_is_moved_by_its_own_value() -> None:
    w = tg.Node(np.eye(3))

    def move(x: Any) -> Any:
        w.value = w @ x + 1.0
        return np.sum(x)

    compiled = tg.compile(move)
    expected = np.eye(3)
    for _ in range(3):
        held = w.value
        assert compiled(held) == np.sum(expected)
        np.testing.assert_array_equal(held, expected)
        expected = expected @ expected + 1.0
        np.testing.assert_array_equal(w.value, expected)


class Derived(np.ndarray):
    """An array of another class, whose sums are something else."""

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return 0.0


def test_subclasses_of_arrays_are_taken_as_arrays() -> None:
    compiled = tg.compile(lambda x: np.sum(x, axis=0) * x)
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for given in (x, x.view(Derived), x):
        found = compiled(given)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, np.sum(x, axis=0) * x)


def test_nodes_as_arguments_keep_their_gradients() -> None:
    square = tg.compile(lambda x: np.sum(x * x))
    assert square(A) == 14.0
    np.testing.assert_array_equal(tg.grad(square)(A), 2 * A)
    np.testing.assert_array_equal(tg.hessian(square)(A), 2 * np.eye(3))


def test_compiled_functions_inside_compiled_functions_are_recorded() -> None:
    inner = tg.compile(lambda x: x * x)
    w = tg.Node(A)
    other = tg.compile(lambda: w * 2)
    other()
    assert_follows(lambda x: inner(np.tanh(x)) + other(), (A,), (B,))
    compiled = tg.compile(lambda x: inner(x) + other())
    compiled(A)
    w.value = B
    np.testing.assert_array_equal(compiled(A), A * A + 2 * B)


# Leaves and optimisers


def test_a_leaf_that_is_replaced_by_another() -> None:
    leaves = [tg.Node(A), tg.Node(B)]
    with pytest.raises(tg.CompileError, match="did not do the same"):
        # Which leaf the function finds is decided while it is recorded.
        tg.compile(lambda x: leaves.pop() * x)(A)
    model = Model()
    step = tg.compile(model.step)
    step(model.x, model.y)
    with pytest.raises(ValueError, match="expected shape"):
        model.w.value = np.zeros(3)
    with pytest.raises(ValueError, match="dtype that casts"):
        model.w.value = np.zeros((4, 3), complex)


def test_a_leaf_that_gets_a_value_of_another_dtype() -> None:
    w = tg.Node(A)
    compiled = tg.compile(lambda x: w * x)
    compiled(A)
    w.value = B.astype("f4")
    found = compiled(A)
    assert found.dtype == "f8"
    np.testing.assert_array_equal(found, A * B)


def test_a_leaf_that_the_function_sets() -> None:
    def made() -> tuple[Any, Any]:
        w = tg.Node(A)

        def f(x: Any) -> Any:
            w.value = w * x
            return np.sum(w * 1.0)

        return w, f

    (w, eager), (v, f) = made(), made()
    compiled = tg.compile(f)
    for x in (B, A, B):
        assert_same(compiled(x), eager(x), exact=False)
        np.testing.assert_array_equal(v.value, w.value)


def test_a_leaf_that_the_function_sets_to_a_constant() -> None:
    w = tg.Node(A)

    def f(x: Any) -> Any:
        out = np.sum(w * x)
        w.value = np.zeros(3, "f4")
        return out

    compiled = tg.compile(f)
    for factor in (1, 2):
        w.value = factor * A
        assert compiled(B) == factor * np.sum(A * B)
        np.testing.assert_array_equal(w.value, np.zeros(3))


def test_a_detached_value_is_that_of_the_call() -> None:
    def f(x: Any) -> Any:
        h = np.tanh(x)
        return np.sum((h * 2 - h.detach()) * h.detach())

    assert_follows(f, (A,), (B,))

    def trained() -> tuple[Any, Any]:
        w = tg.Node(A)
        optimizer = tg.optim.SGD([w], 0.1)

        def step(x: Any) -> Any:
            old = w.detach()
            optimizer.zero_grad()
            np.sum(w * w * x).backward()
            optimizer.step()
            return np.sum((w - old) * x)

        return w, step

    (w, eager), (v, step) = trained(), trained()
    compiled = tg.compile(step)
    for _ in range(3):
        assert_same(compiled(B), eager(B), exact=False)
        np.testing.assert_allclose(v.value, w.value, rtol=1e-14)


def test_a_copy_of_a_leaf_is_refused() -> None:
    w = tg.Node(A)
    assert_refuses(lambda x: x * copy.deepcopy(w), A)


def test_a_loaded_state_takes_effect() -> None:
    def adam(parameters: Any) -> Any:
        return tg.optim.Adam(parameters, 0.1)

    eager, compiled = Model(adam), Model(adam)
    step = tg.compile(compiled.step)
    states = []
    for _ in range(3):
        states.append(compiled.optimizer.state_dict())
        eager.step(eager.x, eager.y)
        step(compiled.x, compiled.y)
    for model in (eager, compiled):
        model.optimizer.load_state_dict(states[1])
    assert_same(step(compiled.x, compiled.y), eager.step(eager.x, eager.y), exact=False)
    np.testing.assert_allclose(compiled.w.value, eager.w.value, rtol=1e-12)
    assert compiled.optimizer.state_dict()["steps"] == 2


def test_a_new_schedule_takes_effect() -> None:
    eager, compiled = Model(), Model()
    step = tg.compile(compiled.step)
    for rate in (0.1, tg.optim.cosine(0.3, 10), tg.optim.step(0.2, 1, 0.5), 0.01):
        eager.optimizer.learning_rate = compiled.optimizer.learning_rate = rate
        for _ in range(2):
            eager.step(eager.x, eager.y)
            step(compiled.x, compiled.y)
        np.testing.assert_allclose(compiled.w.value, eager.w.value, rtol=1e-12)


def test_a_state_or_rate_that_is_read_inside_is_refused() -> None:
    model = Model(lambda x: tg.optim.SGD(x, 0.1, momentum=0.9))
    assert_refuses(lambda x: x * model.optimizer.learning_rate, A, match="the learning rate")
    assert_refuses(lambda x: (x, model.optimizer.state_dict()), A)


def step_twice(make: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    w = tg.Node(A)
    optimizer = make([w])

    def step(x: Any) -> Any:
        for _ in range(2):
            optimizer.zero_grad()
            loss = np.sum(w * w * x)
            loss.backward()
            optimizer.step()
        return loss

    return w, step


def test_two_steps_in_one_call() -> None:
    def make(parameters: Any) -> Any:
        return tg.optim.SGD(parameters, 0.01, momentum=0.9)

    (w, eager), (v, step) = step_twice(make), step_twice(make)
    compiled = tg.compile(step)
    for _ in range(3):
        assert_same(compiled(A), eager(A), exact=False)
        np.testing.assert_allclose(v.value, w.value, rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [lambda x: tg.optim.Adam(x, 0.1), lambda x: tg.optim.SGD(x, tg.optim.cosine(0.1, 5))],
    ids=["Adam", "schedule"],
)
def test_two_steps_whose_numbers_differ_are_refused(make: Any) -> None:
    _, step = step_twice(make)
    with pytest.raises(ValueError, match="compile a function that takes one step"):
        tg.compile(step)(A)


def test_backward_through_what_a_step_changed_is_refused_as_it_is_eagerly() -> None:
    model = Model()

    def step(x: Any) -> Any:
        first, second = np.sum(model.w**2), np.sum(np.tanh(model.w))
        model.optimizer.zero_grad()
        first.backward()
        model.optimizer.step()
        second.backward()
        return first

    for f in (step, tg.compile(step)):
        with pytest.raises(ValueError, match="changed after"):
            f(A)


def test_gradients_that_add_up_in_one_call() -> None:
    eager, compiled = Model(), Model()

    def accumulate(model: Model, x: Any, y: Any) -> Any:
        model.optimizer.zero_grad()
        for part in (slice(0, 2), slice(2, 5)):
            loss = tg.nn.quadratic(np.tanh(tg.nn.linear(x[part], model.w, model.b)), y[part])
            loss.backward()
        model.optimizer.step()
        return loss

    step = tg.compile(lambda x, y: accumulate(compiled, x, y))
    for _ in range(3):
        expected = accumulate(eager, eager.x, eager.y)
        assert_same(step(compiled.x, compiled.y), expected, exact=False)
    np.testing.assert_allclose(compiled.w.value, eager.w.value, rtol=1e-12)


# What Python does


def test_numbers_and_arrays_found_outside_are_those_of_the_recording() -> None:
    factor, array = [2.0], A.copy()
    compiled = tg.compile(lambda x: x * factor[0] + array)
    first = compiled(A)
    factor[0], array[:] = 3.0, 0.0
    np.testing.assert_array_equal(compiled(A), first)


def test_what_the_function_makes_of_arrays_is_out_of_their_owners_reach() -> None:
    index, mask = np.array([0, 0, 1]), np.array([True, False, True])
    compiled = tg.compile(lambda x: (x[index], np.sum(x, where=mask), np.take(x, index)))
    compiled(A)
    index[:], mask[:] = 2, False
    expected = A[[0, 0, 1]], np.float64(4.0), A[[0, 0, 1]]
    assert_same(compiled(A), expected, exact=True)


def test_constants_that_are_handed_back_are_copies() -> None:
    constant = np.ones(3)
    compiled = tg.compile(lambda x: (x, constant))
    compiled(A)[1][:] = 5
    np.testing.assert_array_equal(compiled(A)[1], np.ones(3))
    np.testing.assert_array_equal(constant, np.ones(3))


GENERATOR = np.random.default_rng()
PYTHONS = random.Random()

RANDOM: dict[str, Callable[..., Any]] = {
    "np.random": lambda x: x * np.random.random(3),
    "random": lambda x: x * random.random(),
    "Generator": lambda x: x * GENERATOR.random(3),
    "Random": lambda x: np.roll(x, PYTHONS.randint(0, 1)),
    "a permutation": lambda x: x[GENERATOR.permutation(3)],
    "a rare branch": lambda x: x if GENERATOR.random() < 0.999 else -x,
    "a choice of inputs": lambda x: (x, x[::-1] * 2)[int(GENERATOR.integers(2))] * 1.0,
    "a parameter": lambda x: np.roll(x, int(GENERATOR.integers(2))),
    "a result": lambda x: (x, np.random.random()),
    "a result that is an array": lambda x: (x, GENERATOR.random(2)),
    "a leaf made inside": lambda x: x * tg.Node(GENERATOR.random(3), requires_grad=False),
    "the clock": lambda x: x * time.perf_counter(),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_refused_wherever_they_go(name: str) -> None:
    assert_refuses(RANDOM[name], A, match=r"test_compile_stale\.py:\d+.* did not do the same")


def test_inputs_that_take_turns_are_refused() -> None:
    turns = [0]

    def f(x: Any, y: Any) -> Any:
        turns[0] += 1
        return (x, y)[turns[0] % 2] * 1.0

    def g(x: Any, y: Any) -> Any:
        turns[0] += 1
        return (x, y)[turns[0] % 2]

    assert_refuses(f, A, B, match=r"test_compile_stale\.py:\d+ did not do the same")
    assert_refuses(g, A, B, match=r"what .*test_compile_stale\.py:\d+ gives did not do the same")


def test_random_numbers_that_are_the_same_each_time_are_not() -> None:
    def f(x: Any) -> Any:
        return x * np.random.default_rng(0).random(3)

    assert_follows(f, (A,), (B,))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * len(np.nonzero(x > 0)[0]),
        lambda x: x * np.flatnonzero(x > 0).size,
        lambda x: x * np.argwhere(x > 0).shape[0],
        lambda x: x * len(np.where(x > 0)[0]),
        lambda x: x[np.tanh(x) > 0.5],
        lambda x: np.roots(x) * 2,
        lambda x: np.linalg.eigvals(np.outer(x, x)),
        lambda x: x * len(f"{x}"),
        lambda x: x * len(f"{x[0]:.1f}"),
        lambda x: x * len(np.array2string(x)),
        lambda x: x * max(x),
        lambda x: sorted(x)[0] * 1.0,
        lambda x: x if 1.0 in x else -x,
        lambda x: x if np.shares_memory(x, x) else -x,
        lambda x: {1.0: x}[float(x[0])],
        lambda x: x * range(5)[np.argmax(x)],
    ],
)
def test_shapes_branches_and_texts_that_depend_on_values_are_refused(f: Any) -> None:
    assert_refuses(f, A)


def test_values_that_leave_in_a_way_that_nobody_knows_of_are_refused() -> None:
    def f(x: Any) -> Any:
        return x * float(getattr(x, "_value", x).sum())

    assert_refuses(f, A, match="did not do the same")
    assert_refuses(f, A.astype("f4"), match="did not do the same")


def test_a_function_that_fails_on_other_values_is_recorded_all_the_same() -> None:
    def forward(x: Any) -> Any:
        if np.any(np.asarray(x) > 3):
            raise ValueError("too large")
        return np.asarray(x) * 2

    bounded = tg.op(forward)(lambda g, out, x: (g * 2,))
    np.testing.assert_array_equal(tg.compile(lambda x: bounded(x))(A), A * 2)


def test_a_refusal_that_somebody_catches_is_one() -> None:
    def f(x: Any) -> Any:
        try:
            return x * float(np.sum(x))
        except TypeError:
            return x

    assert_refuses(f, A)


def test_an_op_may_look_at_the_values_of_the_call() -> None:
    def forward(x: Any) -> Any:
        try:
            return x * float(np.max(x))
        except TypeError:
            return x * 0

    branching = tg.op(lambda x: x * 2 if np.max(x) > 0 else -x)(lambda g, out, x: (g,))
    typed = tg.op(lambda x: x * 2 if isinstance(x, np.ndarray) else x * 3)(lambda g, out, x: (g,))
    for function in (branching, typed, tg.op(forward)(lambda g, out, x: (g,))):

        def f(x: Any, function: Any = function) -> Any:
            return function(x) * 1.0

        assert_follows(f, (A,), (-A,))


def test_derivatives_inside_that_depend_on_arguments_in_other_ways() -> None:
    def of_mask(x: Any) -> Any:
        mask = x > 0
        return tg.grad(lambda w: np.sum(w * mask * w))(np.ones(3)) + x

    def of_whole_numbers(x: Any, k: Any) -> Any:
        derivatives = [
            tg.grad(lambda w: np.sum(w * k * w))(np.ones(3)),
            tg.jacobian(lambda w: w * k * w)(np.ones(3)),
            tg.jvp(lambda w: w * k * w, (np.ones(3),), (np.ones(3),))[1],
            tg.hessian(lambda w: np.sum(w * k * w * w))(np.ones(3)),
        ]
        return [x + y for y in derivatives]

    for f, calls in [
        (of_mask, [(A,), (-A,)]),
        (of_whole_numbers, [(A, np.array([1, 2, 3])), (A, np.array([4, 5, 6]))]),
    ]:
        compiled = tg.compile(f)
        for args in calls:
            assert_same(compiled(*args), f(*args), exact=False)


def test_checkpoints_are_recorded() -> None:
    assert_follows(tg.checkpoint(lambda x: np.tanh(x * 2)), (A,), (B,))
    f = tg.grad(lambda x: np.sum(tg.checkpoint(np.tanh)(x) ** 2))
    compiled = tg.compile(f)
    for x in (A, B):
        assert_same(compiled(x), f(x), exact=False)


def test_nodes_that_outlive_the_recording_have_no_value() -> None:
    kept = []

    class Result:
        def __init__(self, x: Any) -> None:
            self.x = x

    def f(x: Any) -> Any:
        kept.append(np.tanh(x))
        return Result(x * 2)

    result = tg.compile(f)(A)
    for node in (kept[0], result.x):
        for use in (lambda x: x.value, lambda x: x + 1, np.sum, repr, lambda x: x.item()):
            with pytest.raises(tg.CompileError, match="outside of that call"):
                use(node)


# States, threads, exceptions


def test_no_grad_inside_and_outside() -> None:
    w = tg.Node(A)

    def f(x: Any) -> Any:
        w.grad = None
        with tg.no_grad():
            y = w * 2
        loss = np.sum(y * w * x)
        loss.backward()
        return loss

    f(B)
    expected = w.grad
    compiled = tg.compile(f)
    with tg.no_grad():
        compiled(B)
    np.testing.assert_array_equal(w.grad, expected)
    compiled(A)
    np.testing.assert_array_equal(w.grad, expected * A / B)


def test_scopes_outside_make_no_difference() -> None:
    compiled = tg.compile(lambda x: np.tanh(x))
    with tg.scope("outside"):
        compiled(A)
    with tg.scope("another"):
        np.testing.assert_array_equal(compiled(B), np.tanh(B))
    assert len(compiled._plans) == 1


@pytest.mark.parametrize("when", ["recorded", "run"])
def test_errstate_outside_makes_no_difference_to_values(when: str) -> None:
    compiled = tg.compile(lambda x: np.where(x > 0, 1 / x, 0.0))
    if when == "run":
        compiled(A)
    else:
        with pytest.raises(FloatingPointError), np.errstate(all="raise"):
            compiled(np.array([0.0, 1.0, 2.0]))
    with np.errstate(all="raise" if when == "run" else "ignore"):
        np.testing.assert_array_equal(compiled(np.array([0.0, 1.0, 2.0])), [0.0, 1.0, 0.5])
    assert np.geterr()["divide"] != "ignore"


def test_threads_train_one_model_in_turns() -> None:
    eager, compiled = Model(), Model()
    step = tg.compile(compiled.step)
    for _ in range(40):
        eager.step(eager.x, eager.y)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: step(compiled.x, compiled.y), range(40)))
    np.testing.assert_allclose(compiled.w.value, eager.w.value, rtol=1e-10)
    assert compiled.optimizer.state_dict()["steps"] == 40


def test_threads_that_call_with_other_shapes_at_the_same_time() -> None:
    compiled = tg.compile(lambda x: np.tanh(x) * x)
    start = threading.Barrier(4)

    def call(number: int) -> bool:
        start.wait()
        x = np.full(100 + number, 0.5 + number)
        return all(np.array_equal(compiled(x), np.tanh(x) * x) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(4)))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_recording_leaves_all_as_it_was(error: type[BaseException]) -> None:
    model = Model()
    before = model.w.value.copy()

    def step(x: Any, y: Any) -> Any:
        model.step(x, y)
        raise error("no")

    with pytest.raises(error, match="no"):
        tg.compile(step)(model.x, model.y)
    np.testing.assert_array_equal(model.w.value, before)
    assert model.w.grad is None
    assert model.optimizer.state_dict()["steps"] == 0
    assert_same(tg.compile(model.step)(model.x, model.y), Model().step(model.x, model.y), False)


def test_a_refusal_leaves_gradients_as_they_were() -> None:
    w = tg.Node(A)
    w.grad = B

    def f(x: Any) -> Any:
        np.sum(w * x).backward()
        return w.grad + x

    with pytest.raises(tg.CompileError, match="a gradient from before"):
        tg.compile(f)(A)
    np.testing.assert_array_equal(w.grad, B)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_middle_of_a_call_leaves_all_as_it_was(error: type[BaseException]) -> None:
    model, armed = Model(), [False]

    def forward(x: Any) -> Any:
        if armed[0]:
            raise error("no")
        return np.tanh(np.asarray(x))

    fragile = tg.op(forward)(lambda g, out, x: (g * (1 - out * out),))

    def step(x: Any, y: Any) -> Any:
        loss = tg.nn.quadratic(fragile(tg.nn.linear(x, model.w, model.b)), y)
        model.optimizer.zero_grad()
        loss.backward()
        model.optimizer.step()
        return loss

    compiled = tg.compile(step)
    compiled(model.x, model.y)
    before, held = model.w.value.copy(), model.w.value
    armed[0] = True
    with pytest.raises(error, match="no"):
        compiled(model.x, model.y)
    np.testing.assert_array_equal(model.w.value, before)
    np.testing.assert_array_equal(held, before)
    assert model.optimizer.state_dict()["steps"] == 1
    armed[0] = False
    compiled(model.x, model.y)
    assert model.optimizer.state_dict()["steps"] == 2
    assert not np.array_equal(model.w.value, before)


# Indices and masks that are computed


def test_indices_that_are_arguments() -> None:
    x = np.arange(12.0).reshape(4, 3)
    assert_follows(
        lambda x, i: (x[i], x[:, 1][i] * 2, np.take(x, i, axis=0), x[i, ..., np.newaxis]),
        (x, np.array([0, 3, 3])), (x, np.array([1, 2, 0])), (x + 1, np.array([2, 2, 2])),
    )  # fmt: skip
    gradient = tg.grad(lambda x, i: np.sum(x[i] ** 2 * np.arange(3.0)))
    compiled = tg.compile(gradient)
    for i in (np.array([0, 3, 3]), np.array([1, 2, 0])):
        assert_same(compiled(x, i), gradient(x, i), exact=False)
    with pytest.raises(IndexError):
        compiled(x, np.array([0, 1, 4]))


def test_labels_that_are_arguments_are_checked_at_every_call() -> None:
    gradient = tg.value_and_grad(tg.nn.cross_entropy)
    compiled = tg.compile(lambda x, y: gradient(x, y))
    x = np.arange(12.0).reshape(4, 3)
    for labels in (np.array([0, 1, 2, 1]), np.array([2, 2, 0, 0])):
        assert_same(compiled(x, labels), gradient(x, labels), exact=False)
    for labels in (np.array([0, 1, 2, 3]), np.array([0, -1, 0, 0])):
        with pytest.raises(ValueError, match="labels run from"):
            compiled(x, labels)


def test_elements_that_are_set_at_indices_that_are_arguments() -> None:
    def total(x: Any, y: Any, i: Any) -> Any:
        return np.sum(x.at[i].set(y) * np.arange(3.0)) + np.sum(x.at[i].add(y) ** 2)

    gradient = tg.grad(total, (0, 1))
    compiled = tg.compile(gradient)
    for i in (np.array([0, 2]), np.array([1, 1]), np.array([2, 0])):
        assert_same(compiled(A, B[:2], i), gradient(A, B[:2], i), exact=False)


def test_masks_that_are_computed() -> None:
    def f(x: Any) -> Any:
        return (
            np.sum(x, where=x > 2), np.mean(x, where=x > 1), np.max(x, where=x > 2, initial=0.0),
            np.log(x, where=x > 0), np.select([x < 2, x < 6], [x, x**2], 0.0),
        )  # fmt: skip

    assert_follows(f, (A + 2,), (B,), (A + 1.5,))


VALUES = [A, -A, np.array([2.0, 2.0, 1.0]), np.array([0.0, 3.0, 0.0])]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.sort(x) ** 2 * np.arange(3.0)),
        lambda x: np.median(x) ** 2,
        lambda x: np.quantile(x, 0.3) + np.percentile(x, 80),
        lambda x: np.nanmedian(np.where(x > 1, np.nan, x)) ** 2,
        lambda x: np.max(x) ** 2 - np.min(x),
        lambda x: np.prod(x),
        lambda x: np.sum(np.cumprod(x) * np.arange(3.0)),
        lambda x: np.sum(np.partition(x, 1)[1:]),
        lambda x: np.interp(x[0], [-3.0, 0.0, 3.0], [0.0, 1.0, 3.0]),
        lambda x: np.sum(np.maximum.accumulate(x) * np.arange(3.0)),
        lambda x: np.linalg.norm(x) + np.linalg.norm(np.outer(x, x) + np.eye(3), "nuc"),
        lambda x: np.sum(np.linalg.eigvalsh(np.outer(x, x)) ** 2),
        lambda x: np.linalg.det(np.outer(x, x) + np.eye(3)),
    ],
)
def test_one_plan_serves_ties_zeros_and_every_order(f: Any) -> None:
    gradient = tg.grad(f)
    compiled = tg.compile(gradient)
    for x in VALUES:
        assert_same(compiled(x), gradient(x), exact=False)
    assert len(compiled._plans) == 1
