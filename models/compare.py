"""Train networks that differ in their settings, and draw them in one page.

    python -m models.compare --layers 784,30,10 784,100,10 --learning-rate 0.001 0.01 --data digits

A page keeps its runs: `python -m models.compare --runs report.html other.html` draws them again,
together with others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from html import escape
from itertools import product, zip_longest
from typing import Any

from models import mnist
from models.charts import Dot, Line, cut, dots, lines, percent, plain
from models.load import load_data
from models.network import NeuralNetwork
from models.page import Page, Run, facts, read_runs, table
from models.record import Record, series
from models.report import accuracies, style, wide

SETTINGS = {
    "layers": "sizes of the layers",
    "activations": "of the hidden layers and the last one, or of every layer after the first",
    "loss": "what to minimise",
    "optimizer": "how to minimise it",
    "learning-rate": "learning rate of the first step",
    "schedule": "how the learning rate goes on from there",
    "epochs": "passes over the training data",
    "batch-size": "samples in a step",
    "regular": "weight of the L2 term",
    "seed": "seed of the first weights; networks that differ in this alone are drawn as one",
    "dtype": "type of numbers",
}
ACTIVATIONS = "relu,identity"
MOST_COLUMNS = 12
MOST_LETTERS = 24


def parser() -> argparse.ArgumentParser:
    """Give the command's options: settings of models.mnist, each with one value or more."""
    parse = argparse.ArgumentParser(
        prog="python -m models.compare",
        description="Train a network on handwritten digits for every combination of the settings "
        "given, and draw how they learn, all in one page.",
    )
    one = mnist.parser()
    for name, help in SETTINGS.items():
        default = ACTIVATIONS if name == "activations" else one.get_default(name.replace("-", "_"))
        parse.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="VALUE",
            help=f"{help} (default: {default})",
        )
    parse.add_argument("--data", help="as in python -m models.mnist")
    parse.add_argument(
        "--runs",
        nargs="+",
        default=[],
        metavar="PAGE",
        help="train nothing, but draw the runs of these pages: reports and comparisons",
    )
    parse.add_argument(
        "--report", default="compare.html", help="the page to write (default: compare.html)"
    )
    mnist.add_running(parse)
    return parse


def main(arguments: Sequence[str] | None = None) -> list[Run]:
    """Train every combination, or read runs; draw them, and give them."""
    parse = parser()
    options = parse.parse_args(arguments)
    given = [name for name in SETTINGS if getattr(options, name.replace("-", "_"))]
    if options.runs and given:
        parse.error(
            f"--runs draws runs that have been trained, and has no use for --{given[0]}; train "
            f"first, and give the page of that to --runs"
        )
    try:
        page = Page(options.report)
        runs = [run for path in options.runs for run in read_runs(path)] or sweep(options, page)
        write(page, runs)
    except (ValueError, OSError) as error:
        parse.error(str(error))
    for line in summary(runs):
        print(line)
    print(f"wrote {options.report}")
    return runs


def combinations(options: Any) -> list[Any]:
    """Give the options of models.mnist for every combination of the settings."""
    given = [
        [f"--{name}={value}" for value in getattr(options, name.replace("-", "_"))]
        for name in SETTINGS
    ]
    parse = mnist.parser()
    parse.prog = parser().prog
    every = [
        parse.parse_args([f"--activations={ACTIVATIONS}", *values])
        for values in product(*filter(None, given))
    ]
    for one in every:
        one.no_progress, one.no_compile = options.no_progress, options.no_compile
        one.backend = options.backend
        one.save, one.checkpoint_every = None, None
        one.given_activations = ", ".join(one.activations)
        if len(one.activations) == 2:
            hidden, last = one.activations
            one.activations = [hidden] * (len(one.layers) - 2) + [last]
    return every


def sweep(options: Any, page: Page) -> list[Run]:
    """Train a network for every combination, and give the runs."""
    every = combinations(options)
    networks = [
        NeuralNetwork(one.layers, one.activations, seed=one.seed, dtype=one.dtype) for one in every
    ]
    training, validation, _ = load_data(path=options.data)
    expected = [training.x.shape[1], training.classes]
    for one in every:
        if [one.layers[0], one.layers[-1]] != expected:
            raise ValueError(
                f"layers: got {one.layers}; expected {expected[0]} pixels first, {expected[1]} "
                f"classes last"
            )
    runs: list[Run] = []
    for number, (one, network) in enumerate(zip(every, networks, strict=True), start=1):
        settings = mnist.settings(one) | {"activations": one.given_activations}
        record = Record(
            network,
            training,
            validation,
            epochs=one.epochs,
            loss=one.loss,
            regular=one.regular,
            settings=settings,
        )
        runs.append(record.run)
        state = f"Training network {number} of {len(every)}."
        print(f"network {number}/{len(every)}: {', '.join(map(str, settings.values()))}")
        train(record, one, (training, validation), page, runs, state)
        if record.run["state"] == "ended early":
            break
    return runs


def train(
    record: Record, options: Any, data: tuple[Any, Any], page: Page, runs: list[Run], state: str
) -> None:
    """Train one network, and draw it with those before while it learns."""

    def look(network: Any, epoch: int, history: dict[str, list[float]]) -> None:
        record.note(epoch, history)
        if page.is_due():
            write(page, runs, state)

    write(page, runs, state)
    record.start()
    try:
        mnist.train(record.network, *data, options, [look])
        record.end(None)
    except FloatingPointError as error:
        print(error)
        record.end(error)


def write(page: Page, runs: list[Run], state: str = "") -> None:
    """Write the page; `state` says what is going on while there is more to come."""
    title = f"Comparison of {len(runs)} training{'s' * (len(runs) != 1)}"
    page.write(title, lambda: body(title, runs, state), runs, live=bool(state))


def body(title: str, runs: list[Run], state: str) -> str:
    """Give what the page shows."""
    groups, names = grouped(runs), varied(runs)
    common = {
        name: found.pop() for name in all_names(runs) if len(found := values_of(runs, name)) == 1
    }
    loops = f"{state} This page loads itself again." if state else "Finished."
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("Accuracy, validation", accuracies, {"form": percent}),
        ("Accuracy, training", lambda run: series(run, "training_accuracy"), {"form": percent}),
        ("Loss, validation", lambda run: series(run, "test_loss"), {}),
        ("Loss, training, mean of the epoch", lambda run: run["history"]["loss"], {}),
    ]
    charts = []
    for name, curve, look in kinds:
        drawn = [
            mean_line(label_of(group, names), [curve(run) for run in group], style(i))
            for i, group in enumerate(groups)
        ]
        log = "form" not in look and wide(drawn)
        charts.append(lines(name, drawn, log=log, legend=False, **look))
    return (
        f"<h1>{escape(title)}</h1><p class='state'>{escape(loops)}</p>{facts(common)}"
        f"{results(groups, names)}"
        f'<div class="row two">{"".join(charts)}</div>{effects(groups, names)}'
    )


def all_names(runs: list[Run]) -> list[str]:
    """Give the names of all settings, in order."""
    return list(dict.fromkeys(name for run in runs for name in run["settings"]))


def varied(runs: list[Run]) -> list[str]:
    """Give the names of the settings that runs differ in, the seed apart."""
    return [name for name in all_names(runs) if name != "seed" and len(values_of(runs, name)) > 1]


def values_of(runs: list[Run], name: str) -> set[str]:
    """Give the values that a setting has in the runs, as text."""
    return {str(run["settings"].get(name, "")) for run in runs}


def grouped(runs: list[Run]) -> list[list[Run]]:
    """Put runs together that differ in the seed alone."""
    names = varied(runs)
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        key = tuple(str(run["settings"].get(name, "")) for name in names)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def label_of(group: list[Run], names: list[str]) -> str:
    """Name a group by the settings that tell it from the others."""
    settings = group[0]["settings"]
    return ", ".join(f"{name} {settings.get(name, '')}" for name in names or ["layers"])


def mean_line(label: str, several: list[Any], look: str) -> Line:
    """Give the mean of runs as a line, and their range as its band."""
    columns = [[v for v in column if v is not None] for column in zip_longest(*several)]
    means = [sum(column) / len(column) if column else None for column in columns]
    if len(several) == 1:
        return Line(label, means, look)
    low, high = ([end(column) if column else None for column in columns] for end in (min, max))
    return Line(label, means, look, low, high)


def best_of(run: Run) -> tuple[float, int] | None:
    """Give the best accuracy of a run, and its epoch."""
    known = [(v, -epoch) for epoch, v in enumerate(accuracies(run), start=1) if v is not None]
    if not known:
        return None
    value, epoch = max(known)
    return value, -epoch


def results(groups: list[list[Run]], names: list[str]) -> str:
    """Write the table of settings and results, the best first."""
    ranked = sorted(
        enumerate(groups), key=lambda pair: -(mean([v for v, _ in bests(pair[1])]) or -1)
    )
    head = ["", *map(escape, names or ["layers"]), "parameters", "best accuracy", "in epoch"]
    head += ["last accuracy", "training loss", "seconds", "runs", ""]
    rows = []
    for i, group in ranked:
        settings = group[0]["settings"]
        last = [[v for v in accuracies(run) if v is not None][-1:] for run in group]
        states = "; ".join({run["state"]: 0 for run in group})
        rows.append(
            [
                f'<span class="key {style(i)}"></span>',
                *(escape(str(settings.get(name, ""))) for name in names or ["layers"]),
                f"{group[0]['parameters']:,}",
                spread([v for v, _ in bests(group)], percent),
                written([epoch for _, epoch in bests(group)], plain),
                written([v for values in last for v in values], percent),
                written([v for run in group for v in run["history"]["loss"][-1:]], plain),
                written([seconds_of(run) for run in group], plain),
                str(len(group)),
                f'<span title="{escape(states)}">{escape(cut(states, MOST_LETTERS))}</span>',
            ]
        )
    return table(head, rows, "runs")


def bests(group: list[Run]) -> list[tuple[float, int]]:
    """Give the best accuracies of the runs that have any."""
    return [best for best in map(best_of, group) if best]


def seconds_of(run: Run) -> float:
    """Give how long a run took."""
    return next((float(note["seconds"]) for note in reversed(run["notes"]) if note), 0.0)


def mean(values: Sequence[float]) -> float | None:
    """Give the mean, None where there is nothing."""
    return sum(values) / len(values) if values else None


def written(values: Sequence[float], form: Any) -> str:
    """Write the mean of values, nothing where there are none."""
    return escape(form(float(f"{sum(values) / len(values):.3g}"))) if values else ""


def spread(values: Sequence[float], form: Any) -> str:
    """Write the mean of values, and how far they reach where there are several."""
    if not values:
        return ""
    middle = form(float(f"{sum(values) / len(values):.4g}"))
    if len(values) == 1:
        return f"<b>{escape(middle)}</b>"
    reach = f"{form(min(values))} to {form(max(values))}"
    return f"<b>{escape(middle)}</b><br><small>{escape(reach)}</small>"


def effects(groups: list[list[Run]], names: list[str]) -> str:
    """Draw the best accuracies by every setting, to show what it does by itself."""
    charts = []
    for name in names:
        columns: dict[str, list[Dot]] = {}
        for i, group in enumerate(groups):
            column = columns.setdefault(str(group[0]["settings"].get(name, "")), [])
            column += [Dot(label_of([run], names), v, style(i)) for run in group for v in best(run)]
        if 1 < len(columns) <= MOST_COLUMNS:
            charts.append(dots(f"Best accuracy by {name}", in_order(columns), form=percent))
    if not charts:
        return ""
    return (
        "<h2>What each setting does</h2><p>A dot is the best accuracy of a training on the "
        "validation samples, a dash the mean of a column.</p>"
        f'<div class="row">{"".join(charts)}</div>'
    )


def best(run: Run) -> list[float]:
    """Give the best accuracy in a list, which is empty where there is none."""
    found = best_of(run)
    return [found[0]] if found else []


def in_order(columns: dict[str, list[Dot]]) -> list[tuple[str, list[Dot]]]:
    """Sort columns whose names are numbers."""
    try:
        return sorted(columns.items(), key=lambda pair: float(pair[0]))
    except ValueError:
        return list(columns.items())


def summary(runs: list[Run]) -> list[str]:
    """Say in a line for each group how good it became."""
    names = varied(runs)
    return [
        f"{label_of(group, names)}: best accuracy "
        f"{written([v for v, _ in bests(group)], percent) or 'unknown'}"
        for group in grouped(runs)
    ]


if __name__ == "__main__":
    main()
