"""Nested tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np

Rebuild = Callable[[Iterator[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """Give the leaves of `tree` in order, and a function that builds it from an iterator of others.

    Tuples (named ones too), lists and dicts are containers, None is an empty one; the rest are
    leaves.
    """
    leaves: list[Any] = []
    rebuild = _flatten_into(tree, leaves)
    return leaves, rebuild


def _flatten_into(tree: Any, leaves: list[Any]) -> Rebuild:
    if isinstance(tree, dict):
        rebuilds = {key: _flatten_into(branch, leaves) for key, branch in tree.items()}

        def rebuild(new: Iterator[Any]) -> Any:
            # A copy keeps what dict's subclasses add, a default factory for one.
            built = copy(tree)
            built.update((key, build(new)) for key, build in rebuilds.items())
            return built

        return rebuild
    if isinstance(tree, list | tuple):
        parts = [_flatten_into(branch, leaves) for branch in tree]
        if hasattr(tree, "_fields"):
            return lambda new: type(tree)(*(build(new) for build in parts))
        return lambda new: type(tree)(build(new) for build in parts)
    if tree is None:
        return lambda new: None
    leaves.append(tree)
    return next


def paths(tree: Any, name: str = "argument") -> list[str]:
    """Give how each leaf of `tree` is reached, in the order of `flatten`."""
    if isinstance(tree, dict):
        return [path for key in tree for path in paths(tree[key], f"{name}[{key!r}]")]
    if isinstance(tree, list | tuple):
        return [path for i, x in enumerate(tree) for path in paths(x, f"{name}[{i}]")]
    return [] if tree is None else [name]


def flatten_like(tree: Any, other: Any, what: str) -> list[Any]:
    """Give the leaves of `other` in the order of those of `tree`, whose structure it must have."""
    if isinstance(tree, dict):
        if not isinstance(other, dict) or other.keys() != tree.keys():
            raise ValueError(f"{what}: expected a dict of {list(tree)}, got {_outline(other)}")
        return [x for key in tree for x in flatten_like(tree[key], other[key], f"{what}[{key!r}]")]
    if isinstance(tree, list | tuple):
        if not isinstance(other, list | tuple) or len(other) != len(tree):
            raise ValueError(
                f"{what}: expected a {type(tree).__name__} of {len(tree)}, got {_outline(other)}"
            )
        parts = enumerate(zip(tree, other, strict=True))
        return [x for i, (a, b) in parts for x in flatten_like(a, b, f"{what}[{i}]")]
    if tree is None:
        return []
    if isinstance(other, dict | tuple) or other is None:
        raise ValueError(f"{what}: expected an array, got {_outline(other)}")
    return [other]


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {list(tree)}"
    size = f" of {len(tree)}" if isinstance(tree, list | tuple) else ""
    return f"a {type(tree).__name__}{size}"


def map_tree(function: Callable[..., Any], tree: Any) -> Any:
    """Apply `function` to every leaf of `tree`."""
    leaves, rebuild = flatten(tree)
    return rebuild(iter([function(leaf) for leaf in leaves]))


def ravel_tree(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Give the elements of all leaves as one vector, and the function that makes the tree of one.

    Both see Nodes through, so that scipy.optimize.minimize(tg.value_and_grad(lambda vector:
    f(unravel(vector))), vector, jac=True) minimises over trees. The vector has the dtype that holds
    all; the leaves come back in their own.

    >>> import numpy as np, tinygraph as tg
    >>> vector, unravel = tg.ravel_tree({"w": np.array([[1.0, 2.0]]), "b": 3.0})
    >>> vector
    array([1., 2., 3.])
    >>> unravel(vector * 2)
    {'w': array([[2., 4.]]), 'b': array(6.)}
    """
    leaves, rebuild = flatten(tree)
    shapes = [np.shape(leaf) for leaf in leaves]
    dtypes = [np.result_type(leaf) for leaf in leaves]
    stops = np.cumsum([math.prod(shape) for shape in shapes], dtype=int).tolist()
    size = stops[-1] if stops else 0

    def unravel(vector: Any) -> Any:
        if np.shape(vector) != (size,):
            raise ValueError(f"unravel: expected shape ({size},), got {np.shape(vector)}")
        vector = vector if hasattr(vector, "dtype") else np.asarray(vector)
        starts = [0, *stops[:-1]]
        pieces = zip(starts, stops, shapes, dtypes, strict=False)
        return rebuild(
            vector[start:stop].reshape(shape).astype(dtype) for start, stop, shape, dtype in pieces
        )

    return np.concatenate([np.ravel(leaf) for leaf in leaves] or [np.zeros(0)]), unravel
