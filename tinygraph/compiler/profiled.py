"""Where the time of a plan goes, line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

CALLS = 200


def with_clock(source: str) -> tuple[str, list[str]]:
    """Give the source with the clock read after every line of the function, and those lines."""
    lines: list[str] = []
    texts: list[str] = []
    inside = False
    # What numba compiles is before it.
    *_, first = (line for line in source.splitlines() if line.startswith("    def "))
    for line in source.splitlines():
        if inside and line.startswith("        return"):
            inside = False
            lines.append("        times.append(clock())")
            lines.append("        readings.append(times)")
        lines.append(line)
        if inside and line.strip():
            texts.append(line.strip())
            lines.append("        times.append(clock())")
        if line == first:
            inside = True
            lines.append("        times = [clock()]")
    return "\n".join(lines), texts


def profile(
    source: str,
    build: Callable[..., Any],
    call: Callable[[Callable[..., Any]], Any],
) -> str:
    """Run the plan's function with a clock in it, and give a table of medians."""
    timed, texts = with_clock(source)
    readings: list[list[float]] = []
    function = build(timed, {"clock": perf_counter, "readings": readings})
    for _ in range(CALLS):
        call(function)
    times = np.median(np.diff(np.array(readings))[CALLS // 10 :], axis=0) * 1e6
    return table(texts, times)


def table(texts: Sequence[str], times: Any) -> str:
    """Write lines with their microseconds and shares, the slowest first."""
    total = float(np.sum(times))
    rows = sorted(zip(times, texts, strict=False), reverse=True)
    lines = [f"{time:9.2f} {time / total:7.1%}  {text}" for time, text in rows]
    return "\n".join(["       µs   share  line", *lines, f"{total:9.2f}          in all"])
