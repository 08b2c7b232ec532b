"""One training step of the same network, written by hand in NumPy, with tinygraph and its peers.

Three layers (Relu, Sigmoid, Tanh); the loss of a batch is the mean over its samples of
1/2 * ||softmax(a_L) - y||^2; plain gradient descent. Each `make_*` copies the parameters and
returns a function that makes one step and returns the loss from before the update.
"""

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat, TypeVar

import numpy as np

from benchmarks.timing import Timing, blas_threads, compare

Array = np.ndarray[Any, np.dtype[Any]]
Parameters = Sequence[tuple[Array, Array]]
Step = Callable[[], SupportsFloat]
T = TypeVar("T")
Make = Callable[[Parameters, Array, Array, float], Step]

LAYERS = (784, 100, 50, 10)
LEARNING_RATE = 0.01
TOLERANCE = 1e-9


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


def make_numpy(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step by hand, the plain way: every result is a fresh array."""
    arrays = [part.copy() for layer in parameters for part in layer]
    w1, b1, w2, b2, w3, b3 = arrays
    batch = len(x)

    def step() -> SupportsFloat:
        z1 = x @ w1.T + b1
        a1 = np.maximum(z1, 0)
        a2 = 1 / (1 + np.exp(-(a1 @ w2.T + b2)))
        a3 = np.tanh(a2 @ w3.T + b3)
        exponential = np.exp(a3 - a3.max(axis=1, keepdims=True))
        probability = exponential / exponential.sum(axis=1, keepdims=True)
        error = probability - y
        loss = 0.5 * np.sum(error * error) / batch

        weighted = probability * error / batch
        d3 = weighted - probability * weighted.sum(axis=1, keepdims=True)
        d3 = d3 * (1 - a3 * a3)
        d2 = (d3 @ w3) * a2 * (1 - a2)
        d1 = (d2 @ w2) * (z1 > 0)
        gradients = (
            d1.T @ x,
            d1.sum(axis=0),
            d2.T @ a1,
            d2.sum(axis=0),
            d3.T @ a2,
            d3.sum(axis=0),
        )
        for array, gradient in zip(arrays, gradients, strict=True):
            array -= learning_rate * gradient
        return loss

    return step


def make_preallocated(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step by hand with every buffer allocated once, before the first step."""
    (w1, b1), (w2, b2), (w3, b3) = ((weight.copy(), bias.copy()) for weight, bias in parameters)
    batch, dtype = len(x), x.dtype
    a1, d1 = (np.empty((batch, len(b1)), dtype) for _ in range(2))
    a2, d2, slope2 = (np.empty((batch, len(b2)), dtype) for _ in range(3))
    a3, d3, slope3, probability, error = (np.empty((batch, len(b3)), dtype) for _ in range(5))
    positive = np.empty(d1.shape, bool)
    column = np.empty((batch, 1), dtype)
    dw1, db1, dw2, db2, dw3, db3 = (np.empty_like(a) for a in (w1, b1, w2, b2, w3, b3))

    def forward() -> SupportsFloat:
        np.matmul(x, w1.T, out=a1)
        np.add(a1, b1, out=a1)
        np.maximum(a1, 0, out=a1)
        np.matmul(a1, w2.T, out=a2)
        np.add(a2, b2, out=a2)
        np.negative(a2, out=a2)
        np.exp(a2, out=a2)
        np.add(a2, 1, out=a2)
        np.reciprocal(a2, out=a2)
        np.matmul(a2, w3.T, out=a3)
        np.add(a3, b3, out=a3)
        np.tanh(a3, out=a3)
        np.maximum.reduce(a3, axis=1, keepdims=True, out=column)
        np.subtract(a3, column, out=probability)
        np.exp(probability, out=probability)
        np.add.reduce(probability, axis=1, keepdims=True, out=column)
        np.divide(probability, column, out=probability)
        np.subtract(probability, y, out=error)
        return 0.5 * np.vdot(error, error) / batch

    def backward() -> None:
        # The learning rate goes in here, where the array is smallest, not into every gradient.
        np.multiply(error, learning_rate / batch, out=error)
        np.multiply(probability, error, out=d3)
        np.add.reduce(d3, axis=1, keepdims=True, out=column)
        np.multiply(probability, column, out=probability)
        np.subtract(d3, probability, out=d3)
        np.multiply(a3, a3, out=slope3)
        np.subtract(1, slope3, out=slope3)
        np.multiply(d3, slope3, out=d3)
        np.matmul(d3, w3, out=d2)
        np.multiply(d2, a2, out=d2)
        np.subtract(1, a2, out=slope2)
        np.multiply(d2, slope2, out=d2)
        np.matmul(d2, w2, out=d1)
        np.greater(a1, 0, out=positive)
        np.multiply(d1, positive, out=d1)

    def update() -> None:
        layers = (
            (w3, b3, d3, a2, dw3, db3),
            (w2, b2, d2, a1, dw2, db2),
            (w1, b1, d1, x, dw1, db1),
        )
        for weight, bias, delta, inputs, weight_change, bias_change in layers:
            np.matmul(delta.T, inputs, out=weight_change)
            np.subtract(weight, weight_change, out=weight)
            np.add.reduce(delta, axis=0, out=bias_change)
            np.subtract(bias, bias_change, out=bias)

    def step() -> SupportsFloat:
        loss = forward()
        backward()
        update()
        return loss

    return step


def _step_of_graph(parameters: Parameters, learning_rate: float) -> Callable[..., Any]:
    """Write the step with tinygraph's graph, layers and optimiser; it gives the loss's node."""
    import tinygraph as tg

    (w1, b1), (w2, b2), (w3, b3) = (
        (tg.Node(weight, name=f"w{layer}"), tg.Node(bias, name=f"b{layer}"))
        for layer, (weight, bias) in enumerate(parameters, start=1)
    )
    optimizer = tg.optim.SGD([w1, b1, w2, b2, w3, b3], learning_rate=learning_rate)

    def step(x: Any, y: Any) -> Any:
        a1 = tg.nn.relu(tg.nn.linear(x, w1, b1))
        a2 = tg.nn.sigmoid(tg.nn.linear(a1, w2, b2))
        a3 = np.tanh(tg.nn.linear(a2, w3, b3))
        loss = tg.nn.quadratic(tg.nn.softmax(a3), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def make_tinygraph(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Take the step through tinygraph's graph."""
    step = _step_of_graph(parameters, learning_rate)
    # As training by steps does with its batches: a read-only constant needs no copy.
    x, y = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    return lambda: step(x, y).item()


def make_compiled(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Take the same step, compiled."""
    import tinygraph as tg

    step = tg.compile(_step_of_graph(parameters, learning_rate))
    x, y = x.copy(), y.copy()
    return lambda: step(x, y).item()


def make_pytorch(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with PyTorch's eager autograd."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(blas_threads())
    (w1, b1), (w2, b2), (w3, b3) = (
        (torch.tensor(weight, requires_grad=True), torch.tensor(bias, requires_grad=True))
        for weight, bias in parameters
    )
    leaves = [w1, b1, w2, b2, w3, b3]
    inputs, targets = torch.tensor(x), torch.tensor(y)
    scale = 0.5 / len(x)

    def step() -> SupportsFloat:
        a1 = torch.relu(functional.linear(inputs, w1, b1))
        a2 = torch.sigmoid(functional.linear(a1, w2, b2))
        a3 = torch.tanh(functional.linear(a2, w3, b3))
        probability = torch.softmax(a3, dim=-1)
        loss = functional.mse_loss(probability, targets, reduction="sum") * scale
        gradients = torch.autograd.grad(loss, leaves)
        with torch.no_grad():
            torch._foreach_add_(leaves, gradients, alpha=-learning_rate)
        return loss.item()

    return step


def make_jax(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with JAX: compiled, and with parameters that are updated in place."""
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    scale = 0.5 / len(x)

    def loss_function(parameters: Any, x: Any, y: Any) -> Any:
        (w1, b1), (w2, b2), (w3, b3) = parameters
        a1 = jax.nn.relu(x @ w1.T + b1)
        a2 = jax.nn.sigmoid(a1 @ w2.T + b2)
        a3 = jnp.tanh(a2 @ w3.T + b3)
        error = jax.nn.softmax(a3, axis=-1) - y
        return (error * error).sum() * scale

    def update(parameters: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_function)(parameters, x, y)
        changed = jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients)
        return loss, changed

    compiled = jax.jit(update, donate_argnums=0)
    state = [tuple(jnp.array(part) for part in layer) for layer in parameters]
    inputs, targets = jnp.array(x), jnp.array(y)

    def step() -> SupportsFloat:
        nonlocal state
        loss, state = jax.block_until_ready(compiled(state, inputs, targets))
        return float(loss)

    return step


def make_autograd(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with HIPS autograd."""
    import autograd
    from autograd import numpy as anp

    arrays = [part.copy() for layer in parameters for part in layer]
    scale = 0.5 / len(x)

    def loss_function(arrays: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = arrays
        a1 = anp.maximum(anp.dot(x, w1.T) + b1, 0)
        a2 = 1 / (1 + anp.exp(-(anp.dot(a1, w2.T) + b2)))
        a3 = anp.tanh(anp.dot(a2, w3.T) + b3)
        exponential = anp.exp(a3 - anp.max(a3, axis=1, keepdims=True))
        error = exponential / anp.sum(exponential, axis=1, keepdims=True) - y
        return anp.sum(error * error) * scale

    differentiate = autograd.value_and_grad(loss_function)

    def step() -> SupportsFloat:
        loss, gradients = differentiate(arrays)
        for array, gradient in zip(arrays, gradients, strict=True):
            array -= learning_rate * gradient
        return loss

    return step


def make_mygrad(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with MyGrad, its memory guard off as its manual advises for speed."""
    import mygrad
    from mygrad.nnet import activations

    (w1, b1), (w2, b2), (w3, b3) = (
        (mygrad.tensor(weight), mygrad.tensor(bias)) for weight, bias in parameters
    )
    leaves = [w1, b1, w2, b2, w3, b3]
    scale = 0.5 / len(x)

    @mygrad.mem_guard_off
    def step() -> SupportsFloat:
        a1 = activations.relu(mygrad.matmul(x, w1.T) + b1)
        a2 = activations.sigmoid(mygrad.matmul(a1, w2.T) + b2)
        a3 = mygrad.tanh(mygrad.matmul(a2, w3.T) + b3)
        error = activations.softmax(a3, axis=-1) - y
        loss = mygrad.sum(error * error) * scale
        loss.backward()
        for leaf in leaves:
            leaf.data -= learning_rate * leaf.grad
        return loss.item()

    return step


REFERENCE = "numpy by hand"
IMPLEMENTATIONS: dict[str, tuple[Make, str]] = {
    REFERENCE: (make_numpy, "numpy"),
    "numpy, preallocated": (make_preallocated, "numpy"),
    "tinygraph": (make_tinygraph, "tinygraph"),
    "tinygraph, compiled": (make_compiled, "tinygraph"),
    "pytorch": (make_pytorch, "torch"),
    "jax, jitted": (make_jax, "jax"),
    "autograd": (make_autograd, "autograd"),
    "mygrad": (make_mygrad, "mygrad"),
}


def installed(implementations: Mapping[str, tuple[T, str]]) -> dict[str, T]:
    """Select the implementations whose package can be imported."""
    return {
        name: make
        for name, (make, package) in implementations.items()
        if importlib.util.find_spec(package)
    }


def missing() -> list[str]:
    """Name the packages that are not installed."""
    packages = dict.fromkeys(package for _, package in IMPLEMENTATIONS.values())
    return [package for package in packages if not importlib.util.find_spec(package)]


def verify(steps: int = 3) -> float:
    """Compare all losses in float64 after some steps; return the largest difference.

    Raises:
        AssertionError: an implementation does not compute the same training step.
    """
    problem = random_problem(LAYERS, 20, "float64")
    losses = {}
    for name, make in installed(IMPLEMENTATIONS).items():
        # A large learning rate, so that a wrong update would show.
        step = make(*problem, 0.5)
        losses[name] = [float(step()) for _ in range(steps + 1)]
    differences = {
        name: max(abs(own - other) for own, other in zip(values, losses[REFERENCE], strict=True))
        for name, values in losses.items()
    }
    for name, difference in differences.items():
        # Written so that a NaN fails too.
        if not difference <= TOLERANCE:
            raise AssertionError(
                f"{name}: losses {losses[name]} differ from {losses[REFERENCE]} of {REFERENCE} "
                f"by {difference:.1e}, expected at most {TOLERANCE:.0e}; a timing would be unfair"
            )
    return max(differences.values())


def time_steps(batch: int, dtype: str, rounds: int) -> list[Timing]:
    """Time one training step of every installed implementation."""
    problem = random_problem(LAYERS, batch, dtype)
    steps = {
        name: make(*problem, LEARNING_RATE) for name, make in installed(IMPLEMENTATIONS).items()
    }
    return compare(steps, rounds)
