"""Every function of tinygraph.nn against its definition, and where floating point ends."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

import tinygraph as tg
from tinygraph import nn

INF = math.inf
POINTS = [-INF, -1000, -100, -20, -1, -1e-9, 0, 1e-9, 0.5, 1, 20, 100, 1000, INF]


def exp(x: float) -> float:
    return INF if x > 709 else math.exp(x)


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(exp(-abs(x)))


ACTIVATIONS = {
    "sigmoid": (nn.sigmoid, sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "relu": (nn.relu, lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "leaky_relu": (
        nn.leaky_relu,
        lambda x: x if x > 0 else 0.01 * x,
        lambda x: 1.0 if x > 0 else 0.01,
    ),
    "steep leaky_relu": (
        lambda x: nn.leaky_relu(x, slope=0.3),
        lambda x: x if x > 0 else 0.3 * x,
        lambda x: 1.0 if x > 0 else 0.3,
    ),
    "elu": (nn.elu, lambda x: x if x > 0 else math.expm1(x), lambda x: exp(min(x, 0.0))),
    "wide elu": (
        lambda x: nn.elu(x, alpha=2.0),
        lambda x: x if x > 0 else 2 * math.expm1(x),
        lambda x: 1.0 if x > 0 else 2 * exp(x),
    ),
    "softplus": (nn.softplus, softplus, sigmoid),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_slopes_are_right_at_every_size(name, dtype):
    function, value, slope = ACTIVATIONS[name]
    x = tg.Node(np.array(POINTS, dtype))
    y = function(x)
    y.backward(np.ones(len(POINTS), dtype))
    assert y.dtype == x.grad.dtype == dtype
    tolerance = {"rtol": 4 * np.finfo(dtype).eps, "atol": np.finfo(dtype).tiny}
    np.testing.assert_allclose(y.value, [value(v) for v in x.value.tolist()], **tolerance)
    tolerance["atol"] = np.finfo(dtype).eps
    np.testing.assert_allclose(x.grad, [slope(v) for v in x.value.tolist()], **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_derivatives_are_finite_at_every_size(name, dtype):
    function, _, _ = ACTIVATIONS[name]
    finite = np.array([v for v in POINTS if np.isfinite(v)], dtype)
    slope = tg.grad(lambda x: np.sum(function(x)))
    second = tg.grad(lambda x: np.sum(slope(x)))(finite)
    assert second.dtype == dtype
    assert np.all(np.isfinite(second))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_arrays_are_arrays_and_the_same(name):
    function, _, _ = ACTIVATIONS[name]
    x = np.array(POINTS)
    assert type(function(x)) is np.ndarray
    np.testing.assert_array_equal(function(x), function(tg.Node(x)).value)


def test_nan_stays_nan():
    for function, _, _ in ACTIVATIONS.values():
        with np.errstate(invalid="ignore"):
            assert np.all(np.isnan(function(np.array([np.nan, np.nan]))))


def test_a_number_goes_in_and_a_number_comes_out():
    assert nn.sigmoid(tg.Node(0.0)).item() == 0.5
    assert float(nn.relu(-3.0)) == 0.0
    assert float(nn.softplus(0.0)) == math.log(2)


# softmax, log_softmax, logsumexp

rows = hypothesis_numpy.arrays(
    np.float64,
    hypothesis_numpy.array_shapes(min_dims=1, max_dims=3, max_side=4),
    elements=st.floats(-1000, 1000),
)


@given(rows, st.data())
def test_softmax_and_its_logarithms_agree_with_their_definitions(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    largest = np.max(x, axis=axis, keepdims=True)
    exponentials = np.exp(x - largest)
    total = np.sum(exponentials, axis=axis, keepdims=True)
    logarithm = np.log(total) + largest
    np.testing.assert_allclose(nn.softmax(x, axis=axis), exponentials / total, rtol=1e-12)
    np.testing.assert_allclose(nn.log_softmax(x, axis=axis), x - logarithm, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        nn.logsumexp(x, axis=axis, keepdims=True), logarithm, rtol=1e-12, atol=1e-12
    )
    assert nn.logsumexp(x, axis=axis).shape == np.sum(x, axis=axis).shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_neither_overflow_nor_vanish(dtype):
    x = np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1001.0]], dtype)
    assert nn.softmax(x)[0].tolist() == [1.0, 0.0, 0.0]
    assert nn.log_softmax(x)[0].tolist() == [0.0, -1000.0, -2000.0]
    assert nn.logsumexp(x, axis=1)[0] == 1000.0
    assert nn.logsumexp(x, axis=1)[1] == pytest.approx(-1000 + math.log(2 + math.exp(-1)))
    for function in (nn.softmax, nn.log_softmax, nn.logsumexp):
        assert function(x).dtype == dtype
        gradient = tg.grad(lambda x, function=function: np.sum(function(x) * x))(x)
        assert gradient.dtype == dtype
        assert np.all(np.isfinite(gradient))


def test_logsumexp_of_nothing_but_zeros_of_probability():
    x = np.array([[-INF, -INF], [-INF, 0.0], [1.0, 1.0]])
    assert nn.logsumexp(x, axis=1).tolist() == [-INF, 0.0, 1 + math.log(2)]
    gradient = tg.grad(lambda x: np.sum(np.maximum(nn.logsumexp(x, axis=1), -9.0)))(x)
    np.testing.assert_allclose(gradient, [[0.0, 0.0], [0.0, 1.0], [0.5, 0.5]])


def test_logsumexp_of_infinity_is_infinite_and_its_slope_undefined():
    x = np.array([INF, 1000.0])
    assert nn.logsumexp(x) == INF
    with np.errstate(invalid="ignore"):
        assert np.isnan(tg.grad(nn.logsumexp)(x)[0])


def test_logsumexp_over_several_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    expected = np.log(np.sum(np.exp(x), axis=(0, 2)))
    np.testing.assert_allclose(nn.logsumexp(x, axis=(0, 2)), expected)
    assert nn.logsumexp(x, axis=(0, 2), keepdims=True).shape == (1, 3, 1)
    assert nn.logsumexp(x).shape == ()


def test_an_impossible_class_has_probability_zero():
    x = np.array([0.0, -INF, 0.0])
    assert nn.softmax(x).tolist() == [0.5, 0.0, 0.5]
    assert nn.log_softmax(x).tolist() == [-math.log(2), -INF, -math.log(2)]
    assert tg.grad(lambda x: nn.softmax(x)[0])(x).tolist() == [0.25, 0.0, -0.25]


# linear, quadratic, squared_norm


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_a_linear_layer_multiplies_each_row(shape):
    generator = np.random.default_rng(0)
    x, w, b = (generator.normal(size=s) for s in (shape, (4, 3), (4,)))
    out = nn.linear(x, w, b)
    assert out.shape == (*shape[:-1], 4)
    for index in np.ndindex(shape[:-1]):
        np.testing.assert_allclose(out[index], [np.dot(w[i], x[index]) + b[i] for i in range(4)])
    nodes = [tg.Node(a) for a in (x, w, b)]
    np.sum(nn.linear(*nodes)).backward()
    samples = x.reshape(-1, 3)
    np.testing.assert_allclose(nodes[0].grad, np.broadcast_to(w.sum(axis=0), shape))
    np.testing.assert_allclose(nodes[1].grad, np.broadcast_to(samples.sum(axis=0), (4, 3)))
    np.testing.assert_allclose(nodes[2].grad, np.full(4, float(len(samples))))


def test_a_linear_layer_of_other_sizes_is_refused():
    with pytest.raises(ValueError, match="not aligned"):
        nn.linear(tg.Node(np.ones((2, 3))), np.ones((4, 5)), np.ones(4))


@pytest.mark.parametrize(("shape", "samples"), [((3,), 1), ((4, 3), 4), ((2, 4, 3), 8)])
def test_the_quadratic_loss_is_summed_over_outputs_and_averaged_over_samples(shape, samples):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, *shape))
    total = sum(0.5 * (a - b) ** 2 for a, b in zip(x.flat, y.flat, strict=True))
    value, gradients = tg.value_and_grad(nn.quadratic, (0, 1))(x, y)
    assert value == pytest.approx(total / samples)
    np.testing.assert_allclose(gradients[0], (x - y) / samples)
    np.testing.assert_allclose(gradients[1], (y - x) / samples)


def test_the_squared_norm_is_half_the_sum_of_squares():
    x = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    value, gradient = tg.value_and_grad(nn.squared_norm)(x)
    assert (value, value.dtype) == (14.5, np.float32)
    assert gradient.tolist() == x.tolist()
    assert gradient.dtype == np.float32


# cross_entropy

LOGITS = np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0]])
LABELS = np.array([0, 1])
ONE_HOT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    rows = zip(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1, targets.shape[-1]))  # noqa: B905
    losses = [
        -sum(y * (x - math.log(sum(map(math.exp, row)))) for x, y in zip(row, wanted, strict=True))
        for row, wanted in rows
    ]
    return sum(losses) / len(losses)


def test_cross_entropy_takes_labels_and_rows_of_probabilities():
    expected = cross_entropy(LOGITS, ONE_HOT)
    for targets in (LABELS, LABELS.tolist(), LABELS.astype(np.uint8), ONE_HOT, ONE_HOT.astype(int)):
        assert nn.cross_entropy(LOGITS, targets) == pytest.approx(expected, rel=1e-14)
        assert nn.cross_entropy(tg.Node(LOGITS), targets).item() == pytest.approx(expected)
    soft = np.array([[0.2, 0.3, 0.5], [0.0, 0.4, 0.6]])
    assert nn.cross_entropy(LOGITS, soft) == pytest.approx(cross_entropy(LOGITS, soft))
    data = tg.Node(LABELS, requires_grad=False)
    assert nn.cross_entropy(LOGITS, data) == pytest.approx(expected)


def test_cross_entropy_of_one_sample_and_of_many_axes():
    assert nn.cross_entropy(LOGITS[0], 0) == pytest.approx(cross_entropy(LOGITS[:1], ONE_HOT[:1]))
    stacked = np.stack([LOGITS, LOGITS + 1, LOGITS * 2])
    labels = np.stack([LABELS] * 3)
    expected = cross_entropy(stacked, np.stack([ONE_HOT] * 3))
    assert nn.cross_entropy(stacked, labels) == pytest.approx(expected)


def test_the_gradient_of_cross_entropy_is_the_error_of_the_probabilities():
    gradient = tg.grad(nn.cross_entropy)(LOGITS, LABELS)
    np.testing.assert_allclose(gradient, (nn.softmax(LOGITS) - ONE_HOT) / 2)
    weighted = tg.grad(nn.cross_entropy)(LOGITS, 3 * ONE_HOT)
    np.testing.assert_allclose(weighted, 3 * gradient)


def test_the_gradient_of_cross_entropy_by_its_targets_counts_those_of_zero_too():
    gradient = tg.grad(nn.cross_entropy, argnums=1)(LOGITS, ONE_HOT)
    np.testing.assert_allclose(gradient, -nn.log_softmax(LOGITS) / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits_is_exact(dtype):
    logits = np.array([[1000.0, -1000.0], [1000.0, -1000.0], [0.0, 0.0]], dtype)
    labels = np.array([0, 1, 1])
    value, gradient = tg.value_and_grad(nn.cross_entropy)(logits, labels)
    assert value.dtype == gradient.dtype == dtype
    assert value == pytest.approx((0 + 2000 + math.log(2)) / 3)
    np.testing.assert_allclose(gradient * 3, [[0, 0], [1, -1], [0.5, -0.5]], rtol=1e-6)


def test_classes_ruled_out_by_minus_infinity_do_not_spoil_cross_entropy():
    logits = np.array([[0.0, -INF, 1.0]])
    for targets in ([0], np.array([[1.0, 0.0, 0.0]])):
        value, gradient = tg.value_and_grad(nn.cross_entropy)(logits, targets)
        assert value == pytest.approx(math.log(1 + math.e))
        assert gradient[0, 1] == 0.0
        assert gradient[0, 0] == pytest.approx(1 / (1 + math.e) - 1)
    assert nn.cross_entropy(logits, np.array([1])) == INF


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.array([0.0, 1.0]), r"shape \(2,\) and dtype float64"),
        (np.array([True, False]), r"shape \(2,\) and dtype bool"),
        (np.array([0, 1, 2]), r"shape \(3,\).*integer labels of shape \(2,\)"),
        (np.array([[0], [1]]), r"shape \(2, 1\).*integer labels of shape \(2,\)"),
        (np.ones((2, 4)), r"logits of shape \(2, 3\) got targets of shape \(2, 4\)"),
        (np.ones((1, 3)), r"logits of shape \(2, 3\) got targets of shape \(1, 3\)"),
        (1, r"targets of shape \(\)"),
        (np.array([0, 3]), "labels run from 0 to 3, expected 0 to 2"),
        (np.array([-1, 0]), "labels run from -1 to 0, expected 0 to 2"),
    ],
)
def test_targets_that_do_not_fit_the_logits_are_refused(targets, words):
    with pytest.raises(ValueError, match=f"cross_entropy: .*{words}"):
        nn.cross_entropy(tg.Node(LOGITS), targets)


# binary cross-entropy


def binary_cross_entropy(p: np.ndarray, y: np.ndarray) -> float:
    terms = [
        b * math.log(a) + (1 - b) * math.log1p(-a) for a, b in zip(p.flat, y.flat, strict=True)
    ]
    return -sum(terms) / (p.size // p.shape[-1] if p.ndim > 1 else 1)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (4, 1), (2, 4, 3)])
def test_binary_cross_entropy_agrees_with_its_definition(shape):
    generator = np.random.default_rng(0)
    logits, y = generator.normal(size=shape), generator.uniform(size=shape)
    p = nn.sigmoid(logits)
    expected = binary_cross_entropy(p, y)
    assert nn.binary_cross_entropy(p, y) == pytest.approx(expected, rel=1e-13)
    assert nn.binary_cross_entropy(tg.Node(p), y).item() == pytest.approx(expected, rel=1e-13)
    assert nn.binary_cross_entropy_with_logits(logits, y) == pytest.approx(expected, rel=1e-13)


def test_binary_cross_entropy_of_a_sigmoid_is_that_of_its_logits():
    x = tg.Node([[1000.0, -1000.0, 0.5], [-1000.0, 1000.0, -0.5]])
    y = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    loss = nn.binary_cross_entropy(nn.sigmoid(x), y)
    assert loss.item() == nn.binary_cross_entropy_with_logits(x, y).item()
    assert loss.item() == pytest.approx((3000 + 2 * softplus(-0.5)) / 2)
    loss.backward()
    np.testing.assert_allclose(x.grad, (nn.sigmoid(x.value) - y) / 2)
    assert x.grad[0, 1] == -0.5


def test_binary_cross_entropy_of_certainties_stays_finite():
    for dtype in (np.float32, np.float64):
        p, y = np.array([0.0, 1.0, 0.0, 1.0], dtype), np.array([0.0, 1.0, 1.0, 0.0], dtype)
        value, gradient = tg.value_and_grad(nn.binary_cross_entropy)(p, y)
        assert value.dtype == gradient.dtype == dtype
        assert value == pytest.approx(-2 * math.log(np.finfo(dtype).eps), rel=1e-2)
        assert np.all(np.isfinite(gradient))


def test_the_gradient_of_binary_cross_entropy_by_its_targets():
    logits, y = np.array([0.5, -1.0]), np.array([0.25, 1.0])
    gradient = tg.grad(nn.binary_cross_entropy_with_logits, argnums=1)(logits, y)
    np.testing.assert_allclose(gradient, -logits)
    p = nn.sigmoid(logits)
    np.testing.assert_allclose(tg.grad(nn.binary_cross_entropy, argnums=1)(p, y), -logits)


@pytest.mark.parametrize(
    "loss", [nn.quadratic, nn.binary_cross_entropy, nn.binary_cross_entropy_with_logits]
)
@pytest.mark.parametrize("shape", [(4,), (1, 1), (4, 2), (1, 4), ()])
def test_targets_are_not_broadcast(loss, shape):
    """A column of outputs and a row of targets would make a table of all pairs."""
    words = rf"outputs of shape \(4, 1\) got targets of shape \({', '.join(map(str, shape))},?\)"
    for outputs in (np.full((4, 1), 0.5), tg.Node(np.full((4, 1), 0.5))):
        with pytest.raises(ValueError, match=words):
            loss(outputs, np.zeros(shape))


@pytest.mark.parametrize("loss", [nn.quadratic, nn.binary_cross_entropy])
def test_targets_may_be_lists(loss):
    expected = loss(np.full((2, 1), 0.25), np.array([[0.0], [1.0]]))
    for outputs in (np.full((2, 1), 0.25), tg.Node(np.full((2, 1), 0.25))):
        assert np.all(loss(outputs, [[0.0], [1.0]]) == expected)


@pytest.mark.parametrize("name", nn.__all__)
def test_every_function_says_what_it_gives(name):
    assert getattr(nn, name).__doc__.startswith("Give ")
