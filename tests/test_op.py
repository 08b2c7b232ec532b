"""tg.op: users' own differentiable functions, and rules for NumPy's."""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tinygraph.op import COMPOSED, OPS, Op


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    """Take back what a test registers."""
    ops, composed = dict(OPS), dict(COMPOSED)
    yield
    for table, before in ((OPS, ops), (COMPOSED, composed)):
        table.clear()
        table.update(before)


@tg.op(lambda x: x**3, name="cube")
def cube(g: Any, out: Any, x: Any) -> Any:
    return (g * 3 * x**2,)


def _blend(x: Any, y: Any, weight: Any) -> Any:
    """Mix x and y."""
    return weight * x + (1 - weight) * y


@tg.op(_blend)
def blend(g: Any, out: Any, x: Any, y: Any, weight: Any) -> Any:
    return lambda: g * weight, lambda: g * (1 - weight), None


def _scaled_power(x: Any, *, power: float = 2, scale: float = 1.0) -> Any:
    return scale * x**power


@tg.op(_scaled_power)
def scaled_power(g: Any, out: Any, x: Any, *, power: float = 2, scale: float = 1.0) -> Any:
    return (g * scale * power * x ** (power - 1),)


# Making and calling


def test_an_op_of_arrays_computes_and_of_nodes_records():
    assert type(cube(np.array([2.0, 3.0]))) is np.ndarray
    assert cube(2.0) == 8.0
    y = cube(tg.Node([2.0, 3.0]))
    assert isinstance(y, tg.Node)
    assert y.value.tolist() == [8.0, 27.0]
    assert y.op is cube
    assert y.op.name == "cube"


def test_an_op_takes_its_name_and_help_from_the_function():
    assert isinstance(blend, Op)
    assert blend.name == "blend"
    assert blend.__doc__ == "Mix x and y."
    assert repr(blend) == "<op blend>"
    assert repr(blend(tg.Node(1.0), 2.0, 0.5)) == "Node(1.5, op=blend)"
    assert tg.op(math.hypot)(lambda g, out, x, y: (g, g)).name == "hypot"


@pytest.mark.parametrize("function", [3, "tanh", None, np.ones(3)])
def test_an_op_of_no_function_is_refused(function):
    with pytest.raises(TypeError, match=r"expected a function, got .*tg\.op\(forward\)\(rule\)"):
        tg.op(function)


def test_the_forward_function_may_be_any_callable():
    for function in (functools.partial(np.multiply, 2.0), np.float64(2.0).__mul__):
        double = tg.op(function, name="double")(lambda g, out, x: (g * 2.0,))
        assert tg.grad(double)(3.0) == 2.0


def test_the_forward_function_may_give_a_number_a_list_or_a_view():
    total = tg.op(lambda x: float(sum(x.tolist())), name="total")(
        lambda g, out, x: (g * np.ones(x.shape),)
    )
    x = tg.Node([1.0, 2.0])
    total(x).backward()
    assert x.grad.tolist() == [1.0, 1.0]
    pair = tg.op(lambda x: [x, 2 * x], name="pair")(lambda g, out, x: (g[0] + 2 * g[1],))
    assert tg.grad(lambda x: np.sum(pair(x) * np.array([1.0, 10.0])))(3.0) == 21.0
    row = tg.op(lambda x: x[0], name="row")(lambda g, out, x: (np.stack([g, 0 * g]),))
    assert tg.grad(lambda x: np.sum(row(x)))(np.ones((2, 2))).tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("value", [None, "text", {"a": 1}, [{}]])
def test_a_forward_function_that_gives_no_numbers_is_refused(value):
    broken = tg.op(lambda x: value, name="broken")(lambda g, out, x: (g,))
    with pytest.raises(TypeError, match=r"the forward function of broken gave .*expected numbers"):
        broken(tg.Node(1.0))


# Inputs


def test_several_inputs_nodes_and_constants_in_any_place():
    x, y = tg.Node([1.0, 2.0]), tg.Node([3.0, 4.0])
    np.sum(blend(x, y, 0.25)).backward()
    assert x.grad.tolist() == [0.25, 0.25]
    assert y.grad.tolist() == [0.75, 0.75]
    out = blend([1.0, 2.0], y, np.array([0.5, 1.0]))
    assert out.value.tolist() == [2.0, 2.0]
    y.grad = None
    np.sum(out).backward()
    assert y.grad.tolist() == [0.5, 0.0]


def test_none_says_that_there_is_no_gradient():
    weight = tg.Node(0.25)
    blend(tg.Node(1.0), 2.0, weight).backward()
    assert weight.grad is None
    assert tg.grad(blend, argnums=2)(1.0, 2.0, 0.25) == 0.0


def test_broadcasting_is_undone_by_the_engine():
    x, y = tg.Node(np.ones((3, 1))), tg.Node(np.ones((1, 4)))
    np.sum(blend(x, y, 0.25)).backward()
    assert x.grad.tolist() == [[1.0]] * 3
    assert y.grad.tolist() == [[2.25] * 4]


def test_float32_stays_float32_even_where_the_rule_does_not():
    careless = tg.op(lambda x: x * 2, name="careless")(
        lambda g, out, x: (g * np.full(x.shape, 2.0, np.float64),)
    )
    x = tg.Node(np.ones(3, np.float32))
    np.sum(careless(x)).backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_any_number_of_inputs():
    @tg.op(lambda *arrays: sum(a * a for a in arrays), name="squares")
    def squares(g: Any, out: Any, *arrays: Any) -> Any:
        return tuple(g * 2 * a for a in arrays)

    assert tg.grad(squares, (0, 2))(1.0, 2.0, 3.0) == (2.0, 6.0)


# Parameters


def test_parameters_are_keyword_arguments_with_defaults():
    assert tg.grad(scaled_power)(3.0) == 6.0
    assert tg.grad(lambda x: scaled_power(x, power=3, scale=2.0))(3.0) == 54.0
    y = scaled_power(tg.Node(3.0), power=3)
    assert y.params == {"power": 3}
    assert y.value == 27.0


def test_parameters_serve_forward_again():
    x = tg.Node(2.0)
    y = scaled_power(x, power=3, scale=0.5)
    x.value = 4.0
    assert y.forward().item() == 32.0
    y.backward()
    assert x.grad == 24.0


def test_a_rule_may_take_parameters_by_any_name_of_its_own_order():
    power = tg.op(lambda x, power: x**power, name="power")(
        lambda g, out, x, power: (g * power * x ** (power - 1),)
    )
    assert tg.grad(lambda x: power(x, power=3))(2.0) == 12.0


def test_arrays_among_the_parameters_are_copied():
    weigh = tg.op(lambda x, *, w: x * w, name="weigh")(lambda g, out, x, *, w: (g * w,))
    x, w = tg.Node([1.0, 2.0]), np.array([3.0, 4.0])
    y = np.sum(weigh(x, w=w))
    w[:] = 100
    y.backward()
    assert x.grad.tolist() == [3.0, 4.0]
    assert y.forward().item() == 11.0


@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_node_among_the_parameters_is_refused(requires_grad):
    power = tg.Node(3.0, requires_grad=requires_grad)
    for x in (tg.Node(2.0), 2.0):
        with pytest.raises(TypeError, match=r"scaled_power: .*'power'.*Node.*node\.value"):
            scaled_power(x, power=power)


def test_an_input_by_keyword_does_not_go_round_the_rule():
    with pytest.raises(TypeError, match=r"cube: .*'x'.*position"):
        cube(x=tg.Node(2.0))


@pytest.mark.parametrize("inputs", [(1.0,), (1.0, 2.0), (1.0, 2.0, 0.5, 3)])
def test_a_wrong_number_of_inputs_is_refused_at_the_call(inputs):
    with pytest.raises(TypeError, match=f"blend: got {len(inputs)} inputs.* takes 3"):
        blend(tg.Node(1.0), *inputs[1:])


# Rules


def test_a_rule_gets_the_cotangent_the_result_and_the_inputs():
    seen = []

    @tg.op(lambda x, y: x * y, name="spy")
    def spy(g: Any, out: Any, x: Any, y: Any) -> Any:
        seen.extend([g, out, x, y])
        return g * y, g * x

    spy(tg.Node(2.0), tg.Node(3.0)).backward(5.0)
    assert [float(a) for a in seen] == [5.0, 6.0, 2.0, 3.0]
    assert not any(isinstance(a, tg.Node) for a in seen)


@pytest.mark.parametrize(
    "thunk",
    [
        lambda g: lambda: 2 * g,
        lambda g: functools.partial(np.multiply, 2, g),
        lambda g: (2 * g).copy,
    ],
    ids=["function", "partial", "method"],
)
def test_a_costly_gradient_may_be_a_function_of_any_kind(thunk):
    double = tg.op(lambda x: 2 * x, name="double")(lambda g, out, x: (thunk(g),))
    assert tg.grad(lambda x: np.sum(double(x)))(np.ones(2)).tolist() == [2.0, 2.0]


def test_derivatives_of_higher_order_of_ones_own_ops():
    third = tg.grad(tg.grad(tg.grad(cube)))
    assert third(5.0) == 6.0
    x = tg.Node([1.0, 2.0])
    np.sum(scaled_power(cube(x), power=2)).backward(create_graph=True)
    gradient, x.grad = x.grad, None
    np.sum(gradient).backward()
    np.testing.assert_allclose(x.grad, 30 * np.array([1.0, 2.0]) ** 4)


def test_second_derivatives_of_an_op_with_thunks_and_none():
    def f(x: Any, y: Any) -> Any:
        return np.sum(blend(x * x, y * x, 0.5) ** 2)

    x, y, h = 1.5, -0.5, 1e-5
    mixed = tg.grad(lambda x: tg.grad(f, argnums=1)(x, y))(x)
    above, below = (tg.grad(f, argnums=1)(x + step, y) for step in (h, -h))
    assert float(mixed) == pytest.approx(float(above - below) / (2 * h), rel=1e-8)


def test_a_rule_may_use_other_ops_and_what_was_computed():
    sigmoid = tg.op(lambda x: 1 / (1 + np.exp(-x)), name="own")(
        lambda g, out, x: (g * out * (1 - out),)
    )
    for order in range(1, 4):
        ours, theirs = sigmoid, tg.nn.sigmoid
        for _ in range(order):
            ours, theirs = tg.grad(ours), tg.grad(theirs)
        assert ours(0.3) == pytest.approx(float(theirs(0.3)), rel=1e-14)


def test_a_rule_with_python_mathematics_serves_first_derivatives_and_says_so():
    sine = tg.op(math.sin, name="sine")(lambda g, out, x: (g * math.cos(x),))
    assert tg.grad(sine)(0.5) == math.cos(0.5)
    with pytest.raises(TypeError, match=r"float\(node\) would cut .*np\.exp for math\.exp"):
        tg.grad(tg.grad(sine))(0.5)


def test_an_error_inside_a_rule_comes_through():
    broken = tg.op(lambda x: x + 1, name="broken")(lambda g, out, x: (g / x.missing,))
    with pytest.raises(AttributeError, match="missing"):
        broken(tg.Node(1.0)).backward()


# Careless functions


def test_a_forward_function_cannot_write_into_its_inputs():
    @tg.op(lambda x: np.multiply(x, 2, out=x), name="in_place")
    def in_place(g: Any, out: Any, x: Any) -> Any:
        return (g * 2,)

    x = tg.Node([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        in_place(x)
    assert x.value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("argument", [0, 1, 2])
def test_a_rule_cannot_write_into_what_it_gets(argument):
    def rule(*arrays: Any) -> Any:
        arrays[argument][...] = 100
        return (arrays[0],)

    shifted = tg.op(lambda x: x + 1, name="shifted")(lambda g, out, x: rule(g, out, x))
    x, cotangent = tg.Node([1.0, 2.0]), np.ones(2)
    y = shifted(x)
    with pytest.raises(ValueError, match="read-only"):
        (x + y).backward(cotangent)
    assert (x.value.tolist(), y.value.tolist()) == ([1.0, 2.0], [2.0, 3.0])
    assert cotangent.tolist() == [1.0, 1.0]


def test_a_buffer_that_a_forward_function_uses_again_is_copied():
    result = np.zeros(2)
    buffered = tg.op(lambda x: np.exp(x, out=result), name="buffered")(lambda g, out, x: (g * out,))
    first, second = buffered(tg.Node([0.0, 1.0])), buffered(tg.Node([2.0, 3.0]))
    assert first.value.tolist() == np.exp([0.0, 1.0]).tolist()
    assert second.value.tolist() == np.exp([2.0, 3.0]).tolist()


def test_an_op_that_gives_back_its_input_does_not_share_it():
    same = tg.op(lambda x: x, name="same")(lambda g, out, x: (g,))
    x = tg.Node([1.0, 2.0])
    y = same(x)
    assert not np.shares_memory(x.value, y.value)
    y.backward(np.ones(2))
    assert x.grad.flags.writeable


# NumPy's functions


def test_a_numpy_function_without_a_rule_gets_one():
    x = tg.Node([1.0, 4.0, 2.0])
    OPS.pop(np.interp, None)
    COMPOSED.pop(np.interp, None)
    with pytest.raises(TypeError, match=r"tg\.op\(np\.interp\)\(rule\)"):
        np.interp(x, [0.0, 10.0], [0.0, 5.0])

    @tg.op(np.interp)
    def interp(g: Any, out: Any, x: Any, xp: Any, fp: Any) -> Any:
        piece = np.clip(np.searchsorted(xp, x) - 1, 0, len(xp) - 2)
        return g * (np.diff(fp) / np.diff(xp))[piece], None, None

    y = np.interp(x, [0.0, 3.0, 10.0], [0.0, 3.0, 17.0])
    assert y.op is interp
    assert y.op.name == "interp"
    np.sum(y).backward()
    assert x.grad.tolist() == [1.0, 2.0, 1.0]
    assert type(np.interp([1.0], [0.0, 3.0], [0.0, 3.0])) is np.ndarray


def test_a_numpy_function_with_parameters_gets_a_rule():
    OPS.pop(np.trapezoid, None)
    COMPOSED.pop(np.trapezoid, None)

    @tg.op(np.trapezoid)
    def trapezoid(g: Any, out: Any, y: Any, *, dx: float = 1.0) -> Any:
        weights = np.full(len(y), dx)
        weights[[0, -1]] /= 2
        return (g * weights,)

    y = tg.Node([1.0, 2.0, 3.0])
    np.trapezoid(y, dx=0.5).backward()
    assert y.grad.tolist() == [0.25, 0.5, 0.25]
    with pytest.raises(TypeError, match=r"trapezoid .*'axis'.*it knows dx"):
        np.trapezoid(y, dx=0.5, axis=1)


def test_a_rule_of_a_numpy_function_may_be_replaced():
    @tg.op(np.sign)
    def straight_through(g: Any, out: Any, x: Any) -> Any:
        return (g,)

    assert tg.grad(lambda x: np.sum(np.sign(x)))(np.ones(2)).tolist() == [1.0, 1.0]


def test_a_ufunc_of_another_package_gets_a_rule():
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError, match="wrightomega of a Node: tinygraph has no derivative rule"):
        special.wrightomega(tg.Node(1.0))
    tg.op(special.wrightomega)(lambda g, out, x: (g * out / (1 + out),))
    assert tg.grad(tg.grad(special.wrightomega))(1.0) == pytest.approx(1 / 8, rel=1e-12)
    assert (tg.Node(0.0) + special.wrightomega(tg.Node(1.0))).item() == 1.0


def test_a_ufunc_made_from_a_python_function_is_refused_with_its_name():
    ufunc = np.frompyfunc(math.sin, 1, 1)
    with pytest.raises(TypeError, match=r"sin .*of a Node: tinygraph has no derivative rule"):
        ufunc(tg.Node(1.0))


def test_ones_own_functions_are_not_entered_in_numpys_table():
    before = set(OPS)
    tg.op(lambda x: x, name="plain")(lambda g, out, x: (g,))
    assert set(OPS) == before


def test_the_example_of_the_help_is_right():
    assert float(tg.grad(cube)(2.0)) == 12.0
