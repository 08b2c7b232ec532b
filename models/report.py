"""A page on a training: how it goes, what the network has learnt, and what it gets wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from models.charts import (
    COLORS,
    Histogram,
    Line,
    bands,
    common_ends,
    distribution,
    histogram,
    ink,
    lines,
    percent,
    plain,
    signed,
)
from models.page import Page, facts, read_runs, table
from models.record import QUANTILES, Record, Run, Snapshot, confusion, series
from tinygraph import nn

Array = np.ndarray[Any, Any]

MOST_UNITS = 100
MOST_MISTAKES = 40
MOST_CLASSES_IN_TABLE = 20
MOST_CLASSES_IN_PICTURE = 1000
MOST_CONFUSIONS = 12
SMALLEST_IMAGE = 16
SHOWN_WEIGHTS = 0.998
HEAT_MAP = (200, 600)


class Report(Record):
    """Write a page on a training, anew after every epoch: a callback of NeuralNetwork.train.

    While the training goes on, the page in the browser loads itself again and again. Around the
    training, the report is a context: it writes the first page before it, so that a place that
    cannot be written is an error at once, and the last after it, also where it ends with an error.
    `classes` are names to show in place of numbers. With `resume`, what the page that lies there
    knows of the epochs before is kept. The other parameters are Record's.

        with Report("report.html", network, training, test, epochs=9) as report:
            network.train(training, 0.1, 9, 20, test=test, callbacks=[report])
    """

    def __init__(
        self,
        path: Any,
        network: Any,
        training: Any,
        test: Any = None,
        *,
        classes: Sequence[str] | None = None,
        resume: bool = False,
        **about: Any,
    ) -> None:
        self.page = Page(path)
        super().__init__(network, training, test, **about)
        count = self.test.y.shape[1]
        self.classes = [str(name) for name in (range(count) if classes is None else classes)]
        if len(self.classes) != count:
            raise ValueError(
                f"classes: expected {count} names, one a class, got {len(self.classes)}"
            )
        self.before = read_runs(path)[-1] if resume and Path(path).exists() else None

    def __enter__(self) -> Report:
        self.start()
        self.snapshot = self.note(0, {"loss": []})
        self.run["start"] = {
            "activations": [histogram(a) for a in self.snapshot.activations],
            "gradients": [histogram(g, log=True) for g in self.snapshot.gradients],
        }
        if self.before is None:
            self.write(live=True)
        return self

    def __call__(self, network: Any, epoch: int, history: dict[str, list[float]]) -> None:
        """Take note of an epoch, and write the page."""
        if epoch > len(self.run["notes"]):
            self.take_over(history["loss"][: epoch - 1])
        self.snapshot = self.note(epoch, history)
        if self.page.is_due():
            try:
                self.write(live=True)
            except OSError as error:
                print(f"report: {error}; the training goes on")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and self.snapshot.epoch == 0:
            self.take_over(None)
            self.snapshot = self.look(self.done)
        self.end(error)
        self.write(live=False)

    def take_over(self, losses: list[float] | None) -> None:
        """Keep what the page before knows, if it is of this training: of epochs of these losses."""
        before, self.run["start"] = self.before, None
        if losses is not None:
            self.run["notes"] = []
        if before is None or before["parameters"] != self.run["parameters"]:
            return
        if losses is not None and before["history"]["loss"][: len(losses)] != losses:
            return
        self.run |= {name: before[name] for name in ("start", "notes", "history")}
        if losses is not None:
            self.run["notes"] = self.run["notes"][: len(losses) + 1]
        last = self.run["notes"][-1]
        self.seconds_before = last["seconds"] if last else 0.0

    def write(self, live: bool) -> None:
        """Write the page on the training so far."""
        self.page.write(title_of(self.run), lambda: self.body(live), [self.run], live)
        self.seconds_apart += self.page.seconds

    def body(self, live: bool) -> str:
        """Give what the page shows."""
        snapshot, data = self.snapshot, self.test
        outputs = self.outputs(snapshot, data.x)
        return "\n".join(
            [
                head(self.run, live),
                curves(self.run),
                self.confusion(outputs),
                self.mistakes(outputs),
                first_layer(snapshot.weights[0]),
                self.layers(snapshot),
            ]
        )

    def confusion(self, outputs: Array) -> str:
        """Show how often each class is taken for each."""
        true, predicted = np.argmax(self.test.y, axis=1), np.argmax(outputs, axis=1)
        count, picture = len(self.classes), ""
        text = f"The {self.test.name}, after epoch {self.snapshot.epoch}."
        if count <= MOST_CLASSES_IN_PICTURE:
            counts = confusion(true, predicted, count)
            text += " Each row is a true class, each column what the network took it for."
        if count <= MOST_CLASSES_IN_TABLE:
            text += " Blue is right, vermillion wrong, deeper where it is more frequent."
            picture = confusion_table(counts, self.classes)
        elif count <= MOST_CLASSES_IN_PICTURE:
            strength = np.sqrt(counts / counts.max())
            picture = heat_map(ink(strength, 0, 1), "confusion matrix", count, "heat ink")
        return (
            f"<h2>What is taken for what</h2><p>{text}</p>"
            f'<div class="side">{picture}{self.frequent_confusions(true, predicted)}</div>'
        )

    def frequent_confusions(self, true: Array, predicted: Array) -> str:
        """List the pairs of classes that are confused most often."""
        wrong = true != predicted
        pairs, counts = np.unique(
            np.column_stack([true[wrong], predicted[wrong]]), axis=0, return_counts=True
        )
        order = np.argsort(-counts, kind="stable")[:MOST_CONFUSIONS]
        rows = [
            [escape(self.classes[a]), escape(self.classes[b]), f"{count:,}"]
            for (a, b), count in zip(pairs[order], counts[order], strict=True)
        ]
        return table(["true class", "taken for", "times"], rows)

    def mistakes(self, outputs: Array) -> str:
        """Show the samples that are wrong with the most confidence."""
        sure, unit = confidence(outputs, self.loss)
        true, predicted = np.argmax(self.test.y, axis=1), np.argmax(outputs, axis=1)
        wrong = np.flatnonzero(true != predicted)
        order = wrong[np.argsort(-np.nan_to_num(sure[wrong]), kind="stable")][:MOST_MISTAKES]
        shown = [
            (int(i), self.classes[true[i]], self.classes[predicted[i]], unit(float(sure[i])))
            for i in order
        ]
        text = (
            f"<h2>The worst mistakes</h2><p>After epoch {self.snapshot.epoch}, {len(wrong):,} of "
            f"the {self.test.name} are taken for something else; these are the ones that the "
            f"network is surest of, each with what it is, what it was taken for, and with which "
            f"confidence.</p>"
        )
        if side(self.test.x.shape[1]) is None:
            head = ["sample", "true class", "taken for", "confidence"]
            rows = [[f"{i:,}", escape(is_), escape(as_), sure] for i, is_, as_, sure in shown]
            return text + table(head, rows)
        low, high = float(self.test.x.min()), float(self.test.x.max())
        figures = [
            f'<figure title="sample {i:,}"><img class="ink" alt="{escape(is_)}" '
            f'src="{ink(as_image(self.test.x[i]), low, high)}">'
            f"<figcaption><b>{escape(is_)}</b> taken for <i>{escape(as_)}</i><br>{sure}"
            "</figcaption></figure>"
            for i, is_, as_, sure in shown
        ]
        return f'{text}<div class="images mistakes">{"".join(figures)}</div>'

    def layers(self, snapshot: Snapshot) -> str:
        """Show the activations and gradients of every layer, now and before."""
        start, notes = self.run["start"], self.run["notes"]
        first = next((i for i, note in enumerate(notes) if note), 0)
        unknown = [[None] * len(QUANTILES)] * len(snapshot.weights)
        known = [note["quantiles"] if note else unknown for note in notes[first:]]
        gradients = [histogram(g, log=True) for g in snapshot.gradients]
        old = start and [Histogram(*h) for h in start["gradients"]]
        ends = common_ends([h for h in gradients + (old or []) if any(h.counts)])
        parts = [
            "<h2>Layer by layer</h2>",
            f"<p>What {self.training.name} make of every layer: its activations after epoch "
            f"{snapshot.epoch} (blue) and before the training (grey), each as high as its highest "
            "bin; their median, quartiles, and 1 % to 99 % over the epochs; and the sizes of the "
            "loss's gradients by its weights. All gradients are on one scale: in a layer whose "
            "gradients lie far to the left, training hardly moves the weights.</p>",
            '<div class="row two">',
            by_layer(self.run, "gradient_sizes", "Root mean square of the gradients", log=True),
            by_layer(
                self.run, "constant_units", "Units that give the same for all samples", form=percent
            ),
            "</div>",
        ]
        for i, (a, g, activation) in enumerate(
            zip(snapshot.activations, gradients, self.network.activations, strict=True)
        ):
            now = histogram(a)
            before = Histogram(*start["activations"][i]) if start else None
            sizes = f"{snapshot.weights[i].shape[1]:,} → {snapshot.weights[i].shape[0]:,}"
            charts = [
                distribution(f"activations{zeros(now)}", now, before, label="activation"),
                bands("activations over the epochs", [q[i] for q in known], first),
                distribution(
                    f"gradients{zeros(g)}",
                    g,
                    old[i] if old else None,
                    ends,
                    log=True,
                    label="size of the gradient",
                ),
            ]
            parts.append(f"<h3>Layer {i + 1}: {sizes}, {escape(repr(activation))}</h3>")
            parts.append(f"<p>{constant_units(a)}</p>")
            parts.append(f'<div class="row">{"".join(charts)}</div>')
        return "".join(parts)


def title_of(run: Run) -> str:
    """Give a page's title."""
    return f"Training of {run['settings'].get('layers', 'a network')}"


def head(run: Run, live: bool) -> str:
    """Show how far the training is, and what it was asked to do."""
    history, epochs = run["history"], run["epochs"]
    done = len(history["loss"])
    if live:
        kind, state = "state", f"After epoch {done} of {epochs}. This page loads itself again."
    elif run["state"] in ("finished", "ended early"):
        kind, state = "state", f"{run['state'].capitalize()}: {done} of {epochs} epochs."
    else:
        kind, state = "state trouble", f"Stopped after {done} of {epochs} epochs: {run['state']}"
    shown: dict[str, Any] = {}
    if done:
        shown["training loss"] = plain(history["loss"][-1])
    correct = accuracies(run)
    known = [value for value in correct if value is not None]
    if known:
        best = max(known)
        shown[f"accuracy, {held_out(run)}"] = percent(known[-1])
        shown[f"best, in epoch {correct.index(best) + 1}"] = percent(best)
        shown["seconds an epoch"] = plain(float(f"{run['notes'][-1]['seconds'] / done:.2g}"))
    shown["parameters"] = f"{run['parameters']:,}"
    return (
        f"<h1>{escape(title_of(run))}</h1>"
        f'<p class="{kind}">{escape(state)}</p>'
        f'<progress value="{done}" max="{max(epochs, 1)}"></progress>'
        f"{facts(shown)}{facts(run['settings'])}"
    )


def held_out(run: Run) -> str:
    """Name the samples that the network is judged by."""
    return "validation" if run["has_test"] else "training"


def accuracies(run: Run) -> list[float | None]:
    """Give the accuracy of every epoch, on all samples where the training has measured it."""
    return run["history"].get("accuracy") or series(run, "test_accuracy")


def curves(run: Run) -> str:
    """Draw loss and accuracy over the epochs."""
    loss = [Line("training, mean of the epoch", run["history"]["loss"], "c0")]
    correct = [Line("training", series(run, "training_accuracy"), "c0")]
    if run["has_test"]:
        loss.append(Line("validation", series(run, "test_loss"), "c1"))
        correct.append(Line("validation", accuracies(run), "c1"))
    if not run["history"]["loss"]:
        return ""
    return (
        '<div class="row two">'
        + lines("Loss", loss, log=wide(loss))
        + lines("Accuracy", correct, form=percent)
        + "</div>"
    )


def wide(drawn: Sequence[Line]) -> bool:
    """Tell whether positive values reach so far that a logarithmic scale shows more."""
    values = [v for line in drawn for v in line.values if v is not None and math.isfinite(v)]
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)


def by_layer(run: Run, name: str, title: str, **look: Any) -> str:
    """Draw one of the notes for every layer over the epochs."""
    notes = run["notes"]
    count = max(len(note[name]) for note in notes if note)
    drawn = [
        Line(f"layer {i + 1}", [note and note[name][i] for note in notes], style(i))
        for i in range(count)
    ]
    return lines(title, drawn, first=0, **look)


def style(index: int) -> str:
    """Give the look of one line of many."""
    dash = ("", " dashed", " dotted")[index // COLORS % 3]
    return f"c{index % COLORS}{dash}"


def zeros(h: Histogram) -> str:
    """Say what a histogram leaves out."""
    total = sum(h.counts) + h.zeros + h.not_finite
    said = f", without the {percent(round(h.zeros / total, 3))} that are 0" if h.zeros else ""
    return said + (f", {h.not_finite:,} NaN or infinite" if h.not_finite else "")


def constant_units(activations: Array) -> str:
    """Say how many units do nothing for any sample."""
    same = np.all(activations == activations[0], axis=0)
    count, off = int(same.sum()), int(np.sum(same & (activations[0] == 0)))
    if not count:
        return f"All {len(same):,} units tell samples apart."
    always = "always 0" if off == count else f"the same for all samples, {off:,} of them 0"
    return f"{count:,} of the {len(same):,} units are {always}."


def confusion_table(counts: Array, classes: Sequence[str]) -> str:
    """Draw a confusion matrix, with the share of every class that is found."""
    off = counts * (1 - np.eye(len(counts), dtype=int))
    most_wrong, totals = max(off.max(), 1), counts.sum(axis=1)
    names = [escape(name) for name in classes]
    rows = []
    for i, row in enumerate(counts):
        cells = []
        for j, count in enumerate(row):
            kind = "right" if i == j else "wrong"
            shade = count / max(totals[i], 1) if i == j else count / most_wrong
            cells.append(f'<td class="{kind}" style="--shade:{shade:.3f}">{count or ""}</td>')
        found = percent(round(row[i] / totals[i], 4)) if totals[i] else ""
        cells.append(f'<td class="total">{found}</td>')
        rows.append(f'<tr><th scope="row">{names[i]}</th>{"".join(cells)}</tr>')
    top = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<div class="wide"><table class="confusion"><thead><tr><th>true</th>'
        f"{top}<th>found</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def confidence(outputs: Array, loss: str) -> tuple[Array, Any]:
    """Give how sure the network is of each row's class, and how that is written.

    It is a probability after a softmax where the loss has one, else the largest output itself.
    """
    if loss in ("cross_entropy", "softmax_quadratic"):
        with np.errstate(all="ignore"):
            return np.max(nn.softmax(outputs.astype(float)), axis=1), sure_percent
    return np.max(outputs, axis=1), plain


def sure_percent(share: float) -> str:
    """Write a confidence, without rounding it up to a certainty."""
    return "> 99.99 %" if share > 0.9999 else f"{100 * share:.2f} %"


def side(inputs: int) -> int | None:
    """Give the side of the square image that so many inputs are, None where they are none."""
    root = math.isqrt(inputs)
    return root if root * root == inputs and inputs >= SMALLEST_IMAGE else None


def as_image(row: Array) -> Array:
    """Give a row of inputs as a square."""
    return row.reshape(side(row.size) or 1, -1)


def first_layer(weights: Array) -> str:
    """Show the weights of the first layer: an image a unit, or all as a heat map."""
    units, inputs = weights.shape
    most = float(f"{np.quantile(np.abs(weights), SHOWN_WEIGHTS):.2g}")
    scale = f'<span class="scale"></span>from {plain(-most)} to {plain(most)}'
    if side(inputs) is None:
        image = heat_map(
            signed(averaged(weights, HEAT_MAP), most), "weights of the first layer", inputs
        )
        return (
            f"<h2>The first layer's weights</h2><p>A row for each of the {units:,} units, a column "
            f"for each of the {inputs:,} inputs; {scale}.</p>{image}"
        )
    norms = np.linalg.norm(weights, axis=1)
    chosen = np.sort(np.argsort(-norms, kind="stable")[:MOST_UNITS])
    shown = "each" if units <= MOST_UNITS else f"the {MOST_UNITS} with the largest weights"
    images = [
        f'<img alt="unit {i + 1}" title="unit {i + 1}" src="{signed(as_image(weights[i]), most)}">'
        for i in chosen
    ]
    return (
        f"<h2>The first layer's weights</h2><p>What {shown} of the {units:,} units of the first "
        f"layer responds to, as an image of its weights: {scale}. Where a unit has learnt nothing, "
        f'the random weights of the start are left.</p><div class="images">{"".join(images)}</div>'
    )


def heat_map(source: str, name: str, columns: int, kind: str = "heat") -> str:
    """Show an image of numbers, no larger than can be read."""
    width = f"max-width: {min(32 * columns, 640 if kind != 'heat' else 1080)}px"
    return f'<img class="{kind}" style="{width}" alt="{name}" src="{source}">'


def averaged(array: Array, most: tuple[int, int]) -> Array:
    """Make an array (height, width) smaller than `most`, by means of equal blocks."""
    for axis, size in enumerate(most):
        starts = np.unique(np.linspace(0, array.shape[axis], size, endpoint=False).astype(int))
        counts = np.diff([*starts, array.shape[axis]])
        shape = [1, 1]
        shape[axis] = -1
        array = np.add.reduceat(array.astype(float), starts, axis) / counts.reshape(shape)
    return array
