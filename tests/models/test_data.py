import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data import Pairs, as_arrays, one_hot

INPUTS, CLASSES = 3, 4


def random_arrays(count, dtype=np.float32):
    random = np.random.default_rng(count)
    x = random.normal(size=(count, INPUTS)).astype(dtype)
    return x, random.integers(0, CLASSES, count)


def as_list(x, labels):
    """The list of pairs that Pairs stands for, built by hand."""
    rows = np.eye(CLASSES, dtype=x.dtype)[labels]
    return [(x[i : i + 1].T, rows[i : i + 1].T) for i in range(len(x))]


def assert_same_pair(got, expected):
    assert type(got) is tuple
    assert len(got) == 2
    for got_column, expected_column in zip(got, expected, strict=True):
        assert got_column.dtype == expected_column.dtype
        np.testing.assert_array_equal(got_column, expected_column, strict=True)


@given(
    count=st.integers(0, 7),
    dtype=st.sampled_from([np.float32, np.float64]),
    rows=st.booleans(),
    index=st.integers(-9, 9),
    cut=st.slices(7),
)
def test_pairs_index_slice_and_iterate_like_the_list(count, dtype, rows, index, cut):
    x, labels = random_arrays(count, dtype)
    y = one_hot(labels, CLASSES, dtype) if rows else labels
    pairs, expected = Pairs(x, y, CLASSES), as_list(x, labels)
    assert len(pairs) == len(expected)
    for got, want in zip(pairs, expected, strict=True):
        assert_same_pair(got, want)
    part = pairs[cut]
    assert isinstance(part, Pairs)
    assert part.classes == CLASSES
    for got, want in zip(part, expected[cut], strict=True):
        assert_same_pair(got, want)
    if -count <= index < count:
        assert_same_pair(pairs[index], expected[index])
        assert_same_pair(pairs[np.int64(index)], expected[index])
    else:
        with pytest.raises(IndexError):
            pairs[index]


def test_slices_and_columns_of_pairs_are_views():
    x, labels = random_arrays(6)
    pairs = Pairs(x, labels, CLASSES)
    assert np.shares_memory(pairs[1:5].x, x)
    assert np.shares_memory(pairs[1:5].y, labels)
    assert np.shares_memory(pairs[2][0], x)


def test_one_hot_columns_of_pairs_do_not_share_memory():
    pairs = Pairs(*random_arrays(2), CLASSES)
    pairs[0][1][:] = 9
    assert pairs[0][1].sum() == 1


def test_fifty_thousand_pairs_are_built_without_expanding_them():
    x, labels = np.zeros((50_000, 784), np.float32), np.zeros(50_000, int)
    start = time.perf_counter()
    pairs = Pairs(x, labels, 10)
    assert time.perf_counter() - start < 0.05
    assert pairs.x is x
    assert pairs.y is labels
    assert repr(pairs) == "Pairs(50000 pairs, 784 inputs float32, 10 classes)"


def test_pairs_count_the_classes_of_labels_where_none_are_given():
    assert Pairs(np.zeros((3, 2)), [0, 5, 2]).classes == 6
    assert len(Pairs(np.zeros((0, 2)), [])) == 0


@pytest.mark.parametrize(
    ("x", "y", "classes", "message"),
    [
        (np.zeros(3), np.zeros(3, int), None, r"x of shape \(3,\).*expected x of shape \(n, d\)"),
        (np.zeros((3, 2)), np.zeros(2, int), None, r"y of shape \(2,\)"),
        (np.zeros((1, 2)), np.zeros((1, 2, 1)), None, r"y of shape \(1, 2, 1\)"),
        (np.zeros((2, 2)), np.array([0, 3]), 3, r"labels reach from 0 to 3; expected 0 to 2"),
        (np.zeros((2, 2)), np.array([-1, 0]), None, r"labels reach from -1"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), 2, "labels have dtype float64; expected integers"),
        (np.zeros((2, 2)), np.zeros((2, 3)), 4, "classes=4 and y with 3 columns"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(x, y, classes, message):
    with pytest.raises(ValueError, match=message):
        Pairs(x, y, classes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_form_of_the_data_gives_the_same_arrays(count, dtype):
    x, labels = random_arrays(count, dtype)
    y = one_hot(labels, CLASSES, dtype)
    listed = as_list(x, labels)
    forms = [
        Pairs(x, labels, CLASSES),
        Pairs(x, y),
        (x, labels),
        (x, y),
        (x, labels.tolist()),
        listed,
        tuple(listed),
        [list(pair) for pair in listed],
        [(column, int(label)) for (column, _), label in zip(listed, labels, strict=True)],
        zip(x[:, :, None], labels, strict=True),
    ]
    for form in forms:
        got_x, got_y = as_arrays(form, INPUTS, CLASSES)
        np.testing.assert_array_equal(got_x, x, strict=True)
        np.testing.assert_array_equal(got_y, y, strict=True)


def test_as_arrays_returns_a_floating_x_itself():
    x, labels = random_arrays(5)
    assert as_arrays((x, labels), INPUTS, CLASSES)[0] is x
    assert as_arrays(Pairs(x, labels, CLASSES), INPUTS, CLASSES)[0] is x


def test_as_arrays_makes_integers_float32():
    x, y = as_arrays((np.ones((2, INPUTS), np.uint8), [0, 1]), INPUTS, CLASSES)
    assert x.dtype == y.dtype == np.float32


COLUMN, TARGET = np.zeros((INPUTS, 1)), np.zeros((CLASSES, 1))
ROWS = np.zeros((2, INPUTS))
WITH_NAN = np.array([[0, 0, 0], [0, np.nan, 0]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "data is empty"),
        ((np.zeros((0, INPUTS)), np.zeros(0, int)), r"x has shape \(0, 3\).*at least one row"),
        ((np.zeros((2, 5)), [0, 1]), r"x has shape \(2, 5\); expected \(n, 3\)"),
        ((COLUMN, TARGET), r"x has shape \(3, 1\).*a list of one pair"),
        ((ROWS, [0, 1, 2]), r"y has shape \(3,\) beside x of shape \(2, 3\)"),
        ((ROWS, np.zeros((2, 3))), r"y has shape \(2, 3\).*expected \(2,\).*\(2, 4\)"),
        ((ROWS, [0, 4]), "labels reach from 0 to 4; expected 0 to 3"),
        ((ROWS, [0.0, 1.0]), "labels have dtype float64; expected integers"),
        ((WITH_NAN, [0, 1]), r"x holds nan at index \(1, 1\); expected finite"),
        ((ROWS, np.full((2, CLASSES), -np.inf)), r"y holds -inf at index \(0, 0\)"),
        ((ROWS.astype(complex), [0, 1]), "x has dtype complex128; expected floating"),
        ((ROWS, np.full((2, CLASSES), "a")), "y has dtype <U1"),
        ([COLUMN, TARGET], r"item 0 of data is an array of shape \(3, 1\); expected a pair"),
        ([(COLUMN, TARGET, 1)], "item 0 of data is a tuple of length 3"),
        ([(COLUMN, 0), (COLUMN[:2], 0)], r"x of item 1 is an array of shape \(2, 1\).*\(3, 1\)"),
        ([(COLUMN[:, 0], 0)], r"x of item 0 is an array of shape \(3,\)"),
        ([(COLUMN, TARGET), (COLUMN, TARGET.T)], r"y of item 1 is .*\(1, 4\).*or an integer label"),
        ([(COLUMN, 1), (COLUMN, TARGET)], r"y of item 1 is .*\(4, 1\), that of item 0 a label"),
        ([(COLUMN, TARGET), (COLUMN, 1)], r"y of item 1 is an array of shape \(\)"),
        ([(COLUMN, 1.0)], "labels have dtype float64"),
        (ROWS, "data is of type ndarray"),
        (5, "data is of type int"),
    ],
)
def test_as_arrays_says_what_it_got_and_expected(data, message):
    with pytest.raises(ValueError, match=message):
        as_arrays(data, INPUTS, CLASSES)


@given(st.lists(st.integers(0, CLASSES - 1)), st.sampled_from([np.float32, np.float64]))
def test_one_hot_rows_have_a_one_at_the_label(labels, dtype):
    rows = one_hot(np.array(labels, int), CLASSES, dtype)
    np.testing.assert_array_equal(rows, np.eye(CLASSES, dtype=dtype)[labels].reshape(-1, CLASSES))
    assert rows.dtype == dtype


def test_one_hot_refuses_other_shapes_than_a_row_of_labels():
    with pytest.raises(ValueError, match=r"labels have shape \(1, 2\)"):
        one_hot([[1, 2]], CLASSES)
