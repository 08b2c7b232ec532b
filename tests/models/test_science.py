"""Scientific programs in plain NumPy: their gradients, and that they find what they look for."""

import numpy as np
import pytest

import tinygraph as tg
from models import fluid, gaussian_process, logistic_regression
from tests.numeric import assert_gradients, numeric_vjp
from tinygraph.tree import flatten


def assert_gradient(f, tree):
    """Compare the gradient of f at a tree with finite differences of f on plain arrays."""
    leaves, rebuild = flatten(tree)
    arrays = [np.asarray(x, dtype=float) for x in leaves]
    gradient = flatten(tg.grad(f)(tree))[0]
    estimates = numeric_vjp(lambda *xs: np.asarray(f(rebuild(iter(xs)))), arrays, np.ones(()))
    assert_gradients(gradient, estimates)


def test_the_gradient_of_a_marginal_likelihood():
    x, y = gaussian_process.make_observations(12)
    assert_gradient(lambda p: gaussian_process.log_likelihood(p, x, y), gaussian_process.START)


def test_a_gaussian_process_learns_its_noise_and_what_does_not_matter():
    pytest.importorskip("scipy")
    x, y = gaussian_process.make_observations()
    fitted = gaussian_process.fit(gaussian_process.START, x, y)
    assert gaussian_process.log_likelihood(fitted, x, y) > 15
    assert 0.08 < np.exp(fitted["log_noise"]) < 0.13
    relevant, irrelevant = np.exp(fitted["log_length"])
    assert irrelevant > 5 * relevant
    at, truth = gaussian_process.make_observations(100, seed=1)
    mean, deviation = gaussian_process.predict(fitted, x, y, at)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.2
    assert np.all(deviation < 1.5)


def blobs(count=90, seed=0):
    """Points around three centres, and which they are around."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    centres = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    return centres[labels] + generator.normal(size=(count, 2)), labels


def test_the_gradient_of_a_logistic_regression():
    x, labels = blobs(10)
    generator = np.random.default_rng(0)
    weights = {"w": generator.normal(size=(2, 3)), "b": generator.normal(size=3)}
    assert_gradient(lambda w: logistic_regression.loss(w, x, labels, 0.1), weights)


def test_first_and_second_order_methods_find_the_same_weights():
    pytest.importorskip("scipy")
    x, labels = blobs()
    found = [
        logistic_regression.fit(x, labels, 3, 0.1, method) for method in ("L-BFGS-B", "Newton-CG")
    ]
    np.testing.assert_allclose(found[0]["w"], found[1]["w"], atol=1e-3)
    assert logistic_regression.accuracy(found[0], x, labels) > 0.8


def test_the_gradient_of_a_fluid():
    smoke, target = fluid.scene(5)
    generator = np.random.default_rng(0)
    velocities = tuple(0.3 * generator.normal(size=(5, 5)) + 0.1 for _ in range(2))
    assert_gradient(lambda v: fluid.misfit(v, smoke, target, 2), velocities)


def test_projected_velocities_have_hardly_any_divergence():
    u, v = np.random.default_rng(0).normal(size=(2, 8, 8))

    def divergence(u, v):
        return np.roll(u, -1, 1) - np.roll(u, 1, 1) + np.roll(v, -1, 0) - np.roll(v, 1, 0)

    smooth = [np.cos(2 * np.pi * np.arange(8) / 8)[:, None] * np.ones(8) * part for part in (u, v)]
    before = np.abs(divergence(*smooth)).max()
    assert np.abs(divergence(*fluid.project(*smooth, iterations=200))).max() < before


def test_the_wind_brings_smoke_nearer_to_the_target():
    pytest.importorskip("scipy")
    smoke, target = fluid.scene(10)
    still = (np.zeros((10, 10)), np.zeros((10, 10)))
    wind = fluid.fit(smoke, target, steps=3, iterations=8)
    before, after = (fluid.misfit(v, smoke, target, 3) for v in (still, wind))
    assert after < 0.7 * before


def test_a_field_is_drawn_a_line_a_row():
    assert fluid.draw(np.array([[0.0, 1.0], [0.5, 2.0]])) == "  @@\n==@@"
