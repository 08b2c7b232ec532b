"""Mini-batch training with checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygraph as tg
from tinygraph.engine import topological_order

if __package__:
    from models import storage
    from models.data import as_arrays
else:
    import storage
    from data import as_arrays

Array = np.ndarray[Any, Any]
History = dict[str, list[float]]

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": tg.optim.SGD,
    "momentum": lambda parameters, rate: tg.optim.SGD(parameters, rate, momentum=0.9),
    "adam": tg.optim.Adam,
    "adamw": tg.optim.AdamW,
    "rmsprop": tg.optim.RMSprop,
}


@dataclass(frozen=True)
class Settings:
    """What a training is asked to do; see NeuralNetwork.train."""

    learning_rate: Any
    epochs: int
    batch_size: int
    regular: float
    test: Any
    save: Any
    optimizer: Any
    loss: str
    seed: int | None
    callbacks: tuple[Callable[..., Any], ...]
    checkpoint_every: int | None
    resume: bool
    progress: bool

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("checkpoint_every", 1)):
            given = getattr(self, name)
            if name == "checkpoint_every" and given is None:
                continue
            if not isinstance(given, int | np.integer) or given < least:
                raise ValueError(f"{name}: expected a whole number of {least} or more, got {given}")
        if not (np.isfinite(self.regular) and self.regular >= 0):
            raise ValueError(f"regular: expected a number of 0 or more, got {self.regular}")
        if (self.checkpoint_every or self.resume) and self.save is None:
            raise ValueError("checkpoint_every and resume need save=, beside which checkpoints lie")
        if not callable(self.optimizer) and self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"unknown optimizer {self.optimizer!r}; expected one of {', '.join(OPTIMIZERS)}, "
                f"or a function of (parameters, learning_rate)"
            )

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints lie."""
        return Path(f"{os.fspath(self.save)}.checkpoint")


def train(network: Any, data: Any, settings: Settings) -> History:
    """Train `network`, and give the history."""
    inputs, classes = network.layers[0], network.layers[-1]
    x, y = (part.astype(network.dtype, copy=False) for part in as_arrays(data, inputs, classes))
    test = None if settings.test is None else as_arrays(settings.test, inputs, classes)
    checkpoint = read_checkpoint(settings, network, len(x))
    if settings.seed is not None:
        network.random = np.random.default_rng(settings.seed)
    if checkpoint is not None:
        network.take(
            storage.from_tree(checkpoint["network"], settings.checkpoint, network.activations)
        )
        network.random.bit_generator.state = checkpoint["random"]
    network.loss_name = settings.loss
    make = OPTIMIZERS.get(settings.optimizer, settings.optimizer)
    optimizer = make(network.parameters, settings.learning_rate)
    history: History = {"loss": [], "accuracy": []} if test else {"loss": []}
    if checkpoint is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        history = checkpoint["history"]
    try:
        for epoch in range(len(history["loss"]) + 1, settings.epochs + 1):
            history["loss"].append(run_epoch(network, optimizer, x, y, epoch, settings))
            message = f"epoch {epoch}/{settings.epochs}: loss {history['loss'][-1]:.4f}"
            if test:
                history["accuracy"].append(network.eval(test))
                message += f", accuracy {history['accuracy'][-1]:.4f}"
            print(message)
            if settings.checkpoint_every and epoch % settings.checkpoint_every == 0:
                write_checkpoint(settings, network, optimizer, history, len(x))
            wishes = [callback(network, epoch, history) for callback in settings.callbacks]
            if any(wishes):
                break
    except KeyboardInterrupt:
        print("interrupted; keeping the weights so far")
    if settings.save is not None:
        network.save(settings.save)
    return history


def run_epoch(
    network: Any, optimizer: Any, x: Array, y: Array, epoch: int, settings: Settings
) -> float:
    """Train on every sample once, in random order, and give the mean loss."""
    order = network.random.permutation(len(x))
    total = 0.0
    starts = range(0, len(x), settings.batch_size)
    bar = tqdm(
        starts, f"epoch {epoch}", leave=False, mininterval=0.3, disable=not settings.progress
    )
    for batch, start in enumerate(bar, start=1):
        chosen = order[start : start + settings.batch_size]
        # Nobody else holds these, and read-only constants enter the graph without a copy.
        rows, targets = x[chosen], y[chosen]
        rows.flags.writeable = targets.flags.writeable = False
        loss = network.loss_of_rows(rows, targets, settings.regular, settings.loss)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss became {value} in epoch {epoch}, batch {batch}, first in "
                f"{first_not_finite(loss)}; try a smaller learning rate than "
                f"{optimizer.learning_rate}"
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += value * len(chosen)
        if batch % 50 == 0:
            bar.set_postfix_str(f"loss {value:.4f}", refresh=False)
    return total / len(x)


def first_not_finite(loss: tg.Node) -> str:
    """Name the layer and the op where the first NaN or infinity on the way to `loss` arose."""
    for node in topological_order([loss]):
        if not np.all(np.isfinite(node.value)):
            return f"{', '.join(node.scope)}: {node.name or (node.op.name if node.op else 'input')}"
    return "its last sum"


def common_settings(settings: Settings, samples: int) -> dict[str, Any]:
    """Give what has to be the same when a training goes on."""
    return {
        "samples": samples,
        "batch_size": int(settings.batch_size),
        "regular": float(settings.regular),
        "loss": settings.loss,
        "optimizer": settings.optimizer if isinstance(settings.optimizer, str) else "own",
    }


def write_checkpoint(
    settings: Settings, network: Any, optimizer: Any, history: History, samples: int
) -> None:
    """Write all that a training needs to go on."""
    tg.save(
        settings.checkpoint,
        {
            "settings": common_settings(settings, samples),
            "network": storage.to_tree(network),
            "optimizer": optimizer.state_dict(),
            "random": network.random.bit_generator.state,
            "history": history,
        },
    )


def read_checkpoint(settings: Settings, network: Any, samples: int) -> Any:
    """Read the checkpoint to resume from, None where there is none or it is not asked for."""
    if not settings.resume or not settings.checkpoint.exists():
        return None
    checkpoint = tg.load(settings.checkpoint)
    for name, asked in common_settings(settings, samples).items():
        written = checkpoint["settings"][name]
        if written != asked:
            raise ValueError(
                f"resume: {settings.checkpoint} was written with {name}={written}, this training "
                f"has {name}={asked}; use the same, or start anew without resume"
            )
    if checkpoint["network"]["layers"] != network.layers:
        raise ValueError(
            f"resume: {settings.checkpoint} is of layers {checkpoint['network']['layers']}, this "
            f"network has {network.layers}"
        )
    return checkpoint
