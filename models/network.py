"""A multi-layer perceptron, built from graph ops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import tinygraph as tg
from tinygraph import nn

if __package__:
    from models import storage, training
    from models.activation import Activation, make_activation
    from models.data import as_arrays, check_finite
    from models.losses import DEFAULT, LOSSES, find_loss
else:
    import storage
    import training
    from activation import Activation, make_activation
    from data import as_arrays, check_finite
    from losses import DEFAULT, LOSSES, find_loss

Array = np.ndarray[Any, Any]


class NeuralNetwork:
    """A network of `layers` sizes with one activation for every layer after the first.

    Weights (outputs, inputs) and biases (outputs, 1) start from a normal distribution of mean 0
    and standard deviation 0.1, drawn from `seed`. An activation is an Activation, its class or its
    name.

    >>> network = NeuralNetwork([2, 3, 1], ["tanh", "sigmoid"], seed=0)
    >>> network.feedforward(np.zeros((5, 2))).shape
    (5, 1)
    """

    def __init__(
        self,
        layers: Sequence[int],
        activations: Sequence[Any],
        *,
        seed: int | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float16, np.float32, np.float64):
            raise TypeError(f"dtype: expected float16, float32 or float64, got {self.dtype}")
        self.loss_name = DEFAULT
        self.random = np.random.default_rng(seed)
        sizes = checked_layers(layers)
        self._adopt(
            sizes,
            [make_activation(activation) for activation in activations],
            [self.random.normal(0, 0.1, shape) for shape in zip(sizes[1:], sizes, strict=False)],
            [self.random.normal(0, 0.1, size) for size in sizes[1:]],
        )

    def _adopt(
        self,
        layers: Sequence[int],
        activations: list[Activation],
        weights: Sequence[Array],
        biases: Sequence[Array],
    ) -> None:
        """Take the layers, activations and parameters given, once they fit together."""
        layers = checked_layers(layers)
        if len(activations) != len(layers) - 1:
            raise ValueError(
                f"activations: {len(layers)} layers need {len(layers) - 1}, one for every layer "
                f"after the first, got {len(activations)}"
            )
        shapes = list(zip(layers[1:], layers, strict=False))
        new_weights = checked_all(weights, shapes, "weights", self.dtype)
        columns = [np.reshape(bias, (-1, 1)) for bias in biases]
        new_biases = checked_all(columns, [(size, 1) for size in layers[1:]], "biases", self.dtype)
        self.layers = layers
        self.activations = activations
        self._weights = [parameter("W", i, w) for i, w in enumerate(new_weights, 1)]
        self._biases = [parameter("b", i, np.ravel(b)) for i, b in enumerate(new_biases, 1)]

    @property
    def parameters(self) -> list[tg.Node]:
        """The Nodes that training changes: every layer's weights, then every layer's biases."""
        return [*self._weights, *self._biases]

    @property
    def weights(self) -> Arrays:
        """The weights (outputs, inputs) of every layer, to be read and assigned."""
        return Arrays("weights", self._weights, lambda value: value)

    @weights.setter
    def weights(self, arrays: Sequence[Array]) -> None:
        self.weights.assign(arrays)

    @property
    def biases(self) -> Arrays:
        """The biases (outputs, 1) of every layer, to be read and assigned."""
        return Arrays("biases", self._biases, lambda value: value.reshape(-1, 1))

    @biases.setter
    def biases(self, arrays: Sequence[Array]) -> None:
        self.biases.assign(arrays)

    def _forward(self, x: Any, weights: Sequence[Any], biases: Sequence[Any]) -> Any:
        """Give the output of the last activation for rows `x`: graph of Nodes, arrays of arrays."""
        for i, (w, b, activation) in enumerate(
            zip(weights, biases, self.activations, strict=True), start=1
        ):
            with tg.scope(f"layer {i}"):
                x = activation(nn.linear(x, w, b))
        return x

    def loss(self, x: Any, y: Any, regular: float = 0, loss: str | None = None) -> tg.Node:
        """Give the loss as a Node: the mean over the samples + regular/2 times sum of W squared.

        `x` is rows (n, layers[0]) or one column; `y` one-hot rows or a column, or labels. `loss`
        names another one than that of the last training.
        """
        x, y = np.asarray(x), np.asarray(y)
        inputs, outputs = self.layers[0], self.layers[-1]
        one_column = x.shape == (inputs, 1) and y.shape in ((outputs, 1), ())
        rows, targets = as_arrays([(x, y)] if one_column else (x, y), inputs, outputs)
        name = self.loss_name if loss is None else find_loss(loss)
        return self.loss_of_rows(
            rows.astype(self.dtype, copy=False),
            targets.astype(self.dtype, copy=False),
            regular,
            name,
        )

    def loss_of_rows(self, x: Array, y: Array, regular: float, name: str) -> tg.Node:
        """Give the loss named `name` as `loss` does, of arrays in the form that it makes."""
        out = self._forward(x, self._weights, self._biases)
        with tg.scope("loss"):
            total: tg.Node = LOSSES[name](out, y)
            if regular:
                first, *others = map(nn.squared_norm, self._weights)
                total = total + regular * sum(others, start=first)
        return total

    def feedforward(self, x: Any) -> Array:
        """Give the output of the last activation: a column for a column, rows for rows."""
        x = np.asarray(x)
        column = x.shape == (self.layers[0], 1)
        rows = x.reshape(1, -1) if column else x
        if rows.ndim != 2 or rows.shape[1] != self.layers[0]:
            raise ValueError(
                f"feedforward: got x of shape {x.shape}; expected a column ({self.layers[0]}, 1) "
                f"or rows (n, {self.layers[0]})"
            )
        out = self._forward(
            rows.astype(self.dtype, copy=False),
            [w.value for w in self._weights],
            [b.value for b in self._biases],
        )
        return np.asarray(out.T if column else out)

    def predict(self, x: Any) -> Any:
        """Give the class number of a column, or of every row."""
        out = self.feedforward(x)
        return int(np.argmax(out)) if np.shape(x) == (self.layers[0], 1) else np.argmax(out, axis=1)

    def eval(self, data: Any) -> float:
        """Give the share of `data` whose class is predicted rightly, from 0 to 1."""
        x, y = as_arrays(data, self.layers[0], self.layers[-1])
        return float(np.mean(self.predict(x) == np.argmax(y, axis=1)))

    def train(
        self,
        data_train: Any,
        learning_rate: Any,
        epochs: int,
        batch_size: int,
        regular: float = 0,
        test: Any = None,
        save: Any = None,
        *,
        optimizer: Any = "sgd",
        loss: str | None = None,
        seed: int | None = None,
        callbacks: Sequence[Callable[..., Any]] = (),
        checkpoint_every: int | None = None,
        resume: bool = False,
        progress: bool = True,
        compile: bool = True,
        backend: str = "numpy",
    ) -> dict[str, list[float]]:
        """Train by mini-batches, shuffled every epoch, and give the history.

        The history holds the mean `loss` of every epoch, and the `accuracy` on `test` where that
        is given. `learning_rate` is a number or a schedule of tinygraph.optim; `optimizer` one of
        "sgd", "momentum", "adam", "adamw", "rmsprop", or a function of (parameters, learning_rate)
        that gives an optimiser. After every epoch each of `callbacks` is called with (network,
        epoch, history); one that gives True ends the training. The weights go to `save`, and with
        `checkpoint_every=k` every k epochs a checkpoint of everything beside it, from which
        `resume=True` goes on. Ctrl-C ends the training with the weights so far. A loss that is not
        finite is a FloatingPointError that says where. The step is compiled by tg.compile, with
        its `backend` "numpy", "blas" or "numba"; without `compile` it goes through the graph.
        """
        return training.train(
            self,
            data_train,
            training.Settings(
                learning_rate=learning_rate,
                epochs=epochs,
                batch_size=batch_size,
                regular=regular,
                test=test,
                save=save,
                optimizer=optimizer,
                loss=find_loss(loss),
                seed=seed,
                callbacks=callbacks,
                checkpoint_every=checkpoint_every,
                resume=resume,
                progress=progress,
                compile=compile,
                backend=backend,
            ),
        )

    def save(self, path: Any) -> None:
        """Write layers, activations, weights and biases to one file, with tg.save."""
        tg.save(path, storage.to_tree(self))

    def restore(self, path: Any) -> None:
        """Take layers, activations, weights and biases from a file that `save` wrote.

        A pickle of the older project is read too. An activation of one's own is found among those
        that this network has; numbers are cast to its dtype. Nothing is changed unless the whole
        file is good, else it is a ValueError.
        """
        content = storage.load(path, self.activations)
        try:
            stored = storage.interpret(content, self.activations)
            self._adopt(stored.layers, stored.activations, stored.weights, stored.biases)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no network that fits together: {error}") from error
        self.loss_name = stored.loss


class Arrays(Sequence[Array]):
    """The values of parameters, read and assigned like a list of arrays."""

    def __init__(self, name: str, nodes: list[tg.Node], shown: Callable[[Array], Array]) -> None:
        self._name = name
        self._nodes = nodes
        self._shown = shown

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._shown(node.value) for node in self._nodes[index]]
        return self._shown(self._nodes[index].value)

    def __setitem__(self, index: Any, array: Any) -> None:
        if isinstance(index, slice):
            Arrays(self._name, self._nodes[index], self._shown).assign(array)
            return
        node = self._nodes[index]
        array = checked(array, self[index].shape, f"{self._name}[{index}]", node.dtype)
        node.value = array.reshape(node.shape)

    def assign(self, arrays: Sequence[Any]) -> None:
        """Assign all, once every one of them has the right shape."""
        shapes = [shown.shape for shown in self]
        new = checked_all(arrays, shapes, self._name, self._nodes[0].dtype)
        for node, array in zip(self._nodes, new, strict=True):
            node.value = array.reshape(node.shape)

    def __iter__(self) -> Iterator[Array]:
        return (self._shown(node.value) for node in self._nodes)

    def __repr__(self) -> str:
        return repr(list(self))


def parameter(letter: str, layer: int, array: Array) -> tg.Node:
    """Give the leaf for the weights or biases of a layer."""
    with tg.scope(f"layer {layer}"):
        return tg.Node(array, name=f"{letter}{layer}")


def checked(array: Any, shape: tuple[int, ...], what: str, dtype: np.dtype[Any]) -> Array:
    """Give `array` as `dtype` where it has the `shape` expected and numbers finite in it."""
    array = np.asarray(array)
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{what}: expected numbers of shape {shape}, got {array.dtype} of shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        array = array.astype(dtype, copy=False)
    check_finite(array, what)
    return array


def checked_all(
    arrays: Sequence[Any], shapes: Sequence[Any], name: str, dtype: np.dtype[Any]
) -> list[Array]:
    """Give `arrays` where there is one of the right shape for every layer."""
    if len(arrays) != len(shapes):
        raise ValueError(f"{name}: expected {len(shapes)} arrays, one a layer, got {len(arrays)}")
    return [
        checked(array, shape, f"{name}[{i}]", dtype)
        for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
    ]


def checked_layers(layers: Sequence[Any]) -> list[int]:
    """Give the sizes of the layers where they are whole numbers that make a network."""
    sizes = list(layers)
    whole = all(isinstance(size, int | np.integer) for size in sizes)
    if not whole or len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"layers: expected two positive whole sizes or more, got {sizes}")
    return [int(size) for size in sizes]
