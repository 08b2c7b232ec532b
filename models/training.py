"""Mini-batch training with checkpoints."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
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

CHECKPOINT_FORMAT = "tinygraph checkpoint 1"

SMALL_PRODUCT = 1 << 25
"""Multiplications in a matrix product below which a second BLAS thread gains nothing."""

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
    callbacks: Sequence[Callable[..., Any]]
    checkpoint_every: int | None
    resume: bool
    progress: bool
    compile: bool
    backend: str

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch_size", 1), ("checkpoint_every", 1), ("seed", 0)):
            given = getattr(self, name)
            if given is None and name in ("checkpoint_every", "seed"):
                continue
            if not isinstance(given, int | np.integer) or given < least:
                raise ValueError(
                    f"{name}: expected a whole number of {least} or more, got {given!r}"
                )
        if not (isinstance(self.regular, Real) and 0 <= self.regular < math.inf):
            raise ValueError(f"regular: expected a number of 0 or more, got {self.regular!r}")
        if not (isinstance(self.learning_rate, Real) or callable(self.learning_rate)):
            raise TypeError(
                f"learning_rate: expected a number, or a schedule such as those of tg.optim, got "
                f"{self.learning_rate!r}"
            )
        if not isinstance(self.callbacks, Sequence) or not all(map(callable, self.callbacks)):
            raise TypeError(f"callbacks: expected a list of functions, got {self.callbacks!r}")
        if self.save is not None:
            check_writable(Path(self.save))
        elif self.checkpoint_every or self.resume:
            raise ValueError("checkpoint_every and resume need save=, beside which checkpoints lie")
        if not callable(self.optimizer) and self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"unknown optimizer {self.optimizer!r}; expected one of {', '.join(OPTIMIZERS)}, "
                f"or a function of (parameters, learning_rate)"
            )
        if self.backend != "numpy" and not self.compile:
            raise ValueError(
                f"backend: {self.backend!r} runs a compiled step, and compile is False; leave one "
                f"of the two out"
            )

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, counted from 0."""
        rate = self.learning_rate
        return float(rate(step) if callable(rate) else rate)

    def make_optimizer(self, parameters: list[tg.Node]) -> Any:
        """Make the optimiser, and see that it can do what is asked of it."""
        make = self.optimizer if callable(self.optimizer) else OPTIMIZERS[self.optimizer]
        optimizer = make(parameters, self.learning_rate)
        needed = ["zero_grad", "step"]
        if self.checkpoint_every or self.resume:
            needed += ["state_dict", "load_state_dict"]
        missing = [name for name in needed if not callable(getattr(optimizer, name, None))]
        if missing:
            raise TypeError(
                f"optimizer: the function gave {optimizer!r}, which has no {', '.join(missing)}; "
                f"expected an optimiser like those of tg.optim"
            )
        return optimizer

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints lie."""
        return Path(f"{os.fspath(self.save)}.checkpoint")


def check_writable(path: Path, option: str = "save") -> None:
    """Refuse a place for a file before a long training rather than after it."""
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(
            f"{option}: {path} cannot be written; expected a file in a writable folder"
        )


def train(network: Any, data: Any, settings: Settings) -> History:
    """Train `network`, and give the history."""
    inputs, classes = network.layers[0], network.layers[-1]
    x, y = (part.astype(network.dtype, copy=False) for part in as_arrays(data, inputs, classes))
    test = None if settings.test is None else as_arrays(settings.test, inputs, classes)
    optimizer = settings.make_optimizer(network.parameters)
    step = make_step(network, optimizer, settings)
    common = common_settings(settings, network, x, y)
    random = network.random if settings.seed is None else np.random.default_rng(settings.seed)
    checkpoint = read_checkpoint(settings, common)
    history: History = {"loss": [], "accuracy": []} if test else {"loss": []}
    if checkpoint is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        history = checkpoint["history"]
        network.weights, network.biases = checkpoint["weights"], checkpoint["biases"]
        random.bit_generator.state = checkpoint["random"]
    network.random = random
    network.loss_name = settings.loss
    try:
        for epoch in range(len(history["loss"]) + 1, settings.epochs + 1):
            # Overflow that matters ends in an error that says where it was.
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                with few_threads(network, settings.batch_size):
                    loss = run_epoch(network, step, x, y, epoch, settings)
                results = {"loss": loss}
                if test:
                    results["accuracy"] = network.eval(test)
            for name, result in results.items():
                history[name].append(result)
            shown = ", ".join(f"{name} {result:.4f}" for name, result in results.items())
            print(f"epoch {epoch}/{settings.epochs}: {shown}", flush=True)
            wishes = [callback(network, epoch, history) for callback in settings.callbacks]
            every = settings.checkpoint_every
            if every and (epoch % every == 0 or epoch == settings.epochs):
                write_checkpoint(settings, common, network, optimizer, history)
            if any(wishes):
                break
    except KeyboardInterrupt:
        print("interrupted; keeping the weights so far")
    if settings.save is not None:
        network.save(settings.save)
    return history


def few_threads(network: Any, batch_size: int) -> Any:
    """Keep BLAS to one thread inside, where products are too small to gain by more.

    Its threads wait for each other in a busy loop: beside another program on the same cores a
    small product then takes up to a hundred times as long.
    """
    largest = max(a * b for a, b in zip(network.layers, network.layers[1:], strict=False))
    if batch_size * largest > SMALL_PRODUCT:
        return nullcontext()
    return threadpool_limits(limits=1, user_api="blas")


class NotFiniteError(ArithmeticError):
    """Say that a loss is infinite or NaN, before anything has changed."""

    def __init__(self, loss: Any) -> None:
        super().__init__(f"the loss became {loss.item()}")
        self.loss = loss


def make_step(network: Any, optimizer: Any, settings: Settings) -> Callable[..., Any]:
    """Give the function that trains on a batch and gives its loss, compiled if that is asked."""

    def step(x: Any, y: Any, accept: Callable[..., Any] | None = None) -> Any:
        loss = network.loss_of_rows(x, y, settings.regular, settings.loss)
        if accept is not None:
            accept(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def eager(x: Array, y: Array) -> Any:
        return step(x, y, refuse_not_finite)

    if not settings.compile:
        return eager
    compiled = tg.compile(step, accept=refuse_not_finite, backend=settings.backend)
    # Of a smaller last batch there is one an epoch: another backend takes longer to compile it.
    other = tg.compile(step, accept=refuse_not_finite)
    usual = 0

    def train_on(x: Array, y: Array) -> Any:
        nonlocal compiled, other, usual
        usual = usual or len(x)
        try:
            return compiled(x, y) if len(x) == usual else other(x, y)
        except tg.CompileError as error:
            print(f"training step by step, which is slower: {error}")
            compiled = other = eager
            return eager(x, y)

    return train_on


def refuse_not_finite(loss: Any) -> None:
    """Refuse a loss that is infinite or NaN."""
    if not math.isfinite(loss.item()):
        raise NotFiniteError(loss)


def run_epoch(
    network: Any, step: Callable[..., Any], x: Array, y: Array, epoch: int, settings: Settings
) -> float:
    """Train on every sample once, in random order, and give the mean loss."""
    order = network.random.permutation(len(x))
    total = 0.0
    starts = range(0, len(x), settings.batch_size)
    bar = tqdm(
        starts, f"epoch {epoch}", leave=False, mininterval=0.3, disable=not settings.progress
    )
    for batch, (rows, targets) in enumerate(zip_batches(bar, order, x, y, settings), start=1):
        try:
            value = step(rows, targets).item()
        except NotFiniteError as error:
            loss = error.loss
            if not isinstance(loss, tg.Node):
                loss = network.loss_of_rows(rows, targets, settings.regular, settings.loss)
            place = first_not_finite(topological_order([loss]))
            raise diverged(str(error), epoch, batch, place) from None
        total += value * len(rows)
        bar.set_postfix_str(f"loss {value:.4f}", refresh=False)
    place = first_not_finite(network.parameters)
    if place:
        raise diverged("the weights became infinite or NaN", epoch, batch, place)
    return total / len(x)


def zip_batches(
    starts: Iterable[int], order: Array, x: Array, y: Array, settings: Settings
) -> Iterator[tuple[Array, Array]]:
    """Give the batches in this order, gathered into arrays that are used again for the next."""
    size = min(settings.batch_size, len(x))
    rows, targets = (np.empty((size, part.shape[1]), part.dtype) for part in (x, y))
    for start in starts:
        chosen = order[start : start + size]
        count = len(chosen)
        # Any mode but "raise" lets NumPy write where it is told to without a copy in between.
        np.take(x, chosen, 0, rows[:count], "clip")
        np.take(y, chosen, 0, targets[:count], "clip")
        yield rows[:count], targets[:count]


def diverged(what: str, epoch: int, batch: int, place: str | None) -> FloatingPointError:
    """Give the error for a training whose numbers are no longer finite."""
    return FloatingPointError(
        f"{what} in epoch {epoch}, batch {batch}, first in {place}; try a smaller learning rate, "
        f"and see that activations of your own give finite numbers"
    )


def first_not_finite(nodes: Iterable[tg.Node]) -> str | None:
    """Name the layer and the op, or the weights, where the first NaN or infinity is."""
    for node in nodes:
        if not np.all(np.isfinite(node.value)):
            return f"{', '.join(node.scope)}: {node.name or (node.op.name if node.op else 'input')}"
    return None


def common_settings(settings: Settings, network: Any, x: Array, y: Array) -> dict[str, Any]:
    """Give what has to be the same when a training goes on."""
    if not settings.checkpoint_every and not settings.resume:
        return {}
    return {
        "layers": network.layers,
        "activations": [storage.describe(activation) for activation in network.activations],
        "dtype": str(network.dtype),
        "samples": len(x),
        "data": zlib.crc32(np.ascontiguousarray(y), zlib.crc32(np.ascontiguousarray(x))),
        "test": settings.test is not None,
        "batch_size": int(settings.batch_size),
        "regular": float(settings.regular),
        "loss": settings.loss,
        "seed": settings.seed,
        "optimizer": settings.optimizer if isinstance(settings.optimizer, str) else "own",
    }


def write_checkpoint(
    settings: Settings, common: dict[str, Any], network: Any, optimizer: Any, history: History
) -> None:
    """Write all that a training needs to go on."""
    tg.save(
        settings.checkpoint,
        {
            "format": CHECKPOINT_FORMAT,
            "settings": common | rates(settings, common, history),
            "weights": list(network.weights),
            "biases": list(network.biases),
            "optimizer": optimizer.state_dict(),
            "random": network.random.bit_generator.state,
            "history": history,
        },
    )


def rates(settings: Settings, common: dict[str, Any], history: History) -> dict[str, float]:
    """Give the learning rates of the first step and the next, by which schedules are compared."""
    steps = len(history["loss"]) * math.ceil(common["samples"] / common["batch_size"])
    return {f"learning_rate of step {step}": settings.rate(step) for step in (0, steps)}


def read_checkpoint(settings: Settings, common: dict[str, Any]) -> Any:
    """Read the checkpoint to resume from, None where there is none or it is not asked for."""
    if not settings.resume or not settings.checkpoint.exists():
        return None
    path = settings.checkpoint
    checkpoint = tg.load(path)
    if not isinstance(checkpoint, dict) or checkpoint.get("format") != CHECKPOINT_FORMAT:
        raise ValueError(f"resume: {path} is no checkpoint ({CHECKPOINT_FORMAT!r}); remove it")
    asked = common | rates(settings, common, checkpoint["history"])
    for name, written in checkpoint["settings"].items():
        if written != asked.get(name):
            raise ValueError(
                f"resume: {path} was written with {name}={written}, this training has "
                f"{name}={asked.get(name)}; use the same, or start anew without resume"
            )
    return checkpoint
