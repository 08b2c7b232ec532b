"""Updates of weights by BLAS: they agree with those by NumPy, and nobody else sees them."""

import importlib
import importlib.util
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinygraph as tg
from tests.training import step_of_two_layers
from tinygraph.compiler import blas

pytest.importorskip("scipy")
threadpoolctl = pytest.importorskip("threadpoolctl")


@pytest.fixture(autouse=True)
def one_thread():
    importlib.import_module("scipy.linalg.blas")
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


OPTIMIZERS = {
    "sgd": lambda parameters: tg.optim.SGD(parameters, 0.1),
    "decay": lambda parameters: tg.optim.SGD(parameters, 0.1, weight_decay=0.3),
    "momentum": lambda parameters: tg.optim.SGD(parameters, 0.1, momentum=0.9),
    "adam": lambda parameters: tg.optim.Adam(parameters, 0.1),
}


def network(dtype="float64", optimizer="sgd"):
    """Give leaves, and a training step of two layers."""
    generator = np.random.default_rng(0)
    leaves = [tg.Node(generator.normal(size=s).astype(dtype)) for s in ((5, 7), (5,), (3, 5), (3,))]
    return leaves, step_of_two_layers(leaves, OPTIMIZERS[optimizer](leaves))


def batch(dtype="float64", size=6):
    generator = np.random.default_rng(1)
    return generator.normal(size=(size, 7)).astype(dtype), generator.normal(size=(size, 3)).astype(
        dtype
    )


def values_of(leaves):
    return [np.array(x.value) for x in leaves]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_blas_trains_as_eager_steps_do(dtype, optimizer):
    leaves, step = network(dtype, optimizer)
    others, eager = network(dtype, optimizer)
    compiled = tg.compile(step, backend="blas")
    for size in (6, 6, 4, 6):
        x, y = batch(dtype, size)
        np.testing.assert_allclose(compiled(x, y), eager(x, y).value, rtol=1e-5)
    tolerance = 50 * np.finfo(dtype).eps
    for leaf, other in zip(leaves, others, strict=True):
        assert leaf.dtype == dtype
        np.testing.assert_allclose(leaf.value, other.value, rtol=tolerance, atol=tolerance)


def test_weights_without_a_velocity_are_left_to_blas_and_biases_are_not():
    _, step = network()
    compiled = tg.compile(step, backend="blas")
    compiled(*batch())
    assert compiled.source.count("partial(dgemm") == 2
    assert "dgemm" not in compiled.explain()
    assert "1.0 * w" not in compiled.explain()


def test_with_more_threads_weights_are_left_to_numpy(monkeypatch):
    monkeypatch.setattr("tinygraph.compiler.blas.has_one_thread", lambda: False)
    _, step = network()
    compiled = tg.compile(step, backend="blas")
    compiled(*batch())
    assert "gemm" not in compiled.source


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_counted(threads, monkeypatch):
    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        several = any(x["num_threads"] > 1 for x in threadpoolctl.threadpool_info())
        assert blas.has_one_thread() is not several
    monkeypatch.setattr(blas, "find_spec", lambda name: name == "scipy" or None)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", str(threads))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert blas.has_one_thread() is (threads == 1)


@pytest.mark.parametrize(
    "arrange",
    [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1].copy()[::-1]],
    ids=["fortran", "strided", "reversed"],
)
@pytest.mark.parametrize("backend", ["numpy", "blas", "numba"])
def test_values_and_arguments_may_lie_in_any_order(backend, arrange):
    if backend == "numba":
        pytest.importorskip("numba")
    leaves, step = network()
    others, eager = network()
    compiled = tg.compile(step, backend=backend)
    x, y = batch()
    for number in range(6):
        # What the plan writes into next are the values before the last.
        if number in (0, 1, 3):
            leaves[0].value = arrange(leaves[0].value)
        compiled(arrange(x), arrange(y))
        eager(x, y)
    for leaf, other in zip(leaves, others, strict=True):
        np.testing.assert_allclose(leaf.value, other.value, rtol=1e-12)


@pytest.mark.parametrize("x_dtype", ["float32", "float16", "bool", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_learn_from_inputs_of_other_dtypes(dtype, x_dtype):
    x = (3 * batch()[0]).astype(x_dtype)
    # The product that is added to the weights has x for its first factor here.
    start = np.linspace(-1, 1, 35).reshape(7, 5).astype(dtype)

    def trained(backend):
        w = tg.Node(start)
        optimizer = tg.optim.SGD([w], 0.001)

        def step(x):
            loss = np.sum(np.square(x @ w))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        step = tg.compile(step, backend=backend) if backend else step
        for _ in range(2):
            step(x)
        return w.value

    expected = trained(None)
    assert not np.array_equal(expected, start)
    np.testing.assert_allclose(trained("blas"), expected, rtol=100 * np.finfo(dtype).eps)


def test_who_holds_a_value_keeps_it():
    leaves, step = network()
    compiled = tg.compile(step, backend="blas")
    compiled(*batch())
    held, row, turned = leaves[0].value, leaves[0].value[0], leaves[2].T
    before = [np.array(held), np.array(row), np.array(turned.value)]
    compiled(*batch())
    for array, was in zip([held, row, turned.value], before, strict=True):
        np.testing.assert_array_equal(array, was)
    assert not np.array_equal(leaves[0].value, held)


def test_an_argument_that_is_a_view_of_a_weight_is_read_as_it_was():
    w = tg.Node(np.arange(9.0).reshape(3, 3) / 9)
    other = tg.Node(w.value)

    def step_of(leaf):
        optimizer = tg.optim.SGD([leaf], 0.1)

        def step(x):
            loss = tg.nn.squared_norm(np.tanh(tg.nn.linear(x, leaf, np.zeros(3))))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step

    compiled, eager = tg.compile(step_of(w), backend="blas"), step_of(other)
    for _ in range(3):
        compiled(w.value)
        eager(other.value)
    np.testing.assert_allclose(w.value, other.value, rtol=1e-12)


def test_what_is_not_accepted_changes_nothing():
    leaves, step = network()

    def accept(loss):
        raise FloatingPointError("not this one")

    compiled = tg.compile(step, backend="blas", accept=accept)
    before = values_of(leaves)
    with pytest.raises(FloatingPointError):
        compiled(*batch())
    for leaf, was in zip(leaves, before, strict=True):
        np.testing.assert_array_equal(leaf.value, was)


def test_check_compares_and_catches_a_wrong_update(monkeypatch):
    _, step = network()
    compiled = tg.compile(step, backend="blas", check=True)
    compiled(*batch())
    plan = compiled._latest
    monkeypatch.setattr(plan, "run", lambda *args: ((plan_loss(args),), ()))

    def plan_loss(args):
        return np.zeros(())

    with pytest.raises(AssertionError, match="the plan of"):
        compiled(*batch())


@pytest.mark.parametrize("backend", ["numpy", "blas"])
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
def test_ctrl_c_leaves_a_whole_step_or_none(backend):
    class Interrupted(KeyboardInterrupt):
        pass

    def interrupt(*args):
        raise Interrupted

    leaves, step = network()
    others, eager = network()
    compiled = tg.compile(step, backend=backend)
    x, y = batch()
    compiled(x, y)
    eager(x, y)
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for number in range(400):
            last = values_of(leaves)
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 97))
                for _ in range(10):
                    last = values_of(leaves)
                    compiled(x, y)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                interrupted += 1
            for other, value in zip(others, last, strict=True):
                other.value = value
            now = values_of(leaves)
            if all(np.array_equal(a, b) for a, b in zip(now, last, strict=True)):
                continue
            eager(x, y)
            for a, b in zip(now, values_of(others), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 50


def test_the_saved_file_needs_numpy_alone(tmp_path):
    leaves, step = network()
    before = values_of(leaves)
    compiled = tg.compile(step, backend="blas")
    x, y = batch()
    loss = compiled(x, y)
    compiled.save(tmp_path / "step.py")
    np.savez(tmp_path / "data.npz", x, y, *before)
    (tmp_path / "run.py").write_text(
        "import sys, numpy as np\n"
        "from step import step\n"
        "x, y, *leaves = np.load('data.npz').values()\n"
        "nexts = [np.empty_like(leaf) for leaf in leaves]\n"
        "print(repr(float(step(x, y, *leaves, np.array(0.1), *nexts)[0])))\n"
        "assert not {'scipy', 'tinygraph'} & sys.modules.keys()\n"
        "np.savez('new.npz', *nexts)\n"
    )
    run = [sys.executable, "run.py"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(loss), rel=1e-12)
    with np.load(tmp_path / "new.npz") as new:
        for leaf, value in zip(leaves, new.values(), strict=True):
            np.testing.assert_allclose(leaf.value, value, rtol=1e-9)


def test_an_unknown_backend_and_a_missing_scipy_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"a backend of .*, got 'fortran'"):
        tg.compile(np.sin, backend="fortran")
    monkeypatch.setattr("tinygraph.compiler.compiled.find_spec", lambda name: None)
    assert importlib.util.find_spec("scipy") is not None
    with pytest.raises(ImportError, match=r"tinygraph\[scipy\]"):
        tg.compile(np.sin, backend="blas")
