"""The memory that one training step takes on top of its parameters and data.

Every implementation runs in a process of its own: the peak of the resident memory (VmHWM, set
back through /proc/self/clear_refs just before the second step) less the resident memory before
the first. Imports and a step of a tiny batch come first. The allocator's luck moves a result by
one or two arrays, hence the median of several processes. Linux only.
"""

import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import steps

LAYERS = (784, 512, 512, 10)
BATCH = 4096
RUNS = 5
DTYPE = "float32"
NAMES = ("pytorch", steps.REFERENCE, "tinygraph", "tinygraph, compiled")
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def measure() -> dict[str, int]:
    """Measure the bytes of every installed implementation, each time in a fresh process."""
    installed = steps.installed(steps.IMPLEMENTATIONS)
    return {
        name: statistics.median_low(_measure_in_fresh_process(name) for _ in range(RUNS))
        for name in NAMES
        if name in installed
    }


def print_memory_table(title: str, sizes: dict[str, int]) -> None:
    """Print mebibytes, and ratios to the first."""
    width = max(len(name) for name in sizes)
    reference = next(iter(sizes.values()))
    print(f"\n{title}")
    print(f"  {'':{width}}  {'MiB':>12}  {'ratio':>7}")
    for name, size in sizes.items():
        print(f"  {name:{width}}  {size / 2**20:12.1f}  {size / reference:7.2f}")


def supported() -> bool:
    """Tell whether this system can set a process's peak memory back."""
    return CLEAR_REFS.exists()


def _measure_in_fresh_process(name: str) -> int:
    command = [sys.executable, "-m", "benchmarks.memory", name]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(finished.stdout)


def _peak_of_a_step(name: str) -> int:
    make, _ = steps.IMPLEMENTATIONS[name]
    make(*steps.random_problem(LAYERS, 2, DTYPE), steps.LEARNING_RATE)()
    step = make(*steps.random_problem(LAYERS, BATCH, DTYPE), steps.LEARNING_RATE)
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
