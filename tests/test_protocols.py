"""Plain NumPy code on Nodes does what it does on arrays, and has the derivative it should have."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.samples import drawing, indexing
from tests.test_rules import assert_same_bits, random_like

SHAPES = {"s": (), "v": (3,), "w": (2,), "x": (2, 3), "y": (2, 3), "z": (3, 2), "t": (2, 3, 4)}
"""Variables of the expressions below; in capitals they stand for plain arrays of these shapes."""


def expression_values() -> dict[str, np.ndarray]:
    """Give distinct numbers between 0.4 and 2.8, none at a kink of x % 2 or 2 % x or abs(x)."""
    candidates = np.arange(0.4, 2.8, 0.0131)
    multiples = np.stack([2 * candidates, 2 / candidates])
    away = np.all(np.abs(multiples - np.rint(multiples)) > 0.02, axis=0)
    pool = np.random.default_rng(7).permutation(candidates[away])
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    pieces = np.split(pool[: sum(sizes)], np.cumsum(sizes)[:-1])
    return {name: piece.reshape(SHAPES[name]) for name, piece in zip(SHAPES, pieces, strict=True)}


VALUES = expression_values()
CONSTANTS = {
    **{name.upper(): value for name, value in VALUES.items()},
    "MASK": VALUES["x"] > 1.3,
    "I": np.array([0, -1, 0]),
    "COUNTS": np.array([1, 2, 3], dtype=np.int8),
    "np": np,
}


def compute(expression: str, variables: dict[str, Any]) -> Any:
    """Evaluate an expression given as text, which the test's name then shows."""
    return eval(expression, {**CONSTANTS, **variables})


def variables_in(expression: str) -> list[str]:
    return [name for name in SHAPES if re.search(rf"\b{name}\b", expression)]


def assert_like_numpy(f: Callable[..., Any], *arrays: np.ndarray) -> None:
    """Compare value, dtype and gradient of `f` on Nodes with NumPy's and finite differences."""
    nodes = [tg.Node(x) for x in arrays]
    out = f(*nodes)
    assert isinstance(out, tg.Node)
    assert_same_bits(out.value, f(*(x.value for x in nodes)))
    cotangent = random_like(out, seed=3)
    _, pullback = tg.vjp(f, *arrays)
    assert_gradients(pullback(cotangent), numeric_vjp(f, arrays, cotangent))


def check(expression: str) -> None:
    names = variables_in(expression)
    assert_like_numpy(
        lambda *values: compute(expression, dict(zip(names, values, strict=True))),
        *(VALUES[name] for name in names),
    )


VECTORS = ["V", "v", "[0.7, 1.2, 0.9]", "(1, 2, 3)", "COUNTS"]
NUMBERS = ["S", "s", "2", "0.7", "True", "V[0]", "np.float32(1.75)", "np.int64(2)", "np.float64(2)"]
NUMBERS += ["np.bool_(True)", "np.int8(3)"]
OPERATIONS = [
    *itertools.product(["+", "-", "*", "/", "**", "%", "//"], [*VECTORS, *NUMBERS, "Y", "y"]),
    *itertools.product(["+", "-", "*", "/", "**"], ["1j", "np.complex64(1j)"]),
    *itertools.product(["@"], VECTORS),
]


@pytest.mark.parametrize(("operator", "other"), OPERATIONS)
def test_operators_take_what_numpy_takes_on_either_side(operator: str, other: str) -> None:
    check(f"x {operator} {other}")
    check(f"{other} {operator} {'x.T' if operator == '@' else 'x'}")


@pytest.mark.parametrize("expression", ["-x", "+x", "abs(x - 1.33)", "abs(x)", "-abs(-s)"])
def test_unary_operators(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 1.5, 2.0, -1.0, -0.5, True])
def test_powers_of_numbers_have_the_bits_of_numpy(dtype: str, exponent: Any) -> None:
    for value in [VALUES["x"].astype(dtype), VALUES["s"].astype(dtype)]:
        assert_same_bits((tg.Node(value) ** exponent).value, value**exponent)
        for kind in [np.float64, np.float32, np.array]:
            out = tg.Node(value) ** kind(exponent)
            assert_same_bits(out.value, np.power(value, kind(exponent)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("other", ["2.5", "2", "np.float32(2)", "np.float64(2)", "True", "V", "S"])
@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "//", "%"])
def test_numbers_promote_as_in_numpy(dtype: str, other: str, operator: str) -> None:
    x = tg.Node(VALUES["x"].astype(dtype))
    for expression in [f"x {operator} {other}", f"{other} {operator} x"]:
        actual = compute(expression, {"x": x})
        assert_same_bits(actual.value, compute(expression, {"x": x.value}))


@pytest.mark.parametrize("other", ["None", "'text'", "{1: 2}", "np.array([None] * 3)", "object()"])
@pytest.mark.parametrize("operator", ["+", "*", "@", "**"])
def test_operators_refuse_what_holds_no_numbers(other: str, operator: str) -> None:
    for expression in [f"v {operator} {other}", f"{other} {operator} v"]:
        with pytest.raises(TypeError):
            compute(expression, {"v": tg.Node(VALUES["v"])})


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("other", ["V", "v", "1.3", "np.float64(1.3)", "[1, 2, 1]", "X"])
def test_comparisons_give_plain_arrays(operator: str, other: str) -> None:
    for expression in [f"x {operator} {other}", f"{other} {operator} x"]:
        variables = {name: tg.Node(VALUES[name]) for name in "vx"}
        actual = compute(expression, variables)
        assert isinstance(actual, np.ndarray)
        assert_same_bits(actual, compute(expression, VALUES))


METHODS = """
x.sum()   x.sum(0)   x.sum(axis=(0, 1))   x.sum(1, keepdims=True)   x.sum(-1, None)
x.mean()   x.mean(1)   x.mean((0, -1))   x.mean(axis=0, keepdims=True)
x.prod()   x.prod(0)   x.prod(axis=(1,))   x.prod(keepdims=True)
x.max()   x.max(1)   x.max(axis=0)   x.max((0, 1), keepdims=True)
x.min()   x.min(1)   x.min(axis=0)   x.min(axis=None)
x.var()   x.var(0)   x.var(ddof=1)   x.var(1, ddof=0.5)   x.var((0, 1))
x.std()   x.std(1)   x.std(axis=0, ddof=1)   x.std(keepdims=True)
x.reshape(6)   x.reshape(3, 2)   x.reshape((3, 2))   x.reshape([3, 2])   x.reshape(-1)
x.reshape(3, -1)   x.reshape(3, 2, order='F')   x.reshape((-1, 1), order='F')
s.reshape(())   s.reshape(1, 1)   x.reshape(np.int64(6))
x.ravel()   x.ravel('F')   x.ravel(order='C')   s.ravel()
x.flatten()   x.flatten('F')   x.flatten(order='F')   s.flatten()
x.T   t.T   v.T   s.T   x.mT   t.mT
x.transpose()   x.transpose(1, 0)   x.transpose((1, 0))   x.transpose(None)
t.transpose(2, 0, 1)   t.transpose([-1, 0, 1])   s.transpose()
t.swapaxes(0, 2)   t.swapaxes(-1, 0)   t[:1].squeeze()   t[:1].squeeze(0)
t[:1, :, :1].squeeze((0, 2))   t[:1].squeeze(axis=0)
x.clip(1, 2)   x.clip(V, 2)   x.clip(1)   x.clip(max=1.2)   x.clip(min=1.2)
x.clip(v, None)   x.clip(None, v)   x.clip(1, max=2)
x.dot(v)   x.dot(V)   x.dot(2)   v.dot(v)   x.dot(t[0])
x.copy()   x.astype(float)   x.astype('float64')   x.astype(complex)   x.astype(float, copy=False)
x.conj()   x.conjugate()   x.real   x.imag   (x * 1j).real   (x * 1j).imag   (x * 1j).conj()
"""


def expressions(text: str) -> list[str]:
    """Split a table of expressions, which are at least two blanks apart."""
    return [part for part in re.split(r"\s{2,}|\n", text) if part]


@pytest.mark.parametrize("expression", expressions(METHODS))
def test_methods_are_those_of_ndarray(expression: str) -> None:
    check(expression)


FUNCTIONS = """
np.sum(x)   np.sum(x, 0)   np.sum(x, axis=(0, 1))   np.sum(a=x, axis=1)
np.sum(x, 0, None)   np.sum(x, 1, None, None, True)   np.sum(x, keepdims=True)
np.mean(x)   np.mean(x, 1)   np.mean(x, axis=0, keepdims=True)
np.prod(x)   np.prod(x, 0)   np.prod(x, axis=(0, 1))
np.max(x)   np.max(x, 1)   np.max(x, axis=0, keepdims=True)
np.min(x)   np.min(x, 1)   np.min(x, axis=(0, 1))
np.amax(x, 0)   np.amin(x, axis=1)
np.var(x)   np.var(x, 0, None, None, 1)   np.var(x, ddof=1)
np.std(x)   np.std(x, 0)   np.std(x, axis=1, keepdims=True)
np.var(x, correction=1)   np.std(x, correction=1)
np.clip(x, 1, 2)   np.clip(x, a_min=1.1, a_max=v)   np.clip(x, None, 2)   np.clip(x, v, None)
np.clip(X, s, None)   np.clip(a=x, a_min=1.1, a_max=None)   np.clip(X, 1.1, v)
np.where(MASK, x, y)   np.where(MASK, x, 0)   np.where(x > 1.3, 1, x)   np.where(True, x, v)
np.where(x > y, x, y)   np.where([[True], [False]], v, 2.0)
np.transpose(x)   np.transpose(x, (1, 0))   np.transpose(t, axes=[2, 0, 1])   np.transpose(t, None)
np.reshape(x, 6)   np.reshape(x, (3, 2))   np.reshape(x, (3, -1), order='F')
np.reshape(x, -1, order='C')
np.ravel(x)   np.ravel(x, 'F')   np.ravel(x, order='F')
np.swapaxes(t, 0, 2)   np.swapaxes(t, axis1=0, axis2=-1)
np.moveaxis(t, 0, 2)   np.moveaxis(t, [0, 1], [-1, 0])   np.moveaxis(t, source=2, destination=0)
np.matrix_transpose(t)   np.permute_dims(t, (2, 0, 1))
np.expand_dims(x, 0)   np.expand_dims(x, axis=(0, -1))   np.expand_dims(x, -1)
np.squeeze(t[:1])   np.squeeze(t[:1], 0)   np.squeeze(t[:1], axis=(0,))
np.broadcast_to(v, (2, 3))   np.broadcast_to(v, shape=(4, 1, 3))   np.broadcast_to(s, 3)
np.copy(x)   np.real(x)   np.conj(x)
np.concatenate([x, y])   np.concatenate((x, Y), 0)   np.concatenate([x, y], axis=1)
np.concatenate([X, x, [[1, 2, 3]]])   np.concatenate([x, Z], axis=None)
np.concatenate([v, [1.5], w])   np.concat([v, w])   np.concatenate([v[:0], v])
np.stack([x, y])   np.stack((x, Y), 1)   np.stack([v, [1, 2, 3], V], axis=-1)
np.stack([s, 2.0, S])   np.stack([*v])   np.stack([x])
np.add(x, v)   np.add(X, v)   np.multiply(2, x)   np.add([1, 2, 3], x)
np.maximum(x, 1.3)   np.maximum(V, x)   np.minimum(1.3, x)   np.arctan2(x, V)
np.add.reduce(x)   np.add.reduce(x, 1)   np.add.reduce(x, axis=None)   np.add.reduce(v)
np.add.reduce(x, axis=(0, 1), keepdims=True)   np.multiply.reduce(x)   np.multiply.reduce(x, 1)
np.maximum.reduce(x)   np.minimum.reduce(x, axis=1)   np.maximum.reduce(x, -1, keepdims=True)
np.outer(v, w)   np.outer(x, [1, 2])   np.outer(2.0, v)   np.outer(X, v)
np.power(x, 2)   np.square(x)   np.hypot(x, v)   np.float_power(x, 2)
(-x) ** 2   (-x) ** 3   (-x) ** COUNTS   (-x) ** -2.0   (-s) ** 3   (x - v) ** 2   np.power(-x, 3)
np.add(x, v, out=None)   np.sum(x, out=None)   np.imag(x)
sum(v)   sum([x, y])   np.exp(x,)
np.exp(-np.square(x - v) / 2).sum(axis=1) @ w   np.tanh(x @ z + w).mean()
"""


@pytest.mark.parametrize("expression", expressions(FUNCTIONS))
def test_functions_take_the_arguments_of_numpy(expression: str) -> None:
    check(expression)


NARROW = """
np.sum(x, dtype='float32')   np.sum(x, 0, np.float32)   x.sum(dtype=np.float32)
np.mean(x, dtype='float32')   x.mean(0, 'float32')   np.prod(x, dtype=np.float32)
np.var(x, dtype='float32')   np.std(x, 0, np.float32)   x.astype('float32')
x.astype(np.float16)   np.concatenate([x, y], dtype='float32')
np.stack([x, y], dtype=np.float32)
"""


@pytest.mark.parametrize("expression", expressions(NARROW))
def test_dtype_is_that_of_the_result_and_not_of_the_gradient(expression: str) -> None:
    names = variables_in(expression)
    nodes = {name: tg.Node(VALUES[name]) for name in names}
    out = compute(expression, nodes)
    assert_same_bits(out.value, compute(expression, VALUES))
    cotangent = random_like(out, seed=3)
    out.backward(cotangent)
    wide = re.sub(r",? *(dtype=)?('float32'|np.float32)", "", expression)
    wide = "x" if "astype" in wide else wide
    wide_nodes = {name: tg.Node(VALUES[name]) for name in names}
    compute(wide, wide_nodes).backward(cotangent.astype(float))
    for name in names:
        assert nodes[name].grad.dtype == "float64"
        precision = 1e-2 if "16" in expression else 1e-5
        np.testing.assert_allclose(nodes[name].grad, wide_nodes[name].grad, rtol=precision)


CONSTANT_EXPRESSIONS = """
np.argmax(x)   np.argmax(x, axis=1)   np.argmin(x, 0)   np.argsort(x)   x.argmax(1)
x.argmin()   x.argsort(axis=0)   x.all()   x.any(axis=0)   np.all(x > 1)
np.shape(x)   np.ndim(x)   np.size(x)   np.size(x, 0)   len(x)
np.zeros_like(x)   np.ones_like(x, dtype=int)   np.full_like(x, 3)
np.isfinite(x)   np.isnan(x)   np.signbit(x)   np.isclose(x, y)   np.allclose(x, x)
np.array_equal(x, y)   np.iscomplexobj(x)   np.isrealobj(x)   np.nonzero(x > 1)   np.where(x > 1)
np.where(x)   np.nonzero(x)   np.count_nonzero(x)   np.flatnonzero(x)   np.argwhere(x)
np.logical_and(x, 0)   np.logical_not(x)   np.greater(x, V)   np.equal(x, y)   np.less(1, x)
np.result_type(x, 'f4')   x.astype(int)   x.astype(bool)   x.tolist()
s.item()   x.shape   x.ndim   x.size   x.dtype
1.0 in x   x[0, 1].item() in x   ~(x > 1)
"""


@pytest.mark.parametrize("expression", expressions(CONSTANT_EXPRESSIONS))
def test_what_does_not_depend_smoothly_on_values_is_plain(expression: str) -> None:
    nodes = {name: tg.Node(value) for name, value in VALUES.items()}
    actual, expected = compute(expression, nodes), compute(expression, VALUES)
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray):
        assert_same_bits(actual, expected)
    else:
        np.testing.assert_equal(actual, expected)


def test_empty_like_gives_an_array_of_the_same_shape_and_dtype() -> None:
    empty = np.empty_like(tg.Node(VALUES["x"].astype("float32")))
    assert (type(empty), empty.shape, empty.dtype) == (np.ndarray, (2, 3), np.float32)


INDEXING = """
x[0]   x[-1]   x[1, 2]   x[0][1]   x[np.int64(1)]   t[1, -1, 2]
x[:]   x[:1]   x[:, 1:]   x[::-1]   x[:, ::-2]   x[1:0]
x[...]   x[..., 0]   t[0, ..., 1]   s[()]   s[...]   s[None]
x[None]   x[:, None]   x[..., None, :]   x[np.newaxis, 0]   v[None, :, None]   t[:, 0, None, ::2]
x[MASK]   x[x > 1.3]   x[[True, False]]   t[MASK]   x[:, V > 1]   x[MASK[:, 0]]
x[x > 9]   s[s > 0]   s[True]   x[np.False_]
v[I]   v[[0, 0, 0]]   x[[0, 1, 1]]   x[I, I]   x[[0, 1], [2, 2]]   x[:, I]
v[I[:, None]]   t[:, I, ::2]   t[I, :, I]   t[0, :, I]   t[[[0], [1]], I]   t[I, 0]
x[[]]   v[[-1, 2]]   x[(0, 1)]   x[([0, 1],)]   x[np.array(1)]   t[MASK, 0]
x[np.ix_([1, 0], [0, 2])]
t[I[:2], ..., None, [1, 1]]
"""


@pytest.mark.parametrize("expression", expressions(INDEXING))
def test_indices_of_every_form(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize(
    "expression", ["v[INDEX]", "x[0, INDEX]", "x[:, INDEX]", "t[MASK[:, 1], INDEX[:1]]"]
)
def test_a_node_of_whole_numbers_is_an_index(expression: str) -> None:
    index = tg.Node(np.array([1, 0, -1, 0]), requires_grad=False)
    variables = {name: tg.Node(VALUES[name]) for name in variables_in(expression)}
    out = compute(expression, {**variables, "INDEX": index})
    assert_same_bits(out.value, compute(expression, {**VALUES, "INDEX": index.value}))


@given(data=st.data(), shape=drawing.shapes_of())
def test_any_index_reads_and_writes_what_numpy_does(data: st.DataObject, shape: Any) -> None:
    index = data.draw(indexing.indices(shape))
    array = np.arange(float(np.prod(shape))).reshape(shape)
    x = tg.Node(array)
    assert_same_bits(x[index].value, array[index])
    assert_same_bits(x.at[index].get().value, array[index])
    written, added = array.copy(), array.copy()
    written[index] = -1
    np.add.at(added, index, 0.5)
    assert_same_bits(x.at[index].set(-1).value, written)
    assert_same_bits(x.at[index].add(0.5).value, added)
    assert_same_bits(x.value, array)


@given(call=indexing.writes())
def test_updates_spread_values_over_the_index(call: drawing.Call) -> None:
    array, values = call.inputs
    index = call.params["index"]
    spread = np.broadcast_to(values, array[index].shape)
    written, added = array.copy(), array.copy()
    written[index] = spread
    np.add.at(added, index, spread)
    x = tg.Node(array)
    assert_same_bits(x.at[index].set(values).value, written)
    np.testing.assert_allclose(x.at[index].add(values).value, added, rtol=1e-14)


def test_values_are_spread_over_an_index_that_repeats() -> None:
    """NumPy's add.at of 2.1 and 2.4 reads past the end of such values."""
    index = np.zeros((2, 3), dtype=int)
    for repeated in [np.ones(3), np.ones((2, 1)), np.ones(()), np.ones((1, 3))]:
        x = tg.Node(np.zeros(1))
        assert x.at[index].add(repeated).tolist() == [6]
        assert x.at[index,].add(repeated).tolist() == [6]


UPDATES = """
x.at[0].set(v)   x.at[0].set(0)   x.at[:, 1].set(w)   X_NODE.at[1].set(v)
x.at[0].add(v)   x.at[MASK].add(s)   x.at[[0, 0]].add(v)   x.at[..., I].add(w[:, None])
x.at[0, 1].set(s)   x.at[x > 1.3].set(0)   v.at[[0, 0]].set(w)   x.at[:, ::-1].set(Y)
v.at[I].add(v)   x.at[()].set(v)   x.at[None].add(y)   x.at[0].set([1, 2, 3])
s.at[()].add(1)   s.at[...].set(v[0])   x.at[[]].set(1)   x.at[[0, 1], [1, 2]].add(w)
x.at[0].get()
"""


@pytest.mark.parametrize("expression", expressions(UPDATES))
def test_functional_updates_have_gradients(expression: str) -> None:
    names = variables_in(expression)

    def updated(*values: Any) -> Any:
        nodes = [x if isinstance(x, tg.Node) else tg.Node(x) for x in values]
        fixed = {"X_NODE": tg.Node(VALUES["x"], requires_grad=False)}
        return compute(expression, {**fixed, **dict(zip(names, nodes, strict=True))})

    arrays = [VALUES[name] for name in names]
    out, pullback = tg.vjp(updated, *arrays)
    cotangent = random_like(out, seed=4)
    estimates = numeric_vjp(lambda *values: updated(*values).value, arrays, cotangent)
    assert_gradients(pullback(cotangent), estimates)


def test_updates_keep_the_dtype_of_the_node() -> None:
    x = tg.Node(VALUES["x"].astype("float32"))
    for out in [x.at[0].set(1), x.at[0].set(2.5), x.at[0].add(VALUES["v"]), x.at[0].set(x[1])]:
        assert out.dtype == "float32"
    with pytest.raises(TypeError, match="complex"):
        x.at[0].set(1j)


def test_a_later_change_of_an_index_array_does_not_reach_the_graph() -> None:
    index = np.array([0, 1])
    x = tg.Node(VALUES["v"])
    read, written = x[index], x.at[index].set(0)
    index[:] = 2
    np.sum(read).backward()
    assert x.grad.tolist() == [1, 1, 0]
    np.sum(written.forward()).backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_iteration_length_and_unpacking() -> None:
    x = tg.Node(VALUES["x"])
    first, second = x
    assert len(x) == 2
    for row, expected in zip([first, second, *x], [*VALUES["x"], *VALUES["x"]], strict=True):
        assert isinstance(row, tg.Node)
        assert_same_bits(row.value, expected)
    (a, b, c), *rest = x
    assert len(rest) == 1
    (a * b + 2 * c).backward()
    np.testing.assert_allclose(x.grad, [[b.item(), a.item(), 2], [0, 0, 0]])


@pytest.mark.parametrize("use", [len, iter, list])
def test_a_node_without_axes_has_no_length_and_no_elements(use: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        list(use(tg.Node(1.0)))


@pytest.mark.parametrize("index", [5, (0, 7), (0, 0, 0), [0, 9], slice("a"), "name", 0.5])
def test_an_index_that_numpy_refuses_is_refused_alike(index: Any) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        VALUES["x"][index]
    with pytest.raises(type(expected.value)):
        tg.Node(VALUES["x"])[index]


EINSUM = """
np.einsum('ij,j->i', x, v)   np.einsum('ij,j', x, v)   np.einsum('ij', x)
np.einsum('ji', x)   np.einsum('ij->', x)   np.einsum('i->', v)
np.einsum('ij,kj->ik', x, y)   np.einsum('ij,jk->ki', x, z)   np.einsum('ij,jk', x, z)
np.einsum('ij,ij->ij', x, y)   np.einsum('ij,ij->j', x, y)   np.einsum('ij,ij', x, y)
np.einsum('i,j->ij', v, w)   np.einsum('i,j', v, w)   np.einsum('i,j->', v, w)
np.einsum('i,j->j', v, w)   np.einsum('i,i,i->i', v, V, v)   np.einsum('i,ij,j', w, x, v)
np.einsum('ii', x[:, :2])   np.einsum('ii->i', x[:, :2])   np.einsum('ii->', z[:2])
np.einsum('ii,i->i', z[:2], w)   np.einsum('iji->j', t[:, :, :2])   np.einsum('iii', t[:2, :2, :2])
np.einsum('ii,jj->ij', x[:, :2], z[:2])   np.einsum('ij->ji', x)
np.einsum('...ij->...ji', t)   np.einsum('...j,j->...', t[:, :, :3], v)   np.einsum('i...->...i', t)
np.einsum('i...', t)   np.einsum('...', x)   np.einsum('...,...', x, v)
np.einsum('...,...->...', t, S)   np.einsum('...i,...i->...', x, v)   np.einsum('i...,i...', x, y)
np.einsum('...ij,jk...->ik...', t[0, :, :3], z)   np.einsum('...a,a...->...a', x, v)
np.einsum('b...a->a...b', t)   np.einsum('ij...,j->i...', t, v)   np.einsum('...jj', t[:, :2, :2])
np.einsum(' i j , j -> i ', x, v)   np.einsum('bA,A', x, v)   np.einsum('ij,i->ji', x, w)
np.einsum('zB', x)   np.einsum('i,->i', v, s)   np.einsum(',', s, 2.0)
np.einsum('->', s)   np.einsum(',ij', S, x)   np.einsum('i,i', [1, 2, 3], v)
np.einsum('ij,jk,k->i', x, Z, w, optimize=True)   np.einsum('ij,jk->ik', x, z, optimize='greedy')
np.einsum('ij,jk,kl->il', x, z, y, optimize='optimal')   np.einsum('ij,ij->i', X, y, optimize=False)
np.einsum('ij,jk,kl->il', x, z, y, optimize=['einsum_path', (0, 1), (0, 1)])
np.einsum(x, [0, 1], v, [1])   np.einsum(x, [0, 1], v, [1], [0])   np.einsum(x, [0, 1], [1, 0])
np.einsum(x, [1, 0])   np.einsum(x, (0, 1), z, (1, 2), (2, 0))   np.einsum(v, [0], [])
np.einsum(t, [..., 0], [0, ...])   np.einsum(x, [..., 0], v, [0])   np.einsum(x[:, :2], [3, 3])
np.einsum(x, [0, 26])   np.einsum(x, [30, 5])   np.einsum(x, [0, 1], z, [1, 2], optimize=True)
np.einsum('ij,ij->ij', x[:, :1], y)   np.einsum('ij,j->ij', x[:, :1], v)
np.einsum('i,ii->', w[:1], x[:, :2])
"""


@pytest.mark.parametrize("expression", expressions(EINSUM))
def test_einsum_in_every_form(expression: str) -> None:
    check(expression)


@st.composite
def einsum_calls(draw: st.DrawFn) -> tuple[str, tuple[np.ndarray, ...]]:
    """Draw subscripts: ellipses, repeated labels, spaces, an implicit or an explicit result."""
    sizes = {label: draw(st.integers(1, 3)) for label in "aBk"}
    rest = (2, 3)
    written, shapes = [], []
    for labels in draw(st.lists(st.text("aBk", max_size=3), min_size=1, max_size=3)):
        shape = [sizes[label] for label in labels]
        if draw(st.booleans()):
            place = draw(st.integers(0, len(labels)))
            shape[place:place] = rest[draw(st.integers(0, 2)) :]
            labels = f"{labels[:place]}...{labels[place:]}"
        written.append(labels)
        shapes.append(tuple(shape))
    subscripts = draw(st.sampled_from([",", " , "])).join(written)
    if draw(st.booleans()):
        used = draw(st.permutations(sorted(set("".join(written)) - set("."))))
        output = [*used[: draw(st.integers(0, len(used)))]]
        if "..." in subscripts:
            output.insert(draw(st.integers(0, len(output))), "...")
        subscripts += "->" + "".join(output)
    return subscripts, drawing.draw_arrays(draw, shapes)


@given(call=einsum_calls(), optimize=st.booleans())
def test_any_einsum_is_that_of_numpy(call: Any, optimize: bool) -> None:
    subscripts, operands = call
    assert_like_numpy(lambda *xs: np.einsum(subscripts, *xs, optimize=optimize), *operands)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ij,j->i", "x"),
        ("i", "x"),
        ("ij,j->k", "x", "v"),
        ("ij->ii", "x"),
        ("i,i", "v", "w"),
        ("...i,...i->i", "x", "y"),
    ],
)
def test_an_einsum_that_numpy_refuses_is_refused(arguments: tuple[str, ...]) -> None:
    subscripts, *names = arguments
    with pytest.raises(ValueError, match=r"einsum|subscript|operand"):
        np.einsum(subscripts, *(tg.Node(VALUES[name]) for name in names))


TENSORDOT = """
np.tensordot(x, z, 1)   np.tensordot(x, y)   np.tensordot(x, y, 0)
np.tensordot(x, y, axes=2)   np.tensordot(x, z, ([1], [0]))   np.tensordot(x, z, (1, 0))
np.tensordot(x, z, ([0, 1], [1, 0]))   np.tensordot(x, t, ([1, 0], [1, 0]))
np.tensordot(t, x, ((-2, 0), (-1, 0)))   np.tensordot(t, x, [[1], [-1]])
np.tensordot(X, t, ([0], [0]))   np.tensordot(x, v, 1)   np.tensordot(v, V, 1)
np.tensordot(x, z, axes=np.int64(1))   np.tensordot(s, x, 0)
np.tensordot(t, t, ([0, 2, 1], [0, 2, 1]))   np.tensordot(x, [1.0, 2.0, 3.0], 1)
np.tensordot(t, z, (np.array([1]), np.array([0])))
"""


@pytest.mark.parametrize("expression", expressions(TENSORDOT))
def test_tensordot_in_every_form_of_axes(expression: str) -> None:
    check(expression)


PRODUCT_SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((4, 2, 3), (3,)),
    ((3,), (4, 3, 2)), ((4, 2, 3), (3, 2)), ((2, 3), (4, 3, 2)), ((4, 2, 3), (4, 3, 2)),
    ((4, 2, 3), (1, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((2, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)),
    ((2, 0), (0, 3)), ((1, 1), (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("x_shape", "y_shape"), PRODUCT_SHAPES)
def test_matmul_of_every_dimensionality(x_shape: Any, y_shape: Any) -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=x_shape), generator.normal(size=y_shape)
    assert_like_numpy(lambda x, y: x @ y, x, y)
    assert_like_numpy(lambda x: np.matmul(x, y), x)
    assert_like_numpy(lambda y: x @ y, y)


DOT_SHAPES = [
    *PRODUCT_SHAPES[:9], ((), ()), ((), (2, 3)), ((2, 3), ()), ((2, 2, 3), (2, 2, 3, 2)),
    ((2, 0), (0, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("x_shape", "y_shape"), DOT_SHAPES)
def test_dot_of_every_dimensionality(x_shape: Any, y_shape: Any) -> None:
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=x_shape), generator.normal(size=y_shape)
    assert_like_numpy(np.dot, x, y)
    assert_like_numpy(lambda x: np.dot(x, y), x)
    assert_like_numpy(lambda y: np.dot(x, y), y)


@pytest.mark.parametrize("function", [np.matmul, np.dot])
def test_products_of_shapes_that_do_not_fit_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"mismatch|not aligned"):
        function(tg.Node(VALUES["x"]), tg.Node(VALUES["y"]))


@given(shapes=hypothesis_numpy.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0))
def test_ndarray_and_node_never_make_an_object_array(shapes: Any) -> None:
    x, y = (np.ones(shape) for shape in shapes.input_shapes)
    for out in [x + tg.Node(y), tg.Node(x) * y, np.float64(2) - tg.Node(y), y[()] / tg.Node(x)]:
        assert isinstance(out, tg.Node)
        assert out.dtype == "float64"


LISTS_WITH_NODES = """
np.sum([v, v])   np.array([v, v])   np.mean((s, s))   np.exp([s, s])   np.dot([s, s], w)
"""


@pytest.mark.parametrize("expression", expressions(LISTS_WITH_NODES))
def test_a_list_of_nodes_where_an_array_belongs_is_refused(expression: str) -> None:
    with pytest.raises(TypeError, match=r"np\.stack"):
        compute(expression, {name: tg.Node(value) for name, value in VALUES.items()})
