"""Write pages that need no other file, and read back the runs that they hold."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from models.training import check_writable

FORMAT = "tinygraph runs 1"
REFRESH_SECONDS = 2

SHARE_OF_TIME = 0.05

Run = dict[str, Any]


class Page:
    """A page in one file, written anew as often as takes little of the time.

    `about` names the option in the error where the file cannot be written.
    """

    def __init__(self, path: Any, about: str = "report") -> None:
        self.path = Path(path)
        check_writable(self.path, about)
        self.seconds = 0.0
        self.written = -math.inf

    def is_due(self) -> bool:
        """Tell whether drawing now would take no more than SHARE_OF_TIME."""
        return time.perf_counter() - self.written > self.seconds / SHARE_OF_TIME

    def write(self, title: str, body: Callable[[], str], runs: list[Run], live: bool) -> None:
        """Write a page with `runs` as data; a live one loads itself in the browser again and again.

        The file is replaced as a whole, so that a browser never sees half of it.
        """
        begun = time.perf_counter()
        content = page_of(title, body(), runs, live)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(content, encoding="utf-8")
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self.written = time.perf_counter()
        self.seconds = self.written - begun


def page_of(title: str, body: str, runs: list[Run], live: bool) -> str:
    """Give the text of a page."""
    again = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n' if live else ""
    # In a script element "<" alone could end the data; JSON has another way to write it.
    data = json.dumps({"format": FORMAT, "runs": runs}, allow_nan=False).replace("<", "\\u003c")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/json" id="runs">{data}</script>\n</body>\n</html>\n'
    )


class _Data(HTMLParser):
    """Finds the data in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.inside = tag == "script" and ("id", "runs") in attributes

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data


def read_runs(path: Any) -> list[Run]:
    """Read the runs that a report or a comparison holds; a ValueError where it holds none."""
    finder = _Data()
    try:
        finder.feed(Path(path).read_text(encoding="utf-8"))
        content = json.loads(finder.text)
    except ValueError:
        content = None
    is_ours = isinstance(content, dict) and content.get("format") == FORMAT
    runs = content.get("runs") if is_ours else None
    if not isinstance(runs, list) or not runs or not all(map(is_run, runs)):
        raise ValueError(
            f"{path} holds no runs ({FORMAT!r}); expected a page that models.mnist --report or "
            f"models.compare has written"
        )
    return runs


def is_run(run: Any) -> bool:
    """Tell whether data that was read has the form of a run, as Record makes it."""
    kinds = {"settings": dict, "parameters": int, "epochs": int, "state": str, "history": dict}
    if not isinstance(run, dict) or not all(
        isinstance(run.get(name), kind) for name, kind in {**kinds, "notes": list}.items()
    ):
        return False
    history, notes = run["history"].values(), [note for note in run["notes"] if note is not None]
    return (
        "loss" in run["history"]
        and all(isinstance(values, list) and all(map(is_number, values)) for values in history)
        and all(isinstance(note, dict) and note.keys() >= NUMBERS for note in notes)
        and all(note[name] is None or is_number(note[name]) for note in notes for name in NUMBERS)
    )


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


NUMBERS = {"seconds", "test_loss", "test_accuracy", "training_accuracy"}
"""What every note of a run has one number of, or None."""


def table(head: list[str], rows: list[list[str]], kind: str = "") -> str:
    """Write a table of cells that are HTML already."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def facts(pairs: dict[str, Any]) -> str:
    """Write names and values in a row."""
    shown = "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in pairs.items()
    )
    return f'<dl class="facts">{shown}</dl>'


# The colours are those of M. Okabe and K. Ito, "Color Universal Design", 2008, which people who
# see fewer colours tell apart; the darkest are lighter on a dark page.
STYLE = """
:root { --paper: #fff; --ink: #1b1f24; --soft: #5c6670; --grid: #e3e7eb; --card: #f6f8fa;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #e69f00; --c5: #56b4e9;
  --c6: #1b1f24; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e9ec; --soft: #9aa5af;
  --grid: #2c3238; --card: #1d2226; --c0: #56b4e9; --c1: #f0803c; --c2: #2bc49a; --c5: #3f7fd9;
  --c6: #f0e442; }
  .ink { filter: invert(1); } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 4px; }
h3 { font-size: 15px; margin: 18px 0 0; }
p { margin: 4px 0 10px; max-width: 92ch; color: var(--soft); }
p.state { color: var(--ink); } p.trouble { color: var(--c1); font-weight: 600; }
progress { width: 100%; height: 8px; accent-color: var(--c0); }
.facts { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 12px 0; }
.facts dt { color: var(--soft); font-size: 12px; } .facts dd { margin: 0; font-weight: 600; }
.row { display: grid; gap: 8px 20px; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.row.two { grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
figure { margin: 6px 0; } figcaption { font-size: 13px; }
figure svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11.5px; }
.grid { stroke: var(--grid); fill: none; } .axis { stroke: var(--soft); fill: none; }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
.line.dashed { stroke-dasharray: 6 4; } .line.dotted { stroke-dasharray: 2 3; }
.mark { fill: var(--c); } .mark:hover { stroke: var(--c); stroke-width: 5; }
.band { fill: var(--c); opacity: 0.2; } .fill { fill: var(--c); opacity: 0.55; }
.before { --c: var(--soft); stroke-width: 1.2; }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); }
.key { margin-left: 14px; white-space: nowrap; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 16px; height: 0; margin-right: 5px;
  vertical-align: middle; border-top: 3px solid var(--c); }
.key.dashed::before { border-top-style: dashed; } .key.dotted::before { border-top-style: dotted; }
.images { display: grid; gap: 6px; grid-template-columns: repeat(auto-fill, minmax(64px, 1fr)); }
.images img { width: 100%; display: block; image-rendering: pixelated; background: var(--card); }
.images.mistakes { grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: 12px 10px; }
.mistakes figcaption { text-align: center; font-size: 12px; line-height: 1.3; }
.mistakes b { color: var(--c0); } .mistakes i { color: var(--c1); font-style: normal;
  font-weight: 700; }
.heat { width: 100%; image-rendering: pixelated; background: var(--card); }
.scale { display: inline-block; width: 120px; height: 10px; margin: 0 6px; vertical-align: middle;
  background: linear-gradient(90deg, var(--c1), transparent, var(--c0)); }
.wide { overflow-x: auto; }
.side { display: flex; flex-wrap: wrap; gap: 20px 48px; align-items: flex-start; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 600; text-align: right; padding: 4px 10px; }
td { text-align: right; padding: 4px 10px; border-top: 1px solid var(--grid); }
table.runs { width: 100%; } table.runs tbody tr:hover { background: var(--card); }
table.runs .best { font-weight: 700; }
table.confusion td { border: 1px solid var(--paper); min-width: 38px; text-align: center; }
table.confusion th { text-align: center; } table.confusion .total { color: var(--soft); }
.right, .wrong { --shade: 0; --c: var(--c0);
  background: color-mix(in srgb, var(--c) calc(var(--shade) * 80%), transparent); }
.wrong { --c: var(--c1); }
@media print { .images { break-inside: avoid; } }
"""
