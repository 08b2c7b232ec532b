"""Colours and shapes of the two themes."""

from __future__ import annotations

from typing import NamedTuple

FONT = "Helvetica"


class Look(NamedTuple):
    """The colours of a box: inside, its border, and its text."""

    fill: str
    line: str
    text: str


class Theme(NamedTuple):
    """The colours of a picture."""

    background: str
    text: str
    detail: str
    edge: str
    frame: str
    frame_fills: tuple[str, str]
    """Of frames on even and odd depths."""

    looks: dict[str, Look]
    buffers: tuple[str, ...]


SHAPES = {
    "op": {"style": "filled,rounded"},
    "leaf": {"shape": "ellipse", "margin": "0.06,0.03"},
    "parameter": {"style": "filled"},
    "constant": {"shape": "plaintext", "margin": "0.04,0.02", "height": "0.2", "width": "0.2"},
    "folded": {"peripheries": "2"},
}
"""Shapes tell kinds apart in grey too."""

CIRCLE = {"shape": "circle", "width": "0.3", "fixedsize": "true", "margin": "0"}

# Okabe and Ito's colours, pale inside: the colour-blind tell them apart.
LIGHT = Theme(
    background="white",
    text="#1a1a1a",
    detail="#5f5f5f",
    edge="#6b6b6b",
    frame="#b9b9b9",
    frame_fills=("#fafafa", "#f1f1f1"),
    looks={
        "op": Look("#ffffff", "#6b6b6b", "#1a1a1a"),
        "leaf": Look("#d6efe6", "#009e73", "#00503a"),
        "parameter": Look("#d4e8f6", "#0072b2", "#003d61"),
        "constant": Look("none", "none", "#5f5f5f"),
        "folded": Look("#ececec", "#6b6b6b", "#1a1a1a"),
        "output": Look("#fbe3d1", "#d55e00", "#6b2f00"),
        "backward": Look("#f6e3ed", "#cc79a7", "#5e2747"),
        "added": Look("#d6efe6", "#009e73", "#00503a"),
        "removed": Look("#fbe3d1", "#d55e00", "#8a3d00"),
        "kept": Look("#ffffff", "#9a9a9a", "#4a4a4a"),
        "bad": Look("#fff3c4", "#a87b00", "#4d3900"),
        "first bad": Look("#f5c400", "#6b4e00", "#1a1a1a"),
    },
    buffers=("#0072b2", "#d55e00", "#009e73", "#b5608f", "#9a7d00", "#3a8fbf", "#4a4a4a"),
)

DARK = Theme(
    background="#16181c",
    text="#ececec",
    detail="#a9adb3",
    edge="#9298a0",
    frame="#4b5058",
    frame_fills=("#1d2025", "#252930"),
    looks={
        "op": Look("#2b2f36", "#8b9097", "#ececec"),
        "leaf": Look("#0c3b2e", "#1fbf92", "#c9f2e4"),
        "parameter": Look("#0d324b", "#56b4e9", "#d3ecfb"),
        "constant": Look("none", "none", "#a9adb3"),
        "folded": Look("#343942", "#9298a0", "#ececec"),
        "output": Look("#4a2409", "#f0873a", "#ffe2cc"),
        "backward": Look("#43243a", "#dd94bd", "#fbe0ef"),
        "added": Look("#0c3b2e", "#1fbf92", "#c9f2e4"),
        "removed": Look("#4a2409", "#f0873a", "#ffd0ac"),
        "kept": Look("#22252b", "#666c75", "#b9bdc3"),
        "bad": Look("#3d3308", "#d9b310", "#fff0b3"),
        "first bad": Look("#f5c400", "#fff0b3", "#16181c"),
    },
    buffers=("#56b4e9", "#f0873a", "#1fbf92", "#dd94bd", "#f0e442", "#9ad3f2", "#c9ccd1"),
)

THEMES = {"light": LIGHT, "dark": DARK}

LEGEND = {
    "leaf": "input",
    "parameter": "parameter",
    "op": "operation",
    "backward": "gradient",
    "output": "output",
    "folded": "folded",
    "kept": "kept",
    "added": "added",
    "removed": "removed",
    "first bad": "first NaN or infinity",
    "bad": "what it reaches",
}
"""What a legend calls the looks, in its order."""
