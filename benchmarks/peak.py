"""What share of the machine's peak a step reaches: of the speed of one large matrix product."""

import itertools
from argparse import Namespace
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.problem import LAYERS, random_problem, step_flops, title_of
from benchmarks.tables import print_table
from benchmarks.timing import Timing, compare

PRODUCT = "matrix product"
SIZE = 1024
SIZES = (256, 512, SIZE, 2048)


def make_product(dtype: str, size: int = SIZE) -> dict[str, Callable[[], object]]:
    """Give a function, by name, that multiplies two square matrices."""
    a, b = np.random.default_rng(0).random((2, size, size)).astype(dtype)
    out = np.empty_like(a)
    return {PRODUCT: lambda: np.dot(a, b, out=out)}


def product_flops(size: int = SIZE) -> int:
    """Count the multiplications and additions of that product."""
    return 2 * size**3


def share_column(product: Timing, flops: int) -> dict[str, Callable[[Timing], str]]:
    """Give the column of a table that says which share of the product's best speed is reached."""
    peak = product_flops() / product.best
    return {f"of {peak / 1e9:.0f} GF/s": lambda timing: f"{flops / timing.seconds / peak:.1%}"}


def print_peak(options: Namespace) -> None:
    """Print the speed of square matrix products, and of the products of a step alone."""
    for dtype in options.dtype:
        flops = {f"{size} x {size}": product_flops(size) for size in SIZES}
        functions = {f"{size} x {size}": make_product(dtype, size)[PRODUCT] for size in SIZES}
        for batch in options.batch:
            name = f"products of a step, batch {batch}"
            flops[name] = step_flops(LAYERS, batch)
            functions[name] = make_products_of_a_step(LAYERS, batch, dtype)
        timings = compare(functions, options.rounds)
        peak = product_flops() / timings[SIZES.index(SIZE)].best
        rows = {}
        for timing in timings:
            speed = flops[timing.name] / timing.seconds
            rows[timing.name] = [
                f"{timing.seconds * 1e6:.1f}",
                f"{speed / 1e9:.1f}",
                f"{speed / peak:.1%}",
            ]
        title = f"matrix products, {dtype}; of a step {title_of(LAYERS)}, {options.rounds} rounds"
        print_table(title, ["µs", "GFLOP/s", f"of {peak / 1e9:.0f} GF/s"], rows)


def make_products_of_a_step(layers: Sequence[int], batch: int, dtype: str) -> Callable[[], object]:
    """Write the matrix products of a training step, and nothing else of it."""
    parameters, x, _ = random_problem(layers, batch, dtype)
    arrays = [x, *(np.zeros((batch, size), dtype) for size in layers[1:])]
    products = []
    for (weight, _), (inputs, outputs) in zip(parameters, itertools.pairwise(arrays), strict=True):
        products.append((inputs, weight.T, outputs))
        products.append((outputs.T, inputs, np.empty_like(weight)))
        if inputs is not x:
            products.append((outputs, weight, np.empty_like(inputs)))

    def multiply() -> None:
        for a, b, out in products:
            np.matmul(a, b, out=out)

    return multiply
