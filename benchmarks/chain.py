"""The cost a node of a long chain of tiny operations: forward and backward, pure overhead.

Each `make_*` returns two functions, one for each chain: `y = y * c`, and `y = tanh(y)`, both on
arrays of shape (2,); a call returns the gradient of the last y, with a cotangent of ones.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.implementations import Implementations, make_all
from benchmarks.tables import print_timings
from benchmarks.timing import compare

Array = np.ndarray[Any, np.dtype[Any]]
Gradient = Callable[[], Any]
Chains = tuple[Gradient, Gradient]

LENGTH = 1_000
START = np.array([0.5, -1.5])
FACTOR = np.array([0.999, 1.001])
COTANGENT = np.ones(2)
TOLERANCE = 1e-12


def make_numpy() -> Chains:
    """Write both passes by hand."""

    def product() -> Array:
        y = START
        for _ in range(LENGTH):
            y = y * FACTOR
        gradient = COTANGENT
        for _ in range(LENGTH):
            gradient = gradient * FACTOR
        return gradient

    def tanh() -> Array:
        y = START
        outputs = []
        for _ in range(LENGTH):
            y = np.tanh(y)
            outputs.append(y)
        gradient = COTANGENT
        for output in reversed(outputs):
            gradient = gradient * (1 - output * output)
        return gradient

    return product, tanh


def make_tinygraph() -> Chains:
    """Build the chain of Nodes: by the operator, and by NumPy's function."""
    import tinygraph as tg

    def product() -> Array:
        x = y = tg.Node(START)
        for _ in range(LENGTH):
            y = y * FACTOR
        y.backward(COTANGENT)
        return x.grad

    def tanh() -> Array:
        x = y = tg.Node(START)
        for _ in range(LENGTH):
            y = np.tanh(y)
        y.backward(COTANGENT)
        return x.grad

    return product, tanh


def make_pytorch() -> Chains:
    """Build the chain of PyTorch's tensors."""
    import torch

    x = torch.tensor(START, requires_grad=True)
    factor, cotangent = torch.tensor(FACTOR), torch.tensor(COTANGENT)

    def product() -> Any:
        y = x
        for _ in range(LENGTH):
            y = y * factor
        return torch.autograd.grad(y, x, cotangent)[0]

    def tanh() -> Any:
        y = x
        for _ in range(LENGTH):
            y = torch.tanh(y)
        return torch.autograd.grad(y, x, cotangent)[0]

    return product, tanh


def make_autograd() -> Chains:
    """Trace the chain with HIPS autograd."""
    import autograd
    from autograd import numpy as anp

    def product_function(y: Any) -> Any:
        for _ in range(LENGTH):
            y = y * FACTOR
        return y

    def tanh_function(y: Any) -> Any:
        for _ in range(LENGTH):
            y = anp.tanh(y)
        return y

    def gradient_of(function: Any) -> Gradient:
        return lambda: autograd.make_vjp(function)(START)[0](COTANGENT)

    return gradient_of(product_function), gradient_of(tanh_function)


def make_mygrad() -> Chains:
    """Build the chain of MyGrad's tensors, its memory guard off as its manual advises."""
    import mygrad

    factor = mygrad.tensor(FACTOR, constant=True)

    @mygrad.mem_guard_off
    def product() -> Array:
        x = y = mygrad.tensor(START)
        for _ in range(LENGTH):
            y = y * factor
        y.backward(COTANGENT)
        return x.grad

    @mygrad.mem_guard_off
    def tanh() -> Array:
        x = y = mygrad.tensor(START)
        for _ in range(LENGTH):
            y = mygrad.tanh(y)
        y.backward(COTANGENT)
        return x.grad

    return product, tanh


IMPLEMENTATIONS: Implementations[Chains] = {
    "numpy by hand": (make_numpy, "numpy"),
    "tinygraph": (make_tinygraph, "tinygraph"),
    "pytorch": (make_pytorch, "torch"),
    "autograd": (make_autograd, "autograd"),
    "mygrad": (make_mygrad, "mygrad"),
}


def print_chain(options: Namespace) -> None:
    """Print both chains' tables, after comparing the gradients."""
    chains = make_all(IMPLEMENTATIONS)
    for number, title in enumerate(("y = y * c", "y = np.tanh(y)")):
        functions = {name: pair[number] for name, pair in chains.items()}
        _verify(title, functions)
        timings = compare(functions, options.rounds)
        title = f"{LENGTH} times {title}, forward + backward, {options.rounds} rounds"
        print_timings(title, timings, unit="µs", per=LENGTH)


def _verify(title: str, functions: dict[str, Gradient]) -> None:
    expected = np.asarray(functions["numpy by hand"]())
    for name, function in functions.items():
        np.testing.assert_allclose(
            np.asarray(function()), expected, rtol=TOLERANCE, err_msg=f"{name}, chain of {title}"
        )
