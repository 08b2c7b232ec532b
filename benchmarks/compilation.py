"""What compiling takes: the first call of the step, and what every call adds to the plan."""

import inspect
import runpy
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.implementations import make_all
from benchmarks.problem import LAYERS, LEARNING_RATE, random_problem, title_of
from benchmarks.steps import COMPILED, IMPLEMENTATIONS, step_of_graph
from benchmarks.tables import print_table, print_timings
from benchmarks.timing import compare, interleave

JAX = "jax, jitted"
BATCH = 20
DTYPE = "float32"
SMALL = (2, 2, 2, 2)
"""As many layers as the network has, so small that a plan's own function takes little time."""


def print_compile(options: Namespace) -> None:
    """Print both tables."""
    print_first_calls(options.rounds)
    print_overheads(options.rounds)


def print_first_calls(rounds: int) -> None:
    """Print the time of the first call of a step, which records and compiles it."""
    problem = random_problem(LAYERS, BATCH, DTYPE)
    chosen = {name: IMPLEMENTATIONS[name] for name in (COMPILED, JAX)}

    def measure(name: str) -> float:
        step = make_all({name: chosen[name]}, *problem, LEARNING_RATE)[name]
        start = time.perf_counter()
        step()
        return time.perf_counter() - start

    # What is imported and allocated at the first compilation is not counted.
    usable = list(make_all(chosen, *problem, LEARNING_RATE))
    for name in usable:
        measure(name)
    timings = interleave({name: lambda name=name: measure(name) for name in usable}, rounds)
    title = f"first call of a step {title_of(LAYERS)}, batch {BATCH}, {DTYPE}, {rounds} rounds"
    print_timings(title, timings, unit="ms")


def print_overheads(rounds: int) -> None:
    """Print how much longer a call takes than the plan's own function on the same small arrays."""
    title = f"a call of a compiled function and its plan's own function, {rounds} rounds"
    rows = {}
    for name, (call, run) in {
        "a step with six parameters": make_step_and_plan(),
        "a function of an array": make_function_and_plan(),
    }.items():
        of_call, of_run = compare({"call": call, "run": run}, rounds)
        differences = np.subtract(of_call.samples, of_run.samples)
        seconds = [of_call.seconds, of_run.seconds, float(np.median(differences))]
        rows[name] = [f"{second * 1e6:.2f}" for second in seconds]
    print_table(title, ["call µs", "plan µs", "overhead µs"], rows)


def make_step_and_plan() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Give a compiled training step's call and its plan's function, both without arguments."""
    import tinygraph as tg

    parameters, x, y = random_problem(SMALL, 1, DTYPE)
    step = tg.compile(step_of_graph(parameters, LEARNING_RATE))
    step(x, y)
    arrays = {"x": x, "y": y, "learning_rate": np.array(LEARNING_RATE, DTYPE)}
    for number, (weight, bias) in enumerate(parameters, start=1):
        arrays |= {f"w{number}": weight, f"b{number}": bias}
        arrays |= {
            f"next_w{number}": np.empty_like(weight),
            f"next_b{number}": np.empty_like(bias),
        }
    plan, names = load_plan(step, "step")
    values = [arrays[name] for name in names]
    return lambda: step(x, y), lambda: plan(*values)


def make_function_and_plan() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Give the same of a function of one array."""
    import tinygraph as tg

    def double(x: Any) -> Any:
        return np.multiply(x, 2)

    x = np.ones(2, DTYPE)
    compiled = tg.compile(double)
    compiled(x)
    plan, _ = load_plan(compiled, "double")
    return lambda: compiled(x), lambda: plan(x)


def load_plan(compiled: Any, name: str) -> tuple[Callable[..., Any], Sequence[str]]:
    """Give the function of the plan as the file that it is saved to has it, and its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.py")
        compiled.save(path)
        plan = runpy.run_path(str(path))[name]
    return plan, list(inspect.signature(plan).parameters)
