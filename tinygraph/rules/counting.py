"""Counts of elements: plain results, but for the weights of what is counted."""

from typing import Any

import numpy as np

from tinygraph.node import Node, read
from tinygraph.op import composed, op

Rule = tuple[Any, ...]


def _weigh(weights: Any, *, places: Any, count: int) -> Any:
    return np.bincount(places, weights, count)


@op(_weigh)
def weigh(g: Any, out: Any, weights: Any, *, places: Any, count: int) -> Rule:
    return (g[places],)


@composed(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if not isinstance(weights, Node):
        return np.bincount(read(x), weights, minlength)
    return weigh(weights, places=np.asarray(read(x)), count=minlength)


def _weigh_bins(weights: Any, *, a: Any, bins: Any, range: Any) -> Any:
    return np.histogram(a, bins, range, weights=weights)[0]


@op(_weigh_bins)
def weigh_bins(g: Any, out: Any, weights: Any, *, a: Any, bins: Any, range: Any) -> Rule:
    edges = np.histogram_bin_edges(a, bins, range)
    last = len(edges) - 2
    # The last bin has both of its edges.
    places = np.searchsorted(edges, a, "right") - 1 - (a == edges[-1])
    inside = (places >= 0) & (places <= last)
    return (g[np.clip(places, 0, last)] * inside,)


@composed(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:
    if not isinstance(weights, Node):
        return np.histogram(read(a), read(bins), read(range), density, weights)
    params = {"a": np.asarray(read(a)), "bins": read(bins), "range": read(range)}
    counts, edges = weigh_bins(weights, **params), np.histogram_bin_edges(**params)
    if density:
        counts = counts / np.diff(edges) / np.sum(counts)
    return counts, edges


@composed(np.histogram2d)
def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    density: bool | None = None,
    weights: Any = None,
) -> Any:
    refuse_weights("histogram2d", weights)
    return np.histogram2d(read(x), read(y), read(bins), read(range), density, weights)


@composed(np.histogramdd)
def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Any = None,
    density: bool | None = None,
    weights: Any = None,
) -> Any:
    refuse_weights("histogramdd", weights)
    return np.histogramdd(read(sample), read(bins), read(range), density, weights)


def refuse_weights(name: str, weights: Any) -> None:
    """Refuse weights whose gradient would be lost."""
    if isinstance(weights, Node):
        raise TypeError(
            f"{name}: tinygraph has no derivative rule by weights, which are a Node; write "
            f"np.bincount of the numbers of the bins, or pass weights.value to leave the graph"
        )
