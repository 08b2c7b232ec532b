"""Hold training data as two arrays that read like a list of pairs."""

import operator
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Pairs(Sequence[tuple[Array, Array]]):
    """Read two arrays as a sequence of (column x, one-hot column y) pairs.

    `x` has shape (n, d); `y` holds integer labels (n,) or one-hot rows (n, classes). Item i is the
    tuple of row x[i] as a column (d, 1) and its one-hot column (classes, 1); a slice is a Pairs.
    Nothing is copied: slices and columns of x are views. `classes` is needed for labels only;
    without it they are taken to reach from 0 to the highest one. Shapes that do not fit together
    are a ValueError.

    >>> pairs = Pairs(np.array([[0.0, 0.5], [1.0, 0.0]]), np.array([2, 0]), classes=3)
    >>> x, y = pairs[-1]
    >>> x.shape, y.ravel().tolist()
    ((2, 1), [1.0, 0.0, 0.0])
    """

    def __init__(self, x: npt.ArrayLike, y: npt.ArrayLike, classes: int | None = None) -> None:
        self.x = np.asarray(x)
        self.y = np.asarray(y)
        if self.x.ndim != 2 or self.y.ndim not in (1, 2) or len(self.x) != len(self.y):
            raise ValueError(
                f"Pairs got x of shape {self.x.shape} and y of shape {self.y.shape}; expected x of "
                "shape (n, d) and y of shape (n,) with labels, or (n, classes) with one-hot rows"
            )
        if self.y.ndim == 2:
            self.classes = self.y.shape[1]
            if classes not in (None, self.classes):
                raise ValueError(f"Pairs got classes={classes} and y with {self.classes} columns")
        else:
            self.classes = _count_classes(self.y) if classes is None else classes
            _check_labels(self.y, self.classes)

    def __len__(self) -> int:
        return len(self.x)

    @overload
    def __getitem__(self, index: int) -> tuple[Array, Array]: ...
    @overload
    def __getitem__(self, index: slice) -> "Pairs": ...
    def __getitem__(self, index: int | slice) -> "tuple[Array, Array] | Pairs":
        if isinstance(index, slice):
            return Pairs(self.x[index], self.y[index], self.classes)
        position = operator.index(index)
        return self.x[position].reshape(-1, 1), self._column(position)

    def _column(self, position: int) -> Array:
        """The one-hot column of one item."""
        if self.y.ndim == 2:
            return np.expand_dims(self.y[position], 1)
        column = np.zeros((self.classes, 1), _floating_dtype(self.x))
        column[self.y[position]] = 1
        return column

    def __repr__(self) -> str:
        inputs, dtype = self.x.shape[1], self.x.dtype
        return f"Pairs({len(self)} pairs, {inputs} inputs {dtype}, {self.classes} classes)"


def one_hot(labels: npt.ArrayLike, classes: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """Return one-hot rows (n, classes) for integer labels (n,) from 0 to classes - 1."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels have shape {labels.shape}; expected one label an item, (n,)")
    _check_labels(labels, classes)
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def as_arrays(data: Any, inputs: int, classes: int) -> tuple[Array, Array]:
    """Return data as arrays x (n, inputs) and y (n, classes), both of x's floating dtype.

    `data` is a Pairs, a sequence of (x, y) pairs with x a column (inputs, 1) and y a column
    (classes, 1) or an integer label, or one tuple (x, y) of arrays as Pairs takes them. A floating
    array x is returned as it is; integers become float32. Other shapes, labels that are not
    integers from 0 to classes - 1, no data at all, and NaN or infinity are a ValueError.
    """
    if isinstance(data, Pairs):
        x, y = data.x, data.y
    elif isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], np.ndarray):
        x, y = data[0], np.asarray(data[1])
    else:
        x, y = _stack_pairs(data, inputs, classes)
    if x.ndim != 2 or x.shape[1] != inputs or len(x) == 0:
        raise ValueError(
            f"x has shape {x.shape}; expected (n, {inputs}), one row an item and at least one row "
            "(a single pair is given as a list of one pair)"
        )
    if y.shape not in ((len(x),), (len(x), classes)):
        raise ValueError(
            f"y has shape {y.shape} beside x of shape {x.shape}; expected ({len(x)},) with labels "
            f"or ({len(x)}, {classes}) with one-hot rows"
        )
    x = x.astype(_floating_dtype(x), copy=False)
    check_finite(x, "x")
    if y.ndim == 1:
        return x, one_hot(y, classes, x.dtype)
    y = y.astype(_floating_dtype(y, "y"), copy=False)
    check_finite(y, "y")
    return x, y.astype(x.dtype, copy=False)


def check_finite(values: Array, name: str) -> None:
    """Raise a ValueError that names the first NaN or infinity in a floating array, if any."""
    # The extremes carry every NaN and infinity, and need no array of booleans as large as the data.
    if values.size == 0 or (np.isfinite(values.min()) and np.isfinite(values.max())):
        return
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    raise ValueError(f"{name} holds {values[index]} at index {index}; expected finite numbers")


def _floating_dtype(values: Array, name: str = "x") -> np.dtype[Any]:
    """The dtype to compute in: the values' own where it is floating, float32 for integers."""
    if values.dtype.kind == "f":
        return values.dtype
    if values.dtype.kind in "biu":
        return np.dtype(np.float32)
    raise ValueError(f"{name} has dtype {values.dtype}; expected floating numbers or integers")


def _count_classes(labels: Array) -> int:
    """The number of classes when labels reach from 0 to the highest one."""
    _check_integers(labels)
    return int(labels.max()) + 1 if labels.size else 0


def _check_integers(labels: Array) -> None:
    if labels.dtype.kind not in "iu" and labels.size:
        raise ValueError(
            f"labels have dtype {labels.dtype}; expected integers "
            "(or one-hot rows of shape (n, classes))"
        )


def _check_labels(labels: Array, classes: int) -> None:
    """Refuse labels that are not integers from 0 to classes - 1."""
    _check_integers(labels)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"labels reach from {labels.min()} to {labels.max()}; "
            f"expected 0 to {classes - 1} for {classes} classes"
        )


def _stack_pairs(data: Any, inputs: int, classes: int) -> tuple[Array, Array]:
    """Stack a sequence of pairs into x (n, inputs) and y, labels (n,) or rows (n, classes)."""
    if isinstance(data, np.ndarray) or not hasattr(data, "__iter__"):
        raise ValueError(
            f"data is of type {type(data).__name__}; expected a Pairs, a sequence of (x, y) pairs "
            "or a tuple (x, y) of arrays"
        )
    pairs = list(data)
    if not pairs:
        raise ValueError("data is empty; expected at least one (x, y) pair")
    for i, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"item {i} of data is {_describe(pair)}; expected a pair (x, y)")
    x = _stack_columns([x for x, _ in pairs], "x", inputs)
    targets = [np.asarray(y) for _, y in pairs]
    if targets[0].ndim:
        return x, _stack_columns(targets, "y", classes)
    for i, y in enumerate(targets):
        if y.ndim:
            raise ValueError(
                f"y of item {i} is {_describe(y)}, that of item 0 a label; "
                "expected labels throughout or columns throughout"
            )
    return x, np.stack(targets)


def _stack_columns(columns: list[Any], name: str, size: int) -> Array:
    """Stack columns (size, 1) into rows (n, size)."""
    arrays = [np.asarray(column) for column in columns]
    for i, array in enumerate(arrays):
        if array.shape != (size, 1):
            label = " or an integer label" if name == "y" else ""
            raise ValueError(
                f"{name} of item {i} is {_describe(array)}; "
                f"expected a column of shape ({size}, 1){label}"
            )
    return np.stack(arrays).reshape(-1, size)


def _describe(value: Any) -> str:
    """What was got, in the words of an error."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    length = f" of length {len(value)}" if isinstance(value, tuple | list) else ""
    return f"a {type(value).__name__}{length}"
