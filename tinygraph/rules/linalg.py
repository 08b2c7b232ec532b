"""Rules of numpy.linalg.

Cotangents follow the convention of JAX: they pair with results without conjugation.

Functions of symmetric (Hermitian) matrices read one triangle. Their gradients are those of the
function of (a + a^H) / 2, as JAX's are: Hermitian themselves, and right for every Hermitian change
of the matrix.

Eigenvalues, or singular values, that agree to rounding count as equal, and their vectors are any
basis of a space. Derivatives of what depends on that space are right, and so are first derivatives
of what depends on the values alone. What mixes vectors of equal values has no derivative that the
vectors could tell, and counts as 0: so gradients through v @ f(w) @ v^H, and second derivatives
through values, are finite there, but lack these terms.
"""

import operator
from math import prod
from typing import Any

import numpy as np
from numpy.linalg._linalg import EighResult, EigResult, QRResult, SlogdetResult, SVDResult

from tinygraph.bundle import Bundle
from tinygraph.node import Node, holds, plain, refuse_while_taped
from tinygraph.op import CONSTANT, composed, op
from tinygraph.rules import products
from tinygraph.rules.parts import parts
from tinygraph.rules.products import conj
from tinygraph.rules.reduction import Axis, extremum, keep
from tinygraph.state import get_state

Rule = tuple[Any, ...]

CONSTANT.add(np.linalg.matrix_rank)


def adjoint(x: Any) -> Any:
    """Give the conjugate transpose."""
    return conj(x).mT


def hermitian_part(x: Any) -> Any:
    """Give the gradient by the Hermitian matrix of which one triangle was read."""
    return (x + adjoint(x)) * 0.5


def row(x: Any) -> Any:
    """Give vectors as matrices of one row."""
    return np.expand_dims(x, -2)


def column(x: Any) -> Any:
    """Give vectors as matrices of one column."""
    return np.expand_dims(x, -1)


def on_diagonal(x: Any) -> Any:
    """Give matrices with the vectors `x` on their diagonals."""
    return row(x) * np.eye(x.shape[-1], dtype=bool)


def rounding_of(values: Any) -> Any:
    """Bound the rounding errors of eigenvalues or singular values."""
    largest = np.max(np.abs(values), axis=-1, keepdims=True, initial=0)
    return largest * (values.shape[-1] * float(np.finfo(values.dtype).eps))


def is_zero(x: Any) -> Any:
    """Tell which eigenvalues or singular values are 0 to rounding."""
    return plain(_is_zero, (x,), {})


def _is_zero(values: Any) -> Any:
    return np.abs(values) <= rounding_of(values)


def inverse_gaps(x: Any) -> Any:
    """Give 1 / (x_j - x_i) for all i and j, 0 where x_i and x_j agree to rounding."""
    equal = plain(_are_equal, (x,), {})
    return ~equal / (row(x) - column(x) + equal)


def _are_equal(values: Any) -> Any:
    return np.abs(row(values) - column(values)) <= column(rounding_of(values))


def inverse_or_zero(x: Any) -> Any:
    """Give 1 / x, 0 where x is 0 to rounding."""
    zero = is_zero(x)
    return ~zero / (x + zero)


@op(np.linalg.inv)
def inv(g: Any, out: Any, a: Any) -> Rule:
    return (-(out.mT @ g @ out.mT),)


@op(np.linalg.pinv)
def pinv(g: Any, out: Any, a: Any, *, hermitian: bool = False, **params: Any) -> Rule:
    """Differentiate at constant rank.

    G. Golub, V. Pereyra, "The differentiation of pseudo-inverses", 1973.
    """
    rows, columns = a.shape[-2:]
    outside_range = np.eye(rows, dtype=a.dtype) - a @ out
    null_space = np.eye(columns, dtype=a.dtype) - out @ a
    across = (out @ adjoint(out)).mT @ g @ outside_range.mT
    across = across + null_space.mT @ g @ (adjoint(out) @ out).mT
    gradient = adjoint(across) - out.mT @ g @ out.mT
    return (hermitian_part(gradient) if hermitian else gradient,)


@op(np.linalg.solve)
def solve(g: Any, out: Any, a: Any, b: Any) -> Rule:
    if b.ndim == 1:
        for_b = np.linalg.solve(a.mT, column(g))[..., 0]
        return lambda: -column(for_b) * row(out), for_b
    for_b = np.linalg.solve(a.mT, g)
    return lambda: -(for_b @ out.mT), for_b


@op(np.linalg.det)
def det(g: Any, out: Any, a: Any) -> Rule:
    return (column(column(g)) * cofactors(a),)


def cofactors(a: Any) -> Any:
    """Give the derivatives of det(a), also of singular matrices."""
    if not holds(plain(_is_singular, (a,), {})) and get_state().tape is None:
        inverse = np.linalg.inv(a)
        condition = plain(_condition, (a, inverse), {})
        if not np.any(condition * root_of_precision(a.dtype) > 0.01):
            return column(column(np.linalg.det(a))) * inverse.mT
    return cofactors_near_singular(a)


def _is_singular(a: Any) -> Any:
    return np.any(np.linalg.slogdet(a).sign == 0)


def _condition(a: Any, inverse: Any) -> Any:
    return np.linalg.matrix_norm(a) * np.linalg.matrix_norm(inverse)


def cofactors_near_singular(a: Any) -> Any:
    """Give the derivatives of det(a) as exactly as `a` tells them, and so that they have their own.

    The determinant is a polynomial, with derivatives of all orders everywhere, but det(a) inv(a)
    gives the second ones only far from singular matrices. Here, with a constant p from the
    singular value decomposition u s v^H, m = p a is v^H but for rows near 0; these are filled up,
    b = m + w z, and by the matrix determinant lemma det(m) = det(b) det(c) where c = 1 - z inv(b) w
    has as few rows as there are such.
    """
    u, s, vh = parts(plain(_svd, (a,), {"full_matrices": True, "hermitian": False}))
    largest = np.max(s, axis=-1, keepdims=True, initial=0)
    missing = s <= largest * root_of_precision(s.dtype)
    # A plan serves any number of them.
    is_known = not isinstance(missing, Node)
    count = max(1, int(np.max(np.sum(missing, axis=-1)))) if is_known else s.shape[-1]
    scale = np.where(missing, largest + (largest == 0), s)
    p = adjoint(u) / column(scale)
    w = (np.eye(s.shape[-1], dtype=a.dtype) * row(missing))[..., -count:]
    z = vh[..., -count:, :]
    b = p @ a + w @ z
    inverse = np.linalg.inv(b)
    c = np.eye(count, dtype=a.dtype) - z @ inverse @ w
    minors = adjugate(c)
    rest = inverse @ w @ minors @ z @ inverse
    of_m = (c @ minors)[..., :1, :1] * inverse + rest
    factor = np.linalg.det(u) * np.prod(scale, axis=-1) * np.linalg.det(b)
    return column(column(factor)) * (of_m @ p).mT


def root_of_precision(dtype: Any) -> float:
    """Give the size at which the squares of numbers beside 1 are lost in rounding."""
    return float(np.sqrt(np.finfo(dtype).eps))


def adjugate(a: Any) -> Any:
    """Give det(a) inv(a) as the polynomial of the elements that it is, by Faddeev and LeVerrier."""
    one = np.eye(a.shape[-1], dtype=a.dtype)
    result = np.broadcast_to(one, a.shape)
    for k in range(1, a.shape[-1]):
        product = a @ result
        trace = np.sum(product * one, axis=(-2, -1), keepdims=True)
        result = trace * (1 / k) * one - product
    return result


def _slogdet(a: Any) -> Bundle:
    return Bundle(np.linalg.slogdet(a))


@op(_slogdet)
def sign_and_logarithm(g: Any, out: Any, a: Any) -> Rule:
    """Differentiate where `a` is regular; of a singular matrix np.linalg.inv raises its error."""
    sign, _ = out
    for_sign, total = g
    if a.dtype.kind == "c":
        total = total + 1j * np.imag(for_sign * sign)
    return (column(column(total)) * np.linalg.inv(a).mT,)


@composed(np.linalg.slogdet)
def slogdet(a: Any) -> SlogdetResult:
    return SlogdetResult(*parts(sign_and_logarithm(a)))


def _lstsq(a: Any, b: Any, rcond: float | None = None) -> Bundle:
    return Bundle(np.linalg.lstsq(a, b, rcond))


@op(_lstsq)
def least_squares(g: Any, out: Any, a: Any, b: Any, *, rcond: float | None = None) -> Rule:
    """Differentiate at constant rank: the solution is pinv(a) @ b."""
    x, residuals, _, s = out
    g_x, g_residuals, _, g_s = g
    columns = b
    if b.ndim == 1:
        x, g_x, columns = column(x), column(g_x), column(b)
    precision = float(np.finfo(float).eps)
    cutoff = precision * max(a.shape) if rcond is None else rcond if rcond >= 0 else precision
    inverse = np.linalg.pinv(a, cutoff)
    g_difference = inverse.mT @ g_x
    if residuals.size:
        weighted = 2 * g_residuals * conj(columns - a @ x)
        g_difference = g_difference + weighted

    def for_a() -> Any:
        (gradient,) = pinv.rule(g_x @ columns.mT, inverse, a)
        if residuals.size:
            gradient = gradient - weighted @ x.mT
        if g.parts[3] is not None:
            gradient = gradient + singular_values.rule(g_s, s, a)[0]
        return gradient

    return for_a, lambda: g_difference.reshape(b.shape)


@composed(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Any, ...]:
    for known in (a, b):
        # The residuals have one shape or another, as the rank tells.
        refuse_while_taped(known)
    x, residuals, rank, s = parts(least_squares(a, b, rcond=rcond))
    return x, residuals, rank[()], s


def _cholesky(a: Any, *, upper: bool = False) -> Any:
    return np.linalg.cholesky(a, upper=upper)


@op(_cholesky)
def cholesky_factor(g: Any, out: Any, a: Any, *, upper: bool = False) -> Rule:
    """I. Murray, "Differentiation of the Cholesky decomposition", 2016."""
    if upper:
        g, out = adjoint(g), adjoint(out)
    size = a.shape[-1]
    inner = out.mT @ g
    half = inner * np.tri(size, k=-1, dtype=bool) + inner * 0.5 * np.eye(size, dtype=bool)
    left = np.linalg.solve(out.mT, half)
    return (hermitian_part(np.linalg.solve(adjoint(out), left.mT).mT),)


@composed(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return cholesky_factor(a, upper=bool(upper))


def _qr(a: Any) -> Bundle:
    return Bundle(np.linalg.qr(a))


@op(_qr)
def reduced_qr(g: Any, out: Any, a: Any) -> Rule:
    """Differentiate with a real diagonal of r, as LAPACK has it; r must be regular there.

    M. Seeger et al., "Auto-differentiating linear algebra", 2017; complex as in JAX.
    """
    q, r = out
    g_q, g_r = g
    size = q.shape[-1]
    square, g_square, g_rest = r[..., :size], g_r[..., :size], g_r[..., size:]
    if g_rest.shape[-1]:
        g_q = g_q + conj(a[..., size:] @ g_rest.mT)
    inner = q.mT @ g_q - g_square @ square.mT
    upper = inner * np.tri(size, k=-1, dtype=bool).T
    inner = upper + adjoint(upper) + np.real(inner) * np.eye(size, dtype=bool)
    g_a = np.linalg.solve(square, (g_q - conj(q) @ inner).mT).mT
    return (np.concatenate([g_a, conj(q) @ g_rest], axis=-1),)


@composed(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(
            f"np.linalg.qr of a Node: got mode={mode!r}, which has no derivative rule; "
            f"write mode='reduced' or mode='r'"
        )
    if mode == "complete" and a.shape[-2] > a.shape[-1]:
        raise ValueError(
            f"np.linalg.qr of a Node: mode='complete' of shape {a.shape} adds columns of q that "
            f"the matrix does not determine, so that they have no derivative; "
            f"write mode='reduced'"
        )
    q, r = parts(reduced_qr(a))
    return r if mode == "r" else QRResult(q, r)


def pull_eigh(g_w: Any, g_v: Any, w: Any, v: Any) -> Any:
    """Give the gradient by a Hermitian matrix of its eigenvalues and eigenvectors."""
    inner = v.mT @ g_v * inverse_gaps(w) + on_diagonal(g_w)
    return hermitian_part(conj(v) @ inner @ v.mT)


def _eigh(a: Any, *, uplo: Any) -> Bundle:
    return Bundle(np.linalg.eigh(a, uplo))


@op(_eigh)
def hermitian_eigen(g: Any, out: Any, a: Any, *, uplo: Any) -> Rule:
    """Differentiate with every eigenvector's change orthogonal to it, which fixes its phase."""
    return (pull_eigh(*g, *out),)


@composed(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> EighResult:
    return EighResult(*parts(hermitian_eigen(a, uplo=UPLO)))


def _eigvalsh(a: Any, *, uplo: Any) -> Any:
    return np.linalg.eigvalsh(a, uplo)


@op(_eigvalsh)
def hermitian_eigenvalues(g: Any, out: Any, a: Any, *, uplo: Any) -> Rule:
    _, v = np.linalg.eigh(a, uplo)
    return ((conj(v) * row(g)) @ v.mT,)


@composed(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return hermitian_eigenvalues(a, uplo=UPLO)


def _eig(a: Any) -> Bundle:
    return Bundle(np.linalg.eig(a))


@op(_eig)
def eigen(g: Any, out: Any, a: Any) -> Rule:
    """Differentiate where eigenvalues are distinct, or, by them alone, where vectors are a basis.

    LAPACK fixes eigenvectors: their norm is 1, and their largest component is real.
    """
    w, v = out
    g_w, g_v = g
    along = np.sum(g_v * v, axis=-2, keepdims=True)
    g_v = g_v - conj(v) * np.real(along)
    if v.dtype.kind == "c":
        first = plain(_number_of_largest, (v,), {})
        largest = np.arange(v.shape[-2])[:, None] == row(first)
        component = np.sum(np.real(v) * largest, axis=-2, keepdims=True)
        g_v = g_v - 1j * np.imag(along) * largest / component
    inner = v.mT @ g_v * inverse_gaps(w) + on_diagonal(g_w)
    return (np.linalg.solve(v.mT, inner @ v.mT),)


def _number_of_largest(v: Any) -> Any:
    return np.argmax(np.abs(v), axis=-2)


@composed(np.linalg.eig)
def eig(a: Any) -> EigResult:
    refuse_real_while_taped(a)
    return EigResult(*parts(eigen(a)))


def _eigvals(a: Any) -> Any:
    return np.linalg.eigvals(a)


@op(_eigvals)
def eigenvalues(g: Any, out: Any, a: Any) -> Rule:
    """Differentiate where there is a basis of eigenvectors; np.linalg.solve refuses elsewhere."""
    w, v = np.linalg.eig(a)
    # The order of eigenvalues may be another than with eigenvectors.
    v = v @ plain(nearest, (w, out), {})
    return (np.linalg.solve(v.mT, on_diagonal(g) @ v.mT),)


def nearest(x: Any, y: Any) -> Any:
    """Give the permutation matrices that bring the numbers `x` next to the `y` that they equal."""
    distance = np.abs(column(x) - row(y))
    places = np.zeros(distance.shape, dtype=distance.dtype)
    for j in range(y.shape[-1]):
        chosen = np.argmin(distance[..., j], axis=-1, keepdims=True)[..., None]
        np.put_along_axis(places[..., j : j + 1], chosen, 1, axis=-2)
        np.put_along_axis(distance, chosen, np.inf, axis=-2)
    return places


@composed(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    refuse_real_while_taped(a)
    return eigenvalues(a)


def refuse_real_while_taped(a: Any) -> None:
    """Refuse a real matrix to a plan, since its eigenvalues are real or complex as they come."""
    if a.dtype.kind != "c":
        refuse_while_taped(a)


def _svd(a: Any, *, full_matrices: bool, hermitian: bool) -> Bundle:
    return Bundle(np.linalg.svd(a, full_matrices, hermitian=hermitian))


@op(_svd)
def singular_vectors(g: Any, out: Any, a: Any, *, full_matrices: bool, hermitian: bool) -> Rule:
    """Differentiate, of full matrices as far as the matrix determines their further vectors.

    These are any basis of a space: functions that depend on the space alone have their right
    gradient. The formula is that of JAX, which gives changes of phase to u.
    """
    u, s, vh = out
    g_u, g_s, g_vh = g
    if hermitian:
        sign = plain(_signs, (u, vh), {})
        g_v = g_u + adjoint(g_vh) * row(sign)
        return (pull_eigh(g_s * sign, g_v, s * sign, u),)
    u, g_u = determined(u, g_u, s.shape[-1])
    v, g_v = determined(vh.mT, g_vh.mT, s.shape[-1])
    total = column(s) + row(s)
    gaps = inverse_gaps(s) / (total + (total == 0))
    inverse = row(inverse_or_zero(s))
    of_u, of_v = u.mT @ g_u, v.mT @ g_v
    skew_u, skew_v = gaps * of_u, gaps * of_v.mT
    inner = on_diagonal(g_s) + (skew_u + adjoint(skew_u)) * row(s)
    inner = inner - column(s) * (skew_v + adjoint(skew_v))
    if a.dtype.kind == "c":
        inner = inner + 1j * np.imag(of_u * np.eye(s.shape[-1], dtype=bool)) * inverse
    gradient = conj(u) @ inner @ adjoint(v)
    if u.shape[-2] > s.shape[-1]:
        gradient = gradient + (g_u - conj(u) @ of_u) * inverse @ adjoint(v)
    if v.shape[-2] > s.shape[-1]:
        gradient = gradient + conj(u) * inverse @ (g_v - conj(v) @ of_v).mT
    return (gradient,)


def _signs(u: Any, vh: Any) -> Any:
    return np.sign(np.real(np.sum(u * vh.mT, axis=-2)))


def determined(u: Any, g: Any, count: int) -> tuple[Any, Any]:
    """Give the first `count` of the columns of `u`, and a gradient by them in place of by all."""
    if u.shape[-1] == count:
        return u, g
    first, rest = u[..., :count], u[..., count:]
    return first, g[..., :count] - conj(rest @ g[..., count:].mT @ first)


def _svdvals(a: Any, *, hermitian: bool = False) -> Any:
    return np.linalg.svd(a, compute_uv=False, hermitian=hermitian)


@op(_svdvals)
def singular_values(g: Any, out: Any, a: Any, *, hermitian: bool = False) -> Rule:
    """Differentiate; by those that are 0 the gradient is 0, as of an absolute value."""
    u, s, vh = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    return ((conj(u) * row(g * ~is_zero(s))) @ conj(vh),)


@composed(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if not compute_uv:
        return singular_values(a, hermitian=hermitian)
    return SVDResult(*parts(singular_vectors(a, full_matrices=full_matrices, hermitian=hermitian)))


@composed(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return singular_values(x)


@op(np.linalg.norm)
def norm(
    g: Any, out: Any, x: Any, *, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Rule:
    """Differentiate a norm; where it is 0, and by elements that are 0, the gradient is 0."""
    axes = range(x.ndim) if axis is None else np.ravel(axis).tolist()
    if len(axes) == 2 and ord not in (None, "fro", "f"):
        matrices = np.moveaxis(x, axes, (-2, -1))
        gradient = pull_matrix_norm(g.reshape(matrices.shape[:-2]), matrices, ord)
        return (np.moveaxis(gradient, (-2, -1), axes),)
    g, size = keep(g, x, axis), keep(out, x, axis)
    safe_size = size + (size == 0)
    if ord in (None, 2, "fro", "f"):
        return (g / safe_size * conj(x),)
    if ord == 0:
        return (None,)
    if ord in (np.inf, -np.inf):
        return (pull_extremum(g, ord, np.abs(x), axis) * conj(np.sign(x)),)
    share = np.where(x != 0, np.abs(x) / safe_size, 1)
    return (g * share ** (float(ord) - 1) * conj(np.sign(x)),)


def pull_matrix_norm(g: Any, x: Any, ord: Any) -> Any:
    """Give the gradient of the norm of matrices by singular values, or by sums of one axis."""
    if x.size == 0:
        return np.zeros_like(x)
    if ord in (2, -2, "nuc"):
        s = singular_values(x)
        for_s = column(g) if ord == "nuc" else pull_extremum(g, ord, s, -1)
        return singular_values.rule(for_s, s, x)[0]
    axis = -2 if abs(ord) == 1 else -1
    for_sums = pull_extremum(g, ord, np.sum(np.abs(x), axis=axis), -1)
    return np.expand_dims(for_sums, axis) * conj(np.sign(x))


def pull_extremum(g: Any, ord: float, x: Any, axis: Axis) -> Any:
    """Give the gradient of the largest of numbers, or of the smallest for a negative order."""
    out = np.max(x, axis=axis) if ord > 0 else np.min(x, axis=axis)
    return extremum(g, out, x, axis=axis)[0]


@composed(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return np.linalg.norm(x, ord, (-2, -1), keepdims)


@composed(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    axes = tuple(range(x.ndim)) if axis is None else axis
    if isinstance(axes, tuple):
        others = [a for a in range(x.ndim) if a not in axes and a - x.ndim not in axes]
        moved = np.transpose(x, (*axes, *others))
        rest = moved.shape[len(axes) :]
        result = np.linalg.norm(moved.reshape((prod(moved.shape[: len(axes)]), *rest)), ord, 0)
    else:
        result = np.linalg.norm(x, ord, axes)
    return np.expand_dims(result, axes) if keepdims else result


def _are_singular(a: Any) -> Any:
    return np.linalg.slogdet(a).sign == 0


@composed(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Give condition numbers, infinite and with gradient 0 where a matrix is singular."""
    if x.size == 0:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    x = x if x.dtype.kind in "fc" else x.astype(float)
    if p in (None, 2, -2):
        s = singular_values(x)
        largest, smallest = s[..., 0], s[..., -1]
        over, under = (smallest, largest) if p == -2 else (largest, smallest)
        return np.where(under == 0, np.inf, over / (under + (under == 0)))
    # NumPy, too, computes the inverse in double precision, and rounds at the end.
    wide = x.astype(np.result_type(x.dtype, float))
    singular = plain(_are_singular, (wide,), {})
    regular = np.where(singular[..., None, None], np.eye(x.shape[-1]), wide)
    product = np.linalg.norm(x, p, (-2, -1)) * np.linalg.norm(np.linalg.inv(regular), p, (-2, -1))
    dtype = np.linalg.cond(np.eye(1, dtype=x.dtype), p).dtype
    return np.where(singular, np.inf, product).astype(dtype)


@composed(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    try:
        count = operator.index(n)
    except TypeError as error:
        raise TypeError(f"np.linalg.matrix_power: expected an int exponent, got {n!r}") from error
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(
            f"np.linalg.matrix_power: got shape {a.shape}, expected square matrices"
        )
    if count == 0:
        one = np.eye(a.shape[-1], dtype=a.dtype)
        return Node(np.broadcast_to(one, a.shape), requires_grad=False)
    power = np.linalg.inv(a) if count < 0 else a
    count = abs(count)
    if count == 3:
        return power @ power @ power
    result = None
    while count:
        count, bit = divmod(count, 2)
        if bit:
            result = power if result is None else result @ power
        power = power @ power if count else power
    return result


def _multi_dot(*arrays: Any) -> Any:
    return np.linalg.multi_dot(arrays)


@op(np.linalg.multi_dot, forward=_multi_dot)
def multi_dot(g: Any, out: Any, *arrays: Any) -> Rule:
    if len(arrays) == 2:
        return tuple(products.dot.rule(g, out, *arrays))
    first, last = arrays[0], arrays[-1]
    first = row(first) if first.ndim == 1 else first
    matrices = [first, *arrays[1:-1], column(last) if last.ndim == 1 else last]
    g = g.reshape((matrices[0].shape[0], matrices[-1].shape[1]))

    def gradient(i: int) -> Any:
        before = [x.mT for x in reversed(matrices[:i])]
        after = [x.mT for x in reversed(matrices[i + 1 :])]
        return np.linalg.multi_dot([*before, g, *after]).reshape(arrays[i].shape)

    return tuple((lambda i=i: gradient(i)) for i in range(len(arrays)))


@composed(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv: got ind={ind}, expected a positive number of axes")
    shape = (*a.shape[ind:], *a.shape[:ind])
    return np.linalg.inv(a.reshape((prod(a.shape[ind:]), -1))).reshape(shape)


@composed(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    last = list(axes or ())
    a = np.moveaxis(a, last, range(-len(last), 0))
    shape = a.shape[np.ndim(b) :]
    size = prod(shape)
    if a.size != size**2:
        raise np.linalg.LinAlgError(
            f"np.linalg.tensorsolve: got the shapes {a.shape} and {np.shape(b)}; expected "
            f"prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return np.linalg.solve(a.reshape((size, size)), np.ravel(b)).reshape(shape)


@composed(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"np.linalg.outer: got shapes {np.shape(x1)} and {np.shape(x2)}, expected vectors; "
            f"write np.outer, which flattens"
        )
    return np.outer(x1, x2)


@composed(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    if np.shape(x1)[axis] != 3 or np.shape(x2)[axis] != 3:
        raise ValueError(
            f"np.linalg.cross: got shapes {np.shape(x1)} and {np.shape(x2)}, expected vectors of "
            f"3 components along axis {axis}"
        )
    return np.cross(x1, x2, axis=axis)


@composed(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    return np.matmul(x1, x2)


@composed(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return np.tensordot(x1, x2, axes)


@composed(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return products.vecdot(x1, x2, axis=axis)


@composed(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return np.matrix_transpose(x)


@composed(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset, -2, -1)


@composed(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset, -2, -1, dtype)
