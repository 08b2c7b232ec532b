import io
import math
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.charts import (
    INK,
    LEVELS,
    SIGNED,
    Axis,
    Dot,
    Histogram,
    Line,
    bands,
    bounds,
    common_ends,
    cut,
    distribution,
    dots,
    histogram,
    lines,
    percent,
    plain,
    png,
    trimmed,
)

BINS = 80
HOSTILE = "</svg><script>alert('&')</script>\""


class Shapes(HTMLParser):
    """The elements of a chart, in order, and its text."""

    def __init__(self, chart):
        super().__init__()
        self.found, self.text, self.open = [], "", []
        self.feed(chart)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.found.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def paths(self, kind):
        return [a["d"] for tag, a in self.found if tag == "path" and kind in a["class"].split()]


def numbers_of(path):
    return [float(number) for number in re.findall(r"-?\d+\.\d", path)]


@given(st.lists(st.integers(0, BINS - 1), max_size=50), st.floats(-1e6, 1e6))
def test_a_histogram_counts_what_is_in_each_bin(bins, low):
    ends = [low, low + BINS]
    values = np.array([*(low + k + 0.5 for k in bins), *ends])
    found = histogram(values, BINS)
    expected = Counter([*bins, 0, BINS - 1])
    zeros = int(np.sum(values == 0))
    if zeros == 0:
        assert found.counts == [expected[k] for k in range(BINS)]
        assert (found.low, found.high) == tuple(ends)
    assert sum(found.counts) == len(values) - zeros


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        st.integers(0, 30),
        elements=st.floats(width=16) | st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, 6e-8]),
    )
    | hnp.arrays(np.float64, st.integers(0, 10), elements=st.floats()),
    st.booleans(),
)
def test_every_value_is_in_a_histogram_once(values, log):
    found = histogram(values, log=log)
    assert found.zeros == sum(value == 0 for value in values.tolist())
    assert found.not_finite == sum(not math.isfinite(value) for value in values.tolist())
    assert sum(found.counts) + found.zeros + found.not_finite == len(values)
    assert found.low < found.high
    Shapes(distribution("any", found, found, log=log))


def test_a_histogram_of_sizes_is_over_powers_of_ten():
    found = histogram(np.array([1e-4, -1e-4, -1.0, 0.0]), bins=4, log=True)
    assert found == Histogram([2, 0, 0, 1], -4.0, 0.0, 1, 0)


def test_outermost_bins_that_hold_next_to_nothing_are_not_drawn():
    counts = [1, 0, 600, 800, 0, 1, 0]
    found = trimmed(Histogram(counts, 0.0, 7.0, 0, 0))
    assert (found.counts, found.low, found.high) == ([600, 800], 2.0, 4.0)
    assert common_ends([found]) == pytest.approx((1.88, 4.12))


@given(
    st.floats(-1e12, 1e12) | st.floats(-1, 1),
    st.floats(1e-6, 1e12),
    st.integers(2, 10),
)
def test_ticks_are_round_and_lie_on_the_axis(low, width, count):
    low, high = bounds([low, low + width])
    ticks = Axis(low, high, 0, 100).ticks(count)
    slack = 1e-9 * max(abs(low), abs(high))
    assert 1 <= len(ticks) <= count + 1
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    for step in np.diff(ticks):
        mantissa = step / 10.0 ** math.floor(math.log10(step * 1.001))
        assert min(abs(mantissa - m) for m in (1, 2, 5)) < 0.01


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e-5, 1.0, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        (0.03, 1.3, [0.05, 0.1, 0.2, 0.5, 1.0]),
        (2.1, 2.9, [2.2, 2.4, 2.6, 2.8]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, expected):
    assert Axis(low, high, 0, 1, log=True).ticks(6) == pytest.approx(expected)


def test_an_axis_maps_ends_to_ends():
    assert [Axis(2, 4, 10, 0)(v) for v in (2, 3, 4)] == [10, 5, 0]
    assert [Axis(1, 100, 0, 10, log=True)(v) for v in (1, 10, 100)] == [0, 5, 10]


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([0.0, 1.0, None, math.nan], False, (-0.06, 1.06)),
        ([0.0, 0.01, 10.0], True, (0.01 / 1.3, 13.0)),
        ([5.0], False, (4.995, 5.005)),
        ([0.0], False, (-0.06, 1.0)),
        ([], False, (0.999, 1.001)),
        ([math.inf, -1e305], False, (0.999, 1.001)),
    ],
)
def test_bounds_have_room_for_all_that_can_be_drawn(values, log, expected):
    assert bounds(values, log) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (12345.0, "1.234·10⁴"),
        (1000.0, "1000"),
        (0.001, "0.001"),
        (1e-5, "10⁻⁵"),
        (-2.5e-7, "\N{MINUS SIGN}2.5·10⁻⁷"),
        (-3.0, "\N{MINUS SIGN}3"),
    ],
)
def test_numbers_are_short(value, expected):
    assert plain(value) == expected
    assert percent(0.12345) == "12.35 %"
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


def test_a_line_goes_through_its_values_and_is_broken_where_there_are_none():
    chart = Shapes(lines("t", [Line("a", [1.0, 3.0, None, math.nan, 2.0, 1.0])]))
    (path,) = chart.paths("line")
    assert path.count("M") == 2
    x0, y0, x1, y1, x4, y4, x5, y5 = numbers_of(path)
    assert x0 < x1 < x4 < x5
    assert y1 < y4 < y0 == y5
    marks = [a for tag, a in chart.found if tag == "circle"]
    assert [float(mark["cx"]) for mark in marks] == [x0, x1, x4, x5]
    assert "a, epoch 2: 3" in chart.text


def test_a_band_is_drawn_around_a_line():
    chart = Shapes(lines("t", [Line("a", [2.0, 3.0], low=[1.0, 2.0], high=[3.0, None])]))
    (band,) = chart.paths("band")
    assert len(numbers_of(band)) == 4
    chart = Shapes(bands("t", [[0.0, 1.0, 2.0, 3.0, 4.0], [None] * 5, [1.0] * 5], 0))
    assert len(chart.paths("band")) == 2
    assert chart.paths("line")[0].count("M") == 2


def test_many_epochs_make_no_large_chart():
    chart = lines("t", [Line("a", list(np.sin(np.arange(20_000.0))))])
    assert len(chart) < 20_000
    assert len(bands("t", [[0.0, 1.0, 2.0, 3.0, 4.0]] * 20_000, 0)) < 50_000


def test_dots_stand_in_columns_with_names():
    columns = [("low", [Dot("x", 0.5, "c1"), Dot("y", 0.7, "c2")]), ("high", [])]
    chart = Shapes(dots("t", columns, percent))
    first, second = [a for tag, a in chart.found if tag == "circle"]
    assert float(first["cy"]) > float(second["cy"])
    assert "low" in chart.text
    assert "y: 70 %" in chart.text


def test_every_text_is_escaped():
    for chart in (
        lines(HOSTILE, [Line(HOSTILE, [1.0, 2.0]), Line("b", [1.0])]),
        bands(HOSTILE, [[0.0] * 5], 0),
        distribution(HOSTILE, histogram(np.arange(9.0)), label=HOSTILE),
        dots(HOSTILE, [(HOSTILE, [Dot(HOSTILE, 1.0, "c0")])]),
    ):
        shapes = Shapes(chart)
        assert "script" not in {tag for tag, _ in shapes.found}
        assert HOSTILE in shapes.text
        assert {a["aria-label"] for tag, a in shapes.found if tag == "svg"} == {HOSTILE}


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 62)))
def test_a_png_holds_the_colours_of_its_levels(levels):
    image = pytest.importorskip("PIL.Image")
    for colors in (INK, SIGNED):
        with image.open(io.BytesIO(png(levels, colors))) as picture:
            np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), colors[levels])


def test_palettes_are_clear_at_zero_and_full_at_their_ends():
    assert INK[[0, -1]].tolist() == [[0, 0, 0, 0], [0, 0, 0, 255]]
    assert SIGNED[0].tolist() == [213, 94, 0, 255]
    assert SIGNED[-1].tolist() == [0, 114, 178, 255]
    assert SIGNED[LEVELS // 2, 3] == 0
