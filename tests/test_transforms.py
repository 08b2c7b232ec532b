"""grad, value_and_grad and vjp on trees, nested in each other, and what they hand back."""

import gc
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tinygraph.tree import flatten, flatten_like, map_tree


class Layer(NamedTuple):
    w: Any
    b: Any


def assert_same_tree(got: Any, expected: Any) -> None:
    """Compare types and structure all the way down, and arrays at the leaves."""
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for x, y in zip(got, expected, strict=True):
            assert_same_tree(x, y)
    elif expected is not None:
        np.testing.assert_array_equal(got, expected, strict=True)


def number(array: Any) -> float:
    """Give the one number of an array outside the graph."""
    assert type(array) is np.ndarray
    return float(array)


# Trees

leaves = st.integers(0, 9).map(lambda n: np.full(n % 3, float(n)))
trees = st.recursive(
    leaves | st.none(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.builds(Layer, inner, inner),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_is_rebuilt_as_it_was(tree):
    flat, rebuild = flatten(tree)
    assert all(isinstance(leaf, np.ndarray) for leaf in flat)
    assert_same_tree(rebuild(iter(flat)), tree)
    assert_same_tree(map_tree(lambda x: x + 1, map_tree(lambda x: x - 1, tree)), tree)
    assert all(x is y for x, y in zip(flatten_like(tree, tree, "tree"), flat, strict=True))


@given(trees)
def test_a_gradient_has_its_arguments_structure(tree):
    gradient = tg.grad(lambda tree: sum(np.sum(x * x) for x in flatten(tree)[0]) + 0.0)(tree)
    assert_same_tree(gradient, map_tree(lambda x: 2 * x, tree))


def test_dict_subclasses_keep_what_they_add():
    tree = defaultdict(list, {"w": np.ones(2)})
    gradient = tg.grad(lambda tree: np.sum(tree["w"] ** 2))(tree)
    assert gradient.default_factory is list
    assert gradient["w"].tolist() == [2.0, 2.0]
    assert tree["w"].tolist() == [1.0, 1.0]


def test_a_network_of_layers():
    layers = [Layer(np.full((2, 2), 0.5), np.zeros(2)), Layer(np.ones((1, 2)), np.zeros(1))]
    x = np.array([1.0, -1.0])

    def loss(layers: list[Layer]) -> Any:
        hidden = np.tanh(layers[0].w @ x + layers[0].b)
        return np.sum(layers[1].w @ hidden + layers[1].b)

    value, gradient = tg.value_and_grad(loss)(layers)
    assert value == 0.0
    expected = [
        Layer(np.array([[1.0, -1.0], [1.0, -1.0]]), np.ones(2)),
        Layer(np.zeros((1, 2)), np.ones(1)),
    ]
    assert_same_tree(gradient, expected)


@pytest.mark.parametrize("leaf", [1, True, np.arange(3), "text", np.array(["a"])])
def test_what_has_no_gradient_is_refused_in_a_tree(leaf):
    with pytest.raises(TypeError, match=r"Node: (only floating|expected numbers)"):
        tg.grad(lambda tree: tree["x"])({"x": 1.0, "other": leaf})


# argnums


def f(x: Any, y: Any, z: Any, scale: float = 1.0) -> Any:
    return np.sum(x * y**2 * z**3) * scale


ARGUMENTS = (np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([2.0, 1.0]))
GRADIENTS = (
    ARGUMENTS[1] ** 2 * ARGUMENTS[2] ** 3,
    2 * ARGUMENTS[0] * ARGUMENTS[1] * ARGUMENTS[2] ** 3,
    3 * ARGUMENTS[0] * ARGUMENTS[1] ** 2 * ARGUMENTS[2] ** 2,
)


@pytest.mark.parametrize("argnums", [0, 1, 2, -1, -3])
def test_one_argument_gives_one_gradient(argnums):
    np.testing.assert_allclose(tg.grad(f, argnums)(*ARGUMENTS), GRADIENTS[argnums])
    value, gradient = tg.value_and_grad(f, argnums)(*ARGUMENTS, scale=2.0)
    assert value == 2 * f(*ARGUMENTS)
    np.testing.assert_allclose(gradient, 2 * GRADIENTS[argnums])


@pytest.mark.parametrize("argnums", [(0,), (0, 1), (2, 0), (-1, 0), (1, 2, 0), ()])
def test_several_arguments_give_a_tuple_in_their_order(argnums):
    gradients = tg.grad(f, argnums)(*ARGUMENTS)
    assert type(gradients) is tuple
    assert len(gradients) == len(argnums)
    for gradient, number in zip(gradients, argnums, strict=True):
        np.testing.assert_allclose(gradient, GRADIENTS[number])


@pytest.mark.parametrize(
    ("argnums", "kind", "words"),
    [
        (3, TypeError, "names argument 3, but f got 3 positional"),
        (-4, TypeError, "names argument -4, but f got 3 positional"),
        ((0, 5), TypeError, "names argument 5"),
        ((0, -3), ValueError, "one argument twice"),
        ((1, 1), ValueError, "one argument twice"),
        ([0, 1], TypeError, r"an int or a tuple of ints, got \[0, 1\]"),
        ("x", TypeError, "an int or a tuple of ints, got 'x'"),
        (1.0, TypeError, "an int or a tuple of ints, got 1.0"),
    ],
)
def test_argnums_that_name_no_argument_or_one_twice_are_refused(argnums, kind, words):
    with pytest.raises(kind, match=words):
        tg.grad(f, argnums)(*ARGUMENTS)


def test_an_argument_by_keyword_is_refused_with_advice():
    with pytest.raises(TypeError, match="f got 0 positional arguments; pass it by position"):
        tg.grad(f)(x=1.0, y=2.0, z=3.0)


def test_the_new_function_is_named_like_the_old():
    def loss(x: Any) -> Any:
        """Measure how bad x is."""

    assert tg.grad(loss).__name__ == "loss"
    assert tg.value_and_grad(loss).__doc__ == "Measure how bad x is."
    assert float(tg.grad(np.tanh)(0.0)) == 1.0


# What is handed back


def test_gradients_are_writable_arrays_of_their_own_outside_the_graph():
    x, y = np.ones(3, np.float32), np.float64(2.0)
    value, gradients = tg.value_and_grad(lambda x, y: np.sum(x) + y, (0, 1))(x, y)
    assert isinstance(value, np.float64 | np.ndarray)
    for gradient, argument in zip(gradients, (x, y), strict=True):
        assert type(gradient) is np.ndarray
        assert gradient.dtype == argument.dtype
        assert gradient.shape == argument.shape
        assert gradient.flags.writeable
        gradient += 1
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_a_result_shares_no_memory_with_arguments_cotangents_or_other_results():
    x = np.ones(3)
    out, pullback = tg.vjp(lambda x, y: (x, x.reshape(3, 1), y, x + y), x, np.ones(3))
    cotangents = tuple(np.ones(part.shape) for part in out)
    first, second = pullback(cotangents), pullback(cotangents)
    arrays = [x, *out, *cotangents, *first, *second]
    for position, array in enumerate(arrays):
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in arrays[position + 1 :])


def test_a_gradient_may_be_changed_in_place_and_asked_for_again():
    gradient_of = tg.grad(lambda x: np.sum(x * 3.0))
    x = np.zeros(2)
    for _ in range(2):
        gradient = gradient_of(x)
        assert gradient.tolist() == [3.0, 3.0]
        gradient *= 100
    assert x.tolist() == [0.0, 0.0]


def test_unused_arguments_have_zero_gradients():
    gradients = tg.grad(lambda x, y: np.sum(x["used"]), (0, 1))(
        {"used": np.ones(2), "unused": np.ones((2, 1), np.float32)}, 1j
    )
    assert_same_tree(
        gradients,
        ({"used": np.ones(2), "unused": np.zeros((2, 1), np.float32)}, np.zeros((), complex)),
    )


@pytest.mark.parametrize("constant", [3.0, 2, np.float32(1), np.ones((1, 1)), np.array(4)])
def test_a_function_that_gives_a_constant_has_gradient_zero(constant):
    value, gradient = tg.value_and_grad(lambda x: constant)(np.ones(2))
    assert value is constant
    assert gradient.tolist() == [0.0, 0.0]


def test_a_step_function_has_gradient_zero():
    assert tg.grad(lambda x: np.sum(np.floor(x)))(np.ones(2)).tolist() == [0.0, 0.0]
    assert tg.grad(lambda x: np.sum(x > 0) * 1.0)(np.ones(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x, r"shape \(2,\), expected one number; sum it, or use vjp"),
        (lambda x: [np.sum(x)], "list, expected one number"),
        (lambda x: (np.sum(x), 1), "tuple, expected one number"),
        (lambda x: {}, "dict, expected one number"),
        (lambda x: None, "NoneType, expected one number"),
        (lambda x: "text", "str, expected one number"),
        (lambda x: np.sum(x) * 1j, "complex number"),
    ],
)
def test_only_functions_that_give_one_real_number_have_a_gradient(function, words):
    with pytest.raises(TypeError, match=f"grad: <lambda> gave .*{words}"):
        tg.grad(function)(np.ones(2))


def test_one_number_may_have_axes():
    assert tg.grad(lambda x: np.sum(x, keepdims=True))(np.ones((2, 2))).tolist() == [[1, 1]] * 2


# vjp


def test_a_pullback_may_be_called_often():
    out, pullback = tg.vjp(lambda x: np.tanh(x) * 2, np.array([0.0, 1.0]))
    assert out.tolist() == (np.tanh([0.0, 1.0]) * 2).tolist()
    slope = 2 * (1 - np.tanh([0.0, 1.0]) ** 2)
    for cotangent in ([1.0, 0.0], [0.0, 1.0], [2.0, 3.0]):
        (gradient,) = pullback(np.array(cotangent))
        np.testing.assert_allclose(gradient, slope * cotangent)


def test_several_outputs_take_a_cotangent_each_by_their_place_and_name():
    two, three = np.array([2.0]), np.array([3.0])
    out, pullback = tg.vjp(lambda x, y: {"sum": x + y, "parts": (x * y, [x, None])}, two, three)
    assert_same_tree(out, {"sum": two + three, "parts": (two * three, [two, None])})
    one, ten, hundred = np.array([1.0]), np.array([10.0]), np.array([100.0])
    x, y = pullback({"parts": (ten, [hundred, None]), "sum": one})
    assert (x.tolist(), y.tolist()) == ([1 + 30 + 100], [1 + 20])


def test_an_output_given_twice_counts_twice():
    def twice(x: Any) -> Any:
        y = x * x
        return y, y

    _, pullback = tg.vjp(twice, np.array(3.0))
    (gradient,) = pullback((1.0, 10.0))
    assert gradient == 66.0


def test_an_output_made_of_another_counts_both_ways():
    def both(x: Any) -> Any:
        y = x * x
        return y, y * y

    _, pullback = tg.vjp(both, np.array(3.0))
    (gradient,) = pullback((1.0, 1.0))
    assert gradient == 6 + 4 * 27


def test_constant_and_integer_outputs_take_any_cotangent():
    out, pullback = tg.vjp(lambda x: (x * 2, 7, np.argmax(x), x > 1), np.array([1.0, 2.0]))
    assert out[1:3] == (7, 1)
    assert out[3].tolist() == [False, True]
    (gradient,) = pullback((np.ones(2), 0, 0, np.zeros(2)))
    assert gradient.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("cotangent", "words"),
    [
        ({"a": np.ones(2)}, r"expected a dict of \['a', 'b'\], got a dict of \['a'\]"),
        ({"a": np.ones(2), "c": np.ones(2)}, r"dict of \['a', 'c'\]"),
        ([np.ones(2), (np.ones(2),)], "expected a dict of .* got a list"),
        ({"a": np.ones(2), "b": np.ones(2)}, r"cotangent\['b'\]: expected a tuple of 1"),
        ({"a": np.ones(2), "b": ()}, r"cotangent\['b'\]: expected a tuple of 1, got a tuple of 0"),
        ({"a": (np.ones(2),), "b": (np.ones(2),)}, r"cotangent\['a'\]: expected an array"),
        ({"a": None, "b": (np.ones(2),)}, r"cotangent\['a'\]: expected an array, got a NoneType"),
        ({"a": np.ones(3), "b": (np.ones(2),)}, r"cotangent of shape \(3,\); expected \(2,\)"),
        (None, "expected a dict of .*, got a NoneType"),
    ],
)
def test_a_cotangent_of_another_structure_or_shape_is_refused(cotangent, words):
    _, pullback = tg.vjp(lambda x: {"a": x * 2, "b": (x * 3,)}, np.ones(2))
    with pytest.raises(ValueError, match=words):
        pullback(cotangent)


def test_a_complex_cotangent_of_a_real_output_is_refused():
    _, pullback = tg.vjp(np.sin, np.ones(2))
    with pytest.raises(TypeError, match="complex128; take its real part"):
        pullback(np.ones(2) * 1j)


def test_a_missing_cotangent_is_not_taken_for_one():
    _, pullback = tg.vjp(np.sin, np.float64(1.0))
    with pytest.raises(ValueError, match="expected an array, got a NoneType"):
        pullback(None)


def test_a_function_without_arguments_or_outputs():
    out, pullback = tg.vjp(lambda: ())
    assert out == ()
    assert pullback(()) == ()


# Nesting


def test_derivatives_of_any_order():
    derivative: Any = np.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        derivative = tg.grad(derivative)
        assert number(derivative(0.7)) == pytest.approx(expected(0.7), rel=1e-14)


def test_perturbations_are_not_confused():
    assert number(tg.grad(lambda x: x * tg.grad(lambda y: x * y)(2.0))(3.0)) == 6.0
    assert number(tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(1.0)) == 1.0
    assert number(tg.grad(lambda x: tg.grad(lambda x: x * x)(x) * x)(3.0)) == 12.0


def test_an_inner_derivative_by_another_function_of_the_outer_variable():
    def outer(x: Any) -> Any:
        return tg.grad(lambda y: np.sin(x * y) * y)(x * x)

    x, h = 0.8, 1e-5
    expected = (outer(np.float64(x + h)) - outer(np.float64(x - h))) / (2 * h)
    assert number(tg.grad(outer)(x)) == pytest.approx(float(expected), rel=1e-8)


def test_an_inner_derivative_by_what_the_outer_variable_does_not_reach():
    inner = tg.grad(lambda y: y**3)
    assert number(tg.grad(lambda x: x * inner(2.0))(5.0)) == 12.0


def test_mixed_derivatives_at_plain_numbers():
    def f(x: Any, y: Any) -> Any:
        return np.sin(x * y) * x

    x, y = 0.7, 1.3
    mixed = 2 * x * np.cos(x * y) - x * x * y * np.sin(x * y)
    by_y_then_x = tg.grad(lambda x: tg.grad(f, argnums=1)(x, y))(x)
    by_x_then_y = tg.grad(lambda y: tg.grad(f, argnums=0)(x, y))(y)
    assert number(by_y_then_x) == pytest.approx(mixed, rel=1e-14)
    assert number(by_x_then_y) == pytest.approx(mixed, rel=1e-14)


def test_without_variables_the_outer_derivative_is_kept():
    without = tg.value_and_grad(lambda parameters, x: x * x)
    assert number(tg.grad(lambda x: without({}, x)[0])(3.0)) == 6.0
    assert number(tg.grad(lambda x: tg.vjp(lambda: x * x)[0])(3.0)) == 6.0


def test_a_leaf_made_inside_the_function_is_no_outer_variable():
    gradient = tg.grad(lambda x: x * tg.Node(2.0))(3.0)
    assert number(gradient) == 2.0


def test_three_levels_of_closures():
    def first(x: Any) -> Any:
        def second(y: Any) -> Any:
            return tg.grad(lambda z: x * y * y * z**3)(x)

        return tg.grad(second)(x * 2)

    # d/dz = 3 x y^2 z^2 = 3 x^3 y^2; d/dy = 6 x^3 y = 12 x^4; d/dx = 48 x^3.
    assert number(tg.grad(first)(2.0)) == 48 * 8


def test_the_same_outer_variable_twice_inside():
    gradient = tg.grad(lambda x: sum(tg.grad(lambda a, b: a * b**2, (0, 1))(x, x)))
    assert number(gradient(3.0)) == 6 * 3.0


def test_a_hessian_product_of_a_tree():
    def loss(tree: dict[str, Any]) -> Any:
        return np.sum(tree["w"] ** 2 * tree["b"])

    tree = {"w": np.array([1.0, 2.0]), "b": np.array(3.0)}

    def slope(tree: dict[str, Any]) -> Any:
        gradient = tg.grad(loss)(tree)
        return np.sum(gradient["w"] * np.array([1.0, 10.0])) + gradient["b"] * 100.0

    expected = {"w": np.array([6.0, 60.0]) + 200 * tree["w"], "b": np.array(2.0 + 40.0)}
    assert_same_tree(tg.grad(slope)(tree), expected)


def test_an_unrolled_descent_is_differentiated_by_its_start_and_its_rate():
    def descend(start: Any, rate: Any) -> Any:
        for _ in range(5):
            start = start - rate * tg.grad(lambda x: 0.5 * x**2)(start)
        return start

    gradients = tg.grad(descend, (0, 1))(2.0, 0.1)
    assert number(gradients[0]) == pytest.approx(0.9**5)
    assert number(gradients[1]) == pytest.approx(-2 * 5 * 0.9**4)


def test_a_pullback_inside_an_outer_derivative():
    def outer(x: Any) -> Any:
        value, pullback = tg.vjp(lambda y: y * y * x, x)
        (gradient,) = pullback(x)
        return value * gradient

    # value = x^3, gradient = 2 x * x * x, product = 2 x^6.
    assert number(tg.grad(outer)(2.0)) == 12 * 32


def test_a_cotangent_of_an_outer_derivative_is_seen_through():
    _, pullback = tg.vjp(lambda x: x**2, np.array([1.0, 2.0]))
    gradient = tg.grad(lambda c: np.sum(pullback(c)[0] ** 2))(np.array([1.0, 1.0]))
    assert gradient.tolist() == [8.0, 32.0]


def test_outer_values_pass_through_value_and_grad():
    def outer(x: Any) -> Any:
        value, gradient = tg.value_and_grad(lambda y: np.exp(2 * y))(x)
        return value + gradient

    assert number(tg.grad(outer)(0.0)) == 6.0


# Nodes


def test_a_node_as_an_argument_is_an_outer_variable():
    x = tg.Node(3.0)
    gradient = tg.grad(lambda y: y**3)(x)
    assert isinstance(gradient, tg.Node)
    assert gradient.item() == 27.0
    assert x.grad is None
    gradient.backward()
    assert x.grad == 18.0


def test_a_node_in_the_closure_is_an_outer_variable():
    w = tg.Node([1.0, 2.0])
    gradient = tg.grad(lambda x: np.sum(w * x**2))(np.array([3.0, 4.0]))
    assert isinstance(gradient, tg.Node)
    np.sum(gradient).backward()
    assert w.grad.tolist() == [6.0, 8.0]


def test_a_node_without_gradients_is_data():
    data = tg.Node([1.0, 2.0], requires_grad=False)
    by_closure = tg.grad(lambda x: np.sum(data * x**2))(np.array([3.0, 4.0]))
    assert type(by_closure) is np.ndarray
    assert by_closure.tolist() == [6.0, 16.0]
    as_argument = tg.grad(lambda x: np.sum(x**2))(data)
    assert type(as_argument) is np.ndarray
    assert as_argument.tolist() == [2.0, 4.0]
    assert data.grad is None


def test_leaves_in_the_closure_get_no_gradients_by_the_way():
    w = tg.Node(2.0)
    tg.grad(lambda x: w * x)(3.0)
    assert w.grad is None


def test_detached_parts_count_as_constants():
    assert number(tg.grad(lambda x: x * x.detach())(3.0)) == 3.0
    assert number(tg.grad(lambda x: tg.grad(lambda y: y * x.detach() * y)(x))(3.0)) == 6.0


def test_a_leaf_changed_between_vjp_and_pullback_is_refused():
    w = tg.Node([1.0, 2.0], name="w")
    _, pullback = tg.vjp(lambda x: w * x, np.ones(2))
    w.value = [5.0, 6.0]
    with pytest.raises(ValueError, match=r"w of shape \(2,\) changed after 'multiply'"):
        pullback(np.ones(2))


def test_a_variable_set_by_the_function_itself_is_refused():
    def setting(x: Any) -> Any:
        y = np.sum(x * x)
        x.value = np.ones(2)
        return y * 1.0

    with pytest.raises(ValueError, match="changed after 'multiply'"):
        tg.grad(setting)(np.full(2, 3.0))


def test_an_output_that_another_output_outran_is_refused():
    w = tg.Node(2.0)
    (first, _), pullback = tg.vjp(lambda x: (x * w, np.exp(x * 3.0)), w)
    w.value = 3.0
    first.forward()
    with pytest.raises(ValueError, match="changed after"):
        pullback((1.0, 1.0))


# no_grad


def test_a_derivative_inside_no_grad_is_an_array_and_right():
    w = tg.Node(2.0)
    with tg.no_grad():
        gradient = tg.grad(lambda x: w * x**2)(3.0)
        second = tg.grad(tg.grad(lambda x: w * x**3))(3.0)
        value, pullback = tg.vjp(lambda x: w * x, np.ones(2))
        (pulled,) = pullback(np.ones(2))
        assert (w * 2).op is None
    for array, expected in ((gradient, 12.0), (second, 36.0), (value, 2.0), (pulled, 2.0)):
        assert isinstance(array, np.ndarray)
        assert np.all(array == expected)


def test_no_grad_inside_the_function_cuts_what_it_says():
    def partly(x: Any) -> Any:
        with tg.no_grad():
            constant = x * x
        return constant * x

    assert number(tg.grad(partly)(3.0)) == 9.0


def test_a_pullback_may_be_called_inside_no_grad():
    _, pullback = tg.vjp(lambda x: x**3, np.array(2.0))
    with tg.no_grad():
        (gradient,) = pullback(1.0)
    assert gradient == 12.0


def test_the_state_is_as_before_after_an_exception():
    with tg.no_grad():
        with pytest.raises(ZeroDivisionError):
            tg.grad(lambda x: 1 // 0)(1.0)
        assert (tg.Node(1.0) * 2).op is None
    assert (tg.Node(1.0) * 2).op is not None


# Where the functions are used


def test_a_python_branch_on_values_is_followed():
    def absolute(x: Any) -> Any:
        return x if x.value > 0 else -x

    assert tg.grad(absolute)(2.0) == 1.0
    assert tg.grad(absolute)(-2.0) == -1.0


def test_scipy_minimises_with_values_and_gradients():
    optimize = pytest.importorskip("scipy.optimize")

    def rosenbrock(x: Any) -> Any:
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = np.array([-1.2, 1.0, 0.5])
    result = optimize.minimize(tg.value_and_grad(rosenbrock), start, jac=True, tol=1e-10)
    np.testing.assert_allclose(result.x, 1, atol=1e-6)
    gradient = tg.grad(rosenbrock)(start)
    np.testing.assert_allclose(gradient, optimize.rosen_der(start), rtol=1e-12)


def test_no_node_is_left_when_a_pullback_goes():
    gc.collect()
    gc.disable()
    try:
        # Other tests' nodes may still be held, and go in the meantime.
        others = {id(thing) for thing in gc.get_objects() if type(thing) is tg.Node}

        def new_nodes() -> int:
            things = (thing for thing in gc.get_objects() if type(thing) is tg.Node)
            return sum(id(thing) not in others for thing in things)

        _, pullback = tg.vjp(lambda x: np.tanh(x) * x, np.ones(3))
        assert new_nodes() > 0
        pullback(np.ones(3))
        del pullback
        assert new_nodes() == 0
    finally:
        gc.enable()


# Forward mode and products with second derivatives

MATRIX = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
POINT, DIRECTION = np.array([0.3, -0.7, 1.1]), np.array([1.0, 0.5, -2.0])


def bent(x: Any) -> Any:
    return np.tanh(MATRIX @ x) * np.sum(x**2)


def test_a_tangent_is_the_derivative_along_a_direction():
    out, tangent = tg.jvp(bent, (POINT,), (DIRECTION,))
    np.testing.assert_array_equal(out, bent(POINT), strict=True)
    h = 1e-6
    expected = (bent(POINT + h * DIRECTION) - bent(POINT - h * DIRECTION)) / (2 * h)
    np.testing.assert_allclose(tangent, expected, atol=1e-8)
    assert type(tangent) is np.ndarray


@given(st.integers(0, 99))
def test_pushing_and_pulling_are_transposes(seed):
    generator = np.random.default_rng(seed)
    tree = {"w": generator.normal(size=(2, 3)), "x": [generator.normal(size=3), 2.0]}
    tangents = map_tree(lambda x: generator.normal(size=np.shape(x)), tree)

    def f(tree: Any) -> Any:
        return np.sin(tree["w"] @ tree["x"][0]) * tree["x"][1], (np.sum(tree["w"]), 5.0)

    out, tangent = tg.jvp(f, (tree,), (tangents,))
    cotangent = map_tree(lambda x: generator.normal(size=np.shape(x)), out)
    (gradient,) = tg.vjp(f, tree)[1](cotangent)
    assert tangent[1][1] == 0

    def inner(x: Any, y: Any) -> float:
        return sum(np.sum(a * b) for a, b in zip(flatten(x)[0], flatten(y)[0], strict=True))

    assert inner(cotangent, tangent) == pytest.approx(inner(gradient, tangents), rel=1e-12)


def test_one_argument_needs_no_tuple():
    assert tg.jvp(np.sin, 0.0, 2.0)[1] == 2.0
    assert tg.hvp(np.square, 3.0, 1.0) == 2.0


@pytest.mark.parametrize("outer", [tg.grad, tg.jacobian])
def test_a_tangent_is_differentiated_in_reverse(outer):
    def f(x: Any) -> Any:
        return np.sum(tg.jvp(bent, (x,), (DIRECTION,))[1])

    _, expected = tg.jvp(tg.grad(lambda x: np.sum(bent(x))), (POINT,), (DIRECTION,))
    np.testing.assert_allclose(outer(f)(POINT), expected, rtol=1e-12)


def test_a_tangent_of_a_tangent():
    def once(x: Any) -> Any:
        return tg.jvp(bent, (x,), (DIRECTION,))[1]

    out, tangent = tg.jvp(once, (POINT,), (DIRECTION,))
    h = 1e-5
    expected = (once(POINT + h * DIRECTION) - once(POINT - h * DIRECTION)) / (2 * h)
    np.testing.assert_array_equal(out, once(POINT))
    np.testing.assert_allclose(tangent, expected, atol=1e-8)


def test_a_tangent_is_differentiated_by_the_direction():
    found = tg.jacobian(lambda v: tg.jvp(bent, (POINT,), (v,))[1])(DIRECTION)
    np.testing.assert_allclose(found, tg.jacobian(bent)(POINT), rtol=1e-12)


def test_results_used_twice_or_given_as_they_came_have_their_tangents():
    out, tangent = tg.jvp(lambda x, y: (x, y, x, np.shape(x)[0]), (POINT, 2.0), (DIRECTION, 3.0))
    assert out[3] == 3
    np.testing.assert_array_equal(tangent[0], DIRECTION)
    np.testing.assert_array_equal(tangent[2], DIRECTION)
    assert tangent[1] == 3.0
    _, tangent = tg.jvp(lambda x, y: x + y, (POINT, 2 * POINT), (DIRECTION, DIRECTION))
    np.testing.assert_array_equal(tangent, 2 * DIRECTION)


def test_a_tangent_keeps_float32():
    x = POINT.astype(np.float32)
    assert tg.jvp(np.sin, (x,), (np.ones(3),))[1].dtype == np.float32


@pytest.mark.parametrize(
    ("tangents", "kind", "words"),
    [
        ((np.ones(2),), ValueError, r"primals\[0\] has shape \(3,\) and its tangent \(2,\)"),
        ((1.0,), ValueError, r"primals\[0\] has shape \(3,\) and its tangent \(\)"),
        ((np.ones(3), 1.0), ValueError, "tangents: expected a tuple of 1, got a tuple of 2"),
        ((1j * np.ones(3),), TypeError, "values of float64 and its tangent of complex128"),
    ],
)
def test_tangents_of_another_shape_structure_or_kind_are_refused(tangents, kind, words):
    for transform in (tg.jvp, tg.hvp):
        with pytest.raises(kind, match=words):
            transform(lambda x: np.sum(x), (POINT,), tangents)


def test_products_with_the_hessian_of_several_arguments():
    def f(x: Any, tree: Any) -> Any:
        return np.sum(x**2 * tree["y"]) * tree["s"]

    primals = (POINT, {"y": DIRECTION, "s": 2.0})
    tangents = (DIRECTION, {"y": POINT, "s": -1.0})
    product = tg.hvp(f, primals, tangents)
    _, expected = tg.jvp(tg.grad(f, argnums=(0, 1)), primals, tangents)
    assert isinstance(product, tuple)
    np.testing.assert_allclose(product[0], expected[0], rtol=1e-12)
    for key in "ys":
        np.testing.assert_allclose(product[1][key], expected[1][key], rtol=1e-12)


# More of grad


def test_elementwise_derivatives():
    x = np.array([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_allclose(tg.elementwise_grad(np.tanh)(x), 1 - np.tanh(x) ** 2)
    second = tg.elementwise_grad(tg.elementwise_grad(np.sin))
    np.testing.assert_allclose(second(x), -np.sin(x))
    by_both = tg.elementwise_grad(lambda x, y: x * y**2, argnums=(0, 1))(x, 3.0)
    np.testing.assert_allclose(by_both[0], np.full((2, 2), 9.0))
    np.testing.assert_allclose(by_both[1], np.sum(6 * x))


def test_auxiliary_results_are_handed_through_outside_the_graph():
    def f(x: Any) -> Any:
        return np.sum(x**2), {"double": 2 * x, "text": "as it was", "none": None}

    (value, aux), gradient = tg.value_and_grad(f, has_aux=True)(POINT)
    assert value == np.sum(POINT**2)
    assert type(aux["double"]) is np.ndarray
    assert (aux["text"], aux["none"]) == ("as it was", None)
    np.testing.assert_array_equal(gradient, 2 * POINT)
    gradient, aux = tg.grad(f, has_aux=True)(POINT)
    np.testing.assert_array_equal(gradient, aux["double"])
    _, pullback, aux = tg.vjp(f, POINT, has_aux=True)
    np.testing.assert_array_equal(pullback(1.0)[0], aux["double"])


def test_auxiliary_results_keep_an_outer_derivative():
    def f(x: Any) -> Any:
        _, aux = tg.grad(lambda y: (np.sum(y**2 * x), y * x), has_aux=True)(x)
        return np.sum(aux)

    np.testing.assert_allclose(tg.grad(f)(POINT), 2 * POINT)


@pytest.mark.parametrize("f", [np.sum, lambda x: (np.sum(x), 1, 2), lambda x: [np.sum(x), 1]])
def test_auxiliary_results_that_are_not_there_are_refused(f):
    with pytest.raises(TypeError, match=r"has_aux: .* gave .*, expected a tuple \(value, aux\)"):
        tg.grad(f, has_aux=True)(POINT)


def test_an_error_in_a_tree_says_where():
    with pytest.raises(TypeError) as caught:
        tg.grad(lambda x, tree: np.sum(x), argnums=(0, 1))(POINT, {"w": [POINT, 3]})
    assert "as primal[1]['w'][1], to be differentiated by" in caught.value.__notes__


def test_stop_gradient_of_a_tree():
    def f(x: Any) -> Any:
        fixed = tg.stop_gradient({"x": x, "number": 2.0, "text": "t"})
        return np.sum(x * fixed["x"] * fixed["number"])

    np.testing.assert_array_equal(tg.grad(f)(POINT), 2 * POINT)
    np.testing.assert_array_equal(tg.hessian(f)(POINT), np.zeros((3, 3)))


def test_forward_sees_through_stop_gradient():
    x = tg.Node(2.0)
    y = x * tg.stop_gradient(x)
    x.value = 3.0
    assert y.forward().item() == 9.0
    y.backward()
    assert x.grad == 3.0


# Trees as vectors


@given(trees)
def test_a_tree_becomes_a_vector_and_comes_back(tree):
    vector, unravel = tg.ravel_tree(tree)
    assert vector.shape == (sum(leaf.size for leaf in flatten(tree)[0]),)
    assert_same_tree(unravel(vector), tree)


def test_a_vector_of_mixed_dtypes():
    tree = {"w": np.ones((2, 2), np.float32), "n": np.arange(2), "s": 1.5}
    vector, unravel = tg.ravel_tree(tree)
    assert vector.dtype == np.float64
    back = unravel(vector + 1)
    assert back["w"].dtype == np.float32
    assert back["n"].tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"unravel: expected shape \(7,\), got \(6,\)"):
        unravel(vector[1:])


def test_scipy_minimises_over_trees():
    optimize = pytest.importorskip("scipy.optimize")

    def f(tree: Any) -> Any:
        return np.sum((tree["w"] - 3.0) ** 2) + (tree["b"] + 1.0) ** 4

    vector, unravel = tg.ravel_tree({"w": np.zeros((2, 2)), "b": 0.5})
    both = tg.value_and_grad(lambda vector: f(unravel(vector)))
    found = optimize.minimize(both, vector, jac=True)
    np.testing.assert_allclose(unravel(found.x)["w"], np.full((2, 2), 3.0), atol=1e-4)


def test_gradients_of_each_example_come_from_a_copy_of_the_weights_each():
    x, w = np.random.default_rng(0).normal(size=(5, 3)), MATRIX.T

    def loss(w: Any, x: Any) -> Any:
        return np.sum(np.tanh(x[..., None, :] @ w) ** 2)

    copies = np.broadcast_to(w, (5, *w.shape))
    together = tg.grad(loss)(copies, x)
    for i in range(5):
        np.testing.assert_allclose(together[i], tg.grad(loss)(w, x[i]), rtol=1e-13)
