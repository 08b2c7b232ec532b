import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models import mnist
from models.activation import Activation, Tanh
from models.load import load_data
from models.network import NeuralNetwork
from models.page import page_of, read_runs
from models.record import (
    Record,
    confusion,
    gradients_of_weights,
    outputs_of_layers,
    quantiles,
    some_of,
)
from models.report import Report, as_image, averaged, confidence, side, sure_percent
from tests.browser import browser_with
from tests.models.pages import HOSTILE, Parsed, parsed


def make_data(count=60, inputs=2, classes=2, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, inputs)).astype(np.float32)
    return x, np.argmax(x @ random.normal(size=(inputs, classes)), axis=1)


def make_network(layers=(2, 8, 2), activations=("tanh", "identity"), **options):
    return NeuralNetwork(layers, activations, **{"seed": 0, **options})


def train(path, network=None, data=None, epochs=3, callbacks=(), options=None, **about):
    """Train with a report, and give the page and the history."""
    network = make_network() if network is None else network
    data = make_data(100, network.layers[0], network.layers[-1]) if data is None else data
    options = {"progress": False, **(options or {})}
    with Report(path, network, data, epochs=epochs, **about) as report:
        history = network.train(
            data, options.pop("rate", 0.1), epochs, 20, callbacks=[report, *callbacks], **options
        )
    return parsed(path), history


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The page of a short training on the embedded digits, its run, and the network's file."""
    folder = tmp_path_factory.mktemp("digits")
    page = folder / "report.html"
    options = "--data digits --layers 784,20,10 --activations tanh,identity --epochs 3"
    options += f" --no-progress --save {folder / 'net'} --report {page}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mnist.main(options.split())
    (run,) = read_runs(page)
    return parsed(page), run, folder / "net"


def test_a_report_has_all_its_parts(trained):
    page, run, _ = trained
    headings = [text for tag, text in page.texts if tag == "h2"]
    assert headings == [
        "What is taken for what",
        "The worst mistakes",
        "The first layer's weights",
        "Layer by layer",
    ]
    assert [text for tag, text in page.texts if tag == "h3"] == [
        "Layer 1: 784 → 20, Tanh()",
        "Layer 2: 20 → 10, Identity()",
    ]
    assert len(page.of("svg")) == 4 + 2 * 3
    assert [image["alt"] for image in page.of("img") if image["alt"].startswith("unit")] == [
        f"unit {i}" for i in range(1, 21)
    ]
    assert not page.is_live
    assert "Finished: 3 of 3 epochs." in page.text
    assert run["settings"]["layers"] == "784-20-10"
    assert "cross_entropy" in page.text


def test_a_report_shows_what_the_network_confuses(trained):
    page, run, file = trained
    network = make_network([784, 20, 10])
    network.restore(file)
    _, validation, _ = load_data(path="digits")
    predicted = network.predict(validation.x)
    wrong = np.flatnonzero(predicted != validation.y)
    cells = [int(data) for tag, data in page.texts if tag == "td" and re.fullmatch(r"\d+", data)]
    pairs = sorted(zip(validation.y[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    rights = [int(np.sum((predicted == validation.y) & (validation.y == i))) for i in range(10)]
    assert all(count in cells for count in rights if count)
    shown = [attributes for attributes in page.of("figure") if "title" in attributes]
    assert {figure["title"] for figure in shown} == {f"sample {i}" for i in wrong}
    captions = re.findall(r"(\d) taken for (\d) ?(\d+\.\d\d) %", page.text)
    assert sorted((int(a), int(b)) for a, b, _ in captions) == pairs
    sure = [float(c) for _, _, c in captions]
    assert sure == sorted(sure, reverse=True)
    assert run["history"]["accuracy"][-1] == network.eval(validation)


def test_a_report_keeps_its_run(trained):
    _, run, file = trained
    assert run["state"] == "finished"
    assert len(run["history"]["loss"]) == len(run["history"]["accuracy"]) == 3
    assert len(run["notes"]) == 4
    for note, accuracy in zip(run["notes"][1:], run["history"]["accuracy"], strict=True):
        assert note["test_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert len(note["quantiles"]) == len(note["gradient_sizes"]) == 2
    seconds = [note["seconds"] for note in run["notes"]]
    assert seconds == sorted(seconds)
    network = make_network([784, 20, 10])
    network.restore(file)
    assert run["parameters"] == sum(node.size for node in network.parameters)


def test_a_training_with_a_report_is_the_same_training(tmp_path):
    alone, watched = make_network(), make_network()
    expected = alone.train(make_data(100), 0.1, 3, 20, progress=False)
    _, history = train(tmp_path / "page.html", watched)
    assert history == expected
    for a, b in zip(alone.parameters, watched.parameters, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert alone.random.bit_generator.state == watched.random.bit_generator.state


def test_the_page_is_live_while_the_training_goes_on(tmp_path):
    path, seen = tmp_path / "page.html", []

    def look(network, epoch, history):
        page = parsed(path)
        seen.append((page.is_live, re.search(r"After epoch \d of 4", page.text)[0]))

    page, _ = train(path, epochs=4, callbacks=[look], options={"test": make_data(30)})
    assert [live for live, _ in seen] == [True] * 4
    assert seen[0][1] in ("After epoch 0 of 4", "After epoch 1 of 4")
    assert not page.is_live
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_drawing_takes_a_small_share_of_the_time(tmp_path):
    network, data = make_network(), make_data()
    with Report(tmp_path / "page.html", network, data, epochs=9) as report:
        report.page.seconds = 1e6
        report(network, 1, {"loss": [1.0]})
        assert "After epoch 0 of 9" in parsed(report.page.path).text
        report.page.seconds = 0.0
        report(network, 2, {"loss": [1.0, 0.5]})
        assert "After epoch 2 of 9" in parsed(report.page.path).text


def test_a_reader_never_sees_half_a_page(tmp_path):
    path, seen, done = tmp_path / "page.html", [], threading.Event()

    def read():
        while not done.is_set():
            if path.exists():
                seen.append(path.read_text(encoding="utf-8"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        network, data = make_network(), make_data()
        with Report(path, network, data, epochs=20) as report:
            for epoch in range(1, 21):
                report.page.seconds = 0.0
                report(network, epoch, {"loss": [1.0] * epoch})
    finally:
        done.set()
        reader.join()
    assert len(set(seen)) > 1
    assert all(text.endswith("</html>\n") for text in seen)


def test_a_page_that_cannot_be_replaced_stays_and_the_training_goes_on(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "page.html"

    def full(self, target):
        raise OSError(28, "No space left on device")

    def fill(network, epoch, history):
        report.page.seconds = 0.0
        if epoch == 1:
            monkeypatch.setattr(Path, "replace", full)
        if epoch == 2:
            monkeypatch.undo()

    network, data = make_network(), make_data()
    with Report(path, network, data, epochs=3) as report:
        network.train(data, 0.1, 3, 20, callbacks=[fill, report], progress=False)
    assert capsys.readouterr().out.count("No space left on device; the training goes on") == 1
    assert "Finished: 3 of 3" in parsed(path).text
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("place", ["missing/report.html", "."])
def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    place, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        mnist.main(["--data", "digits", "--no-progress", "--report", place])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert f"report: {place} cannot be written; expected a file in a writable" in printed.err
    assert "epoch" not in printed.out
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverges_leaves_a_page_up_to_there(tmp_path):
    def rate(step):
        return 1e30 if step == 13 else 0.1

    network = make_network(activations=["relu", "identity"])
    with pytest.raises(FloatingPointError, match="in epoch 3"):
        train(tmp_path / "page.html", network, epochs=9, options={"rate": rate})
    page = parsed(tmp_path / "page.html")
    assert "Stopped after 2 of 9 epochs: the loss became" in page.text
    assert "after epoch 2." in page.text
    assert page.of("p", "trouble")
    assert not page.is_live
    assert len(read_runs(tmp_path / "page.html")[0]["history"]["loss"]) == 2


def test_a_training_that_diverges_at_once_shows_the_start(tmp_path):
    network = make_network(activations=["relu", "identity"])
    with pytest.raises(FloatingPointError, match="in epoch 1"):
        train(tmp_path / "page.html", network, options={"rate": 1e30})
    page = parsed(tmp_path / "page.html")
    assert "Stopped after 0 of 3 epochs" in page.text
    assert "after epoch 0." in page.text


def test_a_training_that_is_interrupted_ends_its_page(tmp_path):
    def interrupt(network, epoch, history):
        if epoch == 2:
            raise KeyboardInterrupt

    page, history = train(tmp_path / "page.html", epochs=5, callbacks=[interrupt])
    assert len(history["loss"]) == 2
    assert "Ended early: 2 of 5 epochs." in page.text
    assert not page.is_live


def resumed(tmp_path, epochs, seed=0, path="page.html"):
    options = {"save": tmp_path / "net", "checkpoint_every": 1, "resume": True}
    network = make_network(seed=seed)
    return train(tmp_path / path, network, epochs=epochs, resume=True, options=options)


def test_a_training_that_is_resumed_goes_on_in_its_page(tmp_path):
    resumed(tmp_path, 2)
    (first,) = read_runs(tmp_path / "page.html")
    page, history = resumed(tmp_path, 5, seed=1)
    (run,) = read_runs(tmp_path / "page.html")
    assert "Finished: 5 of 5" in page.text
    assert run["history"] == history
    assert run["notes"][:3] == first["notes"]
    assert run["start"] == first["start"]
    assert len(run["notes"]) == 6
    seconds = [note["seconds"] for note in run["notes"]]
    assert seconds == sorted(seconds)


def test_a_finished_training_that_is_resumed_keeps_its_page(tmp_path):
    resumed(tmp_path, 2)
    (first,) = read_runs(tmp_path / "page.html")
    page, _ = resumed(tmp_path, 2, seed=1)
    assert read_runs(tmp_path / "page.html") == [first]
    assert "after epoch 2." in page.text


@pytest.mark.parametrize("other", [None, "another training"])
def test_a_resumed_training_without_its_page_has_gaps(tmp_path, other):
    resumed(tmp_path, 2)
    (tmp_path / "page.html").unlink()
    if other:
        train(tmp_path / "page.html", make_network(seed=7))
    page, history = resumed(tmp_path, 4)
    (run,) = read_runs(tmp_path / "page.html")
    assert [note is None for note in run["notes"]] == [True] * 3 + [False] * 2
    assert run["history"] == history
    assert run["start"] is None
    assert "Finished: 4 of 4" in page.text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<html>",
        page_of("t", "", [], False).replace("tinygraph runs 1", "other"),
        page_of("t", "", [], False),
        page_of("t", "", [{"settings": 3}], False),
        page_of("t", "", [{"notes": [], "history": {"loss": ["a"]}}], False),
    ],
)
def test_a_page_that_is_no_report_is_not_taken_for_one(content, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"page\.html holds no runs \('tinygraph runs 1'\)"):
        read_runs(path)
    with pytest.raises(ValueError, match=r"page\.html holds no runs"):
        Report(path, make_network(), make_data(), epochs=1, resume=True)
    assert path.read_text() == content


def test_a_second_training_with_one_report_begins_anew(tmp_path):
    network, data = make_network(), make_data()
    with Report(tmp_path / "page.html", network, data, epochs=3) as report:
        for _ in range(2):
            history = network.train(data, 0.1, 3, 20, callbacks=[report], progress=False)
    (run,) = read_runs(tmp_path / "page.html")
    assert run["history"] == history
    assert len(run["notes"]) == 4


class Named(Tanh):
    def __repr__(self):
        return HOSTILE


def test_names_are_text_whatever_they_hold(tmp_path):
    network = make_network([3, 4, 2], [Named, "identity"])
    page, _ = train(
        tmp_path / "page.html",
        network,
        classes=[HOSTILE, "<i>"],
        settings={HOSTILE: HOSTILE, "layers": HOSTILE},
        loss="cross_entropy",
        options={"loss": "cross_entropy"},
    )
    assert page.of("b") == page.of("i") == []
    assert page.text.count(HOSTILE) >= 4
    assert read_runs(tmp_path / "page.html")[0]["settings"][HOSTILE] == HOSTILE


def test_names_of_classes_have_to_be_as_many_as_the_classes(tmp_path):
    with pytest.raises(ValueError, match="classes: expected 2 names, one a class, got 3"):
        Report(tmp_path / "page.html", make_network(), make_data(), epochs=1, classes="abc")


class Rough(Activation):
    """An activation that gives NaN and infinity for some inputs, with warnings."""

    def result(self, x):
        return np.log(x)

    def prime(self, x):
        return 1 / x


@pytest.mark.parametrize(
    ("layers", "activations", "options"),
    [
        ([2, 2], ["identity"], {}),
        ([1, 1], ["sigmoid"], {}),
        ([3, 700, 2], ["relu", "identity"], {}),
        ([900, 3, 2], ["tanh", "identity"], {}),
        ([16, 4, 21], ["elu", "sigmoid"], {"loss": "binary_cross_entropy"}),
        ([17, 4, 30], ["softplus", "identity"], {"loss": "cross_entropy"}),
        ([4, 3, 1100], ["tanh", "tanh"], {"loss": "quadratic"}),
        ([5, *[4] * 9, 3], ["sigmoid"] * 10, {}),
        ([1000, 5, 2], ["tanh", "identity"], {"dtype": np.float64}),
        ([64, 5, 2], ["tanh", "identity"], {"dtype": np.float16}),
    ],
)
def test_any_network_has_a_report(layers, activations, options, tmp_path):
    loss = options.get("loss")
    network = make_network(layers, activations, dtype=options.get("dtype", np.float32))
    data = make_data(40, layers[0], layers[-1])
    page, _ = train(
        tmp_path / "page.html", network, data, 2, loss=loss, options={"loss": loss, "rate": 0.01}
    )
    assert len(page.of("h3")) == len(layers) - 1
    images = [image for image in page.of("img") if image["alt"].startswith("unit")]
    is_square = side(layers[0]) is not None
    assert len(images) == (min(layers[1], 100) if is_square else 0)
    assert bool(page.of("table", "confusion")) == (layers[-1] <= 20)


def test_a_large_network_has_a_page_that_is_not_large(tmp_path):
    network = make_network([784, 500, 500, 100], ["relu", "relu", "identity"])
    page, _ = train(tmp_path / "page.html", network, make_data(300, 784, 100), 1)
    assert "the 100 with the largest weights of the 500 units" in page.text


def test_activations_that_are_not_finite_are_counted_apart(tmp_path):
    network = make_network(activations=[Rough, "identity"])
    with (
        pytest.raises(FloatingPointError),
        Report(tmp_path / "page.html", network, make_data(), epochs=1) as report,
    ):
        network.train(make_data(), 0.1, 1, 20, callbacks=[report], progress=False)
    assert "NaN or infinite" in parsed(tmp_path / "page.html").text


def test_with_validation_samples_the_page_has_both_curves(tmp_path):
    test = make_data(30, seed=1)
    network, data = make_network(), make_data()
    with Report(tmp_path / "page.html", network, data, test, epochs=2) as report:
        network.train(data, 0.1, 2, 20, test=test, callbacks=[report], progress=False)
    page = parsed(tmp_path / "page.html")
    keys = [text for tag, text in page.texts if tag == "span"]
    assert keys[:4] == ["training, mean of the epoch", "validation", "training", "validation"]
    assert "The 30 validation samples" in page.text


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_a_confusion_matrix_counts_pairs(pairs):
    true, predicted = np.array(pairs).T
    found = confusion(true, predicted, 5)
    assert found.shape == (5, 5)
    for i in range(5):
        for j in range(5):
            assert found[i, j] == pairs.count((i, j))


@given(
    hnp.arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-9, 9))
)
def test_blocks_are_averaged(array):
    np.testing.assert_array_equal(averaged(array, array.shape), array)
    np.testing.assert_allclose(averaged(array, (1, 1)), [[array.mean()]], atol=1e-12)
    smaller = averaged(array, (4, 3))
    assert smaller.shape == (min(4, len(array)), min(3, array.shape[1]))
    assert array.min() - 1e-12 <= smaller.min() <= smaller.max() <= array.max() + 1e-12


def test_quantiles_leave_out_what_is_not_finite():
    values = np.array([np.nan, np.inf, *np.arange(101.0)], np.float32)
    assert quantiles(values) == [1, 25, 50, 75, 99]
    assert quantiles(values[:2]) == [None] * 5


def test_gradients_are_those_of_the_loss_and_others_are_left_alone():
    network = make_network(dtype=float)
    record = Record(network, make_data(), epochs=1, regular=0.1, loss="quadratic")
    for node in network.parameters:
        node.grad = np.ones(node.shape)
    found = gradients_of_weights(network, record.training, 0.1, "quadratic")
    assert all(np.all(node.grad == 1) for node in network.parameters)
    for node in network.parameters:
        node.grad = None
    network.loss(record.training.x, record.training.y, 0.1, "quadratic").backward()
    for gradient, node in zip(found, network.parameters, strict=False):
        np.testing.assert_array_equal(gradient, node.grad)


def test_outputs_of_layers_end_with_those_of_the_network():
    network, (x, _) = make_network([2, 8, 5, 2], ["relu", "tanh", "sigmoid"]), make_data()
    biases = [b.ravel() for b in network.biases]
    outputs = outputs_of_layers(network.weights, biases, network.activations, x)
    assert [a.shape for a in outputs] == [(60, 8), (60, 5), (60, 2)]
    np.testing.assert_array_equal(outputs[-1], network.feedforward(x))


def test_some_samples_stand_for_all_of_sorted_data():
    network = make_network()
    x, y = make_data(8000)
    y.sort()
    record = Record(network, (x, y), epochs=1)
    assert record.training.name == "800 of the 8,000 training samples"
    assert record.training.y.mean(axis=0) == pytest.approx([1 - y.mean(), y.mean()], abs=0.01)
    assert some_of(record.training).name == "500 of the 800 of the 8,000 training samples"


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_confidence_is_a_probability_where_the_loss_has_a_softmax(loss):
    outputs = np.array([[0.0, np.log(3.0)], [800.0, 0.0]], np.float32)
    sure, _ = confidence(outputs, loss)
    expected = [0.75, 1.0] if loss == "cross_entropy" else [np.log(3.0), 800.0]
    np.testing.assert_allclose(sure, expected, rtol=1e-6)
    assert sure_percent(0.99991) == "> 99.99 %"
    assert sure_percent(0.98765) == "98.77 %"


def test_images_are_squares_of_some_size():
    assert [side(inputs) for inputs in (784, 16, 15, 9, 783)] == [28, 4, None, None, None]
    assert as_image(np.arange(16)).tolist()[1] == [4, 5, 6, 7]


def test_data_in_a_page_cannot_end_it():
    text = page_of("t", "", [{"settings": {"a": HOSTILE}}], False)
    Parsed(text)
    data = re.search(r'id="runs">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data)["runs"][0]["settings"]["a"] == HOSTILE


def test_a_browser_shows_a_report_and_loads_it_again_until_it_is_final(tmp_path):
    network, data = make_network([16, 6, 3]), make_data(80, 16, 3)
    path = tmp_path / "page.html"
    with browser_with(tmp_path / "browser") as browser:
        with Report(path, network, data, epochs=2) as report:
            browser.get(path.as_uri())
            state = browser.find_element("class name", "state").text
            assert state == "After epoch 0 of 2. This page loads itself again."
            network.train(data, 0.1, 2, 20, callbacks=[report], progress=False)
        support = pytest.importorskip("selenium.webdriver.support.ui")
        support.WebDriverWait(browser, 20).until(
            lambda b: "Finished" in b.execute_script("return document.body.textContent")
        )
        images, decoded, charts = browser.execute_script(
            "const all = [...document.images];"
            "return [all.length, all.filter(i => i.complete && i.naturalWidth).length,"
            "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)]"
        )
        assert images == decoded > 6
        assert len(charts) == 4 + 2 * 3
        assert min(charts) > 50
        assert browser.get_log("browser") == []
