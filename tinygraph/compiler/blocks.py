"""How products of matrices are cut into small ones, which OpenBLAS multiplies as they lie.

OpenBLAS copies the factors of a product into another order first, unless the product is small. To
copy them takes up to half of the time where a batch is small, and still a tenth at 1024 rows. The
limits are measured, with OpenBLAS 0.3.30 and 0.3.31, and the same for float32 and float64: 109
GFLOP/s in float32 just below the second one, 60 above.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygraph.compiler.blas import has_small_kernels, loaded_blas_has_one_thread
from tinygraph.compiler.passes import Graph, is_turned
from tinygraph.compiler.program import Block, Program, Step, Value

MOST_AT_ONCE = 10**6
"""How many multiplications a small product has at most."""

MOST_OF_TURNED = 1200
"""How many elements its result has at most, where the second factor alone is turned."""

MOST_IN_BLOCKS = {"f": 1 << 30, "d": 1 << 27}
"""Up to how many multiplications nothing is lost by not copying the factors, by characters of
dtypes."""

FEW_TERMS = 200
"""The length of sums below which OpenBLAS's function for a second factor that is turned is slow."""

PAGE = 4096
"""Rows that lie so many bytes apart push one another out of the cache."""


def block_of(graph: Graph, a: Value, b: Value) -> Block:
    """Give how much of a @ b a function does at once that adds to what there is of the result."""
    (rows, terms), columns = a.shape, b.shape[1]
    whole, only_b = (rows, columns, terms), only_second_is_turned(graph, a, b)
    if is_small(whole, only_b) or rows * columns * terms > MOST_IN_BLOCKS[a.dtype.char]:
        return whole
    if not only_b:
        terms, columns = even(terms, 128, 8), even(columns, 64, 16)
        return even(rows, MOST_AT_ONCE // (columns * terms), 4), columns, terms
    if terms < FEW_TERMS or terms * a.dtype.itemsize % PAGE == 0:
        return whole
    columns = even(columns, 48, 16)
    rows = even(rows, MOST_OF_TURNED // columns, 4)
    return rows, columns, even(terms, MOST_AT_ONCE // (rows * columns), 1)


def rows_of(graph: Graph, a: Value, b: Value) -> int:
    """Give how many rows of a @ b NumPy does at once: all where a call takes what is gained."""
    (rows, terms), columns = a.shape, b.shape[1]
    only_b = only_second_is_turned(graph, a, b)
    if is_small((rows, columns, terms), only_b) or (only_b and terms < FEW_TERMS):
        return rows
    most = MOST_AT_ONCE // (columns * terms)
    most = min(most, MOST_OF_TURNED // columns) if only_b else most
    few = most < (8 if only_b else 16) or rows * columns * terms > MOST_IN_BLOCKS[a.dtype.char]
    return rows if few else even(rows, most, 4)


def only_second_is_turned(graph: Graph, a: Value, b: Value) -> bool:
    """Tell whether b is likely to lie by its columns, and a by its rows."""
    return is_turned(graph, b) and not is_turned(graph, a)


def is_small(block: Block, only_b_is_turned: bool) -> bool:
    """Tell whether OpenBLAS does a product without copying the factors first."""
    rows, columns, terms = block
    fits = not only_b_is_turned or rows * columns <= MOST_OF_TURNED
    return fits and rows * columns * terms <= MOST_AT_ONCE


def even(size: int, most: int, unit: int) -> int:
    """Give the size of parts about as large as one another, and multiples of a unit."""
    if size <= most:
        return size
    parts = -(-size // max(most // unit * unit, unit))
    return -(-size // parts // unit) * unit


def cut_products(program: Program) -> Program:
    """Do products of matrices some rows at a time, where that is faster."""
    if not loaded_blas_has_one_thread() or not has_small_kernels():
        return program
    graph = Graph(program)
    program.steps = [
        cut(graph, step) if is_product(step) and step.kernel is None else step
        for step in program.steps
    ]
    return program


def cut(graph: Graph, step: Step) -> Step:
    """Give the product with the rows that NumPy does at once."""
    a, b = step.factors
    rows = rows_of(graph, a, b)
    return replace(step, block=(rows, b.shape[1], a.shape[1])) if rows < a.shape[0] else step


def is_product(step: Step) -> bool:
    """Tell whether a step multiplies matrices of one floating dtype."""
    if step.function is not np.dot or not is_real(*step.inputs, *step.outputs):
        return False
    return all(len(x.shape) == 2 and x.size > 0 for x in step.inputs)


def is_real(*values: Any) -> bool:
    """Tell whether all are real and of one dtype."""
    first = values[-1]
    alike = all(isinstance(x, Value) and x.dtype == first.dtype for x in values)
    return alike and first.dtype.char in "fd" and first.dtype.isnative
