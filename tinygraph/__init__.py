"""A small tensor graph that differentiates NumPy code."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygraph import nn, optim, rules  # noqa: F401
from tinygraph.checkpoint import checkpoint
from tinygraph.debugging import debug
from tinygraph.gradcheck import GradientError, gradcheck
from tinygraph.jacobians import hessian, jacobian
from tinygraph.node import Node
from tinygraph.op import op
from tinygraph.state import no_grad, scope
from tinygraph.transforms import (
    elementwise_grad,
    grad,
    hvp,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from tinygraph.tree import ravel_tree

if TYPE_CHECKING:
    from tinygraph.compiler.compiled import compile
    from tinygraph.compiler.tape import CompileError
    from tinygraph.explorer.page import explore
    from tinygraph.io import load, save
    from tinygraph.pictures.render import render
    from tinygraph.testing import check_op as check_op

LATE = {
    "CompileError": "compiler.tape",
    "check_op": "testing",
    "compile": "compiler.compiled",
    "explore": "explorer.page",
    "load": "io",
    "render": "pictures.render",
    "save": "io",
}
"""What is imported when it is first used, since it needs much else, and from where."""

__all__ = [
    "CompileError",
    "GradientError",
    "Node",
    "checkpoint",
    "compile",
    "debug",
    "elementwise_grad",
    "explore",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "load",
    "nn",
    "no_grad",
    "op",
    "optim",
    "ravel_tree",
    "render",
    "save",
    "scope",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    """Import what is LATE; `special` needs SciPy."""
    if name == "special":
        return import_module("tinygraph.rules.special")
    if name not in LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tinygraph.{LATE[name]}"), name)
