"""Choose the implementations that work here, and say why the others do not."""

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from benchmarks.timing import blas_threads

T = TypeVar("T")

Implementations = Mapping[str, tuple[Callable[..., T], str]]
"""What makes an implementation and the package that it needs, by name."""


class UnusableError(RuntimeError):
    """Say that an implementation does not work here, and why."""


def make_all(implementations: Implementations[T], *arguments: Any) -> dict[str, T]:
    """Make every implementation that works here, and print why others are skipped."""
    made = {}
    for name, (make, package) in implementations.items():
        if not importlib.util.find_spec(package):
            _say_skipped(name, f"{package} is not installed")
            continue
        try:
            made[name] = make(*arguments)
        except UnusableError as error:
            _say_skipped(name, str(error))
    return made


@functools.cache
def _say_skipped(name: str, reason: str) -> None:
    """Print it once."""
    print(f"{name}: skipped, {reason}", flush=True)


def import_torch() -> Any:
    """Import PyTorch, and give it as many threads as NumPy's BLAS has."""
    import torch

    torch.set_num_threads(blas_threads())
    return torch


@functools.cache
def check_torch_compile() -> None:
    """Compile a small function, which takes a C++ compiler.

    Raises:
        UnusableError: it does not work.
    """
    torch = import_torch()
    try:
        torch.compile(torch.square)(torch.ones(2))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise UnusableError(
            f"torch.compile fails (does it find a C++ compiler?): {reason}"
        ) from error


def import_jax() -> Any:
    """Import JAX, in which float64 has to be allowed."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax
