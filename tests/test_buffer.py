"""Constants are out of the caller's reach, and an array in use is known to be in use."""

import gc
import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

import tinygraph as tg
from tinygraph import buffer

LARGE = 10_000


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool, np.complex128])
def test_a_frozen_array_does_not_follow_the_callers_writes(size, dtype):
    array = np.ones(size, dtype)
    frozen = buffer.freeze(array)
    array[:] = 0
    assert frozen.dtype == dtype
    assert np.all(frozen == 1)


@given(
    hypothesis_numpy.arrays(
        st.sampled_from([np.float32, np.float64, np.longdouble, np.int16, bool, np.complex64]),
        hypothesis_numpy.array_shapes(max_dims=3, max_side=6),
    )
)
def test_a_frozen_array_has_the_same_bits(array):
    frozen = buffer.freeze(array[::-1].T)
    assert frozen.shape == array[::-1].T.shape
    assert frozen.tobytes() == array[::-1].T.tobytes()


def test_a_large_constant_is_kept_once_while_it_is_in_use():
    array = np.ones(LARGE)
    first = buffer.freeze(array)
    assert buffer.freeze(array) is first
    assert buffer.freeze(array[:]) is first


def test_a_large_constant_that_changed_gets_a_new_copy():
    array = np.ones(LARGE)
    first = buffer.freeze(array)
    array[-1] = 2
    second = buffer.freeze(array)
    assert (first[-1], second[-1]) == (1, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_sign_of_zero_is_a_change(dtype):
    array = np.zeros(LARGE, dtype)
    first = buffer.freeze(array)
    array[0] = -0.0
    second = buffer.freeze(array)
    assert np.signbit(second[0])
    assert not np.signbit(first[0])


def test_a_constant_with_nans_is_kept_once_too():
    array = np.full(LARGE, np.nan)
    assert buffer.freeze(array) is buffer.freeze(array)


def test_views_of_one_memory_are_told_apart():
    array = np.arange(LARGE, dtype=np.float64)
    matrix = array.reshape(100, 100)
    copies = [buffer.freeze(a) for a in (array, matrix, matrix.T, array.view(np.int64), array[::2])]
    assert np.array_equal(copies[1], matrix)
    assert np.array_equal(copies[2], matrix.T)
    assert copies[3].dtype == np.int64
    assert np.array_equal(copies[4], array[::2])


def test_a_constant_is_freed_with_the_last_graph_that_uses_it():
    gc.disable()
    try:
        array = np.ones(LARGE)
        before = len(buffer._copies)
        y = tg.Node(np.ones(LARGE)) * array
        assert len(buffer._copies) == before + 1
        del y
        assert len(buffer._copies) == before
    finally:
        gc.enable()


def test_memory_used_again_for_another_array_is_not_mistaken_for_the_first():
    kept = []
    for number in range(20):
        array = np.full(LARGE, float(number))
        kept.append(buffer.freeze(array))
        del array
    assert [copy[0] for copy in kept] == list(range(20))


def test_a_read_only_view_of_a_writable_array_is_copied():
    array = np.ones(3)
    view = np.broadcast_to(array, (2, 3))
    frozen = buffer.freeze(buffer.read_only(view[0]))
    array[:] = 5
    assert frozen.tolist() == [1, 1, 1]


def test_a_read_only_array_is_taken_as_it_is():
    """Whoever makes it writable again does so on purpose, and answers for it."""
    array = np.ones(3)
    array.flags.writeable = False
    assert buffer.freeze(array) is array
    text = np.frombuffer(np.ones(3).tobytes())
    assert buffer.freeze(text) is text


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_read_only_view_of_other_memory_does_not_reach_the_graph(size):
    x = tg.Node(np.ones(size))
    with mmap.mmap(-1, size * 8) as memory:
        array = np.frombuffer(memoryview(memory).toreadonly(), np.float64)
        y = np.sum(x * array)
        memory[:8] = np.float64(5).tobytes()
        y.backward()
        del array
    assert x.grad[0] == 0


def test_read_only_gives_a_view():
    array = np.ones(3)
    view = buffer.read_only(array)
    array[0] = 2
    assert view[0] == 2
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 3


def test_an_array_held_once_is_not_shared():
    array = np.ones(3)
    assert not buffer.is_shared(array)


def test_an_array_that_anyone_else_holds_is_shared():
    array = np.ones(3)
    other = array
    assert buffer.is_shared(array)
    assert not buffer.is_shared(array, holders=2)
    del other
    assert not buffer.is_shared(array)


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: [array],
        lambda array: array[1:],
        lambda array: array.reshape(3, 1)[::-1].T,
        lambda array: memoryview(array),
        lambda array: lambda: array,
    ],
    ids=["list", "view", "view of a view", "memoryview", "closure"],
)
def test_every_way_of_holding_an_array_counts(hold):
    array = np.ones(3)
    holder = hold(array)
    assert buffer.is_shared(array)
    del holder
    assert not buffer.is_shared(array)


def test_the_value_of_a_leaf_is_held_by_it_alone_until_someone_looks():
    x = tg.Node(np.ones(3))
    array = x._value
    assert not buffer.is_shared(array, holders=2)
    view = x.value
    assert buffer.is_shared(array, holders=2)
    del view
    twin = x.detach()
    assert buffer.is_shared(array, holders=2)
    del twin
    assert not buffer.is_shared(array, holders=2)
