"""Print plain-text tables."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.timing import Timing

UNITS = {"ns": 1e9, "µs": 1e6, "ms": 1e3, "s": 1.0}


def print_table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Print named rows of texts below the names of their columns."""
    width = max(map(len, rows))
    print(f"\n{title}")
    for name, cells in {"": columns, **rows}.items():
        print(f"  {name:{width}}" + "".join(f"  {cell:>11}" for cell in cells), flush=True)


def print_timings(
    title: str,
    timings: Sequence[Timing],
    unit: str = "µs",
    per: int = 1,
    further: Mapping[str, Callable[[Timing], str]] | None = None,
) -> None:
    """Print medians (divided by `per`), ratios to the first, and the `further` columns."""
    further = further or {}
    rows = {
        timing.name: [
            f"{timing.seconds / per * UNITS[unit]:.2f}",
            f"{timing.ratio(timings[0]):.2f}",
            *(column(timing) for column in further.values()),
        ]
        for timing in timings
    }
    print_table(title, [unit, "ratio", *further], rows)
