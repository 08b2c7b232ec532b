"""Pictures of graphs: DOT text of what outputs are made of, folded to a size that can be read."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby, takewhile
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.buffer import Array
from tinygraph.engine import topological_order
from tinygraph.node import Node, values_of

if TYPE_CHECKING:
    import graphviz

Scope = tuple[str, ...]

# Okabe and Ito's colours, pale inside: the colour-blind tell them apart; shapes do so in grey.
STYLES = {
    "op": {"style": "filled,rounded", "fillcolor": "#f2f2f2", "color": "#555555"},
    "leaf": {"shape": "cylinder", "fillcolor": "#d5efe5", "color": "#009e73"},
    "parameter": {"fillcolor": "#cfe5f5", "color": "#0072b2"},
    "constant": {"shape": "note", "fillcolor": "white", "color": "#8c8c8c"},
    "folded": {"shape": "folder", "fillcolor": "#e3e3e3", "color": "#333333"},
}
OUTPUT = {"fillcolor": "#fae0cc", "color": "#d55e00", "penwidth": "2.5"}
FONT = {"fontname": "Arial", "fontsize": "11"}
# Without nslimit, dot takes minutes over a node that a hundred others use.
GRAPH = {"nodesep": "0.3", "ranksep": "0.35", "nslimit": "2", **FONT}
BOX = {"shape": "box", "style": "filled", "margin": "0.12,0.06", "height": "0.3", **FONT}
EDGE = {"color": "#555555", "arrowsize": "0.6"}
FRAME = {"style": "rounded", "color": "#8c8c8c", "labeljust": "r"}
LISTED = 3
"""How many of the values that go in or out of a folded box are named on it."""

_layout = RLock()


@dataclass
class Picture:
    """Nodes and constants by number, inputs first; edges between them; the box of each.

    `folded` holds the boxes of several items, for a scope its names, for a run ().
    """

    items: list[Any]
    scopes: list[Scope]
    outputs: list[int]
    edges: Array
    boxes: Array
    folded: dict[int, Scope]


def render(
    *outputs: Node, max_nodes: int = 200, statistics: bool = False, name: str = "tinygraph"
) -> graphviz.Digraph:
    """Draw the graph below `outputs`; data flows down, edges come in the order of arguments.

    Labels say name, op with its static parameters, dtype and shape, and with `statistics` the
    range of values and gradients. Scopes are frames. Where there were more than `max_nodes` boxes,
    scopes fold into one box each, the deepest and largest first, then the middles of long runs.
    The result's `source` is DOT text; its `pipe` and `render` use Graphviz's `dot`, or else the
    engine that `pip install tinygraph[render]` brings.
    """
    import graphviz

    if not outputs or not all(isinstance(output, Node) for output in outputs):
        got = ", ".join(type(output).__name__ for output in outputs) or "nothing"
        raise TypeError(f"render: expected Nodes, got {got}; write render(*nodes) for a list")
    if max_nodes < 1:
        raise ValueError(f"render: expected max_nodes of at least 1, got {max_nodes}")
    picture = _collect(outputs)
    order = _fold(picture, max_nodes)
    dot: graphviz.Digraph = _digraph_class()(
        graphviz.escape(_printable(name)),
        format="svg",
        graph_attr=GRAPH,
        node_attr=BOX,
        edge_attr=EDGE,
    )
    _draw_boxes(dot, picture, order, statistics)
    _draw_edges(dot, picture, order)
    return dot


def to_svg(node: Node) -> str | None:
    """Draw the graph below `node` as SVG text; None where there is no layout engine."""
    if find_layout_engine() is None:
        return None
    svg: str = render(node).pipe(format="svg", encoding="utf-8", quiet=True)
    return svg


def _collect(outputs: Sequence[Node]) -> Picture:
    """Number the nodes and their constants: an array once, a scalar wherever it is used."""
    nodes = topological_order(outputs)
    items: list[Any] = list(nodes)
    scopes = [node.scope for node in nodes]
    numbers = {id(node): number for number, node in enumerate(nodes)}
    edges: list[int] = []
    for head, node in enumerate(nodes):
        for x in node.inputs:
            tail = numbers.get(id(x)) if isinstance(x, Node | np.ndarray) else None
            if tail is None:
                numbers[id(x)] = tail = len(items)
                items.append(x)
                scopes.append(node.scope)
            elif tail >= len(nodes):
                scopes[tail] = _common(scopes[tail], node.scope)
            edges += tail, head
    last = [numbers[id(node)] for node in outputs]
    pairs = np.array(edges, dtype=np.intp).reshape(-1, 2)
    return Picture(items, scopes, last, pairs, np.arange(len(items)), {})


def _common(first: Scope, second: Scope) -> Scope:
    pairs = zip(first, second, strict=False)
    return tuple(name for name, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _fold(picture: Picture, max_nodes: int) -> list[int]:
    """Put items into common boxes until there are at most `max_nodes`; give these, inputs first."""
    if len(picture.items) > max_nodes:
        _fold_scopes(picture, max_nodes)
    order = _order_of_boxes(picture)
    return _fold_runs(picture, order, max_nodes) if len(order) > max_nodes else order


def _fold_scopes(picture: Picture, max_nodes: int) -> None:
    """Give a box to each of enough scopes, the deepest first and of these the largest."""
    sizes: defaultdict[int, Counter[Scope]] = defaultdict(Counter)
    for scope in picture.scopes:
        sizes[len(scope)][scope] += 1
    folds = set()
    excess = len(picture.items) - max_nodes
    for depth in range(max(sizes), 0, -1):
        for scope, size in sizes[depth].most_common():
            if excess > 0 and size > 1:
                folds.add(scope)
                excess -= size - 1
                size = 1
            sizes[depth - 1][scope[:-1]] += size

    @cache
    def outermost(scope: Scope) -> Scope:
        around = (scope[:depth] for depth in range(1, len(scope) + 1))
        return next((whole for whole in around if whole in folds), ())

    first: dict[Scope, int] = {}
    for item, scope in enumerate(picture.scopes):
        if whole := outermost(scope):
            picture.boxes[item] = first.setdefault(whole, item)
    picture.folded = {box: scope for scope, box in first.items()}


def _order_of_boxes(picture: Picture) -> list[int]:
    """Give the boxes so that each comes after its inputs, but for cycles between scopes."""
    tails, heads = picture.boxes[_crossing(picture)].T
    by_head = np.argsort(heads, kind="stable")
    inputs = tails[by_head].tolist()
    starts = np.searchsorted(heads[by_head], np.arange(len(picture.items) + 1)).tolist()
    order: list[int] = []
    seen = set()
    stack = picture.boxes[picture.outputs[::-1]].tolist()
    while stack:
        box = stack.pop()
        if box < 0:
            order.append(~box)
        elif box not in seen:
            seen.add(box)
            stack.append(~box)
            stack += reversed(inputs[starts[box] : starts[box + 1]])
    return order


def _fold_runs(picture: Picture, order: list[int], max_nodes: int) -> list[int]:
    """Give a box to the middle of each of enough runs, the longest first.

    Boxes that follow each other in an order of inputs first make no cycle by becoming one.
    Outputs and folded scopes end a run, unless there are too many of them.
    """
    outputs = set(picture.boxes[picture.outputs].tolist())
    choices = [outputs | picture.folded.keys(), outputs, set()]
    kept = next(boxes for boxes in choices if 2 * len(boxes) < max_nodes)
    runs = [list(run) for ends, run in groupby(order, kept.__contains__) if not ends]
    excess = len(order) - max_nodes
    target = np.arange(len(picture.boxes))
    for run in sorted(runs, key=len, reverse=True):
        if excess <= 0:
            break
        size = min(len(run), excess + 1)
        start = (len(run) - size) // 2
        target[run[start : start + size]] = run[start]
        picture.folded[run[start]] = ()
        excess -= size - 1
    picture.boxes = target[picture.boxes]
    return list(dict.fromkeys(target[order].tolist()))


def _crossing(picture: Picture) -> Array:
    """Give the edges that lead from one box to another."""
    tails, heads = picture.boxes[picture.edges].T
    edges: Array = picture.edges[tails != heads]
    return edges


def _draw_edges(dot: graphviz.Digraph, picture: Picture, order: list[int]) -> None:
    """Write the edges, one for all between two boxes of which one is folded."""
    place = {box: position for position, box in enumerate(order)}
    edges = picture.boxes[_crossing(picture)].tolist()
    merged = set()
    for tail, head in sorted(edges, key=lambda edge: place[edge[1]]):
        if (tail, head) not in merged:
            dot.edge(f"n{tail}", f"n{head}")
        if tail in picture.folded or head in picture.folded:
            merged.add((tail, head))


def _draw_boxes(
    dot: graphviz.Digraph, picture: Picture, order: list[int], statistics: bool
) -> None:
    """Write the boxes into the frames of their scopes."""
    contents: defaultdict[Scope, list[int | Scope]] = defaultdict(list)
    for box in order:
        entry: int | Scope = box
        scope = picture.folded[box][:-1] if box in picture.folded else picture.scopes[box]
        contents[scope].append(entry)
        while scope and len(contents[scope]) == 1:
            entry, scope = scope, scope[:-1]
            contents[scope].append(entry)
    if len(contents) == 1:
        # Graphviz 2.43 crashes where frames and ordered edges meet.
        dot.graph_attr["ordering"] = "in"
    folded = _folded_labels(picture)
    outputs = set(picture.boxes[picture.outputs].tolist())
    stack: list[int | Scope | None] = [*reversed(contents[()])]
    while stack:
        top = stack.pop()
        if top is None:
            dot.body.append("}\n")
        elif isinstance(top, tuple):
            dot.body.append(f"subgraph cluster_{len(dot.body)} {{\n")
            dot.attr(label=_escape(top[-1:]), **FRAME)
            stack += [None, *reversed(contents[top])]
        else:
            kind = "folded" if top in folded else _kind(picture.items[top])
            lines = folded[top] if top in folded else _label(picture.items[top], statistics)
            style = STYLES[kind] | (OUTPUT if top in outputs else {})
            dot.node(f"n{top}", _escape(lines), **style)


def _folded_labels(picture: Picture) -> dict[int, list[str]]:
    """Write for folded boxes their scope, how many nodes they hold, and what goes in and out."""
    enters: defaultdict[int, set[int]] = defaultdict(set)
    leaves: defaultdict[int, set[int]] = defaultdict(set)
    boxes = picture.boxes.tolist()
    for tail, head in _crossing(picture).tolist():
        enters[boxes[head]].add(tail)
        leaves[boxes[tail]].add(tail)
    for item in picture.outputs:
        leaves[boxes[item]].add(item)
    sizes = np.bincount(picture.boxes)
    return {
        box: [
            *scope[-1:],
            f"{sizes[box]:,} nodes",
            *_listed(picture, "in", enters[box]),
            *_listed(picture, "out", leaves[box]),
        ]
        for box, scope in picture.folded.items()
        if boxes[box] == box
    }


def _listed(picture: Picture, what: str, numbers: set[int]) -> list[str]:
    """Name a few of the values that go in or out, results of ops first, then leaves."""
    items = [picture.items[number] for number in sorted(numbers)]
    items.sort(key=lambda item: list(STYLES).index(_kind(item)))
    lines = [
        f"{what}: {_printable(_title(item), 30)} {np.shape(values_of(item))}"
        for item in items[:LISTED]
    ]
    return [*lines, f"{what}: {len(items) - LISTED:,} more"] if len(items) > LISTED else lines


def _kind(item: Any) -> str:
    if not isinstance(item, Node):
        return "constant"
    if item.op is not None:
        return "op"
    return "parameter" if item.requires_grad else "leaf"


def _title(item: Any) -> str:
    if isinstance(item, Node):
        return item.name or (item.op.name if item.op is not None else _kind(item))
    return _short(item) if np.size(item) == 1 else "constant"


def _label(item: Any, statistics: bool) -> list[str]:
    lines = [_title(item)]
    if isinstance(item, Node) and item.op is not None:
        params = ", ".join(f"{key}={_short(value)}" for key, value in item.params.items())
        call = f"{item.op.name}({params})" if params else item.op.name
        lines = [item.name, call] if item.name else [call]
    if isinstance(item, Node | np.ndarray | np.generic):
        lines.append(f"{item.dtype} {item.shape}")
        lines += _range("value", values_of(item)) if statistics else []
    if statistics and isinstance(item, Node) and item.grad is not None:
        lines += _range("|gradient|", np.abs(values_of(item.grad)))
    return lines


def _short(value: Any) -> str:
    """Write a number, an index or another static parameter in few characters."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        parts = [value.start, value.stop, *([] if value.step is None else [value.step])]
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(value, np.ndarray):
        return _short(value.flat[0]) if value.size == 1 else f"{value.dtype} {value.shape}"
    if isinstance(value, float | complex | np.inexact):
        return f"{value:.6g}"
    return "..." if value is ... else str(value)


def _range(what: str, values: Any) -> list[str]:
    """Write the range of values, of complex ones that of their sizes."""
    if np.iscomplexobj(values):
        what, values = f"|{what}|", np.abs(values)
    if np.size(values) < 2:
        return [f"{what} {float(x):.4g}" for x in np.ravel(values)]
    with np.errstate(all="ignore"):
        low, mean, high = np.min(values), np.mean(values, dtype=np.float64), np.max(values)
    return [f"{what}: min {float(low):.3g}, mean {mean:.3g}, max {float(high):.3g}"]


def _escape(lines: Sequence[str]) -> str:
    """Give lines as a label in which nothing that they hold means anything to a layout engine."""
    import graphviz

    entities = (_printable(line).replace("&", "&amp;") for line in lines)
    label: str = graphviz.nohtml(r"\n".join(map(graphviz.escape, entities)))
    return label


def _printable(what: Any, limit: int = 80) -> str:
    """Write characters that cannot be printed, or encoded, as Python does; clip a long text."""
    text = str(what)
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def find_layout_engine() -> str | None:
    """Find `dot`, or else the executable of the PyPI package graphviz-pure; None without."""
    import shutil
    import sysconfig

    from graphviz.backend import dot_command

    # A virtual environment's scripts are often not on PATH when its python is run by its path.
    user = sysconfig.get_preferred_scheme("user")
    scripts = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", user)]
    return (
        shutil.which(dot_command.DOT_BINARY)
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=os.pathsep.join(scripts))
    )


@contextmanager
def _layout_engine(file_format: str) -> Iterator[None]:
    """Let the graphviz package run the engine that there is; refuse a format that it lacks."""
    from graphviz.backend import dot_command

    executable = find_layout_engine()
    if executable is None:
        raise RuntimeError(
            "no layout engine for pictures was found: install one with `pip install "
            "tinygraph[render]`, or Graphviz with its `dot` on PATH; .source needs none"
        )
    if "graphviz-pure" in os.path.basename(executable):
        import subprocess

        answer = subprocess.run([executable, "-T?"], capture_output=True, text=True, check=False)
        formats = answer.stderr.partition("Use one of:")[2].split()
        if formats and file_format not in formats:
            raise ValueError(
                f"graphviz-pure writes no {file_format!r}, only {', '.join(formats)}; take one "
                f"of these, or install Graphviz with its `dot` on PATH"
            )
    with _layout:
        before = dot_command.DOT_BINARY
        dot_command.DOT_BINARY = executable
        try:
            yield
        finally:
            dot_command.DOT_BINARY = before


@cache
def _digraph_class() -> Any:
    """Make the Digraph that finds its engine, when graphviz is first needed."""
    import graphviz

    class Digraph(graphviz.Digraph):  # type: ignore[misc]
        def pipe(self, format: str | None = None, **options: Any) -> Any:
            with _layout_engine(format or self.format):
                return super().pipe(format, **options)

        def render(self, filename: Any = None, **options: Any) -> Any:
            suffix = os.path.splitext(options.get("outfile") or "")[1][1:].lower()
            with _layout_engine(options.get("format") or suffix or self.format):
                return super().render(filename, **options)

    return Digraph
