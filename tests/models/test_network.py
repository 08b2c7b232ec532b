import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from models.activation import LeakyRelu, Tanh
from models.data import Pairs
from models.losses import LOSSES
from models.network import NeuralNetwork

ROOT = Path(__file__).parents[2]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


HAND = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "relu": (lambda z: np.where(z > 0, z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "elu": (
        lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
    "softplus": (lambda z: np.log(1 + np.exp(z)), sigmoid),
    "identity": (lambda z: z, np.ones_like),
}


def hand_softmax(a):
    exp = np.exp(a)
    return exp / exp.sum(axis=1, keepdims=True)


def hand_loss(name, a, y):
    """The loss of every sample, and its derivative by the network's output."""
    s = hand_softmax(a)
    match name:
        case "softmax_quadratic":
            error = s - y
            by_output = s * (error - (error * s).sum(axis=1, keepdims=True))
            return 0.5 * (error**2).sum(axis=1), by_output
        case "quadratic":
            return 0.5 * ((a - y) ** 2).sum(axis=1), a - y
        case "cross_entropy":
            return -(y * np.log(s)).sum(axis=1), s - y
        case "binary_cross_entropy":
            each = -(y * np.log(a) + (1 - y) * np.log(1 - a))
            return each.sum(axis=1), (a - y) / (a * (1 - a))


def hand_step(weights, biases, activations, x, y, loss, rate, regular):
    """The loss, and the weights and biases after one step, by back-propagation."""
    outputs, sums = [x], []
    for w, b, name in zip(weights, biases, activations, strict=True):
        sums.append(outputs[-1] @ w.T + b.T)
        outputs.append(HAND[name][0](sums[-1]))
    losses, delta = hand_loss(loss, outputs[-1], y)
    value = losses.mean() + regular / 2 * sum((w**2).sum() for w in weights)
    n = len(x)
    new_weights, new_biases = [], []
    for w, b, name, z, a in reversed(
        list(zip(weights, biases, activations, sums, outputs[:-1], strict=True))
    ):
        delta = delta * HAND[name][1](z)
        new_weights.insert(0, w - rate * (delta.T @ a / n + regular * w))
        new_biases.insert(0, b - rate / n * delta.sum(axis=0).reshape(-1, 1))
        delta = delta @ w
    return value, new_weights, new_biases


@st.composite
def problems(draw):
    layers = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    loss = draw(st.sampled_from(list(LOSSES)))
    activations = [draw(st.sampled_from(list(HAND))) for _ in layers[1:]]
    if loss == "binary_cross_entropy":
        activations[-1] = "sigmoid"
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 6))
    x = random.normal(size=(n, layers[0]))
    y = np.eye(layers[-1])[random.integers(0, layers[-1], n)]
    network = NeuralNetwork(layers, activations, seed=draw(st.integers(0, 99)), dtype=float)
    network.weights = [random.normal(0, 0.5, w.shape) for w in network.weights]
    network.biases = [random.normal(0, 0.5, b.shape) for b in network.biases]
    return network, activations, x, y, loss


regulars = st.sampled_from([0, 0.01, 0.5])


@given(problem=problems(), rate=st.sampled_from([0.01, 0.7]), regular=regulars)
def test_a_training_step_is_back_propagation_by_hand(problem, rate, regular):
    network, activations, x, y, loss = problem
    before = list(network.weights), list(network.biases)
    value, weights, biases = hand_step(*before, activations, x, y, loss, rate, regular)
    node = network.loss(x, y, regular, loss)
    np.testing.assert_allclose(node.item(), value, 1e-12)
    history = network.train((x, y), rate, 1, len(x), regular, loss=loss, progress=False)
    np.testing.assert_allclose(history["loss"], [value], 1e-12)
    for got, expected in zip([*network.weights, *network.biases], [*weights, *biases], strict=True):
        np.testing.assert_allclose(got, expected, 1e-12, 1e-12)


@given(problem=problems(), regular=regulars)
def test_the_gradient_of_the_loss_agrees_with_finite_differences(problem, regular):
    network, _, x, y, loss = problem
    network.loss(x, y, regular, loss).backward()
    step = 1e-6
    for layer, node in enumerate(network.parameters):
        arrays = network.weights if layer < len(network.weights) else network.biases
        position = layer % len(network.weights)
        value = arrays[position]
        for index in np.ndindex(value.shape):
            move = np.zeros(value.shape)
            move[index] = step
            found = []
            for moved in (value + move, value - move):
                arrays[position] = moved
                found.append(network.loss(x, y, regular, loss).item())
            arrays[position] = value
            expected = (found[0] - found[1]) / (2 * step)
            np.testing.assert_allclose(node.grad[index[: node.ndim]], expected, 1e-5, 1e-7)


def test_the_loss_is_a_graph_of_named_layers():
    network = NeuralNetwork([3, 2, 2], ["tanh", "sigmoid"], seed=0)
    node = network.loss(np.ones((4, 3)), [0, 1, 1, 0], regular=0.1)
    assert isinstance(node, tg.Node)
    assert node.dtype == np.float32
    assert [p.name for p in network.parameters] == ["W1", "W2", "b1", "b2"]
    assert node.scope == ("loss",)
    assert network.parameters[1].scope == ("layer 2",)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (["tanh"], "3 layers need 2, one for every layer after the first, got 1"),
        (["tanh"] * 3, "3 layers need 2, one for every layer after the first, got 3"),
        ([], "got 0"),
        (["tanh", "swish"], "unknown activation 'swish'; expected one of Sigmoid"),
    ],
)
def test_wrong_activations_are_refused(activations, message):
    with pytest.raises(ValueError, match=message):
        NeuralNetwork([4, 3, 2], activations)


@pytest.mark.parametrize("layers", [[3], [], [3, 0], [3, -1], [3.7, 2], ["3", 2]])
def test_layers_that_make_no_network_are_refused(layers):
    with pytest.raises(ValueError, match="layers: expected two positive whole sizes or more, got"):
        NeuralNetwork(layers, ["tanh"])


@pytest.mark.parametrize("dtype", [int, complex, np.longdouble, ">f4"])
def test_a_dtype_that_cannot_be_trained_or_saved_is_refused(dtype):
    with pytest.raises(TypeError, match="dtype: expected float16, float32 or float64"):
        NeuralNetwork([3, 2], ["tanh"], dtype=dtype)


def test_weights_and_biases_start_from_a_normal_distribution():
    network = NeuralNetwork([500, 400, 1], ["tanh", "tanh"], seed=1)
    biases = NeuralNetwork([1, 100_000], ["tanh"], seed=2).biases[0]
    for values in (network.weights[0], biases):
        assert abs(values.mean()) < 0.002
        assert abs(values.std() - 0.1) < 0.002
        assert abs(np.mean(values**4) / values.std() ** 4 - 3) < 0.1


def test_the_seed_decides_the_start():
    first, again, other = (
        NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=seed) for seed in (5, 5, 6)
    )
    double = NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=5, dtype=np.float64)
    for w, same, different, exact in zip(
        [*first.weights, *first.biases],
        [*again.weights, *again.biases],
        [*other.weights, *other.biases],
        [*double.weights, *double.biases],
        strict=True,
    ):
        np.testing.assert_array_equal(w, same, strict=True)
        assert np.all(w != different)
        np.testing.assert_array_equal(w, exact.astype(np.float32), strict=True)
    assert np.any(
        NeuralNetwork([3, 2], ["tanh"]).weights[0] != NeuralNetwork([3, 2], ["tanh"]).weights[0]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given_dtype", [np.float32, np.float64, np.uint8])
def test_everything_is_in_the_network_s_dtype(dtype, given_dtype):
    network = NeuralNetwork([3, 4, 2], [LeakyRelu(0.1), "softplus"], seed=0, dtype=dtype)
    x = np.arange(12).reshape(4, 3).astype(given_dtype)
    network.train((x, np.array([0, 1, 0, 1])), 0.1, 2, 3, 0.1, progress=False)
    assert {w.dtype for w in [*network.weights, *network.biases]} == {np.dtype(dtype)}
    assert network.feedforward(x).dtype == dtype
    assert network.loss(x, [0, 1, 0, 1], regular=0.1).dtype == dtype


def test_weights_and_biases_are_read_and_assigned_like_lists():
    network = NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=0)
    assert [w.shape for w in network.weights] == [(4, 3), (2, 4)]
    assert [b.shape for b in network.biases] == [(4, 1), (2, 1)]
    assert len(network.weights) == 2
    assert network.biases[-1].shape == (2, 1)
    assert [w.shape for w in network.weights[:1]] == [(4, 3)]
    with pytest.raises(IndexError):
        network.weights[2]

    network.weights = [np.full((4, 3), 1), np.full((2, 4), 2.0)]
    network.biases[1] = np.array([[5], [6]])
    network.biases[:1] = [np.full((4, 1), 7.0)]
    network.weights[0] = network.weights[0] * 3
    assert [float(w[0, 0]) for w in network.weights] == [3, 2]
    assert network.biases[1].ravel().tolist() == [5, 6]
    assert network.biases[0].ravel().tolist() == [7] * 4
    out = network.feedforward(np.ones((1, 3)))
    np.testing.assert_allclose(out, [[13, 14]], 1e-6)

    other = NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=1)
    other.weights, other.biases = network.weights, network.biases
    np.testing.assert_array_equal(other.feedforward(np.ones((1, 3))), out)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([np.ones((4, 3))], "weights: expected 2 arrays, one a layer, got 1"),
        ([np.ones((4, 3)), np.ones((4, 2))], r"weights\[1\]: expected numbers of shape \(2, 4\)"),
        ([np.ones((4, 3)), np.ones((2, 4), complex)], r"weights\[1\].* got complex128"),
        ([np.ones((4, 3)), np.full((2, 4), np.nan)], r"weights\[1\] holds nan"),
        ([np.ones((4, 3)), np.full((2, 4), 1e300)], r"weights\[1\] holds inf"),
        ([np.ones((4, 3)), "a"], r"weights\[1\]: expected numbers"),
    ],
)
def test_wrong_weights_are_refused_and_nothing_is_changed(wrong, message):
    network = NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=0)
    before = [w.copy() for w in network.weights]
    with pytest.raises(ValueError, match=message):
        network.weights = wrong
    with pytest.raises(ValueError, match="weights"):
        network.weights[1] = wrong[-1] if len(wrong) == 2 else wrong[0]
    for w, old in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(w, old)


def test_wrong_biases_are_refused_and_nothing_is_changed():
    network = NeuralNetwork([3, 4, 2], ["tanh", "relu"], seed=0)
    before = [b.copy() for b in network.biases]
    for wrong in ([np.ones((4, 1)), np.ones(2)], [np.ones((4, 1)), np.ones((1, 2))]):
        with pytest.raises(ValueError, match=r"biases\[1\]: expected numbers of shape \(2, 1\)"):
            network.biases = wrong
    for b, old in zip(network.biases, before, strict=True):
        np.testing.assert_array_equal(b, old)


def test_writing_into_an_array_that_was_read_is_refused():
    network = NeuralNetwork([3, 2], ["tanh"], seed=0)
    for array in (network.weights[0], network.biases[0], next(iter(network.weights))):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_arrays_that_were_read_or_assigned_are_apart_from_training():
    network = NeuralNetwork([3, 2], ["tanh"], seed=0)
    mine = np.ones((2, 3), np.float32)
    network.weights = [mine]
    held = [network.weights[0], network.biases[0]]
    values = [array.copy() for array in held]
    network.train((np.eye(3), np.array([0, 1, 1])), 1.0, 5, 2, progress=False)
    assert np.all(mine == 1)
    for array, value in zip(held, values, strict=True):
        np.testing.assert_array_equal(array, value)
    assert np.any(network.weights[0] != 1)
    mine[:] = 9
    assert np.all(network.weights[0] != 9)


@given(layers=st.lists(st.integers(1, 4), min_size=2, max_size=3), n=st.integers(1, 4))
def test_columns_and_rows_give_the_same(layers, n):
    network = NeuralNetwork(layers, ["tanh"] * (len(layers) - 1), seed=0, dtype=float)
    network.weights = [20 * w for w in network.weights]
    random = np.random.default_rng(n)
    x, labels = random.normal(size=(n, layers[0])), random.integers(0, layers[-1], n)
    y = np.eye(layers[-1])[labels]
    columns = [(row.reshape(-1, 1), one.reshape(-1, 1)) for row, one in zip(x, y, strict=True)]

    out = network.feedforward(x) if n > 1 or layers[0] > 1 else network.feedforward(x).T
    assert out.shape == (n, layers[-1])
    classes = [network.predict(column) for column, _ in columns]
    losses = [network.loss(*pair).item() for pair in columns]
    for row, (column, _) in zip(out, columns, strict=True):
        assert network.feedforward(column).shape == (layers[-1], 1)
        np.testing.assert_allclose(network.feedforward(column).ravel(), row, 1e-12)
    assert all(type(one) is int for one in classes)
    assert np.ravel(network.predict(x)).tolist() == classes == out.argmax(axis=1).tolist()
    for targets in (y, labels):
        np.testing.assert_allclose(network.loss(x, targets).item(), np.mean(losses), 1e-12)
    np.testing.assert_allclose(network.loss(columns[0][0], labels[0]).item(), losses[0], 1e-12)

    share = np.mean(np.array(classes) == labels)
    for data in (columns, Pairs(x, labels, layers[-1]), (x, labels), (x, y)):
        assert network.eval(data) == share
    with_labels = [(column, int(k)) for (column, _), k in zip(columns, labels, strict=True)]
    assert network.eval(with_labels) == share


def test_no_rows_give_no_outputs():
    network = NeuralNetwork([3, 2], ["tanh"], seed=0)
    assert network.feedforward(np.ones((0, 3))).shape == (0, 2)
    assert network.predict(np.ones((0, 3))).shape == (0,)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (4, 1), (3, 2), (1, 3, 1), ()])
def test_inputs_of_another_shape_are_refused(shape):
    network = NeuralNetwork([3, 2], ["tanh"], seed=0)
    for function in (network.feedforward, network.predict):
        with pytest.raises(ValueError, match=r"expected a column \(3, 1\) or rows \(n, 3\)"):
            function(np.ones(shape))
    with pytest.raises(ValueError, match="shape"):
        network.loss(np.ones(shape), [0])


def test_targets_that_do_not_fit_are_refused():
    network = NeuralNetwork([3, 2], ["tanh"], seed=0)
    for y in ([0, 2], [0], np.ones((2, 3)), [0.5, 1.0]):
        with pytest.raises(ValueError, match=r"y has shape|labels"):
            network.loss(np.ones((2, 3)), y)
    with pytest.raises(ValueError, match="x holds nan"):
        network.eval((np.full((1, 3), np.nan), np.array([0])))


def test_the_loss_may_be_named_or_is_that_of_the_last_training():
    network = NeuralNetwork([3, 2], ["sigmoid"], seed=0)
    x, y = np.eye(3), np.array([0, 1, 0])
    named = {name: network.loss(x, y, loss=name).item() for name in LOSSES}
    assert len(set(named.values())) == len(LOSSES)
    assert network.loss(x, y).item() == named["softmax_quadratic"]
    network.train((x, y), 0.1, 0, 3, loss="quadratic", progress=False)
    assert network.loss(x, y).item() == named["quadratic"]
    for wrong in ("hinge", ["quadratic"], 3):
        with pytest.raises(ValueError, match=r"unknown loss .*; expected one of softmax_quadratic"):
            network.loss(x, y, loss=wrong)


def test_binary_cross_entropy_of_what_are_no_probabilities_is_refused():
    network = NeuralNetwork([3, 2], ["identity"], seed=0)
    network.biases = [np.array([[-3.0], [0.5]])]
    with pytest.raises(ValueError, match=r"from -3 to 1, expected probabilities from 0 to 1"):
        network.loss(np.zeros((1, 3)), [0], loss="binary_cross_entropy")
    network.biases = [np.array([[0.25], [0.5]])]
    loss = network.loss(np.zeros((1, 3)), [0], loss="binary_cross_entropy").item()
    np.testing.assert_allclose(loss, -np.log(0.25) - np.log(0.5), 1e-6)


def test_an_own_activation_trains():
    class Bent(Tanh):
        def result(self, x):
            return np.tanh(x) + 0.1 * x

    class Steps:
        @staticmethod
        def result(x):
            return np.floor(x)

        @staticmethod
        def prime(x):
            return np.ones_like(x)

    for own in (Bent, Bent(), Steps, Steps()):
        network = NeuralNetwork([2, 8, 2], [own, "identity"], seed=0)
        x = np.random.default_rng(0).normal(size=(100, 2))
        data = (x, (x[:, 0] > x[:, 1]).astype(int))
        network.train(data, 0.5, 20, 10, loss="cross_entropy", progress=False)
        assert network.eval(data) > 0.9


OLD_SCRIPT = """
import numpy as np
import network, load
from activation import *

class Swish(Activation):
    def result(self, x):
        return x / (1 + np.exp(-x))
    def prime(self, x):
        s = 1 / (1 + np.exp(-x))
        return s + x * s * (1 - s)

training, validation, test = load.load_data(path="digits")
data = [(x, y) for x, y in training]
assert data[0][0].shape == (784, 1) and data[0][1].shape == (10, 1)
net = network.NeuralNetwork([784, 20, 10], [Swish(), Sigmoid()], seed=0)
net.train(data, 1.0, 5, 10, 0.0, [(x, y) for x, y in test], "save.pkl")
other = network.NeuralNetwork([784, 20, 10], [Swish(), Tanh()])
other.restore("save.pkl")
assert other.eval(test) == net.eval(test) > 0.5
x, y = test[0]
assert net.feedforward(x).shape == (10, 1)
assert np.array_equal(other.feedforward(x), net.feedforward(x))
original = load.load_data(original=True, path="digits")
assert original[0][0].shape == (1200, 784)
print("done")
"""


def test_an_old_script_runs_with_the_models_on_the_path(tmp_path):
    (tmp_path / "script.py").write_text(OLD_SCRIPT)
    environment = {k: v for k, v in os.environ.items() if k != "TINYGRAPH_DATA"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "models"), str(ROOT)])
    environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"
    assert "epoch 5/5: loss" in done.stdout
    assert (tmp_path / "save.pkl").exists()
