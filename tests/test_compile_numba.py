"""Runs of element-wise steps compiled by numba give what NumPy gives."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

import tinygraph as tg
from tinygraph.compiler import kernels
from tinygraph.compiler.loops import FUSED, Loop

pytest.importorskip("numba")

SPECIAL = np.array([0.0, -0.0, 1.0, -1.5, 2.5, 1e-3, -30.0, np.inf, -np.inf, np.nan])


def loops_of(compiled: Any) -> list[Any]:
    steps = compiled.last_plan().program.steps
    return [step.function for step in steps if isinstance(step.function, Loop)]


def kernels_of(compiled: Any) -> set[int]:
    return {step.kernel for step in compiled.last_plan().program.steps} - {None}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ufunc", sorted(FUSED, key=lambda x: x.__name__))
def test_every_function_treats_special_numbers_as_numpy_does(ufunc: np.ufunc, dtype: str) -> None:
    x = SPECIAL.astype(dtype)
    y = x[:, np.newaxis]
    arguments = (x, y)[: ufunc.nin]

    def f(*arguments: Any) -> Any:
        return np.ravel(ufunc(*arguments) * arguments[0]) + 1

    compiled = tg.compile(f, backend="numba")
    with np.errstate(all="ignore"):
        expected = f(*arguments)
        # To the last digits: numba's functions are those of the C library.
        np.testing.assert_allclose(compiled(*arguments), expected, rtol=20 * np.finfo(dtype).eps)
    assert compiled(*arguments).dtype == dtype
    assert len(kernels_of(compiled)) == 1


def network(optimizer: Any, dtype: str) -> tuple[list[tg.Node], Any]:
    generator = np.random.default_rng(0)
    leaves = [tg.Node(generator.normal(size=s).astype(dtype)) for s in ((5, 7), (5,), (3, 5), (3,))]
    w1, b1, w2, b2 = leaves
    steps = optimizer(leaves)

    def step(x: Any, y: Any) -> Any:
        h = tg.nn.sigmoid(tg.nn.linear(x, w1, b1))
        loss = tg.nn.quadratic(tg.nn.softmax(np.tanh(tg.nn.linear(h, w2, b2))), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        return loss

    return leaves, step


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [lambda x: tg.optim.SGD(x, 0.1, momentum=0.9, weight_decay=0.1), lambda x: tg.optim.Adam(x)],
    ids=["sgd", "adam"],
)
def test_numba_trains_as_eager_steps_do(optimizer: Any, dtype: str) -> None:
    leaves, step = network(optimizer, dtype)
    others, eager = network(optimizer, dtype)
    compiled = tg.compile(step, backend="numba")
    generator = np.random.default_rng(1)
    for size in (6, 6, 4, 6):
        x, y = generator.normal(size=(2, size, 7)).astype(dtype)
        np.testing.assert_allclose(compiled(x, y[:, :3]), eager(x, y[:, :3]).value, rtol=1e-5)
    assert kernels_of(compiled)
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    for leaf, other in zip(leaves, others, strict=True):
        assert leaf.dtype == dtype
        np.testing.assert_allclose(leaf.value, other.value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "arrange",
    [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1]],
    ids=["fortran", "strided", "reversed"],
)
def test_arguments_may_lie_in_any_order_and_share_memory(arrange: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(np.tanh(x * y - x.T) * np.exp(-y))

    x = arrange(np.random.default_rng(0).normal(size=(4, 4)))
    gradient = tg.grad(f, argnums=(0, 1))
    compiled = tg.compile(gradient, backend="numba")
    for arguments in ((x, x[::-1]), (x, x), (np.zeros((4, 4)), x)):
        for found, expected in zip(compiled(*arguments), gradient(*arguments), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert kernels_of(compiled)


def test_numbers_broadcasts_and_results_that_others_read() -> None:
    def f(x: Any, y: Any) -> Any:
        s = np.tanh(np.sum(x))
        a = np.exp(x * s) + y
        b = np.square(a - 1) * y
        return np.sum(b, axis=0), a, np.mean(b * a)

    x, y = np.arange(6.0).reshape(2, 3) / 9, np.array([[0.5], [2.0]])
    compiled = tg.compile(f, backend="numba", check=True)
    for found, expected in zip(compiled(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert kernels_of(compiled)


def test_empty_and_integer_arrays_are_left_to_numpy() -> None:
    compiled = tg.compile(lambda x: np.sum(np.exp(x * 2.0) + 1, axis=0), backend="numba")
    assert compiled(np.ones((0, 3))).tolist() == [0, 0, 0]
    assert not kernels_of(compiled)
    found = compiled(np.ones((2, 3), np.int32))
    np.testing.assert_allclose(found, [2 * np.exp(2.0) + 2] * 3)
    assert [loop.__name__ for loop in loops_of(compiled)] == ["exp_add"]


def test_the_saved_file_is_written_for_numpy_alone(tmp_path: Any) -> None:
    compiled = tg.compile(lambda x: np.sum(np.tanh(x * 2.0) * x), backend="numba")
    x = np.array([0.5, -1.0])
    value = compiled(x)
    compiled.save(tmp_path / "f.py")
    text = (tmp_path / "f.py").read_text()
    assert "numba" not in text
    space: dict[str, Any] = {}
    exec(text, space)
    assert space["_lambda"](x)[0] == pytest.approx(float(value))


@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[::-1], lambda x: np.flip(np.transpose(x), 1)],
    ids=["transpose", "slice", "both"],
)
def test_a_step_that_reads_a_view_of_its_other_input_is_not_written_over_it(view: Any) -> None:
    def f(x: Any) -> Any:
        h = x @ x
        return (h - view(h)) @ x @ x

    x = np.random.default_rng(0).normal(size=(4, 4))
    compiled = tg.compile(f, backend="numba")
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-10, atol=1e-12)
    assert kernels_of(compiled)


def test_a_number_may_be_transposed() -> None:
    def f(x: Any) -> Any:
        return np.tanh(np.sum(x).T * x) + np.sum(x)

    x = np.arange(4.0).reshape(2, 2)
    compiled = tg.compile(f, backend="numba")
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-14)
    assert kernels_of(compiled)


def test_a_view_without_axes_is_read_after_what_it_looks_at_is_written() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(np.ravel(x)) * np.ravel(x)) + np.exp(x) * x

    gradient = tg.grad(f)
    compiled = tg.compile(gradient, backend="numba")
    for x in (np.array(0.5), np.array(-1.0)):
        np.testing.assert_allclose(compiled(x), gradient(x), rtol=1e-13)
    assert kernels_of(compiled)


def test_a_transpose_of_a_number_may_be_read_elsewhere() -> None:
    def f(x: Any) -> Any:
        y = np.transpose(x)
        return np.square(np.exp(x)), np.logaddexp(y, y)

    x = np.array(1.5)
    compiled = tg.compile(f, backend="numba")
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-14)


def test_many_steps_are_several_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_JOINED", 16)

    def f(x: Any, w: Any) -> Any:
        for _ in range(8):
            x = np.tanh(x @ w + x)
        return np.sum(x * x)

    x, w = np.random.default_rng(0).normal(size=(2, 3, 3))
    gradient = tg.grad(f, (0, 1))
    compiled = tg.compile(gradient, backend="numba")
    for found, expected in zip(compiled(x, w), gradient(x, w), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    counts = Counter(step.kernel for step in compiled.last_plan().program.steps)
    del counts[None]
    assert len(counts) > 1
    assert max(counts.values()) <= 16


def test_arrays_of_more_axes_than_loops_can_have_are_left_to_numpy() -> None:
    def f(x: Any) -> Any:
        return np.tanh(x * 2.0) + np.exp(x), np.max(x, axis=3), np.sum(x)

    x = np.ones((1,) * 20 + (2, 2))
    compiled = tg.compile(f, backend="numba")
    for found, expected in zip(compiled(x), f(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert not kernels_of(compiled)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_negative_zeros_have_the_sign_that_numpy_gives(dtype: str) -> None:
    def f(x: Any) -> Any:
        return np.sum(x), np.tanh(x) * x

    x = np.full((3, 2), -0.0, dtype)
    compiled = tg.compile(f, backend="numba")
    for found, expected in zip(compiled(x), f(x), strict=True):
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    assert kernels_of(compiled)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_names_that_python_takes_for_the_same_are_told_apart(backend: str) -> None:
    micro, mu = tg.Node([1.0, 2.0], name="\N{MICRO SIGN}"), tg.Node(3.0, name="\u03bc")
    compiled = tg.compile(lambda x: np.tanh(x * micro) * mu, backend=backend)
    np.testing.assert_allclose(compiled(np.array([0.5, 1.0])), 3 * np.tanh([0.5, 2.0]))
