"""Rules of functions of one number, or two: exponentials, logarithms, roots, angles, parts."""

from math import factorial
from typing import Any

import numpy as np

from tinygraph.bundle import Bundle
from tinygraph.op import composed, op
from tinygraph.rules.parts import parts

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
    r = r + (r == 0)
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


def share(x: Any, y: Any, out: Any, exponential: Any) -> Any:
    """Give the part of x in log(exp(x) + exp(y)): what is infinite has all, two share equally."""
    infinite = out == np.inf
    finite_x, total = (np.where(infinite, 0, z) for z in (x, finite_below(out)))
    part_of_infinite = np.where((x == out) & (y == out), 0.5, x == out)
    return np.where(infinite, part_of_infinite.astype(out.dtype), exponential(finite_x - total))


@op(np.logaddexp)
def logaddexp(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: g * share(x, y, out, np.exp), lambda: g * share(y, x, out, np.exp)


@op(np.logaddexp2)
def logaddexp2(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: g * share(x, y, out, np.exp2), lambda: g * share(y, x, out, np.exp2)


@op(np.deg2rad)
def deg2rad(g: Any, out: Any, x: Any) -> Rule:
    return (g * (np.pi / 180),)


@op(np.rad2deg)
def rad2deg(g: Any, out: Any, x: Any) -> Rule:
    return (g * (180 / np.pi),)


radians = op(np.radians)(deg2rad.rule)
degrees = op(np.degrees)(rad2deg.rule)


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


@op(np.fix)
def fix(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.spacing)
def spacing(g: Any, out: Any, x: Any) -> Rule:
    return (None,)


@op(np.round)
def round(g: Any, out: Any, x: Any, *, decimals: int = 0) -> Rule:
    return (None,)


around = op(np.around)(round.rule)


@op(np.nextafter)
def nextafter(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return g, None


@op(np.copysign)
def copysign(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: g * (np.sign(x) * np.copysign(1, y)), None


@op(np.heaviside)
def heaviside(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return None, lambda: g * (x == 0)


@op(np.ldexp)
def ldexp(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: np.ldexp(g, y), None


def _frexp(x: Any) -> Bundle:
    return Bundle(np.frexp(x))


@op(_frexp)
def mantissa_and_exponent(g: Any, out: Any, x: Any) -> Rule:
    (for_mantissa, _), (_, exponent) = g, out
    return (np.ldexp(for_mantissa, -exponent),)


@composed(np.frexp)
def frexp(x: Any) -> tuple[Any, ...]:
    return parts(mantissa_and_exponent(x))


def _modf(x: Any) -> Bundle:
    return Bundle(np.modf(x))


@op(_modf)
def fraction_and_whole(g: Any, out: Any, x: Any) -> Rule:
    for_fraction, _ = g
    return (for_fraction,)


@composed(np.modf)
def modf(x: Any) -> tuple[Any, ...]:
    return parts(fraction_and_whole(x))


def _nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    if not copy:
        raise TypeError(
            "nan_to_num with copy=False: it writes into its argument, and values of Nodes are not "
            "changed in place; write node = np.nan_to_num(node)"
        )
    return np.nan_to_num(x, True, nan, posinf, neginf)


@op(np.nan_to_num, forward=_nan_to_num)
def nan_to_num(g: Any, out: Any, x: Any, **params: Any) -> Rule:
    """Give no gradient to what is replaced."""
    if x.dtype.kind != "c":
        return (np.where(np.isfinite(x), g, 0),)
    for_real = np.where(np.isfinite(np.real(x)), np.real(g), 0)
    for_imag = np.where(np.isfinite(np.imag(x)), np.imag(g), 0)
    return (for_real + 1j * for_imag,)


@op(np.unwrap)
def unwrap(g: Any, out: Any, x: Any, **params: Any) -> Rule:
    return (g,)


@op(np.conjugate)
def conjugate(g: Any, out: Any, x: Any) -> Rule:
    return (np.conjugate(g),)


@op(np.real)
def real(g: Any, out: Any, x: Any) -> Rule:
    return (g,)


@op(np.imag)
def imag(g: Any, out: Any, x: Any) -> Rule:
    return (-1j * g if x.dtype.kind == "c" else None,)


@composed(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    of_complex = np.iscomplexobj(z)
    radians = np.arctan2(np.imag(z), np.real(z)) if of_complex else np.arctan2(0, z)
    return radians * (180 / np.pi) if deg else radians


@composed(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    if not np.iscomplexobj(a):
        return a
    largest = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return np.real(a) if np.all(np.absolute(np.imag(a)) < largest) else a


def _sinc_derivative(x: Any, *, order: int) -> Any:
    """Give a derivative of f(x) = sin(pi x) / (pi x).

    Near 0 by Taylor's series; elsewhere from x f = sin(pi x) / pi, of which n derivatives give
    x f_n + n f_(n-1) = pi^(n-1) sin(pi x + n pi / 2).
    """
    near = np.absolute(x) * np.pi < order
    far_x, near_x = np.where(near, 1, x), np.where(near, x, 0)
    sine, cosine = np.sin(np.pi * far_x), np.cos(np.pi * far_x)
    far = np.sinc(far_x)
    for n in range(1, order + 1):
        turned = (sine, cosine, -sine, -cosine)[n % 4]
        far = (np.pi ** (n - 1) * turned - n * far) / far_x
    series = np.zeros_like(near_x)
    for n in range(2 * order + 24, order - 1, -1):
        if n % 2 == 0:
            coefficient = (-1) ** (n // 2) * np.pi**n / (factorial(n - order) * (n + 1))
            series = series * np.square(near_x) + coefficient
    return np.where(near, series * near_x ** (order % 2), far)


@op(_sinc_derivative)
def sinc_derivative(g: Any, out: Any, x: Any, *, order: int) -> Rule:
    return (g * sinc_derivative(x, order=order + 1),)


@op(np.sinc)
def sinc(g: Any, out: Any, x: Any) -> Rule:
    return (g * sinc_derivative(x, order=1),)


def _bessel_i(x: Any, *, order: int) -> Any:
    """Give the modified Bessel function of the first kind, of an order of 1 or more.

    The ratio of two orders is Gauss's continued fraction, I_n / I_(n-1) = x / (2 n + x I_(n+1) /
    I_n), which has settled when it is started at some multiples of the root of x above n.
    """
    largest = np.max(np.absolute(x), initial=0, where=np.isfinite(x))
    ratio, product = np.zeros_like(x), np.i0(x)
    for n in range(order + 20 + int(7 * np.sqrt(largest)), 0, -1):
        ratio = x / (2 * n + x * ratio)
        if n <= order:
            product = product * ratio
    return product


@op(_bessel_i)
def bessel_i(g: Any, out: Any, x: Any, *, order: int) -> Rule:
    below = np.i0(x) if order == 1 else bessel_i(x, order=order - 1)
    return (g * 0.5 * (below + bessel_i(x, order=order + 1)),)


@op(np.i0)
def i0(g: Any, out: Any, x: Any) -> Rule:
    return (g * bessel_i(x, order=1),)
