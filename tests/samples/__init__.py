"""Every op of tinygraph, and for each a strategy of calls at points where it is smooth.

The modules here mirror tinygraph/rules. Each has SAMPLES, calls by the name of an op, or of a NumPy
function that is composed of others ("np.clip"); and, where it needs them, sets of such names:

- STEPS: constant between steps, so that the gradient is zero
- REAL_ONLY: complex numbers are refused
- ALWAYS_FLOAT64: gives float64 also of narrower numbers
- NO_FLOAT16: refuses float16
- WIDENS_FLOAT16: gives float32 or float64 of float16
- FIRST_DTYPE: computes in the dtype of its first input
- OF_SEQUENCES: the function that users write takes the inputs as one sequence
- JOINT: gives a Bundle, or reads part of its input, and is tested with the composed function of it

and FORMS: what users write, by name, where that is not the function itself.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.samples import drawing
from tinygraph import nn as ops_of_networks
from tinygraph import rules
from tinygraph.op import COMPOSED, OPS, Op, describe

MODULES = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]


def names_in_all(trait: str) -> set[str]:
    return set().union(*(getattr(module, trait, ()) for module in MODULES))


def merged(table: str) -> dict[str, Any]:
    tables = [getattr(module, table, {}) for module in MODULES]
    assert sum(map(len, tables)) == len(set().union(*tables)), f"a name is twice in {table}"
    return {name: entry for part in tables for name, entry in part.items()}


SAMPLES: dict[str, st.SearchStrategy[drawing.Call]] = merged("SAMPLES")
FORMS: dict[str, Callable[..., Any]] = merged("FORMS")
STEPS = names_in_all("STEPS")
REAL_ONLY = names_in_all("REAL_ONLY")
ALWAYS_FLOAT64 = names_in_all("ALWAYS_FLOAT64")
NO_FLOAT16 = names_in_all("NO_FLOAT16")
WIDENS_FLOAT16 = names_in_all("WIDENS_FLOAT16")
FIRST_DTYPE = names_in_all("FIRST_DTYPE")
OF_SEQUENCES = names_in_all("OF_SEQUENCES")
JOINT = names_in_all("JOINT")


def all_ops() -> dict[str, Op]:
    """Give every op by name: those of NumPy's functions, of tinygraph.nn, and of the rules."""
    modules = [importlib.import_module(f"{rules.__name__}.{m.name}") for m in rule_modules()]
    found = [
        *OPS.values(),
        *(op for module in [ops_of_networks, *modules] for op in ops_in(module)),
    ]
    unique = list({id(op): op for op in found}.values())
    names = [op.name for op in unique]
    assert len(set(names)) == len(names), "two ops have one name, so tests could not tell them"
    return {name: op for name, op in zip(names, unique, strict=True) if name not in JOINT}


def all_composed() -> dict[str, Callable[..., Any]]:
    """Give every NumPy function that is written with others, as users write its call, by name."""
    names = {describe(function): function for function in COMPOSED}
    return {name: FORMS.get(name, function) for name, function in names.items()}


def rule_modules() -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(rules.__path__)


def ops_in(module: Any) -> list[Op]:
    return [value for value in vars(module).values() if isinstance(value, Op)]


def calls_of(op: Op) -> st.SearchStrategy[drawing.Call]:
    """Give the strategy of an op's calls; element-wise ufuncs need no entry in SAMPLES."""
    if op.name in SAMPLES:
        return SAMPLES[op.name]
    if is_elementwise(op):
        return drawing.elementwise(op.function.nin, op.domain)
    raise LookupError(f"the op {op.name!r} has no sample: add one to SAMPLES in tests/samples/")


def is_elementwise(op: Op) -> bool:
    function = op.function
    return isinstance(function, np.ufunc) and function.signature is None and function.nin <= 2
