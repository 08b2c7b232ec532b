"""Reading the DOT text of pictures, and graphs to draw."""

import html
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from contextlib import ExitStack
from typing import Any, NamedTuple

import graphviz
import numpy as np
from hypothesis import strategies as st

import tinygraph as tg

HTML = r"<(?:[^<>]|<[^<>]*>)*>"
VALUE = rf'({HTML}|"(?:[^"\\]|\\.)*"|[^\s\]]+)'
ATTRIBUTE = re.compile(rf"(\w+)={VALUE}")
NODE = re.compile(rf"\t(n\d+) \[((?:\w+={VALUE} ?)*)\]\n")
EDGE = re.compile(rf"\t(n\d+) -> (n\d+)(?: \[((?:\w+={VALUE} ?)*)\])?\n")
FRAME = re.compile(rf"\t((?:\w+={VALUE} ?)*)\n")


class Drawn(NamedTuple):
    """What the DOT text says: labels' lines, attributes and frames of boxes; edges; all frames."""

    labels: dict[str, list[str]]
    styles: dict[str, dict[str, str]]
    frames: dict[str, tuple[str, ...]]
    edges: list[tuple[str, str]]
    edge_styles: dict[tuple[str, str], list[dict[str, str]]]
    scopes: list[tuple[str, ...]]

    def box(self, title: str) -> str:
        """Give the one box whose label starts with `title`."""
        (box,) = [box for box, lines in self.labels.items() if lines[0] == title]
        return box

    def edge(self, tail: str, head: str) -> dict[str, str]:
        """Give the attributes of the one edge between the boxes with these titles."""
        (style,) = self.edge_styles[self.box(tail), self.box(head)]
        return style

    @property
    def folded(self) -> list[str]:
        return [box for box, style in self.styles.items() if style.get("peripheries") == "2"]


def read(dot: graphviz.Digraph) -> Drawn:
    """Read the statements of the DOT text, which are one a line."""
    drawn = Drawn({}, {}, {}, [], defaultdict(list), [])
    scope: tuple[str, ...] = ()
    lines = iter(dot.body)
    for line in lines:
        if line.startswith("subgraph cluster_"):
            style = attributes(FRAME.fullmatch(next(lines))[1])
            scope = (*scope, *lines_of(style["label"]))
            drawn.scopes.append(scope)
        elif line == "}\n":
            scope = scope[:-1]
        elif match := NODE.fullmatch(line):
            box, text = match[1], match[2]
            drawn.styles[box] = attributes(text)
            drawn.labels[box] = lines_of(drawn.styles[box]["label"])
            drawn.frames[box] = scope
        else:
            match = EDGE.fullmatch(line)
            drawn.edges.append((match[1], match[2]))
            drawn.edge_styles[match[1], match[2]].append(attributes(match[3] or ""))
    assert scope == ()
    return drawn


def attributes(text: str) -> dict[str, str]:
    """Read attributes; labels stay as they are."""
    return {key: value.strip('"') for key, value in ATTRIBUTE.findall(text)}


def lines_of(label: str) -> list[str]:
    """Give the lines of text of an HTML-like label."""
    lines = label[1:-1].split("<BR/>")
    texts = (html.unescape(re.sub("<[^>]*>", "", line)) for line in lines)
    return [text.replace("\xa0", " ").replace(r"\\", "\\").strip() for text in texts]


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
    nodes = [tg.Node(1.0, name="first", requires_grad=False)]
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
                        lambda: tg.Node(1.0, requires_grad=False),
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


def two_layers(activation: Any = tg.nn.relu) -> tg.Node:
    x = tg.Node(np.ones((5, 4), np.float32), requires_grad=False, name="x")
    for number, (inputs, outputs, function) in enumerate(
        [(4, 3, activation), (3, 2, tg.nn.softmax)], start=1
    ):
        with tg.scope(f"layer {number}"):
            w = tg.Node(np.ones((outputs, inputs), np.float32), name=f"W{number}")
            b = tg.Node(np.ones(outputs, np.float32), name=f"b{number}")
            x = function(tg.nn.linear(x, w, b))
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


def blocks(count: int) -> tg.Node:
    """Give a chain of equal blocks, each with a parameter that was made outside."""
    h = tg.Node(np.ones(3), requires_grad=False, name="x")
    for number in range(1, count + 1):
        w = tg.Node(np.ones((3, 3)), name=f"W{number}")
        with tg.scope(f"block {number}"):
            h = h + np.tanh(w @ h)
    h.name = "end"
    return h


def svg_texts(svg: str, kind: str) -> list[list[str]]:
    """Read the lines of text that an SVG shows for its nodes or clusters."""
    groups = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return [
        [text.text.replace("\xa0", " ") for text in group.iter("{http://www.w3.org/2000/svg}text")]
        for group in groups
        if group.get("class") == kind
    ]
