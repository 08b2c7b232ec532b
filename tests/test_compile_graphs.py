"""compile and random graphs: values and derivatives are those of eager, whatever the graph."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tests.test_compile import Model, assert_same, assert_saved_gives_the_same
from tinygraph.compiler.compiled import build
from tinygraph.compiler.memory import lay_out
from tinygraph.testing import graphs
from tinygraph.testing.graphs import Graph
from tinygraph.tree import flatten

SIMPLIFY = pytest.mark.parametrize("simplify", [False, True], ids=["as recorded", "simplified"])


def total(graph: Graph) -> Callable[..., Any]:
    """Give a function to one number that has second derivatives in each of its inputs."""

    def function(*inputs: Any) -> Any:
        return sum(np.sum(np.sin(x) * x) for x in flatten(graph(*inputs))[0])

    return function


def of_dtype(graph: Graph, dtype: str) -> list[Any]:
    return [np.array(x, dtype, order="C") for x in graph.inputs]


def moved(inputs: list[Any], factor: float) -> list[Any]:
    """Give other inputs in the same domain: numbers towards those that are there already."""
    return [(x * factor + np.flip(x) * (1 - factor)).astype(x.dtype) for x in inputs]


def is_exact(inputs: list[Any], simplify: bool) -> bool:
    # Of a number eager makes scalars, whose powers round otherwise in some versions of NumPy.
    return not simplify and all(x.ndim for x in inputs)


def assert_all_same(
    f: Callable[..., Any], eager: Callable[..., Any], inputs: list[Any], simplify: bool
) -> None:
    """Call a compiled function again and again, on other values, and compare all of its results."""
    compiled = tg.compile(f, simplify=simplify)
    exact = is_exact(inputs, simplify)
    held = []
    for factor in (1.0, 0.75, 1.0, 0.5):
        new = moved(inputs, factor)
        with np.errstate(all="ignore"):
            expected = flatten(eager(*new))[0]
        held.append((compiled(*new), expected))
    for found, expected in held:
        assert_same(flatten(found)[0], expected, exact)


@SIMPLIFY
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@given(graph=graphs(max_steps=10))
def test_values_agree(graph: Graph, dtype: str, simplify: bool) -> None:
    def eager(*inputs: Any) -> Any:
        return graph(*map(tg.Node, inputs))

    assert_all_same(graph, eager, of_dtype(graph, dtype), simplify)


@SIMPLIFY
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@given(graph=graphs())
def test_gradients_agree(graph: Graph, dtype: str, simplify: bool) -> None:
    inputs = of_dtype(graph, dtype)
    gradient = tg.value_and_grad(total(graph), tuple(range(len(inputs))))
    assert_all_same(gradient, gradient, inputs, simplify)


@SIMPLIFY
@settings(max_examples=5)
@given(graph=graphs(max_steps=4, max_inputs=1))
def test_second_derivatives_agree(graph: Graph, simplify: bool) -> None:
    (x,) = of_dtype(graph, "f8")
    hessian = tg.hessian(total(graph))
    compiled = tg.compile(hessian, simplify=simplify)
    for factor in (1.0, 0.75):
        (new,) = moved([x], factor)
        assert_same(compiled(new), hessian(new), exact=False)


@SIMPLIFY
@given(graph=graphs(), sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_batches_of_other_sizes_agree(graph: Graph, sizes: list[int], simplify: bool) -> None:
    """Stack the inputs along a new axis: every size gets a plan of its own."""

    def of_batch(*batches: Any) -> Any:
        rows = zip(*batches, strict=True)
        return sum(total(graph)(*row) for row in rows)

    f = tg.value_and_grad(of_batch, tuple(range(len(graph.inputs))))
    compiled = tg.compile(f, simplify=simplify)
    for size in [*sizes, *sizes]:
        batch = [np.stack([x] * size) for x in graph.inputs]
        assert_same(compiled(*batch), f(*batch), exact=False)
    assert len(compiled._plans) == len(set(sizes))


@SIMPLIFY
@given(graph=graphs())
def test_training_steps_agree(graph: Graph, simplify: bool) -> None:
    """Move the first input, a leaf, by an optimiser."""

    def trained() -> tuple[Any, Callable[..., Any]]:
        w = tg.Node(graph.inputs[0], name="w")
        optimizer = tg.optim.Adam([w], 1e-4, weight_decay=0.1)

        def step(*others: Any) -> Any:
            optimizer.zero_grad()
            loss = total(graph)(w, *others) + np.sum(w * w)
            loss.backward()
            optimizer.step()
            return loss

        return w, step

    (w, eager), (v, step) = trained(), trained()
    compiled = tg.compile(step, simplify=simplify)
    others = [np.array(x, order="C") for x in graph.inputs[1:]]
    for _ in range(3):
        expected = eager(*others)
        assert_same(compiled(*others), expected, exact=False)
    np.testing.assert_allclose(v.value, w.value, rtol=1e-9, atol=1e-12)


def with_garbage(plan: Any) -> Callable[..., Any]:
    """Make the function of a plan anew, with garbage in its buffers before every call."""
    buffers: list[Any] = []

    def empty(*args: Any) -> Any:
        buffers.append(np.empty(*args))
        return buffers[-1]

    source = plan.source.replace("np.empty(", "empty(")
    made = build(source, {**plan.emitter.objects, "empty": empty})
    patterns = itertools.cycle([0xFF, 0x55])

    def run(*args: Any) -> Any:
        for buffer in buffers:
            buffer[...] = next(patterns)
        return made(*args)

    return run


@SIMPLIFY
@given(graph=graphs(max_steps=10))
def test_no_step_reads_what_none_has_written(graph: Graph, simplify: bool) -> None:
    inputs = of_dtype(graph, "f8")
    compiled = tg.compile(
        tg.value_and_grad(total(graph), tuple(range(len(inputs)))), simplify=simplify
    )
    compiled(*inputs)
    plan = compiled._latest
    run = with_garbage(plan)
    expected, _ = plan.preview(inputs)
    for _ in range(2):
        found, _ = plan.preview(inputs, run)
        assert_same(list(found), list(expected), exact=True)


@SIMPLIFY
def test_no_step_of_training_reads_what_none_has_written(simplify: bool) -> None:
    model = Model(lambda x: tg.optim.Adam(x, 0.1, weight_decay=0.1))
    compiled = tg.compile(model.step, simplify=simplify)
    compiled(model.x, model.y)
    plan = compiled._latest
    expected = plan.preview([model.x, model.y])
    found = plan.preview([model.x, model.y], with_garbage(plan))
    assert_same([*found[0], *found[1]], [*expected[0], *expected[1]], exact=True)


def test_products_are_not_written_over_their_factors() -> None:
    def f(x: Any) -> Any:
        h = np.tanh(x)
        return np.tanh(np.sin(h @ h) @ h)

    compiled = tg.compile(f)
    x = np.linspace(-1, 1, 9).reshape(3, 3)
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-13)
    program = compiled._latest.program
    layout = lay_out(program)
    products = [step for step in program.steps if step.function is np.dot]
    assert len(products) == 2
    for step in products:
        taken = [layout.buffer.get(factor) for factor in step.values]
        assert layout.buffer[step.outputs[0]] not in taken


SAVED: dict[str, Callable[..., Any]] = {
    "sort": tg.grad(lambda x, w: np.sum(np.sort(x, axis=0) ** 3 * w)),
    "median": tg.grad(lambda x, w: np.median(x * w)),
    "eigenvectors": tg.grad(lambda x, w: np.sum(np.linalg.eigh(x.T @ x)[1] ** 3 * w[:3])),
    "computed index": lambda x, w: np.take_along_axis(x, np.argsort(w, axis=0), 0) * 2,
}


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_plan_with_computed_indices_runs_without_tinygraph(
    name: str, tmp_path: Path
) -> None:
    x, w = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert_saved_gives_the_same(SAVED[name], x, w, tmp_path)
