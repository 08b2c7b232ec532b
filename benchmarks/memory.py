"""The memory that one training step takes on top of its parameters and data.

Every implementation runs in a process of its own: the peak of the resident memory (VmHWM, set
back through /proc/self/clear_refs just before the second step) less the resident memory before
the first. Imports and a step of a tiny batch come first. The allocator's luck moves a result by
one or two arrays, hence the median of several processes. Linux only.
"""

import importlib.util
import statistics
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from benchmarks.problem import BIGGER, LEARNING_RATE, random_problem, title_of
from benchmarks.steps import COMPILED, IMPLEMENTATIONS, REFERENCE
from benchmarks.tables import print_table

BATCH = 4096
RUNS = 5
DTYPE = "float32"
NAMES = ("pytorch", REFERENCE, "tinygraph", COMPILED)
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def print_memory(options: Namespace) -> None:
    """Print mebibytes, and ratios to the first."""
    if not CLEAR_REFS.exists():
        print(f"\nmemory: skipped, it needs Linux's {CLEAR_REFS}")
        return
    sizes = measure()
    reference = next(iter(sizes.values()))
    rows = {
        name: [f"{size / 2**20:.1f}", f"{size / reference:.2f}"] for name, size in sizes.items()
    }
    title = (
        f"peak memory of a training step {title_of(BIGGER)}, batch {BATCH}, {DTYPE}, median of "
        f"{RUNS} processes"
    )
    print_table(title, ["MiB", "ratio"], rows)


def measure() -> dict[str, int]:
    """Measure the bytes of every installed implementation, each time in a fresh process."""
    return {
        name: statistics.median_low(_measure_in_fresh_process(name) for _ in range(RUNS))
        for name in NAMES
        if importlib.util.find_spec(IMPLEMENTATIONS[name][1])
    }


def _measure_in_fresh_process(name: str) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", name]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(finished.stdout)


def _peak_of_a_step(name: str) -> int:
    make, _ = IMPLEMENTATIONS[name]
    make(*random_problem(BIGGER, 2, DTYPE), LEARNING_RATE)()
    step = make(*random_problem(BIGGER, BATCH, DTYPE), LEARNING_RATE)
    base = _status_bytes("VmRSS")
    # The first step of some is recorded or compiled, which may take more.
    step()
    CLEAR_REFS.write_text(RESET_PEAK)
    step()
    return _status_bytes("VmHWM") - base


def _status_bytes(field: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{STATUS}: got no field {field}; expected it in every Linux process's status")


if __name__ == "__main__":
    print(_peak_of_a_step(sys.argv[1]))
