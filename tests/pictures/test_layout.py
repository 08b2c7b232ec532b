"""Pictures are laid out by the engine that there is."""

import shutil
import sysconfig
from pathlib import Path

import graphviz
import numpy as np
import pytest
from graphviz.backend import dot_command
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tests.pictures.reading import blocks, graphs, read, svg_texts, two_layers
from tinygraph import render
from tinygraph.pictures.layout import find_layout_engine
from tinygraph.pictures.render import to_svg


@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_picture_renders_to_a_file(form: str, tmp_path: Path) -> None:
    path = render(two_layers()).render(tmp_path / "picture", format=form, cleanup=True)
    assert Path(path).read_bytes().startswith({"svg": b"<?xml", "png": b"\x89PNG"}[form])


def test_a_file_name_gives_the_format(tmp_path: Path) -> None:
    path = render(two_layers()).render(outfile=tmp_path / "picture.png")
    assert Path(path).read_bytes().startswith(b"\x89PNG")


@settings(max_examples=15, deadline=None)
@given(graphs(), st.integers(1, 60))
def test_the_engine_lays_out_any_graph(output: tg.Node, max_nodes: int) -> None:
    dot = render(output, max_nodes=max_nodes)
    assert len(svg_texts(dot.pipe(encoding="utf-8"), "node")) == len(read(dot).labels)


def test_data_flows_down_and_arguments_enter_from_left_to_right() -> None:
    x = tg.Node(1.0, name="x")
    y = tg.Node(2.0, name="y")
    dot = render((np.sin(x) - np.exp(y)) * (y - x))
    up, ends = {}, {}
    for line in dot.pipe(format="plain", encoding="utf-8").splitlines():
        kind, *words = line.split()
        if kind == "node":
            up[words[0]] = float(words[2])
        elif kind == "edge":
            points = words[3 : 3 + 2 * int(words[2])]
            ends[words[0], words[1]] = float(points[-2])
    drawn = read(dot)
    assert len(ends) == 8
    for box in drawn.labels:
        entered = [ends[edge] for edge in drawn.edges if edge[1] == box]
        assert entered == sorted(entered)
    assert all(up[tail] > up[head] for tail, head in drawn.edges)


def test_a_node_shows_itself() -> None:
    svg = two_layers()._repr_svg_()
    assert len(svg_texts(svg, "node")) == 11
    assert svg_texts(svg, "cluster") == [["layer 1"], ["layer 2"], ["loss"]]


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave nothing on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_engine_of_the_environment_is_found_off_the_path(no_dot: Path) -> None:
    assert Path(find_layout_engine()).stem == "graphviz-pure"
    assert to_svg(two_layers()).startswith("<?xml")


def test_a_format_that_the_engine_lacks_is_refused_with_what_it_offers(no_dot: Path) -> None:
    with pytest.raises(ValueError, match=r"graphviz-pure writes no 'pdf', only .*svg.*Graphviz"):
        render(two_layers()).render(no_dot / "picture", format="pdf")
    assert list(no_dot.iterdir()) == []


@pytest.fixture
def no_engine(no_dot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no layout engine on PATH and in the environment."""
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(no_dot))


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_there_is_dot_text_and_a_clear_word(tmp_path: Path) -> None:
    dot = render(two_layers())
    assert isinstance(dot, graphviz.Digraph)
    assert len(read(dot).labels) == 11
    with pytest.raises(RuntimeError, match=r"pip install tinygraph\[render\]"):
        dot.pipe(format="svg")
    with pytest.raises(RuntimeError, match=r"install Graphviz|or Graphviz"):
        dot.render(tmp_path / "picture")
    assert list(tmp_path.iterdir()) == []
    assert two_layers()._repr_svg_() is None


def test_the_graphviz_package_is_left_as_it_was(no_dot: Path) -> None:
    before = dot_command.DOT_BINARY
    render(two_layers()).pipe()
    with pytest.raises(ValueError, match="nonsense"):
        render(two_layers()).pipe(format="nonsense")
    assert dot_command.DOT_BINARY is before


def test_a_dot_that_the_user_chose_is_kept(no_dot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = no_dot / "my dot"
    chosen.write_text("#!/bin/sh\n/bin/echo chosen\n")
    chosen.chmod(0o755)
    monkeypatch.setattr(dot_command, "DOT_BINARY", chosen)
    assert render(two_layers()).pipe() == b"chosen\n"


@pytest.mark.parametrize("engine", ["dot", "graphviz-pure"])
def test_both_engines_lay_out_all_kinds_of_pictures(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if engine == "dot":
        if shutil.which("dot") is None:
            pytest.skip("Graphviz is not installed")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    compiled = tg.compile(lambda x: np.sum(np.tanh(x) * 2.0))
    compiled(np.ones(3))
    pictures = [
        render(two_layers(), backward=True, show=("values", "gradients", "bytes")),
        render(two_layers(np.tanh), before=two_layers(), theme="dark"),
        render(blocks(12), nonfinite=True),
        render(compiled),
    ]
    for picture in pictures:
        svg = picture.pipe(encoding="utf-8")
        assert len(svg_texts(svg, "node")) == len(read(picture).labels)


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's dot")
def test_dot_writes_pdf(tmp_path: Path) -> None:
    path = render(two_layers()).render(tmp_path / "picture", format="pdf", cleanup=True)
    assert Path(path).read_bytes().startswith(b"%PDF")
