import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from models.activation import (
    KNOWN,
    Activation,
    Elu,
    Identity,
    LeakyRelu,
    Relu,
    Sigmoid,
    Softplus,
    Tanh,
    make_activation,
)
from models.network import NeuralNetwork

REFERENCES = {
    "Sigmoid": (
        Sigmoid(),
        lambda x: 1 / (1 + math.exp(-x)),
        lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
    ),
    "Relu": (Relu(), lambda x: max(x, 0), lambda x: float(x > 0)),
    "Tanh": (Tanh(), math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "LeakyRelu": (
        LeakyRelu(0.2),
        lambda x: x if x > 0 else 0.2 * x,
        lambda x: 1.0 if x > 0 else 0.2,
    ),
    "Elu": (
        Elu(1.5),
        lambda x: x if x > 0 else 1.5 * math.expm1(x),
        lambda x: 1.0 if x > 0 else 1.5 * math.exp(x),
    ),
    "Softplus": (
        Softplus(),
        lambda x: math.log1p(math.exp(x)),
        lambda x: 1 / (1 + math.exp(-x)),
    ),
    "Identity": (Identity(), lambda x: x, lambda x: 1.0),
}
every_builtin = pytest.mark.parametrize("name", KNOWN)


class Cube(Activation):
    def result(self, x):
        return x**3


class Doubtful(Activation):
    """A prime that is ten times too large."""

    def result(self, x):
        return np.tanh(x)

    def prime(self, x):
        return 10 * (1 - np.tanh(x) ** 2)


class StaticCube:
    @staticmethod
    def result(x):
        return x**3

    @staticmethod
    def prime(x):
        return 3 * x**2


class PlainTanh:
    def result(self, x):
        return np.tanh(x)


def gradient(activation, x):
    """The derivative that training uses."""
    return tg.grad(lambda node: np.sum(activation(node)))(x)


@every_builtin
@given(x=st.lists(st.floats(-30, 30), min_size=1, max_size=20))
def test_every_builtin_agrees_with_its_formula(name, x):
    activation, result, prime = REFERENCES[name]
    array = np.array(x)
    for got in (activation.result(array), activation(tg.Node(array)).value):
        np.testing.assert_allclose(got, [result(number) for number in x], 1e-13, 1e-15)
    for got in (activation.prime(array), gradient(activation, array)):
        np.testing.assert_allclose(got, [prime(number) for number in x], 1e-12, 1e-15)


@every_builtin
def test_every_builtin_passes_its_check(name):
    REFERENCES[name][0].check()
    make_activation(name).check(np.linspace(-3, 3, 10))


@every_builtin
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_builtin_stays_finite_at_large_inputs_and_keeps_the_dtype(name, dtype):
    activation = REFERENCES[name][0]
    x = np.array([-1000, -100, 0, 100, 1000], dtype)
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        found = [activation.result(x), activation.prime(x), gradient(activation, x)]
    for array in found:
        assert array.dtype == dtype
        assert array.shape == x.shape
        assert np.all(np.isfinite(array))


@pytest.mark.parametrize(
    ("activation", "at_zero"),
    [(Relu(), 0), (LeakyRelu(0.2), 0.2), (Elu(1.5), 1.5), (Elu(), 1), (Identity(), 1)],
    ids=repr,
)
def test_prime_at_a_kink_follows_the_convention(activation, at_zero):
    for zero in (0.0, -0.0):
        assert activation.prime(np.array([zero])).tolist() == [at_zero]
        assert gradient(activation, np.array([zero])).tolist() == [at_zero]


def test_check_tells_a_kink_at_a_point_it_is_given():
    with pytest.raises(tg.GradientError, match="kink"):
        Relu().check([1.0, 0.0])


@pytest.mark.parametrize("number", [np.float32(0.2), np.float64(0.2), 0.2])
def test_parameters_keep_the_dtype_of_float32(number):
    x = np.array([-1, 2], np.float32)
    for activation in (LeakyRelu(number), Elu(number)):
        assert activation.result(x).dtype == np.float32
        assert all(type(value) is float for value in activation.parameters().values())
        assert activation.parameters()


def test_result_alone_is_differentiated():
    x = np.array([[-2.0, 0.5], [0.0, 3.0]])
    for found in (Cube().prime(x), gradient(Cube(), x)):
        np.testing.assert_allclose(found, 3 * x**2, 1e-14)
    Cube().check()


def test_a_prime_that_is_given_is_the_one_that_training_uses():
    x = np.array([0.5, -1.0])
    np.testing.assert_allclose(gradient(Doubtful(), x), 10 / np.cosh(x) ** 2, 1e-14)
    network, doubtful = (
        NeuralNetwork([3, 4, 2], [hidden, "identity"], seed=0, dtype=float)
        for hidden in (Tanh(), Doubtful())
    )
    rows, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    for a_network in (network, doubtful):
        a_network.loss(rows, labels).backward()
    right, wrong = network.parameters[0].grad, doubtful.parameters[0].grad
    np.testing.assert_allclose(wrong, 10 * right, 1e-12)


def test_check_finds_a_prime_that_is_not_the_derivative():
    with pytest.raises(tg.GradientError, match="disagree with finite differences"):
        Doubtful().check()


def test_a_prime_set_on_the_instance_or_static_is_used():
    class Plain(Activation):
        def __init__(self):
            self.prime = lambda x: 0 * x + 7

        def result(self, x):
            return x

    class Static(Activation):
        @staticmethod
        def result(x):
            return x

        @staticmethod
        def prime(x):
            return 0 * x + 7

    for activation in (Plain(), Static()):
        assert gradient(activation, np.ones(2)).tolist() == [7, 7]


def test_a_prime_serves_second_derivatives_too():
    class Square(Activation):
        def result(self, x):
            return x * x

        def prime(self, x):
            return 2 * x

    second = tg.grad(lambda x: np.sum(tg.grad(lambda y: np.sum(Square()(y)))(x)))
    assert second(np.array([3.0, 4.0])).tolist() == [2, 2]
    assert tg.grad(lambda x: np.sum(Cube().prime(x)))(np.array([2.0])).tolist() == [12]


def test_a_result_may_be_plain_numpy_that_has_no_rule_where_prime_is_given():
    class Rounded(Activation):
        def result(self, x):
            return np.asarray([round(number, 1) for number in x.ravel()]).reshape(x.shape)

        def prime(self, x):
            return np.ones_like(x)

    x = np.array([[0.123, -0.456]])
    assert Rounded()(tg.Node(x)).value.tolist() == [[0.1, -0.5]]
    assert gradient(Rounded(), x).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "given_as",
    [StaticCube, StaticCube(), Cube, Cube()],
    ids=["static class", "static", "class", "instance"],
)
def test_a_class_or_instance_with_or_without_the_base_serves(given_as):
    activation = make_activation(given_as)
    x = np.array([0.5, -2.0])
    assert isinstance(activation, Activation)
    assert type(activation).__name__ in ("StaticCube", "Cube")
    np.testing.assert_allclose(activation.result(x), x**3)
    np.testing.assert_allclose(gradient(activation, x), 3 * x**2)
    activation.check()


def test_a_class_without_base_and_prime_is_differentiated():
    for given_as in (PlainTanh, PlainTanh()):
        x = np.array([0.3, -0.7])
        np.testing.assert_allclose(gradient(make_activation(given_as), x), 1 / np.cosh(x) ** 2)


def test_names_are_found_in_any_case():
    for name in ("LeakyRelu", "leaky_relu", "leakyrelu", "LEAKY_RELU"):
        assert type(make_activation(name)) is LeakyRelu
    assert make_activation("tanh").parameters() == {}


def test_what_is_no_activation_is_refused():
    with pytest.raises(ValueError, match="unknown activation 'swish'; expected one of Sigmoid"):
        make_activation("swish")

    class Forgotten(Activation):
        pass

    for wrong in (3, None, np.tanh, Activation, Forgotten(), object):
        with pytest.raises(TypeError, match=r"expected an Activation with result\(x\)"):
            make_activation(wrong)


def test_parameters_are_the_numbers_among_the_attributes():
    class Scaled(Activation):
        def __init__(self):
            self.factor, self.power, self.note = np.float32(0.5), 2, "not a number"
            self.table = np.ones(3)

        def result(self, x):
            return self.factor * x**self.power

    made = Scaled()
    assert made.parameters() == {"factor": 0.5, "power": 2}
    assert [type(number) for number in made.parameters().values()] == [float, int]
    assert repr(made) == "Scaled(factor=0.5, power=2)"
    assert repr(LeakyRelu()) == "LeakyRelu(slope=0.01)"
