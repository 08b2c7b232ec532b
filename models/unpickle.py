"""Read pickles of arrays without executing anything that they ask for."""

import io
import math
import pickle
import re
import struct
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, BinaryIO, ClassVar, NoReturn

import numpy as np

_CLASS_MODULES = ("activation", "models.activation", "__main__")
_DTYPE_NAME = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|O[48]?")
_MAX_DIMENSIONS = 64
# An extension code may stand for a global that another unpickler found and cached.
_REFUSED_OPCODES = [
    opcode[0] for opcode in (pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEWOBJ_EX)
]
_SCALARS = (str, bytes, int, float, complex, bool, type(None))


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """Report a pickle that asks for more than arrays, plain containers and known classes."""


def load_pickle(
    file_or_bytes: BinaryIO | bytes, *, what: object, classes: Mapping[str, type] | tuple[()] = ()
) -> Any:
    """Return the one object that a pickle holds, of any protocol and from Python 2 as well.

    NumPy arrays and scalars, plain containers (tuple, list, dict, set, frozenset), numbers, text
    and `classes`, a mapping from class name to class, and their instances are admitted. Anything
    else is refused with an UnsafePickleError before it is called, a truncated or corrupt pickle
    with a ValueError; both name the file as `what`.
    """
    objects = load_pickles(file_or_bytes, what=what, classes=classes)
    if len(objects) != 1:
        raise ValueError(f"{what} holds {len(objects)} pickled objects in a row; expected one")
    return objects[0]


def load_pickles(
    file_or_bytes: BinaryIO | bytes, *, what: object, classes: Mapping[str, type] | tuple[()] = ()
) -> list[Any]:
    """Return the objects that were pickled one after the other, with the rules of load_pickle."""
    data = file_or_bytes if isinstance(file_or_bytes, bytes) else file_or_bytes.read()
    stream = io.BytesIO(data)
    objects: list[Any] = []
    while not objects or stream.tell() < len(data):
        try:
            objects.append(_Unpickler(stream, len(data), what, dict(classes)).load())
        except UnsafePickleError:
            raise
        # Damaged bytes can fail in any way: a missing mark, a bad number, an absurd length.
        except Exception as error:
            raise ValueError(
                f"{what} is truncated, corrupt or not a pickle; get a sound copy of it "
                f"({type(error).__name__}: {str(error)[:200]})"
            ) from error
    return objects


# The C class would allocate whatever a memo index asks for, gigabytes for a file of ten bytes, and
# lets no subclass see what is called and built. The Python class does, and is no slower where the
# data sits in a few large arrays.
class _Unpickler(pickle._Unpickler):
    """Build plain data alone, whatever the pickle asks for."""

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: BinaryIO, size: int, what: object, classes: dict[str, type]) -> None:
        super().__init__(file, encoding="latin1")
        self.what = what
        self.classes = classes
        self.allowance = 4 * size

    def find_class(self, module: str, name: str) -> Any:
        if module in _CLASS_MODULES and name in self.classes:
            return self.classes[name]
        try:
            return _GLOBALS[module.replace("numpy.core.", "numpy._core.", 1), name]
        except KeyError:
            self.refuse(f"it asks for {f'{module}.{name}'!r}")

    def refuse(self, reason: str) -> NoReturn:
        known = f" and {', '.join(self.classes)}" if self.classes else ""
        raise UnsafePickleError(
            f"{self.what} is refused, and nothing in it was executed: {reason[:200]}. Expected a "
            f"pickle of NumPy arrays, plain containers{known} alone. Get the file from a source "
            "that you trust, or save its arrays again in such a pickle"
        )

    def spend(self, size: int) -> None:
        """Limit what a small file may grow to by naming the same bytes again and again."""
        self.allowance -= size
        if self.allowance < 0:
            self.refuse("it grows to many times its size")

    def top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"expected a {kind.__name__} to fill")
        return self.stack[-1]

    def load_bytearray8(self) -> None:
        # The inherited method fills as much memory as the file claims to hold.
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))

    def load_append(self) -> None:
        value = self.stack.pop()
        self.top(list).append(value)

    def load_appends(self) -> None:
        items = self.pop_mark()
        self.top(list).extend(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.fill_dict([key, value])

    def load_setitems(self) -> None:
        self.fill_dict(self.pop_mark())

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.fill_dict(items)

    def fill_dict(self, items: list[Any]) -> None:
        keys = _checked_keys(items[::2])
        self.top(dict).update(zip(keys, items[1::2], strict=True))

    def load_additems(self) -> None:
        items = self.pop_mark()
        self.top(set).update(_checked_keys(items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(_checked_keys(items)))

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, FunctionType) and function in _GLOBALS.values():
            self.append(function(self, *arguments))
        elif isinstance(function, type):
            self._instantiate(function, arguments)
        else:
            self.refuse(f"it calls {_shown(function)}")

    def load_newobj(self) -> None:
        arguments, cls = self.stack.pop(), self.stack.pop()
        self._instantiate(cls, arguments)

    def _instantiate(self, cls: Any, arguments: Any) -> None:
        self.append(_create(self, cls, *arguments))

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is np.ndarray:
            _fill_array(self, target, *state)
        elif isinstance(target, np.dtype):
            _set_byte_order(target, *state)
        elif type(target) in self.classes.values():
            self.set_attributes(target, state)
        else:
            self.refuse(f"it sets the state of a {type(target).__name__}")

    def set_attributes(self, target: Any, state: Any) -> None:
        cls = type(target)
        if type(state) is not dict or not all(type(name) is str for name in state):
            self.refuse(f"its state of a {cls.__name__} is not a dictionary of attributes")
        # NumPy, for one, believes an object's __array_interface__, memory addresses included.
        for name in state:
            if name.startswith("__") or callable(getattr(cls, name, None)):
                self.refuse(f"it replaces {name} of a {cls.__name__}")
        vars(target).update(state)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{
            code: load
            for code, load in pickle._Unpickler.dispatch.items()
            if code not in _REFUSED_OPCODES
        },
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
    }


def _shown(value: Any) -> str:
    """A value in an error, where nested ones could be endless to print."""
    return repr(value)[:50] if isinstance(value, _SCALARS) else f"a {type(value).__name__}"


def _checked_keys(keys: list[Any]) -> list[Any]:
    """Keys of a dict or set: scalars and flat tuples, for hashing deep ones can take forever."""
    for key in keys:
        for part in key if type(key) is tuple else (key,):
            if not isinstance(part, (*_SCALARS, np.generic)):
                raise ValueError(f"a {type(part).__name__} inside a key")
    return keys


def _create(unpickler: _Unpickler, cls: Any, *arguments: Any) -> Any:
    """A new instance of a known class, whose __init__ is not called."""
    if not any(cls is known for known in unpickler.classes.values()):
        unpickler.refuse(f"it calls {getattr(cls, '__name__', _shown(cls))}")
    if arguments:
        unpickler.refuse(f"it calls {cls.__name__} with arguments")
    return cls.__new__(cls)


def _reconstruct(unpickler: _Unpickler, cls: Any, base: Any, state: Any) -> Any:
    """Python 2's way to a new instance (copyreg._reconstructor)."""
    if base is not object or state is not None:
        raise ValueError("a class derived from a built-in one")
    return _create(unpickler, cls)


def _encode(unpickler: _Unpickler, text: str, encoding: str) -> bytes:
    """Python 3's way to bytes in protocols 0 to 2 (_codecs.encode)."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        unpickler.refuse(f"it encodes {_shown(text)} as {_shown(encoding)}")
    unpickler.spend(len(text))
    return text.encode("latin1")


def _empty_bytes(unpickler: _Unpickler) -> bytes:
    return b""


def _set(unpickler: _Unpickler, items: Any = ()) -> set[Any]:
    if type(items) not in (list, tuple):
        raise ValueError(f"a set of {_shown(items)}")
    unpickler.spend(len(items))
    return set(_checked_keys(list(items)))


def _frozenset(unpickler: _Unpickler, items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(unpickler, items))


def _dtype(unpickler: _Unpickler, name: str, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """A dtype of its own, since its byte order is set later, by _set_byte_order."""
    if type(name) is not str or not _DTYPE_NAME.fullmatch(name):
        unpickler.refuse(f"it holds an array of dtype {_shown(name)}")
    return np.dtype("O" if name[0] == "O" else name, False, True)


def _set_byte_order(target: Any, version: int, order: str, *rest: Any) -> None:
    # The rest of the state are the fields and flags of a dtype, which could lie about its memory.
    _, own_order, *own_rest = target.__reduce__()[2]
    if order not in (["|"] if own_order == "|" else ["<", ">"]):
        raise ValueError(f"byte order {_shown(order)} for dtype {target}")
    target.__setstate__((3, order, *own_rest))


def _empty_array(unpickler: _Unpickler, cls: Any, shape: Any, typecode: Any) -> Any:
    """An array that _fill_array fills later, whatever shape the pickle gives it here."""
    if cls is not np.ndarray:
        raise ValueError("an array of a class of its own")
    return np.empty(0)


def _fill_array(
    unpickler: _Unpickler,
    target: Any,
    version: int,
    shape: Any,
    dtype: Any,
    fortran: Any,
    content: Any,
) -> None:
    count = _count(shape)
    if not isinstance(dtype, np.dtype):
        raise ValueError("an array without a dtype")
    content = _as_bytes(content)
    kind, size = (list, count) if dtype.hasobject else (bytes, count * dtype.itemsize)
    if type(content) is not kind or len(content) != size:
        got = f"{len(content)}" if isinstance(content, bytes | list) else type(content).__name__
        raise ValueError(f"an array of shape {shape} and dtype {dtype} with content {got}")
    unpickler.spend(size)
    target.__setstate__((1, shape, dtype, bool(fortran), content))


def _count(shape: Any) -> int:
    """The number of items of an array of this shape."""
    if type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"an array whose shape is {_shown(shape)}")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("an array whose shape holds other than natural numbers")
    return math.prod(shape)


def _array_from_buffer(
    unpickler: _Unpickler,
    content: Any,
    dtype: np.dtype[Any],
    shape: Any,
    order: Any,
    axes: Any = None,
) -> Any:
    """Protocol 5's way to an array (numpy._core.numeric._frombuffer)."""
    flat = _flat(content, dtype)
    unpickler.spend(flat.nbytes)
    if order == "K":
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order=order)


def _scalar(unpickler: _Unpickler, dtype: np.dtype[Any], content: Any) -> Any:
    (value,) = _flat(content, dtype)
    return value


def _flat(content: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A copy of bytes as a flat array."""
    if not isinstance(dtype, np.dtype):
        raise ValueError("content without a dtype")
    return np.frombuffer(_as_bytes(content), dtype).copy()


def _as_bytes(content: Any) -> Any:
    """Bytes that Python 2 wrote as text come as text in latin1."""
    return content.encode("latin1") if isinstance(content, str) else content


_GLOBALS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _encode,
    ("copy_reg", "_reconstructor"): _reconstruct,
    ("copyreg", "_reconstructor"): _reconstruct,
    **{
        (module, name): value
        for module in ("builtins", "__builtin__")
        for name, value in (
            ("object", object),
            ("bytes", _empty_bytes),
            ("set", _set),
            ("frozenset", _frozenset),
        )
    },
}
