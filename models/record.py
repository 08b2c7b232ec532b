"""Keep what happens in a training, epoch by epoch, for pages that show it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import tinygraph as tg
from models.data import as_arrays
from models.losses import LOSSES, find_loss
from models.training import few_threads
from tinygraph import nn

Array = np.ndarray[Any, Any]
Run = dict[str, Any]

FEWEST, MOST = 500, 1000
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


class Data(NamedTuple):
    """Samples to look at: x (n, inputs), one-hot y (n, classes), and what they are."""

    x: Array
    y: Array
    name: str


class Snapshot(NamedTuple):
    """What a network is and does after an epoch, every layer's arrays in a list.

    `activations` and `gradients` (of the loss, by the weights) are those of the training samples.
    """

    epoch: int
    weights: list[Array]
    biases: list[Array]
    activations: list[Array]
    gradients: list[Array]


class Record:
    """Keep what a training is asked to do and what comes of it, as plain data: a run.

    `training` and `test` are data as NeuralNetwork.train takes them. After every epoch some samples
    of each, spread over all of it, are looked at, and those of `training` where there is no `test`.
    `epochs`, `loss` and `regular` are what train is given; `settings` are names and plain values.
    """

    def __init__(
        self,
        network: Any,
        training: Any,
        test: Any = None,
        *,
        epochs: int,
        loss: str | None = None,
        regular: float = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.loss = find_loss(loss)
        self.regular = regular
        self.training = some_of(all_of(training, network, "training samples"))
        self.has_test = test is not None
        self.test = all_of(test, network, "validation samples") if self.has_test else self.training
        self.few_test = some_of(self.test)
        self.start()
        self.run: Run = {
            "settings": settings or {"layers": "-".join(map(str, network.layers))},
            "parameters": sum(node.size for node in network.parameters),
            "epochs": epochs,
            "state": "training",
            "has_test": self.has_test,
            "history": {"loss": []},
            "notes": [],
            "start": None,
        }

    def start(self) -> None:
        """Start the clock."""
        self.begun = time.perf_counter()
        self.seconds_before, self.seconds_apart = 0.0, 0.0

    @property
    def done(self) -> int:
        """How many epochs there were."""
        return len(self.run["history"]["loss"])

    def note(self, epoch: int, history: dict[str, list[float]]) -> Snapshot:
        """Look at the network after an epoch, and keep the numbers that are drawn of it."""
        begun = time.perf_counter()
        snapshot = self.look(epoch)
        outputs = self.outputs(snapshot, self.few_test.x)
        note = {
            "seconds": self.seconds_before + begun - self.begun - self.seconds_apart,
            "test_loss": finite(loss_of(outputs, self.few_test.y, self.loss)),
            "test_accuracy": accuracy(outputs, self.few_test.y),
            "training_accuracy": accuracy(snapshot.activations[-1], self.training.y),
            "quantiles": [quantiles(a) for a in snapshot.activations],
            "constant_units": [constant_units(a) for a in snapshot.activations],
            "gradient_sizes": [finite(root_mean_square(g)) for g in snapshot.gradients],
        }
        # Epochs that nobody noted, before a training was resumed, have None.
        self.run["notes"] = [*(self.run["notes"] + [None] * epoch)[:epoch], note]
        self.run["history"] = {name: list(values) for name, values in history.items()}
        self.seconds_apart += time.perf_counter() - begun
        return snapshot

    def look(self, epoch: int) -> Snapshot:
        """Give what the network is and does now."""
        network, x = self.network, self.training.x
        weights = [w.copy() for w in network.weights]
        biases = [b.ravel().copy() for b in network.biases]
        with np.errstate(all="ignore"), few_threads(network, len(x)):
            activations = outputs_of_layers(weights, biases, network.activations, x)
            gradients = gradients_of_weights(network, self.training, self.regular, self.loss)
        return Snapshot(epoch, weights, biases, activations, gradients)

    def outputs(self, snapshot: Snapshot, x: Array) -> Array:
        """Give what the network of a snapshot gives for rows `x`."""
        parameters = snapshot.weights, snapshot.biases
        with np.errstate(all="ignore"), few_threads(self.network, len(x)):
            return outputs_of_layers(*parameters, self.network.activations, x)[-1]

    def end(self, error: BaseException | None) -> None:
        """Note how the training ended."""
        if error is not None:
            self.run["state"] = str(error) or type(error).__name__
        else:
            self.run["state"] = "finished" if self.done >= self.run["epochs"] else "ended early"


def all_of(data: Any, network: Any, name: str) -> Data:
    """Take all samples, in the network's dtype."""
    x, y = as_arrays(data, network.layers[0], network.layers[-1])
    dtype = network.dtype
    x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
    return Data(x, y, f"{len(x):,} {name}")


def some_of(data: Data) -> Data:
    """Take few enough samples to look at after every epoch, spread over data that may be sorted."""
    x, y, name = data
    count = min(len(x), MOST, max(FEWEST, len(x) // 10))
    if count == len(x):
        return data
    chosen = np.linspace(0, len(x) - 1, count).astype(int)
    return Data(x[chosen], y[chosen], f"{count:,} of the {name}")


def outputs_of_layers(
    weights: Sequence[Array], biases: Sequence[Array], activations: Sequence[Any], x: Array
) -> list[Array]:
    """Give what every layer's activation gives for rows `x`."""
    outputs = []
    for w, b, activation in zip(weights, biases, activations, strict=True):
        x = np.asarray(activation(nn.linear(x, w, b)))
        outputs.append(x)
    return outputs


def gradients_of_weights(network: Any, data: Data, regular: float, loss: str) -> list[Array]:
    """Give the loss's gradients by the weights, and leave those that the network has alone."""
    kept = [node.grad for node in network.parameters]
    try:
        for node in network.parameters:
            node.grad = None
        network.loss_of_rows(data.x, data.y, regular, loss).backward()
        return [node.grad for node in network.parameters[: len(network.weights)]]
    finally:
        for node, grad in zip(network.parameters, kept, strict=True):
            node.grad = grad


def loss_of(outputs: Array, y: Array, name: str) -> float:
    """Give the loss named `name` of outputs, without the term of the weights."""
    with np.errstate(all="ignore"), tg.no_grad():
        return float(LOSSES[name](tg.Node(outputs), y).item())


def accuracy(outputs: Array, y: Array) -> float:
    """Give the share of rows whose largest output is at the class."""
    return float(np.mean(np.argmax(outputs, axis=1) == np.argmax(y, axis=1)))


def confusion(true: Array, predicted: Array, classes: int) -> Array:
    """Count how often each class (row) is taken for each class (column)."""
    pairs = np.bincount(true * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def quantiles(values: Array) -> list[float | None]:
    """Give the QUANTILES of what is finite among the values, None where nothing is."""
    shown = values[np.isfinite(values)].astype(float)
    if not shown.size:
        return [None] * len(QUANTILES)
    return [short(v) for v in np.quantile(shown, QUANTILES)]


def constant_units(activations: Array) -> float:
    """Give the share of a layer's units that tell no sample from another."""
    return short(float(np.mean(np.all(activations == activations[0], axis=0))))


def root_mean_square(values: Array) -> float:
    """Give the root of the mean of the squares."""
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def finite(value: float) -> float | None:
    """Give None for NaN and infinity, which JSON does not have."""
    return short(value) if math.isfinite(value) else None


def short(value: float) -> float:
    """Drop digits that no chart shows."""
    return float(f"{value:.6g}")


def series(run: Run, name: str) -> list[Any]:
    """Give a number of every epoch's note, None where there is no note."""
    return [note and note[name] for note in run["notes"][1:]]
