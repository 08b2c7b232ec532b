"""compile: the same results as eager, from source that is recorded once."""

import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.samples import all_composed, all_ops, calls_of
from tests.samples.drawing import Call
from tests.test_composed import calls as calls_of_composed
from tests.test_composed import function_of as function_of_composed
from tests.test_rules import assert_same_bits, function_of, random_like, seeds, variables_of
from tinygraph.compiler import passes
from tinygraph.compiler.compiled import compile
from tinygraph.tree import flatten, map_tree

OPS = all_ops()
COMPOSED = all_composed()

LOOKS_AT_VALUES = {
    "roots", "np.histogram2d", "np.histogramdd", "np.intersect1d", "np.linalg.eig",
    "np.linalg.eigvals", "np.linalg.lstsq", "np.piecewise", "np.poly", "np.polydiv", "np.polyfit",
    "np.polymul", "np.setdiff1d", "np.setxor1d", "np.trim_zeros", "np.union1d", "np.unique",
    "np.unique_all", "np.unique_counts", "np.unique_inverse", "np.unique_values",
}  # fmt: skip
"""Functions whose results, or those of whose derivatives, have a shape or dtype that depends on
values: compile may refuse them."""


def plain(x: Any) -> Any:
    return np.asarray(x._value if isinstance(x, tg.Node) else x)


def assert_same(found: Any, expected: Any, exact: bool, size: float = 0.0) -> None:
    """Compare results, to rounding of the largest number, or of numbers of a `size`."""
    pairs = zip(flatten(found)[0], flatten(expected)[0], strict=True)
    for x, y in pairs:
        x, y = plain(x), plain(y)
        if exact or y.dtype.kind not in "fc":
            assert_same_bits(x, y)
        else:
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            room = 64 * np.finfo(y.dtype).eps
            scale = np.max(np.abs(y), initial=size, where=np.isfinite(y))
            np.testing.assert_allclose(x, y, rtol=room, atol=room * scale)


def laid_out(call: Call) -> list[np.ndarray]:
    """Give the variables in C order: NumPy's loops add up, and round, as elements lie in memory.

    In a plan all intermediate results lie so; step by step they lie as what they are made of does.
    """
    return [np.array(x, order="C") for x in variables_of(call)]


def with_gradients(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function that gives also the gradients, from a cotangent."""

    def function(cotangent: Any, *variables: Any) -> Any:
        out, pullback = tg.vjp(f, *variables)
        return out, pullback(cotangent)

    return function


TAKES_SHORTCUTS = {
    "det",
    "prod",
    "nanprod",
    "cumprod",
    "np.nanprod",
    "np.nancumprod",
    "np.cumprod",
    "np.cumulative_prod",
}
"""Functions whose rules divide where no factor is 0: a plan, for all values, does not, and rounds
otherwise."""


def assert_compiles(
    name: str, f: Callable[..., Any], call: Call, seed: int, simplify: bool
) -> None:
    variables = laid_out(call)
    cotangent = map_tree(lambda x: random_like(plain(x), seed), f(*variables))
    compiled = compile(with_gradients(f), simplify=simplify)
    expected = with_gradients(f)(cotangent, *variables)
    try:
        compiled(cotangent, *variables)
    except tg.CompileError:
        assert name in LOOKS_AT_VALUES
        return
    # Step by step 0-d results are scalars, whose powers NumPy 2.1 rounds otherwise than arrays'.
    is_array = all(x.ndim for x in variables)
    exact = not simplify and is_array and name not in TAKES_SHORTCUTS
    # The cofactors of singular matrices are what rounding leaves of products of elements.
    numbers = [cotangent, *variables] if name == "det" else []
    size = max((float(np.max(np.abs(x), initial=1)) for x in numbers), default=0.0) ** 3
    if not is_array:
        # The gradient by a number is a sum over all elements, whose terms may cancel.
        others = [plain(x) for x in flatten(expected)[0]]
        finite = (x[np.isfinite(x)] for x in others)
        size = max(size, *(float(np.max(np.abs(x), initial=0)) for x in finite))
    for _ in range(2):
        assert_same(compiled(cotangent, *variables), expected, exact, size)


@pytest.mark.parametrize("simplify", [False, True], ids=["as recorded", "simplified"])
@pytest.mark.parametrize("name", sorted(OPS))
@given(data=st.data(), seed=seeds)
def test_ops_and_their_gradients_are_those_of_eager(
    name: str, simplify: bool, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of(OPS[name]))
    assert_compiles(name, function_of(OPS[name], call), call, seed, simplify)


@pytest.mark.parametrize("simplify", [False, True], ids=["as recorded", "simplified"])
@pytest.mark.parametrize("name", sorted(COMPOSED))
@given(data=st.data(), seed=seeds)
def test_composed_functions_and_their_gradients_are_those_of_eager(
    name: str, simplify: bool, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls_of_composed(name))
    assert_compiles(name, function_of_composed(name, call), call, seed, simplify)


# Training steps


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda x: tg.optim.SGD(x, 0.1),
    "momentum": lambda x: tg.optim.SGD(x, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "schedule": lambda x: tg.optim.SGD(x, tg.optim.cosine(0.1, 5)),
    "Adam": lambda x: tg.optim.Adam(x, 0.1),
    "AdamW": lambda x: tg.optim.AdamW(x, 0.1),
    "RMSprop": lambda x: tg.optim.RMSprop(x, 0.1, momentum=0.5),
    "groups": lambda x: tg.optim.Adam(
        [{"parameters": x[:1], "learning_rate": 0.2}, {"parameters": x[1:], "weight_decay": 0.1}],
        0.1,
    ),
}


class Model:
    """A small network with its optimiser, and a step that trains it on a batch."""

    def __init__(self, make: Callable[..., Any] = OPTIMIZERS["SGD"], dtype: str = "f8") -> None:
        generator = np.random.default_rng(0)
        self.w = tg.Node(generator.normal(size=(4, 3)).astype(dtype), name="w")
        self.b = tg.Node(np.zeros(4, dtype), name="b")
        self.optimizer = make([self.w, self.b])
        self.x, self.y = (generator.normal(size=(5, n)).astype(dtype) for n in (3, 4))

    def step(self, x: Any, y: Any) -> Any:
        with tg.scope("layer 1"):
            h = np.tanh(tg.nn.linear(x, self.w, self.b))
        loss = tg.nn.quadratic(h, y) + 0.01 * tg.nn.squared_norm(self.w)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("simplify", [False, True], ids=["as recorded", "simplified"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_compiled_step_trains_as_an_eager_one(make: Any, simplify: bool, dtype: str) -> None:
    eager, compiled = Model(make, dtype), Model(make, dtype)
    step = tg.compile(compiled.step, simplify=simplify)
    for _ in range(6):
        expected = eager.step(eager.x, eager.y)
        assert_same(step(compiled.x, compiled.y), expected, exact=not simplify)
    for x, y in [(compiled.w, eager.w), (compiled.b, eager.b)]:
        assert_same(x.value, y.value, exact=not simplify)
    states = compiled.optimizer.state_dict(), eager.optimizer.state_dict()
    assert_same(*([x["state"] for x in state["parameters"]] for state in states), not simplify)
    assert states[0]["steps"] == states[1]["steps"] == 6


def test_a_smaller_last_batch_gets_a_plan_of_its_own() -> None:
    eager, compiled = Model(), Model()
    step = tg.compile(compiled.step)
    for size in [5, 3, 5, 3]:
        expected = eager.step(eager.x[:size], eager.y[:size])
        assert_same(step(compiled.x[:size], compiled.y[:size]), expected, exact=False)
    assert "(3, 3)" in step.explain() or "[3, 3]" in step.explain()


def test_a_changed_learning_rate_takes_effect() -> None:
    eager, compiled = Model(), Model()
    step = tg.compile(compiled.step)
    for rate in [0.1, 0.5, 0.01]:
        eager.optimizer.learning_rate = compiled.optimizer.learning_rate = rate
        eager.step(eager.x, eager.y)
        step(compiled.x, compiled.y)
        assert_same(compiled.w.value, eager.w.value, exact=False)


def test_leaves_set_between_calls_take_effect() -> None:
    model = Model()
    loss = tg.compile(lambda x: np.sum((x @ model.w.T + model.b) ** 2))
    first = loss(model.x)
    model.b.value = np.ones(4)
    assert loss(model.x) != first
    assert loss(model.x) == np.sum((model.x @ model.w.value.T + 1) ** 2)


def test_equal_leaves_are_told_apart() -> None:
    x, y = tg.Node([1.0, 2.0]), tg.Node([1.0, 2.0])
    f = tg.compile(lambda: np.sum(x * 3 + y * 5))
    assert f() == 24.0
    x.value = [10.0, 20.0]
    assert f() == 105.0


def test_a_leaf_that_no_longer_requires_gradients_is_recorded_anew() -> None:
    model = Model()
    step = tg.compile(model.step)
    step(model.x, model.y)
    model.b.requires_grad = False
    before = model.b.value.copy()
    step(model.x, model.y)
    np.testing.assert_array_equal(model.b.value, before)


def test_values_that_somebody_holds_are_not_written_over() -> None:
    model = Model()
    step = tg.compile(model.step)
    held = []
    for _ in range(4):
        held.append((model.w.value, model.w.value.copy()))
        step(model.x, model.y)
    for value, copy in held:
        np.testing.assert_array_equal(value, copy)


def test_results_are_never_written_over() -> None:
    f = tg.compile(lambda x: (np.tanh(x), np.tanh(x).T, x[0], np.sum(x), x))
    held = []
    for i in range(4):
        out = f(np.full((2, 3), float(i)))
        held.append((out, [np.array(x) for x in out]))
    for out, copies in held:
        for array, copy in zip(out, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_arguments_are_neither_written_nor_handed_back() -> None:
    x = np.ones((2, 3))
    out = tg.compile(lambda x: (x, x.T, np.ravel(x), x * 2))(x)
    for array in out:
        assert not np.shares_memory(array, x)
    np.testing.assert_array_equal(x, np.ones((2, 3)))


def test_without_an_optimiser_gradients_are_left_on_the_leaves() -> None:
    x = tg.Node([1.0, 2.0])

    @tg.compile
    def f(y: Any) -> Any:
        x.grad = None
        loss = np.sum(x**2 * y)
        loss.backward()
        return loss

    for factor in [1.0, 3.0]:
        assert f(np.full(2, factor)) == 5 * factor
        np.testing.assert_array_equal(x.grad, 2 * x.value * factor)


def test_an_exception_leaves_the_leaves_as_they_were() -> None:
    model = Model()

    def refuse(loss: Any) -> None:
        raise RuntimeError("no")

    step = tg.compile(model.step, accept=refuse)
    before = model.w.value.copy()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no"):
            step(model.x, model.y)
        np.testing.assert_array_equal(model.w.value, before)
    assert model.optimizer.state_dict()["steps"] == 0


def test_derivatives_inside_are_compiled() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * x)

    x = np.array([0.5, 1.0, 2.0])
    for transform in (tg.grad, tg.value_and_grad, tg.hessian):
        assert_same(tg.compile(transform(f))(x), transform(f)(x), exact=False)


# What would make a plan stale is refused


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if np.sum(x) > 0 else -x,
        lambda x: x * float(np.sum(x)),
        lambda x: x * np.sum(x).item(),
        lambda x: x * x.value,
        lambda x: print(x),
        lambda x: x[np.flatnonzero(x > 0)],
        lambda x: np.tanh(x).tolist(),
        lambda x: x[x > 0],
        lambda x: np.asarray(x) * 2,
    ],
)
def test_what_depends_on_a_value_is_refused_with_its_line(f: Callable[..., Any]) -> None:
    with pytest.raises(tg.CompileError, match=r"compile: the value of .*test_compile\.py:\d+"):
        tg.compile(f)(np.ones(3))


def test_random_numbers_are_refused_with_their_line() -> None:
    generator = np.random.default_rng()
    for draw in (np.random.random, generator.random):
        with pytest.raises(tg.CompileError, match=r"test_compile\.py:\d+ did not do the same"):
            tg.compile(lambda x, draw=draw: x * draw(3))(np.ones(3))
    with pytest.raises(tg.CompileError, match="did not do the same"):
        tg.compile(lambda x: x * float(generator.random()))(np.ones(3))


def test_random_numbers_as_arguments_are_not() -> None:
    f = tg.compile(lambda x, noise: x + noise)
    noises = np.random.default_rng(0).random((3, 2))
    for noise in noises:
        np.testing.assert_array_equal(f(np.zeros(2), noise), noise)


def kept_gradients(w: tg.Node) -> Any:
    def f(x: Any) -> Any:
        loss = np.sum(np.square(w) * x)
        loss.backward()
        return loss

    return f


def two_losses(w: tg.Node) -> Any:
    def f(x: Any) -> Any:
        w.grad = None
        np.sum(np.square(w) * x).backward()
        loss = np.sum(np.sin(w))
        loss.backward()
        return loss

    return f


def zeroed_at_the_end(w: tg.Node) -> Any:
    optimizer = tg.optim.SGD([w], 0.1)

    def f(x: Any) -> Any:
        loss = np.sum(np.square(w) * x)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return f


@pytest.mark.parametrize(
    ("make", "before"),
    [
        (kept_gradients, False),
        (kept_gradients, True),
        (two_losses, False),
        (two_losses, True),
        (zeroed_at_the_end, False),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_gradients_are_added_to_as_they_are_eagerly(make: Any, check: bool, before: bool) -> None:
    nodes = [tg.Node([1.0, 2.0, 3.0]) for _ in range(2)]
    for node in nodes:
        node.grad = np.full(3, 7.0) if before else None
    eager, compiled = make(nodes[0]), tg.compile(make(nodes[1]), check=check)
    for x in np.arange(12.0).reshape(4, 3):
        np.testing.assert_allclose(compiled(x), eager(x).value, atol=1e-12)
        np.testing.assert_allclose(nodes[1].value, nodes[0].value, atol=1e-12)
        assert (nodes[0].grad is None) == (nodes[1].grad is None)
        if nodes[0].grad is not None:
            np.testing.assert_allclose(nodes[1].grad, nodes[0].grad)


def test_steps_along_sums_of_gradients_from_call_to_call_are_refused() -> None:
    w = tg.Node([1.0, 2.0])
    optimizer = tg.optim.SGD([w], 0.1)

    def never_zeroed(x: Any) -> Any:
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        with pytest.raises(tg.CompileError, match="has a gradient from before"):
            tg.compile(never_zeroed)(np.ones(2))
        w.grad = np.ones(2)
    np.testing.assert_array_equal(w.value, [1.0, 2.0])
    np.testing.assert_array_equal(w.grad, np.ones(2))


def test_a_gradient_from_before_is_refused_where_it_would_be_stepped_along() -> None:
    w = tg.Node([1.0, 2.0, 3.0])
    f = tg.compile(zeroed_at_the_end(w))
    f(np.ones(3))
    w.grad, value = np.ones(3), w.value
    with pytest.raises(tg.CompileError, match="has a gradient from before"):
        f(np.ones(3))
    np.testing.assert_array_equal(w.value, value)
    np.testing.assert_array_equal(w.grad, np.ones(3))


def test_what_is_not_accepted_has_no_gradients() -> None:
    w = tg.Node([1.0, 2.0])

    def refuse(result: Any) -> None:
        raise FloatingPointError

    with pytest.raises(FloatingPointError):
        tg.compile(kept_gradients(w), accept=refuse)(np.ones(2))
    assert w.grad is None


def test_numbers_lists_and_texts_are_part_of_what_is_recorded() -> None:
    f = tg.compile(lambda x, power, words: x**power if words == ["a"] else x)
    x = np.array([2.0, 3.0])
    assert f(x, 2, ["a"]).tolist() == [4, 9]
    assert f(x, 3, ["a"]).tolist() == [8, 27]
    assert f(x, 3, ["b"]).tolist() == [2, 3]


def test_shapes_dtypes_and_structure_get_plans_of_their_own() -> None:
    f = tg.compile(lambda tree: {"sum": sum(tree["x"])})
    assert f({"x": [np.ones(2), np.ones(2)]})["sum"].tolist() == [2, 2]
    assert f({"x": [np.ones(3), np.ones(3)]})["sum"].tolist() == [2, 2, 2]
    assert f({"x": [np.ones(2, "f4")]})["sum"].dtype == "f4"
    assert f({"x": (np.ones(2), np.ones(2), np.ones(2))})["sum"].tolist() == [3, 3]


def test_the_number_of_plans_is_bounded() -> None:
    f = tg.compile(lambda x: x * 2)
    for n in range(100):
        f(np.ones(n))
    assert len(f._plans) == 16


def test_threads_share_a_compiled_function() -> None:
    f = tg.compile(lambda x: np.tanh(x) * x)
    f(np.ones(1000))
    arrays = [np.full(1000, float(i)) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for x, out in zip(arrays, pool.map(f, arrays), strict=True):
            np.testing.assert_array_equal(out, np.tanh(x) * x)


def test_check_compares_with_the_function_and_trains() -> None:
    eager, checked = Model(), Model()
    step = tg.compile(checked.step, check=True)
    for _ in range(3):
        assert_same(step(checked.x, checked.y), eager.step(eager.x, eager.y), exact=True)
    assert_same(checked.w.value, eager.w.value, exact=True)
    assert checked.optimizer.state_dict()["steps"] == 3


def test_check_finds_a_plan_that_is_wrong() -> None:
    factor = [2.0]
    f = tg.compile(lambda x: x * factor[0], check=True)
    f(np.ones(3))
    factor[0] = 3.0
    with pytest.raises(AssertionError, match=r"gave array.* where the function gives"):
        f(np.ones(3))


# The source


def test_the_source_reads_like_a_function_written_by_hand() -> None:
    model = Model()
    step = tg.compile(model.step)
    step(model.x, model.y)
    assert "def step(x, y, w, b, learning_rate, next_w, next_b):" in step.source
    assert "layer_1_" in step.source
    assert "# (5, 4)" in step.source
    assert step.source.count("np.tanh") == 1


def test_a_traceback_shows_the_source() -> None:
    f = tg.compile(lambda x: np.tanh(x))
    f(np.ones(3))
    plan = f._latest
    with pytest.raises(TypeError) as caught:
        plan.run("text")
    assert "tanh(" in "".join(traceback.format_exception(caught.value))


def test_before_the_first_call_there_is_no_source() -> None:
    with pytest.raises(ValueError, match="has not been called yet"):
        _ = tg.compile(np.tanh).source


def test_a_profile_lists_every_line_and_changes_nothing() -> None:
    model = Model()
    step = tg.compile(model.step)
    before = model.w.value.copy()
    table = step.profile(model.x, model.y)
    assert "tanh(" in table
    assert "in all" in table
    np.testing.assert_array_equal(model.w.value, before)
    assert model.optimizer.state_dict()["steps"] == 0


def test_an_explanation_shows_every_pass() -> None:
    f = tg.compile(lambda x: (np.tanh(x) + np.tanh(x)) * 1.0 + 0 * np.sin(x)[:0].sum())
    f(np.ones(3))
    text = f.explain()
    for simplification in passes.PASSES:
        assert f"{simplification.__name__}:" in text


RUN_SAVED = """
import sys
import numpy as np
path, data = sys.argv[1:]
space = {}
exec(open(path).read(), space)
arrays = np.load(data)
given = [arrays[f"arr_{i}"] for i in range(len(arrays.files) - 1)]
(out, *_) = space["f"](*given)
np.testing.assert_allclose(out, arrays[f"arr_{len(given)}"], rtol=1e-12)
assert not any(name.split(".")[0] == "tinygraph" for name in sys.modules)
print("the same")
"""

SAVED: dict[str, Callable[..., Any]] = {
    "network": lambda x, w: tg.nn.softmax(np.tanh(x @ w.T) * np.float32(0.5)),
    "indices": lambda x, w: x[[0, 2, 1]][:, ::-1] @ w[0] + np.linspace(0, 1, 3),
    "gradient": tg.grad(lambda x, w: np.sum(tg.nn.sigmoid(x[1:] @ w.T)) + np.max(x)),
    "constants": lambda x, w: x + np.arange(30.0).reshape(10, 3)[:5] * 2.0,
    "interp": tg.grad(lambda x, w: np.sum(np.sin(np.interp(x, [-1.0, 0.0, 2.0], w[:3, 0])))),
    "pad": tg.grad(lambda x, w: np.sum(np.sin(np.pad(x, 1, mode="reflect")))),
    "std": tg.grad(lambda x, w: np.sum(np.std(x, axis=0) * np.nanvar(w))),
    "np.gradient": tg.grad(lambda x, w: np.sum(np.sin(np.gradient(x, axis=1)))),
    "singular values": lambda x, w: np.linalg.svd(x)[1] + w[0],
    "partition": tg.grad(lambda x, w: np.sum(np.partition(x, 1) * w[0])),
}


def assert_saved_gives_the_same(function: Callable[..., Any], x: Any, w: Any, folder: Path) -> None:
    """Compile, save and run a function in a process of its own, without tinygraph."""

    def f(x: Any, w: Any) -> Any:
        return function(x, w)

    compiled = tg.compile(f)
    expected = compiled(x, w)
    compiled.save(folder / "f.py")
    np.savez(folder / "data.npz", x, w, expected)
    (folder / "run.py").write_text(RUN_SAVED)
    found = subprocess.run(
        [sys.executable, "-I", "run.py", "f.py", "data.npz"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "the same\n", found.stderr


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_plan_runs_without_tinygraph(name: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(5, 3)), generator.normal(size=(4, 3))
    assert_saved_gives_the_same(SAVED[name], x, w, tmp_path)


def test_a_function_without_source_cannot_be_saved(tmp_path: Path) -> None:
    cube = tg.op(lambda x: np.array([y**3 for y in x]))(lambda g, out, x: (g * 3 * x**2,))
    f = tg.compile(lambda x: cube(x))
    np.testing.assert_array_equal(f(np.array([2.0, 1.0])), [8.0, 1.0])
    with pytest.raises(ValueError, match="cannot be written to a file; define it with def"):
        f.save(tmp_path / "f.py")


def test_methods_are_compiled_an_instance_at_a_time() -> None:
    class Layer:
        def __init__(self, factor: float) -> None:
            self.w = tg.Node(np.full(2, factor))

        @tg.compile
        def __call__(self, x: Any) -> Any:
            return np.sum(self.w * x)

    one, two = Layer(1.0), Layer(2.0)
    for _ in range(2):
        assert one(np.array([1.0, 2.0])) == 3
        assert two(np.array([1.0, 2.0])) == 6
    two.w.value = [3.0, 3.0]
    assert two(np.array([1.0, 2.0])) == 9
    assert isinstance(Layer.__call__.source, str)


def test_a_step_along_a_gradient_from_outside_is_refused() -> None:
    w = tg.Node([1.0, 2.0])
    optimizer = tg.optim.SGD([w], 0.1)
    np.sum(w * w).backward()
    with pytest.raises(TypeError, match=r"a gradient from outside .* call backward\(\) inside"):
        tg.compile(optimizer.step)()


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a function for f, got int"):
        tg.compile(3)
    with pytest.raises(TypeError, match="expected a function for accept, got str"):
        tg.compile(np.sin, accept="yes")
