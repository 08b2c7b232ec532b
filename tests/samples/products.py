"""Samples of products of vectors, matrices and tensors."""

import re

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import Call, Shape, axes_of, draw_arrays, shapes_of
from tinygraph.rules.products import explicit_labels


@st.composite
def batched_products(draw: st.DrawFn, signature: str) -> Call:
    """Draw vectors, matrices and batches that a gufunc takes, at times along axes in any place."""
    drawn = draw(
        hypothesis_numpy.mutually_broadcastable_shapes(
            signature=signature, max_dims=2, min_side=0, max_side=3
        )
    )
    shapes = [*drawn.input_shapes, drawn.result_shape]
    if draw(st.booleans()):
        return Call(draw_arrays(draw, shapes[:2]))
    cores = [len(core.split(",")) if core else 0 for core in re.findall(r"\(([^)]*)\)", signature)]
    if "?" in signature:
        cores = [min(core, len(shape)) for core, shape in zip(cores, shapes[:2], strict=False)]
        cores.append(sum(core - 1 for core in cores))
    placed = [move_core(draw, *pair) for pair in zip(shapes, cores, strict=True)]
    return Call(
        draw_arrays(draw, [shape for shape, _ in placed[:2]]),
        {"axes": [axes for _, axes in placed]},
    )


def move_core(draw: st.DrawFn, shape: Shape, count: int) -> tuple[Shape, tuple[int, ...]]:
    """Give the shape with its last axes at other places, and these places."""
    places = draw(st.permutations(range(len(shape))))[:count]
    sign = draw(st.sampled_from([0, len(shape)]))
    moved = np.moveaxis(np.empty(shape), range(-count, 0), places).shape
    return moved, tuple(place - sign for place in places)


@st.composite
def vector_products_along(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1))
    axis = draw(st.fixed_dictionaries({}, optional={"axis": axes_of(len(shape))}))
    return Call(draw_arrays(draw, [shape, shape]), axis)


@st.composite
def vector_products(draw: st.DrawFn) -> Call:
    """Draw for np.vecdot, which can keep the axis of the vectors, at any place."""
    call = draw(batched_products(np.vecdot.signature) | vector_products_along())
    if draw(st.booleans()):
        return call
    if "axes" not in call.params:
        return Call(call.inputs, {**call.params, "keepdims": True})
    axes = call.params["axes"][:2]
    kept = draw(axes_of(max(x.ndim for x in call.inputs)))
    return Call(call.inputs, {"axes": [*axes, (kept,)], "keepdims": True})


@st.composite
def flattened_products(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    other = draw(st.sampled_from([shape, shape[::-1], (int(np.prod(shape)),)]))
    return Call(draw_arrays(draw, [shape, other]))


@st.composite
def inner_products(draw: st.DrawFn) -> Call:
    shared = draw(st.integers(0, 3))
    shapes = st.just(()) | st.lists(st.integers(0, 3), max_size=2).map(lambda s: (*s, shared))
    return Call(draw_arrays(draw, [draw(shapes), draw(shapes)]))


@st.composite
def block_products(draw: st.DrawFn) -> Call:
    shapes = hypothesis_numpy.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
    return Call(draw_arrays(draw, [draw(shapes), draw(shapes)]))


@st.composite
def vectors_in_space(draw: st.DrawFn) -> Call:
    """Draw arrays of vectors of three components, which lie along the last axis."""
    shapes = draw(
        hypothesis_numpy.mutually_broadcastable_shapes(
            signature="(3),(3)->(3)", max_dims=2, min_side=0, max_side=3
        )
    )
    return Call(draw_arrays(draw, shapes.input_shapes))


@st.composite
def vectors_along_axes(draw: st.DrawFn) -> Call:
    """Draw them along any axes, which the parameters of np.cross name."""
    x, y = draw(vectors_in_space()).inputs
    ndim = max(x.ndim, y.ndim)
    if draw(st.booleans()) and x.shape == y.shape:
        axis = draw(axes_of(ndim))
        return Call(tuple(np.moveaxis(z, -1, axis) for z in (x, y)), {"axis": axis})
    axisa, axisb = draw(axes_of(x.ndim)), draw(axes_of(y.ndim))
    moved = (np.moveaxis(x, -1, axisa), np.moveaxis(y, -1, axisb))
    chosen = draw(st.fixed_dictionaries({}, optional={"axisc": axes_of(ndim)}))
    return Call(moved, {"axisa": axisa, "axisb": axisb, **chosen})


@st.composite
def dot_products(draw: st.DrawFn) -> Call:
    shared = draw(st.integers(0, 3))
    sides = st.lists(st.integers(0, 3), max_size=2).map(tuple)
    x_shape = draw(st.just(()) | sides.map(lambda before: (*before, shared)))
    y_shape = draw(
        st.just(())
        | st.just((shared,))
        | sides.map(lambda around: (*around[:-1], shared, *around[-1:]))
    )
    return Call(draw_arrays(draw, [x_shape, y_shape]))


@st.composite
def outer_products(draw: st.DrawFn) -> Call:
    return Call(draw_arrays(draw, [draw(shapes_of()), draw(shapes_of())]))


@st.composite
def tensor_products(draw: st.DrawFn) -> Call:
    """Draw arrays that share some axes, in any order, and those axes in each form there is."""
    sides = st.lists(st.integers(0, 3), max_size=2)
    shared, x_free, y_free = draw(sides), draw(sides), draw(sides)
    count = len(shared)
    if draw(st.booleans()):
        axes = {} if count == 2 else {"axes": count}
        return Call(draw_arrays(draw, [(*x_free, *shared), (*shared, *y_free)]), axes)
    x_axes, x_shape = place_axes(draw, shared, x_free)
    y_axes, y_shape = place_axes(draw, shared, y_free)
    if count == 1 and draw(st.booleans()):
        return Call(draw_arrays(draw, [x_shape, y_shape]), {"axes": (x_axes[0], y_axes[0])})
    return Call(draw_arrays(draw, [x_shape, y_shape]), {"axes": (x_axes, y_axes)})


def place_axes(
    draw: st.DrawFn, shared: list[int], free: list[int]
) -> tuple[tuple[int, ...], Shape]:
    sizes = [*shared, *free]
    order = draw(st.permutations(range(len(sizes))))
    sign = draw(st.sampled_from([0, len(sizes)]))
    axes = tuple(order.index(i) - sign for i in range(len(shared)))
    return axes, tuple(sizes[i] for i in order)


@st.composite
def einsum_products(draw: st.DrawFn) -> Call:
    """Draw up to three operands with labels, repeated within one and missing in the output."""
    sizes = {label: draw(st.sampled_from([2, 3, 1, 0])) for label in "ijk"}
    operand = st.text("ijk", max_size=3)
    inputs = draw(st.lists(operand, min_size=1, max_size=3))
    output = draw(st.permutations(sorted(set("".join(inputs)))))
    kept = "".join(output[: draw(st.integers(0, len(output)))])
    optimize = draw(st.fixed_dictionaries({}, optional={"optimize": st.booleans()}))
    shapes = [draw_operand_shape(draw, labels, sizes) for labels in inputs]
    labels = explicit_labels(f"{','.join(inputs)}->{kept}", [len(shape) for shape in shapes])
    return Call(draw_arrays(draw, shapes), {"labels": labels, **optimize})


def draw_operand_shape(draw: st.DrawFn, labels: str, sizes: dict[str, int]) -> Shape:
    """Draw a shape with each label's size, or at times one in its place, which broadcasts."""
    if len(set(labels)) < len(labels):
        return tuple(sizes[label] for label in labels)
    return tuple(draw(st.sampled_from([sizes[label]] * 3 + [1])) for label in labels)


SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "matmul": batched_products(np.matmul.signature),
    "vecdot": vector_products(),
    "vdot": flattened_products(),
    "inner": inner_products(),
    "np.kron": block_products(),
    "cross": vectors_in_space(),
    "np.cross": vectors_along_axes(),
    "dot": dot_products(),
    "outer": outer_products(),
    "tensordot": tensor_products(),
    "einsum": einsum_products(),
}

if hasattr(np, "matvec"):
    SAMPLES["matvec"] = batched_products(np.matvec.signature)
    SAMPLES["vecmat"] = batched_products(np.vecmat.signature)

FORMS = {
    "einsum": lambda *operands, labels, **params: np.einsum(
        f"{','.join(labels[0])}->{labels[1]}", *operands, **params
    )
}
SAMPLES["np.einsum"] = SAMPLES["einsum"]
FORMS["np.einsum"] = FORMS["einsum"]
