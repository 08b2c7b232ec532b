"""Where the first NaN or infinity came from, and how it went on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.pictures.labels import value_of
from tinygraph.pictures.model import BAD, FIRST_BAD, Picture, inputs_by_head


def mark_nonfinite(picture: Picture) -> None:
    """Mark what is not finite though all that it is made of is, and the paths to the outputs."""
    count = len(picture.items)
    bad = np.fromiter((is_bad(item) for item in picture.items), bool, count)
    tails, heads = picture.edges.T
    between = bad[tails] & bad[heads]
    made_bad = np.zeros(count, dtype=bool)
    made_bad[heads[between]] = True
    below = leads_on(picture, between)
    for item in np.flatnonzero(bad & below).tolist():
        picture.marks[item] = BAD if made_bad[item] else FIRST_BAD
    for edge in np.flatnonzero(between & below[heads]).tolist():
        picture.edge_marks[edge] = BAD


def leads_on(picture: Picture, between: Any) -> Any:
    """Tell of every item whether edges among those given lead from it to an output."""
    inputs, starts = inputs_by_head(picture.edges[between], len(picture.items))
    found = np.zeros(len(picture.items), dtype=bool)
    stack = list(picture.outputs)
    while stack:
        item = stack.pop()
        if not found[item]:
            found[item] = True
            stack += inputs[starts[item] : starts[item + 1]]
    return found


def is_bad(item: Any) -> bool:
    """Tell whether an item's value holds NaN or infinity."""
    value = value_of(item)
    parts = value.parts if isinstance(value, Bundle) else (value,)
    return any(
        np.asarray(part).dtype.kind in "fc" and not np.isfinite(part).all() for part in parts
    )
