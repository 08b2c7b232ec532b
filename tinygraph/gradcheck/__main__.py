"""Check a function's derivatives from the shell: python -m tinygraph.gradcheck numpy:tanh."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from tinygraph.gradcheck import GradientError, gradcheck


def function(text: str) -> Callable[..., Any]:
    """Find a function by the text module:name."""
    module, separator, name = text.partition(":")
    if not separator or not module or not name:
        raise argparse.ArgumentTypeError(f"expected module:function, got {text!r}")
    try:
        found = reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not callable(found):
        raise argparse.ArgumentTypeError(f"{text} is a {type(found).__name__}, not a function")
    result: Callable[..., Any] = found
    return result


def shape(text: str) -> tuple[int, ...]:
    """Read a shape such as 3,4 or 5, or () of a number."""
    try:
        sizes = tuple(int(size) for size in text.strip("()").split(",") if size.strip())
    except ValueError:
        sizes = (-1,)
    if any(size < 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"expected a shape such as 3,4 or 5 or (), got {text!r}")
    return sizes


def floating(text: str) -> np.dtype[Any]:
    """Read a floating or complex dtype."""
    try:
        dtype = np.dtype(text)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fc":
        raise argparse.ArgumentTypeError(f"expected a floating or complex dtype, got {text!r}")
    return dtype


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m tinygraph.gradcheck",
        description="Compare the derivatives of a function with finite differences, at a random "
        "point. Exits with 1 if they disagree, with 2 if they could not be compared.",
    )
    made.add_argument("function", type=function, metavar="module:function")
    made.add_argument(
        "--shapes", type=shape, nargs="+", default=[(3,)], help="of the inputs: 3,4 5 ()"
    )
    made.add_argument("--dtype", type=floating, default=np.dtype(float), help="of the inputs")
    made.add_argument("--low", type=float, default=-2.0, help="the least input")
    made.add_argument("--high", type=float, default=2.0, help="the largest input")
    made.add_argument("--order", type=int, default=1, help="2: the second derivative too")
    made.add_argument("--directions", type=int, help="how many random ones; 0: every element")
    made.add_argument("--seed", type=int, default=0)
    return made


def draw(
    shape: tuple[int, ...], arguments: argparse.Namespace, generator: np.random.Generator
) -> Any:
    """Draw an input between the bounds."""
    x = generator.uniform(arguments.low, arguments.high, shape)
    if arguments.dtype.kind == "c":
        x = x + 1j * generator.uniform(arguments.low, arguments.high, shape)
    return np.asarray(x).astype(arguments.dtype)


def main(argv: Sequence[str] | None = None) -> int:
    """Check the function that the arguments name, print the report, and give the exit code."""
    arguments = parser().parse_args(argv)
    generator = np.random.default_rng(arguments.seed)
    inputs = [draw(shape, arguments, generator) for shape in arguments.shapes]
    options = {key: getattr(arguments, key) for key in ("order", "directions", "seed")}
    try:
        print(gradcheck(arguments.function, *inputs, **options))
    except GradientError as error:
        print(error)
        return 1
    except Exception:
        traceback.print_exc()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
