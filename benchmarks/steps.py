"""One training step: tinygraph beside NumPy by hand and its peers.

Each `make_*` copies the parameters and returns a function that makes one step and returns the loss
from before the update, or the losses where it makes several.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import by_hand, peak, peers
from benchmarks.by_hand import Step
from benchmarks.implementations import Implementations, make_all
from benchmarks.problem import (
    BIGGER,
    LAYERS,
    LEARNING_RATE,
    TINY,
    Array,
    Parameters,
    for_layers,
    random_problem,
    step_flops,
    title_of,
)
from benchmarks.tables import print_timings
from benchmarks.timing import Timing, compare

TOLERANCE = 1e-9
VERIFIED_STEPS = 4
STEEP = 0.5
"""A large learning rate, so that a wrong update shows."""


def step_of_graph(parameters: Parameters, learning_rate: float) -> Callable[..., Any]:
    """Write the step with tinygraph's graph, layers and optimiser; it gives the loss's node."""
    import tinygraph as tg

    layers = [
        (tg.Node(weight, name=f"w{layer}"), tg.Node(bias, name=f"b{layer}"))
        for layer, (weight, bias) in enumerate(parameters, start=1)
    ]
    activations = for_layers(parameters, tg.nn.relu, tg.nn.sigmoid, np.tanh)
    optimizer = tg.optim.SGD(
        [leaf for layer in layers for leaf in layer], learning_rate=learning_rate
    )

    def step(x: Any, y: Any) -> Any:
        a = x
        for (weight, bias), activation in zip(layers, activations, strict=True):
            a = activation(tg.nn.linear(a, weight, bias))
        loss = tg.nn.quadratic(tg.nn.softmax(a), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def make_tinygraph(parameters: Parameters, x: Array, y: Array, learning_rate: float) -> Step:
    """Take the step through tinygraph's graph."""
    step = step_of_graph(parameters, learning_rate)
    # As training by steps does with its batches: a read-only constant needs no copy.
    x, y = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    return lambda: step(x, y).item()


def make_compiled(
    parameters: Parameters, x: Array, y: Array, learning_rate: float, backend: str = "numpy"
) -> Step:
    """Take the same step, compiled."""
    import tinygraph as tg

    step = tg.compile(step_of_graph(parameters, learning_rate), backend=backend)
    x, y = x.copy(), y.copy()
    return lambda: step(x, y).item()


REFERENCE = "numpy by hand"
COMPILED = "tinygraph, compiled"
SCAN = f"jax, {peers.SCANNED} in a scan"
IMPLEMENTATIONS: Implementations[Step] = {
    REFERENCE: (by_hand.make_numpy, "numpy"),
    "numpy, preallocated": (by_hand.make_preallocated, "numpy"),
    "tinygraph": (make_tinygraph, "tinygraph"),
    COMPILED: (make_compiled, "tinygraph"),
    "tinygraph, with BLAS": (partial(make_compiled, backend="blas"), "scipy"),
    "tinygraph, with numba": (partial(make_compiled, backend="numba"), "numba"),
    "pytorch": (peers.make_pytorch, "torch"),
    "pytorch, compiled": (peers.make_pytorch_compiled, "torch"),
    "jax, jitted": (peers.make_jax, "jax"),
    SCAN: (peers.make_jax_scan, "jax"),
    "autograd": (peers.make_autograd, "autograd"),
    "mygrad": (peers.make_mygrad, "mygrad"),
}


def print_step(options: Namespace) -> None:
    """Print the tables of 784-100-50-10."""
    print_network(LAYERS, options)


def print_networks(options: Namespace) -> None:
    """Print the tables of a bigger and of a tiny network."""
    print_network(BIGGER, options)
    print_network(TINY, options)


def print_network(layers: Sequence[int], options: Namespace) -> None:
    """Make sure that all implementations take the same step, and print its tables."""
    difference = verify(layers)
    title = f"training step {title_of(layers)}"
    print(f"\n{title}: {VERIFIED_STEPS} losses in float64 agree to {difference:.1e}")
    for dtype in options.dtype:
        for batch in options.batch:
            *timings, product = time_steps(layers, batch, dtype, options.rounds)
            shares = peak.share_column(product, step_flops(layers, batch))
            print_timings(
                f"{title}, batch {batch}, {dtype}, {options.rounds} rounds", timings, further=shares
            )


def time_steps(layers: Sequence[int], batch: int, dtype: str, rounds: int) -> list[Timing]:
    """Time a step of every implementation, and the large matrix product last."""
    problem = random_problem(layers, batch, dtype)
    functions = make_all(IMPLEMENTATIONS, *problem, LEARNING_RATE)
    return compare(functions | peak.make_product(dtype), rounds, steps={SCAN: peers.SCANNED})


def verify(layers: Sequence[int]) -> float:
    """Compare the losses of some steps in float64; return the largest difference.

    Raises:
        AssertionError: an implementation does not compute the same training step.
    """
    problem = random_problem(layers, 20, "float64")
    steps = make_all(IMPLEMENTATIONS, *problem, STEEP)
    losses = {name: _first_losses(step) for name, step in steps.items()}
    expected = losses[REFERENCE]
    for name, own in losses.items():
        # Written so that a NaN fails too.
        if not np.max(np.abs(own - expected)) <= TOLERANCE:
            raise AssertionError(
                f"{name}: losses {own} differ from {expected} of {REFERENCE} by more than "
                f"{TOLERANCE:.0e}; a timing would be unfair"
            )
    return max(float(np.max(np.abs(own - expected))) for own in losses.values())


def _first_losses(step: Step) -> Array:
    losses: list[float] = []
    while len(losses) < VERIFIED_STEPS:
        losses.extend(np.ravel(step()).tolist())
    return np.array(losses[:VERIFIED_STEPS])
