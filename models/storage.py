"""The network's file: what is written, what is read, the older project's pickles among it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinygraph as tg

if __package__:
    from models.activation import KNOWN, Activation, make_activation
    from models.losses import DEFAULT, find_loss
    from models.unpickle import load_pickles
else:
    from activation import KNOWN, Activation, make_activation
    from losses import DEFAULT, find_loss
    from unpickle import load_pickles

FORMAT = "tinygraph network 1"
OLD_FIELDS = ("layers", "weights", "biases", "activations")


class Stored(NamedTuple):
    """What a file holds of a network."""

    layers: list[int]
    activations: list[Activation]
    weights: list[Any]
    biases: list[Any]
    loss: str


def to_tree(network: Any) -> dict[str, Any]:
    """Give what is stored of a network as a tree for tg.save."""
    return {
        "format": FORMAT,
        "layers": network.layers,
        "activations": [
            {"name": type(a).__name__, "parameters": a.parameters()} for a in network.activations
        ],
        "loss": network.loss_name,
        "weights": list(network.weights),
        "biases": list(network.biases),
    }


def read(path: Any, own: Sequence[Activation] = ()) -> Stored:
    """Read a network's file; activations that are not known by name are looked for in `own`."""
    with Path(path).open("rb") as file:
        is_pickle = file.read(2)[:1] in (b"\x80", b"(", b"]", b"}")
    if is_pickle:
        return read_old(path, own)
    return from_tree(tg.load(path), path, own)


def from_tree(tree: Any, path: Any, own: Sequence[Activation] = ()) -> Stored:
    """Give what a tree that `to_tree` made holds."""
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a network's file ({FORMAT!r}), got another tree")
    return Stored(
        layers=tree["layers"],
        activations=[
            find_activation(a["name"], a["parameters"], path, own) for a in tree["activations"]
        ],
        weights=tree["weights"],
        biases=tree["biases"],
        loss=find_loss(tree["loss"]),
    )


def find_activation(
    name: str, parameters: dict[str, float], path: Any, own: Sequence[Activation]
) -> Activation:
    """Give the activation of that name: one of `own`, or a known one made anew."""
    for activation in own:
        if type(activation).__name__ == name and activation.parameters() == parameters:
            return activation
    if name not in KNOWN:
        raise ValueError(
            f"{path} uses the activation {name}({parameters}), which is not known; restore into a "
            f"network that was made with it"
        )
    return KNOWN[name](**parameters)


def read_old(path: Any, own: Sequence[Activation]) -> Stored:
    """Read the older project's file: a pickle of layers, weights, biases and activations.

    They may be a dict, one sequence in that order, or four pickles one after another.
    """
    classes = {**KNOWN, **{type(a).__name__: type(a) for a in own}}
    with Path(path).open("rb") as file:
        found = load_pickles(file, what=str(path), classes=classes)
    content = found[0] if len(found) == 1 else found
    if isinstance(content, dict):
        content = [content.get(field) for field in OLD_FIELDS]
    if (
        not isinstance(content, list | tuple)
        or len(content) != 4
        or any(c is None for c in content)
    ):
        raise ValueError(
            f"{path}: expected a pickle of {', '.join(OLD_FIELDS)}, in a dict or in that order"
        )
    layers, weights, biases, activations = content
    return Stored(
        layers=[int(size) for size in layers],
        activations=[make_activation(a) for a in activations],
        weights=[np.asarray(w) for w in weights],
        biases=[np.asarray(b) for b in biases],
        loss=DEFAULT,
    )
