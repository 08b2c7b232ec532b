"""Every op against NumPy and against finite differences: values, dtypes, derivatives."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

import tinygraph as tg
from tests.numeric import Estimate, assert_gradients, numeric_vjp
from tests.samples import (
    ALWAYS_FLOAT64,
    FIRST_DTYPE,
    FORMS,
    NO_FLOAT16,
    OF_SEQUENCES,
    REAL_ONLY,
    STEPS,
    WIDENS_FLOAT16,
    all_ops,
    calls_of,
    is_elementwise,
)
from tests.samples.drawing import Call
from tinygraph import engine, nn
from tinygraph.op import Op, is_dispatched
from tinygraph.rules.indexing import getitem, put

OPS = all_ops()
NO_GRADIENT_OF_REALS = STEPS | {"imag"}

every_op = pytest.mark.parametrize("op", OPS.values(), ids=OPS.keys())
every_smooth_op = pytest.mark.parametrize(
    "op", [op for op in OPS.values() if op.name not in NO_GRADIENT_OF_REALS], ids=lambda op: op.name
)
seeds = st.integers(0, 2**32 - 1)


def is_inexact(x: Any) -> bool:
    return bool(x.dtype.kind in "fc")


def variables_of(call: Call) -> tuple[np.ndarray, ...]:
    """Give the inputs to differentiate by: masks and labels are none."""
    return tuple(x for x in call.inputs if is_inexact(x))


def function_of(op: Op, call: Call) -> Callable[..., Any]:
    """Give the op as a function of its variables alone."""

    def function(*variables: Any) -> Any:
        left = iter(variables)
        inputs = [next(left) if is_inexact(x) else x for x in call.inputs]
        return op(*inputs, **call.params)

    return function


def nodes_of(call: Call) -> list[Any]:
    return [tg.Node(x) if is_inexact(x) else x for x in call.inputs]


def with_dtype(call: Call, dtype: Any) -> Call:
    return Call(tuple(x.astype(dtype) if is_inexact(x) else x for x in call.inputs), call.params)


def as_complex(call: Call, seed: int) -> Call:
    """Add imaginary parts to the first input that is no mask or label, and to some others.

    They are too small to reach branch cuts, and keep away from 0, where abs and sign are steep.
    """
    generator = np.random.default_rng(seed)
    first = next((i for i, x in enumerate(call.inputs) if is_inexact(x)), 0)
    inputs = [
        x + 1j * generator.uniform(0.2, 0.4, x.shape) * generator.choice([-1, 1], x.shape)
        if is_inexact(x) and (i == first or generator.random() < 0.7)
        else x
        for i, x in enumerate(call.inputs)
    ]
    params = {**call.params, "dtype": "complex128"} if "dtype" in call.params else call.params
    return Call(tuple(inputs), params)


def random_like(out: Any, seed: int) -> np.ndarray:
    """Give numbers between 0.5 and 1.5, of either sign and in no pattern, of the shape of `out`."""
    generator = np.random.default_rng(seed)

    def numbers() -> Any:
        return generator.uniform(0.5, 1.5, out.shape) * generator.choice([-1, 1], out.shape)

    values = numbers() + 1j * numbers() if out.dtype.kind == "c" else numbers()
    return np.asarray(values, dtype=out.dtype)


def plain_call(op: Op, inputs: list[Any], params: dict[str, Any]) -> Any:
    """Call the function that users write for the op."""
    function = op.function if is_dispatched(op.function) else FORMS.get(op.name, op)
    return function(inputs, **params) if op.name in OF_SEQUENCES else function(*inputs, **params)


def takes_mixed_dtypes(op: Op) -> bool:
    """Tell whether an op has several inputs, any of which may be wider than the others."""
    parameters = list(inspect.signature(op.rule).parameters.values())[2:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    several = len(positional) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return several and op.name not in FIRST_DTYPE


def to_integers(x: np.ndarray) -> np.ndarray:
    """Round away from zero to numbers that every dtype holds."""
    return np.copysign(np.ceil(np.abs(x)), x)


def values_of(inputs: list[Any]) -> list[Any]:
    return [x.value if isinstance(x, tg.Node) else x for x in inputs]


def gradients_by_backward(
    op: Op, call: Call, seed: int, create_graph: bool = False
) -> list[np.ndarray]:
    """Give the gradients that backward leaves in the variables, as arrays."""
    nodes = nodes_of(call)
    out = op(*nodes, **call.params)
    out.backward(random_like(out, seed), create_graph)
    found = [np.zeros(x.shape) if x.grad is None else x.grad for x in nodes if is_node(x)]
    return [x.value if is_node(x) else x for x in found]


def is_node(x: Any) -> bool:
    return isinstance(x, tg.Node)


def assert_same_bits(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()


def assert_close(actual: Any, expected: Any) -> None:
    """Compare two ways to add up the same terms, which round differently."""
    scale = np.max(np.abs(expected), initial=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13 * scale)


@every_op
def test_every_op_has_a_sample(op: Op) -> None:
    assert calls_of(op) is not None


def test_an_op_without_a_sample_is_an_error() -> None:
    unknown = Op(len, len, len, "unknown", (0.0, 1.0))
    with pytest.raises(LookupError, match="'unknown' has no sample"):
        calls_of(unknown)


@every_op
@given(data=st.data())
def test_values_are_those_of_numpy_bit_for_bit(op: Op, data: st.DataObject) -> None:
    call = data.draw(calls_of(op))
    nodes = nodes_of(call)
    out = plain_call(op, nodes, call.params)
    assert isinstance(out, tg.Node)
    assert_same_bits(out.value, plain_call(op, values_of(nodes), call.params))


@every_op
@given(data=st.data(), seed=seeds)
def test_gradients_agree_with_finite_differences(op: Op, data: st.DataObject, seed: int) -> None:
    assert_first_derivatives(op, data.draw(calls_of(op)), seed)


def assert_first_derivatives(op: Op, call: Call, seed: int) -> None:
    f, variables = function_of(op, call), variables_of(call)
    out, pullback = tg.vjp(f, *variables)
    cotangent = random_like(out, seed)
    assert_gradients(pullback(cotangent), numeric_vjp(f, variables, cotangent))


@pytest.mark.parametrize("name", sorted(STEPS))
@given(data=st.data(), seed=seeds)
def test_steps_have_gradient_zero(name: str, data: st.DataObject, seed: int) -> None:
    gradients = gradients_by_backward(OPS[name], data.draw(calls_of(OPS[name])), seed)
    assert not any(np.any(gradient) for gradient in gradients)


@every_op
@given(data=st.data(), seed=seeds)
def test_second_derivatives_agree_with_finite_differences(
    op: Op, data: st.DataObject, seed: int
) -> None:
    assert_second_derivatives(op, data.draw(calls_of(op)), seed)


def assert_second_derivatives(op: Op, call: Call, seed: int) -> None:
    f, variables = function_of(op, call), variables_of(call)
    cotangent = random_like(np.asarray(f(*variables)), seed)

    def gradients(g: Any, *at: Any) -> Any:
        return tg.vjp(f, *at)[1](g)

    weights = tuple(random_like(x, seed + i) for i, x in enumerate(variables))
    _, pullback = tg.vjp(gradients, cotangent, *variables)
    assert_gradients(pullback(weights), numeric_vjp(gradients, [cotangent, *variables], weights))


@pytest.mark.parametrize(
    "op",
    [op for op in OPS.values() if is_elementwise(op) and op.function.nin == 1],
    ids=lambda op: op.name,
)
@given(data=st.data())
def test_third_derivatives_agree_with_finite_differences(op: Op, data: st.DataObject) -> None:
    (x,) = data.draw(calls_of(op)).inputs

    def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda at: tg.vjp(f, at)[1](np.ones(x.shape))[0]

    second = derivative(derivative(op))
    weights = np.cos(np.arange(x.size)).reshape(x.shape)
    _, pullback = tg.vjp(second, x)
    assert_gradients(pullback(weights), numeric_vjp(second, [x], weights))


@every_op
@given(data=st.data(), seed=seeds)
def test_rules_give_arrays_and_nodes_the_same_gradients(
    op: Op, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(op))
    of_arrays = gradients_by_backward(op, call, seed)
    of_nodes = gradients_by_backward(op, call, seed, create_graph=True)
    for on_arrays, on_nodes in zip(of_arrays, of_nodes, strict=True):
        assert_close(on_nodes, on_arrays)


@every_op
@given(data=st.data(), seed=seeds)
def test_rules_do_not_depend_on_how_arrays_lie_in_memory(
    op: Op, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(op))
    out = np.asarray(op.forward(*call.inputs, **call.params))
    partials = op.rule(random_like(out, seed), out, *call.inputs, **call.params)
    node = op(*nodes_of(call), **call.params)
    direct = [
        np.zeros(x.shape) if partial is None else engine.fit(evaluate(partial), tg.Node(x), node)
        for x, partial in zip(call.inputs, partials, strict=True)
        if is_inexact(x)
    ]
    for gradient, expected in zip(direct, gradients_by_backward(op, call, seed), strict=True):
        assert_close(gradient, expected)


def evaluate(partial: Any) -> Any:
    """Compute the gradient that a rule gave as a function."""
    return partial() if callable(partial) else partial


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@every_op
@given(data=st.data(), seed=seeds)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_narrow_floats_stay_narrow(op: Op, dtype: str, data: st.DataObject, seed: int) -> None:
    call = with_dtype(data.draw(calls_of(op)), dtype)
    if op.name == "astype":
        call = Call(call.inputs, {"dtype": dtype})
    nodes = nodes_of(call)
    if dtype == "float16" and op.name in NO_FLOAT16:
        with pytest.raises(TypeError, match="float16"):
            plain_call(op, nodes, call.params)
        return
    out = plain_call(op, nodes, call.params)
    with np.errstate(all="ignore"):
        assert_same_bits(out.value, plain_call(op, values_of(nodes), call.params))
    expected = dtypes_of(op, dtype)
    assert out.dtype in expected
    cotangent = random_like(out, seed)
    out.backward(cotangent)
    for x in nodes:
        if is_node(x) and x.grad is not None:
            assert (x.grad.dtype, x.grad.shape) == (x.dtype, x.shape)
    if op.name not in ALWAYS_FLOAT64:
        partials = op.rule(cotangent, out.value, *values_of(nodes), **call.params)
        for x, partial in zip(nodes, partials, strict=True):
            assert partial is None or not is_node(x) or evaluate(partial).dtype in expected


def dtypes_of(op: Op, dtype: str) -> set[Any]:
    """Give the dtypes, real and complex, in which an op computes with numbers of `dtype`."""
    reals = {"float64" if op.name in ALWAYS_FLOAT64 else dtype}
    if op.name in WIDENS_FLOAT16 and dtype == "float16":
        reals |= {"float32", "float64"}
    return {np.result_type(np.dtype(real), unit) for real in reals for unit in (1.0, 1j)}


@pytest.mark.parametrize("narrow", ["float32", "int8"])
@pytest.mark.parametrize(
    "op", [op for op in OPS.values() if takes_mixed_dtypes(op)], ids=lambda op: op.name
)
@given(data=st.data(), seed=seeds)
def test_narrow_constants_cost_no_precision(
    op: Op, narrow: str, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(op))
    position = data.draw(st.sampled_from([i for i, x in enumerate(call.inputs) if is_inexact(x)]))

    def gradient(dtype: str) -> np.ndarray:
        inputs: list[Any] = [to_integers(x).astype(dtype) for x in call.inputs]
        inputs[position] = x = tg.Node(call.inputs[position])
        out = op(*inputs, **call.params)
        out.backward(random_like(out, seed))
        return np.zeros(x.shape) if x.grad is None else x.grad

    assert_close(gradient(narrow), gradient("float64"))


@every_op
@given(data=st.data(), seed=seeds)
def test_nothing_that_was_given_is_written_or_shared(
    op: Op, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(op))
    nodes = nodes_of(call)
    out = op(*nodes, **call.params)
    cotangent = random_like(out, seed)
    given_arrays = [*call.inputs, *values_of(nodes), out.value, cotangent]
    before = [x.copy() for x in given_arrays]
    out.backward(cotangent)
    for array, copy in zip(given_arrays, before, strict=True):
        assert_same_bits(array, copy)
    gradients = [x.grad for x in nodes if is_node(x) and x.grad is not None]
    for i, gradient in enumerate(gradients):
        assert gradient.flags.writeable
        assert not any(np.shares_memory(gradient, x) for x in [*given_arrays, *gradients[:i]])


@every_op
@given(data=st.data(), seed=seeds)
def test_constants_change_no_other_gradient_and_cost_none(
    op: Op, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(op))
    positions = [i for i, x in enumerate(call.inputs) if is_inexact(x)]
    together = dict(zip(positions, gradients_by_backward(op, call, seed), strict=True))
    for position in positions:
        computed: list[int] = []
        watched = with_rule_changed(op, lambda i, partial, log=computed: log.append(i) or partial)
        inputs = list(call.inputs)
        inputs[position] = x = tg.Node(inputs[position])
        out = watched(*inputs, **call.params)
        out.backward(random_like(out, seed))
        assert set(computed) <= {position}
        assert_close(np.zeros(x.shape) if x.grad is None else x.grad, together[position])


def with_rule_changed(op: Op, change: Callable[[int, Any], Any]) -> Op:
    """Give the op with every gradient that is computed passed through change(position, it)."""

    @wraps(op.rule)
    def rule(*args: Any, **params: Any) -> Any:
        partials = op.rule(*args, **params)
        return tuple(
            None if partial is None else lambda i=i, partial=partial: change(i, evaluate(partial))
            for i, partial in enumerate(partials)
        )

    return Op(op.function, op.forward, rule, op.name, op.domain)


@pytest.mark.parametrize("name", sorted(OPS.keys() - REAL_ONLY))
@given(data=st.data(), seed=seeds)
def test_complex_gradients_follow_the_convention_of_jax(
    name: str, data: st.DataObject, seed: int
) -> None:
    """For u = Re(sum(g * f(a + ib))) the gradient is du/da - i du/db.

    The pullback is linear in g and conjugates nothing: where f is holomorphic, with f(a + ib)
    = p + iq, the Cauchy-Riemann equations make it g * f'.
    """
    op = OPS[name]
    call = as_complex(data.draw(calls_of(op)), seed)
    assert_first_derivatives(op, call, seed)
    assert_second_derivatives(op, call, seed)


@pytest.mark.parametrize("name", sorted(REAL_ONLY & OPS.keys()))
@given(data=st.data())
def test_functions_of_real_numbers_refuse_complex_ones(name: str, data: st.DataObject) -> None:
    op = OPS[name]
    call = as_complex(data.draw(calls_of(op)), seed=0)
    with pytest.raises(TypeError, match=r"not supported|Cannot cast|real numbers"):
        op(*nodes_of(call), **call.params)


@every_smooth_op
@given(data=st.data(), seed=seeds)
def test_planted_wrong_rules_are_found(op: Op, data: st.DataObject, seed: int) -> None:
    call = data.draw(calls_of(op))
    f, variables = function_of(op, call), variables_of(call)
    out, pullback = tg.vjp(f, *variables)
    cotangent = random_like(out, seed)
    gradients = pullback(cotangent)
    estimates = numeric_vjp(f, variables, cotangent)
    inexact = [i for i, x in enumerate(call.inputs) if is_inexact(x)]
    visible = [i for i, x in zip(inexact, gradients, strict=True) if is_visible(x, out, cotangent)]
    assume(visible)
    for position in visible:
        event(f"input {position}")
        assert_found(with_input_scaled(op, position, 1.01), call, cotangent, estimates)
        assert_found(with_input_scaled(op, position, -1), call, cotangent, estimates)


def is_visible(gradient: np.ndarray, out: Any, cotangent: np.ndarray) -> bool:
    """Tell whether a hundredth of a gradient is well above what rounding makes of it."""
    scale = np.sum(np.abs(cotangent)) * np.max(np.abs(out), initial=1)
    return bool(np.max(np.abs(gradient), initial=0) > 1e-4 * scale)


def with_input_scaled(op: Op, position: int, factor: float) -> Op:
    return with_rule_changed(op, lambda i, partial: partial * factor if i == position else partial)


def assert_found(wrong: Op, call: Call, cotangent: np.ndarray, estimates: list[Estimate]) -> None:
    _, pullback = tg.vjp(function_of(wrong, call), *variables_of(call))
    with pytest.raises(AssertionError, match="finite differences"):
        assert_gradients(pullback(cotangent), estimates)


def gradients_at(f: Callable[..., Any], *inputs: Any) -> list[Any]:
    """Give the gradients of sum(f) as lists."""
    nodes = [tg.Node(np.asarray(x, dtype=float)) for x in inputs]
    out = f(*nodes)
    out.backward(np.ones(out.shape))
    return [x.grad.tolist() for x in nodes]


@pytest.mark.parametrize("f", [nn.relu, np.abs, np.fabs, np.sign])
def test_the_derivative_at_a_kink_in_zero_is_zero(f: Callable[..., Any]) -> None:
    (gradient,) = gradients_at(lambda x: f(x) + 0 * x, [0.0, -0.0])
    assert gradient == [0.0, 0.0]


@pytest.mark.parametrize("slope", [0.01, 0.5])
def test_leaky_relu_has_at_zero_the_slope_of_the_left(slope: float) -> None:
    assert gradients_at(lambda x: nn.leaky_relu(x, slope=slope), [0.0, 1.0]) == [[slope, 1.0]]


def test_elu_has_at_zero_its_one_slope() -> None:
    assert gradients_at(nn.elu, 0.0) == [1.0]


def test_the_derivative_of_a_complex_modulus_at_zero_is_zero() -> None:
    z = tg.Node(np.zeros(2, complex))
    np.abs(z).backward(np.ones(2))
    assert z.grad.tolist() == [0, 0]


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_two_that_tie_share_equally(f: Callable[..., Any]) -> None:
    x, y = gradients_at(f, [1.0, 2.0], [1.0, 2.0])
    assert x == y == [0.5, 0.5]


@pytest.mark.parametrize("f", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_one_that_ties_with_a_constant_gets_half(f: Callable[..., Any]) -> None:
    assert gradients_at(lambda x: f(x, 1.0), [1.0]) == [[0.5]]
    assert gradients_at(lambda x: f(1.0, x), [1.0]) == [[0.5]]


@pytest.mark.parametrize(("f", "best"), [(np.max, 3.0), (np.min, -3.0)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_elements_that_tie_share_equally(
    f: Callable[..., Any], best: float, keepdims: bool
) -> None:
    x = [[best, 0.0, best], [0.5, 0.5, best]]
    every = gradients_at(lambda x: f(x, keepdims=keepdims), x)
    np.testing.assert_allclose(every, [[[1 / 3, 0, 1 / 3], [0, 0, 1 / 3]]])
    rows = gradients_at(lambda x: f(x, axis=1, keepdims=keepdims), x)
    assert rows == [[[0.5, 0, 0.5], [0, 0, 1]]]


def test_clip_counts_its_bounds_as_inside() -> None:
    x, low, high = gradients_at(np.clip, [-1.0, 0.0, 0.5, 1.0, 2.0], np.zeros(5), np.ones(5))
    assert x == [0, 1, 1, 1, 0]
    assert low == [1, 0, 0, 0, 0]
    assert high == [0, 0, 0, 0, 1]


def test_hypot_at_the_origin_has_gradient_zero() -> None:
    assert gradients_at(np.hypot, [0.0], [0.0]) == [[0.0], [0.0]]


@pytest.mark.parametrize("f", [np.logaddexp, np.logaddexp2])
def test_logaddexp_of_two_that_are_minus_infinity_gives_no_nan(f: Callable[..., Any]) -> None:
    x, y = gradients_at(f, [-np.inf, -np.inf, 0.0], [-np.inf, 0.0, 0.0])
    assert np.isfinite([x, y]).all()
    assert (x[1:], y[1:]) == ([0, 0.5], [1, 0.5])


@pytest.mark.parametrize("axis", [None, 0, 1, ()])
def test_std_of_equal_elements_has_gradient_zero(axis: Any) -> None:
    assert gradients_at(lambda x: np.std(x, axis=axis), np.full((2, 3), 0.5)) == [[[0] * 3] * 2]


def test_where_takes_no_nan_from_the_branch_not_taken() -> None:
    condition = np.array([True, False])
    x, y = gradients_at(lambda x, y: np.where(condition, x, y) * 2, [1.0, np.nan], [np.inf, 3.0])
    assert (x, y) == ([2, 0], [0, 2])


def test_where_with_a_nan_in_the_cotangent_keeps_it_in_the_branch_taken() -> None:
    x, y = tg.Node([1.0, 1.0]), tg.Node([1.0, 1.0])
    np.where([True, False], x, y).backward(np.array([np.nan, 1.0]))
    np.testing.assert_array_equal(x.grad, [np.nan, 0])
    np.testing.assert_array_equal(y.grad, [0, 1])


def test_a_power_of_zero_is_flat_in_its_base_and_in_its_exponent() -> None:
    assert gradients_at(lambda x: x**0, [0.0, 2.0]) == [[0, 0]]
    assert gradients_at(np.power, [0.0, 0.0], [0.0, 2.0]) == [[0, 0], [0, 0]]


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_prod_has_the_products_of_the_others_as_gradient_also_at_zeros(zeros: int) -> None:
    x = np.array([2.0, 3.0, 5.0])
    x[:zeros] = 0
    expected = [np.prod(np.delete(x, i)) for i in range(3)]
    assert gradients_at(np.prod, x) == [expected]


def test_a_write_to_one_place_twice_gives_its_gradient_to_the_last() -> None:
    index = np.array([0, 0, 1])
    x, y = gradients_at(lambda x, y: put(x, y, index=index), np.zeros(3), np.ones(3))
    assert x == [0, 0, 1]
    assert y == [0, 1, 1]


def test_a_read_of_one_place_twice_adds_up() -> None:
    index = np.array([0, 0, -3])
    assert gradients_at(lambda x: getitem(x, index=index), np.zeros(3)) == [[3, 0, 0]]
