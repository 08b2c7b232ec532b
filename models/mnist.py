"""Train a network on handwritten digits: python -m models.mnist."""

from __future__ import annotations

import argparse
import math
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tinygraph as tg
from models.activation import KNOWN
from models.load import load_data
from models.losses import LOSSES
from models.network import NeuralNetwork
from models.report import Report
from models.training import OPTIMIZERS
from tinygraph.compiler.compiled import BACKENDS


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    parse = argparse.ArgumentParser(
        prog="python -m models.mnist",
        description="Train a multi-layer perceptron on handwritten digits, test it, save it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parse.add_argument("--layers", type=sizes, default="784,100,50,10", help="sizes of the layers")
    parse.add_argument(
        "--activations",
        type=names,
        default="relu,relu,identity",
        help=f"one for every layer after the first, of {', '.join(KNOWN)}",
    )
    parse.add_argument("--loss", choices=LOSSES, default="cross_entropy", help="what to minimise")
    parse.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="how to minimise it")
    parse.add_argument(
        "--learning-rate",
        type=positive_number,
        default=0.005,
        help="learning rate of the first step",
    )
    parse.add_argument(
        "--schedule",
        choices=("constant", "cosine"),
        default="cosine",
        help="how the learning rate goes on from there",
    )
    parse.add_argument(
        "--epochs", type=whole_number, default=15, help="passes over the training data"
    )
    parse.add_argument("--batch-size", type=whole_number, default=32, help="samples in a step")
    parse.add_argument("--regular", type=float, default=0.0, help="weight of the L2 term")
    parse.add_argument(
        "--seed", type=int, default=0, help="seed of the first weights and the shuffling"
    )
    parse.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="type of numbers"
    )
    parse.add_argument(
        "--data",
        default=argparse.SUPPRESS,
        help="a file or folder of MNIST, 'digits' (the embedded ones) or 'fashion'; without it, "
        "$TINYGRAPH_DATA, the working directory, a cache, a download, else the digits",
    )
    parse.add_argument("--save", default="mnist.safetensors", help="the file for the weights")
    parse.add_argument(
        "--report",
        metavar="PAGE",
        default=argparse.SUPPRESS,
        help="a page (HTML) on the training, to be opened in a browser while it goes on or later",
    )
    parse.add_argument(
        "--checkpoint-every",
        type=whole_number,
        default=1,
        help="epochs from checkpoint to checkpoint",
    )
    parse.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    add_running(parse)
    return parse


def add_running(parse: argparse.ArgumentParser) -> None:
    """Add the options on how a training is run, whatever its settings."""
    parse.add_argument("--no-progress", action="store_true", help="show no progress bar")
    step = parse.add_mutually_exclusive_group()
    step.add_argument(
        "--backend",
        type=installed_backend,
        choices=BACKENDS,
        default="numpy",
        help="what runs the compiled step: NumPy, BLAS too, or numba as well, which takes seconds "
        "to begin",
    )
    step.add_argument(
        "--no-compile", action="store_true", help="train step by step through the graph"
    )


def sizes(text: str) -> list[int]:
    """Read layer sizes, separated by commas."""
    return [int(size) for size in text.split(",")]


def names(text: str) -> list[str]:
    """Read names, separated by commas."""
    return [name.strip() for name in text.split(",")]


def whole_number(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return number


def positive_number(text: str) -> float:
    """Read a number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def installed_backend(name: str) -> str:
    """Read a backend of tg.compile whose package is installed."""
    try:
        tg.compile(backend=name)
    except (ImportError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name


def main(arguments: Sequence[str] | None = None) -> float:
    """Load, train, test, save, restore and draw; give the accuracy on the test set."""
    parse = parser()
    options = parse.parse_args(arguments)
    try:
        network = NeuralNetwork(
            options.layers, options.activations, seed=options.seed, dtype=options.dtype
        )
        training, validation, test = load_data(path=vars(options).get("data"))
        expected = [training.x.shape[1], training.classes]
        if [options.layers[0], options.layers[-1]] != expected:
            parse.error("--layers: expected {} pixels first, {} classes last".format(*expected))
        with report_on(network, training, validation, options) as callbacks:
            history = train(network, training, validation, options, callbacks)
    except (ValueError, OSError) as error:
        parse.error(str(error))
    except FloatingPointError as error:
        parse.exit(1, f"{parse.prog}: {error}\n")
    accuracy = network.eval(test)
    print(f"accuracy on the {len(test)} test images: {accuracy:.2%}")
    check_saved(network, test, options.save)
    stem = Path(options.save).with_suffix("")
    draw_loss(network, training, options.regular, stem.with_name(f"{stem.name}-loss.svg"))
    draw_curves(history, stem.with_name(f"{stem.name}-curves.png"))
    return accuracy


def train(
    network: NeuralNetwork, training: Any, validation: Any, options: Any, callbacks: Sequence[Any]
) -> Any:
    """Train as the options say, and give the history."""
    return network.train(
        training,
        schedule(options, len(training)),
        options.epochs,
        options.batch_size,
        options.regular,
        test=validation,
        save=options.save,
        optimizer=options.optimizer,
        loss=options.loss,
        callbacks=callbacks,
        checkpoint_every=options.checkpoint_every,
        resume=options.resume,
        progress=not options.no_progress,
        compile=not options.no_compile,
        backend=options.backend,
    )


@contextmanager
def report_on(network: Any, training: Any, validation: Any, options: Any) -> Iterator[list[Any]]:
    """Give the callbacks that write the report, where one is asked for."""
    if "report" not in options:
        yield []
        return
    report = Report(
        options.report,
        network,
        training,
        validation,
        epochs=options.epochs,
        loss=options.loss,
        regular=options.regular,
        settings=settings(options),
        resume=options.resume,
    )
    with report:
        yield [report]
    print(f"wrote {options.report}")


def settings(options: Any) -> dict[str, Any]:
    """Give what decides how a training goes, by names to be shown."""
    *hidden, last = options.activations
    if len(set(hidden)) == 1:
        hidden = hidden[:1]
    return {
        "layers": "-".join(map(str, options.layers)),
        "activations": ", ".join([*hidden, last]),
        "loss": options.loss,
        "optimizer": options.optimizer,
        "learning rate": options.learning_rate,
        "schedule": options.schedule,
        "batch size": options.batch_size,
        "regular": options.regular,
        "seed": options.seed,
        "dtype": options.dtype,
    }


def schedule(options: Any, samples: int) -> Any:
    """Give the learning rate, or the schedule that it follows."""
    if options.schedule == "constant":
        return options.learning_rate
    steps = options.epochs * math.ceil(samples / options.batch_size)
    return tg.optim.cosine(options.learning_rate, steps)


def check_saved(network: NeuralNetwork, test: Any, path: str) -> None:
    """Restore the file into another network and make sure that it predicts the same."""
    restored = NeuralNetwork(network.layers, network.activations, dtype=network.dtype)
    restored.restore(path)
    if not np.array_equal(restored.feedforward(test.x), network.feedforward(test.x)):
        raise RuntimeError(f"the network restored from {path} differs from the one that was saved")
    print(f"saved {path}; the network restored from it agrees")


def draw_loss(network: NeuralNetwork, data: Any, regular: float, path: Path) -> None:
    """Write the graph of the loss of a few samples, as SVG, else as DOT text."""
    few = data[:4]
    graph = tg.render(network.loss(few.x, few.y, regular))
    try:
        path.write_bytes(graph.pipe(format="svg"))
    except (RuntimeError, subprocess.SubprocessError) as error:
        path = path.with_suffix(".dot")
        path.write_text(graph.source, encoding="utf-8")
        print(f"no picture of the loss graph, its text instead: {error}")
    print(f"wrote {path}")


def draw_curves(history: dict[str, list[float]], path: Path) -> None:
    """Write how loss and accuracy went, as PNG."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no training curves: pip install matplotlib, or tinygraph[models]")
        return
    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, (name, color) in zip(
        figure.subplots(1, 2), (("loss", "#0072B2"), ("accuracy", "#D55E00")), strict=True
    ):
        axes.plot(epochs, history[name], color=color)
        axes.set(xlabel="epoch", title=f"{name} on the {SETS[name]} images")
        axes.grid(alpha=0.3)
    axes.set_ylim(top=1)
    figure.savefig(os.fspath(path), dpi=120)
    print(f"wrote {path}")


SETS = {"loss": "training", "accuracy": "validation"}


if __name__ == "__main__":
    main()
