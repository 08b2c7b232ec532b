import gzip
import hashlib
import http.server
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import load
from models.data import Pairs
from models.load import load_data

REAL_DATA = os.environ.get("TINYGRAPH_DATA")
CACHE_FOLDER = load._cache_folder
NAMES = list(load._CHECKSUMS)
TRAIN_COUNT, TEST_COUNT, ROWS, COLUMNS = 12, 5, 3, 4


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """No data in the environment, the working directory and the cache, and no download."""
    monkeypatch.delenv("TINYGRAPH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load, "_SOURCES", ())
    monkeypatch.setattr(load, "_cache_folder", lambda: tmp_path / "cache")


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_files():
    """Images and labels of a training and a test set, and the same as the content of files."""
    random = np.random.default_rng(1)
    arrays = []
    for count in (TRAIN_COUNT, TEST_COUNT):
        arrays.append(random.integers(0, 256, (count, ROWS, COLUMNS)))
        arrays.append(random.integers(0, 10, count))
    return arrays, {name: idx(array) for name, array in zip(NAMES, arrays, strict=True)}


def compress(content):
    return gzip.compress(content, mtime=0)


def write_idx(folder, compressed=True, **changed):
    """Write the four files; `changed` replaces the content of some, by the start of their name."""
    folder.mkdir(exist_ok=True)
    for name, content in idx_files()[1].items():
        content = changed.get(name.split("-idx")[0].replace("-", "_"), content)
        if compressed:
            (folder / name).write_bytes(compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)
    return folder


def sound_parts():
    random = np.random.default_rng(2)
    counts = (7, 3, 4)
    return [(random.random((n, 6), np.float32), random.integers(0, 10, n)) for n in counts]


def write_pickle(path, parts):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(compress(pickle.dumps(tuple(parts), 2)))
    return path


def assert_same(got, expected):
    for (x, y), (expected_x, expected_y) in zip(got, expected, strict=True):
        np.testing.assert_array_equal(x, expected_x, strict=True)
        np.testing.assert_array_equal(y, expected_y, strict=True)


@pytest.mark.parametrize("compressed", [True, False])
def test_idx_files_are_scaled_and_split(tmp_path, compressed):
    (images, labels, test_images, test_labels), _ = idx_files()
    got = load_data(True, write_idx(tmp_path / "idx", compressed))
    x = (images.reshape(TRAIN_COUNT, -1) / 256).astype(np.float32)
    test_x = (test_images.reshape(TEST_COUNT, -1) / 256).astype(np.float32)
    assert_same(got, [(x[:10], labels[:10]), (x[10:], labels[10:]), (test_x, test_labels)])


def test_pairs_hold_the_arrays_of_the_original(tmp_path):
    folder = write_idx(tmp_path / "idx")
    for pairs, (x, y) in zip(load_data(path=folder), load_data(True, folder), strict=True):
        assert isinstance(pairs, Pairs)
        assert pairs.classes == 10
        np.testing.assert_array_equal(pairs.x, x, strict=True)
        np.testing.assert_array_equal(pairs.y, y, strict=True)


def test_pickled_arrays_are_read_from_a_file_or_its_folder(tmp_path):
    path = write_pickle(tmp_path / "folder" / "mnist.pkl.gz", sound_parts())
    assert_same(load_data(True, path), sound_parts())
    assert_same(load_data(True, path.parent), sound_parts())
    (tmp_path / "plain.pkl").write_bytes(gzip.decompress(path.read_bytes()))
    assert_same(load_data(True, str(tmp_path / "plain.pkl")), sound_parts())


def test_other_dtypes_in_a_pickle_become_float32_and_int64(tmp_path):
    parts = [(x.astype(float), y.astype(np.uint8)) for x, y in sound_parts()]
    assert_same(load_data(True, write_pickle(tmp_path / "a.pkl.gz", parts)), sound_parts())


def test_the_embedded_digits_are_scaled_and_dealt_out_evenly():
    parts = load_data(True, "digits")
    assert [len(x) for x, _ in parts] == [1200, 199, 398]
    for x, y in parts:
        assert x.shape == (len(y), 784)
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.min() == 0
        assert x.max() == 1
        shares = np.bincount(y, minlength=10) / len(y)
        assert abs(shares - 0.1).max() < 0.01
    assert_same(load_data(True, "digits"), parts)


def test_scaling_of_the_digits_interpolates_linearly():
    weights = load._interpolation(8, 28)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    centres = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    expected = np.interp(centres, np.arange(8), np.arange(8) ** 2)
    np.testing.assert_allclose(weights @ np.arange(8) ** 2, expected, rtol=1e-5)
    # The first digit of the file is a 0: dark in the middle, with a bright ring.
    image = load_data(True, "digits")[0][0][0].reshape(28, 28)
    assert image[14, 14] < 0.1 < 0.5 < image[14].max()


def test_the_first_source_that_is_there_is_taken_and_named(tmp_path, monkeypatch, capsys):
    def source():
        load_data()
        return capsys.readouterr().out.splitlines()[-1]

    assert source() == (
        "Data: 1797 embedded digits, scaled from 8x8 (1200 training, 199 validation, 398 test)"
    )
    write_idx(tmp_path / "cache")
    assert source() == f"Data: {tmp_path / 'cache'} (10 training, 2 validation, 5 test)"
    here = write_pickle(tmp_path / "mnist.pkl.gz", sound_parts())
    assert source() == f"Data: {here} (7 training, 3 validation, 4 test)"
    monkeypatch.setenv("TINYGRAPH_DATA", str(write_idx(tmp_path / "idx")))
    assert source().startswith(f"Data: {tmp_path / 'idx'} (")
    load_data(path="digits")
    assert "embedded digits" in capsys.readouterr().out


def test_without_a_source_that_answers_the_download_is_skipped_in_a_line(capsys):
    load_data()
    assert capsys.readouterr().out.startswith("Download of MNIST skipped: no source answers within")


def test_without_pooch_the_download_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr(load, "_cache_folder", CACHE_FOLDER)
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None)
    load_data()
    assert "it needs pooch, pip install tinygraph[models]" in capsys.readouterr().out


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on this machine that stands in for the public ones."""
    folder = write_idx(tmp_path / "served")
    handler = partial(QuietHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(load, "_SOURCES", (f"http://127.0.0.1:{server.server_port}/",))
    checksums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in NAMES}
    monkeypatch.setattr(load, "_CHECKSUMS", checksums)
    yield folder
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_a_download_fills_the_cache(server, tmp_path, capsys):
    expected = load_data(True, server)
    assert_same(load_data(True), expected)
    assert f"Data: {tmp_path / 'cache'} (" in capsys.readouterr().out
    for name in NAMES:
        (server / name).unlink()
    assert_same(load_data(True), expected)


def test_a_download_with_another_checksum_is_not_kept(server, tmp_path, capsys):
    (server / NAMES[3]).write_bytes(b"something else")
    load_data()
    output = capsys.readouterr().out
    assert "Download of MNIST from http://127.0.0.1" in output
    assert "embedded digits" in output
    assert not (tmp_path / "cache" / NAMES[3]).exists()


def test_a_source_that_never_answers_is_given_up(monkeypatch, capsys):
    monkeypatch.setattr(load, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(load, "_SOURCES", (f"http://127.0.0.1:{port}/",))
        load_data()
    assert "no source answers within 0.1 s" in capsys.readouterr().out


def test_a_path_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere is neither a file nor a folder"):
        load_data(path=tmp_path / "nowhere")
    monkeypatch.setenv("TINYGRAPH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="TINYGRAPH_DATA"):
        load_data()


def test_a_folder_without_all_files_names_the_missing_ones(tmp_path):
    folder = write_idx(tmp_path / "idx")
    (folder / NAMES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"idx holds neither .* missing: {NAMES[1]} "):
        load_data(path=folder)


def test_fashion_is_read_from_its_package_or_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "_FASHION", tmp_path / "fashion-mnist")
    with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
        load_data(path="fashion")
    write_idx(tmp_path / "fashion-mnist")
    assert [len(part) for part in load_data(path="fashion")] == [10, 2, 5]


TRAIN_IMAGES, TRAIN_LABELS, *_ = idx_files()[1].values()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": b""}, r"train-images\S+ starts with ''; expected an IDX file"),
        ({"train_images": TRAIN_IMAGES[:9]}, "train-images.*expected an IDX file"),
        ({"train_images": TRAIN_LABELS}, "train-images.*starts with '00 00 08 01.*'00 00 08 03'"),
        ({"train_images": TRAIN_IMAGES[:-1]}, r"announces 144 .*\(12, 3, 4\), and holds only 143"),
        ({"train_images": TRAIN_IMAGES + b"\0"}, "train-images.*announces 144 .*and holds more"),
        ({"train_images": idx(np.zeros((12, 0, 4)))}, "train-images.*holds no pixels"),
        ({"train_images": idx(np.zeros((11, 3, 4)))}, "11 images and .*train-labels.* 12 labels"),
        ({"train_images": b"\0\0\b\3" + b"\xff" * 12}, "train-images.*announces 79228.* at most"),
        ({"t10k_images": idx(np.zeros((5, 4, 4)))}, r"images of 12 pixels, .*t10k\S+ of 16"),
        ({"t10k_labels": idx(np.array([1, 2, 3, 4, 10]))}, "t10k-labels.*labels from 1 to 10"),
        ({"t10k_labels": idx(np.zeros(0)), "t10k_images": idx(np.zeros((0, 3, 4)))}, "no pixels"),
        (
            {"train_labels": idx(np.zeros(5)), "train_images": idx(np.zeros((5, 3, 4)))},
            "holds 5 images; expected 6 at least",
        ),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_idx_files_that_do_not_fit_are_refused_by_name(tmp_path, changed, message, compressed):
    folder = write_idx(tmp_path / "idx", compressed, **changed)
    with pytest.raises(ValueError, match=message):
        load_data(path=folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.booleans(), st.data())
def test_truncated_idx_files_are_a_value_error(tmp_path, name, compressed, data):
    file = write_idx(tmp_path / f"compressed {compressed}", compressed) / name
    file = file if compressed else file.with_suffix("")
    content = file.read_bytes()
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ValueError, match=str(file)):
        load_data(path=file.parent)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.data())
def test_damaged_gzip_files_are_a_value_error_or_the_same_data(tmp_path, name, data):
    folder = write_idx(tmp_path / "idx")
    expected = load_data(True, folder)
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    try:
        got = load_data(True, folder)
    except ValueError as error:
        message = str(error)
    else:
        message = str(folder / name)
        assert_same(got, expected)
    assert str(folder / name) in message


def test_a_file_that_unpacks_to_too_much_is_refused_unexpanded(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "_MAX_BYTES", 1000)
    (tmp_path / "bomb.gz").write_bytes(compress(bytes(2**24)))
    folder = write_idx(tmp_path / "idx", train_images=TRAIN_IMAGES + bytes(2**24))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.gz unpacks to over 1000 bytes"):
        load_data(path=tmp_path / "bomb.gz")
    with pytest.raises(ValueError, match=r"train-images.*and holds more"):
        load_data(path=folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


X, Y = sound_parts()[0]


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ((X, Y, Y), "does not hold three pairs"),
        (X, "does not hold three pairs"),
        ((X.tolist(), Y), r"training data: got a list; expected a floating array x"),
        ((X[0], Y), r"training data: got an array of shape \(6,\)"),
        ((X[:0], Y[:0]), r"training data: got an array of shape \(0, 6\)"),
        ((X.astype(int), Y), "dtype int64; expected a floating array x of shape"),
        ((X, Y.astype(float)), "dtype float64; expected an integer array y of shape"),
        ((X, Y[:, None]), r"shape \(7, 1\) and dtype int64; expected an integer array y"),
        ((X, Y[:-1]), "got 7 images and 6 labels; expected as many"),
        ((np.where(X[2, 1] == X, np.nan, X), Y), r"x holds nan at index \(2, 1\)"),
        ((np.where(X[2, 1] == X, np.inf, X), Y), r"x holds inf at index \(2, 1\)"),
        ((X, Y - Y.min() - 1), "training data: got labels from -1 to"),
        ((X, np.full(7, 10)), "training data: got labels from 10 to 10; expected 0 to 9"),
        ((X[:, :5], Y), r"images of \[5, 6, 6\] pixels"),
    ],
)
def test_pickled_arrays_that_do_not_fit_are_refused_by_name(tmp_path, training, message):
    path = write_pickle(tmp_path / "a.pkl.gz", [training, *sound_parts()[1:]])
    with pytest.raises(ValueError, match=rf"a\.pkl\.gz.*{message}"):
        load_data(path=path)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path):
    path = write_pickle(tmp_path / "mnist.pkl.gz", [Hostile()])
    with pytest.raises(ValueError, match=r"mnist\.pkl\.gz is refused.*mkdir"):
        load_data()
    assert list(tmp_path.iterdir()) == [path]


def test_an_idx_file_in_place_of_its_folder_is_explained(tmp_path):
    folder = write_idx(tmp_path / "idx")
    with pytest.raises(ValueError, match="one of the IDX files; expected the folder"):
        load_data(path=folder / NAMES[0])


def test_old_scripts_import_the_modules_without_the_package(tmp_path):
    code = "import load; a, b, c = load.load_data(path='digits'); print(len(a), a[0][0].shape)"
    models = Path(load.__file__).parent
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(models)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "1200 (784, 1)"


def test_both_forms_of_real_mnist_agree():
    if not REAL_DATA or not load._holds_data(Path(REAL_DATA)):
        pytest.skip("TINYGRAPH_DATA names no folder with MNIST")
    got = load_data(True, REAL_DATA)
    assert [x.shape for x, _ in got] == [(50_000, 784), (10_000, 784), (10_000, 784)]
    assert [y[:5].tolist() for _, y in got] == [[5, 0, 4, 1, 9], [3, 8, 6, 9, 6], [7, 2, 1, 0, 4]]
    if not (Path(REAL_DATA) / "mnist.pkl.gz").exists():
        pytest.skip("TINYGRAPH_DATA holds no mnist.pkl.gz to compare with")
    assert_same(got, load_data(True, Path(REAL_DATA) / "mnist.pkl.gz"))
