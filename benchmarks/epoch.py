"""An epoch of 50,000 samples by models.network against one sample at a time.

Network and loss are those of benchmarks.problem, trained by plain gradient descent.
"""

import contextlib
import io
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import by_hand
from benchmarks.problem import (
    LAYERS,
    LEARNING_RATE,
    Array,
    Parameters,
    for_layers,
    random_problem,
    title_of,
)
from benchmarks.tables import print_timings
from benchmarks.timing import interleave

SAMPLES = 50_000
BATCH = 20
SHARE = 50
"""One sample at a time, a fiftieth of the epoch is timed, and multiplied."""
DTYPE = "float32"
MOST_ROUNDS = 5


def print_epoch(options: Namespace) -> None:
    """Print the seconds of an epoch, and how many times as fast as one by one."""
    rounds = min(options.rounds, MOST_ROUNDS)
    parameters, x, y = random_problem(LAYERS, SAMPLES, DTYPE)
    timings = interleave(
        {
            "numpy, one sample at a time": lambda: seconds_one_by_one(parameters, x, y),
            "models.network, compiled": lambda: seconds_of_network(x, y, compiled=True),
            "models.network, step by step": lambda: seconds_of_network(x, y, compiled=False),
        },
        rounds,
    )
    one_by_one = timings[0]
    print_timings(
        f"epoch of {SAMPLES} samples, {title_of(LAYERS)}, batch {BATCH}, {DTYPE}, {rounds} rounds",
        timings,
        unit="s",
        further={"times as fast": lambda timing: f"{one_by_one.ratio(timing):.1f}"},
    )


def seconds_of_network(x: Array, y: Array, compiled: bool) -> float:
    """Time the second epoch of a training: with its data feeding and progress bar."""
    from models.network import NeuralNetwork

    network = NeuralNetwork(LAYERS, for_layers(LAYERS[1:], "relu", "sigmoid", "tanh"), seed=0)
    ends = []

    def note_end(*_: Any) -> None:
        ends.append(time.perf_counter())

    # The progress bar is drawn as ever, but not into the tables.
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        network.train((x, y), LEARNING_RATE, 2, BATCH, callbacks=[note_end], compile=compiled)
    first, second = ends
    return second - first


def seconds_one_by_one(parameters: Parameters, x: Array, y: Array) -> float:
    """Time a share of the epoch, and give the seconds of all of it."""
    train = make_one_by_one(parameters, LEARNING_RATE)
    chosen = slice(SAMPLES // SHARE)
    columns = [(a[:, None], b[:, None]) for a, b in zip(x[chosen], y[chosen], strict=True)]
    train(columns[:BATCH])
    start = time.perf_counter()
    for first in range(0, len(columns), BATCH):
        train(columns[first : first + BATCH])
    return (time.perf_counter() - start) * SHARE


def make_one_by_one(
    parameters: Parameters, learning_rate: float
) -> Callable[[list[tuple[Array, Array]]], None]:
    """Write a step as many start out: sample by sample, all vectors columns, gradients added up."""
    weights = [weight.copy() for weight, _ in parameters]
    biases = [bias[:, None].copy() for _, bias in parameters]
    activations = for_layers(parameters, by_hand.relu, by_hand.sigmoid, np.tanh)
    slopes = for_layers(parameters, by_hand.relu_slope, by_hand.sigmoid_slope, by_hand.tanh_slope)

    def differentiate(x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        outputs = [x]
        for weight, bias, activation in zip(weights, biases, activations, strict=True):
            outputs.append(activation(weight @ outputs[-1] + bias))
        exponential = np.exp(outputs[-1] - np.max(outputs[-1]))
        probability = exponential / np.sum(exponential)
        weighted = probability * (probability - y)
        delta = weighted - probability * np.sum(weighted)
        of_weights, of_biases = [], []
        for number in reversed(range(len(weights))):
            delta = delta * slopes[number](outputs[number + 1])
            of_weights.insert(0, delta @ outputs[number].T)
            of_biases.insert(0, delta)
            if number:
                delta = weights[number].T @ delta
        return of_weights, of_biases

    def train(batch: list[tuple[Array, Array]]) -> None:
        weight_sums = [np.zeros_like(weight) for weight in weights]
        bias_sums = [np.zeros_like(bias) for bias in biases]
        for x, y in batch:
            of_weights, of_biases = differentiate(x, y)
            weight_sums = [s + g for s, g in zip(weight_sums, of_weights, strict=True)]
            bias_sums = [s + g for s, g in zip(bias_sums, of_biases, strict=True)]
        rate = learning_rate / len(batch)
        weights[:] = [w - rate * s for w, s in zip(weights, weight_sums, strict=True)]
        biases[:] = [b - rate * s for b, s in zip(biases, bias_sums, strict=True)]

    return train
