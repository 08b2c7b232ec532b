"""Keyword arguments and methods of ufuncs, operators, conventions, and what gives plain results."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.samples import is_elementwise
from tests.samples.drawing import spaced_numbers
from tests.test_rules import assert_same_bits, random_like
from tinygraph.op import CONSTANT, INSTEAD, OF_SHAPES, OPS
from tinygraph.rules.elementwise import bessel_i, sinc_derivative

X = np.array([[0.75, 1.25, -0.6], [2.3, -1.7, 0.4]])
Y = np.array([[1.9, 0.6, 1.1], [-0.8, 2.2, 1.4]])
MASK = np.array([[True, False, True], [False, True, True]])

UFUNCS = {
    op.name: op for f, op in OPS.items() if is_elementwise(op) and getattr(np, op.name, None) is f
}
OF_FLOATS = sorted(UFUNCS.keys() - {"ldexp"})


def arguments_of(name: str, dtype: Any = float) -> list[np.ndarray]:
    """Give inputs of a ufunc at which it is smooth, of shape (2, 3)."""
    op = UFUNCS[name]
    generator = np.random.default_rng(5)
    pool = spaced_numbers(6 * op.function.nin, op.domain, generator).astype(dtype)
    return list(pool.reshape(op.function.nin, 2, 3))


def gradients(f: Callable[..., Any], *arrays: Any) -> list[Any]:
    """Give the gradients of sum(f)."""
    nodes = [tg.Node(np.asarray(x)) for x in arrays]
    out = f(*nodes)
    out.backward(np.ones(out.shape, out.dtype))
    return [np.zeros(x.shape) if x.grad is None else x.grad for x in nodes]


def check(f: Callable[..., Any], *arrays: np.ndarray, bits: bool = True) -> None:
    """Compare value, gradient and second derivative with NumPy's and finite differences."""
    nodes = [tg.Node(x) for x in arrays]
    out = f(*nodes)
    assert isinstance(out, tg.Node)
    if bits:
        assert_same_bits(out.value, f(*arrays))
    else:
        np.testing.assert_allclose(out.value, f(*arrays), rtol=1e-15)
    cotangent = random_like(out, seed=1)
    _, pullback = tg.vjp(f, *arrays)
    assert_gradients(pullback(cotangent), numeric_vjp(f, arrays, cotangent))

    def first(*at: Any) -> Any:
        return tg.vjp(f, *at)[1](cotangent)

    weights = tuple(random_like(x, seed=2) for x in arrays)
    _, pullback = tg.vjp(first, *arrays)
    assert_gradients(pullback(weights), numeric_vjp(first, arrays, weights))


# Keyword arguments


@pytest.mark.parametrize("name", OF_FLOATS)
@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("f4")])
def test_dtype_is_that_in_which_numpy_computes(name: str, dtype: Any) -> None:
    function, arrays = UFUNCS[name].function, arguments_of(name)
    if name == "float_power" and np.dtype(dtype) == "f4":
        with pytest.raises(TypeError, match="float_power"):
            function(*map(tg.Node, arrays), dtype=dtype)
        return
    nodes = [tg.Node(x) for x in arrays]
    out = function(*nodes, dtype=dtype)
    assert_same_bits(out.value, function(*arrays, dtype=dtype))
    out.backward(np.ones(out.shape, out.dtype))
    whole = gradients(function, *arrays)
    for x, expected in zip(nodes, whole, strict=True):
        found = np.zeros(x.shape) if x.grad is None else x.grad
        assert found.dtype == "float64"
        np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", OF_FLOATS)
def test_a_wider_dtype_makes_values_but_no_gradients_wider(name: str) -> None:
    function, arrays = UFUNCS[name].function, arguments_of(name, "float32")
    nodes = [tg.Node(x) for x in arrays]
    out = function(*nodes, dtype=float, casting="safe")
    assert_same_bits(out.value, function(*arrays, dtype=float))
    out.backward(np.ones(out.shape))
    assert {str(x.grad.dtype) for x in nodes if x.grad is not None} <= {"float32"}


@pytest.mark.parametrize(
    "keywords", [{"order": "F"}, {"subok": False}, {"casting": "safe"}, {"casting": "no"}], ids=str
)
def test_keywords_of_layout_and_casting_change_no_value(keywords: dict[str, Any]) -> None:
    check(lambda x, y: np.multiply(x, y, **keywords), X, Y)
    check(lambda x: np.sin(x, **keywords), X)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: np.add(x, 1.5, dtype="f4", casting="safe"), TypeError),
        (lambda x: np.add(x, np.float32([1, 2, 3]), casting="no"), TypeError),
        (lambda x: np.add(x, 1j, dtype=float), TypeError),
        (lambda x: np.sin(x, casting="sure"), ValueError),
        (lambda x: np.sin(x, dtype="text"), TypeError),
    ],
)
def test_casts_that_numpy_refuses_are_refused(call: Callable[..., Any], error: Any) -> None:
    with pytest.raises(error):
        call(X)
    with pytest.raises(error):
        call(tg.Node(X))


def test_numbers_of_pythons_are_weak_also_with_keywords() -> None:
    x = tg.Node(X.astype("float32"))
    assert np.add(x, 2.5, where=MASK).dtype == "float32"
    assert np.power(x, 2, casting="safe").dtype == "float32"
    assert np.add(x, np.float64(2.5), casting="safe").dtype == "float64"


def test_a_complex_result_of_real_numbers_by_dtype() -> None:
    x = np.array([-2.0, 3.0])
    node = tg.Node(x)
    out = np.sqrt(node, dtype=complex)
    assert_same_bits(out.value, np.sqrt(x, dtype=complex))
    out.backward(np.array([1j, 1.0]))
    np.testing.assert_allclose(node.grad, [0.5 / np.sqrt(2), 0.5 / np.sqrt(3)])


def test_an_integer_dtype_gives_values_without_gradients() -> None:
    out = np.add(tg.Node(X), 1, dtype=int, casting="unsafe")
    assert_same_bits(out.value, np.add(X, 1, dtype=int, casting="unsafe"))
    assert not out.requires_grad


@pytest.mark.parametrize("name", OF_FLOATS)
@pytest.mark.parametrize("elsewhere", [np.nan, 0.0, -7.0, np.inf])
def test_where_takes_nothing_from_elsewhere(name: str, elsewhere: float) -> None:
    function, arrays = UFUNCS[name].function, arguments_of(name)
    hidden = [np.where(MASK, x, elsewhere) for x in arrays]

    def masked(*nodes: Any) -> Any:
        return function(*nodes, where=MASK)

    def whole(*nodes: Any) -> Any:
        return function(*nodes) * MASK

    nodes = [tg.Node(x) for x in hidden]
    out = masked(*nodes)
    assert_same_bits(out.value, np.where(MASK, function(*arrays), 0))
    for found, expected in zip(gradients(masked, *hidden), gradients(whole, *arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    weights = tuple(random_like(x, seed=2) for x in arrays)

    def second(f: Callable[..., Any], at: list[np.ndarray]) -> Any:
        return tg.vjp(lambda *xs: tg.vjp(f, *xs)[1](np.ones(MASK.shape)), *at)[1](weights)

    for found, expected in zip(second(masked, hidden), second(whole, arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_where_takes_masks_of_every_kind() -> None:
    masks = [True, False, [True, False, True], MASK[:, :1], X > 0, np.True_]
    for mask in masks:
        out = np.exp(tg.Node(X), where=mask)
        assert_same_bits(out.value, np.where(np.broadcast_to(mask, X.shape), np.exp(X), 0))
    out = np.exp(tg.Node(X[0]), where=MASK)
    assert_same_bits(out.value, np.where(MASK, np.exp(X[0]), 0))
    x = tg.Node(X)
    for mask in [x > 0, tg.Node(X > 0, requires_grad=False)]:
        out = np.log(x, where=mask, out=None)
        assert_same_bits(out.value, np.where(X > 0, np.log(np.abs(X)), 0))


def test_where_with_integers_and_constants() -> None:
    y = tg.Node(np.array([1.0, 0.0]))
    out = np.divide(1, y, where=y != 0)
    assert out.tolist() == [1, 0]
    np.sum(out).backward()
    assert y.grad.tolist() == [-1, 0]
    assert np.add(tg.Node([1, 2], False), 1, where=[True, False]).value.dtype == "int64"
    (gradient,) = gradients(lambda x: np.divide(x, 0.0, where=False), [1.0])
    assert gradient.tolist() == [0]


def test_where_of_several_results() -> None:
    x = tg.Node(np.array([1.75, np.nan]))
    fraction, whole = np.modf(x, where=[True, False])
    assert (fraction.tolist(), whole.tolist()) == ([0.75, 0], [1, 0])
    fraction.backward(np.ones(2))
    assert x.grad.tolist() == [1, 0]
    quotient, rest = np.divmod(tg.Node([7.5]), 2, dtype="f4")
    assert (quotient.dtype, rest.dtype) == ("f4", "f4")


def test_keywords_of_products() -> None:
    out = np.matmul(tg.Node(X), Y.T, dtype="f4")
    assert_same_bits(out.value, np.matmul(X, Y.T, dtype="f4"))
    with pytest.raises(TypeError, match="matmul"):
        np.matmul(tg.Node(X), Y.T, where=True)


def test_keywords_of_functions_with_plain_results() -> None:
    assert np.less(tg.Node(X), 1, where=True).tolist() == (X < 1).tolist()
    assert np.isnan(tg.Node(X), casting="safe").tolist() == np.isnan(X).tolist()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.exp(x, out=np.zeros((2, 3))), "exp with out=.* write result = np.exp"),
        (lambda x: np.sum(x, 0, None, np.zeros(3)), "sum with out=.* write result = np.sum"),
        (lambda x: np.clip(x, 0, 1, np.zeros((2, 3))), "clip with out=.* write result = np.clip"),
        (lambda x: np.exp(x, signature="d->d"), "exp of a Node got the argument 'signature'"),
        (lambda x: np.einsum("ij->i", x, spam=1), "spam"),
        (lambda x: np.clip(x, 0, 1, dtype=float), "clip of a Node got .*'dtype'.*knows a, a_min"),
        (lambda x: np.clip(x, 0, 1, min=0), "twice"),
    ],
)
def test_what_is_not_known_is_refused_with_advice(call: Callable[..., Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call(tg.Node(X))


def test_a_type_error_inside_a_composed_function_comes_through() -> None:
    def broken(x: Any) -> Any:
        raise TypeError("inside")

    with pytest.raises(TypeError, match=r"^inside$"):
        np.piecewise(tg.Node(X), [X > 0], [broken])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.exp(x, out=None),
        lambda x: np.exp(x, None),
        lambda x: np.add.reduce(x, 0, None, None),
        lambda x: np.clip(x, 0, 1, None),
        lambda x: np.clip(x, 0, 1, out=None),
        lambda x: np.round(x, 1, None),
        lambda x: np.fix(x, out=None),
        lambda x: np.hypot.reduce(x, out=None),
        lambda x: np.divmod(x, 2, out=(None, None))[1],
    ],
)
def test_no_out_is_accepted_in_every_form(call: Callable[..., Any]) -> None:
    assert_same_bits(call(tg.Node(X)).value, call(X))


# Methods

UNROLLED = [np.subtract, np.divide, np.hypot, np.logaddexp, np.logaddexp2, np.fmax, np.fmin]
POSITIVE = np.abs(X) + 0.2


@pytest.mark.parametrize("ufunc", UNROLLED, ids=lambda ufunc: ufunc.__name__)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduce_along_an_axis(ufunc: Any, axis: int, keepdims: bool) -> None:
    check(lambda x: ufunc.reduce(x, axis, keepdims=keepdims), POSITIVE)


@pytest.mark.parametrize("ufunc", [np.power, np.arctan2])
def test_reduce_combines_from_the_left(ufunc: Any) -> None:
    """NumPy's own results are wrong here on processors with AVX512, where it reads too early."""
    a, b, c = [1.3, 0.7, 1.9]
    out = ufunc.reduce(tg.Node([a, b, c]))
    assert out.value == ufunc(ufunc(a, b), c)
    (gradient,) = gradients(ufunc.reduce, [a, b, c])
    expected = gradients(lambda a, b, c: ufunc(ufunc(a, b), c), a, b, c)
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


@pytest.mark.parametrize("ufunc", [np.hypot, np.logaddexp, np.logaddexp2, np.fmax, np.fmin])
@pytest.mark.parametrize("axis", [None, (0, 1), (2, 0), (-1,)])
def test_reduce_over_several_axes(ufunc: Any, axis: Any) -> None:
    cube = np.arange(1.0, 13).reshape(2, 3, 2) / 4
    check(lambda x: ufunc.reduce(x, axis=axis), cube)


@pytest.mark.parametrize(
    "keywords",
    [
        {"initial": 2.0},
        {"initial": 2.0, "where": MASK},
        {"where": MASK, "initial": 0.5, "axis": 1},
        {"where": MASK[0], "initial": 0.5, "axis": None, "keepdims": True},
    ],
    ids=str,
)
def test_reduce_with_a_start_and_a_mask(keywords: dict[str, Any]) -> None:
    for ufunc in [np.hypot, np.logaddexp, np.fmax]:
        check(lambda x, ufunc=ufunc: ufunc.reduce(x, **keywords), POSITIVE)
    if keywords.get("axis") is not None:
        check(lambda x: np.divide.reduce(x, **keywords), POSITIVE)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum], ids=lambda u: u.__name__)
def test_reductions_of_numpys_own_take_its_keywords(ufunc: Any) -> None:
    check(ufunc.reduce, X)
    check(lambda x: ufunc.reduce(x, 1), X)
    check(lambda x: ufunc.reduce(x, axis=None, keepdims=True), X)
    check(lambda x: ufunc.reduce(x, axis=(0, 1), initial=0.7), X)
    check(lambda x: ufunc.reduce(x, initial=0.7, where=MASK), X)
    check(lambda x: ufunc.reduce(x, dtype=None, initial=None, where=True), X)
    out = ufunc.reduce(tg.Node(X), dtype="f4")
    assert_same_bits(out.value, ufunc.reduce(X, dtype="f4"))


def test_a_mask_of_reduce_hides_what_would_be_nan() -> None:
    x = np.array([[2.0, 0.0], [4.0, np.nan]])
    mask = np.array([[True, False], [True, False]])
    (gradient,) = gradients(lambda x: np.divide.reduce(x, initial=8.0, where=mask), x)
    assert gradient.tolist() == [[-0.5, 0], [-0.25, 0]]
    assert np.hypot.reduce(tg.Node(x), where=mask).tolist() == [np.hypot(2, 4), 0]


def test_reduce_in_another_dtype() -> None:
    out = np.hypot.reduce(tg.Node(X), dtype="f4")
    assert_same_bits(out.value, np.hypot.reduce(X, dtype="f4"))
    integers = tg.Node([[4, 2], [2, 1]], requires_grad=False)
    assert_same_bits(np.divide.reduce(integers).value, np.divide.reduce(integers.value))
    assert_same_bits(np.subtract.reduce(integers).value, np.subtract.reduce(integers.value))


def test_reduce_of_nothing_is_the_identity_or_refused() -> None:
    x = tg.Node(np.ones((0, 2)))
    for ufunc in [np.hypot, np.logaddexp]:
        assert_same_bits(ufunc.reduce(x).value, ufunc.reduce(x.value))
        assert_same_bits(ufunc.reduce(x, axis=1).value, ufunc.reduce(x.value, axis=1))
        (gradient,) = gradients(ufunc.reduce, np.ones((0, 2)))
        assert gradient.shape == (0, 2)
    with pytest.raises(ValueError, match="identity"):
        np.divide.reduce(x)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: np.subtract.reduce(x, axis=(0, 1)), ValueError),
        (lambda x: np.hypot.reduce(x, axis=2), ValueError),
        (lambda x: np.divide.reduce(x, where=MASK), ValueError),
        (lambda x: np.exp.reduce(x), ValueError),
        (lambda x: np.hypot.accumulate(x, axis=5), ValueError),
        (lambda x: np.hypot.reduceat(x, [0, 9]), IndexError),
        (lambda x: np.ldexp.reduce(x), TypeError),
    ],
)
def test_methods_refuse_what_numpy_refuses(call: Callable[..., Any], error: Any) -> None:
    with pytest.raises(error):
        call(X)
    with pytest.raises(error):
        call(tg.Node(X))


@pytest.mark.parametrize(
    "ufunc", [*UNROLLED, np.maximum, np.minimum], ids=lambda ufunc: ufunc.__name__
)
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_accumulate(ufunc: Any, axis: int) -> None:
    check(lambda x: ufunc.accumulate(x, axis), POSITIVE)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply])
def test_sums_and_products_up_to_each(ufunc: Any) -> None:
    check(ufunc.accumulate, X)
    check(lambda x: ufunc.accumulate(x, axis=1), X)
    out = ufunc.accumulate(tg.Node(X), 0, "f4")
    assert_same_bits(out.value, ufunc.accumulate(X, 0, "f4"))


def test_accumulate_of_nothing_and_in_another_dtype() -> None:
    for ufunc in [np.subtract, np.maximum]:
        for shape in [(0, 2), (2, 0)]:
            out = ufunc.accumulate(tg.Node(np.ones(shape)))
            assert (out.shape, out.requires_grad) == (shape, True)
        out = ufunc.accumulate(tg.Node(X), 1, "f4")
        assert_same_bits(out.value, ufunc.accumulate(X, 1, "f4"))


def test_records_that_tie_share_equally() -> None:
    x = np.array([1.0, 3.0, 2.0, 3.0, 3.0, 5.0, 5.0, 4.0])
    jacobian = tg.jacobian(np.maximum.accumulate)(x)
    expected = np.zeros((8, 8))
    for row in range(8):
        tied = x[: row + 1] == np.max(x[: row + 1])
        expected[row, : row + 1] = tied / np.sum(tied)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-15)
    np.testing.assert_allclose(tg.jacobian(np.minimum.accumulate)(-x), expected, rtol=1e-15)
    for call in [np.fmax.reduce, lambda x: np.fmax.reduceat(x, [0]), lambda x: -np.fmin.reduce(-x)]:
        (gradient,) = gradients(call, [2.0, np.nan, 2.0, 1.0, 2.0])
        np.testing.assert_allclose(gradient, [1 / 3, 0, 1 / 3, 0, 1 / 3], rtol=1e-15)


def test_records_pass_the_gradient_to_a_nan() -> None:
    (gradient,) = gradients(np.maximum.accumulate, [1.0, np.nan, 2.0])
    assert gradient.tolist() == [1, 2, 0]
    (gradient,) = gradients(np.fmax.accumulate, [np.nan, 1.0, np.nan, 2.0])
    assert gradient.tolist() == [1, 2, 0, 1]


OUTER_PAIRS = [(X, Y[0]), (X[0], Y), (np.float64(0.4), Y), (X[0, 1], Y[0, 0])]


@pytest.mark.parametrize(("x", "y"), OUTER_PAIRS)
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.hypot], ids=lambda u: u.__name__)
def test_outer(ufunc: Any, x: Any, y: Any) -> None:
    check(ufunc.outer, np.asarray(x), np.asarray(y))


def test_outer_with_lists_constants_and_keywords() -> None:
    check(lambda y: np.multiply.outer([1, 2, 3], y), Y)
    check(lambda x: np.subtract.outer(x, 2.5), X)
    x = X.astype("f4")
    for out in [lambda x: np.add.outer(x, 2.5), lambda x: np.add.outer(x, x, dtype=float)]:
        assert_same_bits(out(tg.Node(x)).value, out(x))


@pytest.mark.parametrize("indices", [[0], [0, 1, 2], [1, 0, 2], [2, 2, 0]])
@pytest.mark.parametrize("axis", [1, -1])
def test_reduceat(indices: list[int], axis: int) -> None:
    for ufunc in [np.add, np.multiply, np.maximum, np.subtract, np.hypot]:
        check(lambda x, ufunc=ufunc: ufunc.reduceat(x, indices, axis), POSITIVE)


def test_reduceat_of_long_segments_has_the_bits_of_numpy() -> None:
    x = np.random.default_rng(0).normal(size=500)
    out = np.add.reduceat(tg.Node(x), [0, 100, 350])
    assert_same_bits(out.value, np.add.reduceat(x, [0, 100, 350]))
    out = np.add.reduceat(tg.Node(x), np.array([0, 100]), dtype="f4")
    assert_same_bits(out.value, np.add.reduceat(x, [0, 100], dtype="f4"))
    none = np.array([], dtype=int)
    for ufunc in [np.add, np.multiply]:
        assert ufunc.reduceat(tg.Node(x), none).shape == (0,)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.negative])
def test_at_is_refused_with_advice(ufunc: Any) -> None:
    args = (0.5,) if ufunc.nin == 2 else ()
    with pytest.raises(TypeError, match=rf"{ufunc.__name__}\.at .*node\.at\[index\]\.add"):
        ufunc.at(tg.Node(X), [0], *args)


def test_methods_of_comparisons_give_plain_results() -> None:
    x = tg.Node(X)
    for call in [
        lambda x: np.logical_and.reduce(x),
        lambda x: np.logical_or.reduce(x, axis=None),
        lambda x: np.less.outer(x, x),
        lambda x: np.logical_xor.accumulate(x > 0, 1),
        lambda x: np.logical_or.reduceat(x, [0]),
    ]:
        actual, expected = call(x), call(X)
        assert type(actual) is type(expected)
        assert_same_bits(actual, expected)


# Operators


@pytest.mark.parametrize("other", [0.8, 2, Y, np.float64(0.8), np.float32(0.7), [1, 2, 3]])
def test_divmod_on_either_side(other: Any) -> None:
    for call in [lambda x: divmod(x, other), lambda x: divmod(other, x)]:
        for actual, expected in zip(call(tg.Node(X)), call(X), strict=True):
            assert_same_bits(actual.value, expected)
    check(lambda x: divmod(x, other)[1], X)


def test_divmod_refuses_what_is_no_number() -> None:
    for call in [lambda: divmod(tg.Node(X), "a"), lambda: divmod(None, tg.Node(X))]:
        with pytest.raises(TypeError, match="unsupported operand"):
            call()


@pytest.mark.parametrize("arguments", [(), (0,), (1,), (-1,), (2,)])
def test_round_is_that_of_numpy(arguments: tuple[int, ...]) -> None:
    x = tg.Node(10 * X)
    out = round(x, *arguments)
    assert_same_bits(out.value, np.round(10 * X, *arguments))
    assert_same_bits(x.round(*arguments).value, np.round(10 * X, *arguments))
    out.backward(np.ones((2, 3)))
    assert x.grad is None


INTEGERS = np.array([[1, 2, 3], [4, 5, 6]])
BITWISE = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]


@pytest.mark.parametrize("function", BITWISE)
@pytest.mark.parametrize("other", [1, np.int64(2), [1, 0, 2], INTEGERS[0], True])
def test_bitwise_operators_give_plain_arrays(function: Callable[..., Any], other: Any) -> None:
    node = tg.Node(INTEGERS, requires_grad=False)
    assert_same_bits(function(node, other), function(INTEGERS, other))
    assert_same_bits(function(other, node), function(other, INTEGERS))
    assert_same_bits(function(node, node), function(INTEGERS, INTEGERS))


def test_bitwise_operators_of_masks_and_their_refusal_of_floats() -> None:
    mask = tg.Node(MASK, requires_grad=False)
    assert_same_bits(~mask, ~MASK)
    assert_same_bits(mask & (X > 0), MASK & (X > 0))
    assert_same_bits((X > 0) | mask, (X > 0) | MASK)
    for call in [lambda: ~tg.Node(X), lambda: tg.Node(X) & 1, lambda: 1 << tg.Node(X)]:
        with pytest.raises(TypeError, match="not supported"):
            call()


@pytest.mark.parametrize("other", [None, "a", b"a", {}, [1, "a", 2]], ids=repr)
def test_equality_with_what_is_no_number_is_that_of_numpy(other: Any) -> None:
    array = X.copy()
    x = tg.Node(array)
    assert_same_bits(x == other, array == other)
    assert_same_bits(x != other, array != other)
    assert_same_bits(other == x, other == array)
    assert_same_bits(other != x, other != array)


def test_comparisons_of_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        _ = tg.Node(X) == np.ones(2)


@pytest.mark.parametrize("scalar", [np.float64(1.5), np.float32(1.5), np.int8(2), np.longdouble(2)])
def test_scalars_of_numpys_on_the_left(scalar: Any) -> None:
    operators = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
    for function in [*operators, operator.mod, operator.floordiv]:
        assert_same_bits(function(scalar, tg.Node(POSITIVE)).value, function(scalar, POSITIVE))
    for function in [operator.lt, operator.ge, operator.eq, operator.ne]:
        assert_same_bits(function(scalar, tg.Node(X)), function(scalar, X))


# Conventions


@pytest.mark.parametrize("f", [np.logaddexp, np.logaddexp2])
def test_logaddexp_of_infinities_gives_shares(f: Callable[..., Any]) -> None:
    x = np.array([np.inf, 0.0, np.inf, np.inf, -np.inf])
    y = np.array([0.0, np.inf, np.inf, -np.inf, 0.0])
    for_x, for_y = gradients(f, x, y)
    assert for_x.tolist() == [1, 0, 0.5, 1, 0]
    assert for_y.tolist() == [0, 1, 0.5, 0, 1]
    second = tg.grad(lambda x: np.sum(tg.grad(lambda x: np.sum(f(x, y)))(x)))(x)
    assert second.tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_the_gradient_of_an_extremum_follows_a_nan(f: Callable[..., Any]) -> None:
    for_x, for_y = gradients(f, [np.nan, 1.0, np.nan, 2.0], [1.0, np.nan, np.nan, 2.0])
    assert for_x.tolist() == [1, 0, 0.5, 0.5]
    assert for_y.tolist() == [0, 1, 0.5, 0.5]


@pytest.mark.parametrize("f", [np.fmax, np.fmin])
def test_the_gradient_of_an_extremum_that_ignores_nan_does_too(f: Callable[..., Any]) -> None:
    for_x, for_y = gradients(f, [np.nan, 1.0, np.nan], [1.0, np.nan, np.nan])
    assert for_x.tolist() == [0, 1, 0.5]
    assert for_y.tolist() == [1, 0, 0.5]


def test_the_gradient_of_clip_follows_a_nan() -> None:
    n = np.nan
    x, low, high = [n, 0.5, 0.5, 5.0, n], [0.0, n, 0.0, n, n], [1.0, 1.0, n, 1.0, n]
    for_x, for_low, for_high = gradients(np.clip, x, low, high)
    assert for_x.tolist() == [1, 0, 0, 0, 1]
    assert for_low.tolist() == [0, 1, 0, 1, 0]
    assert for_high.tolist() == [0, 0, 1, 0, 0]
    for_x, for_low = gradients(lambda x, low: np.clip(x, low, None), [n, 1.0], [0.0, n])
    assert (for_x.tolist(), for_low.tolist()) == ([1, 0], [0, 1])
    for_x, for_high = gradients(lambda x, high: np.clip(x, None, high), [n, 1.0], [0.0, n])
    assert (for_x.tolist(), for_high.tolist()) == ([1, 0], [0, 1])


CLIPS = [
    lambda x: np.clip(x, -0.5, 1), lambda x: np.clip(x, None, 1), lambda x: np.clip(x, 0.5, None),
    lambda x: np.clip(x, a_min=0.5, a_max=None), lambda x: np.clip(x, min=-0.5, max=1.5),
    lambda x: np.clip(x, max=1.5), lambda x: np.clip(x, min=0.5), lambda x: np.clip(x),
    lambda x: np.clip(x, None, None), lambda x: np.clip(x, [0, 1, 0.5], 2),
]  # fmt: skip


@pytest.mark.parametrize("clip", CLIPS)
def test_clip_in_every_form(clip: Callable[..., Any]) -> None:
    check(clip, X)
    assert_same_bits(clip(tg.Node(X.astype("f4"))).value, clip(X.astype("f4")))


def test_clip_by_nodes_of_arrays_and_of_integers() -> None:
    check(lambda low, high: np.clip(X, low, high), np.full(3, -0.5), np.full(3, 1.0))
    check(lambda high: np.clip(X, None, high), np.full(3, 1.0))
    integers = tg.Node(INTEGERS, requires_grad=False)
    for bounds in [(2, 5), (None, 4), (3, None), (-(10**30), 4)]:
        assert_same_bits(np.clip(integers, *bounds).value, np.clip(INTEGERS, *bounds))


def test_arctan2_and_copysign_at_zero_have_gradient_zero() -> None:
    assert [x.tolist() for x in gradients(np.arctan2, [0.0], [0.0])] == [[0], [0]]
    assert [x.tolist() for x in gradients(np.copysign, [0.0], [-1.0])] == [[0], [0]]
    z = tg.Node(np.zeros(1, complex))
    np.angle(z).backward(np.ones(1))
    assert z.grad.tolist() == [0]


@pytest.mark.parametrize("f", [np.remainder, np.fmod])
@pytest.mark.parametrize("y", [0.7, -0.7])
def test_remainders_of_both_signs(f: Callable[..., Any], y: float) -> None:
    x = np.array([-2.3, -0.4, 0.4, 2.3, 10.1])
    check(f, x, np.full(5, y))


def test_fmod_counts_whole_quotients_where_rounding_would_add_one() -> None:
    x, y = np.nextafter(26 * 0.56, 0), np.float64(0.56)
    assert x / y == 26
    _, for_y = gradients(np.fmod, x, y)
    assert for_y == -25


def test_nan_to_num_gives_no_gradient_to_what_it_replaces() -> None:
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    out = np.nan_to_num(tg.Node(x), nan=2.0, posinf=3.0, neginf=-3.0)
    assert out.tolist() == [1, 2, 3, -3]
    (gradient,) = gradients(np.nan_to_num, x)
    assert gradient.tolist() == [1, 0, 0, 0]
    z = tg.Node(np.array([complex(np.nan, 1), complex(1, np.inf)]))
    np.nan_to_num(z).backward(np.array([2 + 3j, 4 + 5j]))
    assert z.grad.tolist() == [3j, 4]
    with pytest.raises(TypeError, match=r"copy=False.*node = np\.nan_to_num\(node\)"):
        np.nan_to_num(tg.Node(x), copy=False)
    integers = tg.Node(INTEGERS, requires_grad=False)
    assert_same_bits(np.nan_to_num(integers).value, INTEGERS)


def test_heaviside_has_a_gradient_by_its_value_at_zero() -> None:
    for_x, for_y = gradients(np.heaviside, [-1.0, 0.0, 2.0], [0.5, 0.5, 0.5])
    assert (for_x.tolist(), for_y.tolist()) == ([0, 0, 0], [0, 1, 0])


def test_frexp_and_ldexp_undo_each_other() -> None:
    x = np.array([0.3, -5.0, 700.0, 0.0])
    (gradient,) = gradients(lambda x: np.ldexp(*np.frexp(x)), x)
    assert gradient.tolist() == [1, 1, 1, 1]
    mantissa, exponent = np.frexp(tg.Node(x))
    assert_same_bits(mantissa.value, np.frexp(x)[0])
    assert_same_bits(exponent, np.frexp(x)[1])


def test_modf_has_the_signs_of_numpy() -> None:
    x = np.array([-2.0, 2.0, -0.0, np.inf, -1.25])
    for actual, expected in zip(np.modf(tg.Node(x)), np.modf(x), strict=True):
        assert_same_bits(actual.value, expected)
    assert gradients(lambda x: np.modf(x)[0] + 3 * np.modf(x)[1], x)[0].tolist() == [1] * 5


def test_angles_of_real_and_of_complex_numbers() -> None:
    assert_same_bits(np.angle(tg.Node(X)).value, np.angle(X))
    assert gradients(np.angle, X)[0].tolist() == np.zeros((2, 3)).tolist()
    z = X + 1j * Y
    for deg in [False, True]:
        check(lambda z, deg=deg: np.angle(z, deg), z)


def test_unwrap_in_every_form() -> None:
    x = np.cumsum([0.1, 2.9, 3.4, 0.2, -4.0])
    for keywords in [{}, {"discont": 3.5}, {"period": 4}, {"axis": 0}]:
        check(lambda x, keywords=keywords: np.unwrap(x, **keywords), x)


SINC_AT_ZERO = {1: 0.0, 2: -(np.pi**2) / 3, 3: 0.0, 4: np.pi**4 / 5, 6: -(np.pi**6) / 7}


@pytest.mark.parametrize("order", SINC_AT_ZERO)
def test_derivatives_of_sinc_at_zero(order: int) -> None:
    f: Any = np.sinc
    for _ in range(order):
        f = tg.grad(f)
    assert f(0.0) == pytest.approx(SINC_AT_ZERO[order], rel=1e-14)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_derivatives_of_sinc_are_smooth_where_two_formulas_meet(order: int) -> None:
    """Against the integral over t in (0, 1) of (pi t)^n cos(pi x t + n pi / 2)."""
    x = np.concatenate([np.linspace(-3, 3, 61), [1e-9, order / np.pi, -order / np.pi]])
    t, weights = np.polynomial.legendre.leggauss(60)
    t = (t + 1) / 2
    turned = np.cos(np.pi * x[:, None] * t + order * np.pi / 2)
    expected = ((np.pi * t) ** order * turned) @ (weights / 2)
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(sinc_derivative(x, order=order), expected, atol=1e-13 * scale)


def test_derivatives_of_i0_are_bessel_functions() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.array([-700.0, -30.0, -8.0, -1.0, -1e-9, 0.0, 1e-6, 0.3, 7.9, 8.1, 25.0, 709.0])
    for order in [1, 2, 3, 7]:
        np.testing.assert_allclose(bessel_i(x, order=order), special.iv(order, x), rtol=4e-13)
    third = tg.grad(tg.grad(tg.grad(np.i0)))
    expected = (3 * special.iv(1, 2.0) + special.iv(3, 2.0)) / 4
    assert third(2.0) == pytest.approx(expected, rel=1e-14)


def test_real_if_close_reads_the_imaginary_parts() -> None:
    z = np.array([1.0 + 1e-15j, 2.0 - 1e-15j])
    assert_same_bits(np.real_if_close(tg.Node(z)).value, np.real_if_close(z))
    assert_same_bits(np.real_if_close(tg.Node(z), tol=1).value, np.real_if_close(z, tol=1))
    assert np.real_if_close(tg.Node(z * 1j)).dtype == "complex128"
    assert np.real_if_close(tg.Node(X)).dtype == "float64"


# Choices


def test_select_takes_what_numpy_takes() -> None:
    check(lambda x, y: np.select([X < 0, Y > 1], [x, y * 2], 7.0), X, Y)
    check(lambda x: np.select([x < 0, x > 1], [x * x, 2.0]), X)
    check(lambda x: np.select(np.stack([X[0] > 0, X[1] > 0]), x), X)
    check(lambda x, y: np.select([X > 0, MASK], [[1, 2, 3], x], default=y), X, Y)
    check(lambda s: np.select([MASK, ~MASK], [s, 2 * s]), np.array(1.5))
    x = X.astype("f4")
    for call in [
        lambda x: np.select([x > 0], [x], 2),
        lambda x: np.select([x > 0], [x], np.float64(2)),
        lambda x: np.select([x > 0, x < 0], [2, x]),
        lambda x: np.select([x[0] > 0], [x], 2.5),
    ]:
        assert_same_bits(call(tg.Node(x)).value, call(x))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: np.select([x > 0], [x, x]), ValueError),
        (lambda x: np.select([], []), ValueError),
        (lambda x: np.select([x], [x]), TypeError),
        (lambda x: np.piecewise(x, [x > 0], [1, 2, 3]), ValueError),
    ],
)
def test_choices_that_numpy_refuses_are_refused(call: Callable[..., Any], error: Any) -> None:
    with pytest.raises(error):
        call(X)
    with pytest.raises(error):
        call(tg.Node(X))


def test_a_branch_that_is_not_selected_gives_no_nan() -> None:
    (gradient,) = gradients(
        lambda x: np.select([X > 0], [np.log(x, where=X > 0)], 0.0), np.where(X > 0, X, 0)
    )
    np.testing.assert_allclose(gradient, np.where(X > 0, 1 / np.where(X > 0, X, 1), 0))


PIECES: dict[str, Callable[[Any], Any]] = {
    "functions": lambda x: np.piecewise(x, [x < 0, x > 1], [np.negative, lambda v: v**2]),
    "otherwise": lambda x: np.piecewise(x, [x < 0], [np.exp, lambda v: 3 * v]),
    "numbers": lambda x: np.piecewise(x, [x < 0, x > 1], [-1, 1]) + x,
    "one condition": lambda x: np.piecewise(x[0], x[0] > 0, [np.sin, 2.0]),
    "overlaps": lambda x: np.piecewise(x, [x > 0, x > 1], [np.sin, np.cos]),
    "arguments": lambda x: np.piecewise(x, [x > 0], [lambda v, a, b: a * v + b], 3.0, b=2.0),
    "rows": lambda x: np.piecewise(x, [[True, False]], [lambda v: v * v, np.cos]),
    "whole": lambda x: np.piecewise(x, [x > 0], [lambda v: v - np.mean(v), 0]),
    "lists": lambda x: np.piecewise(x, [(X > 0).tolist()], [np.sin]),
    "none": lambda x: np.piecewise(x, [x > 99], [np.sin]) + x,
}


@pytest.mark.parametrize("name", PIECES)
def test_piecewise_takes_what_numpy_takes(name: str) -> None:
    check(PIECES[name], X)


def test_piecewise_of_a_number_and_with_nodes_as_values() -> None:
    check(
        lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: v * v]), np.array(2.5)
    )
    x = tg.Node(X)
    scale = tg.Node(2.0)
    np.sum(np.piecewise(x, [X > 0], [scale, lambda v: scale * v])).backward()
    assert scale.grad == pytest.approx(np.sum(X > 0) + np.sum(X[X <= 0]))
    assert x.grad.tolist() == np.where(X > 0, 0.0, 2.0).tolist()


def test_vectorize_is_refused_with_advice() -> None:
    with pytest.raises(TypeError, match=r"f\(node\) .*for np\.vectorize\(f\)"):
        np.vectorize(lambda x: x * x)(tg.Node(X))


# What is made of sets and counts


REPEATED = np.array([[2.0, 1.0, 2.0], [3.0, 1.0, 1.0]])


def test_unique_gives_nodes_with_plain_indices_and_counts() -> None:
    x = tg.Node(REPEATED)
    results = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    expected = np.unique(REPEATED, return_index=True, return_inverse=True, return_counts=True)
    assert isinstance(results[0], tg.Node)
    for actual, wanted in zip((results[0].value, *results[1:]), expected, strict=True):
        assert_same_bits(actual, wanted)
    (gradient,) = gradients(lambda x: np.unique(x) ** 2, REPEATED)
    assert gradient.tolist() == [[4, 2, 0], [6, 0, 0]]


@pytest.mark.parametrize("axis", [0, 1])
def test_unique_rows_and_columns(axis: int) -> None:
    x = np.array([[1.0, 1.0, 2.0], [3.0, 3.0, 4.0], [1.0, 1.0, 2.0]])
    assert_same_bits(np.unique(tg.Node(x), axis=axis).value, np.unique(x, axis=axis))


@pytest.mark.parametrize("function", [np.unique_all, np.unique_counts, np.unique_inverse])
def test_results_of_unique_have_numpys_names(function: Callable[..., Any]) -> None:
    actual, expected = function(tg.Node(REPEATED)), function(REPEATED)
    assert type(actual) is type(expected)
    for name in expected._fields:
        found = getattr(actual, name)
        assert_same_bits(found.value if name == "values" else found, getattr(expected, name))
    assert np.sort(np.unique_values(tg.Node(REPEATED)).value).tolist() == [1, 2, 3]


@pytest.mark.parametrize("function", [np.union1d, np.setdiff1d, np.setxor1d, np.intersect1d])
def test_sets_of_repeated_elements(function: Callable[..., Any]) -> None:
    other = np.array([2.0, 5.0, 5.0])
    out = function(tg.Node(REPEATED), other)
    assert_same_bits(getattr(out, "value", out), function(REPEATED, other))
    empty = function(tg.Node(np.ones(0)), np.ones(0))
    assert np.shape(empty) == (0,)


def test_a_number_common_to_two_sets_has_half_its_gradient_from_each() -> None:
    for_x, for_y = gradients(lambda x, y: np.intersect1d(x, y) ** 2, [3.0, 1.0, 2.0], [2.0, 3.0])
    assert (for_x.tolist(), for_y.tolist()) == ([3, 0, 2], [2, 3])


def test_counts_have_gradients_by_weights() -> None:
    places, weights = np.array([0, 2, 2, 1]), np.array([0.5, 1.5, 2.5, 3.5])
    check(lambda w: np.bincount(places, w, minlength=4), weights)
    check(lambda w: np.bincount(places, weights=w), weights)
    check(lambda w: np.histogram(places, 3, density=True, weights=w)[0], weights)
    check(lambda w: np.histogram(places, [0, 1.5, 2], weights=w)[0], weights)
    for function in [np.bincount, lambda x: np.histogram(x, 3)[0]]:
        out = function(tg.Node(places, requires_grad=False))
        assert_same_bits(out, function(places))
    with pytest.raises(TypeError, match=r"histogram2d.*np\.bincount"):
        np.histogram2d(weights, weights, 2, weights=tg.Node(weights))


# Plain results

PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "isposinf": lambda x, n: np.isposinf(x),
    "isneginf": lambda x, n: np.isneginf(x),
    "bitwise_and": lambda x, n: np.bitwise_and(n, 3),
    "bitwise_count": lambda x, n: np.bitwise_count(n),
    "invert": lambda x, n: np.invert(n),
    "left_shift": lambda x, n: np.left_shift(n, 1),
    "gcd": lambda x, n: np.gcd(n, 4),
    "lcm": lambda x, n: np.lcm(n, 4),
    "packbits": lambda x, n: np.packbits(n > 2),
    "unpackbits": lambda x, n: np.unpackbits(n.astype(np.uint8)),
    "argpartition": lambda x, n: np.argpartition(x, 1, axis=0),
    "lexsort": lambda x, n: np.lexsort((n[0], x[0])),
    "searchsorted": lambda x, n: np.searchsorted(np.sort([0.5, 1.0]), x),
    "digitize": lambda x, n: np.digitize(x, [0.0, 1.0]),
    "ravel_multi_index": lambda x, n: np.ravel_multi_index((n[0], n[0]), (9, 9)),
    "unravel_index": lambda x, n: np.stack(np.unravel_index(n, (3, 3))),
    "isin": lambda x, n: np.isin(n, [1, 2]),
    "intersect1d": lambda x, n: np.intersect1d(n, [1, 9]),
    "histogram_bin_edges": lambda x, n: np.histogram_bin_edges(x, 3),
    "histogramdd": lambda x, n: np.histogramdd(x, 2)[0],
    "diag_indices_from": lambda x, n: np.stack(np.diag_indices_from(x[:, :2])),
    "tril_indices_from": lambda x, n: np.stack(np.tril_indices_from(x)),
    "triu_indices_from": lambda x, n: np.stack(np.triu_indices_from(x)),
    "floor_divide": lambda x, n: np.array2string(n // 2) if isinstance(n, np.ndarray) else "",
}


@pytest.mark.parametrize("name", sorted(PLAIN.keys() - {"floor_divide"}))
def test_what_does_not_depend_smoothly_on_values_is_plain(name: str) -> None:
    actual = PLAIN[name](tg.Node(X), tg.Node(INTEGERS, requires_grad=False))
    assert_same_bits(actual, PLAIN[name](X, INTEGERS))


def test_arrays_are_saved_with_their_values(tmp_path: Any) -> None:
    x = tg.Node(X)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    np.savetxt(tmp_path / "x.txt", x)
    assert_same_bits(np.load(tmp_path / "x.npy"), X)
    assert_same_bits(np.load(tmp_path / "x.npz")["x"], X)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "x.txt"), X)


@pytest.mark.parametrize("function", sorted(INSTEAD, key=lambda f: f.__name__))
def test_what_writes_in_place_is_refused_with_advice(function: Callable[..., Any]) -> None:
    arguments = {
        np.copyto: (np.zeros((2, 3)), tg.Node(X)),
        np.fill_diagonal: (tg.Node(X), 0),
        np.place: (tg.Node(X), MASK, [1.0]),
        np.put: (tg.Node(X), [0], 1.0),
        np.put_along_axis: (tg.Node(X), np.array([[0]]), 1.0, 1),
        np.putmask: (tg.Node(X), MASK, 1.0),
    }
    with pytest.raises(TypeError, match=rf"np\.{function.__name__} with a Node: .*; write n"):
        function(*arguments[function])


def test_no_function_is_in_two_tables() -> None:
    tables = [set(OPS), CONSTANT, OF_SHAPES, set(INSTEAD)]
    assert sum(map(len, tables)) == len(set().union(*tables))


# Nodes of whole numbers, and errors


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sum(x, dtype=int),
        lambda x: np.prod(x, axis=0, dtype=int),
        lambda x: tg.op(lambda x: x.astype(int), name="cut")(lambda g, out, x: (g,))(x),
        lambda x: tg.op(lambda x: x > 0, name="sign")(lambda g, out, x: (g,))(x),
    ],
)
def test_a_node_of_whole_numbers_requires_no_gradient(call: Callable[..., Any]) -> None:
    x = tg.Node(POSITIVE)
    out = call(x)
    assert out.dtype.kind in "bi"
    assert not out.requires_grad
    np.sum(out * x).backward()
    assert_same_bits(x.grad, np.broadcast_to(np.asarray(out.value, float), x.shape).copy())


def test_results_in_several_parts_still_require_gradients() -> None:
    fraction, _ = np.modf(tg.Node(X))
    assert fraction.requires_grad
    assert fraction.inputs[0].requires_grad


@pytest.mark.parametrize(
    ("function", "error"),
    [(lambda x: x[7], IndexError), (lambda x: 1 // 0, ZeroDivisionError), (len, TypeError)],
)
def test_errors_in_a_forward_function_name_op_and_shapes(
    function: Callable[..., Any], error: Any
) -> None:
    broken = tg.op(function, name="broken")(lambda g, out, x: (g,))
    with pytest.raises(error) as caught:
        broken(tg.Node(1.0) if function is len else tg.Node(X))
    shape = "()" if function is len else "(2, 3)"
    assert f"in tinygraph's broken of shapes {shape}" in caught.value.__notes__


def test_an_index_out_of_bounds_names_the_shapes() -> None:
    with pytest.raises(IndexError) as caught:
        np.take(tg.Node(X), [7], axis=1)
    assert "of shapes (2, 3)" in caught.value.__notes__[0]
