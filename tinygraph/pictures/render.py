"""render: what outputs are made of as a picture, folded to a size that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinygraph.node import Node
from tinygraph.pictures.backward import with_gradients
from tinygraph.pictures.compare import compared
from tinygraph.pictures.dot import attributes_of_graph, draw
from tinygraph.pictures.drawing import Drawing
from tinygraph.pictures.facts import facts_for
from tinygraph.pictures.folding import fold_picture
from tinygraph.pictures.labels import printable
from tinygraph.pictures.layout import digraph_class, find_layout_engine
from tinygraph.pictures.model import Picture, collect
from tinygraph.pictures.nonfinite import mark_nonfinite
from tinygraph.pictures.style import THEMES

if TYPE_CHECKING:
    import graphviz


def render(
    *outputs: Any,
    backward: bool = False,
    before: Any = None,
    nonfinite: bool = False,
    show: str | Iterable[Any] = (),
    fold: str | Sequence[str] = (),
    unfold: str | Sequence[str] = (),
    max_nodes: int = 200,
    theme: str = "light",
    legend: bool = True,
    name: str = "tinygraph",
) -> graphviz.Digraph:
    """Draw the graph below `outputs`, Nodes or one compiled function; data flows down.

    Scopes are frames; three and more neighbours of the same structure are drawn once, with their
    number. Edges carry shapes. A compiled function's plan, of its last call, tells the buffers.

    `backward` draws the gradients' graph too. `before`, a Node, a sequence of Nodes or a compiled
    function, is what `outputs` are compared with: what was added and removed stands out.
    `nonfinite` traces the first NaN or infinity down to the outputs. `show` are facts to write
    into boxes: "values", "gradients" (of the sum of all outputs), "bytes", "time" (of an op and of
    its rule, measured), or functions from a Node to a text.

    `fold` names scopes, or paths like "encoder/layer *", to be drawn as one box, `unfold` those to
    be kept open and apart. Where there were more than `max_nodes` boxes, other scopes fold too,
    the deepest and largest first, then the middles of long runs. `theme` is "light" or "dark".

    The result's `source` is DOT text; its `pipe` and `render` write SVG, PNG or PDF with Graphviz's
    `dot`, or else the engine that `pip install tinygraph[render]` brings.
    """
    import graphviz

    if max_nodes < 1:
        raise ValueError(f"render: expected max_nodes of at least 1, got {max_nodes}")
    if theme not in THEMES:
        raise ValueError(f"render: expected a theme of {', '.join(THEMES)}, got {theme!r}")
    if is_compiled(outputs) and (backward or nonfinite):
        raise ValueError(
            "render: a compiled function's plan holds no values and no backward graph of its own; "
            "leave out backward and nonfinite, or render the Node that the function itself gives"
        )
    picture = with_gradients(nodes_of(outputs)) if backward else picture_of(outputs)
    facts = facts_for(show, outputs)
    if before is not None:
        picture = compared(picture_of(as_sequence(before)), picture)
    if nonfinite:
        mark_nonfinite(picture)
    order = fold_picture(picture, max_nodes, as_sequence(fold), as_sequence(unfold))
    dot: graphviz.Digraph = digraph_class()(
        graphviz.escape(printable(name)), format="svg", **attributes_of_graph(THEMES[theme])
    )
    draw(dot, Drawing(picture, order, THEMES[theme], facts), legend)
    return dot


def as_sequence(one: Any) -> Sequence[Any]:
    """Give what may be one thing or a sequence of them as a sequence."""
    return tuple(one) if isinstance(one, list | tuple) else (one,)


def is_compiled(outputs: Sequence[Any]) -> bool:
    """Tell whether what is to be drawn is a compiled function."""
    return len(outputs) == 1 and hasattr(outputs[0], "explain")


def picture_of(outputs: Sequence[Any]) -> Picture:
    """Give the picture of Nodes, or of a compiled function's plan."""
    if is_compiled(outputs):
        from tinygraph.pictures.plan import picture_of_plan

        return picture_of_plan(outputs[0])
    return collect(nodes_of(outputs))


def nodes_of(outputs: Sequence[Any]) -> Sequence[Node]:
    """Give Nodes, and refuse what is none."""
    if not outputs or not all(isinstance(output, Node) for output in outputs):
        got = ", ".join(type(output).__name__ for output in outputs) or "nothing"
        raise TypeError(
            f"render: expected Nodes or one compiled function, got {got}; write render(*nodes) "
            f"for a list"
        )
    return outputs


def to_svg(node: Node) -> str | None:
    """Draw the graph below `node` as SVG text; None where there is no layout engine."""
    if find_layout_engine() is None:
        return None
    svg: str = render(node).pipe(format="svg", encoding="utf-8", quiet=True)
    return svg
