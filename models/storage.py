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


def read(path: Any, own: Sequence[Activation] = ()) -> Stored:
    """Read a network's file; activations that are not known by name are looked for in `own`."""
    with Path(path).open("rb") as file:
        start = file.read(9)
    # Safetensors begins with the length of its header, of which any byte may look like a pickle's.
    is_saved = start[4:] == b"\0\0\0\0{"
    if start[:1] in (b"\x80", b"(", b"]", b"}") and not is_saved:
        return read_old(path, own)
    return from_tree(tg.load(path), path, own)


def from_tree(tree: Any, path: Any, own: Sequence[Activation]) -> Stored:
    """Give what a tree that `to_tree` made holds."""
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a network's file ({FORMAT!r}), got another tree")
    return Stored(
        layers=tree["layers"],
        activations=[find_activation(stored, path, own) for stored in tree["activations"]],
        weights=tree["weights"],
        biases=tree["biases"],
        loss=find_loss(tree["loss"]),
    )


def find_activation(stored: dict[str, Any], path: Any, own: Sequence[Activation]) -> Activation:
    """Give the activation that `describe` described: one of `own`, or a known one made anew."""
    for activation in own:
        if describe(activation) == stored:
            return activation
    name, parameters = stored["name"], stored["parameters"]
    if not stored["known"] or name not in KNOWN:
        raise ValueError(
            f"{path} uses the activation {name}({parameters}), which is neither a known one nor "
            f"one of this network's; restore into a network that was made with it"
        )
    return make_known(KNOWN[name], parameters, path)


def make_known(cls: type[Activation], parameters: dict[str, float], path: Any) -> Activation:
    """Make a known activation with the parameters that a file gives."""
    try:
        return cls(**parameters)
    except TypeError as error:
        raise ValueError(f"{path}: activation {cls.__name__} with {parameters}: {error}") from error


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
    if not all(isinstance(part, list | tuple | np.ndarray) for part in content):
        kinds = ", ".join(type(part).__name__ for part in content)
        raise ValueError(f"{path}: expected {', '.join(OLD_FIELDS)} as lists, got {kinds}")
    layers, weights, biases, activations = content
    return Stored(
        layers=list(layers),
        activations=[old_activation(activation, path) for activation in activations],
        weights=list(weights),
        biases=list(biases),
        loss=DEFAULT,
    )


def old_activation(found: Any, path: Any) -> Activation:
    """Give the activation that the older project pickled: a class, or an instance with numbers."""
    if type(found) in KNOWN.values():
        return make_known(type(found), found.parameters(), path)
    try:
        return make_activation(found)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
