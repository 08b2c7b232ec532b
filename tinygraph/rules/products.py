"""Rules of products of vectors, matrices and tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygraph.op import OF_SHAPES, composed, op
from tinygraph.rules.indexing import scatter

Rule = tuple[Any, ...]


@op(np.matmul)
def matmul(g: Any, out: Any, x: Any, y: Any, *, axes: Any = None) -> Rule:
    if axes is not None:
        return along(matmul.rule, axes, g, out, x, y)
    if x.ndim > 1 and y.ndim > 1:
        return lambda: g @ y.mT, lambda: x.mT @ g
    if x.ndim == 1 and y.ndim == 1:
        return lambda: np.expand_dims(g, -1) * y, lambda: np.expand_dims(g, -1) * x
    if y.ndim == 1:
        return lambda: np.expand_dims(g, -1) * y, lambda: combine_rows(g, x)
    return lambda: combine_rows(g, y.mT), lambda: np.expand_dims(x, -1) * np.expand_dims(g, -2)


def combine_rows(weights: Any, matrices: Any) -> Any:
    """Add up the rows of matrices, each times its weight."""
    if matrices.ndim == 2:
        return weights @ matrices
    return np.squeeze(np.expand_dims(weights, -2) @ matrices, -2)


def along(rule: Any, axes: Sequence[Any], g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Apply the rule of a product of the last axes along the `axes` that a gufunc was given."""
    entries = [(entry,) if np.ndim(entry) == 0 else entry for entry in [*axes, ()][:3]]
    # Counted from the last, axes are the same under more axes of a batch in front.
    own = [
        tuple(axis % z.ndim - z.ndim for axis in entry)
        for entry, z in zip(entries, (x, y, out), strict=True)
    ]
    last = [tuple(range(-len(entry), 0)) for entry in own]
    moved = [np.moveaxis(z, *pair) for z, *pair in zip((x, y, g), own, last, strict=True)]
    for_x, for_y = rule(moved[2], None, *moved[:2])
    return (
        lambda: np.moveaxis(for_x(), last[0], own[0]),
        lambda: np.moveaxis(for_y(), last[1], own[1]),
    )


def matvec_rule(g: Any, out: Any, x: Any, y: Any, *, axes: Any = None) -> Rule:
    if axes is not None:
        return along(matvec_rule, axes, g, out, x, y)
    return lambda: np.expand_dims(g, -1) * np.expand_dims(y, -2), lambda: combine_rows(g, x)


def vecmat_rule(g: Any, out: Any, x: Any, y: Any, *, axes: Any = None) -> Rule:
    if axes is not None:
        return along(vecmat_rule, axes, g, out, x, y)
    return (
        lambda: conj(combine_rows(g, y.mT)),
        lambda: np.expand_dims(conj(x), -1) * np.expand_dims(g, -2),
    )


if hasattr(np, "matvec"):
    matvec = op(np.matvec)(matvec_rule)
    vecmat = op(np.vecmat)(vecmat_rule)


@op(np.vecdot)
def vecdot(
    g: Any, out: Any, x: Any, y: Any, *, axes: Any = None, axis: int = -1, keepdims: bool = False
) -> Rule:
    entries = (axis, axis, axis) if axes is None else (*axes, -1)
    if keepdims:
        (kept,) = np.ravel(entries[2]).tolist()
        g = np.squeeze(g, kept % out.ndim - out.ndim)
    return along(vecdot_of_last, entries[:2], g, out, x, y)


def vecdot_of_last(g: Any, out: Any, x: Any, y: Any) -> Rule:
    g = np.expand_dims(g, -1)
    return lambda: conj(g * y), lambda: g * conj(x)


def conj(x: Any) -> Any:
    """Give the complex conjugate, real numbers as they are."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


@op(np.vdot)
def vdot(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return (
        lambda: conj(g * y).reshape(np.shape(x)),
        lambda: (g * np.conjugate(x)).reshape(np.shape(y)),
    )


@op(np.inner)
def inner(g: Any, out: Any, x: Any, y: Any) -> Rule:
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return lambda: g * y, lambda: g * x
    x_free = list(range(x.ndim - 1))
    return (
        lambda: np.tensordot(g, y, y.ndim - 1),
        lambda: np.tensordot(g, x, (x_free, x_free)),
    )


@composed(np.kron)
def kron(a: Any, b: Any) -> Any:
    ndim = max(np.ndim(a), np.ndim(b))
    a_shape, b_shape = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    blocks = np.reshape(a, [n for size in a_shape for n in (size, 1)])
    elements = np.reshape(b, [n for size in b_shape for n in (1, size)])
    return np.reshape(blocks * elements, [m * n for m, n in zip(a_shape, b_shape, strict=True)])


def _cross(x: Any, y: Any) -> Any:
    return np.cross(x, y)


@op(_cross)
def cross_of_last(g: Any, out: Any, x: Any, y: Any) -> Rule:
    is_flat = x.shape[-1] == y.shape[-1] == 2
    upright = np.expand_dims(g, -1) * np.array([False, False, True]) if is_flat else g
    return (
        lambda: cross_of_last(in_space(y), upright)[..., : x.shape[-1]],
        lambda: cross_of_last(upright, in_space(x))[..., : y.shape[-1]],
    )


def in_space(vectors: Any) -> Any:
    """Give vectors of two components a third, which is 0."""
    if vectors.shape[-1] == 3:
        return vectors
    return np.concatenate([vectors, np.zeros_like(vectors[..., :1])], axis=-1)


@composed(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    product = cross_of_last(x, y)
    is_flat = x.shape[-1] == y.shape[-1] == 2
    return product if is_flat else np.moveaxis(product, -1, axisc)


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


def _einsum(*operands: Any, labels: Any, **params: Any) -> Any:
    inputs, output = labels
    return np.einsum(f"{','.join(inputs)}->{output}", *operands, **params)


@op(_einsum)
def contract(
    g: Any, out: Any, *operands: Any, labels: Any, optimize: Any = False, **params: Any
) -> Rule:
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
def einsum(*operands: Any, **params: Any) -> Any:
    if not isinstance(operands[0], str):
        operands = tuple(from_sublists(operands))
    subscripts, *arrays = operands
    labels = explicit_labels(subscripts, [np.ndim(array) for array in arrays])
    return contract(*arrays, labels=labels, **params)


OF_SHAPES.add(np.einsum_path)


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
