import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from models import mnist
from models.load import load_data
from models.network import NeuralNetwork

ROOT = Path(__file__).parents[2]
REAL_DATA = os.environ.get("TINYGRAPH_DATA")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    """Run the command as people do, without the data that the environment may name."""
    environment = {k: v for k, v in os.environ.items() if k != "TINYGRAPH_DATA"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "models.mnist", *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_trains_tests_saves_restores_and_draws(tmp_path):
    done = run("--data", "digits", "--epochs", 4, "--save", "net.pkl")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Data: 1797 embedded digits")
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) == 4
    assert all(re.fullmatch(r"epoch \d/4: loss \d\.\d{4}, accuracy 0\.\d{4}", x) for x in epochs)
    accuracy = float(re.search(r"accuracy on the 398 test images: (\d+\.\d+)%", done.stdout)[1])
    assert accuracy > 85
    assert "saved net.pkl; the network restored from it agrees" in lines

    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"net.pkl", "net.pkl.checkpoint", "net-loss.svg", "net-curves.png"}
    svg = (tmp_path / "net-loss.svg").read_text()
    assert "<svg" in svg
    assert all(name in svg for name in ("W1", "b3", "layer 2", "cross_entropy"))
    assert (tmp_path / "net-curves.png").read_bytes().startswith(b"\x89PNG")
    restored = NeuralNetwork([1, 1], ["relu"])
    restored.restore("net.pkl")
    assert restored.layers == [784, 100, 50, 10]
    _, validation, test = load_data(path="digits")
    assert f"{restored.eval(test):.2%}" == f"{accuracy:.2f}%"
    assert epochs[-1].endswith(f"accuracy {restored.eval(validation):.4f}")


def test_every_option_reaches_the_training(tmp_path):
    options = "--layers 784,12,10 --activations leaky_relu,sigmoid --loss quadratic"
    options += " --optimizer momentum --learning-rate 0.5 --schedule constant --epochs 2"
    options += " --batch-size 30 --regular 0.0001 --seed 3 --dtype float64 --checkpoint-every 2"
    options += " --data digits --save deep.v1.net --no-progress"
    done = run(*options.split())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    network = NeuralNetwork([784, 12, 10], ["leaky_relu", "sigmoid"], seed=3, dtype=float)
    training = load_data(path="digits")[0]
    network.train(
        training, 0.5, 2, 30, 0.0001, optimizer="momentum", loss="quadratic", progress=False
    )
    restored = NeuralNetwork([1, 1], ["relu"], dtype=float)
    restored.restore("deep.v1.net")
    assert restored.loss_name == "quadratic"
    assert repr(restored.activations) == repr(network.activations)
    for w, expected in zip(restored.weights, network.weights, strict=True):
        assert abs(w - expected).max() < 1e-9
    assert (tmp_path / "deep.v1-loss.svg").exists()


@pytest.mark.parametrize(("backend", "package"), [("blas", "scipy"), ("numba", "numba")])
def test_a_training_by_another_backend_is_the_same(backend, package, monkeypatch):
    pytest.importorskip(package)
    backends = []
    train = NeuralNetwork.train

    def look(*arguments, **options):
        backends.append(options["backend"])
        return train(*arguments, **options)

    monkeypatch.setattr(NeuralNetwork, "train", look)
    options = "--data digits --layers 784,5,10 --activations tanh,identity --epochs 1 --no-progress"
    options += " --optimizer sgd --learning-rate 0.1 --batch-size 40"
    expected = mnist.main(options.split())
    assert mnist.main([*options.split(), "--backend", backend]) == expected
    assert backends == ["numpy", backend]


@pytest.mark.parametrize(("backend", "package"), [("blas", "scipy"), ("numba", "numba")])
def test_a_backend_whose_package_is_missing_is_a_clear_error(
    backend, package, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("tinygraph.compiler.compiled.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        mnist.main(["--data", "digits", "--report", "page.html", "--backend", backend])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    message = f"argument --backend: compile(backend='{backend}') needs {package}, which is not"
    assert message in printed.err.splitlines()[-1]
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_backend_without_a_compiled_step_is_refused(capsys):
    pytest.importorskip("scipy")
    with pytest.raises(SystemExit) as ended:
        mnist.main(["--data", "digits", "--backend", "blas", "--no-compile"])
    assert ended.value.code == 2
    assert "--no-compile: not allowed with argument --backend" in capsys.readouterr().err


def test_resume_goes_on_with_the_same_options_only():
    options = ["--data", "digits", "--layers", "784,12,10", "--activations", "tanh,identity"]
    options += ["--schedule", "constant", "--no-progress"]
    begun = run(*options, "--epochs", 1, "--resume")
    resumed = run(*options, "--epochs", 3, "--resume")
    for done, epochs in ((begun, "1"), (resumed, "23")):
        assert done.returncode == 0, done.stderr
        assert "".join(re.findall(r"^epoch (\d)", done.stdout, re.MULTILINE)) == epochs
    other = run(*options, "--epochs", 3, "--resume", "--batch-size", 5)
    assert other.returncode == 2
    assert "mnist.safetensors.checkpoint was written with batch_size=32" in other.stderr


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        mnist.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for action in mnist.parser()._actions:
        assert action.help
        assert action.option_strings[-1] in shown
    assert "(default: 784,100,50,10)" in shown
    assert "None" not in shown


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--layers", "784,ten", "argument --layers"),
        ("--layers", "784", "layers: expected two positive whole sizes or more, got [784]"),
        ("--layers", "784,0,10", "layers: expected two positive whole sizes"),
        ("--layers", "64,100,50,10", "--layers: expected 784 pixels first, 10 classes last"),
        ("--layers", "784,100,50,9", "--layers: expected 784 pixels first, 10 classes last"),
        ("--activations", "relu,swish,identity", "unknown activation 'swish'; expected one of"),
        ("--activations", "relu", "4 layers need 3, one for every layer after the first, got 1"),
        ("--loss", "hinge", "argument --loss: invalid choice: 'hinge'"),
        ("--loss", "binary_cross_entropy", "binary_cross_entropy: got outputs from"),
        ("--optimizer", "sdg", "argument --optimizer: invalid choice: 'sdg'"),
        ("--learning-rate", "0", "--learning-rate: expected a number above 0, got 0"),
        ("--learning-rate", "nan", "--learning-rate: expected a number above 0, got nan"),
        ("--learning-rate", "fast", "argument --learning-rate"),
        ("--schedule", "fast", "argument --schedule: invalid choice"),
        ("--epochs", "0", "--epochs: expected a whole number above 0, got 0"),
        ("--epochs", "many", "argument --epochs"),
        ("--batch-size", "-1", "--batch-size: expected a whole number above 0, got -1"),
        ("--regular", "-1", "regular: expected a number of 0 or more, got -1"),
        ("--regular", "nan", "regular: expected a number of 0 or more, got nan"),
        ("--seed", "-1", "non-negative"),
        ("--dtype", "int", "argument --dtype: invalid choice"),
        ("--checkpoint-every", "0", "--checkpoint-every: expected a whole number above 0"),
        ("--backend", "fortran", "argument --backend: compile: expected a backend of ['numpy', "),
        ("--save", "missing/net", "save: missing/net cannot be written"),
        ("--save", ".", "save: . cannot be written"),
        ("--data", "missing", "missing is neither a file nor a folder; expected"),
        ("--speed", "9", "unrecognized arguments: --speed 9"),
    ],
)
def test_a_bad_option_is_a_clear_error(option, value, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        mnist.main(["--data", "digits", "--no-progress", option, value])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_command_are_no_tracebacks():
    missing = run("--data", "missing")
    assert missing.returncode == 2
    diverged = run("--data", "digits", "--learning-rate", "1e30", "--no-progress")
    assert diverged.returncode == 1
    assert re.search(r"the loss became \w+ in epoch 1, batch 2, first in layer", diverged.stderr)
    for done in (missing, diverged):
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr


def test_without_a_layout_engine_the_graph_is_written_as_text(tmp_path, monkeypatch, capsys):
    layout = import_module("tinygraph.pictures.layout")
    monkeypatch.setattr(layout, "find_layout_engine", lambda: None)
    options = "--data digits --epochs 1 --layers 784,4,10 --activations tanh,identity"
    mnist.main([*options.split(), "--no-progress"])
    assert "digraph" in (tmp_path / "mnist-loss.dot").read_text()
    shown = capsys.readouterr().out
    assert "no picture of the loss graph, its text instead: no layout engine" in shown
    assert not (tmp_path / "mnist-loss.svg").exists()


def test_the_defaults_do_well_on_the_embedded_digits():
    done = run("--data", "digits", "--seed", 1, "--no-progress")
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"test images: (\S+)%", done.stdout)[1]) >= 96


@pytest.mark.skipif(not REAL_DATA, reason="TINYGRAPH_DATA names no real data")
def test_real_mnist_is_learnt():
    done = run("--data", REAL_DATA, "--epochs", 4, "--no-progress")
    assert done.returncode == 0, done.stderr
    assert "10000 test images" in done.stdout
    assert float(re.search(r"test images: (\S+)%", done.stdout)[1]) >= 97
