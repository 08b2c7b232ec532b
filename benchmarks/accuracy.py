"""End to end: the seconds of training until 97 % and 98 % of MNIST's test images are right.

The clock stands still while the network is tested; compiling is part of the training.
"""

import contextlib
import io
import math
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.implementations import Implementations, import_torch, make_all
from benchmarks.problem import LAYERS, title_of
from benchmarks.tables import print_table

GOALS = (0.97, 0.98)
ACTIVATIONS = ("relu", "relu", "identity")
RATE = 0.005
BATCH = 64
EPOCHS = 8
SEEDS = (0, 1, 2)

Train = Callable[[int], "Clock"]


class Clock:
    """The time at which each goal was reached; it stands still while the test goes on."""

    def __init__(self) -> None:
        self.reached: dict[float, float] = {}
        self.best = 0.0
        self._start = time.perf_counter()

    def note(self, test: Callable[[], float]) -> bool:
        """Test, note the goals that are reached, and tell whether all are."""
        now = time.perf_counter()
        accuracy = test()
        self.best = max(self.best, accuracy)
        for goal in GOALS:
            if accuracy >= goal:
                self.reached.setdefault(goal, now - self._start)
        self._start += time.perf_counter() - now
        return len(self.reached) == len(GOALS)


def print_accuracy(options: Namespace) -> None:
    """Print the median of some seeds, where MNIST is found."""
    from models.load import load_data

    training, _, test = load_data(path=options.data)
    if len(training) != 50_000 or training.classes != 10:
        print("accuracy: skipped, MNIST was not found; name its file or folder with --data")
        return
    trainings = make_all(IMPLEMENTATIONS, training, test)
    clocks: dict[str, list[Clock]] = {name: [] for name in trainings}
    for seed in SEEDS:
        for name, train in trainings.items():
            clocks[name].append(train(seed))
    rows = {
        name: [
            *(f"{median_seconds(own, goal):.2f}" for goal in GOALS),
            f"{statistics.median(clock.best for clock in own):.2%}",
        ]
        for name, own in clocks.items()
    }
    title = (
        f"training {title_of(LAYERS)} on MNIST until the test accuracy is reached: adam, cosine "
        f"rate from {RATE}, batch {BATCH}, at most {EPOCHS} epochs, median of {len(SEEDS)} seeds"
    )
    print_table(title, [*(f"s to {goal:.0%}" for goal in GOALS), "best"], rows)


def median_seconds(clocks: list[Clock], goal: float) -> float:
    """Give the median, infinite where most did not reach the goal."""
    return statistics.median(clock.reached.get(goal, math.inf) for clock in clocks)


def make_compiled(training: Any, test: Any) -> Train:
    """Train models.network compiled."""
    return lambda seed: train_network(training, test, seed, compiled=True)


def make_eager(training: Any, test: Any) -> Train:
    """Train models.network step by step."""
    return lambda seed: train_network(training, test, seed, compiled=False)


def train_network(training: Any, test: Any, seed: int, compiled: bool) -> Clock:
    """Train a network until all goals are reached."""
    import tinygraph as tg
    from models.network import NeuralNetwork

    network = NeuralNetwork(LAYERS, ACTIVATIONS, seed=seed)
    schedule = tg.optim.cosine(RATE, EPOCHS * math.ceil(len(training) / BATCH))
    clock = Clock()
    with contextlib.redirect_stdout(io.StringIO()):
        network.train(
            training,
            schedule,
            EPOCHS,
            BATCH,
            optimizer="adam",
            loss="cross_entropy",
            callbacks=[lambda *_: clock.note(lambda: network.eval(test))],
            progress=False,
            compile=compiled,
        )
    return clock


def make_pytorch(training: Any, test: Any) -> Train:
    """Do the same with PyTorch's eager autograd: same weights, schedule and order of samples."""
    torch = import_torch()
    functional = torch.nn.functional
    x, test_x = torch.tensor(training.x), torch.tensor(test.x)
    y, test_y = torch.tensor(training.y), torch.tensor(test.y)

    def forward(leaves: list[Any], a: Any) -> Any:
        *hidden, last = zip(leaves[::2], leaves[1::2], strict=True)
        for weight, bias in hidden:
            a = torch.relu(functional.linear(a, weight, bias))
        return functional.linear(a, *last)

    def test_leaves(leaves: list[Any]) -> float:
        with torch.inference_mode():
            return float((forward(leaves, test_x).argmax(1) == test_y).float().mean())

    def train(seed: int) -> Clock:
        leaves, random = first_leaves(torch, seed)
        optimizer = torch.optim.Adam(leaves, lr=RATE, fused=True)
        clock = Clock()
        steps = EPOCHS * math.ceil(len(x) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(EPOCHS):
            order = torch.tensor(random.permutation(len(x)))
            for chosen in order.split(BATCH):
                optimizer.zero_grad()
                loss = functional.cross_entropy(forward(leaves, x[chosen]), y[chosen])
                loss.backward()
                optimizer.step()
                schedule.step()
            if clock.note(lambda: test_leaves(leaves)):
                break
        return clock

    return train


def first_leaves(torch: Any, seed: int) -> tuple[list[Any], np.random.Generator]:
    """Give the parameters that models.network starts from, and its random generator."""
    from models.network import NeuralNetwork

    network = NeuralNetwork(LAYERS, ACTIVATIONS, seed=seed)
    leaves = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        for array in (weight, bias.ravel()):
            leaves.append(torch.tensor(array, requires_grad=True))
    return leaves, network.random


IMPLEMENTATIONS: Implementations[Train] = {
    "models.network, compiled": (make_compiled, "tinygraph"),
    "models.network, step by step": (make_eager, "tinygraph"),
    "pytorch": (make_pytorch, "torch"),
}
