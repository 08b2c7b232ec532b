"""Time functions side by side, so that whatever the machine does meanwhile hits all of them."""

import importlib.util
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SLICE_SECONDS = 0.004
PAUSE_SECONDS = 0.05
SETTLING_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of one call in every round."""

    name: str
    samples: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        """The fastest round."""
        return min(self.samples)

    def ratio(self, reference: "Timing") -> float:
        """Give the median ratio within a round, where both ran under the same load and clock."""
        pairs = zip(self.samples, reference.samples, strict=True)
        return statistics.median(own / other for own, other in pairs)


def compare(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    steps: Mapping[str, int] | None = None,
) -> list[Timing]:
    """Time named functions in interleaved rounds.

    In a round every function is called some times in a row, enough to take a few milliseconds.
    `steps` says of a function that makes several steps in a call how many: the time is one step's.
    """
    steps = steps or {}
    _settle_allocator()
    calls = {name: _calibrate(function) for name, function in functions.items()}

    def measure(name: str) -> float:
        _let_other_threads_sleep()
        return _seconds_a_call(functions[name], calls[name]) / steps.get(name, 1)

    return interleave({name: lambda name=name: measure(name) for name in functions}, rounds)


def interleave(measures: Mapping[str, Callable[[], float]], rounds: int) -> list[Timing]:
    """Call functions that give seconds in interleaved rounds."""
    samples: dict[str, list[float]] = {name: [] for name in measures}
    order = list(measures)
    # A fixed order would give each function the same neighbour, and its caches, in every round.
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            samples[name].append(measures[name]())
    return [Timing(name, tuple(own)) for name, own in samples.items()]


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


def keep_to_threads(count: int) -> None:
    """Let BLAS, and what is imported from now on, use no more than `count` threads and cores.

    JAX asks how many cores its process may use when it starts, and takes no other word for it.
    """
    import threadpoolctl

    if usable_cpus() < count:
        raise ValueError(f"got {count} threads, expected no more than {usable_cpus()} usable cores")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    threadpoolctl.threadpool_limits(count)


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
