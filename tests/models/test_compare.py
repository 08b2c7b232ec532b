import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import compare, mnist
from models.compare import best_of, grouped, mean_line, varied
from models.page import Page, page_of, read_runs
from tests.browser import browser_with
from tests.models.pages import HOSTILE, Parsed, parsed

SHORT = ["--data", "digits", "--no-progress"]


def make_run(accuracies=(0.5, 0.75), losses=None, state="finished", **settings):
    losses = [1.0 / (i + 1) for i in range(len(accuracies))] if losses is None else losses
    notes = [
        {"seconds": 1.0 * i, "test_loss": 0.5, "test_accuracy": v, "training_accuracy": v}
        for i, v in enumerate([0.0, *accuracies])
    ]
    return {
        "settings": {"layers": "784-10", **settings},
        "parameters": 7850,
        "epochs": len(losses),
        "state": state,
        "has_test": True,
        "history": {"loss": losses, "accuracy": list(accuracies)},
        "notes": notes,
        "start": None,
    }


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The page and the runs of a short sweep over structures, learning rates and seeds."""
    page = tmp_path_factory.mktemp("sweep") / "compare.html"
    options = "--layers 784,10 784,6,10 --learning-rate 0.001 0.02 --seed 0 1 --epochs 2"
    runs = compare.main([*SHORT, *options.split(), "--report", str(page)])
    return page, runs


def test_every_combination_is_trained(swept):
    page, runs = swept
    found = [(run["settings"]["layers"], run["settings"]["learning rate"]) for run in runs]
    expected = [(a, b) for a in ("784-10", "784-6-10") for b in (0.001, 0.02) for _ in range(2)]
    assert found == expected
    assert [run["settings"]["seed"] for run in runs] == [0, 1] * 4
    assert {run["state"] for run in runs} == {"finished"}
    assert read_runs(page) == runs


def test_a_comparison_has_a_table_of_settings_and_charts(swept):
    page = parsed(swept[0])
    assert not page.is_live
    heads = [text for tag, text in page.texts if tag == "th"]
    assert heads[:5] == ["layers", "learning rate", "parameters", "best accuracy", "in epoch"]
    assert len(page.of("tr")) == 1 + 4
    assert len(page.of("svg")) == 4 + 2
    lines = [path for path in page.of("path") if "line" in path["class"].split()]
    assert len(lines) == 4 * 4
    assert len([circle for circle in page.of("circle") if circle["r"] == "4"]) == 2 * 8
    shares = [float(share) for share in re.findall(r"(\d+\.?\d*) %", page.text)]
    assert shares
    best = [float(text.removesuffix(" %")) for tag, text in page.texts if tag == "b"]
    assert best == sorted(best, reverse=True)
    assert "relu, identity" in page.text


def test_a_run_of_a_sweep_is_the_run_that_mnist_trains():
    options = ["--layers", "784,5,10", "--learning-rate", "0.01", "--epochs", "2", "--seed", "3"]
    (run,) = compare.main([*SHORT, *options])
    mnist.main([*SHORT, *options, "--activations", "relu,identity", "--report", "report.html"])
    (alone,) = read_runs("report.html")
    for name in ("settings", "history", "parameters", "epochs"):
        assert run[name] == alone[name]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("numpy", True)),
        (["--backend", "blas"], ("blas", True)),
        (["--no-compile"], ("numpy", False)),
    ],
)
def test_how_a_step_is_run_is_the_same_for_all_networks(arguments, expected, monkeypatch):
    pytest.importorskip("scipy")
    seen = []
    train = compare.NeuralNetwork.train

    def look(*given, **options):
        seen.append((options["backend"], options["compile"], options["progress"]))
        return train(*given, **options)

    monkeypatch.setattr(compare.NeuralNetwork, "train", look)
    options = ["--layers", "784,10", "--epochs", "1", "--seed", "0", "1", *arguments]
    runs = compare.main([*SHORT, *options])
    assert seen == [(*expected, False)] * 2
    assert [run["state"] for run in runs] == ["finished"] * 2


def test_runs_of_pages_are_drawn_again_without_training(capsys):
    for name, seed in (("a", 0), ("b", 1)):
        run = make_run(optimizer="adam" if seed else "sgd")
        (page := Page(f"{name}.html")).write("t", lambda: "", [run], live=False)
        assert page.path.exists()
    runs = compare.main(["--runs", "a.html", "b.html", "--report", "both.html"])
    assert [run["settings"]["optimizer"] for run in runs] == ["sgd", "adam"]
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "optimizer sgd: best accuracy 75 %",
        "optimizer adam: best accuracy 75 %",
        "wrote both.html",
    ]
    assert "Comparison of 2 trainings" in parsed("both.html").text
    assert compare.main(["--runs", "both.html", "--report", "again.html"]) == runs


def test_the_page_is_live_while_networks_are_trained(monkeypatch):
    seen = []
    train = mnist.train

    def look(*given):
        page = parsed("compare.html")
        seen.append((page.is_live, re.search(r"Training network \d of 2", page.text)[0]))
        return train(*given)

    monkeypatch.setattr(mnist, "train", look)
    compare.main([*SHORT, "--layers", "784,10", "--epochs", "1", "--regular", "0", "0.1"])
    assert seen == [(True, "Training network 1 of 2"), (True, "Training network 2 of 2")]


def test_a_run_that_diverges_does_not_end_the_sweep(capsys):
    options = ["--layers", "784,5,10", "--learning-rate", "1e30", "0.01", "--epochs", "1"]
    diverged, good = compare.main([*SHORT, *options])
    assert diverged["state"].startswith("the loss became")
    assert good["state"] == "finished"
    assert "learning rate 1e+30: best accuracy unknown" in capsys.readouterr().out
    assert "the loss became" in parsed("compare.html").text


def test_control_c_ends_the_sweep(monkeypatch):
    network = compare.NeuralNetwork
    monkeypatch.setattr(
        network, "eval", lambda self, data: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    runs = compare.main([*SHORT, "--layers", "784,10", "784,5,10", "--epochs", "2"])
    assert [run["state"] for run in runs] == ["ended early"]
    assert not parsed("compare.html").is_live


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "784,ten"], "argument --layers"),
        (["--layers", "784,10", "64,10"], "layers: got [64, 10]; expected 784 pixels first"),
        (["--activations", "relu,tanh,identity", "--layers", "784,10"], "2 layers need 1"),
        (["--activations", "swish,identity"], "unknown activation 'swish'"),
        (["--learning-rate", "0.1", "-1"], "--learning-rate: expected a number above 0, got -1"),
        (["--optimizer", "adam", "sdg"], "invalid choice: 'sdg'"),
        (["--epochs", "0"], "--epochs: expected a whole number above 0"),
        (["--seed", "-1"], "non-negative"),
        (["--report", "missing/page.html"], "report: missing/page.html cannot be written"),
        (["--data", "missing"], "missing is neither a file nor a folder"),
        (["--backend", "fortran"], "argument --backend: compile: expected a backend of"),
        (["--runs", "missing.html"], "No such file"),
        (["--runs", "a.html", "--seed", "1"], "--runs draws runs that have been trained"),
        (["--speed", "1"], "unrecognized arguments: --speed 1"),
    ],
)
def test_a_bad_option_is_a_clear_error_before_any_training(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        compare.main([*SHORT, *arguments])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.splitlines()[-1].startswith("python -m models.compare: error: ")
    assert "epoch" not in printed.out
    assert list(tmp_path.iterdir()) == []


def test_a_page_without_runs_is_refused(tmp_path, capsys):
    (tmp_path / "other.html").write_text(page_of("t", "", [], live=False))
    with pytest.raises(SystemExit):
        compare.main(["--runs", "other.html"])
    assert "other.html holds no runs" in capsys.readouterr().err
    assert not (tmp_path / "compare.html").exists()


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        compare.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for action in compare.parser()._actions:
        assert action.help
        assert action.option_strings[-1] in shown
    assert "None" not in shown
    assert "(default: 784,100,50,10)" in shown


def test_runs_that_differ_in_the_seed_alone_are_one_group():
    runs = [make_run(seed=seed, rate=rate) for rate in (0.1, 0.2) for seed in (0, 1, 2)]
    assert varied(runs) == ["rate"]
    assert [len(group) for group in grouped(runs)] == [3, 3]
    assert [len(group) for group in grouped([make_run(), make_run(rate=1)])] == [1, 1]
    assert [len(group) for group in grouped([make_run(), make_run()])] == [2]


@given(st.lists(st.lists(st.none() | st.floats(0, 1), max_size=5), min_size=1, max_size=4))
def test_a_mean_line_is_the_mean_of_what_is_known(several):
    line = mean_line("a", several, "c0")
    assert len(line.values) == max(map(len, several))
    for epoch, value in enumerate(line.values):
        known = [run[epoch] for run in several if len(run) > epoch and run[epoch] is not None]
        assert value == (pytest.approx(sum(known) / len(known)) if known else None)
        if line.low:
            assert line.low[epoch] == (min(known) if known else None)
            assert line.high[epoch] == (max(known) if known else None)
    assert bool(line.low) == (len(several) > 1 and bool(line.values))


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [([0.5, 0.9, 0.9, 0.1], (0.9, 2)), ([], None), ([None, 0.1], (0.1, 2)), ([None], None)],
)
def test_the_best_epoch_is_the_first_of_the_best(accuracies, expected):
    assert best_of(make_run(accuracies)) == expected


def test_names_are_text_whatever_they_hold():
    runs = [make_run(**{HOSTILE: HOSTILE}), make_run(state=HOSTILE), make_run([], layers="<b>")]
    text = page_of("t", compare.body("t", runs, ""), runs, live=False)
    page = Parsed(text)
    assert page.of("b", "x") == []
    assert len(page.of("script")) == 1
    assert page.text.count(HOSTILE[:20]) >= 2
    assert "<b>" in page.text


def test_many_runs_of_other_lengths_make_a_page():
    runs = [make_run([0.5] * (i % 4), rate=i) for i in range(40)]
    page = Parsed(page_of("t", compare.body("t", runs, "Going on."), runs, live=True))
    assert page.is_live
    assert len(page.of("tr")) == 41
    assert "This page loads itself again" in page.text


def test_a_browser_shows_a_comparison(swept, tmp_path):
    with browser_with(tmp_path / "browser") as browser:
        browser.get(swept[0].as_uri())
        heights = browser.execute_script(
            "const charts = [...document.querySelectorAll('svg')];"
            "return charts.map(chart => chart.getBoundingClientRect().height)"
        )
        assert len(heights) == 6
        assert min(heights) > 50
        assert browser.get_log("browser") == []
