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
    """Give how a packed matrix lies, and how far its rows or its columns are apart."""
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
        return NORMAL, max(a.shape[1], 1)

    def of_columns(a: Any) -> Any:
        return TURNED, max(a.shape[0], 1)

    return of_rows if a.layout == "C" else of_columns


def product_by(name: str, number: Any) -> Any:
    """Make the function out <- beta * out + alpha * a @ b of one of BLAS's; out is in C's order."""
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    gemm = CFUNCTYPE(None, *[c_void_p] * 13)(address)

    @njit
    def call(ways: Any, sizes: Any, alpha: Any, beta: Any, a: Any, b: Any, out: Any) -> None:
        scales = np.empty(2, number)
        scales[0], scales[1] = alpha, beta
        integers = np.empty(6, np.int32)
        for place, size in enumerate(sizes):
            integers[place] = size
        letters = np.empty(2, np.uint8)
        letters[0], letters[1] = ways
        way, size, scale = letters.ctypes.data, integers.ctypes.data, scales.ctypes.data
        # Of matrices in C's order BLAS sees the transposes: out.T = b.T @ a.T.
        gemm(
            way, way + 1, size, size + 4, size + 8, scale, b, size + 12,
            a, size + 16, scale + scales.itemsize, out, size + 20,
        )  # fmt: skip

    @njit
    def product(alpha: Any, a: Any, b: Any, beta: Any, out: Any) -> None:
        a, b = packed(a), packed(b)
        (a_lies, a_width), (b_lies, b_width) = layout_of(a), layout_of(b)
        sizes = (b.shape[1], a.shape[0], a.shape[1], b_width, a_width, max(b.shape[1], 1))
        data = a.ctypes.data, b.ctypes.data, out.ctypes.data
        call((b_lies, a_lies), sizes, alpha, beta, *data)

    return product


sgemm = product_by("sgemm", np.float32)
dgemm = product_by("dgemm", np.float64)
