"""Print every table: ``python -m benchmarks [step] [chain] [memory]``."""

import argparse
import os
from collections.abc import Sequence

import numpy as np

from benchmarks import chain, memory, steps
from benchmarks.timing import blas_threads, print_table

TABLES = ("step", "chain", "memory")
BATCHES = (20, 128, 1024)
DTYPES = ("float32", "float64")


def main() -> None:
    """Describe the machine, check that all implementations agree, and print the tables."""
    options = _parser().parse_args()
    tables = TABLES if "all" in options.tables else options.tables
    print(_machine())
    for package in steps.missing():
        print(f"{package} is not installed: skipped")
    if "step" in tables:
        print_steps(options.batch, options.rounds)
    if "chain" in tables:
        print_chains(options.rounds)
    if "memory" in tables:
        print_memory()


def print_steps(batches: Sequence[int], rounds: int) -> None:
    """Print the training step's tables."""
    difference = steps.verify()
    print(f"losses of 3 steps in float64 agree to {difference:.1e}")
    layers = "-".join(map(str, steps.LAYERS))
    for dtype in DTYPES:
        for batch in batches:
            title = f"training step {layers}, batch {batch}, {dtype}, {rounds} rounds"
            print_table(title, steps.time_steps(batch, dtype, rounds))


def print_chains(rounds: int) -> None:
    """Print the chains' tables."""
    for name, timings in chain.time_chains(rounds).items():
        title = f"{chain.LENGTH} times {name}, forward + backward, {rounds} rounds"
        print_table(title, timings, per=chain.LENGTH, unit="µs a node")


def print_memory() -> None:
    """Print the memory's table."""
    if not memory.supported():
        print(f"\nmemory: needs Linux's {memory.CLEAR_REFS}: skipped")
        return
    layers = "-".join(map(str, memory.LAYERS))
    title = (
        f"peak memory of a training step {layers}, batch {memory.BATCH}, {memory.DTYPE}, "
        f"median of {memory.RUNS} processes"
    )
    memory.print_memory_table(title, memory.measure())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", choices=(*TABLES, "all"), default="all", help="(default: all)"
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=25,
        help="rounds of each comparison (default: %(default)s)",
    )
    parser.add_argument(
        "--batch",
        type=_positive,
        nargs="+",
        default=BATCHES,
        help="batch sizes of the training step",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number of at least 1")
    return number


def _machine() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "unknown"
    return (
        f"{os.cpu_count()} cpus, affinity {affinity}; numpy {np.__version__}, "
        f"{blas['name']} {blas['version']}, threads: {blas_threads()}"
    )


if __name__ == "__main__":
    main()
