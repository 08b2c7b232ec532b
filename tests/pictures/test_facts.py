"""Boxes say what they were asked to: values, gradients, bytes, times."""

import re
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tests.pictures.reading import read, two_layers
from tinygraph.pictures.facts import BARS, bytes_text, seconds_text


def lines(show: Any, *outputs: tg.Node, **options: Any) -> dict[str, list[str]]:
    """Give the lines below the titles of boxes."""
    drawn = read(tg.render(*outputs, show=show, **options))
    return {title: rest for title, *rest in drawn.labels.values()}


def test_small_values_are_shown_in_full() -> None:
    x = tg.Node([[1.0, 2.5], [1 / 3, -1e-9]], name="x")
    y = np.sum(x)
    y.name = "y"
    assert lines("values", y) == {
        "x": ["[[1, 2.5],", "[0.3333, -1e-09]]"],
        "y": ["sum", "3.833"],
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(-1, 1, 17), ["-1 … 1, mean 0", BARS[4] * 15 + BARS[7]]),
        (np.full(20, 7.0), ["7 … 7, mean 7", BARS[-1]]),
        (np.array([np.nan, np.inf, *range(8)]), None),
        (np.full(10, np.nan), ["10 NaN, 0 infinite"]),
        (np.ones((0, 2)), ["[]"]),
        (np.full(10, 6e4, np.float16), ["6e+04 … 6e+04, mean 6e+04", BARS[-1]]),
        (np.arange(20) % 2 == 0, ["0 … 1, mean 0.5", None]),
        (np.array([1e308, -1e308] * 6), ["-1e+308 … 1e+308, mean 0", BARS[-1]]),
        (np.full(12, 3 + 4j), ["|·| 5 … 5, mean 5", BARS[-1]]),
        (np.array(3 + 4j), ["3+4j"]),
        (np.array(True), ["True"]),
    ],
)
def test_large_and_unusual_values(values: Any, expected: list[str] | None) -> None:
    node = tg.Node(values, requires_grad=False, name="x")
    found = lines("values", node)["x"]
    if expected is None:
        assert found[0] == "0 … 7, mean 3.5"
        assert found[2] == "1 NaN, 1 infinite"
    else:
        assert len(found) == len(expected)
        assert all(want in (None, line) for line, want in zip(found, expected, strict=True))


def test_a_histogram_is_highest_where_most_values_are() -> None:
    values = np.array([0.0] * 30 + [0.5] * 10 + [1.0])
    bars = lines("values", tg.Node(values, requires_grad=False, name="x"))["x"][1]
    assert (bars[0], bars[8], bars[-1]) == (BARS[7], BARS[3], BARS[1])
    assert set(bars[1:8]) == {BARS[0]}


def test_gradients_are_those_of_the_outputs() -> None:
    x = tg.Node([1.0, 2.0], name="x")
    square = x * x
    square.name = "square"
    y = np.sum(square)
    y.name = "y"
    found = lines("gradients", y)
    assert found["x"] == ["∂ [2, 4]"]
    assert found["square"][1:] == ["∂ [1, 1]"]
    assert found["y"][-1] == "∂ 1"
    assert x.grad is None


def test_gradients_through_several_results() -> None:
    x = tg.Node([1.25, 2.5], name="x")
    fraction, whole = np.modf(x)
    assert lines("gradients", np.sum(fraction * 3), np.sum(whole))["x"] == ["∂ [3, 3]"]


def test_bytes_are_added_up_in_folded_boxes() -> None:
    found = lines("bytes", two_layers(), fold="layer 1")
    assert found["x"] == ["80 bytes"]
    assert found["layer 1"][-1] == f"{4 * (12 + 3 + 15 + 15)} bytes"
    assert [bytes_text(size) for size in (999, 1000, 1.5e6, 2e12)] == [
        "999 bytes",
        "1 kB",
        "1.5 MB",
        "2e+03 GB",
    ]


def test_times_are_measured() -> None:
    found = lines("time", two_layers(), fold="layer 2")
    time = r"[\d.]+(e[+-]\d+)? (s|ms|µs)"
    assert re.fullmatch(rf"{time}, rule {time}", found["relu"][0])
    assert re.fullmatch(rf"{time}, rule {time}", found["layer 2"][-1])
    assert found["x"] == []
    assert [seconds_text(x) for x in (2.0, 0.0123, 3e-7)] == ["2 s", "12.3 ms", "0.3 µs"]


def test_slower_ops_take_longer() -> None:
    small, large = (np.exp(tg.Node(np.ones(size), requires_grad=False)) for size in (1, 10**6))
    small.name, large.name = "small", "large"
    found = lines("time", small, large)

    def seconds(text: str) -> float:
        number, unit = text.split()
        return float(number) * {"s": 1.0, "ms": 1e-3, "µs": 1e-6}[unit]

    assert seconds(found["large"][-1]) > 10 * seconds(found["small"][-1])


def test_own_facts_are_functions_of_a_node() -> None:
    def norm(node: tg.Node) -> str | None:
        return f"norm {np.linalg.norm(node.value):.3g}\n<b>" if node.op is None else None

    x = tg.Node([3.0, 4.0], name="x")
    found = lines([norm, "bytes"], np.sum(x * 2))
    assert found["x"] == ["norm 5", "<b>", "16 bytes"]
    assert found["sum"] == ["8 bytes"]
    assert lines(norm, x)["x"] == ["norm 5", "<b>"]
