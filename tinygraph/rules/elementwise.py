"""Rules of functions of one number, or two: exponentials, logarithms, roots, angles, parts."""

from typing import Any

import numpy as np

from tinygraph.op import op

Rule = tuple[Any, ...]

POSITIVE = (0.2, 4.0)
INSIDE_ONE = (-0.9, 0.9)
LOG_2 = float(np.log(2))
LOG_10 = float(np.log(10))


@op(np.exp)
def exp(g: Any, out: Any, x: Any) -> Rule:
    return (g * out,)


@op(np.exp2)
def exp2(g: Any, out: Any, x: Any) -> Rule:
    return (g * out * LOG_2,)


@op(np.expm1)
def expm1(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.exp(x),)


@op(np.log, domain=POSITIVE)
def log(g: Any, out: Any, x: Any) -> Rule:
    return (g / x,)


@op(np.log2, domain=POSITIVE)
def log2(g: Any, out: Any, x: Any) -> Rule:
    return (g / (x * LOG_2),)


@op(np.log10, domain=POSITIVE)
def log10(g: Any, out: Any, x: Any) -> Rule:
    return (g / (x * LOG_10),)


@op(np.log1p, domain=(-0.8, 4.0))
def log1p(g: Any, out: Any, x: Any) -> Rule:
    return (g / (1 + x),)


@op(np.sqrt, domain=POSITIVE)
def sqrt(g: Any, out: Any, x: Any) -> Rule:
    return (g * 0.5 / out,)


@op(np.cbrt, domain=POSITIVE)
def cbrt(g: Any, out: Any, x: Any) -> Rule:
    return (g / (3 * np.square(out)),)


@op(np.square)
def square(g: Any, out: Any, x: Any) -> Rule:
    return (g * 2 * x,)


@op(np.reciprocal, domain=POSITIVE)
def reciprocal(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.square(out),)


@op(np.sin)
def sin(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.cos(x),)


@op(np.cos)
def cos(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.sin(x),)


@op(np.tan, domain=(-1.2, 1.2))
def tan(g: Any, out: Any, x: Any) -> Rule:
    return (g * (1 + np.square(out)),)


@op(np.arcsin, domain=INSIDE_ONE)
def arcsin(g: Any, out: Any, x: Any) -> Rule:
    return (g / np.sqrt(1 - np.square(x)),)


@op(np.arccos, domain=INSIDE_ONE)
def arccos(g: Any, out: Any, x: Any) -> Rule:
    return (-g / np.sqrt(1 - np.square(x)),)


@op(np.arctan)
def arctan(g: Any, out: Any, x: Any) -> Rule:
    return (g / (1 + np.square(x)),)


@op(np.arctan2, domain=(0.2, 3.0))
def arctan2(g: Any, out: Any, x: Any, y: Any) -> Rule:
    # Dividing by hypot twice does not overflow where its square would.
    r = np.hypot(x, y)
    return lambda: g * (y / r) / r, lambda: -g * (x / r) / r


@op(np.hypot, domain=(0.2, 3.0))
def hypot(g: Any, out: Any, x: Any, y: Any) -> Rule:
    r = out + (out == 0)
    return lambda: g * (x / r), lambda: g * (y / r)


@op(np.sinh)
def sinh(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.cosh(x),)


@op(np.cosh)
def cosh(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.sinh(x),)


@op(np.tanh)
def tanh(g: Any, out: Any, x: Any) -> Rule:
    return (g * (1 - out * out),)


@op(np.arcsinh)
def arcsinh(g: Any, out: Any, x: Any) -> Rule:
    return (g / np.sqrt(np.square(x) + 1),)


@op(np.arccosh, domain=(1.2, 4.0))
def arccosh(g: Any, out: Any, x: Any) -> Rule:
    return (g / (np.sqrt(x - 1) * np.sqrt(x + 1)),)


@op(np.arctanh, domain=INSIDE_ONE)
def arctanh(g: Any, out: Any, x: Any) -> Rule:
    return (g / (1 - np.square(x)),)


def finite_below(total: Any) -> Any:
    """Give 0 in place of -inf, the log of a sum of nothing.

    There x - total would be NaN; exp(x) less any finite number is the 0 that it has to be.
    """
    return np.where(total == -np.inf, 0, total)


@op(np.logaddexp)
def logaddexp(g: Any, out: Any, x: Any, y: Any) -> Rule:
    total = finite_below(out)
    return lambda: g * np.exp(x - total), lambda: g * np.exp(y - total)


@op(np.logaddexp2)
def logaddexp2(g: Any, out: Any, x: Any, y: Any) -> Rule:
    total = finite_below(out)
    return lambda: g * np.exp2(x - total), lambda: g * np.exp2(y - total)


@op(np.deg2rad)
def deg2rad(g: Any, out: Any, x: Any) -> Rule:
    return (g * (np.pi / 180),)


@op(np.rad2deg)
def rad2deg(g: Any, out: Any, x: Any) -> Rule:
    return (g * (180 / np.pi),)


@op(np.absolute)
def absolute(g: Any, out: Any, x: Any) -> Rule:
    if x.dtype.kind == "c":
        return (g * (np.conjugate(x) / (out + (out == 0))),)
    return (g * np.sign(x),)


@op(np.fabs)
def fabs(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.sign(x),)


@op(np.sign)
def sign(g: Any, out: Any, x: Any) -> Rule:
    if x.dtype.kind == "c":
        size = np.absolute(x)
        return ((g - np.conjugate(g * out * out)) / (2 * size + (size == 0)) * (size != 0),)
    return (None,)


@op(np.floor)
def floor(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.ceil)
def ceil(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.trunc)
def trunc(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.rint)
def rint(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.conjugate)
def conjugate(g: Any, out: Any, x: Any) -> Rule:
    return (np.conjugate(g),)


@op(np.real)
def real(g: Any, out: Any, x: Any) -> Rule:
    return (g,)


@op(np.imag)
def imag(g: Any, out: Any, x: Any) -> Rule:
    return (-1j * g if x.dtype.kind == "c" else None,)
