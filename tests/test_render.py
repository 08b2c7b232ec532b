"""Pictures show the graph that is there: every box, edge and scope of it, folded at any size."""

import os
import re
import sysconfig
import xml.etree.ElementTree as ElementTree
from collections import Counter
from contextlib import ExitStack
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

import graphviz
import numpy as np
import pytest
from graphviz.backend import dot_command
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tinygraph.render import find_layout_engine, render, to_svg

LONG = 1_000_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 100_000
TEXT = r'("(?:[^"\\]|\\.)*"|\S+)'
NODE = re.compile(rf"\t(n\d+) \[label={TEXT} (.*)\]\n")
EDGE = re.compile(r"\t(n\d+) -> (n\d+)\n")
FRAME = re.compile(rf"\t.*label={TEXT} .*\n")


class Drawn(NamedTuple):
    """What the DOT text says: labels' lines, styles and frames of boxes; edges; all frames."""

    labels: dict[str, list[str]]
    styles: dict[str, str]
    frames: dict[str, tuple[str, ...]]
    edges: list[tuple[str, str]]
    scopes: list[tuple[str, ...]]

    def box(self, title: str) -> str:
        """Give the one box whose label starts with `title`."""
        (box,) = [box for box, lines in self.labels.items() if lines[0] == title]
        return box

    @property
    def folded(self) -> list[str]:
        return [box for box, style in self.styles.items() if "shape=folder" in style]


def read(dot: graphviz.Digraph) -> Drawn:
    """Read the statements of the DOT text, which are one a line."""
    drawn = Drawn({}, {}, {}, [], [])
    scope: tuple[str, ...] = ()
    lines = iter(dot.body)
    for line in lines:
        if line.startswith("subgraph cluster_"):
            scope = (*scope, *lines_of(FRAME.fullmatch(next(lines))[1]))
            drawn.scopes.append(scope)
        elif line == "}\n":
            scope = scope[:-1]
        elif match := NODE.fullmatch(line):
            box, label, drawn.styles[match[1]] = match.groups()
            drawn.labels[box] = lines_of(label)
            drawn.frames[box] = scope
        else:
            drawn.edges.append(EDGE.fullmatch(line).groups())
    assert scope == ()
    return drawn


def lines_of(label: str) -> list[str]:
    """Undo the quotes and escapes of a label."""
    text = label[1:-1] if label.startswith('"') else label
    return re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), text).split("\n")


def nodes_below(*outputs: tg.Node) -> list[tg.Node]:
    found = dict.fromkeys(outputs)
    waiting = list(outputs)
    while waiting:
        for x in waiting.pop().inputs:
            if isinstance(x, tg.Node) and x not in found:
                found[x] = None
                waiting.append(x)
    return list(found)


def constants_of(nodes: list[tg.Node]) -> list[Any]:
    """Give scalars as often as they are used, and arrays once."""
    used = [x for node in nodes for x in node.inputs if not isinstance(x, tg.Node)]
    arrays = {id(x): x for x in used if isinstance(x, np.ndarray)}
    return [*arrays.values(), *(x for x in used if not isinstance(x, np.ndarray))]


def prefixes(scope: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [scope[:depth] for depth in range(1, len(scope) + 1)]


@st.composite
def graphs(draw: st.DrawFn, max_depth: int = 3) -> tg.Node:
    """Draw graphs of nodes with names of their own, in scopes that are entered again and again."""
    nodes = [tg.Node(1.0, name="first")]
    for number in range(draw(st.integers(1, 40))):
        with ExitStack() as scopes:
            path = draw(st.text("ab", max_size=max_depth))
            for depth in range(1, len(path) + 1):
                scopes.enter_context(tg.scope(f"scope {path[:depth]}"))
            left = nodes[draw(st.integers(0, len(nodes) - 1))]
            node = draw(
                st.sampled_from(
                    [
                        lambda left=left: left + nodes[-1],
                        lambda: nodes[-1] * 2.0,
                        lambda: tg.Node(1.0),
                        lambda left=left: left * left,
                    ]
                )
            )()
        node.name = f"node {number}"
        nodes.append(node)
    for node in nodes[::-5]:
        total = nodes[-1] + node
        total.name = f"total {node.name}"
        nodes.append(total)
    return nodes[-1]


def two_layers() -> tg.Node:
    x = tg.Node(np.ones((5, 4), np.float32), requires_grad=False, name="x")
    for number, (inputs, outputs, activation) in enumerate(
        [(4, 3, tg.nn.relu), (3, 2, tg.nn.softmax)], start=1
    ):
        with tg.scope(f"layer {number}"):
            w = tg.Node(np.ones((outputs, inputs), np.float32), name=f"W{number}")
            b = tg.Node(np.ones(outputs, np.float32), name=f"b{number}")
            x = activation(tg.nn.linear(x, w, b))
    with tg.scope("loss"):
        loss = tg.nn.quadratic(x, np.ones((5, 2), np.float32))
    loss.name = "loss"
    return loss


def chain(length: int) -> tg.Node:
    node = tg.Node(1.0, name="start")
    for _ in range(length):
        node = np.tanh(node)
    node.name = "end"
    return node


@given(graphs())
def test_every_node_constant_edge_and_scope_is_drawn(output: tg.Node) -> None:
    drawn = read(render(output))
    nodes = nodes_below(output)
    assert len(drawn.labels) == len(nodes) + len(constants_of(nodes))
    by_name = {node.name: node for node in nodes}
    boxes = {title: drawn.box(title) for title in by_name}
    for name, node in by_name.items():
        arguments = [tail for tail, head in drawn.edges if head == boxes[name]]
        expected = [boxes[x.name] if isinstance(x, tg.Node) else "2" for x in node.inputs]
        assert [box if box in boxes.values() else "2" for box in arguments] == expected
        assert drawn.frames[boxes[name]] == node.scope
    expected_scopes = {scope for node in nodes for scope in prefixes(node.scope)}
    assert Counter(drawn.scopes) == Counter(expected_scopes)
    assert not drawn.folded


@given(graphs(), st.integers(1, 60))
def test_folding_keeps_the_limit_and_every_node(output: tg.Node, max_nodes: int) -> None:
    nodes = nodes_below(output)
    total = len(nodes) + len(constants_of(nodes))
    drawn = read(render(output, max_nodes=max_nodes))
    assert len(drawn.labels) <= max_nodes
    assert bool(drawn.folded) == (total > max_nodes)
    counts = [line for box in drawn.folded for line in drawn.labels[box] if line.endswith(" nodes")]
    hidden = sum(int(count.removesuffix(" nodes")) for count in counts)
    assert hidden + len(drawn.labels) - len(drawn.folded) == total


@given(graphs(), st.integers(1, 60))
def test_folding_shows_the_edges_that_are_there_and_no_others(
    output: tg.Node, max_nodes: int
) -> None:
    drawn = read(render(output, max_nodes=max_nodes))
    titles = {lines[0]: box for box, lines in drawn.labels.items()}
    runs = {box for box in drawn.folded if drawn.labels[box][0].endswith(" nodes")}

    def places(x: Any) -> set[str]:
        """Give the boxes that can hold a node or a constant."""
        if not isinstance(x, tg.Node):
            return runs | {box for box, lines in drawn.labels.items() if lines == ["2"]}
        if x.name in titles:
            return {titles[x.name]}
        return {titles[scope[-1]] for scope in prefixes(x.scope) if scope[-1] in titles} or runs

    possible = set()
    for node in nodes_below(output):
        for x in node.inputs:
            pairs = {(tail, head) for tail in places(x) for head in places(node)}
            assert not isinstance(x, tg.Node) or any(
                tail == head or (tail, head) in drawn.edges for tail, head in pairs
            )
            possible |= pairs
    assert set(drawn.edges) <= possible
    repeated = {edge for edge, times in Counter(drawn.edges).items() if times > 1}
    assert not {box for edge in repeated for box in edge} & set(drawn.folded)


@given(graphs(max_depth=0), st.integers(1, 60))
def test_folded_runs_make_no_cycles(output: tg.Node, max_nodes: int) -> None:
    drawn = read(render(output, max_nodes=max_nodes))
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for tail, head in drawn.edges:
        sorter.add(head, tail)
    sorter.prepare()


def test_runs_folded_beside_scopes_make_no_cycle() -> None:
    x = tg.Node(1.0)
    with tg.scope("scope"):
        first = np.exp(np.exp(x))
    after = np.sin(np.sin(first))
    before = np.cos(np.cos(x))
    with tg.scope("scope"):
        last = np.exp(before)
    drawn = read(render(after, last, max_nodes=7))
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for tail, head in drawn.edges:
        sorter.add(head, tail)
    sorter.prepare()
    assert len(drawn.labels) <= 7


def test_labels_name_ops_params_shapes_and_dtypes() -> None:
    x = tg.Node(np.ones((4, 3), np.float32), name="x")
    y = np.sum(x[:, 1:3], axis=(0, 1), keepdims=True)
    y.name = "y"
    drawn = read(render(y))
    assert drawn.labels[drawn.box("x")] == ["x", "float32 (4, 3)"]
    assert drawn.labels[drawn.box("y")] == [
        "y",
        "sum(axis=(0, 1), keepdims=True)",
        "float32 (1, 1)",
    ]
    assert drawn.labels[drawn.box("getitem(index=(:, 1:3))")][1:] == ["float32 (4, 2)"]


def test_kinds_differ_in_shape_and_colour() -> None:
    data = tg.Node(1.0, requires_grad=False, name="data")
    op = data * 2.0
    op.name = "op"
    out = op + tg.Node(1.0, name="parameter")
    out.name = "out"
    drawn = read(render(out))
    styles = {
        re.sub("color=|fillcolor=", "", drawn.styles[drawn.box(title)])
        for title in ("data", "2", "op", "parameter", "out")
    }
    assert len(styles) == 5
    assert "penwidth=2.5" in drawn.styles[drawn.box("out")]


def test_a_leaf_can_be_an_output_and_outputs_may_repeat() -> None:
    x = tg.Node(1.0, name="x")
    y = np.tanh(x)
    drawn = read(render(y, x, y))
    assert len(drawn.labels) == 2
    assert all("penwidth=2.5" in style for style in drawn.styles.values())


def test_an_array_is_one_box_and_a_scalar_one_a_use() -> None:
    x = tg.Node(np.ones(3), name="x")
    array = np.arange(3.0)
    array.flags.writeable = False
    with tg.scope("a"), tg.scope("b"):
        first = x * array * 2
    with tg.scope("a"), tg.scope("c"):
        second = x + array + 2
    drawn = read(render(first, second))
    assert [lines for lines in drawn.labels.values() if lines[0] in ("constant", "2")] == [
        ["constant", "float64 (3,)"],
        ["2"],
        ["2"],
    ]
    assert drawn.frames[drawn.box("constant")] == ("a",)


@pytest.mark.parametrize(
    ("constant", "lines"),
    [
        (3, ["3"]),
        (0.1, ["0.1"]),
        (1 / 3, ["0.333333"]),
        (1e-20j, ["0+1e-20j"]),
        (np.float32(0.1), ["0.1", "float32 ()"]),
        (np.longdouble(0.5), ["0.5", f"{np.dtype(np.longdouble)} ()"]),
        (np.int8(-3), ["-3", "int8 ()"]),
        (np.array([[7.0]]), ["7", "float64 (1, 1)"]),
    ],
)
def test_small_constants_show_their_value(constant: Any, lines: list[str]) -> None:
    assert lines in read(render(tg.Node(1.0) * constant)).labels.values()


def test_the_deepest_scopes_fold_first_and_the_largest_of_these() -> None:
    x = tg.Node(1.0)
    with tg.scope("outer"):
        x = np.sin(np.sin(np.sin(np.sin(x))))
        with tg.scope("small"):
            x = np.exp(np.exp(x))
        with tg.scope("large"):
            x = np.cos(np.cos(np.cos(x)))

    def folded(max_nodes: int) -> set[str]:
        drawn = read(render(x, max_nodes=max_nodes))
        return {drawn.labels[box][0] for box in drawn.folded}

    assert folded(10) == set()
    assert folded(9) == folded(8) == {"large"}
    assert folded(7) == {"large", "small"}
    assert folded(6) == folded(2) == {"outer"}
    assert folded(1) == {"10 nodes"}


def test_a_folded_box_says_what_goes_in_and_out() -> None:
    drawn = read(render(two_layers(), max_nodes=4))
    assert drawn.labels[drawn.box("layer 1")] == [
        "layer 1",
        "4 nodes",
        "in: x (5, 4)",
        "out: relu (5, 3)",
    ]
    assert drawn.labels[drawn.box("loss")][2:] == ["in: softmax (5, 2)", "out: loss ()"]
    assert "penwidth=2.5" in drawn.styles[drawn.box("loss")]


def test_a_folded_box_names_few_of_many_inputs() -> None:
    leaves = [tg.Node(1.0, name=f"x{number}") for number in range(10)]
    with tg.scope("all"):
        total = np.exp(np.stack(leaves))
    drawn = read(render(total, max_nodes=11))
    lines = drawn.labels[drawn.box("all")]
    assert [line for line in lines if line.startswith("in: ")][3:] == ["in: 7 more"]


def test_the_middle_of_a_long_chain_folds_so_that_both_ends_are_seen() -> None:
    drawn = read(render(chain(LONG)))
    assert len(drawn.labels) == 200
    (folded,) = drawn.folded
    assert drawn.labels[folded][0] == f"{LONG + 1 - 199:,} nodes"
    assert drawn.box("start")
    assert drawn.box("end")
    assert len(drawn.edges) == 199


def test_long_graphs_with_many_scopes_and_wide_ops_fold() -> None:
    x = tg.Node(1.0)
    parts = []
    for number in range(LONG // 100):
        with tg.scope(f"block {number}"):
            parts.append(np.exp(x) * 2.0)
    drawn = read(render(np.stack(parts)))
    assert len(drawn.labels) <= 200
    assert len(drawn.edges) <= 2 * 200


def test_scopes_nest_deeper_than_the_recursion_limit() -> None:
    x = tg.Node(1.0)
    with ExitStack() as scopes:
        for depth in range(1500):
            scopes.enter_context(tg.scope(f"scope {depth}"))
        y = np.exp(x)
    assert len(read(render(y)).scopes) == 1500


def test_statistics_show_the_range_of_values_and_gradients() -> None:
    x = tg.Node([1.0, 2.0, 6.0], name="x")
    y = np.sum(-x * np.array([1.0, -2.0, 0.0]))
    y.name = "y"
    y.backward()
    drawn = read(render(y, statistics=True))
    assert drawn.labels[drawn.box("x")][2:] == [
        "value: min 1, mean 3, max 6",
        "|gradient|: min 0, mean 1, max 2",
    ]
    assert drawn.labels[drawn.box("y")][-1] == "value 3"
    assert "mean" not in render(y).source


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([3 + 4j, 0j], "|value|: min 0, mean 2.5, max 5"),
        ([np.nan, 1.0], "value: min nan, mean nan, max nan"),
        ([np.inf, -np.inf], "value: min -inf, mean nan, max inf"),
        (np.full(9, 6e4, np.float16), "value: min 6e+04, mean 6e+04, max 6e+04"),
        ([True, False], "value: min 0, mean 0.5, max 1"),
    ],
)
def test_statistics_of_unusual_values(values: Any, line: str) -> None:
    drawn = read(render(tg.Node(values, requires_grad=False, name="x"), statistics=True))
    assert drawn.labels[drawn.box("x")][-1] == line


def test_statistics_of_no_values_and_of_gradients_that_are_nodes() -> None:
    empty = tg.Node(np.ones((0, 2)), name="empty")
    assert read(render(empty, statistics=True)).labels == {"n0": ["empty", "float64 (0, 2)"]}
    x = tg.Node(2.0, name="x")
    (x * x).backward(create_graph=True)
    assert read(render(x, statistics=True)).labels["n0"][-1] == "|gradient| 4"


def shown(name: str) -> str:
    """Give what of a name a picture shows, as Python would write it."""
    visible = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return "".join(visible)


def svg_texts(svg: str, kind: str) -> list[list[str]]:
    """Read the lines of text that an SVG shows for its nodes or clusters."""
    groups = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return [
        [text.text.replace("\xa0", " ") for text in group.iter("{http://www.w3.org/2000/svg}text")]
        for group in groups
        if group.get("class") == kind
    ]


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
    svg = render(x, max_nodes=1000, name=names[0]).pipe(encoding="utf-8", quiet=True)
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
    assert drawn.box("getitem(index=int64 (1000,))")


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


def test_data_flows_down_and_arguments_stand_from_left_to_right() -> None:
    x = tg.Node(1.0, name="x")
    y = tg.Node(2.0, name="y")
    dot = render((np.sin(x) - np.exp(y)) * (y - x))
    places = {}
    for line in dot.pipe(format="plain", encoding="utf-8").splitlines():
        if line.startswith("node"):
            _, box, across, up, *_ = line.split()
            places[box] = float(across), float(up)
    drawn = read(dot)
    for box in drawn.labels:
        arguments = [places[tail] for tail, head in drawn.edges if head == box]
        assert [across for across, _ in arguments] == sorted(across for across, _ in arguments)
        assert all(up > places[box][1] for _, up in arguments)


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


def test_bad_arguments_are_refused() -> None:
    x = tg.Node(1.0)
    with pytest.raises(TypeError, match=r"got list; write render\(\*nodes\)"):
        render([x])
    with pytest.raises(TypeError, match="got nothing"):
        render()
    with pytest.raises(ValueError, match="got 0"):
        render(x, max_nodes=0)
