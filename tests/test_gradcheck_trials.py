"""What a gradient checker says of right derivatives, of wrong ones, and on kinks, at its defaults.

python -m tests.test_gradcheck_trials [tinygraph | torch | jax] prints it for one of the checkers.
"""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygraph as tg

GENERATOR = np.random.default_rng(20261124)
NOISE = np.random.default_rng(0)
normal = GENERATOR.normal
BIG = normal(size=10_000)
X = normal(size=(3, 4))
S = normal(size=(4, 4)) + 2 * np.eye(4)
W = normal(size=10_000)
Z = normal(size=3) + 1j * normal(size=3)
SCALES = 10.0 ** np.arange(-12, 13, 4)
KEPT: list[Any] = []
LAST: list[Any] = [None]


class Trial(NamedTuple):
    """A function f(xp, *inputs), xp being NumPy, torch or jax.numpy, with a rule, or with its own.

    What is `stateful` cannot be traced.
    """

    name: str
    truth: str
    f: Callable[..., Any]
    inputs: tuple[Any, ...]
    rule: Callable[..., Any] | None
    order: int
    stateful: bool


TRIALS: list[Trial] = []


def right(
    name: str, f: Any, *inputs: Any, rule: Any = None, order: int = 1, truth: str = "right"
) -> None:
    TRIALS.append(Trial(name, truth, f, inputs, rule, order, False))


def wrong(
    name: str, f: Any, rule: Any, *inputs: Any, order: int = 1, stateful: bool = False
) -> None:
    TRIALS.append(Trial(name, "wrong", f, inputs, rule, order, stateful))


def kink(name: str, f: Any, *inputs: Any, order: int = 1) -> None:
    right(name, f, *inputs, order=order, truth="kink")


def hilbert(n: int) -> Any:
    return 1 / (np.arange(n)[:, None] + np.arange(n) + 1.0)


def one_of_many(factor: float, i: int = 4321) -> Any:
    return np.where(np.arange(10_000) == i, factor, 1.0)


def one_halved(i: int, n: int) -> Any:
    return np.where(np.arange(n) == i, 0.5, 1.0)


def with_first_input(xp: Any, g: Any, out: Any, x: Any) -> Any:
    KEPT.append(x)
    return (2 * g * KEPT[0],)


def keeping_last_input(xp: Any, x: Any) -> Any:
    LAST[0] = x
    return xp.sin(x)


# Right derivatives
# kinks nearby
right("relu 3e-5 beside", lambda xp, x: xp.maximum(x, 0.0 * x), np.array([3e-5, -4e-6, 0.7]))
right("|x-1| 1e-7 beside", lambda xp, x: xp.abs(x - 1), np.array([1 + 1e-7, 1 - 3e-8]))
right(
    "maximum of near ties",
    lambda xp, x, y: xp.maximum(x, y),
    np.array([1.0, 2.0]),
    np.array([1.0 + 2e-6, 2.0 - 5e-7]),
)
right("leaky 1e-9 beside", lambda xp, x: xp.where(x > 0, x, 0.01 * x), np.array([1e-9, 1.0, -2e-9]))
right(
    "huber at its joint",
    lambda xp, x: xp.where(xp.abs(x) < 1, 0.5 * x * x, xp.abs(x) - 0.5),
    np.array([1.0, -1.0, 0.3]),
)
right(
    "clip 1e-6 inside",
    lambda xp, x: xp.clip(x, -1.0, 1.0),
    np.array([1 - 1e-6, -1 + 1e-7, 1 + 1e-6]),
)
right("max, gap 1e-5", lambda xp, x: xp.max(x), np.array([0.3, 0.70001, 0.7]))
right("saw 1e-6 after jump", lambda xp, x: x - xp.floor(x), np.array([3 + 1e-6, 5.5]))
right("exp|sin| 1e-5", lambda xp, x: xp.exp(xp.abs(xp.sin(x))), np.array([1e-5, 0.4]))
# near cancellation
right("(1-cos x)/x^2 at 1e-4", lambda xp, x: (1 - xp.cos(x)) / (x * x), np.array([1e-4, 3e-4]))
right("log(1+x) at 1e-10", lambda xp, x: xp.log(1 + x), np.array([1e-10, 3e-9]))
right("exp(x)-1-x at 1e-5", lambda xp, x: xp.exp(x) - 1 - x, np.array([1e-5, -2e-5]))
right("1e12 + x^2", lambda xp, x: 1e12 + x * x, np.array([1.0, -2.0]))
right(
    "variance, large mean",
    lambda xp, x: xp.mean((x - xp.mean(x)) ** 2),
    1e6 + 0.01 * normal(size=5),
)
right(
    "root of quadratic",
    lambda xp, b, q: (-b + xp.sqrt(b * b - 4 * q)) / 2,
    np.array([1e5]),
    np.array([1.3]),
)
right(
    "logsumexp - max",
    lambda xp, x: xp.log(xp.sum(xp.exp(x - xp.max(x)))),
    np.array([1000.0, 980.0, 965.0]),
)
# large, tiny
right("square at 1e8", lambda xp, x: x * x, np.array([1e8, -3e8]))
right("exp at 600", lambda xp, x: xp.exp(x), np.array([600.0, 650.0]))
right("times 1e100", lambda xp, x: 1e100 * xp.sin(x), np.array([0.3, 2.0]))
right("sin at 1e6", lambda xp, x: xp.sin(x), np.array([1e6, 1234567.8]))
right("cube at 1e-40", lambda xp, x: x * x * x, np.array([1e-40, 2e-40]))
right("times 1e-200", lambda xp, x: 1e-200 * xp.cos(x), np.array([0.3, 2.0]))
right("square at 1e-12", lambda xp, x: x * x, np.array([1e-12, -2e-12]))
right("sigmoid at -40, 40", lambda xp, x: 1 / (1 + xp.exp(-x)), np.array([-40.0, 36.0, 0.0]))
# mixed scales
right("c.x, c 1e-12..1e12", lambda xp, x: xp.sum(xp.asarray(SCALES) * x), normal(size=7))
right(
    "squares 1e-10..1e10",
    lambda xp, x: x * x,
    normal(size=6) * 10.0 ** np.array([-10, -6, -2, 2, 6, 10]),
)
right(
    "softmax, logits +-30",
    lambda xp, x: xp.exp(x - xp.max(x)) / xp.sum(xp.exp(x - xp.max(x))),
    np.array([-30.0, 0.5, 30.0, 12.0]),
)
right("x/y mixed", lambda xp, x, y: x / y, np.array([1e-8, 1.0, 1e8]), np.array([1e5, 1e-5, 2.0]))
right("norm of mixed", lambda xp, x: xp.sqrt(xp.sum(x * x)), np.array([1e-6, 1e3, 2.0]))
right(
    "rosenbrock far out",
    lambda xp, x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
    np.array([1e3, -1e-3]),
)
# steep and fast
right("sin(1e6 x)", lambda xp, x: xp.sin(1e6 * x), np.array([0.1234567, 0.7]))
right("exp(100 x)", lambda xp, x: xp.exp(100 * x), np.array([0.3, -0.2, 1.0]))
right("tanh(1e5 x)", lambda xp, x: xp.tanh(1e5 * x), np.array([1e-5, -2e-6]))
right("1/(x-1) at 1+1e-6", lambda xp, x: 1 / (x - 1), np.array([1 + 1e-6, 1.1]))
right("log at 1e-12", lambda xp, x: xp.log(x), np.array([1e-12, 1.0]))
right("x^2 sin(1/x) at 1e-4", lambda xp, x: x * x * xp.sin(1 / x), np.array([1e-4, 0.02]))
right("x^60", lambda xp, x: x**60, np.array([0.9, 1.3, -1.1]))
# ill-conditioned
right("inv Hilbert 7", lambda xp, x: xp.linalg.inv(x), hilbert(7))
right(
    "inv near singular 1e-7",
    lambda xp, x: xp.linalg.inv(x),
    np.array([[1.0, 1.0], [1.0, 1.0 + 1e-7]]),
)
right(
    "solve Vandermonde 8",
    lambda xp, x, b: xp.linalg.solve(x, b[:, None]),
    np.vander(np.linspace(0.1, 1, 8)),
    normal(size=8),
)
right("det Hilbert 5", lambda xp, x: xp.linalg.det(x), hilbert(5))
right(
    "x/(x-y), y = x(1+1e-7)", lambda xp, x, y: x / (x - y), np.array([3.0]), np.array([3.0 + 3e-7])
)
# float32
right(
    "f32 tanh(x @ w)", lambda xp, x, w: xp.tanh(x @ w), X.astype(np.float32), S.astype(np.float32)
)
right(
    "f32 softmax",
    lambda xp, x: xp.exp(x - xp.max(x)) / xp.sum(xp.exp(x - xp.max(x))),
    np.array([1.0, -5.0, 9.0], np.float32),
)
right(
    "f32 variance, mean 100",
    lambda xp, x: xp.mean((x - xp.mean(x)) ** 2),
    (100 + normal(size=6)).astype(np.float32),
)
right("f32 log at 1e-6", lambda xp, x: xp.log(x), np.array([1e-6, 0.5], np.float32))
# complex
right("exp z, custom rule", lambda xp, z: xp.exp(z), Z, rule=lambda xp, g, out, z: (g * out,))
right("z conj z", lambda xp, z: z * xp.conj(z) * z, Z)
right("|z|^2, real result", lambda xp, z: xp.sum(xp.real(z) ** 2 + xp.imag(z) ** 2), Z)
right("complex inv", lambda xp, z: xp.linalg.inv(z), S[:3, :3] + 1j * normal(size=(3, 3)))
# many inputs
right("10k sum of squares", lambda xp, x: xp.sum(x * x), BIG)
right("10k logsumexp", lambda xp, x: xp.log(xp.sum(xp.exp(x))), 4 * BIG)
right(
    "10k mixed scales",
    lambda xp, x: xp.sum(xp.tanh(x) * xp.asarray(W)),
    BIG * 10.0 ** GENERATOR.integers(-6, 2, 10_000),
)
right("10k sum sin(50 x)", lambda xp, x: xp.sum(xp.sin(50 * x)), BIG)
# second order, odd points
right("softmax, order 2", lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)), normal(size=3), order=2)
right(
    "own tanh, order 2",
    lambda xp, x: xp.tanh(x),
    X[0],
    rule=lambda xp, g, out, x: (g * (1 - out * out),),
    order=2,
)
right("inv, order 2", lambda xp, x: xp.linalg.inv(x), S[:2, :2], order=2)
right("x|x| at 0", lambda xp, x: x * xp.abs(x), np.array([0.0, 0.4]))
right("x^4 at 0", lambda xp, x: xp.sum(x**4), np.array([0.0, 1.0]))
right("flat relu, far side", lambda xp, x: xp.maximum(x, 0.0 * x), np.array([-3.0, -1.0]))

# Wrong ones
# errors of 1e-4 and less
wrong(
    "tanh x 1.0001",
    lambda xp, x: xp.tanh(x),
    lambda xp, g, out, x: (1.0001 * g * (1 - out * out),),
    X,
)
wrong(
    "log x 0.9999 at 1e-3",
    lambda xp, x: xp.log(x),
    lambda xp, g, out, x: (0.9999 * g / x,),
    np.array([1e-3, 2.0]),
)
wrong(
    "matmul by w 1.0001",
    lambda xp, x, w: x @ w,
    lambda xp, g, out, x, w: (g @ w.T, 1.0001 * x.T @ g),
    X,
    S,
)
wrong(
    "norm + 1e-6",
    lambda xp, x: xp.sqrt(xp.sum(x * x)),
    lambda xp, g, out, x: (g * x / (out + 1e-6),),
    np.array([0.6, -0.8]),
)
wrong(
    "x + 1e-5 sin x, term missing",
    lambda xp, x: x + 1e-5 * xp.sin(x),
    lambda xp, g, out, x: (g + 0 * x,),
    np.array([0.3, 1.0]),
)
wrong(
    "sin(1e6 x) x 1.0001",
    lambda xp, x: xp.sin(1e6 * x),
    lambda xp, g, out, x: (1.0001e6 * g * xp.cos(1e6 * x),),
    np.array([0.1234567, 0.7]),
)
wrong(
    "exp(100x) x 1.0001",
    lambda xp, x: xp.exp(100 * x),
    lambda xp, g, out, x: (100.01 * g * out,),
    np.array([0.3, -0.2]),
)
wrong(
    "inv of 4x4 x 1.0001",
    lambda xp, x: xp.linalg.inv(x),
    lambda xp, g, out, x: (-1.0001 * out.T @ g @ out.T,),
    S,
)
# kinks nearby
wrong(
    "abs, 0 below 1e-5",
    lambda xp, x: xp.abs(x),
    lambda xp, g, out, x: (g * xp.where(xp.abs(x) < 1e-5, 0 * x, xp.sign(x)),),
    np.array([1e-6, 1.0]),
)
wrong(
    "relu half at 1e-7",
    lambda xp, x: xp.maximum(x, 0 * x),
    lambda xp, g, out, x: (g * xp.where(xp.abs(x) < 1e-6, 0 * x + 0.5, (x > 0) * 1.0),),
    np.array([1e-7, -2.0]),
)
wrong(
    "maximum shares near tie",
    lambda xp, x, y: xp.maximum(x, y),
    lambda xp, g, out, x, y: (
        g * xp.where(xp.abs(x - y) < 1e-5, 0 * x + 0.5, (x > y) * 1.0),
        g * xp.where(xp.abs(x - y) < 1e-5, 0 * x + 0.5, (x < y) * 1.0),
    ),
    np.array([1.0, 2.0]),
    np.array([1.0 + 2e-6, 0.0]),
)
wrong(
    "clip keeps outside",
    lambda xp, x: xp.clip(x, -1.0, 1.0),
    lambda xp, g, out, x: (g * (xp.abs(x) < 1.001),),
    np.array([1 + 1e-6, 0.2]),
)
wrong(
    "leaky, sides swapped",
    lambda xp, x: xp.where(x > 0, x, 0.2 * x),
    lambda xp, g, out, x: (g * xp.where(x > 0, 0 * x + 0.2, 0 * x + 1),),
    np.array([1e-6, -1e-7]),
)
wrong(
    "exp|sin| x 1.01, 1e-4",
    lambda xp, x: xp.exp(xp.abs(xp.sin(x))),
    lambda xp, g, out, x: (1.01 * g * out * xp.cos(x) * xp.sign(xp.sin(x)),),
    np.array([1e-4, 0.4]),
)
# cancellation
wrong(
    "sqrt(1e8+x)-1e4 x 2",
    lambda xp, x: xp.sqrt(1e8 + x) - 1e4,
    lambda xp, g, out, x: (g / xp.sqrt(1e8 + x),),
    np.array([1.0, -2.0]),
)
wrong(
    "exp(x)-1-x, +1e-6",
    lambda xp, x: xp.exp(x) - 1 - x,
    lambda xp, g, out, x: (g * (xp.exp(x) - 1 + 1e-6),),
    np.array([1e-3, -2e-3]),
)
wrong(
    "1e12 + x^2 x 1.5",
    lambda xp, x: 1e12 + x * x,
    lambda xp, g, out, x: (3 * g * x,),
    np.array([1.0, -2.0]),
)
wrong(
    "variance without 1/n",
    lambda xp, x: xp.mean((x - xp.mean(x)) ** 2),
    lambda xp, g, out, x: (g * 2 * (x - xp.mean(x)),),
    1e4 + normal(size=5),
)
# large, tiny
wrong(
    "square at 1e8 x 1.0001",
    lambda xp, x: x * x,
    lambda xp, g, out, x: (2.0002 * g * x,),
    np.array([1e8, -3e8]),
)
wrong(
    "exp at 600 x 1.001",
    lambda xp, x: xp.exp(x),
    lambda xp, g, out, x: (1.001 * g * out,),
    np.array([600.0, 650.0]),
)
wrong(
    "sin at 1e6, -cos",
    lambda xp, x: xp.sin(x),
    lambda xp, g, out, x: (-g * xp.cos(x),),
    np.array([1e6, 1234567.8]),
)
wrong(
    "square at 1e-12, zero",
    lambda xp, x: x * x,
    lambda xp, g, out, x: (g * 0 * x,),
    np.array([1e-12, -2e-12]),
)
wrong(
    "times 1e-200 x 2",
    lambda xp, x: 1e-200 * xp.sin(x),
    lambda xp, g, out, x: (2e-200 * g * xp.cos(x),),
    np.array([0.3, 2.0]),
)
wrong(
    "sigmoid at -40 x 2",
    lambda xp, x: 1 / (1 + xp.exp(-x)),
    lambda xp, g, out, x: (2 * g * out * (1 - out),),
    np.array([-40.0, -35.0]),
)
# mixed scales
wrong(
    "c.x, c=1e-12 halved",
    lambda xp, x: xp.sum(xp.asarray(SCALES) * x),
    lambda xp, g, out, x: (g * xp.asarray(SCALES * one_halved(0, 7)),),
    normal(size=7),
)
wrong(
    "x/y, by y without square",
    lambda xp, x, y: x / y,
    lambda xp, g, out, x, y: (g / y, -g * x / y),
    np.array([1e-8, 1.0, 1e8]),
    np.array([1e5, 1e-5, 2.0]),
)
wrong(
    "squares, smallest halved",
    lambda xp, x: x * x,
    lambda xp, g, out, x: (2 * g * x * xp.asarray(one_halved(0, 6)),),
    normal(size=6) * 10.0 ** np.array([-10, -6, -2, 2, 6, 10]),
)
wrong(
    "1e6 sum(x) + sum(y), y x 1.01",
    lambda xp, x, y: 1e6 * xp.sum(x) + xp.sum(y),
    lambda xp, g, out, x, y: (1e6 * g + 0 * x, 1.01 * g + 0 * y),
    normal(size=3),
    normal(size=3),
)
wrong(
    "softmax, sum term at 1e-6 lost",
    lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)),
    lambda xp, g, out, x: (out * g - out * xp.sum(xp.where(out > 1e-4, out * g, 0 * g)),),
    np.array([-8.0, 0.5, 1.0]),
)
# steep
wrong(
    "tanh(1e5 x), factor lost",
    lambda xp, x: xp.tanh(1e5 * x),
    lambda xp, g, out, x: (g * (1 - out * out),),
    np.array([1e-5, -2e-6]),
)
wrong(
    "1/(x-1) x 1.01 at 1+1e-6",
    lambda xp, x: 1 / (x - 1),
    lambda xp, g, out, x: (-1.01 * g * out * out,),
    np.array([1 + 1e-6, 1.1]),
)
wrong(
    "x^60, 59 for 60",
    lambda xp, x: x**60,
    lambda xp, g, out, x: (59 * g * x**59,),
    np.array([0.9, 1.3]),
)
# ill-conditioned
wrong(
    "inv Hilbert 5 x 1.01",
    lambda xp, x: xp.linalg.inv(x),
    lambda xp, g, out, x: (-1.01 * out.T @ g @ out.T,),
    hilbert(5),
)
wrong(
    "solve, not transposed",
    lambda xp, x, b: xp.linalg.solve(x, b),
    lambda xp, g, out, x, b: (-xp.linalg.solve(x, g) @ out.T, xp.linalg.solve(x, g)),
    np.vander(np.linspace(0.2, 1, 4)),
    normal(size=(4, 1)),
)
wrong(
    "x/(x-y), sign by y",
    lambda xp, x, y: x / (x - y),
    lambda xp, g, out, x, y: (-g * y / (x - y) ** 2, -g * x / (x - y) ** 2),
    np.array([3.0]),
    np.array([3.0 + 3e-5]),
)
# float32
wrong(
    "f32 square x 1.001",
    lambda xp, x: x * x,
    lambda xp, g, out, x: (2.002 * g * x,),
    X.astype(np.float32),
)
wrong(
    "f32 tanh, sign",
    lambda xp, x: xp.tanh(x),
    lambda xp, g, out, x: (-g * (1 - out * out),),
    X.astype(np.float32),
)
wrong(
    "f32 sum, scaled 1.01",
    lambda xp, x: xp.sum(xp.exp(x)),
    lambda xp, g, out, x: (1.01 * g * xp.exp(x),),
    X.astype(np.float32),
)
# complex
wrong("exp z conjugated", lambda xp, z: xp.exp(z), lambda xp, g, out, z: (g * xp.conj(out),), Z)
wrong(
    "|z|^2, z for conj z",
    lambda xp, z: xp.real(z * xp.conj(z)),
    lambda xp, g, out, z: (2 * g * z,),
    Z,
)
wrong(
    "z*z, imaginary part lost",
    lambda xp, z: z * z,
    lambda xp, g, out, z: (2 * g * xp.real(z) + 0 * z,),
    Z,
)
wrong(
    "inv z, not transposed",
    lambda xp, z: xp.linalg.inv(z),
    lambda xp, g, out, z: (-out @ g @ out,),
    S[:2, :2] + 1j * normal(size=(2, 2)),
)
# 10,000 with few wrong
wrong(
    "10k, one x 1.5",
    lambda xp, x: xp.sum(x * x),
    lambda xp, g, out, x: (2 * g * x * xp.asarray(one_of_many(1.5)),),
    BIG,
)
wrong(
    "10k, one zero",
    lambda xp, x: xp.sum(xp.tanh(x)),
    lambda xp, g, out, x: (g * (1 - xp.tanh(x) ** 2) * xp.asarray(one_of_many(0.0)),),
    BIG,
)
wrong(
    "10k, one x 1.0001",
    lambda xp, x: xp.sum(xp.sin(x)),
    lambda xp, g, out, x: (g * xp.cos(x) * xp.asarray(one_of_many(1.0001)),),
    BIG,
)
wrong(
    "10k, two neighbours swapped",
    lambda xp, x: xp.sum(xp.asarray(W) * x),
    lambda xp, g, out, x: (g * xp.asarray(np.r_[W[:70], W[71], W[70], W[72:]]) + 0 * x,),
    BIG,
)
wrong(
    "10k, one errs up, one down",
    lambda xp, x: xp.sum(xp.exp(x)),
    lambda xp, g, out, x: (
        g * (xp.exp(x) + xp.asarray(one_of_many(2.0, 5) - one_of_many(2.0, 9))),
    ),
    BIG,
)
wrong(
    "10k, a faint one doubled",
    lambda xp, x: xp.sum(x * x * xp.asarray(one_of_many(1e-6, 77))),
    lambda xp, g, out, x: (2 * g * x * xp.asarray(one_of_many(2e-6, 77)),),
    BIG,
)
# uniform cotangents
wrong("exp, mean of g", lambda xp, x: xp.exp(x), lambda xp, g, out, x: (xp.mean(g) * out,), X)
wrong(
    "cumsum, not reversed",
    lambda xp, x: xp.cumsum(x, 0),
    lambda xp, g, out, x: (xp.flip(xp.cumsum(g, 0), (0,)),),
    normal(size=4),
)
wrong(
    "flip, not flipped", lambda xp, x: xp.flip(x, (0,)), lambda xp, g, out, x: (g,), normal(size=5)
)
wrong(
    "softmax, mean for sum",
    lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)),
    lambda xp, g, out, x: (out * (g - xp.mean(g)),),
    normal(size=3),
)
wrong("transpose forgotten", lambda xp, x: 1.0 * x.T, lambda xp, g, out, x: (g + 0 * x,), S)
# second order
wrong(
    "sin, cos cut",
    lambda xp, x: xp.sin(x),
    lambda xp, g, out, x: (g * xp.stop_gradient(xp.cos(x)),),
    X[0],
    order=2,
)
wrong(
    "exp, out cut in one term",
    lambda xp, x: xp.exp(x),
    lambda xp, g, out, x: (g * (0.999 * xp.exp(x) + 0.001 * xp.stop_gradient(xp.exp(x))),),
    X[0],
    order=2,
)
wrong(
    "x*y, y cut by y",
    lambda xp, x, y: x * y,
    lambda xp, g, out, x, y: (g * xp.stop_gradient(y), g * x),
    np.array([0.4, 2.0]),
    np.array([1.0, -0.5]),
    order=2,
)
# noise, state
wrong("noise of 1e-3", lambda xp, x: x * (1 + 1e-3 * NOISE.normal()), None, X, stateful=True)
wrong("noise of 1e-9", lambda xp, x: xp.sin(x) + 1e-9 * NOISE.normal(), None, X[0], stateful=True)


wrong("first x kept", lambda xp, x: x * x, with_first_input, X[0], stateful=True)
wrong(
    "x of the last forward",
    keeping_last_input,
    lambda xp, g, out, x: (g * xp.cos(LAST[0]),),
    X[0],
    stateful=True,
)

# Points on a kink
kink("abs at 0", lambda xp, x: xp.abs(x), np.array([0.0, 1.0]))
kink(
    "relu in a layer",
    lambda xp, x, w: xp.sum(xp.tanh(xp.maximum(x @ w, 0.0 * (x @ w)))),
    np.array([[1.0, -1.0]]),
    np.array([[2.0, 1.0], [2.0, 0.3]]),
)
kink("max, tie of three", lambda xp, x: xp.max(x), np.array([2.0, 2.0, 2.0, 1.0]))
kink("|x - 1e6| at 1e6", lambda xp, x: xp.abs(x - 1e6), np.array([1e6]))
kink("|x - 1e-8| at 1e-8", lambda xp, x: xp.abs(x - 1e-8), np.array([1e-8, 3e-8]))
kink("sin x + 1e-3 |x|", lambda xp, x: xp.sin(x) + 1e-3 * xp.abs(x), np.array([0.0, 0.5]))
kink("1e6 + |x|", lambda xp, x: 1e6 + xp.abs(x), np.array([0.0]))
kink(
    "10k relus, one at 0",
    lambda xp, x: xp.sum(xp.maximum(x, 0 * x)),
    np.where(np.arange(10_000) == 99, 0.0, BIG),
)
kink("sqrt|x|", lambda xp, x: xp.sqrt(xp.abs(x)), np.array([0.0, 1.0]))
kink("hinge, f32", lambda xp, x: xp.maximum(1 - x, 0 * x), np.array([1.0, 0.3], np.float32))
kink("|z| at 0", lambda xp, z: xp.abs(z), np.array([0j, 1 + 1j]))
kink("x|x|, order 2", lambda xp, x: x * xp.abs(x), np.array([0.0, 0.4]), order=2)


HIDDEN = {"c.x, c=1e-12 halved"}
"""Mistakes that the rounding errors of the function hide."""


class Library:
    """A module, with some names of its own."""

    def __init__(self, module: Any, **names: Any) -> None:
        self.module = module
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def of_arguments(f: Callable[..., Any], names: str) -> Any:
    """Give `f` with arguments of these names in the place of any number of them."""
    return eval(f"lambda {names}: f({names})", {"f": f})


def by_tinygraph(trial: Trial) -> tuple[str, str]:
    xp = Library(np, stop_gradient=tg.stop_gradient)
    names = ", ".join("xyz"[: len(trial.inputs)])
    f = of_arguments(lambda *inputs: trial.f(xp, *inputs), names)
    if trial.rule:
        rule = trial.rule
        f = tg.op(f, name="mine")(of_arguments(lambda *given: rule(xp, *given), f"g, out, {names}"))
    try:
        return "right", repr(tg.gradcheck(f, *trial.inputs, order=trial.order))
    except tg.GradientError as error:
        found = next((x for x in ("kink", "discontinuity") if x in error.report.causes), "wrong")
        return found, error.report.diagnosis


def by_torch(trial: Trial) -> tuple[str, str]:
    import torch
    from torch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck

    xp = Library(torch, stop_gradient=torch.Tensor.detach, asarray=torch.as_tensor)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, *inputs: Any) -> Any:
            out = trial.f(xp, *inputs)
            context.save_for_backward(out, *inputs)
            return out

        @staticmethod
        def backward(context: Any, g: Any) -> Any:
            # PyTorch's gradient is the conjugate of tinygraph's.
            assert trial.rule
            out, *inputs = context.saved_tensors
            found = trial.rule(xp, g.conj() if g.is_complex() else g, out, *inputs)
            pairs = zip(found, inputs, strict=True)
            return tuple((y + 0 * x).conj() if x.is_complex() else y + 0 * x for y, x in pairs)

    f = Function.apply if trial.rule else (lambda *inputs: trial.f(xp, *inputs))
    check = gradcheck if trial.order == 1 else gradgradcheck
    try:
        check(f, tuple(torch.tensor(x, requires_grad=True) for x in trial.inputs))
    except GradcheckError as error:
        return "wrong", str(error)
    return "right", ""


def by_jax(trial: Trial) -> tuple[str, str]:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    xp = Library(jax.numpy, stop_gradient=jax.lax.stop_gradient)
    names = ", ".join("xyz"[: len(trial.inputs)])
    plain = of_arguments(lambda *inputs: trial.f(xp, *inputs), names)

    def backward(kept: Any, g: Any) -> Any:
        assert trial.rule
        found = trial.rule(xp, g, *kept)
        pairs = zip(found, kept[1:], strict=True)
        return tuple(xp.broadcast_to(y, x.shape).astype(x.dtype) for y, x in pairs)

    f = plain
    if trial.rule:
        f = jax.custom_vjp(plain)
        f.defvjp(lambda *inputs: ((out := plain(*inputs)), (out, *inputs)), backward)
    try:
        check_grads(f, tuple(map(xp.asarray, trial.inputs)), trial.order, modes=["rev"])
    except AssertionError as error:
        return "wrong", str(error)
    return "right", ""


def test_trials_are_as_many_as_they_should() -> None:
    assert Counter(trial.truth for trial in TRIALS) == {"right": 60, "wrong": 60, "kink": 12}


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_the_verdict_is_right(trial: Trial) -> None:
    verdict, words = by_tinygraph(trial)
    assert verdict == ("right" if trial.name in HIDDEN else trial.truth), words


def main(checker: str = "tinygraph") -> None:
    """Print the verdict of a checker on every trial, and how many it judged as they are."""
    judge = {"tinygraph": by_tinygraph, "torch": by_torch, "jax": by_jax}[checker]
    tried = [trial for trial in TRIALS if checker != "jax" or not trial.stateful]
    counts = Counter[str]()
    for trial in tried:
        with np.errstate(all="ignore"):
            verdict, words = judge(trial)
        counts[trial.truth] += verdict == trial.truth
        mark = " " if verdict == trial.truth else "!"
        print(f"{mark} {trial.truth:6}{verdict:14}{trial.name:34}{' '.join(words.split())[:100]}")
    for truth, count in Counter(trial.truth for trial in tried).items():
        print(f"{truth}: {counts[truth]} of {count}")


if __name__ == "__main__":
    main(*sys.argv[1:])
