"""Indices in odd forms, functional updates, and functions that move elements."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.test_protocols import VALUES, check, compute, expressions, variables_in
from tests.test_rules import assert_same_bits, random_like

ODD_INDICES = """
x[((0, 0), 1)]   x[(0, 0), :]   x[:, (0, 2, 0)]   x[[0, 0], (1, 1)]   v[range(2)]
x[:, range(0, 3, 2)]   x[[[0, 1], [1, 1]], 0]   t[[0, 0], :, [1, 1]]   t[:, [0, 0], None, [1, 1]]
t[0, :, (1, 1)]   x[[]]   v[[[]]]   x[:, ()]   x[(), ()]   x[[], 0]   x[[[], []]]
v[None, [0, 0]]   x[True]   x[False]   x[True, 0]   x[None, True, ..., 0]   s[True]
s[None, True]   x[np.True_, [0, 0]]   x[np.array([True, True]), (0, 0)]
x[np.array([True, False]), V > 1]   t[MASK, (1, 1, 1)]   x[[True, True], [0, 1]]
x[np.array(0), np.array([1, 1])]   v[np.array(-1)]   t[..., np.array(0), :]   x[np.int8(1), -1]
t[::-1, ::-2, -1:-4:-1]   v[5:0:-1]   v[-100:100]   x[1:1]   t[..., None, None]
t[None, ..., 0, None]   x[np.ix_([1, 0, 1], [2, 2])]   x[np.ix_([True, False], [0, 2])]
t[np.ix_([0], [1, 1], [3])]   x[np.nonzero(MASK)]   x[tuple(np.argwhere(MASK).T)]
x[np.where(MASK)]   x[np.s_[1:, 0]]   x[np.diag_indices(2)]   z[np.tril_indices(2)]
x[np.unravel_index([0, 5, 5], (2, 3))]   x[slice(np.int64(0), np.array(1)), ::np.int8(2)]
"""


@pytest.mark.parametrize("expression", expressions(ODD_INDICES))
def test_indices_in_odd_forms(expression: str) -> None:
    check(expression)


def integer(x: Any) -> Any:
    return tg.Node(np.asarray(x), requires_grad=False)


@pytest.mark.parametrize(
    ("of_nodes", "plain"),
    [
        (lambda x: x[integer(1)], lambda x: x[1]),
        (lambda x: x[integer(-1), integer([0, 0])], lambda x: x[-1, [0, 0]]),
        (lambda x: x[[integer(0), integer(0)]], lambda x: x[[0, 0]]),
        (lambda x: x[integer(0) : integer(1)], lambda x: x[0:1]),
        (lambda x: x[:, :: integer(2)], lambda x: x[:, ::2]),
        (lambda x: x[integer([[True, False, True]] * 2)], lambda x: x[[[True, False, True]] * 2]),
        (lambda x: np.take(x, integer([0, 5])), lambda x: np.take(x, [0, 5])),
        (lambda x: np.take(x, [integer(2)], 1), lambda x: np.take(x, [2], 1)),
        (
            lambda x: np.take_along_axis(x, integer([[0, 0]]), 1),
            lambda x: np.take_along_axis(x, np.array([[0, 0]]), 1),
        ),
        (
            lambda x: np.compress(integer([True, False]), x, axis=0),
            lambda x: np.compress([True, False], x, axis=0),
        ),
        (lambda x: np.insert(x, integer(1), 2.0, 1), lambda x: np.insert(x, 1, 2.0, 1)),
        (lambda x: np.choose(integer([0, 1, 0]), x), lambda x: np.choose([0, 1, 0], x)),
        (lambda x: x[np.ix_(integer([1, 0]), [0, 0])], lambda x: x[np.ix_([1, 0], [0, 0])]),
    ],
)
def test_nodes_of_whole_numbers_are_indices(of_nodes: Any, plain: Any) -> None:
    x = tg.Node(VALUES["x"])
    out = of_nodes(x)
    assert_same_bits(out.value, plain(x.value))
    cotangent = random_like(out, seed=0)
    out.backward(cotangent)
    assert_gradients([x.grad], numeric_vjp(plain, [VALUES["x"]], cotangent))


@pytest.mark.parametrize(
    "index",
    [[0, 0], (0, 0), range(2), np.array([0, 1])],
    ids=["list", "tuple", "range", "array"],
)
def test_a_later_change_of_an_index_does_not_reach_what_was_made_of_it(index: Any) -> None:
    before = np.array(index)
    x = tg.Node(VALUES["x"])
    place = x.at[index, 1:] if isinstance(index, tuple) else x.at[index]
    if not isinstance(index, tuple | range):
        index[0] = 1
    at = (before, slice(1, None)) if isinstance(index, tuple) else before
    assert_same_bits(place.get().value, VALUES["x"][at])


OUT_OF_RANGE: list[Callable[[Any], Any]] = [
    lambda x: x[2],
    lambda x: x[-3],
    lambda x: x[0, 3],
    lambda x: x[[0, 2]],
    lambda x: x[0, 0, 0],
    lambda x: x[..., ...],
    lambda x: x[[True, False, True]],
    lambda x: x[np.ones((3, 2), bool)],
    lambda x: x[[0, 1], [0, 1, 2]],
    lambda x: x[1.0],
    lambda x: x[[0.5]],
    lambda x: x[0.0:1.0],
    lambda x: x["a"],
    lambda x: x[["a"]],
    lambda x: x[np.zeros(1)],
    lambda x: x[::0],
    lambda x: np.take(x, 6),
    lambda x: np.take(x, [0, 3], 1),
    lambda x: np.take(x, 0, 2),
    lambda x: np.take(x, 0, mode="other"),
    lambda x: np.take_along_axis(x, np.array([0]), 1),
    lambda x: np.take_along_axis(x, np.array([[0.5]]), 1),
    lambda x: np.take_along_axis(x, np.array([[3]]), 1),
    lambda x: np.compress([True] * 4, x, 1),
    lambda x: np.compress([[True]], x),
    lambda x: np.choose([2], x),
    lambda x: np.delete(x, 6),
    lambda x: np.insert(x, 7, 0.0),
    lambda x: np.insert(x, 0, [1.0, 2.0, 3.0], axis=1),
    lambda x: np.repeat(x, [1, 2, 3, 4], 1),
    lambda x: np.repeat(x, -1),
    lambda x: np.roll(x, (1, 2), (0, 5)),
    lambda x: np.flip(x, 2),
    lambda x: np.fliplr(x[0]),
    lambda x: np.rot90(x, axes=(0, 0)),
    lambda x: np.diagonal(x, 0, 1, 1),
    lambda x: np.diagonal(x[0]),
    lambda x: np.diag(x[None]),
    lambda x: np.trace(x[0]),
    lambda x: np.ix_(x, x),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, (3, 1)),
    lambda x: np.lib.stride_tricks.sliding_window_view(x, 2),
    lambda x: np.resize(x, (-1, 2)),
]


@pytest.mark.parametrize("number", range(len(OUT_OF_RANGE)))
def test_what_numpy_refuses_is_refused_alike(number: int) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        OUT_OF_RANGE[number](VALUES["x"])
    with pytest.raises(type(expected.value)):
        OUT_OF_RANGE[number](tg.Node(VALUES["x"]))


def test_an_index_out_of_range_is_noted_with_the_shape() -> None:
    with pytest.raises(IndexError, match="out of bounds") as error:
        tg.Node(VALUES["x"])[7]
    assert error.value.__notes__ == ["in tinygraph's getitem of shapes (2, 3)"]


UPDATES = """
x.at[0:1].set(y[None, :1])   v.at[0:2].set(w[None])   v.at[[0, 0]].set(w[None, None])
x.at[:, [1, 1]].set(w[None, :, None])   t.at[0, :, ::2].set(z[None])
x.at[...].set(t[None, :, :, 0])   x.at[(0, 0), 1].add(w)   x.at[range(2)].add(y)
x.at[None, True].add(v)   x.at[[], 0].add(s)   x.at[MASK].set(s)   x.at[MASK].add(y[MASK])
x.at[np.ix_([1, 1], [0, 2])].add(z[:2])   x.at[np.diag_indices(2)].set(w)
t.at[::-1, [0, 0]].add(x[:, :2, None])   x.at[0].set([1.0, 2.0, 3.0])   x.at[1, ::-1].set(v)
x.at[-1, -1].add(s)   s.at[None].set(w[:1])
"""


@pytest.mark.parametrize("expression", expressions(UPDATES))
def test_updates_have_gradients_of_two_orders(expression: str) -> None:
    names = variables_in(expression)
    arrays = [VALUES[name] for name in names]

    def updated(*values: Any) -> Any:
        nodes = [x if isinstance(x, tg.Node) else tg.Node(x) for x in values]
        return compute(expression, dict(zip(names, nodes, strict=True)))

    def gradients(*values: Any) -> Any:
        return tg.vjp(lambda *at: np.sin(updated(*at)), *values)[1](cotangent)

    cotangent = random_like(updated(*arrays), seed=4)
    weights = tuple(random_like(x, seed=5) for x in arrays)
    first = tg.vjp(updated, *arrays)[1](cotangent)
    assert_gradients(first, numeric_vjp(lambda *at: updated(*at).value, arrays, cotangent))
    second = tg.vjp(gradients, *arrays)[1](weights)
    assert_gradients(second, numeric_vjp(gradients, arrays, weights))


def test_an_index_of_an_index_is_refused() -> None:
    with pytest.raises(TypeError, match="subscriptable"):
        tg.Node(VALUES["x"]).at[0][1].set(0)


def assign(array: np.ndarray, index: Any, values: Any) -> np.ndarray:
    array = array.copy()
    array[index] = np.asarray(values)
    return array


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (slice(0, 2), [[5.0, 6.0]]),
        (slice(0, 2), [[[5.0]]]),
        ([0, 0], [[5.0, 6.0]]),
        (np.array([[0, 1]]), [[[5.0, 6.0]]]),
        ((0, 2), 7.0),
    ],
)
def test_what_is_set_is_what_numpy_assigns(index: Any, values: Any) -> None:
    array = VALUES["v"] if not isinstance(index, tuple) else VALUES["x"]
    actual = tg.Node(array).at[index].set(tg.Node(values))
    assert_same_bits(actual.value, assign(array, index, values))


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (slice(0, 2), [1.0, 2.0, 3.0]),
        (slice(0, 2), [[1.0, 2.0], [3.0, 4.0]]),
        (0, [1.0]),
        (np.array([True, False, True]), [[1.0, 2.0]]),
    ],
)
def test_values_that_numpy_would_not_assign_are_refused_alike(index: Any, values: Any) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        assign(VALUES["v"], index, values)
    with pytest.raises(type(expected.value)):
        tg.Node(VALUES["v"]).at[index].set(tg.Node(values))


def test_the_gradient_of_reads_that_repeat_has_the_bits_of_add_at() -> None:
    """Gradients add up in the order of the index, whichever way they are added."""
    generator = np.random.default_rng(1)
    for shape, dtype in [((3, 40), "float32"), ((40, 3), "float64"), ((500,), "float32")]:
        index = generator.integers(0, shape[0], 300)
        x = tg.Node(np.zeros(shape, dtype))
        cotangent = generator.normal(size=(300, *shape[1:])).astype(dtype)
        x[index].backward(cotangent)
        expected = np.zeros(shape, dtype)
        np.add.at(expected, index, cotangent)
        assert_same_bits(x.grad, expected)


FORMS = """
np.roll(x, 1)   np.roll(x, -2, axis=1)   np.roll(x, (1, 2), (0, 1))
np.roll(x, shift=[1], axis=(0,))   np.roll(x, 1, (0, 1))   np.roll(x, 2, (1, 1))
np.roll(t, np.array([1, -1, 3]), (0, 1, 2))   np.roll(s, 3)   np.flip(t)   np.flip(t, (0, -1))
np.flip(s)   np.flipud(v)   np.fliplr(x)   np.rot90(t, 3, (1, -1))   np.repeat(x, 2)
np.repeat(x, [1, 0, 2], axis=1)   np.repeat(x, COUNTS, -1)   np.repeat(s, 3)
np.repeat(x, np.array([2]), 0)   np.repeat(v, (1, 2, 0))   x.repeat(2, 0)
np.repeat(x[:, :0], 2, 1)   np.repeat(s, 2, 0)   np.tile(x, 2)   np.tile(v, (2, 1))
np.tile(s, (2, 3))   np.tile(t, [2, 1])   np.tile(x, ())   np.tile(x, 0)
np.tile(x, np.array([1, 2, 1, 1]))   np.diagonal(x, 1)   np.diagonal(x, -1)
np.diagonal(t, 0, 2, 0)   np.diagonal(x, 7)   np.diagonal(t, axis1=-1)   x.diagonal()
t.diagonal(1, 1, 2)   np.diag(v)   np.diag(x)   np.diag(x, 1)   np.diag(v, k=-2)   np.diag(x, 5)
np.diagflat(x, 1)   np.diagflat(s)   np.trace(x)   np.trace(t, 1, 2, 0)   x.trace(offset=1)
np.trace(x, dtype=np.complex128)   t.trace()   np.tril(x)   np.tril(t, -1)   np.triu(x, 1)
np.triu(v)   np.take(x, 4)   np.take(x, [[0, 1], [5, 5]])   np.take(x, [0, 0], axis=1)
np.take(t, [1], 0, None, 'wrap')   np.take(x, [-9, 9, 4], mode='clip')
np.take(x, [-9, 9, 4], 1, mode='wrap')   x.take(3)   x.take([0], 1)   np.take(x, [-1, -1], -1)
np.take(s, 0)   np.take(s, [0, 0], 0)   np.take(x, [])   np.take(x, ((0, 1),), 1)
np.take_along_axis(x, np.array([[2, 2], [0, 1]]), 1)   np.take_along_axis(x, I, None)
np.take_along_axis(x, np.array([[0, 1, 1]]), axis=0)   np.take_along_axis(x, np.argsort(x), -1)
np.compress([False, True], x, axis=1)   np.compress([True, False, True], x)
x.compress([True], 0)   x.compress(MASK[0], axis=1, out=None)   np.extract(x > 1.2, x)
np.extract(MASK, Y * s)   np.choose([0, 1, 0], [v, w[:1]])   np.choose(MASK * 1, (x, 2.0))
np.choose([3, -1], [w, W], mode='wrap')   np.choose(np.array([1, 0, 5]), x, None, 'clip')
np.choose([0], [s, 1])   np.insert(x, 1, v, 0)   np.insert(x, 1, s, axis=1)
np.insert(x, [0, 2], z.T[:, :2], 1)   np.insert(v, 3, w)   np.insert(x, 2, w)
np.insert(V, [1, 1], w)   np.insert(x, slice(0, 2), 5.0, 1)   np.insert(x, -1, [1, 2], 1)
np.insert(X, 0, v, 0)
np.insert(x, 0, w, axis=1)   np.delete(x, 1, 0)   np.delete(x, [0, 2], axis=1)
np.delete(x, slice(None, None, 2))   np.delete(x, -1)
np.delete(x, np.array([True, False, True]), 1)   np.delete(v, [])   np.delete(t, [0, 0], 2)
np.resize(x, (3, 4))   np.resize(x, 2)   np.resize(s, (2, 2))   np.resize(v, [7])
np.resize(x[:0], 3)   np.lib.stride_tricks.sliding_window_view(x, (1, 2))
np.lib.stride_tricks.sliding_window_view(v, 2)
np.lib.stride_tricks.sliding_window_view(t, 2, axis=1)
np.lib.stride_tricks.sliding_window_view(t, window_shape=(2, 2), axis=(0, -1))
np.trim_zeros(np.concatenate([V * 0, v, [0]]))   np.trim_zeros(v * [0, 1, 0], 'f')
np.trim_zeros(v * [0, 1, 0], trim='B')   np.trim_zeros(v * 0)   np.ix_(v, w)[0]   np.ix_(V, w)[1]
"""


@pytest.mark.parametrize("expression", expressions(FORMS))
def test_functions_that_move_elements_take_the_arguments_of_numpy(expression: str) -> None:
    check(expression)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.2.0", reason="NumPy trims vectors")
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_zeros_are_trimmed_along_axes(axis: Any) -> None:
    array = np.pad(VALUES["x"], ((1, 2), (0, 1)))
    x = tg.Node(array)
    out = np.trim_zeros(x, axis=axis)
    assert_same_bits(out.value, np.trim_zeros(array, axis=axis))
    out.backward(np.ones(out.shape))
    assert np.sum(x.grad) == out.size
    assert np.all(x.grad[array != 0] == 1)


def test_counts_and_places_in_lists_are_copied() -> None:
    shift, counts = [1], [1, 2, 3]
    x = tg.Node(VALUES["v"])
    rolled, repeated = np.roll(x, shift, (0,)), np.repeat(x, counts)
    shift[0] = 2
    counts[0] = 3
    rolled.backward(np.array([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [10.0, 100.0, 1.0]
    x.grad = None
    repeated.backward(np.ones(6))
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


IN_PLACE = {
    "np.put(x, [0], 1.0)": "np.ravel(node).at[indices].set(values)",
    "np.place(x, MASK, [1.0])": "node.at[mask].set(values)",
    "np.putmask(x, MASK, 1.0)": "np.where(mask, values, node)",
    "np.copyto(x, 1.0)": "np.where(where, source, node)",
    "np.copyto(X.copy(), x)": "np.where(where, source, node)",
    "np.put_along_axis(x, I[:, None], 1.0, 0)": "node.at[index].set(values)",
    "np.fill_diagonal(x, 1.0)": "node.at[np.diag_indices_from(node)].set(value)",
}


@pytest.mark.parametrize("expression", IN_PLACE)
def test_functions_that_write_in_place_say_what_to_write(expression: str) -> None:
    with pytest.raises(TypeError, match=re.escape(IN_PLACE[expression])) as error:
        compute(expression, {"x": tg.Node(VALUES["x"])})
    assert expression.split("(")[0] in str(error.value)


def test_a_strided_view_of_a_node_is_refused() -> None:
    with pytest.raises(TypeError, match=r"node\.value"):
        np.lib.stride_tricks.as_strided(tg.Node(VALUES["x"]), (2, 2), (8, 8))


@pytest.mark.parametrize("name", ["take", "compress", "choose", "trace"])
def test_results_are_not_written_into_arrays(name: str) -> None:
    out = np.zeros(())
    calls = {
        "take": lambda x: np.take(x, 0, None, out),
        "compress": lambda x: np.compress([True], x, None, out),
        "choose": lambda x: np.choose([0], x, out),
        "trace": lambda x: x.trace(out=out),
    }
    with pytest.raises(TypeError, match=f"{name} with out="):
        calls[name](tg.Node(VALUES["x"]))
    assert out == 0
