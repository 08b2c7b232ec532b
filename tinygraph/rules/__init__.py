"""Every derivative rule, by the kind of function; importing a module registers its rules."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from tinygraph.rules import (  # noqa: F401
    arithmetic,
    constant,
    counting,
    cumulative,
    elementwise,
    indexing,
    joining,
    numerical,
    padding,
    parts,
    products,
    rearrangement,
    reduction,
    selection,
    sets,
    shape,
    sorting,
    spacing,
    statistics,
    ufuncs,
)

LATE = {"numpy.fft": "fft", "numpy.linalg": "linalg", "scipy.special": "special"}
"""The modules of rules that are imported when a function of these packages meets a Node."""


def import_late(function: Callable[..., Any]) -> bool:
    """Import the rules of the package that `function` is from; tell whether it did anything."""
    package = getattr(function, "__module__", None) or ""
    if not package and isinstance(function, np.ufunc) and "scipy.special" in sys.modules:
        package = "scipy.special"
    name = f"{__name__}.{LATE.get(package)}"
    if package not in LATE or name in sys.modules:
        return False
    import_module(name)
    return True
