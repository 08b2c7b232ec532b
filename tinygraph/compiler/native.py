"""What functions that numba compiles ask of BLAS."""

from __future__ import annotations

from ctypes import CFUNCTYPE, c_void_p
from typing import Any

import numpy as np
from numba import njit
from numba.extending import get_cython_function_address, overload

NORMAL, TURNED = map(ord, "NT")


def packed(a: Any) -> Any:
    """Give a matrix whose rows, or whose columns, lie one after the other: the same, or a copy."""
    raise NotImplementedError("packed is for functions that numba compiles")


def layout_of(a: Any) -> Any:
    """Give BLAS's letter for how a packed matrix lies, and how far its rows and columns are apart.

    Not by its strides, which say nothing where an axis has one element.
    """
    raise NotImplementedError("layout_of is for functions that numba compiles")


@overload(packed)
def packed_by_type(a: Any) -> Any:
    """Choose by what is known when numba compiles."""

    def same(a: Any) -> Any:
        return a

    def copied(a: Any) -> Any:
        return a.copy()

    return same if a.layout in "CF" else copied


@overload(layout_of)
def layout_by_type(a: Any) -> Any:
    """Choose by what is known when numba compiles."""

    def of_rows(a: Any) -> Any:
        return NORMAL, max(a.shape[1], 1), 1

    def of_columns(a: Any) -> Any:
        return TURNED, 1, max(a.shape[0], 1)

    return of_rows if a.layout == "C" else of_columns


def product_by(name: str, number: Any) -> Any:
    """Make the function out <- beta * out + alpha * a @ b of one of BLAS's, block by block.

    A block is how many rows and columns of the result, and terms of its sums, are done at once.
    The result is in C's order.
    """
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    gemm = CFUNCTYPE(None, *[c_void_p] * 13)(address)
    size = np.dtype(number).itemsize

    @njit
    def call(
        lying: Any, shape: Any, block: Any, alpha: Any, beta: Any, a: Any, b: Any, out: Any
    ) -> None:
        (a_way, a_row, a_column), (b_way, b_row, b_column) = lying
        rows, columns, terms = shape
        ways, sizes, scales = np.empty(2, np.uint8), np.empty(6, np.int32), np.empty(3, number)
        ways[0], ways[1] = b_way, a_way
        sizes[3], sizes[4], sizes[5] = max(b_row, b_column), max(a_row, a_column), columns
        scales[0], scales[1], scales[2] = alpha, beta, 1
        way, integer, scale = ways.ctypes.data, sizes.ctypes.data, scales.ctypes.data
        for k in range(0, terms, block[2]):
            sizes[2] = min(block[2], terms - k)
            for j in range(0, columns, block[1]):
                sizes[0] = min(block[1], columns - j)
                for i in range(0, rows, block[0]):
                    sizes[1] = min(block[0], rows - i)
                    # Of matrices in C's order BLAS sees the transposes: out.T = b.T @ a.T.
                    gemm(
                        way, way + 1, integer, integer + 4, integer + 8, scale,
                        b + size * (k * b_row + j * b_column), integer + 12,
                        a + size * (i * a_row + k * a_column), integer + 16,
                        scale + size * (2 if k else 1),
                        out + size * (i * columns + j), integer + 20,
                    )  # fmt: skip

    @njit
    def product(alpha: Any, a: Any, b: Any, beta: Any, out: Any, block: Any) -> None:
        a, b = packed(a), packed(b)
        lying, shape = (layout_of(a), layout_of(b)), (a.shape[0], b.shape[1], a.shape[1])
        data = a.ctypes.data, b.ctypes.data, out.ctypes.data
        call(lying, shape, block, alpha, beta, *data)

    return product


sgemm = product_by("sgemm", np.float32)
dgemm = product_by("dgemm", np.float64)
