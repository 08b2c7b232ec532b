import contextlib
import copyreg
import io
import os
import pickle
import struct
import sys
import tracemalloc
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.unpickle import UnsafePickleError, load_pickle, load_pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Sigmoid:
    slope = 1.0

    def result(self, x):
        return x


class Called:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def activation(monkeypatch):
    """The module that older scripts pickled their activations from."""
    module = types.ModuleType("activation")
    module.Sigmoid = type("Sigmoid", (), {"__module__": "activation"})
    monkeypatch.setitem(sys.modules, "activation", module)
    return module


def load(data, **classes):
    return load_pickle(data, what="some.pkl", classes=classes)


def assert_equal(got, expected):
    assert type(got) is type(expected)
    if isinstance(expected, np.ndarray) and expected.dtype == object:
        for one, other in zip(got.ravel(), expected.ravel(), strict=True):
            assert_equal(one, other)
    elif isinstance(expected, np.ndarray | np.generic):
        np.testing.assert_array_equal(got, expected, strict=True)
    elif isinstance(expected, list | tuple):
        for one, other in zip(got, expected, strict=True):
            assert_equal(one, other)
    else:
        assert got == expected


def ragged(*arrays):
    """An array of arrays, as np.array made it of lists of unequal lengths."""
    array = np.empty(len(arrays), object)
    array[:] = arrays
    return array


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(5, dtype=">f8"),
        np.array([True, False]),
        np.array(1 + 2j),
        np.zeros((3, 0)),
        np.arange(2000, dtype=np.int16),
        ragged(np.arange(3.0), np.ones((2, 2))),
        np.float64(0.1),
        np.int32(-7),
        [None, True, 1, -(10**30), 0.5, "é\n", b"\xff\x00", b"", (), (1, (2,)), [], {}],
        {"layers": [784, 10], (1, "a"): {1, 2}, 3: frozenset("a"), 4: set()},
    ],
    ids=repr,
)
def test_arrays_and_plain_containers_of_any_protocol_are_read(value, protocol):
    data = pickle.dumps(value, protocol)
    assert_equal(load(data), pickle.loads(data))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_that_share_a_dtype_and_objects_that_share_an_array_are_read(protocol):
    array = np.arange(4.0)
    got = load(pickle.dumps([array, array, array[1:].copy()], protocol))
    assert got[0] is got[1]
    assert_equal(got[2], array[1:])


def test_pickles_of_numpy_1_and_python_2_are_read():
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        b"I00\nS'\\x00\\x00\\x80\\x3f\\x00\\x00\\x00\\xc0'\ntb."
    )
    assert_equal(load(array), np.array([1, -2], np.float32))
    assert load(b"c__builtin__\nset\n((lI1\naI2\natR.") == {1, 2}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_known_classes_and_their_instances_are_read_by_name(activation, protocol):
    instance = activation.Sigmoid()
    instance.slope = 2.0
    data = pickle.dumps([activation.Sigmoid, activation.Sigmoid(), instance], protocol)
    cls, plain, sloped = load(data, Sigmoid=Sigmoid)
    assert cls is Sigmoid
    assert type(plain) is type(sloped) is Sigmoid
    assert (plain.slope, sloped.slope) == (1.0, 2.0)


@pytest.mark.parametrize("module", ["activation", "models.activation", "__main__"])
def test_old_style_instances_of_python_2_are_read(module):
    assert type(load(f"(i{module}\nSigmoid\n.".encode(), Sigmoid=Sigmoid)) is Sigmoid
    assert type(load(f"(c{module}\nSigmoid\no.".encode(), Sigmoid=Sigmoid)) is Sigmoid


def test_a_known_name_in_another_module_is_refused():
    with pytest.raises(UnsafePickleError, match=r"'elsewhere\.Sigmoid'"):
        load(b"celsewhere\nSigmoid\n.", Sigmoid=Sigmoid)


def test_objects_in_a_row_are_read_until_the_end():
    stream = io.BytesIO()
    for value in ([2, 3], np.ones(2), "tanh"):
        pickle.dump(value, stream)
    stream.seek(0)
    assert_equal(load_pickles(stream, what="some.pkl"), [[2, 3], np.ones(2), "tanh"])
    with pytest.raises(ValueError, match=r"some\.pkl holds 3 pickled objects in a row"):
        load(stream.getvalue())
    with pytest.raises(ValueError, match=r"some\.pkl is truncated"):
        load(stream.getvalue()[:-1])


HOSTILE = {
    "os.system": Called(os.system, "touch executed"),
    "eval": Called(eval, "open('executed', 'w')"),
    "getattr": Called(getattr, np.ndarray, "tofile"),
    "import": Called(__import__, "os"),
    "numpy.load": Called(np.load, "executed"),
    "numpy.save": Called(np.save, "executed", 1),
    "fromfile": Called(np.fromfile, "/dev/zero"),
    "copyreg": Called(copyreg.add_extension, "os", "system", 1),
    "partial": Called(__import__("functools").partial, print),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_functions_are_refused_by_name_and_not_executed(value, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps([np.ones(2), value], protocol)
    name = value.call[0].__name__
    with pytest.raises(
        pickle.UnpicklingError, match=rf"some\.pkl is refused.*{name}.*Get the file"
    ):
        load(data, Sigmoid=Sigmoid)
    assert not list(tmp_path.iterdir())


def text(value):
    """Opcode for a str, in protocol 4."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def named(module, name):
    return text(module) + text(name) + b"\x93"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "ndarray.__setstate__"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "dtype.__class__.__base__"),
        ("numpy._core.multiarray", "scalar.__call__"),
        ("models.activation", "Sigmoid.__init__.__globals__"),
        ("models.activation", "np"),
        ("models.unpickle", "load_pickle"),
        ("builtins", "set.__class__"),
        ("builtins", "type"),
    ],
)
def test_dotted_and_neighbouring_names_are_refused(module, name):
    with pytest.raises(UnsafePickleError, match=f"'{module}.{name}'"):
        load(b"\x80\x04" + named(module, name) + b".", Sigmoid=Sigmoid)


SIGMOID = b"\x80\x04" + named("activation", "Sigmoid")


@pytest.mark.parametrize(
    "data",
    [
        SIGMOID + b"N}" + text("result") + b"Ns\x86b.",
        SIGMOID + b"}" + text("slope") + b"Nsb.",
        SIGMOID + b")\x81}" + text("result") + b"Nsb.",
        SIGMOID + b")\x81}" + text("__class__") + b"Nsb.",
        SIGMOID + b")\x81}" + text("__array_interface__") + b"}sb.",
        SIGMOID + b")\x81N}" + text("slope") + b"Ns\x86b.",
        SIGMOID + b"K\x01\x85R.",
        SIGMOID + b"K\x01\x85\x81.",
        b"\x80\x04" + named("numpy", "ndarray") + b"J\xff\xff\xff\x7f\x85R.",
        b"\x80\x04" + named("numpy", "ndarray") + b"J\xff\xff\xff\x7f\x85\x81.",
        b"\x80\x04" + named("builtins", "object") + b")R.",
        b"\x80\x04" + named("numpy", "dtype") + b"N}" + text("__defaults__") + b"Ns\x86b.",
        b"\x80\x04" + named("numpy", "dtype") + text("V8") + b"\x85R.",
        b"\x80\x04" + named("_codecs", "encode") + text("a") + text("rot13") + b"\x86R.",
    ],
)
def test_known_names_cannot_be_changed_called_or_stretched(data):
    with pytest.raises(UnsafePickleError, match=r"some\.pkl is refused"):
        load(data, Sigmoid=Sigmoid)
    assert Sigmoid.slope == 1.0
    assert callable(Sigmoid.result)


def pickled_array(shape=(2,), content=bytes(8), name="f4", state=None):
    """A pickle of an array whose parts need not fit together."""
    dtype = Called(np.dtype, name, False, True)
    if state is not None:
        dtype = WithState(dtype.call, state)
    reconstruct = np.empty(0).__reduce__()[0]
    call = reconstruct, (np.ndarray, (0,), b"b")
    return pickle.dumps(WithState(call, (1, shape, dtype, False, content)), 2)


class WithState(Called):
    """Pickles as a call of a function and a state for its result."""

    def __init__(self, call, state):
        self.call = (*call, state)


FORGED_FLAGS = (3, "|", None, None, None, -1, -1, 0)
FORGED_FIELDS = (3, "<", None, ("a",), {"a": (np.dtype("f4"), 1 << 20)}, 4, 1, 0)


@pytest.mark.parametrize(
    "data",
    [
        pickled_array(shape=(2**40,)),
        pickled_array(shape=(2**62, 4)),
        pickled_array(shape=(-2,)),
        pickled_array(shape=(-1, -2)),
        pickled_array(shape=(True, 2)),
        pickled_array(shape=(1,) * 65),
        pickled_array(shape=[2]),
        pickled_array(shape=(0, 2**70), content=b""),
        pickled_array(content=bytes(7)),
        pickled_array(content=[1.0, 2.0]),
        pickled_array(content="é" * 7),
        pickled_array(content="\u2713" * 8),
        pickled_array(content=None),
        pickled_array(name="O8", content=bytes(16)),
        pickled_array(name="O8", content=bytes(16), state=FORGED_FLAGS),
        pickled_array(name="O8", content=[None]),
        pickled_array(name="f4", state=FORGED_FIELDS, content=bytes(7)),
        pickled_array(name="f4", state=(3, "?", None, None, None, -1, -1, 0)),
        pickled_array(name="f4,f4", content=bytes(16)),
        pickled_array(name="M8[s]", content=bytes(16)),
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRS'abc'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(S'f8'\nS'abcdefgh'\ntR.",
        b"cnumpy.core.numeric\n_frombuffer\n(S'abcd'\ncnumpy\ndtype\n(S'f4'\ntR(I9\ntS'C'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nobject\n(I0\ntS'b'\ntR.",
    ],
)
def test_arrays_whose_parts_do_not_fit_are_refused(data):
    with pytest.raises(ValueError, match=r"some\.pkl is"):
        load(data)


def test_a_forged_layout_of_a_dtype_is_not_believed():
    array = load(pickled_array(state=FORGED_FIELDS))
    assert_equal(array, np.zeros(2, np.float32))


DEEP_TUPLE = b"\x80\x02N" + b"2\x86" * 100
BIG = b"\x80\x02\x5d(" + b"K\x01" * 1000 + b"eq\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr\xff\xff\xff\xf0j\xff\xff\xff\xf1.",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
        b"\x80\x05\x8e" + b"\x00" * 7 + b"\x10.",
        b"\x80\x04\x95" + b"\x00" * 7 + b"\x10.",
        b"\x80\x02}" + DEEP_TUPLE[2:] + b"Ns.",
        b"\x80\x02(" + DEEP_TUPLE[2:] + b"Nd.",
        b"\x80\x04(" + DEEP_TUPLE[2:] + b"\x91.",
        b"\x80\x04\x8f(" + DEEP_TUPLE[2:] + b"\x90.",
        DEEP_TUPLE[:2] + b"cnumpy\ndtype\n" + DEEP_TUPLE[2:] + b"\x85R.",
        BIG + b"0" + b"(" + b"c__builtin__\nset\nh\x00\x85R" * 1000 + b"l.",
        b"\x80\x02" + b"\x82\x01.",
        b"\x80\x02K\x01Q.",
        b"\x80\x05\x97.",
        b"]K\x01b.",
        b"\x80\x02X\x01\x00\x00\x00a]a.",
        b"\x80\x02\x5dK\x00K\x01s.",
        b"",
        b".",
        b"not a pickle",
    ],
)
def test_wasteful_and_broken_pickles_are_refused_at_once(data):
    with pytest.raises(ValueError, match=r"some\.pkl is (refused|truncated, corrupt)"):
        load(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr" + struct.pack("<I", 2**24),
        b"\x80\x05\x96" + struct.pack("<Q", 2**28),
        b"\x80\x05\x8e" + struct.pack("<Q", 2**28),
        b"\x80\x05\x95" + struct.pack("<Q", 2**28),
    ],
)
def test_a_claimed_length_takes_no_memory(data):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"some\.pkl is truncated"):
        load(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_an_extension_code_that_is_registered_is_not_followed():
    copyreg.add_extension("os", "getpid", 77)
    data = b"\x80\x02\x82\x4d."
    try:
        assert pickle.loads(data) is os.getpid
        with pytest.raises(ValueError, match=r"some\.pkl is"):
            load(data)
    finally:
        copyreg.remove_extension("os", "getpid", 77)


SOUND = [
    pickle.dumps([np.arange(3.0), {"a": (1, "b")}, Called(set, [1])], protocol)
    for protocol in PROTOCOLS
]


@given(st.sampled_from(SOUND), st.data())
def test_truncated_pickles_are_a_value_error(sound, data):
    with pytest.raises(ValueError, match=r"some\.pkl is (truncated|refused)"):
        load(sound[: data.draw(st.integers(0, len(sound) - 1))])


@given(st.sampled_from(SOUND), st.data())
def test_damaged_pickles_are_read_or_a_value_error(sound, data):
    damaged = bytearray(sound)
    places = st.integers(0, len(sound) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1)):
        damaged[place] = byte
    with contextlib.suppress(ValueError):
        load(bytes(damaged))
