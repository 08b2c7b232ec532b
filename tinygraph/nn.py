"""What networks are built of: a linear layer, activations and losses, one op each."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygraph import buffer
from tinygraph.node import Node, plain
from tinygraph.op import op
from tinygraph.rules.elementwise import finite_below
from tinygraph.rules.reduction import Axis, keep

Rule = tuple[Any, ...]

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "elu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "quadratic",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "squared_norm",
]


def _linear(x: Any, w: Any, b: Any) -> Any:
    """Give x @ w.T + b: x of shape (..., inputs), w (outputs, inputs), b (outputs,)."""
    if x.ndim == 2 and len(x) < 64 and x.dtype == np.float32:
        # For few rows BLAS is up to half as fast again this way round.
        return np.add(w.dot(x.T).T, b, order="C")
    return x.dot(w.T) + b


@lru_cache(64)
def ones(count: int, dtype: np.dtype[Any]) -> Any:
    """Give ones, a product with which adds up rows, several times as fast as np.sum."""
    return buffer.read_only(np.ones(count, dtype))


@op(_linear)
def linear(g: Any, out: Any, x: Any, w: Any, b: Any) -> Rule:
    if g.ndim == 2 and b.ndim == 1:
        return (
            lambda: np.dot(g, w),
            lambda: np.dot(g.T, x),
            lambda: np.dot(ones(len(g), g.dtype), g),
        )

    def for_w() -> Any:
        return np.dot(g.reshape(-1, w.shape[0]).T, x.reshape(-1, w.shape[1]))

    return lambda: np.dot(g, w), for_w, g


def _sigmoid(x: Any) -> Any:
    """Give 1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return np.reciprocal(1 + np.exp(-x))


@op(_sigmoid)
def sigmoid(g: Any, out: Any, x: Any) -> Rule:
    return (g * (out * (1 - out)),)


def _relu(x: Any) -> Any:
    """Give max(x, 0); its derivative at 0 is 0."""
    return np.maximum(x, 0)


@op(_relu)
def relu(g: Any, out: Any, x: Any) -> Rule:
    return (g * (out > 0),)


def _leaky_relu(x: Any, *, slope: float = 0.01) -> Any:
    """Give x where it is positive, else slope * x; its derivative at 0 is `slope`."""
    return np.where(x > 0, x, slope * x)


@op(_leaky_relu)
def leaky_relu(g: Any, out: Any, x: Any, *, slope: float = 0.01) -> Rule:
    return (np.where(x > 0, g, slope * g),)


def _elu(x: Any, *, alpha: float = 1.0) -> Any:
    """Give x where it is positive, else alpha * (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@op(_elu)
def elu(g: Any, out: Any, x: Any, *, alpha: float = 1.0) -> Rule:
    return (np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))),)


def _softplus(x: Any) -> Any:
    """Give log(1 + exp(x))."""
    return np.logaddexp(x, 0)


@op(_softplus)
def softplus(g: Any, out: Any, x: Any) -> Rule:
    return (g * sigmoid(x),)


def _softmax(x: Any, *, axis: Axis = -1) -> Any:
    """Give exp(x) / sum(exp(x)) over `axis`."""
    exp = np.exp(x - x.max(axis=axis, keepdims=True))
    exp /= exp.sum(axis=axis, keepdims=True)
    return exp


@op(_softmax)
def softmax(g: Any, out: Any, x: Any, *, axis: Axis = -1) -> Rule:
    return (out * (g - (g * out).sum(axis=axis, keepdims=True)),)


def _log_softmax(x: Any, *, axis: Axis = -1) -> Any:
    """Give log(softmax(x)) without overflow or loss of small probabilities."""
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@op(_log_softmax)
def log_softmax(g: Any, out: Any, x: Any, *, axis: Axis = -1) -> Rule:
    return (g - np.exp(out) * g.sum(axis=axis, keepdims=True),)


def _logsumexp(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Give log(sum(exp(x))) over `axis` without overflow."""
    largest = np.max(x, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore", over="ignore"):
        total = np.sum(np.exp(x - largest), axis=axis, keepdims=True)
        out = np.log(total) + largest
    return out if keepdims else np.squeeze(out, axis=axis)


@op(_logsumexp)
def logsumexp(g: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Rule:
    out = keep(out, x, axis)
    return (keep(g, x, axis) * np.exp(x - finite_below(out)),)


def _samples(x: Any) -> int:
    return int(x.size // x.shape[-1]) if x.ndim > 1 else 1


def _check_targets(name: str, x: Any, y: Any) -> None:
    if getattr(x, "shape", None) == getattr(y, "shape", ()):
        return
    if np.shape(x) != np.shape(y):
        raise ValueError(
            f"{name}: outputs of shape {np.shape(x)} got targets of shape {np.shape(y)}; "
            f"expected the same shape"
        )


def _quadratic(x: Any, y: Any) -> Any:
    """Give 1/2 |x - y|^2, summed over the last axis and averaged over the others."""
    _check_targets("quadratic", x, y)
    error = np.ravel(x - y)
    return np.dot(error, error) * (0.5 / _samples(x))


@op(_quadratic)
def quadratic(g: Any, out: Any, x: Any, y: Any) -> Rule:
    error = (x - y) * (g / _samples(x))
    return error, lambda: -error


def _squared_norm(x: Any) -> Any:
    """Give 1/2 |x|^2, the sum over all elements."""
    flat = np.ravel(x)
    return np.dot(flat, flat) * 0.5


@op(_squared_norm)
def squared_norm(g: Any, out: Any, x: Any) -> Rule:
    return (g * x,)


def _cross_entropy(x: Any, y: Any) -> Any:
    return -np.sum(y * _where_wanted(y, _log_softmax(x))) / _samples(x)


def _where_wanted(y: Any, log_p: Any) -> Any:
    """Give log probabilities, 0 for classes that are not wanted, which may be impossible ones."""
    return np.where(y == 0, 0, log_p)


@op(_cross_entropy)
def _cross_entropy_of_rows(g: Any, out: Any, x: Any, y: Any) -> Rule:
    scale = g / _samples(x)
    return (
        lambda: scale * (softmax(x) * np.sum(y, axis=-1, keepdims=True) - y),
        lambda: -scale * log_softmax(x),
    )


def cross_entropy(x: Any, y: Any) -> Any:
    """Give -sum(y * log(softmax(x))) over the last axis, averaged over the others.

    `x` (..., classes) are logits; `y` are rows of probabilities of the same shape, or integer
    labels of shape (...).
    """
    if np.shape(y) != np.shape(x):
        labels = y if isinstance(y, Node) else np.asarray(y)
        if labels.dtype.kind not in "iu" or labels.shape != np.shape(x)[:-1]:
            raise ValueError(
                f"cross_entropy: logits of shape {np.shape(x)} got targets of shape "
                f"{labels.shape} and dtype {labels.dtype}; expected rows of probabilities of the "
                f"logits' shape, or integer labels of shape {np.shape(x)[:-1]}"
            )
        y = plain(_one_hot, (labels,), {"classes": np.shape(x)[-1], "dtype": x.dtype})
    return _cross_entropy_of_rows(x, y)


def _one_hot(labels: Any, *, classes: int, dtype: Any) -> Any:
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"cross_entropy: labels run from {labels.min()} to {labels.max()}, "
            f"expected 0 to {classes - 1}"
        )
    return np.eye(classes, dtype=dtype)[labels]


def _bce_with_logits(x: Any, y: Any) -> Any:
    """Give the binary cross-entropy of sigmoid(x), which cannot overflow or saturate."""
    _check_targets("binary_cross_entropy_with_logits", x, y)
    return np.sum(np.logaddexp(x, 0) - x * y) / _samples(x)


@op(_bce_with_logits, name="binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(g: Any, out: Any, x: Any, y: Any) -> Rule:
    scale = g / _samples(x)
    return lambda: scale * (sigmoid(x) - y), lambda: -scale * x


def binary_cross_entropy(p: Any, y: Any) -> Any:
    """Give -sum(y log(p) + (1 - y) log(1 - p)) over the last axis, averaged over the others.

    Where `p` is the Node that `sigmoid` made, its input is used, so that nothing saturates; any
    other `p` is kept a rounding error away from 0 and 1.
    """
    if isinstance(p, Node) and p.op is sigmoid:
        return binary_cross_entropy_with_logits(p.inputs[0], y)
    p, y = (x if isinstance(x, Node) else np.asarray(x) for x in (p, y))
    _check_targets("binary_cross_entropy", p, y)
    margin = float(np.finfo(p.dtype).eps)
    p = np.clip(p, margin, 1 - margin)
    return -np.sum(y * np.log(p) + (1 - y) * np.log1p(-p)) / _samples(p)
