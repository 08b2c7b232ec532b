"""Jacobians and Hessians of arrays and trees, in both modes, and blocks of cotangents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.samples import all_ops, calls_of
from tests.test_rules import assert_close, function_of, random_like, seeds, variables_of
from tinygraph import engine, jacobians
from tinygraph.op import Op
from tinygraph.transforms import Trace

A = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
X = np.array([0.3, -0.7, 1.1])


def by_differences(f: Callable[..., Any], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Give the Jacobian of f at a float64 array, right to about nine digits."""
    unit = np.eye(x.size).reshape(x.size, *x.shape)
    columns = [(f(x + step * e) - f(x - step * e)) / (2 * step) for e in unit]
    return np.moveaxis(np.asarray(columns), 0, -1).reshape(*np.shape(columns[0]), *x.shape)


@pytest.mark.parametrize(
    "op",
    [op for op in all_ops().values() if isinstance(op.function, np.ufunc)],
    ids=lambda op: op.name,
)
@given(data=st.data(), seed=seeds, count=st.integers(1, 3))
def test_the_rule_of_a_ufunc_serves_a_block_as_it_serves_each_row(
    op: Op, data: st.DataObject, seed: int, count: int
) -> None:
    call = data.draw(calls_of(op))
    trace = Trace(function_of(op, call), variables_of(call))
    rows = [random_like(trace.out, seed + i) for i in range(count)]
    together = trace.pull({trace.out: np.stack(rows)}, trace.variables, jacobians.backward)
    for i, row in enumerate(rows):
        alone = trace.pull({trace.out: row}, trace.variables, engine.backward)
        for x in trace.variables:
            if x not in alone:
                assert x not in together
            else:
                assert together[x].dtype == alone[x].dtype
                assert_close(together[x][i], alone[x])


MAPS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.tanh(x) * x,
    "matrix": lambda x: np.tanh(A @ x) * np.sum(x**2),
    "reduction": lambda x: np.stack([np.max(x), np.mean(x), np.sum(x**3)]),
    "more results than inputs": lambda x: np.outer(np.outer(np.sin(x), A), x),
    "one result": lambda x: np.sum(x) ** 2,
    "itself": lambda x: x,
    "a part": lambda x: x[1:],
    "one twice": lambda x: np.concatenate([x, x]),
    "no result": lambda x: x[:0],
    "constant": lambda x: 0 * x + A,
}


@pytest.mark.parametrize("f", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_jacobian_agrees_with_differences(f: Callable[..., Any], shape: tuple[int, ...]) -> None:
    x = X.reshape(shape)
    if f is MAPS["constant"]:
        x = X
    found = tg.jacobian(f)(x)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, by_differences(f, x), atol=1e-8)


@pytest.mark.parametrize("f", MAPS.values(), ids=MAPS)
def test_both_modes_agree(f: Callable[..., Any]) -> None:
    trace = Trace(f, (X,))
    (backward,), (forward,) = jacobians.by_pulling(trace), jacobians.by_pushing(trace)
    np.testing.assert_allclose(backward[0], forward[0], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("f", "forward"), [("more results than inputs", True), ("matrix", False)])
def test_the_cheaper_mode_is_taken(f: str, forward: bool) -> None:
    assert jacobians.is_cheaper_forward(Trace(MAPS[f], (X,))) is forward


def test_blocks_that_do_not_fit_into_memory_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {name: tg.jacobian(f)(X) for name, f in MAPS.items()}
    monkeypatch.setattr(jacobians, "BLOCK_BYTES", 8 * 6)
    for name, f in MAPS.items():
        np.testing.assert_allclose(tg.jacobian(f)(X), whole[name], rtol=1e-13, atol=1e-15)


def test_a_jacobian_of_trees_has_both_structures() -> None:
    def f(tree: dict[str, Any], s: float) -> tuple[Any, dict[str, Any]]:
        return np.tanh(tree["w"] @ tree["b"]) * s, {"total": np.sum(tree["b"]), "fixed": 7.0}

    tree = {"w": A, "b": X}
    by_tree, by_s = range(2)
    out, parts = tg.jacobian(f, argnums=(0, 1))(tree, 2.0)
    assert out[by_tree]["w"].shape == (2, 2, 3)
    np.testing.assert_allclose(
        out[by_tree]["w"], by_differences(lambda w: f({"w": w, "b": X}, 2.0)[0], A), atol=1e-8
    )
    np.testing.assert_allclose(out[by_s], np.tanh(A @ X))
    assert parts["total"][by_tree]["b"].tolist() == [1, 1, 1]
    assert parts["total"][by_s].tolist() == 0
    assert parts["fixed"][by_tree]["w"].tolist() == np.zeros((2, 3)).tolist()
    alone, _ = tg.jacobian(f)(tree, 2.0)
    np.testing.assert_array_equal(alone["w"], out[by_tree]["w"])


def test_float32_stays_float32() -> None:
    for f in MAPS.values():
        assert tg.jacobian(lambda x, f=f: f(x).astype(np.float32))(X.astype("f4")).dtype == "f4"


def test_complex_jacobians() -> None:
    z = np.array([0.5 + 1j, -1 + 0.25j])
    np.testing.assert_allclose(tg.jacobian(lambda z: z**2)(z), np.diag(2 * z))
    from_real = tg.jacobian(lambda x: np.exp(1j * x))(X)
    np.testing.assert_allclose(from_real, np.diag(1j * np.exp(1j * X)))
    to_real = tg.jacobian(lambda z: np.abs(z) ** 2)(z)
    np.testing.assert_allclose(to_real, np.diag(2 * np.conjugate(z)))


SCALARS: dict[str, Callable[[Any], Any]] = {
    "matrix": lambda x: np.sum(np.tanh(A @ x) ** 2 * x[0]),
    "product": lambda x: np.prod(x),
    "linear": lambda x: np.sum(A @ x),
    "max": lambda x: np.max(x) ** 3,
}


@pytest.mark.parametrize("f", SCALARS.values(), ids=SCALARS)
def test_a_hessian_agrees_with_differences_and_its_products(f: Callable[..., Any]) -> None:
    found = tg.hessian(f)(X)
    np.testing.assert_allclose(found, by_differences(tg.grad(f), X), atol=1e-8)
    np.testing.assert_allclose(found, found.T, rtol=1e-13, atol=1e-14)
    v = np.array([1.0, 0.5, -2.0])
    np.testing.assert_allclose(tg.hvp(f, (X,), (v,)), found @ v, rtol=1e-12, atol=1e-14)
    third = tg.jacobian(tg.hessian(f))(X)
    np.testing.assert_allclose(third, by_differences(tg.hessian(f), X), atol=1e-7)


def test_a_hessian_by_several_arguments_is_a_table_of_blocks() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(x**2 * np.sum(y) + x**3)

    x, y = X, np.array([1.0, 2.0])
    (xx, xy), (yx, yy) = tg.hessian(f, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(xx, np.diag(2 * np.sum(y) + 6 * x))
    np.testing.assert_allclose(xy, np.repeat(2 * x[:, None], 2, axis=1))
    np.testing.assert_allclose(yx, xy.T)
    assert yy.tolist() == np.zeros((2, 2)).tolist()


def test_jacobians_nest_in_outer_derivatives() -> None:
    f = MAPS["matrix"]
    size = tg.grad(lambda x: np.sum(tg.jacobian(f)(x) ** 2))(X)
    expected = by_differences(lambda x: np.sum(tg.jacobian(f)(x) ** 2), X)
    np.testing.assert_allclose(size, expected, atol=1e-7)


def test_a_value_changed_after_recording_is_refused() -> None:
    w = tg.Node(2.0)

    def f(x: Any) -> Any:
        y = x * w
        w.value = 3.0
        return y

    with pytest.raises(ValueError, match="changed after 'multiply'"):
        tg.jacobian(f)(X)


def test_an_argument_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="argnums names argument 1"):
        tg.jacobian(np.tanh, argnums=1)(X)
