"""The page: one HTML file that holds the graph and the scripts that show it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from tinygraph.explorer.data import graph_data
from tinygraph.node import Node, refuse_while_taped
from tinygraph.pictures.style import THEMES, Theme

SCRIPTS = (
    "dagre-3.1.3.min.js",
    "graph.js",
    "arrays.js",
    "formulas.js",
    "picture.js",
    "panel.js",
    "page.js",
)


class Page:
    """A page that explains a graph: `html` is all of it, and a notebook shows it in a frame."""

    def __init__(self, text: str) -> None:
        self.html = text

    def _repr_html_(self) -> str:
        """Give a frame for a notebook, in which the page can reach nothing outside."""
        return (
            f'<iframe title="tinygraph" sandbox="allow-scripts" srcdoc="{html.escape(self.html)}" '
            f'style="width: 100%; height: 720px; border: 1px solid #8886; border-radius: 6px">'
            f"</iframe>"
        )

    def __repr__(self) -> str:
        return f"<tinygraph page of {len(self.html.encode()):,} bytes: explore(node, 'graph.html')>"


def explore(
    outputs: Node | Sequence[Node],
    path: str | os.PathLike[str] | None = None,
    *,
    cotangents: Any = None,
) -> Page:
    """Make a page on which the graph below `outputs`, a Node or several, can be looked through.

    It shows the graph, every node's formula, value and gradient, and steps forward through the
    evaluation and backward through the chain rule. It is written to `path`, if there is one; in a
    notebook the result shows itself. Gradients are those of the sum of the outputs' elements, or
    from `cotangents`, one for each output; the `grad` of leaves is left as it is. Outputs without
    gradients are shown without the backward pass.
    """
    nodes: list[Any] = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if not nodes or not all(isinstance(node, Node) for node in nodes):
        got = ", ".join(type(node).__name__ for node in nodes) or "nothing"
        raise TypeError(
            f"explore: expected a Node or a list of Nodes, got {got}; compute with tg.Node(array), "
            f"and give what comes of it"
        )
    for node in nodes:
        refuse_while_taped(node)
    if cotangents is not None:
        cotangents = [cotangents] if isinstance(outputs, Node) else list(cotangents)
        if len(cotangents) != len(nodes):
            raise ValueError(
                f"explore: expected a cotangent for each of {len(nodes)} outputs, got "
                f"{len(cotangents)}; None stands for ones"
            )
    page = Page(assemble(graph_data(nodes, cotangents), title_for(nodes)))
    if path is not None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page.html)
    return page


def title_for(nodes: Sequence[Node]) -> str:
    """Name the page by its outputs."""
    names = [node.name or (node.op.name if node.op else "leaf") for node in nodes]
    return f"{', '.join(names[:3])} · tinygraph"


def assemble(data: dict[str, Any], title: str) -> str:
    """Put the data and the scripts into the page, which may load nothing and run nothing else."""
    style, script = f"{palettes()}\n{asset('page.css')}", "\n".join(map(asset, SCRIPTS))
    parts = {
        "title": html.escape(title.encode("utf-8", "replace").decode()),
        "policy": f"default-src 'none'; img-src data:; {allowed('style', style)}; "
        f"{allowed('script', script)}",
        "style": style,
        "data": as_json(data),
        "script": script,
    }
    page = asset("page.html")
    pieces = page.split("%%")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def palettes() -> str:
    """Give the colours of render's themes as variables, dark ones where they are asked for."""
    light, dark = (variables(THEMES[name]) for name in ("light", "dark"))
    system = "@media (prefers-color-scheme: dark)"
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n'
        f'{system} {{ :root:not([data-theme="light"]) {{ color-scheme: dark; {dark} }} }}'
    )


def variables(theme: Theme) -> str:
    """Give the colours of a theme as variables of CSS."""
    colours = {
        "ground": theme.background,
        "ink": theme.text,
        "quiet": theme.detail,
        "edge": theme.edge,
        "line": theme.frame,
        "panel": theme.frame_fills[0],
    }
    for kind, look in theme.looks.items():
        colours |= {kind: look.fill, f"{kind}-line": look.line, f"{kind}-text": look.text}
    return " ".join(f"--{name.replace(' ', '-')}: {colour};" for name, colour in colours.items())


@cache
def asset(name: str) -> str:
    """Read one of the page's files; a map of a script's source would be looked for elsewhere."""
    text = resources.files("tinygraph.explorer").joinpath("assets", name).read_text("utf-8")
    return text.split("\n//# sourceMappingURL")[0]


def allowed(kind: str, text: str) -> str:
    """Give what allows this one style or script by its hash, and no other."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"{kind}-src 'sha256-{digest}'"


def as_json(data: dict[str, Any]) -> str:
    """Write JSON that ends no script element, whatever its texts are."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
