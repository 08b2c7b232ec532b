"""Every op of tinygraph, and for each a strategy of calls at points where it is smooth."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from tinygraph import nn, rules
from tinygraph.op import OPS, Domain, Op
from tinygraph.rules.products import explicit_labels

Shape = tuple[int, ...]

REAL = (-np.inf, np.inf)
AWAY_FROM_ZERO = (0.3, 3.0)


class Call(NamedTuple):
    """What an op is called with."""

    inputs: tuple[np.ndarray, ...]
    params: dict[str, Any] = {}  # noqa: RUF012


def all_ops() -> dict[str, Op]:
    """Give every op by name: those of NumPy's functions, of tinygraph.nn, and of the rules."""
    modules = [importlib.import_module(f"{rules.__name__}.{m.name}") for m in rule_modules()]
    found = [*OPS.values(), *(op for module in [nn, *modules] for op in ops_in(module))]
    unique = list({id(op): op for op in found}.values())
    names = [op.name for op in unique]
    assert len(set(names)) == len(names), "two ops have one name, so tests could not tell them"
    return dict(zip(names, unique, strict=True))


def rule_modules() -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(rules.__path__)


def ops_in(module: Any) -> list[Op]:
    return [value for value in vars(module).values() if isinstance(value, Op)]


def calls_of(op: Op) -> st.SearchStrategy[Call]:
    """Give the strategy of an op's calls; element-wise ufuncs need no entry in SAMPLES."""
    if op.name in SAMPLES:
        return SAMPLES[op.name]
    if is_elementwise(op):
        return elementwise(op.function.nin, op.domain)
    raise LookupError(f"the op {op.name!r} has no sample: add one to SAMPLES in tests/samples.py")


def is_elementwise(op: Op) -> bool:
    function = op.function
    return isinstance(function, np.ufunc) and function.signature is None and function.nin <= 2


def spaced_numbers(count: int, domain: Domain, generator: np.random.Generator) -> np.ndarray:
    """Give `count` numbers in `domain`; on the whole line distinct, off halves and integers.

    So no two tie, none is at a kink of abs, relu, floor or rint, and a small step reaches none.
    """
    if np.isfinite(domain).all():
        low, high = domain
        margin = (high - low) / 32
        return generator.uniform(low + margin, high - margin, count)
    half = max(48, count)
    grid = generator.permutation(np.arange(-half, half))[:count] / 16 + 0.1
    return grid + generator.uniform(-0.01, 0.01, count)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


def lay_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Give an equal array that lies in memory as `layout` says."""
    return LAYOUTS[layout](array) if array.ndim else array


def draw_generator(draw: st.DrawFn) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def draw_arrays(
    draw: st.DrawFn, shapes: Sequence[Shape], domain: Domain = REAL, signed: bool = False
) -> tuple[np.ndarray, ...]:
    """Draw float64 arrays in any memory layout, no two of whose elements tie."""
    generator = draw_generator(draw)
    sizes = [int(np.prod(shape)) for shape in shapes]
    pool = spaced_numbers(sum(sizes), domain, generator)
    if signed:
        pool = pool * generator.choice([-1.0, 1.0], pool.size)
    pieces = np.split(pool, np.cumsum(sizes)[:-1])
    return tuple(
        lay_out(piece.reshape(shape), draw(st.sampled_from(sorted(LAYOUTS))))
        for piece, shape in zip(pieces, shapes, strict=True)
    )


def shapes_of(min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[Shape]:
    return hypothesis_numpy.array_shapes(
        min_dims=min_dims, max_dims=3, min_side=min_side, max_side=3
    )


def broadcastable_shapes(count: int) -> st.SearchStrategy[Any]:
    return hypothesis_numpy.mutually_broadcastable_shapes(
        num_shapes=count, max_dims=3, min_side=0, max_side=3
    )


def axes_of(ndim: int) -> st.SearchStrategy[int]:
    return st.integers(-ndim, ndim - 1)


@st.composite
def elementwise(draw: st.DrawFn, count: int, domain: Domain = REAL, signed: bool = False) -> Call:
    """Draw `count` arrays that broadcast together."""
    shapes = draw(broadcastable_shapes(count)).input_shapes
    return Call(draw_arrays(draw, shapes, domain, signed))


@st.composite
def with_params(
    draw: st.DrawFn, calls: st.SearchStrategy[Call], **params: st.SearchStrategy[Any]
) -> Call:
    """Add parameters, each left out at times, to calls."""
    chosen = draw(st.fixed_dictionaries({}, optional=params))
    call = draw(calls)
    return Call(call.inputs, {**call.params, **chosen})


@st.composite
def powers(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(2)).input_shapes
    (x,) = draw_arrays(draw, shapes[:1], AWAY_FROM_ZERO)
    (y,) = draw_arrays(draw, shapes[1:], AWAY_FROM_ZERO, signed=True)
    return Call((x, y))


@st.composite
def quotients_with_rest(draw: st.DrawFn) -> Call:
    """Draw x, y whose quotient is at least an eighth off every integer, in either sign."""
    shapes = draw(broadcastable_shapes(2)).input_shapes
    generator = draw_generator(draw)
    x = generator.integers(-6, 6, shapes[0]) / 2 + 0.25
    y = generator.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], shapes[1])
    jitter = [generator.uniform(0.999, 1.001, shape) for shape in shapes]
    return Call((np.asarray(x * jitter[0]), np.asarray(y * jitter[1])))


@st.composite
def reductions(
    draw: st.DrawFn,
    min_count: int = 0,
    zeros: bool = False,
    **params: st.SearchStrategy[Any],
) -> Call:
    """Draw an array and axes over which at least `min_count` elements come together."""
    at_least_one = int(min_count > 1)
    shape = draw(shapes_of(min_dims=at_least_one))
    axes = st.none() | hypothesis_numpy.valid_tuple_axes(len(shape), min_size=at_least_one)
    if shape:
        axes |= axes_of(len(shape))
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes, **params}))
    shape = with_count(shape, chosen.get("axis"), min_count)
    (x,) = draw_arrays(draw, [shape])
    if zeros:
        x = x * draw_generator(draw).choice([0.0, 1.0, 1.0], shape)
    return Call((np.asarray(x),), chosen)


def with_count(shape: Shape, axis: Any, min_count: int) -> Shape:
    """Make the sides along `axis` long enough for `min_count` elements, if they are not."""
    sides = np.array(shape, dtype=int)
    reduced = slice(None) if axis is None else list(np.atleast_1d(axis).astype(int))
    if np.prod(sides[reduced]) < min_count:
        sides[reduced] = min_count
    return tuple(sides.tolist())


@st.composite
def spreads(draw: st.DrawFn) -> Call:
    """Draw for var and std: at least three elements, so that ddof leaves some freedom."""
    call = draw(reductions(min_count=3, keepdims=st.booleans()))
    freedom = draw(st.sampled_from([{}, {"ddof": 1}, {"ddof": 2}, {"correction": 1}]))
    return Call(call.inputs, {**call.params, **freedom})


@st.composite
def normalisations(draw: st.DrawFn, **params: st.SearchStrategy[Any]) -> Call:
    """Draw an array and axes, one or several, which are not empty."""
    shape = draw(shapes_of(min_dims=1))
    axes = axes_of(len(shape)) | hypothesis_numpy.valid_tuple_axes(len(shape), min_size=1)
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes, **params}))
    return Call(draw_arrays(draw, [with_count(shape, chosen.get("axis", -1), 1)]), chosen)


@st.composite
def selections(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(3)).input_shapes
    condition = np.asarray(draw_generator(draw).random(shapes[0]) < 0.5)
    return Call((condition, *draw_arrays(draw, shapes[1:])))


@st.composite
def one_array(
    draw: st.DrawFn,
    params_of: Callable[[Shape], st.SearchStrategy[dict[str, Any]]] = lambda shape: st.just({}),
    min_dims: int = 0,
) -> Call:
    """Draw an array, and parameters that depend on its shape."""
    shape = draw(shapes_of(min_dims))
    return Call(draw_arrays(draw, [shape]), draw(params_of(shape)))


ORDERS = st.sampled_from(["C", "F"])


def reshape_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    size = int(np.prod(shape))
    targets = [shape, shape[::-1], (size,), (1, size), size, (*shape, 1)]
    if size:
        targets += [-1, (-1, 1), (*shape[:1], -1)]
    return st.fixed_dictionaries({"shape": st.sampled_from(targets)}, optional={"order": ORDERS})


def transpose_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    ndim = len(shape)
    orders = st.permutations(range(ndim)).map(tuple)
    from_behind = orders.map(lambda order: tuple(axis - ndim for axis in order))
    return st.fixed_dictionaries({}, optional={"axes": st.none() | orders | from_behind})


def swapaxes_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    axis = axes_of(len(shape))
    return st.fixed_dictionaries({"axis1": axis, "axis2": axis})


@st.composite
def moveaxis_params(draw: st.DrawFn, shape: Shape) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"source": draw(axes_of(len(shape))), "destination": draw(axes_of(len(shape)))}
    source = draw(hypothesis_numpy.valid_tuple_axes(len(shape)))
    count = len(source)
    axes = hypothesis_numpy.valid_tuple_axes(len(shape), min_size=count, max_size=count)
    return {"source": source, "destination": draw(axes)}


def expand_params(shape: Shape) -> st.SearchStrategy[dict[str, Any]]:
    ndim = len(shape)
    pairs = hypothesis_numpy.valid_tuple_axes(ndim + 2, min_size=2, max_size=2)
    return st.fixed_dictionaries({"axis": st.integers(-ndim - 1, ndim) | pairs})


@st.composite
def squeezes(draw: st.DrawFn) -> Call:
    shape = draw(st.lists(st.sampled_from([1, 1, 2, 0]), max_size=3).map(tuple))
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    choices = [st.none(), st.just(())]
    if ones:
        choices += [
            st.sampled_from(ones),
            st.sampled_from(ones).map(lambda axis: axis - len(shape)),
            st.lists(st.sampled_from(ones), unique=True).map(tuple),
        ]
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": st.one_of(choices)}))
    return Call(draw_arrays(draw, [shape]), chosen)


@st.composite
def broadcasts(draw: st.DrawFn) -> Call:
    shapes = draw(broadcastable_shapes(2))
    return Call(draw_arrays(draw, shapes.input_shapes[:1]), {"shape": shapes.result_shape})


@st.composite
def joins(draw: st.DrawFn) -> Call:
    """Draw arrays that concatenate along an axis, or flattened where it is None."""
    shape = draw(shapes_of(min_dims=1))
    count = draw(st.integers(1, 3))
    if draw(st.booleans()):
        shapes = [draw(shapes_of()) for _ in range(count)]
        return Call(draw_arrays(draw, shapes), {"axis": None})
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes_of(len(shape))}))
    axis = chosen.get("axis", 0) % len(shape)
    sizes = [draw(st.integers(0, 3)) for _ in range(count)]
    shapes = [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]
    return Call(draw_arrays(draw, shapes), chosen)


@st.composite
def stacks(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    axes = st.integers(-len(shape) - 1, len(shape))
    chosen = draw(st.fixed_dictionaries({}, optional={"axis": axes}))
    return Call(draw_arrays(draw, [shape] * draw(st.integers(1, 3))), chosen)


@st.composite
def indices(draw: st.DrawFn, shape: Shape) -> Any:
    """Draw an index of any kind: basic, a mask, or arrays of numbers among slices."""
    kind = draw(st.sampled_from(["basic", "mask", "arrays"]))
    if kind == "basic" or not shape:
        return draw(hypothesis_numpy.basic_indices(shape, allow_newaxis=True, max_dims=5))
    generator = draw_generator(draw)
    if kind == "mask":
        masked = draw(st.integers(1, len(shape)))
        return generator.random(shape[:masked]) < 0.6
    numbers_shape = draw(st.sampled_from([(), (1,), (4,), (2, 3)]))
    parts: list[Any] = []
    for size in shape:
        part = draw(st.sampled_from(["numbers", "numbers", "slice", "number"]))
        if part == "slice" or size == 0:
            parts.append(draw(st.slices(size)))
        elif part == "number":
            parts.append(draw(st.integers(-size, size - 1)))
        else:
            parts.append(np.asarray(generator.integers(-size, size, numbers_shape)))
    return tuple(parts)


@st.composite
def reads(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    return Call(draw_arrays(draw, [shape]), {"index": draw(indices(shape))})


@st.composite
def scatters(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of())
    index = draw(indices(shape))
    read = np.zeros(shape)[index]
    return Call(draw_arrays(draw, [read.shape]), {"index": index, "shape": shape})


@st.composite
def writes(draw: st.DrawFn) -> Call:
    """Draw an array, an index, and values that broadcast to the elements there."""
    shape = draw(shapes_of())
    index = draw(indices(shape))
    target = np.zeros(shape)[index].shape
    shapes = [target, target[1:], (), tuple(min(size, 1) for size in target)]
    return Call(draw_arrays(draw, [shape, draw(st.sampled_from(shapes))]), {"index": index})


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


@st.composite
def linear_layers(draw: st.DrawFn) -> Call:
    outputs, inputs = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    batch = draw(st.lists(st.integers(0, 3), max_size=2))
    return Call(draw_arrays(draw, [(*batch, inputs), (outputs, inputs), (outputs,)]))


@st.composite
def losses(draw: st.DrawFn) -> Call:
    shape = draw(shapes_of(min_dims=1, min_side=1))
    return Call(draw_arrays(draw, [shape, shape]))


KEEPDIMS = st.booleans()
FACTORS = st.sampled_from([0.01, 0.5, 2.0])

SAMPLES: dict[str, st.SearchStrategy[Call]] = {
    "divide": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "reciprocal": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "cbrt": elementwise(1, AWAY_FROM_ZERO, signed=True),
    "arctan2": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "hypot": elementwise(2, AWAY_FROM_ZERO, signed=True),
    "power": powers(),
    "float_power": powers(),
    "remainder": quotients_with_rest(),
    "fmod": quotients_with_rest(),
    "floor_divide": quotients_with_rest(),
    "real": elementwise(1),
    "imag": elementwise(1),
    "clip": elementwise(3),
    "where": selections(),
    "sum": reductions(keepdims=KEEPDIMS),
    "mean": reductions(min_count=1, keepdims=KEEPDIMS),
    "prod": reductions(zeros=True, keepdims=KEEPDIMS),
    "max": reductions(min_count=1, keepdims=KEEPDIMS),
    "min": reductions(min_count=1, keepdims=KEEPDIMS),
    "amax": reductions(min_count=1, keepdims=KEEPDIMS),
    "amin": reductions(min_count=1, keepdims=KEEPDIMS),
    "var": spreads(),
    "std": spreads(),
    "identity": one_array(),
    "copy": one_array(),
    "astype": one_array(
        lambda shape: st.fixed_dictionaries({"dtype": st.sampled_from(["float64", "complex128"])})
    ),
    "reshape": one_array(reshape_params),
    "ravel": one_array(lambda shape: st.fixed_dictionaries({}, optional={"order": ORDERS})),
    "transpose": one_array(transpose_params),
    "swapaxes": one_array(swapaxes_params, min_dims=1),
    "matrix_transpose": one_array(min_dims=2),
    "moveaxis": one_array(moveaxis_params, min_dims=1),
    "expand_dims": one_array(expand_params),
    "squeeze": squeezes(),
    "broadcast_to": broadcasts(),
    "concatenate": joins(),
    "stack": stacks(),
    "getitem": reads(),
    "scatter": scatters(),
    "put": writes(),
    "put_add": writes(),
    "matmul": matrix_products(),
    "dot": dot_products(),
    "outer": outer_products(),
    "tensordot": tensor_products(),
    "einsum": einsum_products(),
    "linear": linear_layers(),
    "sigmoid": elementwise(1),
    "relu": elementwise(1),
    "leaky_relu": with_params(elementwise(1), slope=FACTORS),
    "elu": with_params(elementwise(1), alpha=FACTORS),
    "softplus": elementwise(1),
    "softmax": normalisations(),
    "log_softmax": normalisations(),
    "logsumexp": reductions(min_count=1, keepdims=KEEPDIMS),
    "quadratic": losses(),
    "squared_norm": one_array(),
    "cross_entropy": losses(),
    "binary_cross_entropy_with_logits": losses(),
}
