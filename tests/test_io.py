"""What is saved comes back bit for bit, whatever happens to the process or the file."""

import json
import math
import os
import pickle
import resource
import subprocess
import sys
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from safetensors.numpy import load_file, save_file

from tinygraph import io

DTYPES = sorted(io.DTYPES)
EXAMPLE = {
    "weights": [np.arange(6, dtype=np.float32).reshape(2, 3), np.float64([[1.5], [np.nan]])],
    "epoch": 3,
    "history": ({"loss": 0.25, "accuracy": None},),
}


class Pair(NamedTuple):
    first: int
    second: int


class HasValue:
    """What io needs of a Node."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value


def fingerprint(tree: Any) -> Any:
    """Turn a tree into something that is equal only for trees of the same bits and types."""
    if isinstance(tree, dict):
        return ["dict", *((key, fingerprint(item)) for key, item in tree.items())]
    if isinstance(tree, (list, tuple)):
        return [type(tree), *map(fingerprint, tree)]
    if isinstance(tree, (np.ndarray, np.generic)):
        return [type(tree), tree.dtype.str, tree.shape, tree.tobytes()]
    return [type(tree), repr(tree)]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Draw arrays of random bits, so NaNs of every kind, in several memory layouts."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hypothesis_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    size = math.prod(shape) * dtype.itemsize
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    array = (bits & 1 if dtype.kind == "b" else bits).view(dtype).reshape(shape)
    layout = draw(st.sampled_from(["plain", "transposed", "strided", "scalar"]))
    if layout == "transposed":
        return array.T
    if layout == "strided" and array.ndim:
        return array[::-2]
    return array[()] if layout == "scalar" else array


KEYS = st.text(max_size=3) | st.text(".%_0aE2", max_size=4) | st.just("__metadata__")
PYTHON_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(st.characters())
)
TREES = st.recursive(
    arrays() | PYTHON_VALUES,
    lambda trees: (
        st.dictionaries(KEYS, trees, max_size=4)
        | st.lists(trees, max_size=4)
        | st.lists(trees, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


@given(tree=TREES)
def test_random_trees_come_back_bit_for_bit(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "random.tg"
    io.save(path, tree)
    assert fingerprint(io.load(path)) == fingerprint(tree)
    assert fingerprint(io.load(path, like=tree)) == fingerprint(tree)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loaded_arrays_are_the_callers_own(tmp_path, dtype):
    tree = [np.ones(shape, dtype) for shape in [(), (0,), (2, 0), (0, 2), (3, 2)]]
    io.save(tmp_path / "a", tree)
    loaded = io.load(tmp_path / "a")
    assert fingerprint(loaded) == fingerprint(tree)
    for array in loaded:
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.aligned
        array[...] = 0
    assert fingerprint(io.load(tmp_path / "a")) == fingerprint(tree)


def test_any_reader_of_safetensors_finds_the_arrays_by_their_paths(tmp_path):
    io.save(tmp_path / "save.pkl", EXAMPLE)
    tensors = load_file(tmp_path / "save.pkl")
    assert sorted(tensors) == ["weights.0", "weights.1"]
    assert np.array_equal(tensors["weights.0"], EXAMPLE["weights"][0])


def test_keys_that_no_tensor_can_be_named_after_come_back(tmp_path):
    dotted = {"a.b": np.ones(1), "a": {"b": np.zeros(1)}, "a%002Eb": np.ones(2)}
    tree = {**dotted, "": np.ones(3), "__metadata__": np.ones(4), "\ud800": np.ones(5)}
    io.save(tmp_path / "a", tree)
    assert fingerprint(io.load(tmp_path / "a")) == fingerprint(tree)


def test_a_restored_random_generator_continues_its_stream(tmp_path):
    for bits in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64):
        generator, restored = np.random.Generator(bits(1)), np.random.Generator(bits(2))
        generator.random(5)
        io.save(tmp_path / "state", generator.bit_generator.state)
        restored.bit_generator.state = io.load(tmp_path / "state")
        assert np.array_equal(generator.random(5), restored.random(5))


def test_integers_beyond_pythons_limit_of_printed_digits_come_back(tmp_path):
    number = -(7**9000)
    io.save(tmp_path / "a", [number])
    assert io.load(tmp_path / "a") == [number]


def test_the_value_of_a_node_is_saved(tmp_path):
    io.save(tmp_path / "a", {"w": HasValue(np.float32([1, 2]))})
    assert fingerprint(io.load(tmp_path / "a")) == fingerprint({"w": np.float32([1, 2])})


@pytest.mark.parametrize(
    "leaf",
    [
        np.array([None]),
        np.array(["a"]),
        np.array([b"a"]),
        np.array(["2020"], "datetime64[Y]"),
        np.zeros(2, [("x", "f4")]),
        np.ma.masked_array([1.0]),
        pytest.param(
            np.zeros(2, np.longdouble),
            marks=pytest.mark.skipif(
                np.longdouble(0).itemsize == 8, reason="long double is float64 here"
            ),
        ),
        np.str_("a"),
        Pair(1, 2),
        OrderedDict(),
        {1, 2},
        b"bytes",
        1j,
        print,
    ],
    ids=str,
)
def test_other_leaves_are_refused_by_name_before_anything_is_written(tmp_path, leaf):
    io.save(tmp_path / "a", EXAMPLE)
    with pytest.raises(TypeError, match=r"leaf 'layers\.1' .* convert it"):
        io.save(tmp_path / "a", {"layers": [1, leaf]})
    assert_only_example_in(tmp_path)


@pytest.mark.parametrize("key", [1, None, ("a", "b"), b"a", np.str_("a")])
def test_keys_that_are_no_str_are_refused_by_name(tmp_path, key):
    with pytest.raises(TypeError, match=r"dict 'a' has the key .* only str keys"):
        io.save(tmp_path / "a", {"a": {key: 1}})
    assert not list(tmp_path.iterdir())


def test_endless_and_deep_trees_are_refused(tmp_path):
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="more than 100 levels"):
        io.save(tmp_path / "a", endless)
    deep: Any = np.ones(1)
    for _ in range(100):
        deep = (deep,)
    io.save(tmp_path / "a", deep)
    assert fingerprint(io.load(tmp_path / "a")) == fingerprint(deep)
    with pytest.raises(ValueError, match="more than 100 levels"):
        io.save(tmp_path / "a", [deep])


def assert_only_example_in(folder: Path) -> None:
    """Check that the example is intact in the file "a", alone in its folder."""
    assert fingerprint(io.load(folder / "a")) == fingerprint(EXAMPLE)
    assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_while_saving_leaves_the_old_file_alone(tmp_path, monkeypatch, function, error):
    def fail(*arguments: object) -> None:
        raise error("planted")

    io.save(tmp_path / "a", EXAMPLE)
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(error, match="planted"):
        io.save(tmp_path / "a", [1])
    assert_only_example_in(tmp_path)


def test_a_full_disk_leaves_the_old_file_alone(tmp_path):
    io.save(tmp_path / "a", EXAMPLE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            io.save(tmp_path / "a", np.ones(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_only_example_in(tmp_path)


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    code = """
import itertools, sys
import numpy as np
from tinygraph import io
for generation in itertools.count():
    io.save(sys.argv[1], {"generation": generation, "array": np.full(300_000, generation)})
    print(generation, flush=True)
"""
    with run_python(code, tmp_path / "a") as process:
        printed = [int(process.stdout.readline()) for _ in range(5)]
        process.kill()
    tree = io.load(tmp_path / "a")
    assert tree["generation"] >= printed[-1]
    assert np.array_equal(tree["array"], np.full(300_000, tree["generation"]))


def test_file_and_folder_are_flushed_around_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        calls.append((Path(source).name, Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    io.save(tmp_path / "a", EXAMPLE)
    temporary = calls[0]
    assert calls == [temporary, (temporary, "a"), tmp_path.name]


def test_the_mode_follows_umask(tmp_path):
    old = os.umask(0o027)
    try:
        io.save(tmp_path / "a", EXAMPLE)
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_keeps_pointing(tmp_path, exists):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    if exists:
        io.save(target, [1])
    link.symlink_to("folder/target")
    io.save(link, EXAMPLE)
    assert os.readlink(link) == "folder/target"
    assert fingerprint(io.load(target)) == fingerprint(EXAMPLE)


def test_places_where_no_file_can_be_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="not a regular file"):
            io.save(path, EXAMPLE)
        with pytest.raises(ValueError, match="not a regular file"):
            io.load(path)
    with pytest.raises(FileNotFoundError, match="create the folder"):
        io.save(tmp_path / "missing" / "a", EXAMPLE)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        io.load(tmp_path / "missing")


def test_without_safetensors_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        io.save(tmp_path / "a", EXAMPLE)
    with pytest.raises(ImportError, match="pip install safetensors"):
        io.load(tmp_path / "a")


@given(data=st.data())
@settings(max_examples=300)
def test_damage_is_refused_and_never_changes_what_is_loaded(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.tg"
    io.save(path, EXAMPLE)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        positions = st.integers(0, len(content) - 1)
        for position in data.draw(st.sets(positions, min_size=1, max_size=4)):
            content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        tree = io.load(path)
    except ValueError:
        return
    # The header ends in blanks, and another kind of blank there is no damage.
    assert fingerprint(tree) == fingerprint(EXAMPLE)


@given(content=st.binary(max_size=200))
def test_other_files_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "other.tg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.tg is damaged .*Restore"):
        io.load(path)


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "save.pkl").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match=r"save\.pkl is damaged"):
        io.load(tmp_path / "save.pkl")
    assert not (tmp_path / "executed").exists()


def test_a_safetensors_file_from_elsewhere_is_told_apart(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "a")
    with pytest.raises(ValueError, match=r"no 'tinygraph' .*safetensors\.numpy\.load_file"):
        io.load(tmp_path / "a")


def write_forged(path: Path, structure: str, tensors: dict[str, np.ndarray]) -> None:
    """Write a file whose checksum is right, so that only the structure can give it away."""
    checksum = zlib.crc32(structure.encode())
    for tensor in tensors.values():
        checksum = zlib.crc32(tensor.data, checksum)
    metadata = {io.STRUCTURE_KEY: f"{checksum:08x} {structure}"}
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ({}, r"outside its structure: \['w'\]"),
        ({"v": ["array", "<f4", 2]}, "tensor 'v' is missing"),
        ({"w": ["array", "<f4", 3]}, r"tensor 'w' has .*\('F32', \[2\]\).*\('F32', \[3\]\)"),
        ({"w": ["array", "<f8", 2]}, r"tensor 'w' has .*'F32'.*'F64'"),
        ({"w": ["array", "<c8", 2]}, "tensor 'w' has"),
        ({"w": ["scalar", "<f4"]}, "tensor 'w' has"),
        ({"w": ["array", "<f4", [2]]}, "tensor 'w' has"),
        ({"w": ["array", "<f4", -1]}, "tensor 'w' has"),
        ({"w": ["array", "|O", 2]}, "not understood at 'w'"),
        ({"w": ["array", "f4,f4", 2]}, "not understood at 'w'"),
        ({"w": ["array"]}, "not understood at 'w'"),
        ({"w": ["set", 1]}, "not understood at 'w'"),
        ({"w": []}, "not understood at 'w'"),
        ({"w": [["list"]]}, "not understood at 'w'"),
        ({"w": ["int", "ten"]}, "'ten'"),
        ({"w": ["int", 10]}, "not understood at 'w'"),
        ({"w": ["float", "one"]}, "'one'"),
    ],
    ids=str,
)
def test_structures_that_differ_from_the_tensors_are_refused(tmp_path, structure, message):
    write_forged(tmp_path / "a", json.dumps(structure), {"w": np.float32([1, 2])})
    with pytest.raises(ValueError, match=message) as caught:
        io.load(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)


@pytest.mark.parametrize(
    "structure",
    ["", "[", "{]", "nul", '"\\', '{"a"}', "9" * 5000, "]" * 200 + "[" * 200_000, '["list", "]"'],
    ids=lambda text: text[:8],
)
def test_structures_that_are_no_json_are_refused(tmp_path, structure):
    write_forged(tmp_path / "a", structure, {})
    with pytest.raises(ValueError, match="is damaged"):
        io.load(tmp_path / "a")


def test_brackets_in_strings_are_no_nesting(tmp_path):
    tree = {'["\\' * 300: '{"\\\\' * 300}
    io.save(tmp_path / "a", tree)
    assert io.load(tmp_path / "a") == tree


def test_deeply_nested_json_does_not_crash_the_interpreter(tmp_path):
    write_forged(tmp_path / "list", '["list",' * 1_000_000 + "1" + "]" * 1_000_000, {})
    write_forged(tmp_path / "dict", '{"a":' * 1_000_000 + "1" + "}" * 1_000_000, {})
    code = """
import sys
from tinygraph import io
sys.setrecursionlimit(10**9)
for path in sys.argv[1:]:
    try:
        io.load(path)
    except ValueError as error:
        print(error)
"""
    with run_python(code, tmp_path / "list", tmp_path / "dict") as process:
        output = process.stdout.read()
    assert process.returncode == 0
    assert output.count("its structure has more than 100 levels") == 2


def test_tensors_of_foreign_dtype_are_refused(tmp_path):
    header = {
        "__metadata__": {io.STRUCTURE_KEY: '0 ["array","<f4",1]'},
        "": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]},
    }
    encoded = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"\0\0")
    with pytest.raises(ValueError, match=r"'BF16'.*'F32'"):
        io.load(tmp_path / "a")


def test_like_lists_all_that_differs(tmp_path):
    io.save(tmp_path / "a", EXAMPLE)
    like = {
        "weights": (np.zeros((2, 3)), np.zeros((3, 1))),
        "epoch": 0,
        "history": ({"loss": 0.0},),
        "momentum": np.float32(0),
    }
    with pytest.raises(ValueError, match="does not match `like`") as caught:
        io.load(tmp_path / "a", like=like)
    for part in (
        str(tmp_path / "a"),
        "different 'weights' (file: list, like: tuple)",
        "different 'weights.0' (file: float32 (2, 3), like: float64 (2, 3))",
        "different 'weights.1' (file: float64 (2, 1), like: float64 (3, 1))",
        "extra 'history.0.accuracy' (Python value)",
        "missing 'momentum' (float32 ())",
    ):
        assert part in str(caught.value)
    assert "epoch" not in str(caught.value)


def test_like_compares_nodes_by_value_and_ignores_values(tmp_path):
    io.save(tmp_path / "a", EXAMPLE)
    weights = [HasValue(np.ones((2, 3), np.float32)), np.zeros((2, 1))]
    like = {"weights": weights, "epoch": 0, "history": ({"loss": 9.0, "accuracy": 1.0},)}
    assert fingerprint(io.load(tmp_path / "a", like=like)) == fingerprint(EXAMPLE)


def test_equal_trees_give_equal_files(tmp_path: Path) -> None:
    tree = {"x": np.ones(2), "steps": 3, "names": ["a", "b"]}
    contents = set()
    for number in range(8):
        io.save(tmp_path / f"{number}.st", tree)
        contents.add((tmp_path / f"{number}.st").read_bytes())
    assert len(contents) == 1
