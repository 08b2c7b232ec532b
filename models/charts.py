"""Draw charts as SVG and pictures as PNG, as text to be put into a page.

Matplotlib takes half a second for what a report draws after every epoch, which is as long as an
epoch of a small network, and its pictures do not follow a page from light to dark.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Values = Sequence[float | None]

BLUE, VERMILLION, BLACK = (0, 114, 178), (213, 94, 0), (0, 0, 0)
COLORS = 7
WIDE, SMALL = (520, 250), (340, 170)
LEVELS = 63
MOST_POINTS = 400
MOST_MARKS = 40
OUTSIDE = 0.005
"""The share of values at each end of a histogram that may lie outside of its picture."""
MINUS = "\N{MINUS SIGN}"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Line(NamedTuple):
    """A line of a chart: one value an epoch, None where it is not known, and perhaps a band."""

    label: str
    values: Values
    style: str = "c0"
    low: Values = ()
    high: Values = ()


class Dot(NamedTuple):
    """A value in a column of dots."""

    label: str
    value: float
    style: str


class Histogram(NamedTuple):
    """How many values lie in each of the bins that divide low to high equally.

    Zeros, of which a relu makes many, and NaN and infinity are counted apart.
    """

    counts: list[int]
    low: float
    high: float
    zeros: int
    not_finite: int


class Axis(NamedTuple):
    """A scale from values to places in a chart."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Give about `count` round values to mark."""
        if self.log:
            first, last = math.log10(self.low), math.log10(self.high)
            powers = range(math.ceil(first), math.floor(last) + 1)
            if len(powers) > 2:
                return [10.0**power for power in powers[:: math.ceil(len(powers) / count)]]
            if powers:
                fine = [m * 10.0 ** (p - 1) for p in (*powers, powers[-1] + 1) for m in (1, 2, 5)]
                return [value for value in fine if self.low <= value <= self.high]
        step = round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first, last + 1)]


def round_step(step: float) -> float:
    """Give the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * step)


def plain(value: float) -> str:
    """Write a number with few digits, and powers of ten as such."""
    digits, _, power = f"{value:.4g}".partition("e")
    digits = digits.replace("-", MINUS)
    if not power:
        return digits
    raised = str(int(power)).translate(RAISED)
    return f"10{raised}" if digits == "1" else f"{digits}·10{raised}"


def percent(value: float) -> str:
    """Write a share in per cent."""
    return f"{100 * value:.4g} %"


def bounds(values: Values, log: bool = False) -> tuple[float, float]:
    """Give the ends of an axis that has room for all the values."""
    shown = [v for v in values if v is not None and abs(v) < 1e300 and (v > 0 or not log)]
    low, high = (min(shown), max(shown)) if shown else (1.0, 1.0)
    if log:
        return low / 1.3, high * 1.3
    if low == high == 0:
        return -0.06, 1.0
    room = max(0.06 * (high - low), 1e-3 * max(abs(low), abs(high)))
    return low - room, high + room


def lines(
    title: str,
    drawn: Sequence[Line],
    *,
    first: int = 1,
    log: bool = False,
    form: Callable[[float], str] = plain,
    legend: bool = True,
) -> str:
    """Draw lines over the epochs, the first value of each at epoch `first`."""
    known = [v for line in drawn for part in (line.values, line.low, line.high) for v in part]
    width, height = WIDE
    last = first + max([len(line.values) for line in drawn], default=1) - 1
    x = Axis(first, max(last, first + 1), 64, width - 12)
    y = Axis(*bounds(known, log), height - 42, 8, log)
    parts = grid(x, y, "epoch", form)
    for line in drawn:
        parts += draw_line(line, first, x, y, form)
    keys = [(line.style, line.label) for line in drawn] if legend else []
    return figure(title, parts, WIDE, keys)


def draw_line(line: Line, first: int, x: Axis, y: Axis, form: Callable[[float], str]) -> list[str]:
    """Draw a line, its band, and marks that tell their values."""
    places = [(x(first + i), v) for i, v in enumerate(line.values)]
    parts = []
    if line.low:
        parts.append(area([at for at, _ in places], line.low, line.high, y, f"band {line.style}"))
    points = [
        (at, y(v)) if v is not None and math.isfinite(v) and (v > 0 or not y.log) else None
        for at, v in places
    ]
    parts.append(f'<path class="line {line.style}" d="{path(thinned(points, MOST_POINTS))}"/>')
    every = math.ceil(len(points) / MOST_MARKS)
    for i, point in enumerate(points):
        if point and (i % every == 0 or i == len(points) - 1):
            told = escape(f"{line.label}, epoch {first + i}: {form(line.values[i] or 0)}")
            place = f'cx="{point[0]:.1f}" cy="{point[1]:.1f}"'
            parts.append(f'<circle class="mark {line.style}" {place} r="2.5">')
            parts.append(f"<title>{told}</title></circle>")
    return parts


def dots(
    title: str, columns: Sequence[tuple[str, Sequence[Dot]]], form: Callable[[float], str] = plain
) -> str:
    """Draw values as dots in columns that have names, the mean of each column as a dash."""
    width, height = SMALL
    y = Axis(*bounds([dot.value for _, column in columns for dot in column]), height - 40, 8)
    parts = grid(Axis(0, 1, 56, width - 10), y, "", form, marks=False)
    step = (width - 66) / len(columns)
    for i, (name, column) in enumerate(columns):
        at = 56 + (i + 0.5) * step
        parts.append(text(at, y.start + 15, cut(name, int(step / 6)), "middle"))
        if column:
            mean = y(sum(dot.value for dot in column) / len(column))
            parts.append(f'<path class="axis" d="M{at - 20:.1f} {mean:.1f}h40"/>')
        for k, dot in enumerate(column):
            # Beside each other, since equal values would hide each other.
            beside = at + 6 * (k % 5 - (min(len(column), 5) - 1) / 2)
            parts.append(
                f'<circle class="mark {dot.style}" cx="{beside:.1f}" cy="{y(dot.value):.1f}" r="4">'
                f"<title>{escape(dot.label)}: {escape(form(dot.value))}</title></circle>"
            )
    return figure(title, parts, SMALL)


def cut(name: str, most: int) -> str:
    """Shorten a name to what there is room for."""
    return name if len(name) <= most else f"{name[: max(most - 1, 1)]}…"


def bands(title: str, quantiles: Sequence[Values], first: int) -> str:
    """Draw how values are distributed over the epochs.

    `quantiles` has a row an epoch: the quantiles of 1, 25, 50, 75 and 99 per cent.
    """
    known = [v for row in quantiles for v in row]
    width, height = SMALL
    x = Axis(first, max(first + len(quantiles) - 1, first + 1), 50, width - 10)
    y = Axis(*bounds(known), height - 40, 6)
    parts = grid(x, y, "epoch", plain)
    at = [x(first + i) for i in range(len(quantiles))]
    columns = list(zip(*quantiles, strict=True))
    for low, high in ((0, 4), (1, 3)):
        parts.append(area(at, columns[low], columns[high], y, "band c0"))
    middle = [(p, y(v)) if v is not None else None for p, v in zip(at, columns[2], strict=True)]
    parts.append(f'<path class="line c0" d="{path(thinned(middle, MOST_POINTS))}"/>')
    return figure(title, parts, SMALL)


def area(at: Sequence[float], low: Values, high: Values, y: Axis, style: str) -> str:
    """Fill what is between two lines, where both are known."""
    edges = [
        (p, y(a), y(b))
        for p, a, b in zip(at, low, high, strict=True)
        if a is not None and b is not None and (a > 0 or not y.log)
    ]
    edges = thinned(edges, MOST_POINTS)
    around = [(p, a) for p, a, _ in edges] + [(p, b) for p, _, b in reversed(edges)]
    return f'<path class="{style}" d="{path(around)}"/>'


def thinned(points: Sequence[Any], most: int) -> list[Any]:
    """Keep every so many of the points, and the last."""
    every = math.ceil(len(points) / most) or 1
    return [p for i, p in enumerate(points) if i % every == 0 or i == len(points) - 1]


def path(points: Sequence[tuple[float, float] | None]) -> str:
    """Write points as the data of a path, which is broken where there is none."""
    steps, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        steps.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(steps)


def histogram(values: Array, bins: int = 80, log: bool = False) -> Histogram:
    """Count values, or the powers of ten of their sizes, in bins from the least to the largest."""
    values = np.asarray(values, float).ravel()
    finite = values[np.isfinite(values)]
    counted = finite[finite != 0]
    if log:
        counted = np.log10(np.abs(counted))
    low, high = (float(counted.min()), float(counted.max())) if counted.size else (0.0, 1.0)
    # Bins as narrow as the rounding of the values would be no bins.
    least = 1e-6 * max(abs(low), abs(high), 1e-300)
    if high / 2 - low / 2 < least:
        low, high = low - least, high + least
    # Scaled, since the width of the range itself may overflow.
    scale = max(abs(low), abs(high))
    counts, _ = np.histogram(counted / scale, bins, (low / scale, high / scale))
    zeros = finite.size - counted.size
    return Histogram(counts.tolist(), low, high, zeros, values.size - finite.size)


def distribution(
    title: str,
    now: Histogram,
    before: Histogram | None = None,
    ends: tuple[float, float] | None = None,
    *,
    log: bool = False,
    label: str = "",
) -> str:
    """Draw a histogram, filled, over an earlier one's outline, each as high as its highest bin."""
    width, height = SMALL
    shown = [(h, trimmed(h)) for h in (before, now) if h is not None and any(h.counts)]
    low, high = ends or common_ends([h for h, _ in shown])
    x = Axis(low, high, 10, width - 10)
    floor, top = height - 40.0, 6.0
    parts = grid(x, Axis(0, 1, floor, top), label, None, power=log)
    for h, middle in shown:
        points = outline(middle, x, floor, top)
        style = "fill c0" if h is now else "line before"
        parts.append(f'<path class="{style}" d="{path(points)}"/>')
    return figure(title, parts, SMALL)


def common_ends(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """Give the ends of an axis for all of the histograms."""
    ends = [end for h in histograms for end in (trimmed(h).low, trimmed(h).high)]
    return bounds(ends)


def trimmed(h: Histogram) -> Histogram:
    """Leave out the outermost bins that hold next to nothing."""
    below = np.cumsum(h.counts)
    first = int(np.searchsorted(below, OUTSIDE * below[-1], "right"))
    last = int(np.searchsorted(below, (1 - OUTSIDE) * below[-1], "left"))
    width = (h.high - h.low) / len(h.counts)
    low, high = h.low + first * width, h.low + (last + 1) * width
    return h._replace(counts=h.counts[first : last + 1], low=low, high=high)


def outline(h: Histogram, x: Axis, floor: float, top: float) -> list[tuple[float, float]]:
    """Give the corners of a histogram's steps, as high as there is room."""
    peak = max(h.counts)
    points = [(x(h.low), floor)]
    for i, count in enumerate(h.counts):
        level = floor - (floor - top) * count / peak
        edges = (h.low + (h.high - h.low) * k / len(h.counts) for k in (i, i + 1))
        points += [(x(edge), level) for edge in edges]
    return [*points, (x(h.high), floor)]


def grid(
    x: Axis,
    y: Axis,
    label: str,
    form: Callable[[float], str] | None,
    power: bool = False,
    marks: bool = True,
) -> list[str]:
    """Draw the axes: grid, numbers, label; no numbers upwards without a form for them."""
    parts = []
    floor, top = y.start, y.end
    for value in y.ticks(5) if form else []:
        at = y(value)
        parts.append(f'<path class="grid" d="M{x.start:.1f} {at:.1f}H{x.end:.1f}"/>')
        parts.append(text(x.start - 6, at + 4, form(value) if form else "", "end"))
    whole = label == "epoch" or power
    for value in x.ticks(6) if marks else []:
        if whole and value != round(value):
            continue
        at = x(value)
        parts.append(f'<path class="grid" d="M{at:.1f} {floor:.1f}V{top:.1f}"/>')
        parts.append(text(at, floor + 15, plain(10.0**value if power else value), "middle"))
    parts.append(f'<path class="axis" d="M{x.start:.1f} {floor:.1f}H{x.end:.1f}"/>')
    parts.append(text((x.start + x.end) / 2, floor + 33, label, "middle"))
    return parts


def text(x: float, y: float, content: str, anchor: str) -> str:
    """Write a label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def figure(
    title: str, parts: Sequence[str], size: tuple[int, int], keys: Sequence[tuple[str, str]] = ()
) -> str:
    """Put a chart under its title and the legend."""
    legend = "".join(f'<span class="key {style}">{escape(name)}</span>' for style, name in keys)
    return (
        f"<figure><figcaption>{escape(title)}{legend}</figcaption>"
        f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def ink(x: Array, low: float, high: float) -> str:
    """Give a picture as the address of an image: black, as dense as the values are high."""
    share = (np.asarray(x, float) - low) / ((high - low) or 1)
    return address(share * (LEVELS - 1), INK)


def signed(x: Array, most: float) -> str:
    """Give a picture as the address of an image: blue above 0, vermillion below, clear at 0."""
    share = np.asarray(x, float) / (most or 1)
    return address((share + 1) / 2 * (LEVELS - 1), SIGNED)


def palette(below: tuple[int, ...], above: tuple[int, ...], zero: float) -> Array:
    """Give LEVELS colours (red, green, blue, opacity) that are clear at the level `zero`."""
    distance = (np.arange(LEVELS) - zero) / max(zero, LEVELS - 1 - zero)
    colors = np.where(distance[:, None] < 0, below, above)
    return np.column_stack([colors, 255 * np.abs(distance)]).round().astype(np.uint8)


INK = palette(BLACK, BLACK, 0)
SIGNED = palette(VERMILLION, BLUE, (LEVELS - 1) / 2)


def address(levels: Array, colors: Array) -> str:
    """Give an array (height, width) of levels as the address of an image that holds its data."""
    content = png(levels.clip(0, LEVELS - 1).round().astype(np.uint8), colors)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def png(levels: Array, colors: Array) -> bytes:
    """Write levels (height, width) as PNG with a palette (W3C, PNG specification)."""
    height, width = levels.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), levels])
    chunks = [
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", colors[:, :3].tobytes()),
        (b"tRNS", colors[:, 3].tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
