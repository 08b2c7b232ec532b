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


def describe(activation: Activation) -> dict[str, Any]:
    """Give what is stored of an activation."""
    cls = type(activation)
    return {
        "name": cls.__name__,
        "known": cls in KNOWN.values(),
        "parameters": activation.parameters(),
    }


def to_tree(network: Any) -> dict[str, Any]:
    """Give what is stored of a network as a tree for tg.save."""
    return {
        "format": FORMAT,
        "layers": network.layers,
        "activations": [describe(activation) for activation in network.activations],
        "loss": network.loss_name,
        "weights": list(network.weights),
        "biases": list(network.biases),
    }


def load(path: Any, own: Sequence[Activation]) -> Any:
    """Read what a file holds: the tree that `to_tree` made, or the older project's pickles."""
    with Path(path).open("rb") as file:
        start = file.read(9)
        # Safetensors begins with the length of its header, which may look like any pickle.
        is_saved = start[4:] == b"\0\0\0\0{"
        if is_saved or start[:1] not in (b"\x80", b"(", b"]", b"}", b"c"):
            return tg.load(path)
        file.seek(0)
        classes = {**KNOWN, **{type(activation).__name__: type(activation) for activation in own}}
        found = load_pickles(file, what=str(path), classes=classes)
    return found[0] if len(found) == 1 else found


def interpret(content: Any, own: Sequence[Activation]) -> Stored:
    """Give the network that `load` read; its own activations are looked for among `own`."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return interpret_old(content)
    return Stored(
        layers=content["layers"],
        activations=[find_activation(stored, own) for stored in content["activations"]],
        weights=content["weights"],
        biases=content["biases"],
        loss=find_loss(content["loss"]),
    )


def find_activation(stored: dict[str, Any], own: Sequence[Activation]) -> Activation:
    """Give the activation that `describe` described: one of `own`, or a known one made anew."""
    for activation in own:
        if describe(activation) == stored:
            return activation
    name, parameters = stored["name"], stored["parameters"]
    if not stored["known"] or name not in KNOWN:
        raise ValueError(
            f"the activation {name}({parameters}) is neither a known one nor one of this "
            f"network's; restore into a network that was made with it"
        )
    return KNOWN[name](**parameters)


def interpret_old(content: Any) -> Stored:
    """Give the network of the older project, which has no format of its own to be known by.

    The parts may be in a dict, in one sequence, or in four pickles one after another.
    """
    if isinstance(content, dict):
        content = [content.get(field) for field in OLD_FIELDS]
    parts = content if isinstance(content, list | tuple) else []
    if len(parts) != 4 or not all(isinstance(x, list | tuple | np.ndarray) for x in parts):
        raise ValueError(
            f"expected what NeuralNetwork.save writes, or a pickle of lists: "
            f"{', '.join(OLD_FIELDS)}, in a dict or in that order"
        )
    layers, weights, biases, activations = map(list, parts)
    return Stored(layers, [old_activation(x) for x in activations], weights, biases, DEFAULT)


def old_activation(found: Any) -> Activation:
    """Give the activation that the older project pickled: a class, or an instance with numbers."""
    if type(found) in KNOWN.values():
        return type(found)(**found.parameters())
    return make_activation(found)
