"""Pictures show the graph that is there: every box, edge and scope of it."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygraph as tg
from tests.pictures.reading import (
    blocks,
    constants_of,
    graphs,
    nodes_below,
    prefixes,
    read,
    two_layers,
)
from tinygraph.testing import Graph
from tinygraph.testing import graphs as programs


@given(graphs())
def test_every_node_constant_edge_and_scope_is_drawn(output: tg.Node) -> None:
    drawn = read(tg.render(output, unfold="*"))
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


def test_kinds_differ_in_shape_and_colour() -> None:
    data = tg.Node(1.0, requires_grad=False, name="data")
    op = data * 2.0
    op.name = "op"
    out = op + tg.Node(1.0, name="parameter")
    out.name = "out"
    drawn = read(tg.render(out))
    kinds = ("color", "fillcolor", "shape", "style")
    styles = {
        tuple(drawn.styles[drawn.box(title)].get(key) for key in kinds)
        for title in ("data", "2", "op", "parameter", "out")
    }
    assert len(styles) == 5
    shapes = [drawn.styles[drawn.box(x)].get("shape") for x in ("data", "2", "op", "parameter")]
    assert len(set(shapes)) == 3
    assert drawn.styles[drawn.box("out")]["penwidth"] == "2"


def test_a_leaf_can_be_an_output_and_outputs_may_repeat() -> None:
    x = tg.Node(1.0, name="x")
    y = np.tanh(x)
    drawn = read(tg.render(y, x, y))
    assert len(drawn.labels) == 2
    assert all(style["penwidth"] == "2" for style in drawn.styles.values())


def test_an_array_is_one_box_and_a_scalar_one_a_use() -> None:
    x = tg.Node(np.ones(3), name="x")
    array = np.arange(3.0)
    array.flags.writeable = False
    with tg.scope("a"), tg.scope("b"):
        first = x * array * 2
    with tg.scope("a"), tg.scope("c"):
        second = x + array + 2
    drawn = read(tg.render(first, second))
    titles = Counter(lines[0] for lines in drawn.labels.values())
    assert (titles["constant"], titles["2"]) == (1, 2)
    assert drawn.frames[drawn.box("constant")] == ("a",)


def test_edges_carry_shapes_and_the_dtypes_that_are_not_usual() -> None:
    x = tg.Node(np.ones((4, 3), np.float32), name="x")
    w = tg.Node(np.ones(3, np.float32), name="w")
    rows = x @ w
    rows.name = "rows"
    out = np.sum(rows * np.ones(4))
    out.name = "out"
    drawn = read(tg.render(out))
    assert drawn.edge("x", "rows")["label"] == "<&#160;4\N{MULTIPLICATION SIGN}3>"
    assert drawn.edge("w", "rows")["label"] == "<&#160;3>"
    assert drawn.edge("\N{MULTIPLICATION SIGN}", "out")["label"] == "<&#160;4&#160;float64>"
    legend = tg.render(out).source
    assert "others&#160;are&#160;float32" in legend


def test_scalars_have_edges_without_labels() -> None:
    x = tg.Node(2.0, name="x")
    drawn = read(tg.render(np.sin(x) * x))
    assert all("label" not in style for styles in drawn.edge_styles.values() for style in styles)


def test_arguments_whose_order_matters_enter_from_left_and_right() -> None:
    x, y = tg.Node(1.0, name="x"), tg.Node(2.0, name="y")
    ports = read(tg.render(y - x))
    assert ports.edge("y", "\N{MINUS SIGN}")["headport"] == "nw"
    assert ports.edge("x", "\N{MINUS SIGN}")["headport"] == "ne"
    plus = read(tg.render(y + x))
    assert "headport" not in plus.edge("y", "+")
    assert "headport" not in str(read(tg.render(x - x)).edge_styles)


def test_a_parameter_made_outside_stands_where_it_is_used() -> None:
    drawn = read(tg.render(blocks(2)))
    assert drawn.frames[drawn.box("W2")] == ("block 2",)
    assert drawn.frames[drawn.box("x")] == ()
    x, w = tg.Node(1.0, requires_grad=False, name="x"), tg.Node(1.0, name="w")
    with tg.scope("a"):
        y = w * x
    with tg.scope("b"):
        z = w + y
    assert read(tg.render(z)).frames[read(tg.render(z)).box("w")] == ()


def test_several_results_are_named_by_their_number() -> None:
    u, s, v = np.linalg.svd(tg.Node(np.eye(3), name="A"))
    drawn = read(tg.render(np.sum(u) + np.sum(s) + np.sum(v)))
    results = [box for box, lines in drawn.labels.items() if lines[0] in ("[0]", "[1]", "[2]")]
    tails = {tail for tail, head in drawn.edges if head in results}
    assert len(results) == 3
    assert [drawn.labels[tail][0] for tail in tails] == ["svd"]
    assert "float64 (3, 3), float64 (3,), float64 (3, 3)" in drawn.styles[tails.pop()]["tooltip"]


def test_the_line_of_a_node_is_its_tooltip() -> None:
    class Placed:
        op, requires_grad, name, scope = None, True, "w", ()
        inputs, params, shape, dtype = (), {}, (2,), np.dtype(float)
        line = "/some/where/train.py:12"

    from tinygraph.pictures.labels import tooltip_of

    assert tooltip_of(Placed()) == "w\nparameter\nfloat64 (2,)\ntrain.py:12"


def test_the_legend_names_the_colours_that_are_used() -> None:
    source = tg.render(two_layers()).source
    words = re.findall(r"&#160;(\w+)&#160;</FONT>", source)
    assert words == ["input", "parameter", "operation", "output"]
    assert "all&#160;values&#160;are&#160;float32" in source
    assert "<TABLE" not in tg.render(two_layers(), legend=False).source


def test_the_themes_draw_the_same_in_other_colours() -> None:
    light, dark = (tg.render(two_layers(), theme=theme) for theme in ("light", "dark"))
    colours = re.compile(r'#[0-9a-f]{6}"?')
    assert light.source != dark.source
    plain = [re.sub('"', "", colours.sub("", "".join(dot.body))) for dot in (light, dark)]
    assert plain[0] == plain[1]


@given(programs(), st.booleans())
def test_any_program_is_drawn_with_all_its_nodes(program: Graph, backward: bool) -> None:
    results = program(*map(tg.Node, program.inputs))
    outputs = [results] if isinstance(results, tg.Node) else [*results]
    assume(all(x.requires_grad for x in outputs))
    drawn = read(tg.render(*outputs, backward=backward, max_nodes=10**6))
    nodes = nodes_below(*outputs)
    count = len(nodes) + len(constants_of(nodes))
    assert len(drawn.labels) > count if backward else len(drawn.labels) == count


def test_bad_arguments_are_refused() -> None:
    x = tg.Node(1.0)
    with pytest.raises(TypeError, match=r"got list; write render\(\*nodes\)"):
        tg.render([x])
    with pytest.raises(TypeError, match="got nothing"):
        tg.render()
    with pytest.raises(ValueError, match="got 0"):
        tg.render(x, max_nodes=0)
    with pytest.raises(ValueError, match="a theme of light, dark, got 'blue'"):
        tg.render(x, theme="blue")
    with pytest.raises(ValueError, match="show='vlaues' is none of 'gradients', 'values'"):
        tg.render(x, show="vlaues")
    with pytest.raises(ValueError, match="fold='layer 9' names no scope; there are 'layer 1', "):
        tg.render(two_layers(), fold="layer 9")
    with pytest.raises(ValueError, match="depend on no leaf that requires gradients"):
        tg.render(tg.Node(1.0, requires_grad=False) * 2, backward=True)
