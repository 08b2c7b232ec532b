"""The attributes of boxes and frames, and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tinygraph.pictures.drawing import Drawing, between
from tinygraph.pictures.labels import (
    kind_of,
    lines_of,
    markup,
    printable,
    quoted,
    size_text,
    symbol_of,
    tooltip_of,
)
from tinygraph.pictures.model import FIRST_BAD, REMOVED, Scope
from tinygraph.pictures.style import CIRCLE, SHAPES, Theme

LISTED = 3
"""How many of the values that go in or out of a folded box are named on it."""

KINDS = ("op", "leaf", "parameter", "constant")


def frame_of(drawing: Drawing, scope: Scope) -> dict[str, str]:
    """Give the attributes of a scope's frame."""
    theme = drawing.theme
    name, times = drawing.name_of(scope)
    text = markup(name) + (f"&#160; <B>{times}</B>" if times else "")
    return {
        "label": f'<<FONT COLOR="{theme.detail}">{text}</FONT>>',
        "tooltip": quoted(printable("/".join(scope), 200)),
        "style": "rounded,filled",
        "color": theme.frame,
        "fillcolor": theme.frame_fills[len(scope) % 2],
        "labelloc": "t",
        "labeljust": "l",
        "penwidth": "0.8",
        "fontsize": "10",
    }


def box_of(drawing: Drawing, box: int) -> dict[str, str]:
    """Give the attributes of a box."""
    item, kind, look = drawing.picture.items[box], drawing.kind_of(box), drawing.looks[box]
    colours = drawing.theme.looks[look]
    lines = lines_of_folded(drawing, box) if kind == "folded" else lines_of_members(drawing, box)
    lines += facts_of(drawing, box)
    place = place_of(item, drawing.theme) if kind != "folded" else ""
    bold = kind == "folded" or box in drawing.picture.names or bool(getattr(item, "name", None))
    symbol = symbol_of(item) if kind == "op" else None
    shape = CIRCLE if lines == [symbol] and len(lines[0]) < 4 and not place else SHAPES[kind]
    attributes = {
        "label": label_of(lines, place, bold),
        **shape,
        "tooltip": quoted(tooltip_of_box(drawing, box)),
        "color": colours.line,
        "fillcolor": colours.fill,
        "fontcolor": colours.text,
    }
    if look == REMOVED:
        attributes["style"] = f"{attributes.get('style', 'filled')},dashed"
    if box in drawing.outputs or look == FIRST_BAD:
        attributes["penwidth"] = "2"
    return attributes


def label_of(lines: Sequence[str], place: str, bold: bool) -> str:
    """Write a label: a title, and smaller lines below."""
    title, *details = map(markup, lines)
    text = f"<B>{title}</B>" if bold else title
    below = "<BR/>".join(details)
    if below:
        text += f'<BR/><FONT POINT-SIZE="9">{below}</FONT>'
    return f"<{text}{place}>"


def place_of(item: Any, theme: Theme) -> str:
    """Write where a plan keeps a value, in the colour of its buffer."""
    place = getattr(item, "place", "")
    if not place:
        return ""
    is_buffer = item.buffer is not None
    colour = theme.buffers[item.buffer % len(theme.buffers)] if is_buffer else theme.detail
    text = f"{'■' if is_buffer else '→'} {place}"
    return f'<BR/><FONT POINT-SIZE="9" COLOR="{colour}">{markup(text)}</FONT>'


def lines_of_members(drawing: Drawing, box: int) -> list[str]:
    """Write the label of one item, or of its counterparts in all copies of a block."""
    picture = drawing.picture
    item = picture.items[box]
    lines = lines_of(item)
    if box in picture.names:
        lines = [picture.names[box], *([", ".join(lines)] if kind_of(item) == "op" else [])]
    else:
        last = picture.items[picture.lasts.get(box, box)]
        lines[0] = between([lines[0], lines_of(last)[0]])
    is_end = box in drawing.outputs and kind_of(item) == "op"
    size = size_text(item, drawing.usual) if is_end else ""
    return [*lines, size] if size else lines


def lines_of_folded(drawing: Drawing, box: int) -> list[str]:
    """Write a folded box's scope, how many nodes it holds, and what goes in and out."""
    scope = drawing.picture.folded[box]
    name = " ".join(filter(None, drawing.name_of(scope))) if scope else ""
    return [
        *([name] if name else []),
        f"{len(drawing.members[box]):,} nodes",
        *listed(drawing, "in", drawing.enters[box]),
        *listed(drawing, "out", drawing.leaves[box]),
    ]


def listed(drawing: Drawing, what: str, numbers: Iterable[int]) -> list[str]:
    """Name a few of the values that go in or out, results of ops first, then leaves."""
    items = drawing.picture.items
    known = sorted(numbers, key=lambda number: (KINDS.index(kind_of(items[number])), number))
    lines = [
        f"{what}: {printable(drawing.title_of(number), 30)} "
        f"{size_text(items[number], drawing.usual)}".strip()
        for number in known[:LISTED]
    ]
    return [*lines, f"{what}: {len(known) - LISTED:,} more"] if len(known) > LISTED else lines


def facts_of(drawing: Drawing, box: int) -> list[str]:
    """Write what the picture was asked to say of the values behind a box."""
    items = [drawing.picture.items[item] for item in drawing.members[box]]
    return [line for fact in drawing.facts for line in fact(items)]


def tooltip_of_box(drawing: Drawing, box: int) -> str:
    """Write what a box is too small for."""
    if drawing.kind_of(box) != "folded":
        return tooltip_of(drawing.picture.items[box])
    path = "/".join(drawing.picture.folded[box])
    return printable(path or f"{len(drawing.members[box]):,} nodes", 200)
