"""Nested tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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
        return lambda new: type(tree)((key, build(new)) for key, build in rebuilds.items())
    if isinstance(tree, list | tuple):
        parts = [_flatten_into(branch, leaves) for branch in tree]
        if hasattr(tree, "_fields"):
            return lambda new: type(tree)(*(build(new) for build in parts))
        return lambda new: type(tree)(build(new) for build in parts)
    if tree is None:
        return lambda new: None
    leaves.append(tree)
    return next


def map_tree(function: Callable[..., Any], tree: Any) -> Any:
    """Apply `function` to every leaf of `tree`."""
    leaves, rebuild = flatten(tree)
    return rebuild(iter([function(leaf) for leaf in leaves]))
