"""Pictures of graphs: DOT text of what outputs are made of, folded to a size that can be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygraph.engine import topological_order
from tinygraph.node import Node, values_of

if TYPE_CHECKING:
    import graphviz

Scope = tuple[str, ...]

# Okabe and Ito's colours, pale inside: the colour-blind tell them apart; shapes do so in grey.
STYLES = {
    "parameter": {"shape": "box", "fillcolor": "#cfe5f5", "color": "#0072b2"},
    "leaf": {"shape": "invhouse", "fillcolor": "#d5efe5", "color": "#009e73"},
    "constant": {"shape": "note", "fillcolor": "white", "color": "#8c8c8c"},
    "op": {"style": "filled,rounded", "fillcolor": "#f2f2f2", "color": "#555555"},
    "folded": {"shape": "folder", "fillcolor": "#e3e3e3", "color": "#333333"},
}
OUTPUT = {"fillcolor": "#fae0cc", "color": "#d55e00", "peripheries": "2"}
CLUSTER = {"style": "rounded", "color": "#8c8c8c", "labeljust": "l"}
FONT = {"fontname": "Helvetica", "fontsize": "11"}
LISTED = 3
"""How many of the values that go in or out of a folded box are named on it."""

NO_LAYOUT_ENGINE = (
    "no layout engine for pictures was found: install one from PyPI with "
    "`pip install tinygraph[render]`, or install Graphviz, so that its `dot` is on PATH; "
    "the DOT text, .source, needs none"
)
_layout = RLock()


@dataclass
class Picture:
    """What there is to draw: Nodes and constants, by number, and the box that each goes into."""

    items: list[Any]
    inputs: list[Sequence[int]]
    scopes: list[Scope]
    outputs: list[int]
    boxes: list[int]
    folded: dict[int, Scope]

    def crossings(self) -> Iterator[tuple[int, int]]:
        """Give the edges that lead from box to box, in the order of arguments."""
        boxes = self.boxes
        for head, row in enumerate(self.inputs):
            for tail in row:
                if boxes[tail] != boxes[head]:
                    yield tail, head


def render(
    *outputs: Node, max_nodes: int = 200, statistics: bool = False, name: str = "tinygraph"
) -> graphviz.Digraph:
    """Draw the graph below `outputs`; data flows down, arguments come from left to right.

    Labels say name, op with its static parameters, dtype and shape, and with `statistics` the
    range of values and gradients. Scopes are frames. Where there were more than `max_nodes` boxes,
    scopes fold into one box each, the deepest and largest first, then the middles of long runs.
    The result's `source` is DOT text; its `pipe` and `render` use Graphviz's `dot`, or else the
    engine that `pip install tinygraph[render]` brings.
    """
    import graphviz

    for position, output in enumerate(outputs):
        if not isinstance(output, Node):
            raise TypeError(
                f"render: expected Nodes, got {type(output).__name__} as argument {position}; "
                f"write render(*nodes) for a list of them"
            )
    if not outputs:
        raise TypeError("render: expected at least one Node, got none")
    if max_nodes < 1:
        raise ValueError(f"render: max_nodes has to be at least 1, got {max_nodes}")
    picture = collect(outputs)
    order = fold(picture, max_nodes)
    dot: graphviz.Digraph = _digraph_class()(
        graphviz.escape(_printable(name)),
        format="svg",
        graph_attr={"ordering": "in", "nodesep": "0.3", "ranksep": "0.35", **FONT},
        node_attr={"shape": "box", "style": "filled", "margin": "0.12,0.06", "height": "0.3"}
        | FONT,
        edge_attr={"color": "#555555", "arrowsize": "0.6"},
    )
    draw(dot, picture, order, statistics)
    return dot


def to_svg(node: Node) -> str | None:
    """Draw the graph below `node` as SVG text; None where there is no layout engine."""
    if find_layout_engine() is None:
        return None
    svg: str = render(node).pipe(format="svg", encoding="utf-8")
    return svg


def collect(outputs: Sequence[Node]) -> Picture:
    """Number the nodes and their constants: an array once, a scalar wherever it is used."""
    nodes = topological_order(outputs)
    items: list[Any] = list(nodes)
    scopes = [node.scope for node in nodes]
    numbers = {id(node): number for number, node in enumerate(nodes)}
    inputs: list[Sequence[int]] = []
    for node in nodes:
        row = []
        for x in node.inputs:
            number = numbers.get(id(x)) if isinstance(x, Node | np.ndarray) else None
            if number is None:
                number = len(items)
                items.append(x)
                scopes.append(node.scope)
                if isinstance(x, np.ndarray):
                    numbers[id(x)] = number
            elif number >= len(nodes):
                scopes[number] = tuple(os.path.commonprefix([scopes[number], node.scope]))
            row.append(number)
        inputs.append(row)
    inputs += [()] * (len(items) - len(nodes))
    drawn = [numbers[id(node)] for node in outputs]
    return Picture(items, inputs, scopes, drawn, list(range(len(items))), {})


def fold(picture: Picture, max_nodes: int) -> list[int]:
    """Put items into common boxes until there are no more than `max_nodes`; give these in order."""
    if len(picture.items) > max_nodes:
        fold_scopes(picture, max_nodes)
    inputs: defaultdict[int, list[int]] = defaultdict(list)
    for tail, head in picture.crossings():
        inputs[picture.boxes[head]].append(picture.boxes[tail])
    order = _post_order([picture.boxes[item] for item in picture.outputs], inputs)
    return fold_runs(picture, order, max_nodes) if len(order) > max_nodes else order


def fold_scopes(picture: Picture, max_nodes: int) -> None:
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
    outermost = {
        scope: next((s for s in _around(scope) if s in folds), None)
        for scope in set(picture.scopes)
    }
    first: dict[Scope, int] = {}
    for item, scope in enumerate(picture.scopes):
        if (whole := outermost[scope]) is not None:
            picture.boxes[item] = first.setdefault(whole, item)
    picture.folded = {box: scope for scope, box in first.items()}


def _around(scope: Scope) -> Iterator[Scope]:
    return (scope[:depth] for depth in range(1, len(scope) + 1))


def fold_runs(picture: Picture, order: list[int], max_nodes: int) -> list[int]:
    """Give a box to the middle of each of enough runs, the longest first.

    A run of boxes that follow each other in a topological order makes no cycle with the others.
    Outputs and folded scopes end a run, unless there are too many of them.
    """
    outputs = {picture.boxes[item] for item in picture.outputs}
    choices: list[set[int]] = [outputs | set(picture.folded), outputs, set()]
    kept = next(boxes for boxes in choices if 2 * len(boxes) < max_nodes)
    runs = [list(run) for ends, run in groupby(order, kept.__contains__) if not ends]
    excess = len(order) - max_nodes
    targets: dict[int, int] = {}
    for run in sorted(runs, key=len, reverse=True):
        if excess <= 0:
            break
        size = min(len(run), excess + 1)
        start = (len(run) - size) // 2
        targets.update(dict.fromkeys(run[start : start + size], run[start]))
        picture.folded[run[start]] = ()
        excess -= size - 1
    picture.boxes = [targets.get(box, box) for box in picture.boxes]
    return list(dict.fromkeys(targets.get(box, box) for box in order))


def _post_order(roots: Sequence[int], inputs: Mapping[int, Sequence[int]]) -> list[int]:
    """Give every box below `roots`, inputs first and in the order of arguments."""
    order: list[int] = []
    seen = set()
    stack = list(reversed(roots))
    while stack:
        box = stack.pop()
        if box < 0:
            order.append(~box)
        elif box not in seen:
            seen.add(box)
            stack.append(~box)
            stack.extend(x for x in reversed(inputs.get(box, ())) if x not in seen)
    return order


def draw(dot: graphviz.Digraph, picture: Picture, order: list[int], statistics: bool) -> None:
    """Write the boxes into their frames, then the edges, merged where they touch a folded box."""
    crossings = list(picture.crossings())
    folded_labels = _folded_labels(picture, crossings)
    outputs = {picture.boxes[item] for item in picture.outputs}
    for entry in _framed(picture, order):
        if entry is None:
            dot.body.append("}\n")
        elif isinstance(entry, tuple):
            dot.body.append(f"subgraph cluster_{len(dot.body)} {{\n")
            dot.attr(label=_escape(entry[-1:]), **CLUSTER)
        else:
            item = picture.items[entry]
            kind = "folded" if entry in picture.folded else _kind(item)
            lines = folded_labels[entry] if kind == "folded" else _label(item, statistics)
            style = STYLES[kind] | (OUTPUT if entry in outputs else {})
            dot.node(f"n{entry}", _escape(lines), **style)
    merged = set()
    for crossing in crossings:
        tail, head = edge = tuple(picture.boxes[item] for item in crossing)
        if edge in merged:
            continue
        if tail in picture.folded or head in picture.folded:
            merged.add(edge)
        dot.edge(f"n{tail}", f"n{head}")


def _framed(picture: Picture, order: list[int]) -> Iterator[int | Scope | None]:
    """Give the boxes, before them the scopes that open and after them None where one closes."""
    contents: defaultdict[Scope, list[int | Scope]] = defaultdict(list)
    for box in order:
        entry: int | Scope = box
        scope = picture.folded[box][:-1] if box in picture.folded else picture.scopes[box]
        while True:
            siblings = contents[scope]
            siblings.append(entry)
            if not scope or len(siblings) > 1:
                break
            entry, scope = scope, scope[:-1]
    stack: list[int | Scope | None] = [*reversed(contents[()])]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, tuple):
            stack += [None, *reversed(contents[top])]


def _kind(item: Any) -> str:
    if not isinstance(item, Node):
        return "constant"
    if item.op is not None:
        return "op"
    return "parameter" if item.requires_grad else "leaf"


def _label(item: Any, statistics: bool) -> list[str]:
    lines = [_title(item)]
    if isinstance(item, Node) and item.op is not None:
        params = ", ".join(f"{key}={_short(value)}" for key, value in item.params.items())
        call = f"{item.op.name}({params})" if params else item.op.name
        lines = [item.name, call] if item.name else [call]
    if isinstance(item, Node | np.ndarray | np.generic):
        lines.append(f"{item.dtype} {item.shape}")
        if statistics:
            lines += _statistics("value", values_of(item))
    if statistics and isinstance(item, Node) and item.grad is not None:
        lines += _statistics("|gradient|", np.abs(values_of(item.grad)))
    return lines


def _title(item: Any) -> str:
    if isinstance(item, Node):
        return item.name or (item.op.name if item.op is not None else _kind(item))
    return _short(item) if np.size(item) == 1 else "constant"


def _short(value: Any) -> str:
    """Write a number, an index or another static parameter in few characters."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        parts = ["" if part is None else str(part) for part in (value.start, value.stop)]
        return ":".join(parts if value.step is None else [*parts, str(value.step)])
    if isinstance(value, np.ndarray | np.generic):
        return _short(value.item()) if value.size == 1 else f"{value.dtype} {value.shape}"
    if isinstance(value, float | complex):
        return f"{value:.6g}"
    return "..." if value is ... else str(value)


def _statistics(what: str, values: Any) -> list[str]:
    """Write the range of values, of complex ones that of their sizes."""
    if np.iscomplexobj(values):
        what, values = f"|{what}|", np.abs(values)
    if np.size(values) < 2:
        return [f"{what} {float(x):.4g}" for x in np.ravel(values)]
    with np.errstate(all="ignore"):
        low, mean, high = np.min(values), np.mean(values, dtype=np.float64), np.max(values)
    return [f"{what}: min {float(low):.3g}, mean {mean:.3g}, max {float(high):.3g}"]


def _folded_labels(
    picture: Picture, crossings: list[tuple[int, int]]
) -> defaultdict[int, list[str]]:
    """Write for folded boxes their scope, how many nodes they hold, and what goes in and out."""
    boxes, folded = picture.boxes, picture.folded
    enters: defaultdict[int, dict[int, None]] = defaultdict(dict)
    leaves: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for tail, head in crossings:
        enters[boxes[head]][tail] = None
        leaves[boxes[tail]][tail] = None
    for item in picture.outputs:
        leaves[boxes[item]][item] = None
    sizes = Counter(boxes)
    labels = defaultdict(list)
    for box, scope in folded.items():
        labels[box] = [*scope[-1:], f"{sizes[box]:,} nodes"]
        labels[box] += _list(picture, "in", list(enters[box]))
        labels[box] += _list(picture, "out", list(leaves[box]))
    return labels


def _list(picture: Picture, what: str, numbers: list[int]) -> list[str]:
    listed = [picture.items[number] for number in numbers[:LISTED]]
    lines = [
        f"{what}: {_printable(_title(item), 25)} {np.shape(values_of(item))}" for item in listed
    ]
    more = len(numbers) - len(listed)
    return [*lines, f"{what}: {more:,} more"] if more else lines


def _escape(lines: Sequence[str]) -> str:
    """Give lines as a label in which nothing that they hold means anything to a layout engine."""
    import graphviz

    entities = (_printable(line).replace("&", "&amp;") for line in lines)
    label: str = graphviz.nohtml("\\n".join(map(graphviz.escape, entities)))
    return label


def _printable(text: str, limit: int = 80) -> str:
    """Write characters that cannot be printed, or encoded, as Python does; clip a long text."""
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def find_layout_engine() -> str | None:
    """Find `dot`, or else the executable of the PyPI package graphviz-pure; None without."""
    from graphviz.backend import dot_command

    # A virtual environment's scripts are often not on PATH when its python is run by its path.
    scripts = os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts")])
    return (
        shutil.which(dot_command.DOT_BINARY)
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=scripts)
    )


@contextmanager
def _layout_engine(file_format: str) -> Iterator[None]:
    """Let the graphviz package run the engine that there is; refuse a format that it lacks."""
    from graphviz.backend import dot_command

    executable = find_layout_engine()
    if executable is None:
        raise RuntimeError(NO_LAYOUT_ENGINE)
    answer = subprocess.run([executable, "-T?"], capture_output=True, text=True, check=False)
    formats = answer.stderr.partition("Use one of:")[2].split()
    if formats and file_format not in formats:
        raise ValueError(
            f"{Path(executable).stem} writes no {file_format!r}, only {', '.join(formats)}; "
            f"take one of these, or install Graphviz, so that its `dot` is on PATH"
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
    """Make the Digraph that finds its engine; graphviz is imported for pictures only."""
    import graphviz

    class Digraph(graphviz.Digraph):  # type: ignore[misc]
        def pipe(self, format: str | None = None, **options: Any) -> Any:
            with _layout_engine(format or self.format):
                return super().pipe(format, **options)

        def render(self, filename: Any = None, **options: Any) -> Any:
            suffix = Path(options.get("outfile") or "").suffix[1:].lower()
            with _layout_engine(options.get("format") or suffix or self.format):
                return super().render(filename, **options)

    return Digraph
