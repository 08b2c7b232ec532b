"""Methods and attributes of ndarray: Node has the same, or a refusal that says what to do."""

import copy
import math
import operator
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.test_protocols import VALUES, check, compute, expressions
from tests.test_rules import assert_same_bits

SMOOTH = """
x.sum(out=None)   x.sum(0, None, None)   x.mean(0, None, None, True)   x.max(0, None)
x.prod(out=None)   x.var(0, None, None, 1)   x.std(ddof=1, out=None)
x.min(axis=1, out=None, keepdims=True)   x.cumsum()   x.cumsum(1)   x.cumsum(axis=0, out=None)
x.cumprod()   x.cumprod(0)   x.repeat(2)   x.repeat([1, 2], axis=0)   x.diagonal()
t.diagonal(0, 1, 2)   x.trace()   x.trace(1)   x.take([0, 1])   x.take([[0, 2]], axis=1)
x.take(9, mode='clip')   x.compress([True, False], axis=0)   x.dot(z)   v.dot(V)   s.dot(x)
x.dot(v, out=None)   x.clip(1, 2, out=None)   x.clip(min=1)   x.flat[3]   x.flat[[0, 0, 5]]
sum(x.flat)   x.T.flat[1]   x.reshape(3, 2, order='F', copy=True)   x.reshape((6,), copy=False)
x.copy()   x.copy('F')   x.astype(complex, 'C')   x.astype(float, casting='safe')
x.astype('complex128', 'K', 'same_kind', True, copy=False)   x.swapaxes(0, 1)   t.mT   t.T
x.transpose()   x.transpose(None)   x.real   x.imag   (x * 1j).conj()   x.ravel(order='F')
x.flatten()   x.squeeze()   x[:1].squeeze(axis=0)   copy.copy(x)   np.choose([1, 0, 1], x)
x.conjugate()   (x * (1 + 2j)).imag
"""


@pytest.mark.parametrize("expression", expressions(SMOOTH))
def test_methods_are_those_of_ndarray(expression: str) -> None:
    check(expression.replace("copy.copy", "__import__('copy').copy"))


PLAIN = """
x.shape   x.ndim   x.size   x.dtype   x.itemsize   x.nbytes   s.nbytes   len(x)   x.tolist()
s.tolist()   x.item(0)   x.item(1, 2)   x.item((0, 1))   s.item()   x[0, 0].item()   v.item(-1)
x.argmax()   x.argmax(0)   x.argmin(axis=1, keepdims=True)   x.argsort()
x.argsort(axis=0, kind='stable')   v.argpartition(1)   x.argpartition(1, axis=0)   x.nonzero()
(v * 0).nonzero()   x.all()   x.any(axis=0)   np.sort(v).searchsorted(1.0)
np.sort(v).searchsorted([0.5, 2.5], side='right')   v.searchsorted(V, 'left', np.argsort(V))
1.0 in x   VALUES['x'][0, 1] in x   x[0, 1] in x   2.0 in v   x.astype(int)
x.astype(bool, copy=False)   x[0, 0].astype(int)   x.astype('int8', casting='unsafe')   s == s
x != x   float('nan') in x
"""


@pytest.mark.parametrize("expression", expressions(PLAIN))
def test_what_is_no_node_is_plain(expression: str) -> None:
    nodes: dict[str, Any] = {name: tg.Node(value) for name, value in VALUES.items()}
    actual = compute(expression, {**nodes, "VALUES": VALUES})
    expected = compute(expression, {**VALUES, "VALUES": VALUES})
    assert type(actual) is type(expected)
    np.testing.assert_equal(actual, expected)


def test_rounding_is_that_of_ndarray() -> None:
    x = tg.Node(VALUES["x"])
    for decimals in (0, 1, -1):
        assert_same_bits(x.round(decimals).value, VALUES["x"].round(decimals))


IN_PLACE = {
    "x.sort()": "np.sort(node)",
    "x.partition(1)": "np.partition(node, kth)",
    "x.fill(0)": "np.full_like(node, value)",
    "x.put([0], 1)": "node.at[indices].set(values)",
    "x.resize(3, 2)": "np.resize(node, shape)",
    "x.setfield(0, float)": "node.at[index].set(values)",
    "x.byteswap(True)": "node.value.byteswap()",
    "x.setflags(write=True)": "node.value",
}


@pytest.mark.parametrize("expression", IN_PLACE)
def test_methods_that_change_an_array_in_place_say_what_to_write(expression: str) -> None:
    with pytest.raises(AttributeError, match=r"not changed in place; write") as error:
        compute(expression, {"x": tg.Node(VALUES["x"])})
    assert IN_PLACE[expression] in str(error.value)


@pytest.mark.parametrize(
    "name", ["tobytes", "tofile", "dump", "view", "strides", "flags", "data", "ctypes", "getfield"]
)
def test_what_concerns_memory_is_to_be_asked_of_the_value(name: str) -> None:
    x = tg.Node(VALUES["x"])
    with pytest.raises(AttributeError, match=f"'Node' object has no .*write node.value.{name}"):
        getattr(x, name)
    assert hasattr(x.value, name)
    assert not hasattr(x, name)


def test_every_public_attribute_of_ndarray_is_there_or_says_what_to_write() -> None:
    x = tg.Node(VALUES["x"])
    for name in dir(np.ndarray):
        if not name.startswith("_") and not hasattr(x, name):
            with pytest.raises(AttributeError, match=r"; write (node|np)\."):
                getattr(x, name)


def test_an_unknown_attribute_is_missing_as_everywhere_in_python() -> None:
    with pytest.raises(AttributeError, match=r"^'Node' object has no attribute 'vaule'$") as error:
        tg.Node(1.0).vaule  # noqa: B018
    assert error.value.name == "vaule"
    for name in ("__array_interface__", "__array_struct__", "__cuda_array_interface__"):
        assert not hasattr(tg.Node(1.0), name)


@pytest.mark.parametrize("name", ["sum", "clip", "dot", "cumsum", "repeat", "take", "argmax"])
def test_methods_write_no_results_into_arrays(name: str) -> None:
    arguments = {"clip": (0, 1), "dot": (VALUES["v"],), "repeat": (2,), "take": (0,)}
    with pytest.raises(TypeError, match=r"out"):
        getattr(tg.Node(VALUES["x"]), name)(*arguments.get(name, ()), out=np.zeros(()))


@pytest.mark.parametrize(
    ("dtype", "casting"),
    [
        (int, "safe"),
        ("float32", "safe"),
        ("float32", "equiv"),
        (int, "same_kind"),
        (float, "other"),
    ],
)
def test_a_cast_that_numpy_refuses_is_refused_alike(dtype: Any, casting: Any) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        VALUES["x"].astype(dtype, casting=casting)
    with pytest.raises(type(expected.value), match=re.escape(str(expected.value)[:20])):
        tg.Node(VALUES["x"]).astype(dtype, casting=casting)


def test_a_node_of_a_whole_number_is_an_index_of_python() -> None:
    number = tg.Node(2, requires_grad=False)
    assert [10, 11, 12][number] == 12
    assert list(range(number)) == [0, 1]
    assert operator.index(number) == 2
    assert np.arange(5)[number] == 2
    assert np.zeros(number).shape == (2,)
    assert "ab"[: number - 1] == "a"


@pytest.mark.parametrize("value", [2.0, [1.0], True, [1]])
def test_another_node_is_no_index(value: Any) -> None:
    x = tg.Node(value, requires_grad=False)
    with pytest.raises(Exception) as expected:  # noqa: PT011
        operator.index(np.asarray(value))
    with pytest.raises(type(expected.value)):
        operator.index(x)


def test_an_array_is_not_indexed_by_a_node_of_fractions() -> None:
    with pytest.raises(TypeError, match=r"np\.asarray"):
        np.arange(5)[tg.Node(1.0)]
    with pytest.raises(IndexError, match="integer"):
        np.arange(5)[tg.Node(1.0, requires_grad=False)]


def _fill_element(x: tg.Node) -> None:
    np.zeros(2)[0] = x[0]


def _fill_row(x: tg.Node) -> None:
    np.zeros((2, 3))[0] = x


def _fill_slice(x: tg.Node) -> None:
    np.zeros(3)[:] = x


@pytest.mark.parametrize("fill", [_fill_element, _fill_row, _fill_slice])
def test_filling_an_array_with_nodes_tells_of_stack(fill: Callable[[Any], None]) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        fill(tg.Node(VALUES["v"]))
    text = str(error.value.__cause__ or error.value)
    assert re.search(r"np\.stack\(\[\.\.\.\]\) .*in place of array\[i\] = node", text)


def test_math_functions_of_nodes_tell_of_numpy() -> None:
    with pytest.raises(TypeError, match=r"np\.exp for math\.exp"):
        math.exp(tg.Node(1.0))


def test_a_copy_is_in_the_graph() -> None:
    x = tg.Node([1.0, 2.0])
    for twin in (x.copy(), copy.copy(x), np.copy(x)):
        assert twin is not x
        x.grad = None
        np.sum(twin * twin).backward()
        assert x.grad.tolist() == [2.0, 4.0]


DUPLICATES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, n)) for n in range(6)},
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_a_duplicate_of_a_leaf_is_a_leaf_of_its_own(duplicate: Callable[[Any], Any]) -> None:
    x = tg.Node(np.array([1.0, 2.0], np.float32), name="x")
    np.sum(x * x).backward()
    data = tg.Node([1, 2], requires_grad=False)
    twin, twin_again, data_twin = duplicate([x, x, data])
    assert twin is twin_again
    assert (twin.op, twin.name, twin.requires_grad, twin.dtype) == (None, "x", True, np.float32)
    assert (data_twin.requires_grad, data_twin.dtype) == (False, data.dtype)
    assert twin.grad.tolist() == x.grad.tolist() == [2.0, 4.0]
    assert not np.shares_memory(twin.value, x.value)
    assert not np.shares_memory(twin.grad, x.grad)
    np.sum(twin).backward()
    assert twin.grad.tolist() == [3.0, 5.0]
    assert x.grad.tolist() == [2.0, 4.0]
    twin.value = [5.0, 6.0]
    assert x.value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_a_node_of_a_graph_is_not_duplicated_without_it(duplicate: Callable[[Any], Any]) -> None:
    x = tg.Node([1.0, 2.0])
    with pytest.raises(TypeError, match=r"made by multiply.*only leaves.*node.detach\(\)"):
        duplicate(x * 2)
    assert duplicate((x * 2).detach()).value.tolist() == [2.0, 4.0]


def test_membership_reads_the_value() -> None:
    x = tg.Node([1.0, 2.0])
    out = x * (1.0 if 2.0 in x else 3.0)
    x.value = [1.0, 5.0]
    with pytest.raises(ValueError, match="had been read"):
        out.forward()


def test_values_of_other_kinds_are_read() -> None:
    x = tg.Node([1.0, 2.0])
    out = x * x.astype(int)
    x.value = [3.0, 4.0]
    with pytest.raises(ValueError, match="had been read"):
        out.forward()
