"""Print the tables that are named: what tinygraph takes beside NumPy by hand and its peers."""

import argparse
import os
from collections.abc import Callable

import numpy as np

from benchmarks import accuracy, chain, compilation, epoch, inference, memory, peak, steps
from benchmarks.timing import blas_threads, keep_to_threads

TABLES: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "step": (steps.print_step, "a training step of 784-100-50-10, and its share of the peak"),
    "chain": (chain.print_chain, "a node of a long chain of tiny operations"),
    "memory": (memory.print_memory, "peak memory of a step of 784-512-512-10 at batch 4096"),
    "networks": (steps.print_networks, "a training step of 784-512-512-10 and of 64-32-10"),
    "inference": (inference.print_inference, "one sample through each of the three networks"),
    "peak": (peak.print_peak, "matrix products: large ones, and those of a step alone"),
    "epoch": (epoch.print_epoch, "an epoch of 50,000 samples against one sample at a time"),
    "accuracy": (accuracy.print_accuracy, "seconds to 97 % and to 98 % on MNIST's test images"),
    "compile": (compilation.print_compile, "the first call, and a call's overhead"),
}
DEFAULT = ("step", "chain", "memory", "inference", "compile")
DTYPES = ("float32", "float64")


def main() -> None:
    """Describe the machine, and print the tables."""
    parser = _parser()
    options = parser.parse_args()
    if options.threads:
        try:
            keep_to_threads(options.threads)
        except ValueError as error:
            parser.error(f"--threads: {error}")
    print(_machine(), flush=True)
    tables = TABLES if "all" in options.tables else options.tables
    for name in dict.fromkeys(tables):
        print_tables, _ = TABLES[name]
        print_tables(options)


def _parser() -> argparse.ArgumentParser:
    described = (f"  {name:10} {text}" for name, (_, text) in TABLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="\n".join(("tables:", *described, f"default: {' '.join(DEFAULT)}")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "tables", nargs="*", type=_table, default=DEFAULT, help="of those below, or all"
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
        default=(20, 128, 1024),
        help="batch sizes of the steps (default: %(default)s)",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, nargs="+", default=DTYPES, help="(default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        help="keep the process to so many cores, and BLAS, PyTorch and JAX to so many threads",
    )
    parser.add_argument("--data", help="MNIST's file or folder; else as models.load finds it")
    return parser


def _table(text: str) -> str:
    if text not in (*TABLES, "all"):
        raise argparse.ArgumentTypeError(f"got {text}, expected {', '.join(TABLES)} or all")
    return text


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
