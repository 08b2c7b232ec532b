"""The passes of compile, each alone: what it makes of a program, and what it leaves as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.test_compile import Model
from tinygraph.compiler import passes
from tinygraph.compiler.program import Program, Step, Value, map_params
from tinygraph.compiler.tape import Recording, record_call
from tinygraph.op import OPS
from tinygraph.testing import graphs
from tinygraph.testing.graphs import Graph

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
W = np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0], [2.0, 0.25, 1.0], [1.0, 1.0, -2.0]])


def record(f: Callable[..., Any], *arrays: Any) -> Program:
    return record_call(f, arrays, {}).program


def run(program: Program, arrays: Any, leaves: Any = (), numbers: Any = ()) -> list[Any]:
    """Compute the results and the updates of a program, step by step."""
    known: dict[Value, Any] = {}
    known.update(zip(program.arguments, arrays, strict=True))
    known.update(zip(program.leaves, leaves, strict=True))
    known.update(zip(program.numbers, numbers, strict=True))

    def array(x: Any) -> Any:
        if not isinstance(x, Value):
            return x
        return known[x] if x.array is None else x.array

    for step in program.steps:
        inputs = [array(x) for x in step.inputs]
        if step.function in OPS and OPS[step.function].signature.takes_sequence:
            inputs = [inputs]
        out = step.function(*inputs, **map_params(array, step.params))
        parts = out.parts if step.joint else [out]
        known.update(zip(step.outputs, parts, strict=True))
        for x, part in zip(step.outputs, parts, strict=True):
            assert (x.shape, x.dtype) == (np.shape(part), part.dtype)
    return [array(x) for x in program.handed_back()]


def lines(program: Program) -> list[str]:
    """Write a program, a line a step, without dtypes and blanks."""
    text = passes.describe_program(program)
    return [line.strip().replace(": float64", "") for line in text.splitlines()]


def after(
    change: Callable[[Program], Any], f: Callable[..., Any], *arrays: Any, exact: bool = True
) -> list[str]:
    """Give the lines of the program of `f` after a pass, whose values have to be as before."""
    program = record(f, *arrays)
    before = run(program, arrays)
    change(program)
    for x, y in zip(run(program, arrays), before, strict=True):
        if exact:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, rtol=1e-13, atol=1e-13)
    return lines(program)


def test_unused_steps_are_dropped() -> None:
    def f(x: Any) -> Any:
        np.sum(np.cos(x))
        return np.sin(x)

    assert after(passes.drop_unused, f, X) == ["t1[2, 3] = np.sin(x)", "return t1"]


def test_one_used_result_of_several_keeps_its_step() -> None:
    program = record(lambda x: np.linalg.eigh(x)[1], X.T @ X)
    passes.drop_unused(program)
    assert len(program.steps) == 1
    assert len(program.steps[0].outputs) == 2


def test_what_an_update_needs_is_kept() -> None:
    model = Model()
    program = record(model.step, model.x, model.y)
    passes.drop_unused(program)
    assert len(program.updates) == 2
    made = {out for step in program.steps for out in step.outputs}
    assert all(value in made for _, value in program.updates)


def test_equal_steps_are_done_once() -> None:
    def f(x: Any) -> Any:
        return np.tanh(x) + np.tanh(x), np.tanh(x)

    assert after(passes.merge_equal, f, X) == [
        "t1[2, 3] = np.tanh(x)",
        "t2[2, 3] = np.add(t1, t1)",
        "return t2, t1",
    ]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=0)[:2] + np.sum(x, axis=1),
        lambda x: x * 2 + x * 2.0,
        lambda x: x * np.float32(2) + x * np.float64(2),
        lambda x: x / 2 + 2 / x,
        lambda x: np.copysign(x, 0.0) + np.copysign(x, -0.0),
        lambda x: x.reshape(3, 2) + x.reshape((3, 2), order="F"),
        lambda x: x[[0, 1, 1]] + x[[0, 0, 1]],
    ],
)
def test_steps_that_differ_in_numbers_or_parameters_are_not_merged(f: Any) -> None:
    program = record(f, X)
    count = len(program.steps)
    passes.merge_equal(program)
    assert len(program.steps) == count


def test_large_indices_that_print_alike_are_not_merged() -> None:
    places = np.arange(3000)
    others = places.copy()
    others[1500] = 0
    f = tg.compile(lambda x: x[places] - x[others])
    x = np.arange(3000.0)
    np.testing.assert_array_equal(f(x), x - x[others])


def test_equal_leaves_are_not_merged() -> None:
    x, y = tg.Node([1.0, 2.0]), tg.Node([1.0, 2.0])
    recording = record_call(lambda: (np.tanh(x), np.tanh(y)), (), {})
    passes.merge_equal(recording.program)
    assert len(recording.program.steps) == 2
    assert len(recording.program.leaves) == 2


def test_constants_are_folded() -> None:
    program = record(tg.grad(lambda x: np.sum(x[:, 1:] * 3)), X)
    passes.drop_unused(program)
    passes.fold_constants(program)
    assert program.steps == []
    np.testing.assert_array_equal(program.results[0].array, [[0, 3, 3], [0, 3, 3]])


def test_constants_are_joined_and_taken_by_constant_indices() -> None:
    ones, place = (Value(x.shape, x.dtype, array=x) for x in (np.ones(2), np.array([1, 0, 0])))
    joined, taken = Value((4,), ones.dtype), Value((3,), ones.dtype)
    program = Program(results=[joined, taken])
    program.steps = [
        Step(np.concatenate, (ones, ones), {"axis": 0}, (joined,)),
        Step(np.take, (joined,), {"indices": place}, (taken,)),
    ]
    passes.fold_constants(program)
    assert program.steps == []
    np.testing.assert_array_equal(joined.array, np.ones(4))
    np.testing.assert_array_equal(taken.array, np.ones(3))


def test_leaves_are_no_constants() -> None:
    x = tg.Node([1.0, 2.0], requires_grad=False)
    program = record(lambda: np.exp(x) * 2)
    passes.fold_constants(program)
    assert len(program.steps) == 2


def test_what_is_computed_of_arguments_is_not_folded() -> None:
    def f(x: Any) -> Any:
        return np.take_along_axis(x, np.argsort(x, axis=1), axis=1) * 0

    program = record(f, X)
    count = len(program.steps)
    passes.fold_constants(program)
    assert len(program.steps) == count


def test_constant_arrays_of_equal_elements_become_numbers() -> None:
    twos = np.full((2, 3), 2.0)
    assert after(passes.use_numbers, lambda x: x * twos, X) == [
        "t1[2, 3] = np.multiply(x, np.float64(2.0))",
        "return t1",
    ]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] * np.full((2, 3), 2.0),
        lambda x: x @ np.full((3, 2), 2.0),
        lambda x: x * np.array([2.0, 2.0, 3.0]),
        lambda x: x * np.full((2, 3), np.nan),
        lambda x: x[:0] * np.ones((0, 3)),
    ],
    ids=["broadcasts", "no element-wise function", "not equal", "NaN", "empty"],
)
def test_other_constants_stay_arrays(f: Any) -> None:
    def constants(program: Program) -> int:
        return sum(x.array is not None for step in program.steps for x in step.values)

    program = record(f, X)
    before = constants(program)
    assert before == 1
    passes.use_numbers(program)
    assert constants(program) == before


def test_multiplications_by_one_are_dropped() -> None:
    assert after(passes.drop_ones, lambda x: np.sin(x * 1.0), X) == ["t1[2, 3] = np.sin(x)",
                                                                     "return t1"]  # fmt: skip


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 1.0,
        lambda x: np.sin(x.astype("f4") * np.float64(1)),
        lambda x: np.sin(x[0] * np.ones((2, 3))),
        lambda x: np.sin(x + 1.0),
    ],
    ids=["a result", "another dtype", "broadcasts", "a sum"],
)
def test_other_ones_are_not_dropped(f: Any) -> None:
    program = record(f, X)
    count = len(program.steps)
    passes.drop_ones(program)
    assert len(program.steps) == count


def test_double_transposes_cancel() -> None:
    def f(x: Any) -> Any:
        return np.sin(x.T.T)

    assert after(drop_twice(passes.leave_transposes_to_products), f, X) == [
        "t1[2, 3] = np.sin(x)",
        "return t1",
    ]


def drop_twice(change: Callable[[Program], Any]) -> Callable[[Program], Any]:
    """Give a pass with unused steps dropped afterwards."""

    def both(program: Program) -> None:
        passes.drop_unused(change(program))

    return both


def test_a_transposed_large_product_is_the_product_of_the_transposed() -> None:
    def f(x: Any) -> Any:
        return (x.T @ x).T + 1

    program = record(f, X)
    before = run(program, [X])
    passes.drop_unused(passes.leave_transposes_to_products(program))
    for x, y in zip(run(program, [X]), before, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-15)
    (product,) = [step for step in program.steps if step.function is np.matmul]
    transposes = [step for step in program.steps if step.function is np.transpose]
    assert all(x in [step.outputs[0] for step in transposes] for x in product.inputs)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (lambda p: (p.T + 1, p))(x.T @ x),
        lambda x: (lambda p: p.T + p)(x.T @ x),
        lambda x: np.transpose(x.reshape(1, 2, 3), (0, 2, 1)) + 1,
    ],
    ids=["handed back", "read twice", "three axes"],
)
def test_other_transposes_stay(f: Any) -> None:
    before = record(f, X)
    count = len(before.steps)
    passes.drop_unused(passes.leave_transposes_to_products(before))
    assert len(before.steps) == count


def scaled_shapes(f: Callable[..., Any], *arrays: Any) -> list[tuple[int, ...]]:
    """Give the shapes of what is multiplied by a number after the pass."""
    program = record(f, *arrays)
    before = run(program, arrays)
    passes.scale_smaller(program)
    for x, y in zip(run(program, arrays), before, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13, atol=1e-13)
    found = [passes.scale_of(step) for step in program.steps]
    return [x[0].shape for x in found if x is not None]


def test_numbers_move_into_what_is_smaller() -> None:
    assert scaled_shapes(lambda x, w: (x @ w.T) * 0.5, X, W) == [(2, 3)]
    assert scaled_shapes(lambda x, w: (w @ (x.T @ x)) * 0.5, X, W) == [(2, 3)]
    assert scaled_shapes(lambda x: np.sin(x) * 2.0 * 3.0, X) == [(2, 3)]


def test_numbers_stay_where_the_product_is_read_again_or_handed_back() -> None:
    assert scaled_shapes(lambda x, w: (lambda p: (p * 0.5, p))(x @ w.T), X, W) == [(2, 4)]
    assert scaled_shapes(lambda x, w: (lambda p: p * 0.5 + np.sin(p))(x @ w.T), X, W) == [(2, 4)]
    assert scaled_shapes(lambda x: np.sin(x) * 0.5, X) == [(2, 3)]
    assert scaled_shapes(lambda x: np.exp(x @ x.T) * 0.5, X) == [(2, 2)]


def test_a_decay_goes_into_the_step() -> None:
    w = tg.Node(X, name="w")

    def f(x: Any) -> Any:
        return w - (np.sin(x) + w * 0.25)

    recording = record_call(f, (X,), {})
    before = run(recording.program, [X], [X])
    passes.fold_decay(recording.program)
    passes.drop_unused(recording.program)
    text = lines(recording.program)
    np.testing.assert_allclose(run(recording.program, [X], [X])[0], before[0], rtol=1e-13)
    assert any("np.subtract(1, 0.25)" in line for line in text)
    assert not any("np.add" in line for line in text)


@pytest.mark.parametrize(
    "f",
    [
        lambda w, v: w - (np.sin(v) + v * 0.25),
        lambda w, v: w - (np.sin(v) - w * 0.25),
        lambda w, v: (lambda decay: (w - (np.sin(v) + decay), decay))(w * 0.25),
    ],
    ids=["of another", "a difference", "handed back"],
)
def test_other_decays_stay(f: Any) -> None:
    program = record(f, X, X + 1)
    before = lines(program)
    passes.fold_decay(program)
    assert lines(program) == before


def test_sums_of_rows_and_columns_are_products_with_ones() -> None:
    for axis, shape, keepdims in [(0, "[3]", False), (1, "[2]", False), (1, "[2, 1]", True)]:

        def f(x: Any, axis: int = axis, keepdims: bool = keepdims) -> Any:
            return np.sum(x, axis=axis, keepdims=keepdims)

        inputs = "ones, x" if axis == 0 else "x, ones"
        assert after(passes.add_up_by_products, f, X, exact=False)[0] == (
            f"sum{shape} = np.dot({inputs})"
        )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x),
        lambda x: np.sum(x > 0, axis=0),
        lambda x: np.sum(x[None], axis=0),
        lambda x: np.sum(x, axis=0, where=x > 0),
        lambda x: np.sum(np.broadcast_to(x[0], (passes.MOST_ADDED + 1, 3)), axis=0),
        lambda x: np.sum(x.astype("f2"), axis=0),
    ],
    ids=["of all", "of truths", "three axes", "masked", "many", "float16"],
)
def test_other_sums_stay(f: Any) -> None:
    program = record(f, X)
    before = lines(program)
    passes.add_up_by_products(program)
    assert lines(program) == before


def test_products_of_matrices_are_dots() -> None:
    assert after(passes.multiply_by_dot, lambda x, w: w @ x[0], X, W)[-2] == (
        "t3[4] = np.dot(w, t1)"
    )
    stacked = after(passes.multiply_by_dot, lambda x: x[None] @ x.T, X)
    assert any("np.matmul" in line for line in stacked)


def test_numbers_are_boxed_in_the_dtype_that_numpy_casts_them_to() -> None:
    program = record(lambda x: (x * 0.1, x.astype("f4") * 0.1, x * 2, 3 - x), X)
    before = run(program, [X])
    passes.box_numbers(program)
    for x, y in zip(run(program, [X]), before, strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype
    boxed = [x for step in program.steps for x in step.values if x.array is not None]
    assert [x.dtype for x in boxed] == ["f8", "f4", "f8", "f8"]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.astype("f4") * np.float64(2),
        lambda x: np.isnan(x) * 2,
        lambda x: x * 2j,
        lambda x: x.astype("f2") * 1e6,
        lambda x: x * np.inf,
        lambda x: np.argsort(x) + 1,
    ],
    ids=["another dtype", "truths", "complex", "beyond the dtype", "infinite", "whole numbers"],
)
def test_other_numbers_are_not_boxed(f: Any) -> None:
    with np.errstate(over="ignore"):
        program = record(f, X)
    before = lines(program)
    passes.box_numbers(program)
    assert lines(program) == before


# What all of them have in common

ALL = list(dict.fromkeys(passes.PASSES))
EXACT = {
    passes.drop_unused, passes.merge_equal, passes.fold_constants, passes.use_numbers,
    passes.drop_ones, passes.box_numbers,
}  # fmt: skip
"""Passes that leave every bit as it is."""


@pytest.mark.parametrize("change", ALL, ids=lambda x: x.__name__)
@given(graph=graphs(), is_gradient=st.booleans())
def test_a_pass_changes_no_value(
    change: Callable[[Program], Any], graph: Graph, is_gradient: bool
) -> None:
    def total(*inputs: Any) -> Any:
        out = graph(*inputs)
        return sum(np.sum(np.sin(x)) for x in (out if isinstance(out, tuple) else (out,)))

    function = tg.value_and_grad(total, tuple(range(len(graph.inputs)))) if is_gradient else graph
    program = record(function, *graph.inputs)
    before = run(program, graph.inputs)
    change(program)
    for x, y in zip(run(program, graph.inputs), before, strict=True):
        if change in EXACT:
            np.testing.assert_array_equal(x, y)
        else:
            scale = np.max(np.abs(y), initial=0)
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("change", ALL, ids=lambda x: x.__name__)
def test_a_pass_changes_no_value_of_a_training_step(change: Callable[[Program], Any]) -> None:
    model = Model(lambda x: tg.optim.SGD(x, 0.1, momentum=0.9, weight_decay=0.1))
    recording: Recording = record_call(model.step, (model.x, model.y), {})
    given_ = [model.x, model.y], [x._value for x in recording.leaves], [np.float64(0.1)]
    before = run(recording.program, *given_)
    change(recording.program)
    for x, y in zip(run(recording.program, *given_), before, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def test_the_order_of_passes_ends_with_nothing_unused() -> None:
    model = Model()
    program = record(model.step, model.x, model.y)
    for change in passes.PASSES:
        change(program)
    count = len(program.steps)
    passes.drop_unused(program)
    assert len(program.steps) == count


def test_without_simplification_the_program_is_as_recorded() -> None:
    f = tg.compile(lambda x: np.sin(x * 1.0) + np.sin(x * 1.0) + np.zeros(3), simplify=False)
    f(X)
    text = f.explain()
    assert "as before" in text
    assert text.count(":\n") == 1
