"""What the gradient checker says of right derivatives, wrong ones, and kinks, at its defaults."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygraph as tg

X = np.random.default_rng(0).normal(size=(3, 4))
S = X[:, :3]
BIG = np.random.default_rng(1).normal(size=10_000)
NOISE = np.random.default_rng(2)
HILBERT = 1 / (np.arange(6)[:, None] + np.arange(6) + 1.0)

RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "smooth": (np.tanh, (X,)),
    "steep": (lambda x: np.sin(1e4 * x), (X,)),
    "growing": (lambda x: np.exp(30 * x), (X,)),
    "large": (np.square, (X * 1e8,)),
    "tiny": (np.square, (X * 1e-8,)),
    "huge": (np.exp, (np.array([600.0, 650.0]),)),
    "near the underflow": (lambda x: 1e-200 * np.sin(x), (X,)),
    "mixed scales": (np.square, (X * 10.0 ** np.arange(-8, 4).reshape(3, 4),)),
    "near cancellation": (lambda x: np.sqrt(1e8 + x) - 1e4, (X,)),
    "fast-varying": (lambda x: x * x * np.sin(1 / x), (np.array([1e-4, 0.02]),)),
    "inaccurate of complex numbers": (
        lambda x: 16.6 / (np.log1p((0.00155 * x) ** 2) ** 2 + 1e-3) - 2521,
        (np.array([-0.015458, -4.4e-5, -1e-6]),),
    ),
    "ill conditioned": (np.linalg.inv, (HILBERT,)),
    "float32": (np.tanh, (X.astype(np.float32),)),
    "complex": (np.exp, (X + 1j,)),
    "complex, not holomorphic": (lambda z: np.abs(z) * np.conjugate(z), (X + 1j,)),
    "ten thousand": (np.square, (BIG,)),
    "edge of the domain": (np.log, (np.array([1e-6, 1e-3, 1.0]),)),
    "kink nearby": (np.abs, (np.array([1e-6, -1e-7]),)),
    "kink nearby, hardly seen": (
        lambda x: 3.257168238354671 - 1.85e-6 * np.abs(x),
        (np.array([-3.07e-8, -0.00112, -0.0489]),),
    ),
    "flat": (lambda x: 0 * x, (X,)),
    "empty": (np.tanh, (np.zeros((0, 2)),)),
    "tree": (lambda t: np.tanh(t["w"] @ t["b"]), ({"w": X, "b": X[0]},)),
    "constants": (lambda x, n, mask: x[:n] * mask, (X, 2, np.array([True, False, True, True]))),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name: str, order: int) -> None:
    f, inputs = RIGHT[name]
    report = tg.gradcheck(f, *inputs, order=order)
    assert report.passed
    assert report.causes == ()


def op(forward: Callable[..., Any], rule: Callable[..., Any]) -> Any:
    # A function of NumPy's itself would get the wrong rule for everybody.
    return tg.op(lambda *inputs: forward(*inputs), name="mine")(rule)


def one_wrong(g: Any, out: Any, x: Any) -> Any:
    return (g * 2 * x * np.where(np.arange(x.size) == 777, 1.5, 1.0),)


def stale() -> Any:
    kept: list[Any] = []

    def rule(g: Any, out: Any, x: Any) -> Any:
        kept.append(x)
        return (g * 2 * kept[0],)

    return op(lambda x: x**2, rule)


WRONG: dict[str, tuple[Any, tuple[Any, ...], int, str]] = {
    "factor": (op(np.tanh, lambda g, out, x: (2 * g * (1 - out**2),)), (X,), 1, "factor"),
    "small": (op(np.tanh, lambda g, out, x: (1.0001 * g * (1 - out**2),)), (X,), 1, "factor"),
    "huge": (op(np.exp, lambda g, out, x: (1.001 * g * out,)), (X + 600,), 1, "factor"),
    "tiny": (
        op(lambda x: 1e-200 * np.sin(x), lambda g, out, x: (2e-200 * g * np.cos(x),)),
        (X,),
        1,
        "factor",
    ),
    "sign": (op(np.cos, lambda g, out, x: (g * np.sin(x),)), (X,), 1, "sign"),
    "zero": (op(np.cos, lambda g, out, x: (None,)), (X,), 1, "zero"),
    "transposed": (op(lambda x: S @ x, lambda g, out, x: (S @ g,)), (S,), 1, ""),
    "one of ten thousand": (op(np.square, one_wrong), (BIG,), 1, "some elements"),
    "second order": (
        op(np.sin, lambda g, out, x: (g * tg.stop_gradient(np.cos(x)),)), (X,), 2, "second order"
    ),
    "stale": (stale(), (X,), 1, "stale"),
    "cotangent": (op(np.exp, lambda g, out, x: (np.mean(g) * out,)), (X,), 1, ""),
    "noise in the rule": (
        op(np.sin, lambda g, out, x: (g * np.cos(x) * (1 + 1e-7 * NOISE.random()),)),
        (X,),
        1,
        "noise",
    ),
    "noise": (lambda x: x * np.random.default_rng().random(), (X,), 1, "noise"),
    "cut": (lambda x: np.exp(tg.stop_gradient(x)), (X,), 1, "zero"),
    "float32": (
        op(np.square, lambda g, out, x: (g * 2 * x * np.asarray(1.001, x.dtype),)),
        (X.astype("f4"),),
        1,
        "factor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_derivatives_are_found_and_named(name: str) -> None:
    f, inputs, order, cause = WRONG[name]
    with pytest.raises(tg.GradientError) as caught:
        tg.gradcheck(f, *inputs, order=order)
    report = caught.value.report
    assert not report.passed
    assert not cause or cause in report.causes
    assert "kink" not in report.causes
    assert isinstance(caught.value, AssertionError)


KINKS: dict[str, tuple[Callable[..., Any], Any]] = {
    "abs": (np.abs, np.array([0.0, 1.0])),
    "relu": (tg.nn.relu, np.array([1.0, 0.0])),
    "leaky relu": (tg.nn.leaky_relu, np.array([0.0])),
    "maximum": (lambda x: np.maximum(x, 1.0), np.array([1.0, 2.0])),
    "max": (np.max, np.array([1.0, 1.0, 0.0])),
    "min": (np.min, np.array([1.0, 1.0, 2.0])),
    "clip": (lambda x: np.clip(x, 0, 1), np.array([0.0, 0.5])),
    "where": (lambda x: np.where(x > 0, x, 2 * x), np.array([0.0, 1.0])),
    "norm": (np.linalg.norm, np.zeros(3)),
    "sorted": (lambda x: np.sort(x)[0], np.array([2.0, 2.0])),
    "median": (np.median, np.array([1.0, 1.0, 3.0])),
    "fast-varying": (lambda x: np.exp(np.abs(np.sin(406 * x))), np.array([0.0, 1.0])),
    "deep inside": (lambda x: np.exp(np.abs(np.sin(x))), np.array([0.0, 0.3])),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_is_named(name: str) -> None:
    f, x = KINKS[name]
    with pytest.raises(tg.GradientError, match="kink") as caught:
        tg.gradcheck(f, x)
    assert "kink" in caught.value.report.causes


def test_a_report_is_short_and_its_table_long() -> None:
    report = tg.gradcheck(np.tanh, X)
    assert repr(report) == "<gradcheck of tanh: 12 derivatives right, seed 0>"
    assert str(report).count("\n") > 10
    assert report.evaluations < 1000


@pytest.mark.parametrize(
    "f",
    [np.square, np.cumsum, lambda x: np.tanh(x.reshape(100, 100) @ BIG.reshape(100, 100))],
    ids=["square", "cumsum", "layer"],
)
def test_ten_thousand_inputs_take_a_few_dozen_evaluations(f: Callable[..., Any]) -> None:
    assert tg.gradcheck(f, BIG).evaluations < 50


def test_the_command_checks_a_function_and_fails_where_it_fails() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tinygraph.gradcheck", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    right = run("numpy:tanh", "--shapes", "3,4")
    assert (right.returncode, right.stderr) == (0, "")
    assert "12 derivatives" in right.stdout
    assert run("numpy:floor", "--shapes", "2", "--low", "0.2", "--high", "0.8").returncode == 0
    missing = run("numpy:no_such_function", "--shapes", "2")
    assert missing.returncode != 0
    assert "no_such_function" in missing.stderr
