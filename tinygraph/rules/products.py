"""Rules of products of vectors, matrices and tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.op import composed, op
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]


@op(np.matmul)
def matmul(g: Any, out: Any, x: Any, y: Any) -> Rule:
    if x.ndim > 1 and y.ndim > 1:
        return lambda: g @ y.mT, lambda: x.mT @ g
    row = x if x.ndim > 1 else x.reshape(1, -1)
    column = y if y.ndim > 1 else y.reshape(-1, 1)
    g = g if x.ndim > 1 else np.expand_dims(g, -1 if y.ndim == 1 else -2)
    g = g if y.ndim > 1 else np.expand_dims(g, -1)
    return (
        lambda: g @ column.mT if x.ndim > 1 else (g @ column.mT)[..., 0, :],
        lambda: row.mT @ g if y.ndim > 1 else (row.mT @ g)[..., 0],
    )


@op(np.dot)
def dot(g: Any, out: Any, x: Any, y: Any) -> Rule:
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return lambda: g * y, lambda: g * x
    y_axis = max(y.ndim - 2, 0)
    x_free = list(range(x.ndim - 1))
    y_free = [axis for axis in range(y.ndim) if axis != y_axis]
    g_free = list(range(x.ndim - 1, g.ndim))
    return (
        lambda: np.tensordot(g, y, (g_free, y_free)),
        lambda: np.moveaxis(np.tensordot(x, g, (x_free, x_free)), 0, y_axis),
    )


@op(np.outer)
def outer(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return (
        lambda: (g @ np.ravel(y)).reshape(np.shape(x)),
        lambda: (np.ravel(x) @ g).reshape(np.shape(y)),
    )


@op(np.tensordot)
def tensordot(g: Any, out: Any, x: Any, y: Any, *, axes: Any = 2) -> Rule:
    x_axes, y_axes = contracted_axes(x.ndim, y.ndim, axes)
    x_free = [axis for axis in range(x.ndim) if axis not in x_axes]
    y_free = [axis for axis in range(y.ndim) if axis not in y_axes]
    g_of_x = list(range(len(x_free)))
    g_of_y = list(range(len(x_free), g.ndim))

    def for_x() -> Any:
        found = [*x_free, *(x_axes[i] for i in np.argsort(y_axes))]
        return np.transpose(np.tensordot(g, y, (g_of_y, y_free)), np.argsort(found))

    def for_y() -> Any:
        found = [*(y_axes[i] for i in np.argsort(x_axes)), *y_free]
        return np.transpose(np.tensordot(x, g, (x_free, g_of_x)), np.argsort(found))

    return for_x, for_y


def contracted_axes(x_ndim: int, y_ndim: int, axes: Any) -> tuple[list[int], list[int]]:
    """Give the axes of both arrays over which tensordot sums, counted from the first."""
    if isinstance(axes, int | np.integer):
        return list(range(x_ndim - int(axes), x_ndim)), list(range(int(axes)))
    x_axes, y_axes = ([a] if np.ndim(a) == 0 else list(a) for a in axes)
    return [a % x_ndim for a in x_axes], [a % y_ndim for a in y_axes]


def _einsum(*operands: Any, labels: Any, optimize: Any = False) -> Any:
    inputs, output = labels
    return np.einsum(f"{','.join(inputs)}->{output}", *operands, optimize=optimize)


@op(_einsum)
def contract(g: Any, out: Any, *operands: Any, labels: Any, optimize: Any = False) -> Rule:
    inputs, output = labels

    def gradient(i: int) -> Any:
        others = [*inputs[:i], *inputs[i + 1 :]]
        known = set(output).union(*others)
        unique = "".join(dict.fromkeys(inputs[i]))
        target = "".join(label for label in unique if label in known)
        subscripts = f"{','.join([output, *others])}->{target}"
        partial = np.einsum(subscripts, g, *operands[:i], *operands[i + 1 :], optimize=optimize)
        return spread_labels(partial, target, unique, inputs[i], operands[i].shape)

    return tuple((lambda i=i: gradient(i)) for i in range(len(operands)))


def spread_labels(
    partial: Any, target: str, unique: str, labels: str, shape: tuple[int, ...]
) -> Any:
    """Repeat `partial` along labels it lacks, and lay repeated labels on the diagonal."""
    if unique == labels == target and partial.shape == shape:
        return partial
    known = dict(zip(target, partial.shape, strict=True))
    own = dict(zip(labels, shape, strict=True))
    # Where the operand itself was broadcast the partial is longer: the engine sums it.
    sizes = {label: known.get(label, 1) if size == 1 else size for label, size in own.items()}
    kept = partial.reshape([known.get(label, 1) for label in unique])
    full = np.broadcast_to(kept, [sizes[label] for label in unique])
    if unique == labels:
        return full
    places = np.ix_(*(np.arange(sizes[label]) for label in unique))
    index = tuple(places[unique.index(label)] for label in labels)
    return scatter(full, index=index, shape=tuple(sizes[label] for label in labels))


@composed(np.einsum)
def einsum(*operands: Any, optimize: Any = False) -> Any:
    if not isinstance(operands[0], str):
        operands = tuple(from_sublists(operands))
    subscripts, *arrays = operands
    labels = explicit_labels(subscripts, [np.ndim(array) for array in arrays])
    return contract(*arrays, labels=labels, optimize=optimize)


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def from_sublists(operands: Sequence[Any]) -> list[Any]:
    """Write einsum's form of arrays followed by lists of numbers with a string of letters."""

    def write(sublist: Sequence[Any]) -> str:
        return "".join("..." if label is Ellipsis else LETTERS[label] for label in sublist)

    arrays = list(operands[: len(operands) // 2 * 2 : 2])
    subscripts = ",".join(write(sublist) for sublist in operands[1::2])
    if len(operands) % 2:
        subscripts += "->" + write(operands[-1])
    return [subscripts, *arrays]


def explicit_labels(subscripts: str, ndims: Sequence[int]) -> tuple[tuple[str, ...], str]:
    """Give every operand's labels and the output's, letters standing for each ellipsis."""
    written, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = written.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} names {len(inputs)} operands, got {len(ndims)}")
    unused = [letter for letter in LETTERS if letter not in subscripts]
    lengths = [
        ndim - len(labels) + 3 if "..." in labels else 0
        for labels, ndim in zip(inputs, ndims, strict=True)
    ]
    rest = "".join(unused[: max(lengths, default=0)])
    inputs = [
        labels.replace("...", rest[len(rest) - length :])
        for labels, length in zip(inputs, lengths, strict=True)
    ]
    if arrow and rest and "..." not in output:
        raise ValueError(f"einsum: the output of {subscripts!r} lacks the '...' of the operands")
    if not arrow:
        every = "".join(inputs)
        once = sorted(label for label in set(every) - set(rest) if every.count(label) == 1)
        return tuple(inputs), rest + "".join(once)
    return tuple(inputs), output.replace("...", rest)
