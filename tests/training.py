"""A training step of two layers, for tests that compile one."""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygraph as tg


def step_of_two_layers(leaves: list[tg.Node], optimizer: Any) -> Callable[..., Any]:
    """Give the function that trains weights and biases on a batch, and gives its loss."""
    w1, b1, w2, b2 = leaves

    def step(x: Any, y: Any) -> Any:
        h = np.tanh(tg.nn.linear(x, w1, b1))
        loss = tg.nn.quadratic(tg.nn.linear(h, w2, b2), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step
