"""A small tensor graph that differentiates NumPy code."""

from tinygraph import nn, optim, rules  # noqa: F401
from tinygraph.gradcheck import GradientError, gradcheck
from tinygraph.io import load, save
from tinygraph.node import Node
from tinygraph.op import op
from tinygraph.render import render
from tinygraph.state import no_grad, scope
from tinygraph.transforms import grad, value_and_grad, vjp

__all__ = [
    "GradientError",
    "Node",
    "grad",
    "gradcheck",
    "load",
    "nn",
    "no_grad",
    "op",
    "optim",
    "render",
    "save",
    "scope",
    "value_and_grad",
    "vjp",
]
