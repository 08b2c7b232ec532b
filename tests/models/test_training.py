import os
import re
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import tinygraph as tg
from models.activation import Activation, Tanh
from models.losses import LOSSES
from models.network import NeuralNetwork
from models.training import OPTIMIZERS

ROOT = Path(__file__).parents[2]


def make_data(count=60, seed=0):
    """Points in the plane, and on which side of a line they are."""
    x = np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)
    return x, (x[:, 0] > x[:, 1]).astype(int)


def make_network(activations=("tanh", "identity"), **options):
    return NeuralNetwork([2, 8, 2], activations, **{"seed": 0, **options})


def train(network, data=None, rate=0.1, epochs=3, batch_size=8, regular=0, **options):
    data = make_data() if data is None else data
    options = {"progress": False, **options}
    return network.train(data, rate, epochs, batch_size, regular, **options)


def parameters_of(network):
    return [array.copy() for array in (*network.weights, *network.biases)]


def state_of(network):
    """All that a training changes."""
    parameters = [array.tobytes() for array in parameters_of(network)]
    random = network.random.bit_generator.state
    names = [repr(activation) for activation in network.activations]
    return parameters, random, network.loss_name, names


def assert_same(network, other):
    for array, expected in zip(parameters_of(network), parameters_of(other), strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


class Watched(Activation):
    """The identity, which calls `see` with every array that it is given."""

    def __init__(self, see):
        self.see = see

    def result(self, x):
        self.see(x)
        return np.array(x)

    def prime(self, x):
        return np.ones_like(x)


def batches_of(x, **options):
    """The inputs of every batch of a training."""
    seen = []
    network = NeuralNetwork([1, 1, 2], [Watched(lambda a: seen.append(a.copy())), "tanh"], seed=0)
    network.weights[0], network.biases[0] = np.ones((1, 1)), np.zeros((1, 1))
    data = x.reshape(-1, 1), np.zeros(len(x), int)
    # A compiled step runs the activations' Python while it is recorded alone.
    train(network, data, rate=0, compile=False, **options)
    return [batch.ravel().tolist() for batch in seen]


def test_every_epoch_takes_every_sample_once_in_another_order():
    batches = batches_of(np.arange(10), epochs=3, batch_size=4)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [list(chain(*batches[i : i + 3])) for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, range(10)]}) == 4


def test_a_batch_may_be_larger_than_the_data():
    assert [len(batch) for batch in batches_of(np.arange(3), epochs=2, batch_size=50)] == [3, 3]


def test_the_last_smaller_batch_is_averaged_over_its_own_samples():
    data = make_data(5)
    network, by_hand = make_network(dtype=float), make_network(dtype=float)
    history = train(network, data, 0.5, epochs=1, batch_size=3, seed=7)
    order = np.random.default_rng(7).permutation(5)
    total = 0
    for chosen in (order[:3], order[3:]):
        for node in by_hand.parameters:
            node.grad = None
        loss = by_hand.loss(data[0][chosen], data[1][chosen])
        loss.backward()
        total += loss.item() * len(chosen)
        for node in by_hand.parameters:
            node.value = node.value - 0.5 * node.grad
    for array, expected in zip(parameters_of(network), parameters_of(by_hand), strict=True):
        np.testing.assert_allclose(array, expected, 1e-12)
    np.testing.assert_allclose(history["loss"], [total / 5], 1e-12)


def test_history_holds_a_loss_and_an_accuracy_an_epoch():
    network = make_network()
    test = make_data(40, seed=1)
    history = train(network, epochs=5, test=test, rate=0.5)
    assert set(history) == {"loss", "accuracy"}
    assert len(history["loss"]) == len(history["accuracy"]) == 5
    assert history["loss"][-1] < history["loss"][0]
    assert history["accuracy"][-1] == network.eval(test)
    assert set(train(network)) == {"loss"}
    assert train(network, epochs=0, test=test) == {"loss": [], "accuracy": []}


def test_epochs_are_printed_with_loss_and_accuracy(capfd):
    history = train(make_network(), epochs=2, test=make_data(40, seed=1))
    expected = [
        f"epoch {i}/2: loss {loss:.4f}, accuracy {accuracy:.4f}"
        for i, (loss, accuracy) in enumerate(zip(*history.values(), strict=True), start=1)
    ]
    printed = capfd.readouterr()
    assert printed.out.splitlines() == expected
    assert printed.err == ""
    history = train(make_network(), epochs=1)
    assert capfd.readouterr().out == f"epoch 1/1: loss {history['loss'][0]:.4f}\n"


def test_a_progress_bar_shows_epoch_and_loss_on_stderr(capfd):
    slow = Watched(lambda x: time.sleep(0.03))
    train(make_network([slow, "identity"]), epochs=1, batch_size=4, progress=True)
    shown = capfd.readouterr()
    assert re.search(r"epoch 1: +\d+%.*15 .*loss \d\.\d{4}", shown.err)
    assert shown.out.startswith("epoch 1/1: loss")
    assert "%" not in shown.out


def test_callbacks_are_called_after_every_epoch_and_may_end_the_training():
    network, calls = make_network(), []

    def note(*arguments):
        calls.append(arguments)

    def end(network, epoch, history):
        return epoch == 2

    history = train(network, epochs=5, callbacks=[end, note])
    assert [epoch for _, epoch, _ in calls] == [1, 2]
    assert all(given is network for given, _, _ in calls)
    assert all(given is history for _, _, given in calls)
    assert len(history["loss"]) == 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(name):
    network = make_network()
    rate = {"sgd": 1.0, "momentum": 0.2}.get(name, 0.01)
    train(network, rate=rate, epochs=20, optimizer=name)
    assert network.eval(make_data(200, seed=1)) > 0.9


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns(name):
    network = make_network(["tanh", "sigmoid"])
    history = train(network, rate=0.02, epochs=20, optimizer="adam", loss=name)
    assert network.eval(make_data(200, seed=1)) > 0.9
    assert history["loss"][-1] < 0.9 * history["loss"][0]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", tg.optim.SGD),
        ("momentum", lambda parameters, rate: tg.optim.SGD(parameters, rate, momentum=0.9)),
        ("adam", tg.optim.Adam),
        ("adamw", tg.optim.AdamW),
        ("rmsprop", tg.optim.RMSprop),
    ],
)
def test_an_optimizer_may_be_a_function(name, make):
    by_name, by_function = make_network(), make_network()
    train(by_name, optimizer=name)
    train(by_function, optimizer=make)
    assert_same(by_function, by_name)


def test_a_learning_rate_may_be_a_schedule_of_the_steps():
    steps = []

    def schedule(step):
        steps.append(step)
        return 0.1

    by_number, by_schedule = make_network(), make_network()
    train(by_number, rate=0.1, epochs=2)
    train(by_schedule, rate=schedule, epochs=2)
    assert sorted(set(steps)) == list(range(16))
    assert_same(by_schedule, by_number)
    warm = make_network()
    train(warm, rate=tg.optim.warm_up(0.1, 4), epochs=2)
    assert state_of(warm)[0] != state_of(by_number)[0]


def test_a_second_training_goes_on_where_the_first_ended():
    once, twice = make_network(), make_network()
    train(once, epochs=4)
    train(twice, epochs=1)
    train(twice, epochs=3)
    assert_same(once, twice)


def test_the_seed_of_a_training_decides_the_shuffling():
    networks = [make_network() for _ in range(3)]
    networks[1].random.random(100)
    for network, seed in zip(networks, (3, 3, 4), strict=True):
        train(network, seed=seed)
    assert_same(networks[0], networks[1])
    assert state_of(networks[0])[0] != state_of(networks[2])[0]


def test_every_form_of_data_trains_alike_and_is_left_alone():
    x, labels = make_data(10)
    y = np.eye(2, dtype=np.float32)[labels]
    columns = [(a.reshape(2, 1), b.reshape(2, 1)) for a, b in zip(x, y, strict=True)]
    networks = [make_network() for _ in range(4)]
    strided = np.asfortranarray(np.repeat(x, 2, axis=0))[::2]
    for network, data in zip(
        networks, [(x, labels), (x, y), columns, (strided, labels)], strict=True
    ):
        train(network, data)
        assert_same(network, networks[0])
    assert x.flags.writeable
    assert y.flags.writeable
    np.testing.assert_array_equal(x, make_data(10)[0])


def threads_of_blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_small_products_keep_blas_to_one_thread_for_as_long_as_they_last():
    seen = []
    with threadpool_limits(2, user_api="blas"):
        before = threads_of_blas()
        train(make_network([Watched(lambda x: seen.append(threads_of_blas())), "tanh"]), epochs=1)
        assert threads_of_blas() == before
    assert before
    assert {threads for found in seen for threads in found} == {1}


REFUSED = {
    "rate": [(-1, ValueError), (np.nan, ValueError), ("fast", TypeError), (None, TypeError)],
    "epochs": [(-1, ValueError), (2.5, ValueError), ("3", ValueError)],
    "batch_size": [(0, ValueError), (-4, ValueError), (1.5, ValueError), (None, ValueError)],
    "regular": [(-1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("a", ValueError)],
    "optimizer": [("sdg", ValueError), (None, ValueError), (lambda nodes, rate: 3, TypeError)],
    "loss": [("hinge", ValueError), (lambda a, y: 0, ValueError)],
    "seed": [(-1, ValueError), (1.5, ValueError), ("a", ValueError)],
    "callbacks": [(print, TypeError), ([None], TypeError)],
    "checkpoint_every": [(0, ValueError), (-1, ValueError), (1.5, ValueError), (1, ValueError)],
    "resume": [(True, ValueError)],
    "save": [("missing/save.pkl", ValueError), (".", ValueError)],
    "backend": [("fortran", ValueError), (None, ValueError)],
    "data": [([], ValueError), ((np.ones((2, 3)), [0, 1]), ValueError)],
    "test": [([], ValueError), ((np.ones((2, 2)), np.array([0, 5])), ValueError)],
}


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [(name, value, kind) for name, cases in REFUSED.items() for value, kind in cases],
)
def test_wrong_settings_are_refused_and_nothing_is_changed(
    name, value, kind, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    network = make_network()
    before = state_of(network)
    shown = {"rate": "learning_rate", "data": "expected", "test": "expected|labels"}
    with pytest.raises(kind, match=shown.get(name, name)):
        train(network, **{"seed": 5, "loss": "quadratic", name: value})
    assert state_of(network) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["blas", "numba", "fortran"])
def test_a_backend_without_a_compiled_step_is_refused(backend):
    with pytest.raises(ValueError, match=f"backend: '{backend}' .*, and compile is False"):
        train(make_network(), compile=False, backend=backend)


@pytest.mark.parametrize(("backend", "package"), [("blas", "scipy"), ("numba", "numba")])
def test_a_missing_package_is_told_before_anything_is_changed(
    backend, package, tmp_path, monkeypatch
):
    saved = {"save": tmp_path / "net", "checkpoint_every": 1}
    train(make_network(), epochs=1, **saved)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    network = make_network(seed=1)
    before = state_of(network)
    monkeypatch.setattr("tinygraph.compiler.compiled.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=rf"needs {package}, .* tinygraph\[{package}\]"):
        train(network, loss="quadratic", resume=True, backend=backend, **saved)
    assert state_of(network) == before
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"save: .*net cannot be written; expected a file"):
        train(make_network(), save=tmp_path / "net")


def test_a_learning_rate_that_is_far_too_large_ends_with_an_error_that_says_where():
    network = make_network(["relu", "relu"])
    place = r"the loss became (nan|inf) in epoch 1, batch 2, first in layer 2: linear"
    with pytest.raises(FloatingPointError, match=place):
        train(network, rate=1e30)


class Rooted(Activation):
    def result(self, x):
        return np.sqrt(x - 100)


def test_an_activation_that_gives_nan_is_named_with_its_layer(tmp_path):
    network = NeuralNetwork([2, 3, 3, 2], ["tanh", Rooted, "identity"], seed=0)
    place = r"became nan in epoch 1, batch 1, first in layer 2: sqrt; try a smaller learning rate"
    with pytest.raises(FloatingPointError, match=place):
        train(network, save=tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_the_epoch_and_batch_where_the_loss_turned_nan_are_named():
    calls = []

    class Failing(Tanh):
        def result(self, x):
            calls.append(x)
            return np.tanh(x) * (np.nan if len(calls) == 11 else 1)

        def prime(self, x):
            return 1 - np.tanh(x) ** 2

    with pytest.raises(FloatingPointError, match=r"epoch 2, batch 3, first in layer 1: Failing"):
        train(make_network([Failing(), "identity"]), compile=False)


def test_a_compiled_step_names_the_batch_and_the_layer_and_keeps_the_weights_before_it():
    def rate(step: int) -> float:
        return 1e30 if step == 10 else 0.01

    network = make_network(["tanh", "identity"])
    place = r"became inf in epoch 2, batch 4, first in loss: quadratic"
    with pytest.raises(FloatingPointError, match=place):
        train(network, rate=rate, loss="quadratic")
    assert max(np.abs(w).max() for w in network.weights) > 1e20


def test_what_cannot_be_compiled_trains_step_by_step_and_says_so(capsys):
    class Branching(Activation):
        def result(self, x):
            return np.tanh(x) if np.sum(x) > -np.inf else x

    by_steps, compiled = make_network([Branching(), "identity"]), make_network(["tanh", "identity"])
    train(by_steps)
    assert (
        "training step by step, which is slower: compile: the value of" in capsys.readouterr().out
    )
    train(compiled, compile=False)
    for a, b in zip(by_steps.weights, compiled.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("loss", ["quadratic", "cross_entropy", "softmax_quadratic"])
def test_a_compiled_training_ends_where_one_by_steps_ends(optimizer, loss):
    networks = [make_network(["tanh", "sigmoid"]) for _ in range(2)]
    for network, compile in zip(networks, [True, False], strict=True):
        train(network, optimizer=optimizer, loss=loss, regular=0.01, compile=compile)
    for a, b in zip(*map(parameters_of, networks), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("backend", "package"), [("blas", "scipy"), ("numba", "numba")])
def test_every_backend_trains_as_numpy_does(backend, package, optimizer, monkeypatch):
    pytest.importorskip(package)
    backends = []

    compile = tg.compile

    def look(*arguments, backend="numpy", **options):
        backends.append(backend)
        return compile(*arguments, backend=backend, **options)

    monkeypatch.setattr(tg, "compile", look)
    networks = [make_network(["tanh", "sigmoid"], dtype=float) for _ in range(2)]
    options = {"optimizer": optimizer, "loss": "quadratic", "regular": 0.01, "test": make_data(9)}
    expected, history = (
        train(network, **options, **chosen)
        for network, chosen in zip(networks, [{}, {"backend": backend}], strict=True)
    )
    # What is left for a smaller last batch is NumPy's.
    assert backends == ["numpy", "numpy", backend, "numpy"]
    assert history["accuracy"] == expected["accuracy"]
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-9)
    for a, b in zip(*map(parameters_of, networks), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_weights_that_the_last_step_made_nan_are_not_kept(tmp_path):
    class Wrong(Tanh):
        def prime(self, x):
            return x * np.nan

    network = make_network([Wrong(), "identity"])
    place = "the weights became infinite or NaN in epoch 1, batch 1, first in layer 1: W1"
    with pytest.raises(FloatingPointError, match=place):
        train(network, epochs=1, batch_size=60, save=tmp_path / "net", checkpoint_every=1)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_the_training_with_the_weights_so_far(tmp_path, capsys):
    def interrupt(network, epoch, history):
        if epoch == 2:
            raise KeyboardInterrupt

    network, shorter = make_network(), make_network()
    history = train(network, epochs=9, save=tmp_path / "net", callbacks=[interrupt])
    assert len(history["loss"]) == 2
    assert capsys.readouterr().out.endswith("interrupted; keeping the weights so far\n")
    train(shorter, epochs=2)
    assert_same(network, shorter)
    restored = make_network(seed=1)
    restored.restore(tmp_path / "net")
    assert_same(restored, network)


def test_an_interrupt_while_testing_leaves_a_history_of_whole_epochs():
    def interrupt(x):
        if len(x) == 7 and len(calls) > 30:
            raise KeyboardInterrupt
        calls.append(x)

    calls = []
    network = make_network([Watched(interrupt), "identity"])
    history = train(network, epochs=9, batch_size=6, test=make_data(7))
    assert len(history["loss"]) == len(history["accuracy"]) == 2


INTERRUPTED = """
import signal
import numpy as np
from models.network import NeuralNetwork

signal.signal(signal.SIGINT, signal.default_int_handler)
network = NeuralNetwork([2, 8, 2], ["tanh", "identity"], seed=0)
x = np.random.default_rng(0).normal(size=(60, 2))
history = network.train((x, (x[:, 0] > 0).astype(int)), 0.1, 10**7, 8, save="net")
restored = NeuralNetwork([2, 8, 2], ["tanh", "identity"], seed=1)
restored.restore("net")
assert all(np.array_equal(a, b) for a, b in zip(network.weights, restored.weights))
print("ended after", len(history["loss"]))
"""


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def test_control_c_ends_a_process_cleanly(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 3/"):
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    *_, interrupted, ended = out.splitlines()
    assert interrupted == "interrupted; keeping the weights so far"
    assert int(ended.split()[-1]) >= 3


# Kills itself without a chance to clean up, in the middle of an epoch.
KILLED = """
import os, signal, sys
import numpy as np
import tinygraph as tg
from models.activation import Tanh
from models.network import NeuralNetwork

optimizer, task = sys.argv[1:]
x = np.random.default_rng(0).normal(size=(250, 20)).astype(np.float32)
data = x, (x[:, 0] > x[:, 1]).astype(int)
test = data[0][:50], data[1][:50]
schedule = {"momentum": lambda step: 0.05, "adam": tg.optim.cosine(0.01, 8 * 16)}[optimizer]
steps = []

def rate(step):
    steps.append(step)
    if task == "die" and step == 5 * 16 + 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return schedule(step)

def train(save, resume, seed):
    network = NeuralNetwork([20, 16, 2], ["tanh", "identity"], seed=seed)
    history = network.train(data, rate, 8, 16, 0.01, test, save, optimizer=optimizer,
                            checkpoint_every=2, resume=resume, progress=False)
    return network, history

if task == "die":
    train("net", False, 0)
else:
    resumed, history = train("net", True, 1)
    assert len(steps) < 100, "it began anew"
    whole, expected = train("whole", False, 0)
    assert history == expected, (history, expected)
    for a, b in zip([*resumed.weights, *resumed.biases], [*whole.weights, *whole.biases]):
        assert a.tobytes() == b.tobytes()
    print("the same")
"""


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_killed_training_that_is_resumed_ends_with_the_same_bits(optimizer, tmp_path):
    def run(task):
        return subprocess.run(
            [sys.executable, "-c", KILLED, optimizer, task],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    killed = run("die")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.splitlines()[-1].startswith("epoch 5/8")
    assert [path.name for path in tmp_path.iterdir()] == ["net.checkpoint"]
    resumed = run("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[0].startswith("epoch 5/8")
    assert resumed.stdout.splitlines()[-1] == "the same"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_resumed_for_more_epochs_is_one_long_training(optimizer, tmp_path):
    options = {"optimizer": optimizer, "save": tmp_path / "net", "checkpoint_every": 1}
    long = make_network()
    expected = train(long, rate=0.01, epochs=5, optimizer=optimizer)
    train(make_network(), rate=0.01, epochs=2, **options)
    resumed = make_network(seed=9)
    history = train(resumed, rate=0.01, epochs=5, resume=True, **options)
    assert history == expected
    assert_same(resumed, long)


def test_what_a_callback_changes_is_in_the_checkpoint(tmp_path):
    def shrink(network, epoch, history):
        network.weights = [0.5 * w for w in network.weights]

    options = {"callbacks": [shrink], "save": tmp_path / "net", "checkpoint_every": 1}
    long, resumed = make_network(), make_network(seed=1)
    train(long, epochs=4, callbacks=[shrink])
    train(make_network(), epochs=2, **options)
    train(resumed, epochs=4, resume=True, **options)
    assert_same(resumed, long)


def test_resume_without_a_checkpoint_starts_anew(tmp_path):
    anew, resumed = make_network(), make_network()
    expected = train(anew)
    assert train(resumed, save=tmp_path / "net", resume=True) == expected
    assert_same(resumed, anew)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_a_finished_training_that_is_resumed_trains_no_more(tmp_path):
    options = {"epochs": 5, "save": tmp_path / "net", "checkpoint_every": 2}
    network, resumed, calls = make_network(), make_network(seed=1), []
    history = train(network, **options)
    again = train(resumed, resume=True, callbacks=[lambda *given: calls.append(given)], **options)
    assert again == history
    assert calls == []
    assert_same(resumed, network)


def test_checkpoints_come_every_k_epochs(tmp_path):
    def look(network, epoch, history):
        path = tmp_path / "net.checkpoint"
        seen.append(len(tg.load(path)["history"]["loss"]) if path.exists() else 0)

    seen = []
    options = {"save": str(tmp_path / "net"), "checkpoint_every": 2}
    train(make_network(), epochs=5, callbacks=[look], **options)
    assert seen == [0, 0, 2, 2, 4]


OTHER_SETTINGS = {
    "batch_size": {"batch_size": 9},
    "regular": {"regular": 0.1},
    "loss": {"loss": "quadratic"},
    "seed": {"seed": 3},
    "optimizer": {"optimizer": "momentum"},
    "learning_rate of step 0": {"rate": 0.2},
    "learning_rate of step 16": {"rate": tg.optim.cosine(0.1, 40)},
    "samples": {"data": make_data(61)},
    "data": {"data": make_data(60, seed=1)},
    "test": {"test": make_data(9)},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_resuming_with_other_settings_is_refused_and_nothing_is_changed(name, tmp_path):
    options = {"save": tmp_path / "net", "checkpoint_every": 1}
    train(make_network(), epochs=2, **options)
    network = make_network(seed=1)
    before = state_of(network)
    message = rf"net\.checkpoint was written with {name}=.*, this training has {name}=.*; use the"
    with pytest.raises(ValueError, match=message):
        train(network, resume=True, **{"epochs": 4, **options, **OTHER_SETTINGS[name]})
    assert state_of(network) == before


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("layers", NeuralNetwork([2, 9, 2], ["tanh", "identity"], seed=1)),
        ("activations", make_network(["relu", "identity"])),
        ("activations", make_network(["leaky_relu", "identity"])),
        ("dtype", make_network(dtype=float)),
    ],
)
def test_resuming_another_network_is_refused_and_nothing_is_changed(name, other, tmp_path):
    options = {"save": tmp_path / "net", "checkpoint_every": 1, "epochs": 2}
    train(make_network(), **options)
    before = state_of(other)
    with pytest.raises(ValueError, match=rf"written with {name}="):
        train(other, resume=True, **options)
    assert state_of(other) == before


def test_resuming_with_an_own_optimizer_of_another_kind_is_refused(tmp_path):
    options = {"save": tmp_path / "net", "checkpoint_every": 1}
    train(make_network(), epochs=2, optimizer=lambda nodes, rate: tg.optim.Adam(nodes), **options)
    network = make_network(seed=1)
    before = state_of(network)
    with pytest.raises(ValueError, match="load_state_dict"):
        train(network, resume=True, optimizer=tg.optim.RMSprop, **options)
    assert state_of(network) == before


def test_a_damaged_or_foreign_checkpoint_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "net.checkpoint"
    options = {"save": tmp_path / "net", "checkpoint_every": 1}
    train(make_network(), epochs=2, **options)
    content = path.read_bytes()
    network = make_network(seed=1)
    before = state_of(network)
    for damaged in (content[:-7], content[:100], b"", b"\x80\x04."):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"net\.checkpoint is damaged or was not written"):
            train(network, resume=True, **options)
    path.write_bytes((tmp_path / "net").read_bytes())
    with pytest.raises(ValueError, match=r"net\.checkpoint is no checkpoint"):
        train(network, resume=True, **options)
    assert state_of(network) == before
