"""Load handwritten digits: MNIST where it is found or can be downloaded, else a small set."""

import gzip
import http.client
import importlib.util
import math
import os
import queue
import struct
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

# Old scripts put this folder itself on sys.path and import its modules without a package.
if __package__:
    from .data import Pairs, check_finite
    from .unpickle import load_pickle
else:
    from data import Pairs, check_finite  # type: ignore[import-not-found, no-redef]
    from unpickle import load_pickle  # type: ignore[import-not-found, no-redef]

Part = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
Parts = tuple[Part, Part, Part]

CLASSES = 10
_PARTS = ("training", "validation", "test")
_PICKLE = "mnist.pkl.gz"
_CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_SOURCES: tuple[str, ...] = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
_PATIENCE_SECONDS = 4.0
_MAX_BYTES = 2**29
_FASHION = Path("/usr/share/datasets/fashion-mnist")
_DIGITS = Path(__file__).with_name("digits.csv.gz")
_DIGITS_WIDTH = 8
_DIGITS_WHITE = 16
_WIDTH = 28


def load_data(original: bool = False, path: str | os.PathLike[str] | None = None) -> Any:
    """Return training, validation and test data, and print where they come from.

    With `original`, three tuples (x, y) of arrays: x float32 (n, 784) from 0 to 1, y int64 (n,)
    from 0 to 9. Else three Pairs over these arrays: sequences of (column x, one-hot column y).

    `path`, else $TINYGRAPH_DATA, is a file mnist.pkl.gz, a folder with MNIST's four IDX files (.gz
    or not) or with mnist.pkl.gz, which takes longer to read, "fashion" (Debian's package
    dataset-fashion-mnist) or "digits" (the small set beside this module). With neither, the first
    of these is taken: mnist.pkl.gz in the working directory, the user's cache, a download into it,
    the small set. Of the training images in IDX files the last sixth is for validation.

    A path that is not there is a FileNotFoundError; a damaged, oversized or hostile file is a
    ValueError that names it. Nothing in a file is executed.
    """
    wanted = path if path is not None else os.environ.get("TINYGRAPH_DATA") or None
    source, parts = _read_first_found() if wanted is None else _read_named(wanted)
    sizes = [f"{len(x)} {name}" for name, (x, _) in zip(_PARTS, parts, strict=True)]
    print(f"Data: {source} ({', '.join(sizes)})")
    if original:
        return parts
    return tuple(Pairs(x, y, CLASSES) for x, y in parts)


def _read_first_found() -> tuple[object, Parts]:
    """Read what is at hand, in the order that load_data's docstring gives."""
    if Path(_PICKLE).exists():
        return _read_pickle(Path(_PICKLE).absolute())
    cache = _cache_folder()
    if cache and (_holds_data(cache) or _download(cache)):
        return _read_folder(cache)
    return _read_digits()


def _read_named(path: str | os.PathLike[str]) -> tuple[object, Parts]:
    if path == "digits":
        return _read_digits()
    if path == "fashion":
        if not _FASHION.is_dir():
            raise FileNotFoundError(
                f"{_FASHION} is not there; to have Fashion-MNIST on Debian: "
                "apt-get install dataset-fashion-mnist"
            )
        return _read_folder(_FASHION)
    path = Path(path).expanduser()
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_pickle(path)
    raise FileNotFoundError(
        f"{path} is neither a file nor a folder; expected (as path or in TINYGRAPH_DATA) a file "
        f'{_PICKLE}, a folder with it or with MNIST\'s four IDX files, "fashion" or "digits"'
    )


def _idx_file(folder: Path, name: str) -> Path | None:
    """The file of this name in the folder, compressed or not."""
    candidates = (folder / name, folder / name.removesuffix(".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _holds_data(folder: Path) -> bool:
    return (folder / _PICKLE).exists() or all(_idx_file(folder, name) for name in _CHECKSUMS)


def _read_folder(folder: Path) -> tuple[object, Parts]:
    files = {name: _idx_file(folder, name) for name in _CHECKSUMS}
    if all(files.values()):
        return folder, _read_idx_files(*[file for file in files.values() if file])
    if (folder / _PICKLE).exists():
        return _read_pickle(folder / _PICKLE)
    missing = [name for name, file in files.items() if file is None]
    raise FileNotFoundError(
        f"{folder} holds neither {_PICKLE} nor all of MNIST's four IDX files; "
        f"missing: {', '.join(missing)} (.gz or not)"
    )


def _read_pickle(path: Path) -> tuple[object, Parts]:
    """Read three pairs (x, y) of arrays as mnist.pkl.gz holds them."""
    with _opened(path) as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{path} unpacks to over {_MAX_BYTES} bytes; expected {_PICKLE}")
    if content[:3] == b"\0\0\b":
        raise ValueError(f"{path} is one of the IDX files; expected the folder with all four")
    parts = load_pickle(content, what=path)
    if not _is_tuple(parts, 3) or not all(_is_tuple(part, 2) for part in parts):
        raise ValueError(f"{path} does not hold three pairs (x, y): {', '.join(_PARTS)}")
    training, validation, test = [
        _checked_part(f"{path}, {name} data", *part)
        for name, part in zip(_PARTS, parts, strict=True)
    ]
    widths = [part[0].shape[1] for part in (training, validation, test)]
    if len(set(widths)) > 1:
        raise ValueError(f"{path} holds images of {widths} pixels; expected one size throughout")
    return path, (training, validation, test)


def _is_tuple(value: object, length: int) -> bool:
    return isinstance(value, tuple | list) and len(value) == length


def _checked_part(name: str, x: Any, y: Any) -> Part:
    """Arrays x and y as float32 and int64, refused where they are no images and labels."""
    for array, dimensions, kinds, expected in (
        (x, 2, "f", "a floating array x of shape (n, pixels)"),
        (y, 1, "iu", "an integer array y of shape (n,)"),
    ):
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name}: got a {type(array).__name__}; expected {expected}")
        if array.ndim != dimensions or array.size == 0 or array.dtype.kind not in kinds:
            got = f"shape {array.shape} and dtype {array.dtype}"
            raise ValueError(f"{name}: got an array of {got}; expected {expected}")
    if len(x) != len(y):
        raise ValueError(f"{name}: got {len(x)} images and {len(y)} labels; expected as many")
    check_finite(x, f"{name}: x")
    _check_labels(name, y)
    return x.astype(np.float32, copy=False), y.astype(np.int64, copy=False)


def _check_labels(name: object, labels: npt.NDArray[Any]) -> None:
    if labels.min() < 0 or labels.max() >= CLASSES:
        got = f"labels from {labels.min()} to {labels.max()}"
        raise ValueError(f"{name}: got {got}; expected 0 to {CLASSES - 1}")


def _read_idx_files(
    train_images: Path, train_labels: Path, test_images: Path, test_labels: Path
) -> Parts:
    x, y = _read_idx_part(train_images, train_labels)
    test = _read_idx_part(test_images, test_labels)
    if x.shape[1] != test[0].shape[1]:
        raise ValueError(
            f"{train_images} has images of {x.shape[1]} pixels, {test_images} of "
            f"{test[0].shape[1]}; expected the same size"
        )
    validation_size = len(x) // 6
    if validation_size == 0:
        raise ValueError(f"{train_images} holds {len(x)} images; expected 6 at least")
    end = len(x) - validation_size
    return (x[:end], y[:end]), (x[end:], y[end:]), test


def _read_idx_part(images_path: Path, labels_path: Path) -> Part:
    images, labels = _read_idx(images_path, 3), _read_idx(labels_path, 1)
    if images.size == 0:
        raise ValueError(f"{images_path} holds no pixels, its shape is {images.shape}")
    if len(images) != len(labels):
        raise ValueError(
            f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels; "
            "expected as many"
        )
    _check_labels(labels_path, labels)
    # A power of two: the quotients are exact, and equal to those in mnist.pkl.gz.
    x = np.divide(images.reshape(len(images), -1), np.float32(256), dtype=np.float32)
    return x, labels.astype(np.int64)


def _read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file: a magic number, the length of each dimension, a byte an item."""
    magic = bytes((0, 0, 8, dimensions))
    with _opened(path) as stream:
        header = stream.read(4 + 4 * dimensions)
        if header[:4] != magic or len(header) < 4 + 4 * dimensions:
            raise ValueError(
                f"{path} starts with '{header.hex(' ')}'; expected an IDX file: "
                f"'{magic.hex(' ')}' and {dimensions} lengths of 4 bytes"
            )
        shape = struct.unpack(f">{dimensions}I", header[4:])
        size = math.prod(shape)
        if size > _MAX_BYTES:
            raise ValueError(f"{path} announces {size} bytes; expected {_MAX_BYTES} at most")
        content = stream.read(size + 1)
    if len(content) != size:
        got = f"only {len(content)}" if len(content) < size else "more"
        raise ValueError(f"{path} announces {size} bytes of data, shape {shape}, and holds {got}")
    return np.frombuffer(content, np.uint8).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, through gzip where its content, whatever its name, is gzip's."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is a truncated or corrupt gzip file: {error}") from error


def _cache_folder() -> Path | None:
    if importlib.util.find_spec("pooch") is None:
        print("Download of MNIST skipped: it needs pooch, pip install tinygraph[models]")
        return None
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("tinygraph"))


def _download(folder: Path) -> bool:
    """Fetch MNIST's IDX files into a folder; say so and return False where that fails."""
    import pooch

    source = _first_to_answer()
    if source is None:
        print(f"Download of MNIST skipped: no source answers within {_PATIENCE_SECONDS:g} s")
        return False
    progressbar = importlib.util.find_spec("tqdm") is not None
    downloader = pooch.HTTPDownloader(timeout=_PATIENCE_SECONDS, progressbar=progressbar)
    try:
        for name, checksum in _CHECKSUMS.items():
            pooch.retrieve(source + name, f"md5:{checksum}", name, folder, downloader=downloader)
    # The exceptions of requests are OSErrors; a wrong checksum is a ValueError.
    except (OSError, ValueError) as error:
        print(f"Download of MNIST from {source} failed: {error}")
        return False
    return True


def _first_to_answer() -> str | None:
    """The first of the sources to answer, None if none does in time."""
    answers: queue.Queue[str | None] = queue.Queue()

    def ask(source: str) -> None:
        answer = None
        request = urllib.request.Request(source + next(iter(_CHECKSUMS)), method="HEAD")
        with (
            suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS),
        ):
            answer = source
        answers.put(answer)

    # A socket's timeout covers neither the look-up of a name nor all its addresses together, and a
    # daemon thread can be left behind where it hangs.
    for source in _SOURCES:
        threading.Thread(target=ask, args=(source,), daemon=True).start()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    answer = None
    with suppress(queue.Empty):
        for _ in _SOURCES:
            answer = answer or answers.get(timeout=max(0, deadline - time.monotonic()))
    return answer


def _read_digits() -> tuple[object, Parts]:
    """Read the embedded digits, scaled to MNIST's size and split the same way every time."""
    table = np.loadtxt(_DIGITS, np.int64, delimiter=",")
    labels = table[:, -1]
    images = table[:, :-1].astype(np.float32).reshape(-1, _DIGITS_WIDTH, _DIGITS_WIDTH)
    scale = _interpolation(_DIGITS_WIDTH, _WIDTH)
    x: Any = (scale @ (images / _DIGITS_WHITE) @ scale.T).reshape(len(images), -1)
    # Dealt out one class after the other, so that each part has all digits in equal shares.
    turn = np.empty_like(labels)
    turn[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 9
    training, validation, test = turn < 6, turn == 6, turn > 6
    parts = [(x[chosen], labels[chosen]) for chosen in (training, validation, test)]
    return f"{len(x)} embedded digits, scaled from 8x8", (parts[0], parts[1], parts[2])


def _interpolation(size: int, new_size: int) -> npt.NDArray[np.float32]:
    """The matrix (new_size, size) that scales a column of pixels by linear interpolation."""
    centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    distances = np.abs(centres.clip(0, size - 1)[:, None] - np.arange(size))
    weights: npt.NDArray[np.float32] = np.maximum(1 - distances, 0).astype(np.float32)
    return weights
