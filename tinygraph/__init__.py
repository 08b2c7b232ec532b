"""A small tensor graph that differentiates NumPy code."""

from typing import TYPE_CHECKING, Any

from tinygraph import nn, optim, rules  # noqa: F401
from tinygraph.checkpoint import checkpoint
from tinygraph.compiler.compiled import compile
from tinygraph.compiler.tape import CompileError
from tinygraph.gradcheck import GradientError, gradcheck
from tinygraph.jacobians import hessian, jacobian
from tinygraph.node import Node
from tinygraph.op import op
from tinygraph.render import render
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
    from tinygraph.io import load, save
    from tinygraph.testing import check_op as check_op

__all__ = [
    "CompileError",
    "GradientError",
    "Node",
    "checkpoint",
    "compile",
    "elementwise_grad",
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
    """Import when first used what needs much else.

    That is `save` and `load`, `special` with SciPy, and `check_op` with hypothesis.
    """
    if name in ("load", "save"):
        from tinygraph import io

        return getattr(io, name)
    if name == "special":
        from tinygraph.rules import special

        return special
    if name == "check_op":
        from tinygraph import testing

        return testing.check_op
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
