"""One training step with tinygraph's peers, as benchmarks.by_hand has it in NumPy."""

from collections.abc import Callable
from typing import Any

from benchmarks.by_hand import Step
from benchmarks.implementations import check_torch_compile, import_jax, import_torch
from benchmarks.problem import Array, Parameters, for_layers

SCANNED = 50
"""Steps that `make_jax_scan` makes in one call."""


def make_pytorch(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with PyTorch's eager autograd."""
    torch = import_torch()
    leaves = [torch.tensor(part, requires_grad=True) for layer in parameters for part in layer]
    inputs, targets = torch.tensor(x), torch.tensor(y)
    loss_function = _pytorch_loss(parameters)

    def step() -> float:
        loss = loss_function(leaves, inputs, targets)
        gradients = torch.autograd.grad(loss, leaves)
        with torch.no_grad():
            torch._foreach_add_(leaves, gradients, alpha=-learning_rate)
        return loss.item()

    return step


def make_pytorch_compiled(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Compile the whole step into one graph, which is faster than the loss alone compiled."""
    check_torch_compile()
    torch = import_torch()
    leaves = [torch.tensor(part) for layer in parameters for part in layer]
    inputs, targets = torch.tensor(x), torch.tensor(y)
    differentiate = torch.func.grad_and_value(_pytorch_loss(parameters))

    def change(leaves: Any, inputs: Any, targets: Any) -> Any:
        gradients, loss = differentiate(leaves, inputs, targets)
        torch._foreach_add_(leaves, gradients, alpha=-learning_rate)
        return loss

    # Else the plans of other shapes and dtypes are counted as failures to compile this one.
    torch._dynamo.reset()
    compiled = torch.compile(change, fullgraph=True, dynamic=False)
    return lambda: compiled(leaves, inputs, targets).item()


def _pytorch_loss(parameters: Parameters) -> Callable[..., Any]:
    """Write the loss of a flat list of parameters."""
    torch = import_torch()
    activations = for_layers(parameters, torch.relu, torch.sigmoid, torch.tanh)
    linear, mse_loss = torch.nn.functional.linear, torch.nn.functional.mse_loss

    def loss_function(leaves: Any, x: Any, y: Any) -> Any:
        a = x
        for weight, bias, activation in zip(leaves[::2], leaves[1::2], activations, strict=True):
            a = activation(linear(a, weight, bias))
        probability = torch.softmax(a, dim=-1)
        return mse_loss(probability, y, reduction="sum") * (0.5 / len(x))

    return loss_function


def make_jax(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with JAX: compiled, and with parameters that are updated in place."""
    jax = import_jax()
    compiled = jax.jit(_jax_update(parameters, learning_rate), donate_argnums=0)
    state, inputs, targets = jax.tree.map(jax.numpy.array, (list(parameters), x, y))

    def step() -> float:
        nonlocal state
        state, loss = jax.block_until_ready(compiled(state, inputs, targets))
        return float(loss)

    return step


def make_jax_scan(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Make many steps in one compiled loop, as an epoch that never comes back to Python.

    Every step takes the same batch, as those of the others do. The call gives all the losses.
    """
    jax = import_jax()
    update = _jax_update(parameters, learning_rate)

    def epoch(state: Any, x: Any, y: Any) -> Any:
        return jax.lax.scan(lambda state, _: update(state, x, y), state, length=SCANNED)

    compiled = jax.jit(epoch, donate_argnums=0)
    state, inputs, targets = jax.tree.map(jax.numpy.array, (list(parameters), x, y))

    def steps() -> Any:
        nonlocal state
        state, losses = jax.block_until_ready(compiled(state, inputs, targets))
        return losses

    return steps


def _jax_update(parameters: Parameters, learning_rate: float) -> Callable[..., Any]:
    """Write a step as a function of the state that gives the next one, and the loss."""
    jax = import_jax()
    activations = for_layers(parameters, jax.nn.relu, jax.nn.sigmoid, jax.numpy.tanh)

    def loss_function(state: Any, x: Any, y: Any) -> Any:
        a = x
        for (weight, bias), activation in zip(state, activations, strict=True):
            a = activation(a @ weight.T + bias)
        error = jax.nn.softmax(a, axis=-1) - y
        return (error * error).sum() * (0.5 / len(x))

    def update(state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_function)(state, x, y)
        return jax.tree.map(lambda p, g: p - learning_rate * g, state, gradients), loss

    return update


def make_autograd(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with HIPS autograd."""
    import autograd
    from autograd import numpy as anp

    arrays = [part.copy() for layer in parameters for part in layer]
    activations = for_layers(
        parameters, lambda z: anp.maximum(z, 0), lambda z: 1 / (1 + anp.exp(-z)), anp.tanh
    )
    scale = 0.5 / len(x)

    def loss_function(arrays: Any) -> Any:
        a = x
        for weight, bias, activation in zip(arrays[::2], arrays[1::2], activations, strict=True):
            a = activation(anp.dot(a, weight.T) + bias)
        exponential = anp.exp(a - anp.max(a, axis=1, keepdims=True))
        error = exponential / anp.sum(exponential, axis=1, keepdims=True) - y
        return anp.sum(error * error) * scale

    differentiate = autograd.value_and_grad(loss_function)

    def step() -> float:
        loss, gradients = differentiate(arrays)
        for array, gradient in zip(arrays, gradients, strict=True):
            array -= learning_rate * gradient
        return loss

    return step


def make_mygrad(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with MyGrad, its memory guard off as its manual advises for speed."""
    import mygrad
    from mygrad.nnet.activations import relu, sigmoid, softmax

    layers = [(mygrad.tensor(weight), mygrad.tensor(bias)) for weight, bias in parameters]
    activations = for_layers(parameters, relu, sigmoid, mygrad.tanh)
    scale = 0.5 / len(x)

    @mygrad.mem_guard_off
    def step() -> float:
        a = x
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(mygrad.matmul(a, weight.T) + bias)
        error = softmax(a, axis=-1) - y
        loss = mygrad.sum(error * error) * scale
        loss.backward()
        for layer in layers:
            for leaf in layer:
                leaf.data -= learning_rate * leaf.grad
        return loss.item()

    return step
