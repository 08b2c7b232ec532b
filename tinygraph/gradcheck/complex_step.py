"""The complex step: derivatives of analytic code without any difference.

f(x + ih) = f(x) + ih f'(x) + O(h^2), so that Im f(x + ih) / h is the derivative for h = 1e-30,
and nothing cancels (W. Squire and G. Trapp, SIAM Review 40(1), 1998). It holds for compositions of
analytic functions alone: abs, comparisons, conjugates, real parts and the like are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS = (2.0**-100, 1.37 * 2.0**-70, 1.73 * 2.0**-90, 1.19 * 2.0**-80)
"""Steps of which each is rounded in its own way."""

ANALYTIC_UFUNCS = set(
    """
    add subtract multiply divide negative positive power float_power square sqrt reciprocal matmul
    exp exp2 expm1 log log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh
    arccosh arctanh
    """.split()  # noqa: SIM905
)
"""Those that NumPy computes of complex numbers as well as of real ones: log1p it does not."""

ANALYTIC_FUNCTIONS = set(
    """
    sum mean prod cumsum cumprod dot inner outer matmul tensordot einsum kron trace diagonal diag
    reshape ravel transpose swapaxes moveaxis rollaxis expand_dims squeeze broadcast_to concatenate
    stack vstack hstack split flip roll take tile repeat triu tril shape ndim size zeros_like
    ones_like empty_like full_like copy diff inv solve det matrix_power
    """.split()  # noqa: SIM905
)

REFUSED_ATTRIBUTES = {"real", "imag", "flat", "item", "tolist", "sort", "partition"}


class Analytic(np.ndarray[Any, Any]):
    """A complex array which refuses what is not analytic."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if ufunc.__name__ not in ANALYTIC_UFUNCS:
            raise TypeError(f"{ufunc.__name__} is not analytic")
        return analytic(getattr(ufunc, method)(*bare(args), **bare(kwargs)))

    def __array_function__(
        self, function: Any, types: Iterable[Any], args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if function.__name__ not in ANALYTIC_FUNCTIONS:
            raise TypeError(f"{function.__name__} is not analytic")
        return analytic(function(*bare(tuple(args)), **bare(dict(kwargs))))

    def __getattribute__(self, name: str) -> Any:
        if name in REFUSED_ATTRIBUTES:
            raise TypeError(f"{name} is not analytic")
        return super().__getattribute__(name)

    def __getitem__(self, index: Any) -> Any:
        return analytic(self.view(np.ndarray)[bare(index)])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def analytic(x: Any) -> Any:
    """Give complex numbers as arrays that refuse what is not analytic; the rest stays as it is."""
    if isinstance(x, np.ndarray | np.complexfloating):
        return np.asarray(x).view(Analytic)
    return type(x)(map(analytic, x)) if isinstance(x, list | tuple) else x


def bare(x: Any) -> Any:
    """Give plain arrays, in lists, tuples and dicts too."""
    if isinstance(x, Analytic):
        return x.view(np.ndarray)
    if isinstance(x, list | tuple):
        return type(x)(map(bare, x))
    return {key: bare(value) for key, value in x.items()} if isinstance(x, dict) else x


def slope_by_complex_step(
    values: Callable[[Array], list[Any]], x: Array, direction: Array, weights: Array, step: float
) -> float:
    """Give the derivative of weights . values along a direction, NaN where that is impossible."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outputs = values((x + 1j * step * direction).view(Analytic))
    except Exception:
        return np.nan
    slopes = [np.ravel(np.imag(bare(y))) / step for y in outputs]
    return float(weights @ np.concatenate(slopes))
