"""Pictures of any size can be read: scopes, repeated blocks and runs fold."""

import os
from collections import Counter
from contextlib import ExitStack
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.pictures.reading import (
    blocks,
    chain,
    constants_of,
    graphs,
    nodes_below,
    prefixes,
    read,
    two_layers,
)
from tinygraph import render

LONG = 1_000_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 100_000


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
    assert folded(6) == folded(1) == {"outer"}


def test_a_folded_box_says_what_goes_in_and_out() -> None:
    drawn = read(render(two_layers(), max_nodes=4))
    assert drawn.labels[drawn.box("layer 1")] == [
        "layer 1",
        "4 nodes",
        "in: x 5\N{MULTIPLICATION SIGN}4",
        "out: relu 5\N{MULTIPLICATION SIGN}3",
    ]
    assert drawn.labels[drawn.box("loss")][2:] == [
        "in: softmax 5\N{MULTIPLICATION SIGN}2",
        "out: loss",
    ]
    assert drawn.styles[drawn.box("loss")]["penwidth"] == "2"


def test_a_folded_box_names_few_of_many_inputs() -> None:
    leaves = [tg.Node(1.0, requires_grad=False, name=f"x{number}") for number in range(10)]
    with tg.scope("all"):
        total = np.exp(np.stack(leaves) * tg.Node(1.0))
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


def test_scopes_fold_and_stay_open_by_name_path_and_pattern() -> None:
    def folded(**options: Any) -> list[str]:
        drawn = read(render(two_layers(), **options))
        return [drawn.labels[box][0] for box in drawn.folded]

    assert folded() == []
    assert folded(fold="layer 1") == ["layer 1"]
    assert folded(fold=("layer *", "loss")) == ["layer 1", "layer 2", "loss"]
    assert folded(fold="layer *", unfold="layer 2") == ["layer 1"]
    assert folded(max_nodes=9) == ["layer 1"]
    assert folded(max_nodes=9, unfold="layer 1") == ["layer 2"]
    with tg.scope("a"), tg.scope("b"):
        inner = np.exp(np.sin(tg.Node(1.0)))
    drawn = read(render(inner, fold="a/b"))
    assert [drawn.labels[box][0] for box in drawn.folded] == ["b"]


def test_a_name_with_the_characters_of_patterns_is_found() -> None:
    with tg.scope("w[0]*"):
        y = np.exp(np.sin(tg.Node(1.0)))
    assert len(read(render(y, fold="w[0]*")).folded) == 1


def test_equal_neighbours_are_drawn_once_with_their_number() -> None:
    drawn = read(render(blocks(12)))
    assert drawn.scopes == [("block 1 … block 12  \N{MULTIPLICATION SIGN}12",)]
    assert drawn.box("W1 … W12")
    assert len(drawn.labels) == 5
    product, end = drawn.box("@"), drawn.box("+ … end")
    dashed = {edge for edge, [style, *_] in drawn.edge_styles.items() if "dashed" in str(style)}
    assert dashed == {(end, product), (end, end)}
    assert len(drawn.edges) == 5 + 2
    assert "dashed:&#160;to&#160;the&#160;next&#160;copy" in render(blocks(12)).source


def test_two_neighbours_and_unequal_ones_are_drawn_side_by_side() -> None:
    assert len(read(render(blocks(2))).scopes) == 2
    assert len(read(render(blocks(12), unfold="*")).scopes) == 12
    x = tg.Node(1.0)
    for number in range(4):
        with tg.scope(f"block {number}"):
            x = np.exp(np.sin(x)) if number == 1 else np.exp(np.cos(x))
    assert [scope[0] for scope in read(render(x)).scopes] == [f"block {i}" for i in range(4)]


def test_a_block_that_stays_open_parts_the_equal_ones() -> None:
    scopes = [scope[0] for scope in read(render(blocks(7), unfold="block 4")).scopes]
    times = "\N{MULTIPLICATION SIGN}3"
    assert scopes == [f"block 1 … block 3  {times}", "block 4", f"block 5 … block 7  {times}"]


def test_repeated_blocks_nest_and_fold() -> None:
    x = tg.Node(1.0, name="x")
    for outer in range(5):
        with tg.scope(f"outer {outer}"):
            for inner in range(4):
                with tg.scope(f"inner {inner}"):
                    x = np.tanh(x)
            x = np.exp(x)
    drawn = read(render(x))
    first, second = "outer 0 … outer 4  \N{MULTIPLICATION SIGN}5", "inner 0 … inner 3"
    assert drawn.scopes == [(first,), (first, f"{second}  \N{MULTIPLICATION SIGN}4")]
    assert [lines[0] for lines in drawn.labels.values()] == ["x", "tanh", "exp"]
    tanh, exp = drawn.box("tanh"), drawn.box("exp")
    assert [edge for edge, [style] in drawn.edge_styles.items() if "style" in style] == [
        (tanh, tanh),
        (exp, tanh),
    ]
    folded = read(render(x, fold="outer *"))
    assert folded.labels[folded.folded[0]][:2] == [
        "outer 0 … outer 4 \N{MULTIPLICATION SIGN}5",
        "25 nodes",
    ]


@given(graphs(), st.integers(1, 60))
def test_repeats_and_folds_show_every_node_once(output: tg.Node, max_nodes: int) -> None:
    nodes = nodes_below(output)
    drawn = read(render(output, max_nodes=max_nodes))
    assert len(drawn.labels) <= max_nodes
    assert len({*drawn.labels}) == len(drawn.labels)
    assert {box for edge in drawn.edges for box in edge} <= {*drawn.labels}
    assert len(drawn.labels) <= len(nodes) + len(constants_of(nodes))
