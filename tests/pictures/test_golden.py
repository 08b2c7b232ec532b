"""Two small pictures kept as DOT text: a change of the drawing shows as a change of these files.

After a wanted change: TINYGRAPH_GOLDEN=write pytest tests/pictures/test_golden.py, then look at
the pictures and at the difference.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import tinygraph as tg
from tests.pictures.reading import blocks, two_layers

GOLDEN = Path(__file__).parent / "golden"


def sine() -> tg.Node:
    x = tg.Node(2.0, name="x")
    y = np.sin(x) * x
    y.name = "y"
    return y


PICTURES = {
    "sine": lambda: tg.render(sine(), show="values"),
    "two_layers_dark": lambda: tg.render(two_layers(), theme="dark"),
    "blocks": lambda: tg.render(blocks(5)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_it_was(name: str) -> None:
    path = GOLDEN / f"{name}.dot"
    source = PICTURES[name]().source
    if os.environ.get("TINYGRAPH_GOLDEN") == "write":
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")
