"""The class probabilities of one sample, by a trained network."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import by_hand
from benchmarks.implementations import Implementations, import_jax, import_torch, make_all
from benchmarks.problem import (
    BIGGER,
    LAYERS,
    TINY,
    Array,
    Parameters,
    for_layers,
    random_problem,
    title_of,
)
from benchmarks.tables import print_timings
from benchmarks.timing import compare

Inference = Callable[[], Any]
TOLERANCE = 1e-12


def make_numpy(parameters: Parameters, x: Array) -> Inference:
    """Write it by hand."""
    activations = for_layers(parameters, by_hand.relu, by_hand.sigmoid, np.tanh)

    def infer() -> Array:
        a = x
        for (weight, bias), activation in zip(parameters, activations, strict=True):
            a = activation(a @ weight.T + bias)
        exponential = np.exp(a - a.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True)

    return infer


def make_tinygraph(parameters: Parameters, x: Array) -> Inference:
    """Evaluate the functions of tinygraph on Nodes, without recording."""
    import tinygraph as tg

    function = _function_of_nodes(parameters)

    def infer() -> Array:
        with tg.no_grad():
            return function(x).value

    return infer


def make_compiled(parameters: Parameters, x: Array) -> Inference:
    """Compile the same functions."""
    import tinygraph as tg

    function = tg.compile(_function_of_nodes(parameters))
    return lambda: function(x)


def _function_of_nodes(parameters: Parameters) -> Callable[[Any], Any]:
    import tinygraph as tg

    layers = [(tg.Node(weight), tg.Node(bias)) for weight, bias in parameters]
    activations = for_layers(parameters, tg.nn.relu, tg.nn.sigmoid, np.tanh)

    def function(x: Any) -> Any:
        a = x
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(tg.nn.linear(a, weight, bias))
        return tg.nn.softmax(a)

    return function


def make_pytorch(parameters: Parameters, x: Array) -> Inference:
    """Write it with PyTorch, in its mode for inference."""
    torch = import_torch()
    layers = [(torch.tensor(weight), torch.tensor(bias)) for weight, bias in parameters]
    activations = for_layers(parameters, torch.relu, torch.sigmoid, torch.tanh)
    linear, sample = torch.nn.functional.linear, torch.tensor(x)

    @torch.inference_mode()
    def infer() -> Any:
        a = sample
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(linear(a, weight, bias))
        return torch.softmax(a, dim=-1)

    return infer


def make_jax(parameters: Parameters, x: Array) -> Inference:
    """Write it with JAX, compiled, its parameters constants: as arguments they took longer."""
    jax = import_jax()
    activations = for_layers(parameters, jax.nn.relu, jax.nn.sigmoid, jax.numpy.tanh)
    layers, sample = jax.tree.map(jax.numpy.array, (list(parameters), x))

    @jax.jit
    def function(a: Any) -> Any:
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(a @ weight.T + bias)
        return jax.nn.softmax(a, axis=-1)

    return lambda: jax.block_until_ready(function(sample))


REFERENCE = "numpy by hand"
IMPLEMENTATIONS: Implementations[Inference] = {
    REFERENCE: (make_numpy, "numpy"),
    "tinygraph, no_grad": (make_tinygraph, "tinygraph"),
    "tinygraph, compiled": (make_compiled, "tinygraph"),
    "pytorch": (make_pytorch, "torch"),
    "jax, jitted": (make_jax, "jax"),
}


def print_inference(options: Namespace) -> None:
    """Print the tables of every network, after comparing the probabilities in float64."""
    for layers in (LAYERS, BIGGER, TINY):
        parameters, x, _ = random_problem(layers, 1, "float64")
        _verify(make_all(IMPLEMENTATIONS, parameters, x))
        for dtype in options.dtype:
            parameters, x, _ = random_problem(layers, 1, dtype)
            timings = compare(make_all(IMPLEMENTATIONS, parameters, x), options.rounds)
            title = f"inference of one sample, {title_of(layers)}, {dtype}, {options.rounds} rounds"
            print_timings(title, timings)


def _verify(functions: dict[str, Inference]) -> None:
    expected = functions[REFERENCE]()
    for name, function in functions.items():
        np.testing.assert_allclose(
            np.asarray(function()), expected, rtol=TOLERANCE, err_msg=f"{name}, inference"
        )
