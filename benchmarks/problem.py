"""The network whose step and inference are measured, and random data for it.

The first layer ends in Relu, the last in Tanh, those between in Sigmoid; the loss of a batch is
the mean over its samples of 1/2 * ||softmax(a_L) - y||^2; training is plain gradient descent.
"""

import itertools
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Parameters = Sequence[tuple[Array, Array]]
T = TypeVar("T")

LAYERS = (784, 100, 50, 10)
BIGGER = (784, 512, 512, 10)
TINY = (64, 32, 10)
LEARNING_RATE = 0.01


def title_of(layers: Sequence[int]) -> str:
    """Give the sizes of layers as 784-100-50-10."""
    return "-".join(map(str, layers))


def random_problem(
    layers: Sequence[int], batch: int, dtype: str, seed: int = 0
) -> tuple[Parameters, Array, Array]:
    """Draw parameters (out, in) and (out,), inputs (batch, in) and one-hot targets."""
    generator = np.random.default_rng(seed)
    parameters = [
        (
            generator.normal(0, 0.1, (outputs, inputs)).astype(dtype),
            generator.normal(0, 0.1, outputs).astype(dtype),
        )
        for inputs, outputs in itertools.pairwise(layers)
    ]
    x = generator.random((batch, layers[0])).astype(dtype)
    y = np.eye(layers[-1], dtype=dtype)[generator.integers(layers[-1], size=batch)]
    return parameters, x, y


def for_layers(parameters: Parameters, relu: T, sigmoid: T, tanh: T) -> list[T]:
    """Give every layer the one of its activation."""
    return [relu, *[sigmoid] * (len(parameters) - 2), tanh]


def step_flops(layers: Sequence[int], batch: int) -> int:
    """Count the operations in the matrix products of a step: multiplications and additions.

    A layer takes one product forward, one for the weights' gradient and one for its inputs', which
    the first layer needs not.
    """
    first, *others = (a * b for a, b in itertools.pairwise(layers))
    return 2 * batch * (2 * first + 3 * sum(others))
