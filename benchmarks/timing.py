"""Time functions side by side, so that whatever the machine does meanwhile hits all of them."""

import importlib.util
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SLICE_SECONDS = 0.004
PAUSE_SECONDS = 0.05
SETTLING_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Timing:
    """The median seconds of one call, and the median ratio to the reference in the same round."""

    name: str
    seconds: float
    ratio: float


def compare(
    functions: Mapping[str, Callable[[], object]],
    rounds: int = 25,
    reference: str | None = None,
) -> list[Timing]:
    """Time named functions in interleaved rounds and compare them with the first, or `reference`.

    In a round every function is called some times in a row, enough to take a few milliseconds.
    A ratio is taken within a round, where both ran under the same load and clock.
    """
    if rounds < 1:
        raise ValueError(f"rounds: got {rounds}, expected at least 1")
    reference = reference or next(iter(functions))
    _settle_allocator()
    calls = {name: _calibrate(function) for name, function in functions.items()}
    samples: dict[str, list[float]] = {name: [] for name in functions}
    order = list(functions)
    # A fixed order would give each function the same neighbour, and its caches, in every round.
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            _let_other_threads_sleep()
            samples[name].append(_seconds_a_call(functions[name], calls[name]))
    return [_summary(name, samples[name], samples[reference]) for name in functions]


def print_table(title: str, timings: Sequence[Timing], per: int = 1, unit: str = "µs") -> None:
    """Print microseconds (divided by `per`) and ratios as a plain-text table."""
    width = max(len(timing.name) for timing in timings)
    print(f"\n{title}")
    print(f"  {'':{width}}  {unit:>12}  {'ratio':>7}")
    for timing in timings:
        microseconds = timing.seconds / per * 1e6
        print(f"  {timing.name:{width}}  {microseconds:12.2f}  {timing.ratio:7.2f}")


def usable_cpus() -> int:
    """Count the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas_threads() -> int:
    """Count the threads of NumPy's BLAS: by asking it, or as many as there are cores to use."""
    if importlib.util.find_spec("threadpoolctl"):
        import threadpoolctl

        pools = threadpoolctl.threadpool_info()
        counts = [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]
        if counts:
            return max(counts)
    return usable_cpus()


def _settle_allocator() -> None:
    """Free one large block, as a program that has loaded its data set did long ago.

    Until then glibc returns freed arrays to the system and asks for new pages at every step: a
    float64 step by hand took 880 µs then, and 270 after. Which of both was measured would depend
    on what happened to run before.
    """
    bytearray(SETTLING_BYTES)


def _let_other_threads_sleep() -> None:
    """Wait for the neighbour's thread pool, which spins on for some 30 ms (OpenBLAS, OpenMP).

    It took the cores from whoever ran next: PyTorch's step of batch 1024 appeared 2.5 times as
    slow beside NumPy as alone.
    """
    if usable_cpus() > 1:
        time.sleep(PAUSE_SECONDS)


def _calibrate(function: Callable[[], object]) -> int:
    """Count the calls that fill a slice."""
    function()
    calls = 1
    while True:
        elapsed = _seconds_a_call(function, calls) * calls
        if elapsed >= SLICE_SECONDS / 2:
            return max(1, round(calls * SLICE_SECONDS / elapsed))
        calls *= 2


def _seconds_a_call(function: Callable[[], object], calls: int) -> float:
    # One call is not counted: the neighbour before it left the caches full of its own data.
    function()
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def _summary(name: str, samples: list[float], reference: list[float]) -> Timing:
    ratios = [own / other for own, other in zip(samples, reference, strict=True)]
    return Timing(name, statistics.median(samples), statistics.median(ratios))
