"""Functions that join arrays and take them apart: forms, lists with Nodes, iteration, refusals."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_protocols import VALUES, check, compute, expressions
from tests.test_rules import assert_same_bits
from tinygraph.bundle import Contributions
from tinygraph.rules.joining import cut

FORMS = """
np.concatenate([x, Y], dtype=complex)   np.concatenate([v, [1, 2]], casting='safe')
np.concatenate((v, w), dtype='float64', casting='unsafe')   np.concatenate([s, 2.0, S], axis=None)
np.concatenate(x)   np.concatenate(t, 1)   np.concatenate(t, axis=None)
np.concat([x, y], axis=-1)   np.concatenate([x, [[1, 2, 3]]])   np.concatenate((v,))
np.stack([s, 1])   np.stack([v, (1, 2, 3)], dtype=complex)   np.stack(x, 1)
np.stack((x, Y), axis=-1)   np.stack([v, V], 0, casting='safe')   np.stack([np.float32(1), s])
np.vstack([v, x, [[7, 8, 9]]])   np.vstack((s, 2.0))   np.vstack(t)
np.vstack([v], dtype=complex)   np.hstack([v, w, 3.0])   np.hstack((x, y, Z[:2]))
np.hstack([s, S])   np.hstack(x)   np.hstack([[1, 2], v], dtype='complex128', casting='same_kind')
np.dstack([v, [1, 2, 3]])   np.dstack((x, Y))   np.dstack([t, T])   np.dstack([s, 1])
np.column_stack([v, V, x.T])   np.column_stack((w, [1, 2]))   np.column_stack([s, 2.0])
np.append(x, y)   np.append(x, Y, axis=0)   np.append(v, 2.0)   np.append([1, 2], s)
np.append(x, [[1, 2, 3]], 0)   np.append(X, x, 1)   np.append(s, s)   np.block([x, y])
np.block([[x, Y], [z.T, y]])   np.block([[s, v], [w[:, None], x]])   np.block(s)
np.block([v, 2.0, [1.0]][:2])   np.block([[1.0, s]])   np.block([[[x]], [[y]]])
np.block([t, x[..., None]])   np.block([[np.eye(2), x], [x.T, np.zeros((3, 3))]])   np.block([x])
np.block([[v], [V]])   np.split(x, 3, 1)[1]   np.split(x, [1, 2], axis=1)[2]
np.split(v, [-1])[0]   np.split(v, (2, 1))[1]   np.split(v, [2, 0])[2]   np.split(v, [5])[0]
np.split(v, [0])[1]   np.split(v, np.array([1]))[1]   np.array_split(v, 2)[0]
np.array_split(x, 2, 1)[1]   np.array_split(v, 5)[1]   np.array_split(t, [1, 3], -1)[1]
np.hsplit(x, 3)[0]   np.hsplit(v, [1])[1]   np.vsplit(x, 2)[1]   np.dsplit(t, [1, 2])[1]
np.unstack(x)[1]   np.unstack(t, axis=1)[2]   np.unstack(t, axis=-1)[0]   np.unstack(v)[2]
np.apply_along_axis(np.sum, 0, t)   np.apply_along_axis(lambda r: r[::-1] * s, 1, x)
np.apply_along_axis(lambda r, k, c=1: r[:k] * c, 1, x, 2, c=3.0)
np.apply_along_axis(np.outer, 1, t, V[:2])   np.apply_along_axis(np.diag, -1, x)
np.apply_along_axis(np.tanh, 0, v)   np.apply_along_axis(np.max, 0, v)
np.apply_along_axis(lambda r: r.reshape(1, 2, 2), 2, t)   np.apply_over_axes(np.sum, t, [0, 2])
np.apply_over_axes(np.mean, t, 1)   np.apply_over_axes(np.max, x, (0, -1))
"""


@pytest.mark.parametrize("expression", expressions(FORMS))
def test_functions_take_the_arguments_of_numpy(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("dtype", ["float32", "float16", "complex64"])
@pytest.mark.parametrize(
    "join",
    [
        lambda x: np.append(x, 1.0),
        lambda x: np.append(x[0], 1.0),
        lambda x: np.append(1.0, x),
        lambda x: np.hstack([x, 1.0]),
        lambda x: np.vstack([x, [1.0, 2.0]]),
        lambda x: np.dstack([x, [1.0, 2.0]]),
        lambda x: np.column_stack([x, [1, 2]]),
        lambda x: np.stack([x[0], 1.0]),
        lambda x: np.concatenate([x, 1.0], axis=None),
        lambda x: np.concatenate([x, np.ones(1, np.int8)]),
        lambda x: np.block([x, 1.0]),
        lambda x: np.block([[x], [np.ones(2, np.float32)]]),
        lambda x: np.insert(x, 0, 1.0),
        lambda x: np.choose([0, 1], [x, 1.0]),
    ],
)
def test_numbers_beside_narrow_arrays_promote_as_in_numpy(join: Any, dtype: str) -> None:
    x = tg.Node(np.array([1.5, 2.5], dtype))
    out = join(x)
    assert_same_bits(out.value, join(x.value))
    out.backward(np.ones(out.shape, out.dtype))
    assert (x.grad.dtype, x.grad.shape) == (x.dtype, x.shape)


REFUSED: list[Callable[[Any], Any]] = [
    lambda x: np.concatenate([x, x[0]]),
    lambda x: np.concatenate([x, x[:, :2]]),
    lambda x: np.concatenate([x, x], axis=2),
    lambda x: np.concatenate([x, x], dtype=int),
    lambda x: np.concatenate([x, x], dtype="float32", casting="safe"),
    lambda x: np.stack([x, x[0]]),
    lambda x: np.stack([x, x], axis=4),
    lambda x: np.vstack([x, x[:, :1]]),
    lambda x: np.hstack([x, x[:1]]),
    lambda x: np.dstack([x, x.T]),
    lambda x: np.column_stack([x, x.T]),
    lambda x: np.append(x, x[0], axis=0),
    lambda x: np.block([[x, x], x]),
    lambda x: np.block([[x], []]),
    lambda x: np.block([(x, x)]),
    lambda x: np.block([[x, x.T]]),
    lambda x: np.split(x, 2, axis=1),
    lambda x: np.split(x, 3, axis=2),
    lambda x: np.array_split(x, 0),
    lambda x: np.vsplit(x[0], 1),
    lambda x: np.dsplit(x, 1),
    lambda x: np.hsplit(x[0, 0], 1),
    lambda x: np.unstack(x[0, 0]),
    lambda x: np.unstack(x, axis=2),
    lambda x: np.apply_along_axis(np.sum, 2, x),
    lambda x: np.apply_along_axis(np.sum, 1, x[:0]),
    lambda x: np.apply_over_axes(lambda a, axis: a[0, 0], x, [0]),
    lambda x: np.apply_over_axes(np.sum, x, 5),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_numpy_refuses_is_refused_alike(number: int) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        REFUSED[number](VALUES["x"])
    with pytest.raises(type(expected.value)):
        REFUSED[number](tg.Node(VALUES["x"]))


@pytest.mark.parametrize(
    "expression", ["np.array([v, v])", "np.asarray([s, 1])", "np.vstack([[s, s], v])"]
)
def test_a_list_of_nodes_in_place_of_an_array_is_refused_with_advice(expression: str) -> None:
    with pytest.raises(TypeError, match=r"np\.stack\(\[\.\.\.\]\) for lists of Nodes"):
        compute(expression, {"v": tg.Node(VALUES["v"]), "s": tg.Node(VALUES["s"])})


@pytest.mark.parametrize("function", [np.vstack, np.hstack, np.dstack, np.column_stack])
def test_joins_are_not_written_into_arrays(function: Any) -> None:
    x = tg.Node(VALUES["x"])
    with pytest.raises(TypeError, match="out"):
        function([x, x], out=np.zeros((4, 3)))


def test_pieces_of_an_array_are_a_list_and_slices_a_tuple() -> None:
    x = tg.Node(VALUES["x"])
    for pieces in (np.split(x, 3, 1), np.array_split(x, 2), np.hsplit(x, 3), np.vsplit(x, 1)):
        assert type(pieces) is list
    assert type(np.unstack(x)) is tuple
    assert np.unstack(x[:0]) == ()


def test_pieces_that_overlap_or_leave_some_out_add_up() -> None:
    x = tg.Node(np.arange(5.0))
    first, second, third = np.split(x, [3, 1])
    np.sum(first + 0).backward()
    (10 * np.sum(third)).backward()
    assert second.shape == (0,)
    assert x.grad.tolist() == [1, 11, 11, 10, 10]


def test_pieces_and_elements_of_whole_numbers_are_nodes() -> None:
    labels = tg.Node(np.arange(4), requires_grad=False)
    for part in [*np.split(labels, 2), *np.unstack(labels), *labels]:
        assert isinstance(part, tg.Node)
        assert part.dtype == labels.dtype


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 2, 2), (0,), (0, 2), (2, 0)])
def test_iteration_gives_what_is_along_the_first_axis(shape: Any) -> None:
    array = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    x = tg.Node(array)
    rows = list(x)
    assert len(rows) == shape[0]
    for row, expected in zip(rows, array, strict=True):
        assert_same_bits(row.value, expected)
    if rows:
        sum(np.sum(row**2) * i for i, row in enumerate(rows)).backward()
        weights = np.arange(shape[0]).reshape((-1, *(1,) * (len(shape) - 1)))
        np.testing.assert_array_equal(x.grad, 2 * array * weights)


def test_elements_have_derivatives_of_any_order() -> None:
    def f(x: Any) -> Any:
        a, b, c = x
        return a * b**2 * c**3

    x = np.array([2.0, 3.0, 5.0])
    a, b, c = x
    third = tg.jacobian(tg.hessian(f))(x)
    assert third[0, 1, 2] == 2 * b * 3 * c**2
    assert third[2, 2, 2] == a * b**2 * 6
    assert third[0, 0, 1] == 0


def test_an_element_used_twice_and_one_not_used_have_their_gradients() -> None:
    x = tg.Node([2.0, 3.0, 5.0])
    a, _, c = x
    (a * c + a).backward()
    assert x.grad.tolist() == [6.0, 0.0, 2.0]
    (a * 1.0).backward()
    assert x.grad.tolist() == [7.0, 0.0, 2.0]


def test_the_gradient_of_a_loop_is_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"rule": 0, "sum": 0}
    rule, add_up = cut.rule, Contributions._added_up

    def counted_rule(*args: Any, **params: Any) -> Any:
        counts["rule"] += 1
        return rule(*args, **params)

    def counted_sum(self: Contributions) -> Any:
        counts["sum"] += 1
        return add_up(self)

    monkeypatch.setattr(cut, "rule", counted_rule)
    monkeypatch.setattr(Contributions, "_added_up", counted_sum)
    x = tg.Node(np.ones((1000, 2)))
    sum(np.sum(row * i) for i, row in enumerate(x)).backward()
    assert x.grad[:, 1].tolist() == list(range(1000))
    assert counts == {"rule": 1, "sum": 1}


def test_a_loop_over_many_elements_is_freed_without_recursion() -> None:
    gc.disable()
    try:
        x = tg.Node(np.ones(100_000))
        total = 0
        for element in x:
            total = total + element
        total.backward()
        assert np.all(x.grad == 1)
        del total, element
    finally:
        gc.enable()


def test_plain_results_along_an_axis_are_a_plain_array() -> None:
    x = tg.Node(VALUES["x"])
    for function in (np.argmax, lambda row: 2.0, lambda row: [1, 2]):
        actual = np.apply_along_axis(function, 1, x)
        assert type(actual) is np.ndarray
        np.testing.assert_array_equal(actual, np.apply_along_axis(function, 1, VALUES["x"]))
