"""compile: a function that runs as the NumPy source made of a recorded call."""

from __future__ import annotations

import builtins
import linecache
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from functools import update_wrapper
from importlib.util import find_spec
from itertools import chain, count, repeat
from operator import attrgetter, call, is_
from threading import RLock
from types import MethodType
from typing import Any

import numpy as np

from tinygraph.buffer import any_is_shared
from tinygraph.compiler import saved
from tinygraph.compiler.blas import accumulate_products, own_array
from tinygraph.compiler.blocks import cut_products
from tinygraph.compiler.emit import Emitter
from tinygraph.compiler.kernels import accumulate_in_blocks, join_steps
from tinygraph.compiler.loops import fuse_elementwise
from tinygraph.compiler.passes import PASSES, Pass, describe_program
from tinygraph.compiler.profiled import profile
from tinygraph.compiler.tape import Recording, record_call, refuse_old_gradient
from tinygraph.node import Node, next_stamp
from tinygraph.state import get_state
from tinygraph.transforms import is_variable
from tinygraph.tree import flatten

Function = Callable[..., Any]

MOST_PLANS = 16
"""How many plans a compiled function keeps: those used last."""

BACKENDS: dict[str, list[Pass]] = {
    "numpy": [cut_products],
    "blas": [accumulate_products, cut_products],
    "numba": [accumulate_in_blocks, fuse_elementwise, join_steps, cut_products],
}
"""What is done beside the simplifications, by the backend's name."""

NEEDED = {"blas": "scipy", "numba": "numba"}
"""The packages of backends."""

Passes = tuple[Sequence[Pass], Sequence[Pass]]
"""The simplifications, and what a backend does beside them."""

_numbers = count()
_values_of = attrgetter("_value")
_repeat_value = repeat("_value")
_run_all = deque[Any](maxlen=0).extend


class Plan:
    """The function made of one recorded call, and what to give it and to do with its results."""

    def __init__(self, f: Function, args: Any, kwargs: Mapping[str, Any], passes: Passes) -> None:
        recording: Recording = record_call(f, args, kwargs)
        self.program = recording.program
        self.history = [("recorded", describe_program(self.program))]
        simplifications, further = passes
        self.simplify(simplifications)
        # What NumPy alone can do, for files.
        self.portable = replace(self.program)
        self.simplify(further)
        self.name = getattr(f, "__name__", "compiled")
        self.emitter = Emitter(self.program, self.name)
        self.source = self.emitter.text()
        self.run = build(self.source, self.emitter.objects)
        self.recording = recording
        is_flat = not kwargs and all(x.__class__ is np.ndarray for x in args)
        self.types = [(x.__class__, x.shape, x.dtype) for x in args] if is_flat else None
        self.leaves = recording.leaves
        # As arrays without axes: ufuncs take half as long to look at them as at numbers.
        pairs = zip(self.program.numbers, recording.numbers, strict=True)
        self.numbers = [(np.empty((), x.dtype), compute) for x, compute in pairs]
        self.number_arrays = [array for array, _ in self.numbers]
        self.updated = [recording.leaves[number] for number, _ in self.program.updates]
        self.spares = [
            value.new_array(self.leaves[number].dtype) for number, value in self.program.updates
        ]
        self.handed: list[Any] = []
        self.accumulated = [recording.leaves[last.leaf] for last in self.program.accumulations]
        self.changed = [*self.updated, *self.accumulated]
        self.quietly: Function = run_quietly
        if not any(map(callable, self.emitter.objects.values())):
            # To enter a context takes less than np.errstate does, but hides the caller's context.
            context = Context()
            context.run(np.seterr, all="ignore")
            self.quietly = context.run

    def simplify(self, passes: Sequence[Pass]) -> None:
        """Do passes, one after the other."""
        for simplification in passes:
            simplification(self.program)
            self.history.append((simplification.__name__, describe_program(self.program)))

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Tell, in little time, whether arguments are arrays of the shapes and dtypes recorded."""
        try:
            return [(x.__class__, x.shape, x.dtype) for x in args] == self.types
        except AttributeError:
            return False

    def compute(
        self, arrays: Sequence[Any], targets: list[Any], run: Function | None = None
    ) -> Any:
        """Run the function; new values of leaves are written into `targets`."""
        for array, compute in self.numbers:
            array[()] = compute()
        values = map(_values_of, self.leaves)
        return self.quietly(run or self.run, *arrays, *values, *self.number_arrays, *targets)

    def targets(self) -> list[Any]:
        """Give arrays for the new values of leaves: those of the values before the last."""
        if any_is_shared(self.spares):
            self.spares[:] = [np.empty_like(x) for x in self.spares]
        if self.accumulated:
            return [*self.spares, *map(own_array, self.accumulated)]
        return self.spares

    def laid_out(self, values: list[Any], targets: list[Any]) -> list[Any]:
        """Give arrays that lie as targets do: old values that were targets once, else new ones."""
        if len(self.handed) == len(values) and all(map(is_, values, self.handed)):
            return values
        pairs = zip(values, targets, strict=False)
        return [x if x.strides == y.strides else np.empty_like(y) for x, y in pairs]

    def preview(self, arrays: Sequence[Any], run: Function | None = None) -> Any:
        """Give the results of the function and the new values of leaves, and change nothing."""
        targets = [np.array(leaf._value, order="C") for leaf in self.changed]
        results = self.compute(arrays, targets, run)
        if self.accumulated:
            results, last_calls = results
            _run_all(map(call, last_calls))
        return results, targets

    def __call__(self, arrays: Sequence[Any], accept: Function | None) -> Any:
        for leaf in self.recording.alone:
            if leaf.grad is not None:
                refuse_old_gradient(leaf)
        targets = self.targets() if self.changed else []
        results = self.compute(arrays, targets)
        last_calls: tuple[Function, ...] = ()
        if self.accumulated:
            results, last_calls = results
        if accept is not None:
            accept(self.recording.result_of(results))
        if self.changed:
            self.change(last_calls, targets)
        return self.recording.hand_back(results)

    def change(self, last_calls: tuple[Function, ...], targets: list[Any]) -> None:
        """Give the leaves their new values."""
        before = list(map(_values_of, self.updated))
        now = next_stamp()
        for leaf in self.changed:
            leaf.stamp = now
        # In one go, between whose parts no Ctrl-C comes.
        _run_all(chain(map(call, last_calls), map(setattr, self.changed, _repeat_value, targets)))
        self.spares = self.laid_out(before, targets)
        self.handed = targets[: len(before)]
        for advance in self.recording.afterwards:
            advance()


def run_quietly(run: Function, *args: Any) -> Any:
    """Give run(*args), without NumPy's warnings."""
    with np.errstate(all="ignore"):
        return run(*args)


def build(source: str, objects: Mapping[str, Any]) -> Function:
    """Make the function of its source, which tracebacks then show."""
    file = f"<tinygraph.compile {next(_numbers)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    namespace: dict[str, Any] = {"np": np, **objects}
    exec(builtins.compile(source, file, "exec"), namespace)
    made: Function = namespace["make"]()
    return made


class Compiled:
    """A function that is recorded once for every structure, shape and dtype of its arguments.

    Calls hold a lock, so that threads may share it.
    """

    def __init__(self, f: Function, passes: Passes, check: bool, accept: Function | None) -> None:
        self.f = f
        self.accept = accept
        self.passes = passes
        self.check = check
        self._plans: OrderedDict[Any, Plan] = OrderedDict()
        self._latest: Plan | None = None
        self._lock = RLock()
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if get_state().tape is not None:
            return self.f(*args, **kwargs)
        with self._lock:
            plan, arrays = self._latest, args
            known = plan is not None and not kwargs and plan.fits(args)
            if plan is None or not known or not plan.recording.still_holds():
                leaves, _ = flatten((args, kwargs))
                if get_state().recording and any(map(is_variable, leaves)):
                    return self.f(*args, **kwargs)
                arrays = tuple(np.asarray(x) for x in leaves if is_array(x))
                plan = self._latest = self._plan(args, kwargs)
            if self.check:
                return self._checked(plan, arrays, args, kwargs)
            return plan(arrays, self.accept)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Give the method of an instance, which is part of what is recorded."""
        return self if instance is None else MethodType(self, instance)

    def _plan(self, args: Any, kwargs: Mapping[str, Any]) -> Plan:
        """Give the plan for such arguments, a new one where there is none."""
        key = key_of((args, kwargs))
        plan = self._plans.get(key)
        if plan is None or not plan.recording.still_holds():
            plan = self._plans[key] = Plan(self.f, args, kwargs, self.passes)
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan

    def _checked(
        self, plan: Plan, arrays: Sequence[Any], args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        """Compute by the plan and eagerly, compare, and give what the eager call gave."""
        recording = plan.recording
        found, updates = plan.preview(arrays)
        updates += recording.gradients_of(found)
        out = self.f(*args, **kwargs)
        leaves, rebuild = flatten(out)
        expected = [np.array(x._value) if isinstance(x, Node) else x for x in leaves]
        pairs = [*zip(flatten(recording.result_of(found))[0], expected, strict=True)]
        changed = [leaf._value for leaf in plan.changed]
        changed += [leaf.grad for leaf in recording.graded]
        pairs += zip(updates, changed, strict=True)
        for x, y in pairs:
            refuse_different(x, y, self.f)
        return rebuild(iter(expected))

    @property
    def source(self) -> str:
        """The text of the plan that was used last."""
        return self.last_plan().source

    def save(self, path: Any) -> None:
        """Write the plan that was used last to a Python file which needs NumPy alone."""
        plan = self.last_plan()
        emitter = Emitter(plan.portable, plan.name)
        saved.save(path, emitter, emitter.text())

    def explain(self) -> str:
        """Give the program as it was recorded, and after each simplification that changed it."""
        parts, before = [], ""
        for name, text in self.last_plan().history:
            parts.append(f"{name}: as before" if text == before else f"{name}:\n{text}")
            before = text
        return "\n\n".join(parts)

    def profile(self, *args: Any, **kwargs: Any) -> str:
        """Give the time of every line of the source, the slowest first; no Node is changed."""
        with self._lock:
            plan = self._plan(args, kwargs)
            self._latest = plan
            arrays = [x for x in flatten((args, kwargs))[0] if is_array(x)]

            def build_timed(source: str, objects: Mapping[str, Any]) -> Function:
                return build(source, {**plan.emitter.objects, **objects})

            return profile(plan.source, build_timed, lambda run: plan.preview(arrays, run))

    def last_plan(self) -> Plan:
        """Give the plan that was used last."""
        if self._latest is None:
            name = getattr(self.f, "__qualname__", "the function")
            raise ValueError(
                f"compile: {name} has not been called yet, so there is no plan; call it once with "
                f"arguments like those to come"
            )
        return self._latest


def is_array(x: Any) -> bool:
    """Tell whether an argument is an input of plans; other leaves are part of what is recorded."""
    return isinstance(x, np.ndarray | np.generic)


def key_of(tree: Any) -> Any:
    """Give what a plan depends on: structure, shapes, dtypes, and the values of plain numbers."""
    if isinstance(tree, dict):
        return (type(tree), tuple((key, key_of(x)) for key, x in tree.items()))
    if isinstance(tree, list | tuple):
        return (type(tree), tuple(map(key_of, tree)))
    if isinstance(tree, np.ndarray | np.generic):
        return (type(tree), tree.shape, tree.dtype)
    if isinstance(tree, slice):
        return (slice, key_of((tree.start, tree.stop, tree.step)))
    if isinstance(tree, float | complex):
        # 0.0 equals -0.0, and NaN not itself.
        return (type(tree), repr(tree))
    try:
        hash(tree)
    except TypeError as error:
        error.add_note(
            f"compile: an argument holds a {type(tree).__name__}; expected arrays, nested tuples, "
            f"lists and dicts of them, and what does not change, such as numbers and texts"
        )
        raise
    return (type(tree), tree)


def refuse_different(x: Any, y: Any, f: Function) -> None:
    """Refuse a result of a plan that is not what the function gives."""
    if isinstance(y, np.ndarray | np.generic) and y.dtype.kind in "fc":
        room = 1e3 * np.finfo(y.dtype).eps
        scale = np.max(np.abs(y), initial=0)
        same = np.allclose(x, y, rtol=room, atol=room * scale, equal_nan=True)
    else:
        same = np.array_equal(x, y)
    if not same:
        raise AssertionError(
            f"compile: the plan of {f} gave {x!r} where the function gives {y!r}; please report it"
        )


def require_packages(backend: str) -> None:
    """Refuse a backend whose package is not installed."""
    package = NEEDED.get(backend)
    if package is not None and find_spec(package) is None:
        raise ImportError(
            f"compile(backend={backend!r}) needs {package}, which is not installed; install it "
            f"with `pip install tinygraph[{package}]`, or leave the backend to NumPy"
        )


def compile(
    f: Function | None = None,
    *,
    simplify: bool = True,
    check: bool = False,
    accept: Function | None = None,
    backend: str = "numpy",
) -> Any:
    """Make a function that runs as straight-line NumPy, with every buffer allocated once.

    The first call with arguments of some structure, shapes and dtypes records what `f` does with
    them, and writes a NumPy function of it: `source` is its text, `save(path)` writes it to a file
    that needs NumPy alone. Nodes that `f` finds outside are read at every call, and those that it
    sets, by an optimiser's step for one, are set. Results are arrays. Python code in `f` runs while
    recording alone: what depends on values there, on random numbers, or prints them, is refused.
    Without `simplify` results are those of `f` to the bit, else to rounding. With `check` every
    call runs `f` too, and compares. `accept` is called with the result before Nodes are set: if it
    raises, they keep their values. The `backend` "blas" leaves updates of weights to SciPy's gemm,
    "numba" also runs of element-wise steps to loops that numba compiles.

    >>> import numpy as np, tinygraph as tg
    >>> f = tg.compile(lambda x: np.tanh(x) * 2)
    >>> f(np.array([0.0, 1.0]))
    array([0.        , 1.52318831])
    """
    for name, x in (("f", f), ("accept", accept)):
        if x is not None and not callable(x):
            raise TypeError(f"compile: expected a function for {name}, got {type(x).__name__}")
    if backend not in BACKENDS:
        raise ValueError(f"compile: expected a backend of {[*BACKENDS]}, got {backend!r}")
    require_packages(backend)
    if not simplify and backend != "numpy":
        raise ValueError(
            f"compile: backend={backend!r} rounds otherwise than NumPy does, and simplify=False "
            f"keeps results to the bit; leave one of the two out"
        )
    passes = (PASSES, BACKENDS[backend]) if simplify else (PASSES[:1], [])
    if f is None:
        return lambda function: Compiled(function, passes, check, accept)
    return Compiled(f, passes, check, accept)
