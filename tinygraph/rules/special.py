"""Rules of scipy.special, and differentiable forms of what SciPy writes in Python.

SciPy's ufuncs hand Nodes over to these rules. Its functions in Python (logsumexp, softmax,
log_softmax, polygamma, scipy.linalg.expm) turn their arguments into arrays, which Nodes refuse:
use those of this module, `tinygraph.special`, which give the same values.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from scipy import special

# With SCIPY_ARRAY_API=1 scipy.special wraps its ufuncs; these are themselves.
from scipy.special import _ufuncs as sp

from tinygraph.bundle import Bundle
from tinygraph.op import Op, composed, op
from tinygraph.rules import elementwise
from tinygraph.rules.elementwise import INSIDE_ONE, LOG_10, POSITIVE, finite_below
from tinygraph.rules.parts import parts
from tinygraph.rules.reduction import Axis, kept_shape

Rule = tuple[Any, ...]

PROBABILITY = (0.05, 0.95)
ROOT_PI = float(np.sqrt(np.pi))
ROOT_2 = float(np.sqrt(2))


def no_gradient(function: str, argument: str) -> Callable[[], NoReturn]:
    """Give for an argument by which there is no rule what refuses to compute its gradient."""

    def refuse() -> NoReturn:
        raise TypeError(
            f"backward: scipy.special.{function} has no derivative rule by its argument "
            f"{argument!r}, since no closed form is known; pass {argument}.detach() to hold it "
            f"constant"
        )

    return refuse


def of_reals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that refuses complex numbers, since SciPy lacks its derivatives of them."""

    def forward(*inputs: Any) -> Any:
        if any(map(np.iscomplexobj, inputs)):
            raise TypeError(
                f"{function.__name__} of complex Nodes is not supported: SciPy has its derivatives "
                f"of real numbers only"
            )
        return function(*inputs)

    return forward


def like(out: Any, x: Any) -> Any:
    """Give numbers, whole or narrower ones at times, in the precision of the result."""
    return x + np.finfo(out.dtype).dtype.type(0)


expm1 = op(sp.expm1, name="special.expm1")(elementwise.expm1.rule)
exp2 = op(sp.exp2, name="special.exp2")(elementwise.exp2.rule)
log1p = op(sp.log1p, name="special.log1p", domain=(-0.8, 4.0))(elementwise.log1p.rule)
cbrt = op(sp.cbrt, name="special.cbrt", domain=POSITIVE)(elementwise.cbrt.rule)


@op(sp.exp10)
def exp10(g: Any, out: Any, x: Any) -> Rule:
    return (g * out * LOG_10,)


@op(sp.exprel)
def exprel(g: Any, out: Any, x: Any) -> Rule:
    return (g * 0.5 * sp.hyp1f1(2, 3, x),)


@op(sp.cosm1)
def cosm1(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.sin(x),)


@op(sp.expit)
def expit(g: Any, out: Any, x: Any) -> Rule:
    # 1 - out would lose the digits of a result near 1.
    return (g * (out * sp.expit(-x)),)


@op(sp.log_expit)
def log_expit(g: Any, out: Any, x: Any) -> Rule:
    return (g * sp.expit(-x),)


@op(sp.logit, domain=PROBABILITY)
def logit(g: Any, out: Any, x: Any) -> Rule:
    return (g / (x * (1 - x)),)


@op(sp.erf)
def erf(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.exp(-x * x) * (2 / ROOT_PI),)


@op(sp.erfc)
def erfc(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.exp(-x * x) * (2 / ROOT_PI),)


@op(sp.erfi, domain=(-2.0, 2.0))
def erfi(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.exp(x * x) * (2 / ROOT_PI),)


@op(sp.dawsn)
def dawsn(g: Any, out: Any, x: Any) -> Rule:
    # In 1 - 2 * x * out, which this is, the digits of large x would cancel.
    return (g * sp.hyp1f1(1, 0.5, -x * x),)


@op(sp.erfinv, domain=INSIDE_ONE)
def erfinv(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.exp(out * out) * (ROOT_PI / 2),)


@op(sp.erfcinv, domain=(0.1, 1.9))
def erfcinv(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.exp(out * out) * (ROOT_PI / 2),)


@op(sp.erfcx, domain=(-2.0, 4.0))
def erfcx(g: Any, out: Any, x: Any) -> Rule:
    return (-2 * g * erfc_integral(x, n=1),)


CONTINUED = 2.0
"""Where `erfc_integral` turns to its continued fraction."""

FRACTION_TERMS = 50
"""What the continued fraction takes to converge there, and more beyond."""


def _erfc_integral(x: Any, *, n: int) -> Any:
    """Give exp(x**2) times the n-th integral of erfc from x to infinity.

    Its recurrence is stable upwards for small x; for large ones its terms cancel, and the ratios
    of neighbours are a continued fraction.
    W. Gautschi, "Recursive computation of the repeated integrals of the error function", 1961.
    """
    far = np.real(x) > CONTINUED
    near_x, far_x = np.where(far, 0, x), np.where(far, x, CONTINUED)
    before, near = 2 / ROOT_PI, sp.erfcx(near_x)
    for k in range(1, n + 1):
        before, near = near, (before - 2 * near_x * near) / (2 * k)
    beyond, ratio = sp.erfcx(far_x), np.zeros_like(far_x)
    for k in range(n + FRACTION_TERMS, 0, -1):
        ratio = 1 / (2 * far_x + 2 * (k + 1) * ratio)
        if k <= n:
            beyond = beyond * ratio
    return np.where(far, beyond, near)


@op(_erfc_integral)
def erfc_integral(g: Any, out: Any, x: Any, *, n: int) -> Rule:
    return (-2 * (n + 1) * g * erfc_integral(x, n=n + 1),)


def normal_density(x: Any) -> Any:
    """Give the density of the standard normal distribution."""
    return np.exp(-0.5 * x * x) * (1 / (ROOT_2 * ROOT_PI))


@op(sp.ndtr)
def ndtr(g: Any, out: Any, x: Any) -> Rule:
    return (g * normal_density(x),)


@op(sp.ndtri, domain=PROBABILITY)
def ndtri(g: Any, out: Any, x: Any) -> Rule:
    return (g / normal_density(out),)


@op(sp.log_ndtr)
def log_ndtr(g: Any, out: Any, x: Any) -> Rule:
    # The density and ndtr go to 0 together on the left, and erfcx to infinity on the right.
    right = x > 0
    right_x, left_x = np.where(right, x, 0), np.where(right, 0, x)
    on_the_left = ROOT_2 / ROOT_PI / sp.erfcx(left_x * (-1 / ROOT_2))
    return (g * np.where(right, normal_density(right_x) / sp.ndtr(right_x), on_the_left),)


@op(sp.gamma, forward=of_reals(sp.gamma), domain=(0.5, 3.0))
def gamma(g: Any, out: Any, x: Any) -> Rule:
    return (g * out * sp.psi(x),)


@op(sp.gammaln, domain=POSITIVE)
def gammaln(g: Any, out: Any, x: Any) -> Rule:
    return (g * sp.psi(x),)


loggamma = op(sp.loggamma, forward=of_reals(sp.loggamma), domain=POSITIVE)(gammaln.rule)


@op(sp.psi, forward=of_reals(sp.psi), domain=(0.5, 4.0))
def psi(g: Any, out: Any, x: Any) -> Rule:
    return (g * sp._zeta(2, x),)


digamma = psi


@op(special.polygamma)
def polygamma(g: Any, out: Any, n: Any, x: Any) -> Rule:
    return no_gradient("polygamma", "n"), lambda: g * polygamma(n + 1, x)


@op(sp._zeta, name="zeta")
def zeta(g: Any, out: Any, x: Any, q: Any) -> Rule:
    return no_gradient("zeta", "x"), lambda: -g * x * sp._zeta(x + 1, q)


@op(sp.beta, domain=POSITIVE)
def beta(g: Any, out: Any, a: Any, b: Any) -> Rule:
    return (
        lambda: g * out * (sp.psi(a) - sp.psi(a + b)),
        lambda: g * out * (sp.psi(b) - sp.psi(a + b)),
    )


@op(sp.betaln, domain=POSITIVE)
def betaln(g: Any, out: Any, a: Any, b: Any) -> Rule:
    return lambda: g * (sp.psi(a) - sp.psi(a + b)), lambda: g * (sp.psi(b) - sp.psi(a + b))


@op(sp.gammainc, domain=POSITIVE)
def gammainc(g: Any, out: Any, a: Any, x: Any) -> Rule:
    return no_gradient("gammainc", "a"), lambda: g * gamma_density(like(out, a), x)


@op(sp.gammaincc, domain=POSITIVE)
def gammaincc(g: Any, out: Any, a: Any, x: Any) -> Rule:
    return no_gradient("gammaincc", "a"), lambda: -g * gamma_density(like(out, a), x)


def gamma_density(a: Any, x: Any) -> Any:
    """Give the density of the gamma distribution of shape `a`."""
    return np.exp(sp.xlogy(a - 1, x) - x - sp.gammaln(a))


@op(sp.betainc, domain=PROBABILITY)
def betainc(g: Any, out: Any, a: Any, b: Any, x: Any) -> Rule:
    return (
        no_gradient("betainc", "a"),
        no_gradient("betainc", "b"),
        lambda: g * beta_density(like(out, a), like(out, b), x),
    )


@op(sp.betaincc, domain=PROBABILITY)
def betaincc(g: Any, out: Any, a: Any, b: Any, x: Any) -> Rule:
    return (
        no_gradient("betaincc", "a"),
        no_gradient("betaincc", "b"),
        lambda: -g * beta_density(like(out, a), like(out, b), x),
    )


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """Give the density of the beta distribution."""
    return np.exp(sp.xlogy(a - 1, x) + sp.xlog1py(b - 1, -x) - sp.betaln(a, b))


@op(sp.xlogy, domain=POSITIVE)
def xlogy(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Be flat where x = y = 0."""
    flat = (x == 0) & (y == 0)
    x, y = like(out, x), like(out, y)
    return lambda: g * np.log(y + flat), lambda: g * (x / (y + flat))


@op(sp.xlog1py, domain=POSITIVE)
def xlog1py(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Be flat where x = 0 and y = -1."""
    flat = (x == 0) & (y == -1)
    x, y = like(out, x), like(out, y)
    return lambda: g * np.log1p(y + flat), lambda: g * (x / (1 + y + flat))


@op(sp.entr, domain=POSITIVE)
def entr(g: Any, out: Any, x: Any) -> Rule:
    """Be flat where x = 0, and where the value is infinite."""
    inside = x > 0
    return (-g * (np.log(np.where(inside, x, 1)) + inside),)


@op(sp.rel_entr, domain=POSITIVE)
def rel_entr(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Be flat in x where x = 0, and where the value is infinite."""
    # The value over x is log(x / y), in which nothing has cancelled or overflowed.
    inside = (x > 0) & (y > 0)
    return (
        lambda: g * (quotient_or_zero(out, x, inside) + inside),
        lambda: -g * quotient_or_zero(x, y, inside),
    )


@op(sp.kl_div, domain=POSITIVE)
def kl_div(g: Any, out: Any, x: Any, y: Any) -> Rule:
    """Be flat in x where x = 0, and where the value is infinite."""
    inside = (x > 0) & (y > 0)
    linear = (x == 0) & (y >= 0)
    return (
        lambda: g * quotient_or_zero(sp.rel_entr(x, y), x, inside),
        lambda: g * (quotient_or_zero(y - x, y, inside) + linear),
    )


def quotient_or_zero(x: Any, y: Any, inside: Any) -> Any:
    """Give x / y, and 0 where `inside` is false."""
    return np.where(inside, x, 0) / np.where(inside, y, 1)


@op(sp.i0, name="special.i0")
def i0(g: Any, out: Any, x: Any) -> Rule:
    return (g * sp.i1(x),)


@op(sp.i1)
def i1(g: Any, out: Any, x: Any) -> Rule:
    return (g * 0.5 * (sp.i0(x) + sp.iv(2, x)),)


@op(sp.i0e)
def i0e(g: Any, out: Any, x: Any) -> Rule:
    # In i1e - i0e, which this is, the digits of large x would cancel.
    return (-g * np.sign(x) * sp.hyp1f1(1.5, 2, -2 * np.abs(x)),)


@op(sp.i1e)
def i1e(g: Any, out: Any, x: Any) -> Rule:
    size = np.abs(x)
    return (g * 0.5 * (sp.hyp1f1(1.5, 3, -2 * size) - size * sp.hyp1f1(2.5, 4, -2 * size)),)


@op(sp.j0)
def j0(g: Any, out: Any, x: Any) -> Rule:
    return (-g * sp.j1(x),)


@op(sp.j1)
def j1(g: Any, out: Any, x: Any) -> Rule:
    return (g * 0.5 * (sp.j0(x) - sp.jv(2, x)),)


@op(sp.y0, domain=POSITIVE)
def y0(g: Any, out: Any, x: Any) -> Rule:
    return (-g * sp.y1(x),)


@op(sp.y1, domain=POSITIVE)
def y1(g: Any, out: Any, x: Any) -> Rule:
    return (g * 0.5 * (sp.y0(x) - sp.yv(2, x)),)


@op(sp.k0, domain=POSITIVE)
def k0(g: Any, out: Any, x: Any) -> Rule:
    return (-g * sp.k1(x),)


@op(sp.k1, domain=POSITIVE)
def k1(g: Any, out: Any, x: Any) -> Rule:
    return (-g * 0.5 * (sp.k0(x) + sp.kv(2, x)),)


@op(sp.k0e, domain=POSITIVE)
def k0e(g: Any, out: Any, x: Any) -> Rule:
    return (g * (out - sp.k1e(x)),)


@op(sp.k1e, domain=POSITIVE)
def k1e(g: Any, out: Any, x: Any) -> Rule:
    return (g * (out - 0.5 * (sp.k0e(x) + sp.kve(2, x))),)


@op(sp.jv, domain=POSITIVE)
def jv(g: Any, out: Any, v: Any, x: Any) -> Rule:
    return no_gradient("jv", "v"), lambda: g * 0.5 * (sp.jv(v - 1, x) - sp.jv(v + 1, x))


jn = jv


@op(sp.yv, domain=POSITIVE)
def yv(g: Any, out: Any, v: Any, x: Any) -> Rule:
    return no_gradient("yv", "v"), lambda: g * 0.5 * (sp.yv(v - 1, x) - sp.yv(v + 1, x))


yn = op(sp.yn, domain=POSITIVE)(yv.rule)


@op(sp.iv, domain=POSITIVE)
def iv(g: Any, out: Any, v: Any, x: Any) -> Rule:
    return no_gradient("iv", "v"), lambda: g * 0.5 * (sp.iv(v - 1, x) + sp.iv(v + 1, x))


@op(sp.kv, domain=POSITIVE)
def kv(g: Any, out: Any, v: Any, x: Any) -> Rule:
    return no_gradient("kv", "v"), lambda: -g * 0.5 * (sp.kv(v - 1, x) + sp.kv(v + 1, x))


kn = op(sp.kn, domain=POSITIVE)(kv.rule)


@op(sp.ive, forward=of_reals(sp.ive), domain=POSITIVE)
def ive(g: Any, out: Any, v: Any, z: Any) -> Rule:
    def for_z() -> Any:
        return g * (0.5 * (sp.ive(v - 1, z) + sp.ive(v + 1, z)) - np.sign(z) * out)

    return no_gradient("ive", "v"), for_z


@op(sp.kve, domain=POSITIVE)
def kve(g: Any, out: Any, v: Any, z: Any) -> Rule:
    return (
        no_gradient("kve", "v"),
        lambda: g * (out - 0.5 * (sp.kve(v - 1, z) + sp.kve(v + 1, z))),
    )


@op(sp.ellipk, domain=INSIDE_ONE)
def ellipk(g: Any, out: Any, m: Any) -> Rule:
    one = like(out, 1)
    return (g * (np.pi / 8) * sp.hyp2f1(1.5 * one, 1.5 * one, 2 * one, m),)


@op(sp.ellipe, domain=INSIDE_ONE)
def ellipe(g: Any, out: Any, m: Any) -> Rule:
    one = like(out, 1)
    return (-g * (np.pi / 8) * sp.hyp2f1(0.5 * one, 1.5 * one, 2 * one, m),)


@op(sp.hyp0f1)
def hyp0f1(g: Any, out: Any, v: Any, z: Any) -> Rule:
    return no_gradient("hyp0f1", "v"), lambda: g * sp.hyp0f1(v + 1, z) / v


@op(sp.hyp1f1)
def hyp1f1(g: Any, out: Any, a: Any, b: Any, x: Any) -> Rule:
    return (
        no_gradient("hyp1f1", "a"),
        no_gradient("hyp1f1", "b"),
        lambda: g * a * sp.hyp1f1(a + 1, b + 1, x) / b,
    )


@op(sp.hyp2f1, domain=INSIDE_ONE)
def hyp2f1(g: Any, out: Any, a: Any, b: Any, c: Any, z: Any) -> Rule:
    return (
        no_gradient("hyp2f1", "a"),
        no_gradient("hyp2f1", "b"),
        no_gradient("hyp2f1", "c"),
        lambda: g * a * b * sp.hyp2f1(a + 1, b + 1, c + 1, z) / c,
    )


@op(sp.expi, domain=POSITIVE)
def expi(g: Any, out: Any, x: Any) -> Rule:
    return (g * np.exp(x) / x,)


@op(sp.exp1, domain=POSITIVE)
def exp1(g: Any, out: Any, x: Any) -> Rule:
    return (-g * np.exp(-x) / x,)


@op(sp.spence, domain=POSITIVE)
def spence(g: Any, out: Any, z: Any) -> Rule:
    # log(z) / (1 - z) is 0 / 0 at 1, and near there its derivatives lose their digits.
    near = np.abs(z - 1) < 0.5
    near_z, far_z = np.where(near, z, 1), np.where(near, 2, z)
    one = like(out, 1)
    series = -sp.hyp2f1(one, one, 2 * one, 1 - near_z)
    return (g * np.where(near, series, np.log(far_z) / (1 - far_z)),)


def pair(function: np.ufunc, first: Callable[..., Any], second: Callable[..., Any]) -> Op:
    """Make the op of a function with two results by their derivatives."""

    def forward(x: Any) -> Any:
        return Bundle(function(x))

    @op(forward, name=function.__name__)
    def both(g: Any, out: Any, x: Any) -> Rule:
        given = zip(g.parts, (first, second), strict=True)
        return (sum(part * derivative(x) for part, derivative in given if part is not None),)

    composed(function)(lambda x: parts(both(x)))
    return both


sici = pair(sp.sici, lambda x: np.sinc(x * (1 / np.pi)), lambda x: np.cos(x) / x)
shichi = pair(sp.shichi, lambda x: sp.hyp0f1(1.5, x * x * 0.25), lambda x: np.cosh(x) / x)
fresnel = pair(
    sp.fresnel, lambda x: np.sin(x * x * (np.pi / 2)), lambda x: np.cos(x * x * (np.pi / 2))
)


@op(sp.huber)
def huber(g: Any, out: Any, delta: Any, r: Any) -> Rule:
    return lambda: g * np.maximum(np.abs(r) - delta, 0), lambda: g * np.clip(r, -delta, delta)


@op(sp.pseudo_huber, domain=POSITIVE)
def pseudo_huber(g: Any, out: Any, delta: Any, r: Any) -> Rule:
    size = np.hypot(delta, r)
    size = size + (size == 0)
    return lambda: g * np.square(r * (r / (size + delta))) / size, lambda: g * r * (delta / size)


@op(sp.boxcox, domain=POSITIVE)
def boxcox(g: Any, out: Any, x: Any, lmbda: Any) -> Rule:
    def for_lmbda() -> Any:
        log = np.log(like(out, x))
        return g * 0.5 * np.square(log) * sp.hyp1f1(2, 3, lmbda * log)

    return lambda: g * x ** (lmbda - 1), for_lmbda


@op(sp.inv_boxcox, domain=POSITIVE)
def inv_boxcox(g: Any, out: Any, y: Any, lmbda: Any) -> Rule:
    def for_lmbda() -> Any:
        two = like(out, 2)
        return -0.5 * g * out * np.square(y) * sp.hyp2f1(two, two, two + 1, -lmbda * y)

    return lambda: g * out ** (1 - lmbda), for_lmbda


@op(special.softmax, name="special.softmax")
def softmax(g: Any, out: Any, x: Any, *, axis: Axis = None) -> Rule:
    return (out * (g - np.sum(g * out, axis=axis, keepdims=True)),)


@op(special.log_softmax, name="special.log_softmax")
def log_softmax(g: Any, out: Any, x: Any, *, axis: Axis = None) -> Rule:
    return (g - np.exp(out) * np.sum(g, axis=axis, keepdims=True),)


def _logsumexp(a: Any, *weights: Any, **params: Any) -> Any:
    return special.logsumexp(a, b=weights[0] if weights else None, **params)


@op(_logsumexp, name="special.logsumexp")
def log_of_sum(
    g: Any, out: Any, a: Any, *weights: Any, axis: Axis = None, keepdims: bool = False
) -> Rule:
    kept = kept_shape(np.broadcast_shapes(*(np.shape(x) for x in (a, *weights))), axis)
    if weights:
        # To SciPy a weight of 0 makes nothing of a number that is infinite, too.
        a = np.where((weights[0] == 0) & ~np.isfinite(a), -np.inf, a)
    for_terms = g.reshape(kept) * np.exp(a - finite_below(out.reshape(kept)))
    return (lambda: for_terms * weights[0], for_terms) if weights else (for_terms,)


def logsumexp(a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False) -> Any:
    """Give log(sum(b * exp(a))) as scipy.special.logsumexp does, of Nodes or arrays."""
    arrays = (a,) if b is None else (a, b)
    return log_of_sum(*arrays, axis=axis, keepdims=keepdims)


def _expm(a: Any) -> Any:
    from scipy import linalg

    return linalg.expm(a)


@op(_expm)
def expm(g: Any, out: Any, a: Any) -> Rule:
    """Read the derivative off the exponential of a matrix of blocks.

    I. Najfeld, T. F. Havel, "Derivatives of the matrix exponential and their computation", 1995.
    """
    size = a.shape[-1]
    above = np.concatenate([a.mT, g], axis=-1)
    below = np.concatenate([np.zeros_like(a), a.mT], axis=-1)
    return (expm(np.concatenate([above, below], axis=-2))[..., :size, size:],)
