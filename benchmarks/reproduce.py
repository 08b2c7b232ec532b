"""Reproduce published results on MNIST: python -m benchmarks.reproduce."""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

from models.load import load_data
from models.network import NeuralNetwork


class Published(NamedTuple):
    """A published result, and how it was reached."""

    source: str
    layers: list[int]
    activations: list[str]
    loss: str
    learning_rate: float
    regular: float
    batch_size: int
    epochs: int
    counted_on: str
    figure: float


NIELSEN = "Nielsen, Neural Networks and Deep Learning (2015)"

RESULTS = [
    Published(
        f"{NIELSEN}, ch. 1",
        [784, 30, 10],
        ["sigmoid"] * 2,
        "quadratic",
        3.0,
        0,
        10,
        30,
        "test",
        95.42,
    ),
    Published(
        f"{NIELSEN}, ch. 1",
        [784, 100, 10],
        ["sigmoid"] * 2,
        "quadratic",
        3.0,
        0,
        10,
        30,
        "test",
        96.59,
    ),
    Published(
        f"{NIELSEN}, ch. 3",
        [784, 100, 10],
        ["sigmoid"] * 2,
        "binary_cross_entropy",
        0.1,
        5 / 50_000,
        10,
        60,
        "validation",
        98.04,
    ),
    Published(
        "the network from scratch, one sample at a time (297 s)",
        [784, 100, 50, 10],
        ["relu", "sigmoid", "tanh"],
        "softmax_quadratic",
        0.01,
        0,
        20,
        30,
        "test",
        90.8,
    ),
]


def reproduce(result: Published, sets: dict[str, Any], seed: int) -> None:
    """Train as was published, and print the accuracies beside the published one."""
    network = NeuralNetwork(result.layers, result.activations, seed=seed)
    start = time.perf_counter()
    history = network.train(
        sets["training"],
        result.learning_rate,
        result.epochs,
        result.batch_size,
        result.regular,
        test=sets[result.counted_on],
        loss=result.loss,
    )
    seconds = time.perf_counter() - start
    sizes = "-".join(map(str, result.layers))
    print(
        f"{sizes} {'/'.join(result.activations)}, {result.loss}, rate {result.learning_rate}, L2 "
        f"{result.regular:g}, batch {result.batch_size}, {result.epochs} epochs: best "
        f"{max(history['accuracy']):.2%}, last {history['accuracy'][-1]:.2%} on the "
        f"{result.counted_on} images in {seconds:.0f} s; published {result.figure:.2f}% "
        f"({result.source})",
        flush=True,
    )


def main() -> None:
    """Reproduce every result, or those whose numbers are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    numbers = range(1, len(RESULTS) + 1)
    parser.add_argument("numbers", nargs="*", type=int, choices=[*numbers, []], default=[])
    parser.add_argument("--data", help="MNIST's file or folder; else as models.load finds it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sets = dict(zip(("training", "validation", "test"), load_data(path=options.data), strict=True))
    if len(sets["training"]) != 50_000:
        parser.error("the published results are on MNIST, which was not found; name it with --data")
    for number in options.numbers or numbers:
        reproduce(RESULTS[number - 1], sets, options.seed)


if __name__ == "__main__":
    main()
