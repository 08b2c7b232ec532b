"""The DOT text of a picture: boxes in frames, edges, and a legend."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tinygraph.pictures.boxes import box_of, frame_of
from tinygraph.pictures.drawing import Drawing
from tinygraph.pictures.labels import kind_of, markup, size_text, symbol_of
from tinygraph.pictures.model import ADDED, AGAIN, BACKWARD, BAD, REMOVED, Scope
from tinygraph.pictures.style import FONT, LEGEND, Theme

if TYPE_CHECKING:
    import graphviz

Edge = tuple[int, int, str]
"""Two boxes, and what is special about the edge between them."""

ORDERED = {"−", "÷", "@"}  # noqa: RUF001
"""Symbols of ops of which it matters which input comes first."""


def attributes_of_graph(theme: Theme) -> dict[str, dict[str, str]]:
    """Give what all parts of a picture have in common, as graphviz.Digraph takes it."""
    font = {"fontname": FONT, "fontsize": "11", "fontcolor": theme.text}
    # Without nslimit, dot takes minutes over a node that a hundred others use.
    graph = {"bgcolor": theme.background, "nodesep": "0.25", "ranksep": "0.3", "nslimit": "2"}
    box = {"shape": "box", "style": "filled", "margin": "0.1,0.05", "height": "0.3"}
    edge = {"color": theme.edge, "arrowsize": "0.6", "fontname": FONT, "fontsize": "9"}
    return {
        "graph_attr": graph | font,
        "node_attr": box | font,
        "edge_attr": edge | {"fontcolor": theme.detail},
    }


def draw(dot: graphviz.Digraph, drawing: Drawing, legend: bool) -> None:
    """Write a picture."""
    contents = contents_of_frames(drawing)
    if len(contents) == 1:
        # Graphviz 2.43 crashes where frames and ordered edges meet.
        dot.graph_attr["ordering"] = "in"
    draw_boxes(dot, drawing, contents)
    edges = edges_of(drawing)
    for edge, tails in edges:
        dot.edge(f"n{edge[0]}", f"n{edge[1]}", **edge_of(drawing, edge, tails))
    if legend:
        repeats = any(mark == AGAIN for (_, _, mark), _ in edges)
        dot.graph_attr.update(label=legend_of(drawing, repeats), labelloc="b")


def contents_of_frames(drawing: Drawing) -> dict[Scope, list[int | Scope]]:
    """Give for every scope its boxes and the scopes in it, in the order of what is in them."""
    contents: defaultdict[Scope, list[int | Scope]] = defaultdict(list)
    for box in drawing.order:
        entry: int | Scope = box
        scope = drawing.scope_of(box)
        contents[scope].append(entry)
        while scope and len(contents[scope]) == 1:
            entry, scope = scope, scope[:-1]
            contents[scope].append(entry)
    return contents


def draw_boxes(
    dot: graphviz.Digraph, drawing: Drawing, contents: dict[Scope, list[int | Scope]]
) -> None:
    """Write the boxes into the frames of their scopes."""
    stack: list[int | Scope | None] = [*reversed(contents[()])]
    while stack:
        top = stack.pop()
        if top is None:
            dot.body.append("}\n")
        elif isinstance(top, tuple):
            dot.body.append(f"subgraph cluster_{len(dot.body)} {{\n")
            dot.attr(**frame_of(drawing, top))
            stack += [None, *reversed(contents[top])]
        else:
            dot.node(f"n{top}", **box_of(drawing, top))


def edges_of(drawing: Drawing) -> list[tuple[Edge, list[int]]]:
    """Give the edges with the items whose values go along them.

    Between two boxes of which one is folded there is one edge for all, and copies of a block add
    none to those of the first copy.
    """
    picture, boxes = drawing.picture, drawing.boxes
    place = {box: position for position, box in enumerate(drawing.order)}
    found: list[tuple[Edge, list[int]]] = []
    known: dict[Edge, list[int]] = {}
    pairs = picture.edges.tolist()
    numbers = sorted(range(len(pairs)), key=lambda number: place[boxes[pairs[number][1]]])
    # Those of the first copy, whose items lend their boxes their numbers, come first.
    for number in sorted(numbers, key=lambda number: pairs[number][1] != boxes[pairs[number][1]]):
        tail, head = pairs[number]
        edge = boxes[tail], boxes[head], picture.edge_marks.get(number, "")
        is_folded = edge[0] in picture.folded or edge[1] in picture.folded
        if edge[0] == edge[1] and (is_folded or edge[2] != AGAIN):
            continue
        is_copy = head != boxes[head] and not is_folded
        if edge not in known or not (is_copy or is_folded or tail != boxes[tail]):
            known[edge] = []
            found.append((edge, known[edge]))
        if not known[edge] or not is_copy:
            known[edge].append(tail)
    return found


def edge_of(drawing: Drawing, edge: Edge, tails: list[int]) -> dict[str, str]:
    """Give the attributes of an edge: its label, and what its mark says."""
    tail, head, mark = edge
    looks = drawing.theme.looks
    items = drawing.picture.items
    sizes = {size_text(items[item], drawing.usual) for item in tails}
    text = sizes.pop() if len(sizes) == 1 else ""
    count = len(set(tails))
    if count > 1:
        text = f"{count:,} of {text}" if text else f"{count:,} values"
    attributes = {"label": f"<&#160;{markup(text)}>"} if text else {}
    if drawing.kind_of(tail) in ("op", "folded"):
        # What is computed goes straight down, beside what is given.
        attributes["weight"] = "4"
        if drawing.scope_of(head) != drawing.scope_of(tail):
            # What a frame is given by itself then stands below the frame above, not beside it.
            attributes["minlen"] = "2"
    if mark == AGAIN:
        attributes = {"style": "dashed", "constraint": "false"}
    elif mark in (ADDED, REMOVED, BAD):
        attributes |= {"color": looks[mark].line, "penwidth": "1.6"}
    elif BACKWARD in (drawing.looks[tail], drawing.looks[head]):
        attributes["color"] = looks[BACKWARD].line
    if mark == REMOVED:
        attributes["style"] = "dashed"
    first = place_of_argument(items[head], items[tails[0]])
    if first is not None and drawing.kind_of(head) == "op":
        attributes["headport"] = "nw" if first else "ne"
    return attributes


def place_of_argument(head: Any, tail: Any) -> bool | None:
    """Tell whether `tail` is the first of two inputs, None where their order is nothing."""
    if kind_of(head) != "op" or symbol_of(head) not in ORDERED or len(head.inputs) != 2:
        return None
    first, second = head.inputs
    return None if first is second else first is tail


def legend_of(drawing: Drawing, repeats: bool) -> str:
    """Write what the colours mean, and the dtype of values where all have the same."""
    looks = drawing.theme.looks
    used = set(drawing.looks.values())
    cells = [
        f'<TD BORDER="1" STYLE="rounded" COLOR="{looks[look].line}" BGCOLOR="{looks[look].fill}">'
        f'<FONT COLOR="{looks[look].text}">&#160;{text}&#160;</FONT></TD>'
        for look, text in LEGEND.items()
        if look in used
    ]
    notes = ["dashed: to the next copy"] if repeats else []
    if drawing.usual is not None:
        which = "others are" if drawing.has_other_dtypes else "all values are"
        text = f"{which} {drawing.usual}"
        notes.append(text)
    detail = drawing.theme.detail
    cells += [f'<TD><FONT COLOR="{detail}">{markup(note)}</FONT></TD>' for note in notes]
    return (
        '<<FONT POINT-SIZE="9"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="5" CELLPADDING="2">'
        f"<TR>{''.join(cells)}</TR></TABLE></FONT>>"
    )
