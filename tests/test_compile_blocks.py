"""Products cut into small ones give what whole ones give, whatever the processor."""

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.training import step_of_two_layers
from tinygraph.compiler import blas, blocks, kernels
from tinygraph.compiler.blocks import block_of, even, is_small, rows_of
from tinygraph.compiler.passes import Graph
from tinygraph.compiler.program import Program, Step, Value

sizes = st.integers(1, 1100)


def factors(rows: int, terms: int, columns: int, a_turned: bool, b_turned: bool) -> Any:
    """Give a graph, and two matrices in it that lie by their rows or by their columns."""
    a, b = (Value(shape, np.dtype("f")) for shape in ((rows, terms), (terms, columns)))
    steps = [
        Step(np.transpose, (Value(x.shape[::-1], x.dtype),), {}, (x,))
        for x, turned in ((a, a_turned), (b, b_turned))
        if turned
    ]
    return Graph(Program(steps=steps)), a, b


@given(st.integers(1, 10**4), st.integers(1, 10**4), st.sampled_from([1, 4, 8, 16]))
def test_parts_are_no_larger_than_they_may_be_and_about_even(size, most, unit):
    part = even(size, most, unit)
    assert part <= max(most, unit)
    if part < size:
        assert part % unit == 0
        # No part more than there are of the largest that is allowed.
        assert -(-size // part) <= -(-size // (max(most // unit, 1) * unit))


@given(sizes, sizes, sizes, st.booleans(), st.booleans())
def test_what_is_cut_is_cut_into_small_products(rows, terms, columns, a_turned, b_turned):
    graph, a, b = factors(rows, terms, columns, a_turned, b_turned)
    only_b = b_turned and not a_turned
    whole = rows, columns, terms
    block = block_of(graph, a, b)
    assert all(1 <= part <= size for part, size in zip(block, whole, strict=True)) or is_small(
        block, only_b
    )
    if block != whole:
        assert not is_small(whole, only_b)
        assert is_small(block, only_b)
    some = rows_of(graph, a, b)
    if some != rows:
        assert not is_small(whole, only_b)
        assert is_small((some, columns, terms), only_b)


def network(batch: int, dtype: str) -> tuple[list[tg.Node], Any, Any]:
    generator = np.random.default_rng(0)
    shapes = (90, 300), (90,), (70, 90), (70,)
    leaves = [tg.Node((generator.normal(size=s) / 10).astype(dtype)) for s in shapes]
    optimizer = tg.optim.SGD(leaves, 0.1, weight_decay=0.1)

    x, y = (generator.normal(size=(batch, n)).astype(dtype) for n in (300, 70))
    return leaves, step_of_two_layers(leaves, optimizer), (x, y)


@pytest.fixture
def small_kernels(monkeypatch):
    """Compile as with one thread of an OpenBLAS that has functions for small matrices."""
    for module in (blas, blocks, kernels):
        for name in ("has_one_thread", "loaded_blas_has_one_thread", "has_small_kernels"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda: True)


@pytest.mark.parametrize("arrange", [np.asarray, np.asfortranarray], ids=["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [50, 300])
@pytest.mark.parametrize("backend", ["numpy", "blas", "numba"])
def test_a_step_whose_products_are_cut_is_the_step(backend, batch, dtype, arrange, small_kernels):
    if backend != "numpy":
        pytest.importorskip({"blas": "scipy", "numba": "numba"}[backend])
    leaves, step, (x, y) = network(batch, dtype)
    others, eager, _ = network(batch, dtype)
    compiled = tg.compile(step, backend=backend)
    tolerance = 2e3 * np.finfo(dtype).eps
    for _ in range(3):
        found, expected = compiled(arrange(x), y), eager(arrange(x), y).value
        np.testing.assert_allclose(found, expected, rtol=tolerance)
    program = compiled.last_plan().program
    assert any(part.block for part in (*program.steps, *program.accumulations))
    for leaf, other in zip(leaves, others, strict=True):
        np.testing.assert_allclose(leaf.value, other.value, rtol=tolerance, atol=tolerance)


def test_the_saved_file_and_unsimplified_plans_take_products_whole(tmp_path, small_kernels):
    _, step, arguments = network(50, "float64")
    compiled = tg.compile(step)
    compiled(*arguments)
    assert "[rows].dot(" in compiled.source
    assert "[rows]" in compiled.profile(*arguments)
    assert "# 12 rows, 90 columns, 300 terms at once" in compiled.explain()
    compiled.save(tmp_path / "step.py")
    assert "[rows]" not in (tmp_path / "step.py").read_text()
    to_the_bit = tg.compile(step, simplify=False)
    to_the_bit(*arguments)
    assert "[rows]" not in to_the_bit.source
    with pytest.raises(ValueError, match="leave one of the two out"):
        tg.compile(step, simplify=False, backend="numba")


@pytest.mark.parametrize("name", ["sgemm", "dgemm"])
@pytest.mark.parametrize("block", [(1, 1, 1), (2, 3, 2), (4, 5, 3), (9, 9, 9)])
def test_blas_is_given_blocks_of_matrices_as_they_lie(name, block):
    pytest.importorskip("numba")
    pytest.importorskip("scipy")
    product = getattr(importlib.import_module("tinygraph.compiler.native"), name)
    dtype = np.dtype(name[0].replace("s", "f"))
    generator = np.random.default_rng(0)
    layouts = [
        lambda x: x,
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1],
        lambda x: np.broadcast_to(x[:1], x.shape),
    ]
    for rows, terms, columns in ((4, 3, 5), (1, 3, 1), (4, 1, 2), (1, 1, 5), (3, 2, 1)):
        a, b = (generator.normal(size=s).astype(dtype) for s in ((rows, terms), (terms, columns)))
        start = generator.normal(size=(rows, columns)).astype(dtype)
        for arrange in layouts:
            for one, other in ((arrange(a), b), (a, arrange(b))):
                out = start.copy()
                product(-3.0, one, other, 2.0, out, block)
                tolerance = 100 * np.finfo(dtype).eps
                expected = 2 * start - 3 * (one @ other)
                np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_libraries_are_known_by_their_names(monkeypatch):
    for names, expected in ((["SkylakeX"], True), (["SkylakeX", "Haswell"], False), ([], False)):
        libraries = [{"architecture": name, "num_threads": 1} for name in names]
        monkeypatch.setattr(blas, "blas_libraries", lambda libraries=libraries: libraries)
        assert blas.has_small_kernels() is expected
