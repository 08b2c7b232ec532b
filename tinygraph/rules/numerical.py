"""Rules of polynomials, convolution and interpolation."""

import warnings
from typing import Any

import numpy as np

from tinygraph.node import read
from tinygraph.op import Traced, composed, op
from tinygraph.rules.indexing import getitem, put_add, scatter, static_index

Rule = tuple[Any, ...]


def as_array(x: Any) -> Any:
    """Give a node, or what NumPy takes for an array; Nodes in a list become one."""
    if isinstance(x, Traced):
        return x
    if isinstance(x, list | tuple) and any(isinstance(part, Traced) for part in x):
        return np.stack(x)
    return np.asarray(x)


def all_overlaps(g: Any, a: Any, v: Any, round_up: bool = False) -> Any:
    """Give the gradient of mode "full", which is 0 at the ends that the others leave out."""
    size = np.size(a) + np.size(v) - 1
    start = (size - g.size + round_up) // 2
    return scatter(g, index=slice(start, start + g.size), shape=(size,))


@op(np.convolve)
def convolve(g: Any, out: Any, a: Any, v: Any, *, mode: str = "full") -> Rule:
    g = all_overlaps(g, a, v)
    return (
        lambda: np.correlate(g, np.conjugate(np.ravel(v)), "valid").reshape(np.shape(a)),
        lambda: np.correlate(g, np.conjugate(np.ravel(a)), "valid").reshape(np.shape(v)),
    )


@op(np.correlate)
def correlate(g: Any, out: Any, a: Any, v: Any, *, mode: str = "valid") -> Rule:
    # NumPy turns around what it computes where `a` is the shorter.
    g = all_overlaps(g, a, v, round_up=np.size(a) < np.size(v))
    return (
        lambda: np.convolve(g, np.conjugate(v), "valid"),
        lambda: np.correlate(np.conjugate(g), a, "valid")[::-1],
    )


def in_double_precision(x: Any, dtype: Any) -> Any:
    """Give an array in the dtype in which NumPy interpolates, if that loses nothing."""
    x = as_array(x)
    return x.astype(dtype) if x.dtype != dtype and np.can_cast(x.dtype, dtype) else x


@composed(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Give at a point of the data the slope to its right, at the last one that to its left.

    NumPy looks at x, xp and fp alone: one of them has to be a Node where `left` or `right` is one.
    """
    fp = as_array(fp)
    fp = in_double_precision(fp, np.complex128 if fp.dtype.kind == "c" else np.float64)
    x, xp = (in_double_precision(z, np.float64) for z in (x, xp))
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ValueError(
            f"np.interp: the points xp have the shape {xp.shape} and the values fp {fp.shape}; "
            f"expected one axis and the same length"
        )
    if period is not None:
        x, xp, fp = in_one_period(x, xp, fp, period)
        left = right = None
    return interpolate(
        x, xp, fp, fp[0] if left is None else left, fp[-1] if right is None else right
    )


def in_one_period(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """Give all points in the first period, with the data continued by one at each end."""
    if period == 0:
        raise ValueError("np.interp: period must be a non-zero value")
    period = abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = (getitem(z, index=static_index(order)) for z in (xp, fp))
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


def _interpolate(x: Any, xp: Any, fp: Any, left: Any, right: Any) -> Any:
    return np.interp(x, xp, fp, left, right)


@op(_interpolate)
def interpolate(g: Any, out: Any, x: Any, xp: Any, fp: Any, left: Any, right: Any) -> Rule:
    last = xp.size - 1
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(last - 1, 0))
    j = np.minimum(i + 1, last)
    below, above = x < xp[0], x > xp[-1]
    inside = (x >= xp[0]) & (x <= xp[-1])
    width = getitem(xp, index=j) - getitem(xp, index=i)
    width = width + (width == 0)
    part = inside * (x - getitem(xp, index=i)) / width
    slope = inside * (getitem(fp, index=j) - getitem(fp, index=i)) / width

    def share(g: Any) -> Any:
        left_share = scatter(g * (inside - part), index=i, shape=xp.shape)
        return left_share + scatter(g * part, index=j, shape=xp.shape)

    return (
        lambda: g * slope,
        lambda: share(-g * slope),
        lambda: share(g),
        lambda: g * below,
        lambda: g * above,
    )


@op(np.vander)
def vander(g: Any, out: Any, x: Any, *, N: int | None = None, increasing: bool = False) -> Rule:
    rising = g if increasing else g[:, ::-1]
    exponents = np.arange(1, g.shape[1])
    powers = np.vander(x, exponents.size, increasing=True)
    return (np.sum(rising[:, 1:] * exponents * powers, axis=1),)


@composed(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    if isinstance(x, np.poly1d):
        raise TypeError(
            "np.polyval of a Node at a poly1d is not supported; write it with np.polymul and "
            "np.polyadd"
        )
    p, x = as_array(p), as_array(x)
    y: Any = np.zeros_like(x)
    for coefficient in p:
        y = y * x + coefficient
    return y


def aligned(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Give the coefficients of two polynomials, with zeros before those of the shorter one."""
    a1, a2 = (np.atleast_1d(as_array(a)) for a in (a1, a2))
    missing = len(a2) - len(a1)
    if missing > 0:
        return np.concatenate([np.zeros(missing, a1.dtype), a1]), a2
    if missing < 0:
        return a1, np.concatenate([np.zeros(-missing, a2.dtype), a2])
    return a1, a2


@composed(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = aligned(a1, a2)
    return a1 + a2


@composed(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    a1, a2 = aligned(a1, a2)
    return a1 - a2


def without_leading_zeros(a: Any) -> Any:
    """Give coefficients as np.poly1d keeps them; of a Node none may be dropped."""
    a = np.atleast_1d(as_array(a))
    if a.size < 2 or read(a)[0] != 0:
        return a
    if isinstance(a, Traced):
        raise ValueError(
            "np.polymul: the leading coefficient of a Node is 0, which NumPy drops, and its "
            "gradient would be lost; write np.convolve(a1, a2), which keeps it"
        )
    trimmed = np.trim_zeros(a, "f")
    return trimmed if trimmed.size else a[:1]


@composed(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Refuse a Node whose leading coefficient is 0, since NumPy would drop it."""
    return np.convolve(without_leading_zeros(a1), without_leading_zeros(a2))


@composed(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    r, v = np.atleast_1d(u) + 0.0, np.atleast_1d(v) + 0.0
    r = r.astype(np.result_type(r, v))
    scale = 1.0 / v[0]
    quotient = []
    for k in range(len(r) - len(v) + 1):
        quotient.append(scale * r[k])
        r = put_add(r, -(quotient[k] * v), index=slice(k, k + len(v)))
    zero = r[:1] - r[:1]
    while np.allclose(r[0], 0, rtol=1e-14) and len(r) > 1:
        r = r[1:]
    return np.stack(quotient) if quotient else zero, r


@composed(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    if m < 0:
        raise ValueError(f"np.polyder: got the order {m}, expected 0 or more; see np.polyint")
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@composed(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError(f"np.polyint: got the order {m}, expected 0 or more; see np.polyder")
    k = np.zeros(m) if k is None else np.atleast_1d(as_array(k))
    if len(k) == 1 and m > 1:
        k = k[0] * np.ones(m)
    if len(k) < m:
        raise ValueError(f"np.polyint: got {len(k)} constants k for {m} integrals")
    for i in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), k[i : i + 1]])
    return p


@op(np.roots)
def roots(g: Any, out: Any, p: Any) -> Rule:
    """Differentiate p(root) = 0, where roots are distinct."""
    degrees = np.arange(p.size - 1, 0, -1).astype(np.finfo(p.dtype).dtype)
    terms = [-g / np.polyval(p[:-1] * degrees, out)]
    for _ in degrees:
        terms.append(terms[-1] * out)
    return (np.stack([np.sum(term) for term in reversed(terms)]),)


@composed(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    zeros = np.atleast_1d(as_array(seq_of_zeros))
    if zeros.ndim == 2:
        zeros = np.linalg.eigvals(zeros)
    one = np.ones(1, zeros.dtype)
    a = one
    for i in range(zeros.size):
        a = np.convolve(a, np.concatenate([one, -zeros[i : i + 1]]))
    return a.real if a.dtype.kind == "c" and is_conjugate(read(zeros)) else a


def is_conjugate(zeros: Any) -> bool:
    """Tell whether the complex ones among the zeros come in conjugate pairs."""
    return bool(np.all(np.sort(zeros) == np.sort(zeros.conjugate())))


@composed(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    order = int(deg) + 1
    x, y = as_array(x) + 0.0, as_array(y) + 0.0
    if deg < 0:
        raise ValueError(f"np.polyfit: got the degree {deg}, expected 0 or more")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or len(x) != len(y):
        raise TypeError(
            f"np.polyfit: got points x of shape {x.shape} and values y of shape {y.shape}; "
            f"expected x of shape (n,), not empty, and y of shape (n,) or (n, k)"
        )
    if rcond is None:
        rcond = len(x) * np.finfo(x.dtype).eps
    rows, values = np.vander(x, order), y
    if w is not None:
        w = as_array(w) + 0.0
        if w.shape != x.shape:
            raise TypeError(f"np.polyfit: got weights of shape {w.shape}, expected {x.shape}")
        rows = rows * w[:, None]
        values = (values * (w[:, None] if y.ndim == 2 else w)).astype(y.dtype)
    scale = np.sqrt(np.sum(rows * rows, axis=0))
    rows = rows / scale
    c, residuals, rank, s = np.linalg.lstsq(rows, values, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, s, rcond
    if rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=4)
    if not cov:
        return c
    return c, covariance_of_fit(rows, scale, residuals, y, cov)


def covariance_of_fit(rows: Any, scale: Any, residuals: Any, y: Any, cov: Any) -> Any:
    """Give the covariance of the coefficients that fit `y`, from the equations that gave them."""
    inverse = np.linalg.inv(np.dot(rows.T, rows)) / np.outer(scale, scale)
    if y.ndim == 2:
        inverse = inverse[:, :, None]
    if cov == "unscaled":
        return inverse
    count, order = rows.shape
    if count <= order:
        raise ValueError(
            f"np.polyfit: got {count} points for {order} coefficients, whose covariance takes more "
            f"points than coefficients; give more, or write cov='unscaled'"
        )
    return inverse * (residuals / (count - order))
