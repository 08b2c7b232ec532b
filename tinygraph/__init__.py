"""A small tensor graph that differentiates NumPy code."""

from tinygraph import nn, rules  # noqa: F401
from tinygraph.io import load, save
from tinygraph.node import Node, no_grad, scope
from tinygraph.op import op
from tinygraph.transforms import grad, value_and_grad, vjp

__all__ = [
    "Node",
    "grad",
    "load",
    "nn",
    "no_grad",
    "op",
    "save",
    "scope",
    "value_and_grad",
    "vjp",
]
