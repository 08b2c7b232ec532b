"""Labels say what is there, and nothing in a name means anything to a layout engine."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tests.pictures.reading import read, svg_texts
from tinygraph import render


def test_labels_name_ops_and_their_parameters() -> None:
    x = tg.Node(np.ones((4, 3), np.float32), name="x")
    y = np.sum(x[:, 1:3], axis=(0, 1), keepdims=True)
    y.name = "y"
    drawn = read(render(np.sum(y, axis=0) * y, y))
    assert drawn.labels[drawn.box("x")] == ["x"]
    assert drawn.labels[drawn.box("y")] == [
        "y",
        "sum(axis=(0, 1), keepdims=True)",
        "1\N{MULTIPLICATION SIGN}1",
    ]
    assert drawn.labels[drawn.box("[:, 1:3]")] == ["[:, 1:3]"]
    assert drawn.labels[drawn.box("sum")] == ["sum", "axis=0"]
    assert drawn.labels[drawn.box("\N{MULTIPLICATION SIGN}")] == [
        "\N{MULTIPLICATION SIGN}",
        "1\N{MULTIPLICATION SIGN}1",
    ]
    assert "float32 (4, 3)" in drawn.styles[drawn.box("x")]["tooltip"]


def test_an_output_says_its_shape_which_no_edge_says() -> None:
    drawn = read(render(np.tanh(tg.Node(np.ones((2, 3)), name="x"))))
    assert drawn.labels[drawn.box("tanh")] == ["tanh", "2\N{MULTIPLICATION SIGN}3"]


@pytest.mark.parametrize(
    ("constant", "lines"),
    [
        (3, ["3"]),
        (0.1, ["0.1"]),
        (1 / 3, ["0.333333"]),
        (1e-20j, ["0+1e-20j"]),
        (np.float32(0.1), ["0.1"]),
        (np.longdouble(0.5), ["0.5"]),
        (np.int8(-3), ["-3"]),
        (np.array([[7.0]]), ["7"]),
    ],
)
def test_small_constants_show_their_value(constant: Any, lines: list[str]) -> None:
    assert lines in read(render(tg.Node(1.0) * constant)).labels.values()


def shown(name: str) -> str:
    """Give what of a name a picture shows, as Python would write it."""
    visible = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return "".join(visible)


HOSTILE = [
    '"',
    "\\",
    '\\"',
    'end\\"',
    "back\\slash\\",
    "new\nline",
    "<b>html</b>",
    "<unclosed",
    r"\N \G \L \n \l",
    "&amp; &lt; &#65; &",
    "{a|b}",
    "naïve 中文 🎉",
    "\x00\x1b\x7f",
    "\ud800",
    "]; } digraph { x ->",
    "node",
    "-- // /* #",
    "‮right to left",
]


def assert_shown(names: list[str]) -> None:
    """Assert that a picture of leaves and scopes with these names shows just these."""
    x = tg.Node(1.0, name="x")
    for name in names:
        with tg.scope(name):
            x = x + tg.Node(1.0, name=name)
    svg = render(x, unfold="*", max_nodes=1000, name=names[0]).pipe(encoding="utf-8", quiet=True)
    titles = Counter(lines[0] for lines in svg_texts(svg, "node"))
    assert titles >= Counter(shown(name) for name in names)
    assert {tuple(lines) for lines in svg_texts(svg, "cluster")} == {
        (shown(name),) for name in names
    }


def test_hostile_names_are_shown_as_they_are() -> None:
    assert_shown(HOSTILE)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=30))
def test_any_text_is_shown_as_it_is(names: list[str]) -> None:
    assert_shown(names)


@given(st.text())
def test_no_name_breaks_out_of_its_quotes(name: str) -> None:
    with tg.scope(name):
        output = np.exp(tg.Node(1.0, name=name))
    drawn = read(render(output))
    assert len(drawn.labels) == 2
    assert len(drawn.edges) == 1


def test_long_names_and_params_are_clipped() -> None:
    x = tg.Node(np.ones(1000), name="x" * 10**6)
    y = x[np.arange(1000)]
    drawn = read(render(y))
    assert max(len(line) for lines in drawn.labels.values() for line in lines) <= 80
    assert drawn.box("[int64 (1000,)]")
