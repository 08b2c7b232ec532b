import io
import os
import pickle
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from models.activation import KNOWN, Activation, LeakyRelu, Sigmoid, Tanh
from models.network import NeuralNetwork
from models.unpickle import UnsafePickleError

X = np.random.default_rng(0).normal(size=(6, 3))


class Scaled(Activation):
    def __init__(self, factor=1.0):
        self.factor = factor

    def result(self, x):
        return self.factor * np.tanh(x)


class PlainScaled:
    """As Scaled, without the base class."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def result(self, x):
        return self.factor * np.tanh(x)


def make_network(activations=("tanh", "sigmoid"), layers=(3, 4, 2), **options):
    return NeuralNetwork(layers, activations, **{"seed": 0, **options})


def state_of(network):
    arrays = [array.tobytes() for array in (*network.weights, *network.biases)]
    activations = [repr(activation) for activation in network.activations]
    return network.layers, activations, network.loss_name, arrays


def assert_agree(network, other):
    assert state_of(network) == state_of(other)
    np.testing.assert_array_equal(network.feedforward(X), other.feedforward(X))


@pytest.mark.parametrize("name", ["save.pkl", "net", "net.safetensors", "with space.npz", "ü.bin"])
def test_any_file_name_is_saved_to_and_restored_from(name, tmp_path):
    network, restored = make_network(), make_network(["relu"], [5, 2], seed=1)
    for path in (tmp_path / name, str(tmp_path / name)):
        network.save(path)
        restored.restore(path)
        assert_agree(network, restored)
    assert isinstance(tg.load(tmp_path / name), dict)


def test_files_that_begin_like_a_pickle_are_told_from_one(tmp_path):
    starts = set()
    # Safetensors begins with the length of its header, which grows with a name in it.
    for length in range(0, 256, 8):
        own = type("Own" + "n" * length, (Tanh,), {})()
        network, restored = make_network([own, "relu"]), make_network([own, "tanh"], seed=1)
        network.save(tmp_path / "net")
        restored.restore(tmp_path / "net")
        assert_agree(network, restored)
        starts.add((tmp_path / "net").read_bytes()[:1])
    assert {b"\x80", b"("} <= starts


@pytest.mark.parametrize("loss", ["cross_entropy", None])
def test_everything_of_a_network_is_restored(loss, tmp_path):
    network = make_network([LeakyRelu(0.2), Tanh(), "elu"], [3, 5, 4, 2], dtype=float)
    network.train((X, np.arange(6) % 2), 0.1, 2, 3, loss=loss, progress=False)
    network.save(tmp_path / "net")
    restored = NeuralNetwork([1, 1], ["relu"], dtype=float)
    restored.restore(tmp_path / "net")
    assert_agree(network, restored)
    assert repr(restored.activations[0]) == "LeakyRelu(slope=0.2)"
    assert restored.loss(X, np.arange(6) % 2).item() == network.loss(X, np.arange(6) % 2).item()
    restored.train((X, np.arange(6) % 2), 0.1, 1, 3, progress=False)


def test_numbers_are_cast_to_the_dtype_of_the_network(tmp_path):
    double, single = make_network(dtype=float), make_network(seed=1)
    double.save(tmp_path / "net")
    single.restore(tmp_path / "net")
    for w, exact in zip(single.weights, double.weights, strict=True):
        np.testing.assert_array_equal(w, exact.astype(np.float32), strict=True)


@pytest.mark.parametrize("kind", [Scaled, PlainScaled])
@pytest.mark.parametrize("factor", [2, 0.5, np.float32(0.1), np.float64(0.1)])
def test_an_own_activation_is_found_in_the_network_that_restores(kind, factor, tmp_path):
    network = make_network([kind(factor), "relu"])
    restored = make_network(["relu", kind(factor)], seed=1)
    network.save(tmp_path / "net")
    restored.restore(tmp_path / "net")
    assert_agree(network, restored)


@pytest.mark.parametrize("kind", [Scaled, PlainScaled])
def test_an_own_activation_with_other_numbers_or_unknown_is_refused(kind, tmp_path):
    make_network([kind(2), "relu"]).save(tmp_path / "net")
    for other in (make_network([kind(3), "relu"], seed=1), make_network(seed=1)):
        before = state_of(other)
        message = rf"/net .* the activation {kind.__name__}\(.*2.*\) is neither a known one"
        with pytest.raises(ValueError, match=message):
            other.restore(tmp_path / "net")
        assert state_of(other) == before


def test_an_own_activation_is_not_mistaken_for_the_known_one_of_its_name(tmp_path):
    own = type("Sigmoid", (Activation,), {"result": lambda self, x: np.tanh(x) / 3})
    network = make_network([own(), "relu"])
    network.save(tmp_path / "net")
    with pytest.raises(ValueError, match="the activation Sigmoid"):
        make_network([Sigmoid(), "relu"]).restore(tmp_path / "net")
    restored = make_network([own(), "relu"], seed=1)
    restored.restore(tmp_path / "net")
    assert_agree(network, restored)

    make_network([Sigmoid(), "relu"]).save(tmp_path / "known")
    restored.restore(tmp_path / "known")
    assert type(restored.activations[0]) is Sigmoid


def old_content(instances=True, dtype=float):
    random = np.random.default_rng(3)
    activations = [Tanh(), LeakyRelu(0.2)] if instances else [Tanh, Sigmoid]
    return {
        "layers": [3, 4, 2],
        "weights": [random.normal(size=shape).astype(dtype) for shape in ((4, 3), (2, 4))],
        "biases": [random.normal(size=shape).astype(dtype) for shape in ((4, 1), (2, 1))],
        "activations": activations,
    }


def as_object_arrays(arrays):
    box = np.empty(len(arrays), object)
    box[:] = arrays
    return box


def old_pickle(content, form="dict", protocol=2):
    """Pickle as a script did whose activations came from a module called activation."""
    stand_in = types.ModuleType("activation")
    classes = [*KNOWN.values(), Scaled]
    homes = {cls: cls.__module__ for cls in classes}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "activation", stand_in)
            for cls in classes:
                cls.__module__ = "activation"
                setattr(stand_in, cls.__name__, cls)
            if form == "in a row":
                return b"".join(pickle.dumps(part, protocol) for part in content.values())
            made = {"dict": dict, "tuple": lambda c: tuple(c.values())}
            made["list"] = lambda c: list(c.values())
            return pickle.dumps(made[form](content), protocol)
    finally:
        for cls, home in homes.items():
            cls.__module__ = home


def expected_network(content):
    network = make_network(content["activations"], content["layers"])
    network.weights = list(content["weights"])
    network.biases = [np.reshape(b, (-1, 1)) for b in content["biases"]]
    return network


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", ["dict", "tuple", "list", "in a row"])
@pytest.mark.parametrize("instances", [True, False])
def test_a_pickle_of_the_older_project_is_restored(instances, form, protocol, tmp_path):
    content = old_content(instances)
    data = old_pickle(content, form, protocol)
    assert b"activation" in data
    assert b"models" not in data
    (tmp_path / "save.pkl").write_bytes(data)
    restored = make_network(["relu"], [9, 9], seed=1)
    restored.restore(tmp_path / "save.pkl")
    assert_agree(restored, expected_network(content))
    assert restored.loss_name == "softmax_quadratic"
    restored.save(tmp_path / "save.pkl")
    restored.restore(tmp_path / "save.pkl")


@pytest.mark.parametrize(
    "change",
    [
        {"layers": (3, 4, 2)},
        {"layers": np.array([3, 4, 2])},
        {"biases": [np.arange(4.0), np.arange(2.0)]},
        {"weights": as_object_arrays(old_content()["weights"])},
        {"activations": ["tanh", "sigmoid"]},
        {"activations": (Tanh, LeakyRelu(0.2))},
    ],
    ids=str,
)
def test_old_pickles_may_hold_other_containers(change, tmp_path):
    content = {**old_content(), **change}
    for form, protocol in (("dict", 2), ("in a row", 0)):
        (tmp_path / "old").write_bytes(old_pickle(content, form, protocol))
        restored = make_network(seed=1)
        restored.restore(tmp_path / "old")
        assert_agree(restored, expected_network(content))


def test_an_old_instance_without_its_numbers_gets_the_usual_ones(tmp_path):
    bare = LeakyRelu()
    del bare.slope
    bare.note = "ignored"
    (tmp_path / "old").write_bytes(old_pickle({**old_content(), "activations": [bare, Tanh()]}))
    restored = make_network(seed=1)
    restored.restore(tmp_path / "old")
    assert repr(restored.activations) == "[LeakyRelu(slope=0.01), Tanh()]"


def test_an_own_activation_in_an_old_pickle_is_found_by_its_name(tmp_path):
    content = {**old_content(), "activations": [Scaled(2.5), Scaled]}
    (tmp_path / "old").write_bytes(old_pickle(content))
    restored = make_network([Scaled(7), "tanh"], seed=1)
    restored.restore(tmp_path / "old")
    assert repr(restored.activations) == "[Scaled(factor=2.5), Scaled(factor=1.0)]"
    with pytest.raises(UnsafePickleError, match=r"asks for 'activation\.Scaled'"):
        make_network().restore(tmp_path / "old")


strange = LeakyRelu(0.2)
strange.alpha = 0.3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": old_content()["weights"][:1]}, "weights: expected 2 arrays"),
        ({"weights": old_content()["weights"][::-1]}, r"weights\[0\]: expected numbers of shape"),
        ({"weights": 3}, "a pickle of lists: layers, weights, biases, activations"),
        ({"weights": None}, "a pickle of lists: layers, weights, biases, activations"),
        ({"layers": [3, 4, 2.5]}, "layers: expected two positive whole sizes"),
        ({"layers": [3]}, "layers: expected two positive whole sizes"),
        ({"layers": ["a", {}]}, "layers: expected two positive whole sizes"),
        ({"biases": [np.ones(4), np.array([1, np.nan])]}, r"biases\[1\] holds nan"),
        ({"biases": ["a", "b"]}, r"biases\[0\]: expected numbers"),
        ({"biases": [[1, [2]], 3]}, "holds no network"),
        ({"activations": [Tanh()]}, "3 layers need 2"),
        ({"activations": [Tanh(), 7]}, "activation 7: expected an Activation"),
        ({"activations": [Tanh(), "swish"]}, "unknown activation 'swish'"),
        ({"activations": [Tanh(), strange]}, "LeakyRelu.*alpha"),
    ],
    ids=str,
)
def test_an_old_pickle_that_does_not_fit_is_refused_and_nothing_is_changed(
    change, message, tmp_path
):
    path = tmp_path / "old.pkl"
    path.write_bytes(old_pickle({**old_content(), **change}))
    network = make_network(seed=1)
    before = state_of(network)
    with pytest.raises(ValueError, match=rf"old\.pkl.*{message}"):
        network.restore(path)
    assert state_of(network) == before


@pytest.mark.parametrize("content", [[], {}, 3, "text", [1, 2, 3], {"layers": [3, 2]}], ids=str)
def test_a_pickle_of_something_else_is_refused(content, tmp_path):
    path = tmp_path / "old.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"old\.pkl .* a pickle of lists: layers, weights"):
        make_network().restore(path)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_is_refused_and_not_executed(protocol, tmp_path):
    path, trap = tmp_path / "old.pkl", tmp_path / "trap"
    network = make_network(seed=1)
    before = state_of(network)
    for content in (
        Hostile(trap),
        {**old_content(), "activations": [Hostile(trap), Tanh()]},
        {**old_content(), "layers": Hostile(trap)},
    ):
        data = pickle.dumps(content, protocol)
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"old\.pkl is refused"):
            network.restore(path)
        assert not trap.exists()
    pickle.loads(data)
    assert trap.exists(), "the trap does not work"
    assert state_of(network) == before


@pytest.mark.parametrize("old", [True, False])
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_refused_and_nothing_is_changed(old, share, tmp_path_factory):
    path = tmp_path_factory.mktemp("cut") / "file"
    make_network().save(path)
    content = old_pickle(old_content()) if old else path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    network = make_network(seed=1)
    before = state_of(network)
    with pytest.raises(ValueError, match=r"/file is (truncated|damaged|refused)"):
        network.restore(path)
    assert state_of(network) == before


def test_a_file_of_another_kind_is_refused_and_nothing_is_changed(tmp_path):
    path = tmp_path / "file"
    network = make_network(seed=1)
    before = state_of(network)
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    for content in (b"\x89PNG\r\n", b"{}", b"(hello)", b"]", stream.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="/file is"):
            network.restore(path)
    for tree in ({}, [1, 2], {"layers": [3, 2]}, {"format": "tinygraph network 9"}):
        tg.save(path, tree)
        with pytest.raises(
            ValueError, match=r"/file holds no network .* expected what NeuralNetwork\.save writes"
        ):
            network.restore(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        network.restore(tmp_path / "missing")
    assert state_of(network) == before


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [3, 4]},
        {"layers": "layers"},
        {"weights": []},
        {"weights": [np.ones((4, 3)), np.ones((4, 2))]},
        {"biases": 3},
        {"loss": "hinge"},
        {"activations": []},
        {"activations": [{"name": "LeakyRelu", "known": True, "parameters": {"speed": 1}}] * 2},
        {"activations": [3, 4]},
        {"activations": None},
    ],
    ids=str,
)
def test_a_file_that_was_tampered_with_is_refused_and_nothing_is_changed(change, tmp_path):
    path = tmp_path / "file"
    make_network().save(path)
    tree = tg.load(path)
    without = {key: part for key, part in tree.items() if key not in change}
    for tampered in ({**tree, **change}, without):
        tg.save(path, tampered)
        network = make_network(seed=1)
        before = state_of(network)
        with pytest.raises(ValueError, match="/file"):
            network.restore(path)
        assert state_of(network) == before
