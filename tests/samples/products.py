"""Samples of products of vectors, matrices and tensors."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tests.samples.drawing import Call, Shape, draw_arrays, shapes_of
from tinygraph.rules.products import explicit_labels


@st.composite
def matrix_products(draw: st.DrawFn) -> Call:
    """Draw vectors, matrices and batches that np.matmul takes."""
    shapes = hypothesis_numpy.mutually_broadcastable_shapes(
        signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3
    )
    return Call(draw_arrays(draw, draw(shapes).input_shapes))


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
    "matmul": matrix_products(),
    "dot": dot_products(),
    "outer": outer_products(),
    "tensordot": tensor_products(),
    "einsum": einsum_products(),
}

FORMS = {
    "einsum": lambda *operands, labels, **params: np.einsum(
        f"{','.join(labels[0])}->{labels[1]}", *operands, **params
    )
}
SAMPLES["np.einsum"] = SAMPLES["einsum"]
FORMS["np.einsum"] = FORMS["einsum"]
