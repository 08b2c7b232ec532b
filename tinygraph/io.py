"""Save a tree of arrays to one file and load it back, executing nothing.

The file is a safetensors file. Each array is a tensor named by its path, such as "weights.0". The
rest of the tree is JSON in the metadata, behind a checksum (CRC-32) of all. In it an object is a
dict, and an array starts with a word that says what it stands for:

    ["list", *items]    ["array", dtype, *shape]    ["int", hexadecimal]
    ["tuple", *items]   ["scalar", dtype]           ["float", "nan", "inf" or "-inf"]
"""

import json
import math
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Keys = tuple[str, ...]
Spec = Any

# Fixed far below Python's recursion limit, so that no file and no raised limit overflows the stack.
MAX_DEPTH = 100
DTYPES = {np.dtype(order + code).str for order in "<>" for code in "?bhiqBHIQefdFD"}
STRUCTURE_KEY = "tinygraph"
# JSON keeps integers of any size, but other readers of it take them for float64.
LARGEST_PLAIN_INT = 2**53
JSON_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
# A dot parts the keys of a name, UTF-8 has no lone surrogates, safetensors keeps "__metadata__".
UNSAFE_IN_NAME = re.compile(r"[%.\ud800-\udfff]|^_(?=_metadata__$)")


def save(path: str | os.PathLike[str], tree: object) -> None:
    """Write nested dicts, lists and tuples of arrays to one file, whole or not at all.

    Leaves are arrays of booleans, integers, floats or complex numbers (no long double), NumPy
    scalars of these, Nodes (of which the value is kept), and Python's None, bool, int, float and
    str. The file is written beside its final place, flushed to disk and renamed; a symbolic link
    keeps pointing to it.

    Raises TypeError for any other leaf and for dict keys other than str, ValueError for a tree
    deeper than 100 levels or a path that is no regular file. Nothing is written then.
    """
    safetensors = _import_safetensors()
    target = _save_target(path)
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_encode(tree, (), arrays), separators=(",", ":"))
    tensors = {name: _to_tensor(array) for name, array in arrays.items()}
    checksum = zlib.crc32(text.encode())
    for tensor in tensors.values():
        checksum = zlib.crc32(tensor.data, checksum)
    # One entry, since safetensors writes several in any order: equal trees give equal files.
    metadata = {STRUCTURE_KEY: f"{checksum:08x} {text}"}
    try:
        content = safetensors.numpy.save(tensors, metadata)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} cannot be saved: {error}; put many small leaves into fewer arrays"
        ) from error
    _replace(target, content)


def load(path: str | os.PathLike[str], like: object = None) -> Any:
    """Read the tree that `save` wrote; every array is new, writable and owns its memory.

    With `like`, a tree, the names of all leaves and the shapes and dtypes of the arrays must be
    the same as in it.

    Raises ValueError if the file is damaged, was not written by `save`, or differs from `like`.
    """
    safetensors = _import_safetensors()
    source = Path(path)
    if not stat.S_ISREG(source.stat().st_mode):
        raise ValueError(f"{source} is not a regular file: give the path of a saved file")
    try:
        # Opened here too, since safe_open calls a file missing whatever the reason.
        with source.open("rb"), safetensors.safe_open(source, framework="numpy") as file:
            structure, tree = _read(file)
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(
            f"{source} is damaged or was not written by tinygraph.save: {error}. "
            "Restore a copy of the file, or save it again"
        ) from error
    if like is not None:
        _check_like(source, structure, _encode(like, (), {}))
    return tree


def _import_safetensors() -> Any:
    """Import safetensors when it is needed, to keep `import tinygraph` quick."""
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "tinygraph.save and tinygraph.load need the package safetensors: "
            "run `pip install safetensors`"
        ) from error
    return safetensors


def _save_target(path: str | os.PathLike[str]) -> Path:
    """Follow symbolic links, and refuse what a rename would destroy."""
    target = Path(os.path.realpath(Path(path)))
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is not a regular file: save under another name")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be saved: create the folder {target.parent} first")
    return target


def _replace(target: Path, content: bytes) -> None:
    """Put the content in the target's place so that a crash leaves the old file or the new."""
    temporary = target.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _tensor_name(keys: Keys) -> str:
    """Join the keys with dots; no two paths of one tree get the same name."""
    return ".".join(UNSAFE_IN_NAME.sub(lambda m: f"%{ord(m[0]):04X}", key) for key in keys)


def _encode(tree: Any, keys: Keys, arrays: dict[str, np.ndarray]) -> Spec:
    """Describe the tree in JSON's types and add its arrays to `arrays`."""
    if len(keys) > MAX_DEPTH:
        raise ValueError(
            f"the tree has more than {MAX_DEPTH} levels at {_tensor_name(keys)[:60]!r}...: "
            "flatten it, and see that no container holds itself"
        )
    if type(tree) is dict:
        _check_keys(tree, keys)
        return {key: _encode(item, (*keys, key), arrays) for key, item in tree.items()}
    if type(tree) in (list, tuple):
        items = (_encode(item, (*keys, str(i)), arrays) for i, item in enumerate(tree))
        return [type(tree).__name__, *items]
    if type(tree) is int and abs(tree) > LARGEST_PLAIN_INT:
        return ["int", hex(tree)]
    if type(tree) is float and not math.isfinite(tree):
        return ["float", str(tree)]
    if type(tree) in (type(None), bool, int, float, str):
        return tree
    return _encode_array(tree, keys, arrays)


def _check_keys(tree: dict[Any, Any], keys: Keys) -> None:
    for key in tree:
        if type(key) is not str:
            raise TypeError(
                f"the dict {_tensor_name(keys)!r} has the key {key!r} of type "
                f"{type(key).__name__}, but only str keys can be saved: convert it"
            )


def _encode_array(leaf: object, keys: Keys, arrays: dict[str, np.ndarray]) -> Spec:
    name = _tensor_name(keys)
    value = getattr(leaf, "value", leaf)
    if not isinstance(value, np.generic) and type(value) not in (np.ndarray, np.memmap):
        raise TypeError(
            f"the leaf {name!r} is of type {type(leaf).__name__}, but only arrays, Nodes, None, "
            "bool, int, float and str in plain dicts, lists and tuples can be saved: convert it"
        )
    array = np.asarray(value)
    if array.dtype.str not in DTYPES:
        raise TypeError(
            f"the leaf {name!r} has dtype {array.dtype}, but only arrays of bool, integers, "
            "float16/32/64 and complex64/128 can be saved: convert it with astype"
        )
    arrays[name] = array
    if isinstance(value, np.generic):
        return ["scalar", array.dtype.str]
    return ["array", array.dtype.str, *array.shape]


def _to_tensor(array: np.ndarray) -> np.ndarray:
    """Lay the array out as safetensors wants it: contiguous, little-endian, real."""
    # A copy always, else an array that another thread changes would belie its checksum.
    tensor = array.astype(_little_endian(array.dtype), order="C", subok=False)
    if array.dtype.kind == "c":
        return tensor[..., np.newaxis].view(_tensor_dtype(array.dtype))
    return tensor


def _from_tensor(tensor: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind == "c":
        tensor = tensor.view(_little_endian(dtype))[..., 0]
    return np.array(tensor, dtype)


def _little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _tensor_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A complex number is stored as two floats, on a last axis of its own."""
    return np.dtype(f"<f{dtype.itemsize // 2}") if dtype.kind == "c" else _little_endian(dtype)


def _read(file: Any) -> tuple[Spec, Any]:
    """Return the structure and the tree of an open safetensors file, all checked."""
    metadata = file.metadata() or {}
    if STRUCTURE_KEY not in metadata:
        raise ValueError(
            f"its metadata has no {STRUCTURE_KEY!r} (safetensors.numpy.load_file reads such files)"
        )
    checksum, _, text = metadata[STRUCTURE_KEY].partition(" ")
    structure = _parse(text)
    reader = _TensorReader(file, zlib.crc32(text.encode()))
    tree = _decode(structure, (), reader)
    if reader.unread:
        raise ValueError(f"it has tensors outside its structure: {sorted(reader.unread)}")
    if checksum != f"{reader.checksum:08x}":
        raise ValueError("its checksum differs, so some bytes changed after it was saved")
    return structure, tree


def _parse(text: str) -> Spec:
    """Parse JSON, refusing deep nesting first because the parser is recursive."""
    depth = 0
    for bracket in re.finditer(r"[\[{\]}]", JSON_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH + 1:
            raise ValueError(f"its structure has more than {MAX_DEPTH} levels")
    return json.loads(text)


class _TensorReader:
    """Hands out the tensors of an open file, each checked before it is read."""

    def __init__(self, file: Any, checksum: int) -> None:
        self.file = file
        self.checksum = checksum
        self.unread: set[str] = set(file.keys())

    def read(self, name: str, dtype: np.dtype[Any], shape: tuple[Any, ...]) -> np.ndarray:
        if name not in self.unread:
            raise ValueError(f"tensor {name!r} is missing")
        self.unread.remove(name)
        stored = _tensor_dtype(dtype)
        code = "BOOL" if stored.kind == "b" else f"{stored.kind.upper()}{8 * stored.itemsize}"
        expected = (code, [*shape, 2] if dtype.kind == "c" else [*shape])
        found = self.file.get_slice(name)
        got = (found.get_dtype(), list(found.get_shape()))
        if got != expected:
            raise ValueError(
                f"tensor {name!r} has dtype and shape {got}, but its structure says {expected}"
            )
        tensor = self.file.get_tensor(name)
        self.checksum = zlib.crc32(tensor.data, self.checksum)
        return _from_tensor(tensor, dtype)


def _decode(spec: Spec, keys: Keys, reader: _TensorReader) -> Any:
    match spec:
        case dict():
            return {key: _decode(item, (*keys, key), reader) for key, item in spec.items()}
        case ["list", *items]:
            return [_decode(item, (*keys, str(i)), reader) for i, item in enumerate(items)]
        case ["tuple", *items]:
            return tuple(_decode(item, (*keys, str(i)), reader) for i, item in enumerate(items))
        case ["array", str(dtype), *shape] if dtype in DTYPES:
            return reader.read(_tensor_name(keys), np.dtype(dtype), tuple(shape))
        case ["scalar", str(dtype)] if dtype in DTYPES:
            return reader.read(_tensor_name(keys), np.dtype(dtype), ())[()]
        case ["int", str(digits)]:
            return int(digits, 16)
        case ["float", str(digits)]:
            return float(digits)
        case None | bool() | int() | float() | str():
            return spec
    raise ValueError(f"its structure is not understood at {_tensor_name(keys)!r}")


def _check_like(source: Path, structure: Spec, like: Spec) -> None:
    got, wanted = dict(_outline(structure, ())), dict(_outline(like, ()))
    problems = []
    for keys in wanted | got:
        name = repr(_tensor_name(keys))
        if keys not in got:
            problems.append(f"missing {name} ({wanted[keys]})")
        elif keys not in wanted:
            problems.append(f"extra {name} ({got[keys]})")
        elif got[keys] != wanted[keys]:
            problems.append(f"different {name} (file: {got[keys]}, like: {wanted[keys]})")
    if problems:
        raise ValueError(
            f"{source} does not match `like`: {', '.join(problems)}. "
            "Load the file that belongs to it, or leave `like` out to see what the file has"
        )


def _outline(spec: Spec, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Say what is at each path: a kind of container, a dtype and shape, or a Python value."""
    match spec:
        case dict():
            yield keys, "dict"
            for key, item in spec.items():
                yield from _outline(item, (*keys, key))
        case [("list" | "tuple") as kind, *items]:
            yield keys, kind
            for i, item in enumerate(items):
                yield from _outline(item, (*keys, str(i)))
        case ["array" | "scalar", dtype, *shape]:
            yield keys, f"{np.dtype(dtype)} {tuple(shape)}"
        case _:
            yield keys, "Python value"
