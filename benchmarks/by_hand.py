"""One training step written by hand in NumPy, plainly and with every buffer allocated once.

`make_*` copies the parameters and returns a function that makes one step and returns the loss
from before the update.
"""

from collections.abc import Callable
from typing import Any, SupportsFloat

import numpy as np

from benchmarks.problem import Array, Parameters, for_layers

Step = Callable[[], Any]


def make_numpy(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step the plain way: every result is a fresh array."""
    layers = [(weight.copy(), bias.copy()) for weight, bias in parameters]
    activations = for_layers(layers, relu, sigmoid, np.tanh)
    slopes = for_layers(layers, relu_slope, sigmoid_slope, tanh_slope)
    batch = len(x)

    def step() -> SupportsFloat:
        a = x
        outputs = []
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(a @ weight.T + bias)
            outputs.append(a)
        exponential = np.exp(a - a.max(axis=1, keepdims=True))
        probability = exponential / exponential.sum(axis=1, keepdims=True)
        error = probability - y
        loss = 0.5 * np.sum(error * error) / batch

        weighted = probability * error / batch
        delta = weighted - probability * weighted.sum(axis=1, keepdims=True)
        for number in reversed(range(len(layers))):
            weight, bias = layers[number]
            delta = delta * slopes[number](outputs[number])
            weight_gradient = delta.T @ (outputs[number - 1] if number else x)
            bias_gradient = delta.sum(axis=0)
            if number:
                delta = delta @ weight
            weight -= learning_rate * weight_gradient
            bias -= learning_rate * bias_gradient
        return loss

    return step


def relu(z: Array) -> Array:
    """Give the positive part."""
    return np.maximum(z, 0)


def sigmoid(z: Array) -> Array:
    """Give the logistic function."""
    return 1 / (1 + np.exp(-z))


def relu_slope(a: Array) -> Array:
    """Give relu's derivative, of its value."""
    return a > 0


def sigmoid_slope(a: Array) -> Array:
    """Give sigmoid's derivative, of its value."""
    return a * (1 - a)


def tanh_slope(a: Array) -> Array:
    """Give tanh's derivative, of its value."""
    return 1 - a * a


def make_preallocated(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Write the step with every buffer allocated before the first one."""
    activations = for_layers(parameters, relu_inplace, sigmoid_inplace, tanh_inplace)
    slopes = for_layers(
        parameters, multiply_relu_slope, multiply_sigmoid_slope, multiply_tanh_slope
    )
    layers: list[Layer] = []
    a, delta = x, None
    for (weight, bias), activation, slope in zip(parameters, activations, slopes, strict=True):
        layers.append(Layer(weight, bias, a, delta, activation, slope))
        a, delta = layers[-1].a, layers[-1].delta
    loss, loss_backward = make_loss(a, delta, y, learning_rate)
    forward = [layer.forward for layer in layers]
    backward = [layer.backward for layer in reversed(layers)]

    def step() -> SupportsFloat:
        for pass_layer in forward:
            pass_layer()
        result = loss()
        loss_backward()
        for pass_layer in backward:
            pass_layer()
        return result

    return step


class Layer:
    """The buffers of a layer, and the functions of its passes; that backward changes it too.

    `before` is the buffer for the loss's gradient by the layer's inputs, None for the first layer.
    """

    def __init__(
        self,
        weight: Array,
        bias: Array,
        inputs: Array,
        before: Array | None,
        activation: Callable[[Array], None],
        multiply_slope: Callable[[Array, Array, Array], None],
    ) -> None:
        weight, bias = weight.copy(), bias.copy()
        weight_change, bias_change = np.empty_like(weight), np.empty_like(bias)
        a, delta, slope = (np.empty((len(inputs), len(bias)), bias.dtype) for _ in range(3))
        transposed, delta_transposed = weight.T, delta.T

        def forward() -> None:
            np.matmul(inputs, transposed, out=a)
            np.add(a, bias, out=a)
            activation(a)

        def backward() -> None:
            multiply_slope(delta, a, slope)
            if before is not None:
                np.matmul(delta, weight, out=before)
            np.matmul(delta_transposed, inputs, out=weight_change)
            np.subtract(weight, weight_change, out=weight)
            np.add.reduce(delta, axis=0, out=bias_change)
            np.subtract(bias, bias_change, out=bias)

        self.a, self.delta = a, delta
        self.forward, self.backward = forward, backward


def make_loss(
    a: Array, delta: Array, y: Array, learning_rate: float
) -> tuple[Callable[[], SupportsFloat], Callable[[], None]]:
    """Write the loss of outputs `a`, and its gradient times the learning rate into `delta`."""
    batch = len(a)
    probability, error = np.empty_like(a), np.empty_like(a)
    column = np.empty((batch, 1), a.dtype)

    def forward() -> SupportsFloat:
        np.maximum.reduce(a, axis=1, keepdims=True, out=column)
        np.subtract(a, column, out=probability)
        np.exp(probability, out=probability)
        np.add.reduce(probability, axis=1, keepdims=True, out=column)
        np.divide(probability, column, out=probability)
        np.subtract(probability, y, out=error)
        return 0.5 * np.vdot(error, error) / batch

    def backward() -> None:
        # The learning rate goes in here, where the array is smallest, not into every gradient.
        np.multiply(error, learning_rate / batch, out=error)
        np.multiply(probability, error, out=delta)
        np.add.reduce(delta, axis=1, keepdims=True, out=column)
        np.multiply(probability, column, out=probability)
        np.subtract(delta, probability, out=delta)

    return forward, backward


def relu_inplace(a: Array) -> None:
    """Take the positive part in place."""
    np.maximum(a, 0, out=a)


def sigmoid_inplace(a: Array) -> None:
    """Take the logistic function in place."""
    np.negative(a, out=a)
    np.exp(a, out=a)
    np.add(a, 1, out=a)
    np.reciprocal(a, out=a)


def tanh_inplace(a: Array) -> None:
    """Take tanh in place."""
    np.tanh(a, out=a)


def multiply_relu_slope(delta: Array, a: Array, slope: Array) -> None:
    """Multiply `delta` by relu's derivative at its value `a`, with `slope` as a buffer."""
    np.greater(a, 0, out=slope)
    np.multiply(delta, slope, out=delta)


def multiply_sigmoid_slope(delta: Array, a: Array, slope: Array) -> None:
    """Multiply `delta` by sigmoid's derivative at its value `a`, with `slope` as a buffer."""
    np.multiply(delta, a, out=delta)
    np.subtract(1, a, out=slope)
    np.multiply(delta, slope, out=delta)


def multiply_tanh_slope(delta: Array, a: Array, slope: Array) -> None:
    """Multiply `delta` by tanh's derivative at its value `a`, with `slope` as a buffer."""
    np.multiply(a, a, out=slope)
    np.subtract(1, slope, out=slope)
    np.multiply(delta, slope, out=delta)
