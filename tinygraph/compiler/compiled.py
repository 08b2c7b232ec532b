"""compile: a function that runs as the NumPy source made of a recorded call."""

from __future__ import annotations

import builtins
import linecache
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from itertools import count
from threading import RLock
from typing import Any

import numpy as np

from tinygraph.buffer import is_shared
from tinygraph.compiler import saved
from tinygraph.compiler.emit import Emitter
from tinygraph.compiler.passes import PASSES, describe_program
from tinygraph.compiler.profiled import profile
from tinygraph.compiler.tape import Recording, record_call
from tinygraph.node import next_stamp
from tinygraph.tree import flatten

Function = Callable[..., Any]

MOST_PLANS = 16
"""How many plans a compiled function keeps: those used last."""

_numbers = count()


class Plan:
    """The function made of one recorded call, and what to give it and to do with its results."""

    def __init__(self, f: Function, args: Any, kwargs: Mapping[str, Any], simplify: bool) -> None:
        recording: Recording = record_call(f, args, kwargs)
        self.program = recording.program
        self.history = [("recorded", describe_program(self.program))]
        for simplification in PASSES if simplify else PASSES[:1]:
            simplification(self.program)
            self.history.append((simplification.__name__, describe_program(self.program)))
        self.emitter = Emitter(self.program, getattr(f, "__name__", "compiled"))
        self.source = self.emitter.text()
        self.run = build(self.source, self.emitter.objects)
        self.recording = recording
        self.types = [(x.shape, x.dtype) for x in self.program.arguments]
        self.leaves, self.numbers = recording.leaves, recording.numbers
        self.updated = [recording.leaves[number] for number, _ in self.program.updates]
        self.spares = [np.empty_like(leaf._value) for leaf in self.updated]

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Tell, in little time, whether arguments are arrays of the shapes and dtypes recorded."""
        if len(args) != len(self.program.arguments):
            return False
        for x, (shape, dtype) in zip(args, self.types, strict=True):
            if x.__class__ is not np.ndarray or x.shape != shape or x.dtype is not dtype:
                return False
        return True

    def compute(self, arrays: Sequence[Any], run: Function | None = None) -> tuple[Any, ...]:
        """Run the function; the leaves' new values are in `spares`, and nothing has changed yet."""
        spares = self.spares
        for number, leaf in enumerate(self.updated):
            # The value before the last is written over, unless somebody holds it.
            if is_shared(spares[number]):
                spares[number] = np.empty_like(leaf._value)
        values = [leaf._value for leaf in self.leaves]
        numbers = [number() for number in self.numbers]
        with np.errstate(all="ignore"):
            results: tuple[Any, ...] = (run or self.run)(*arrays, *values, *numbers, *spares)
        return results

    def __call__(self, arrays: Sequence[Any], accept: Function | None) -> Any:
        results = self.compute(arrays)
        if accept is not None:
            accept(self.recording.hand_back(results))
        spares = self.spares
        for number, leaf in enumerate(self.updated):
            spares[number], leaf._value = leaf._value, spares[number]
            leaf.stamp = next_stamp()
        for call in self.recording.afterwards:
            call()
        return self.recording.hand_back(results)


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

    def __init__(self, f: Function, simplify: bool, check: bool, accept: Function | None) -> None:
        self.f = f
        self.accept = accept
        self.simplify = simplify
        self.check = check
        self._plans: OrderedDict[Any, Plan] = OrderedDict()
        self._latest: Plan | None = None
        self._lock = RLock()
        update_wrapper(self, f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            plan, arrays = self._latest, args
            known = plan is not None and not kwargs and plan.fits(args)
            if plan is None or not known or not plan.recording.still_holds():
                leaves, _ = flatten((args, kwargs))
                arrays = tuple(x for x in leaves if is_array(x))
                plan = self._latest = self._plan(args, kwargs)
            if self.check:
                return self._checked(plan, arrays, args, kwargs)
            return plan(arrays, self.accept)

    def _plan(self, args: Any, kwargs: Mapping[str, Any]) -> Plan:
        """Give the plan for such arguments, a new one where there is none."""
        key = key_of((args, kwargs))
        plan = self._plans.get(key)
        if plan is None or not plan.recording.still_holds():
            plan = self._plans[key] = Plan(self.f, args, kwargs, self.simplify)
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan

    def _checked(
        self, plan: Plan, arrays: Sequence[Any], args: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        """Compute by the plan and eagerly, compare, and give what the eager call gave."""
        found = [*plan.compute(arrays)]
        updates = [np.array(x) for x in plan.spares]
        out = self.f(*args, **kwargs)
        expected = [getattr(x, "_value", x) for x in flatten(out)[0]]
        pairs = [*zip(flatten(plan.recording.hand_back(found))[0], expected, strict=True)]
        pairs += [(x, leaf._value) for x, leaf in zip(updates, plan.updated, strict=True)]
        for x, y in pairs:
            refuse_different(x, y, self.f)
        return out

    @property
    def source(self) -> str:
        """The text of the plan that was used last."""
        return self._last_plan().source

    def save(self, path: Any) -> None:
        """Write the plan that was used last to a Python file which needs NumPy alone."""
        plan = self._last_plan()
        saved.save(path, plan.emitter, plan.source)

    def explain(self) -> str:
        """Give the program as it was recorded, and after each simplification that changed it."""
        parts, before = [], ""
        for name, text in self._last_plan().history:
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

            return profile(plan.source, build_timed, lambda run: plan.compute(arrays, run))

    def _last_plan(self) -> Plan:
        if self._latest is None:
            raise ValueError(f"compile: {self.f} has not been called yet, so there is no plan")
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


def compile(
    f: Function | None = None,
    *,
    simplify: bool = True,
    check: bool = False,
    accept: Function | None = None,
) -> Any:
    """Make a function that runs as straight-line NumPy, with every buffer allocated once.

    The first call with arguments of some structure, shapes and dtypes records what `f` does with
    them, and writes a NumPy function of it: `source` is its text, `save(path)` writes it to a file
    that needs NumPy alone. Nodes that `f` finds outside are read at every call, and those that it
    sets, by an optimiser's step for one, are set. Results are arrays. Python code in `f` runs while
    recording alone: what depends on values there, on random numbers, or prints them, is refused.
    Without `simplify` results are those of `f` to the bit, else to rounding. With `check` every
    call runs `f` too, and compares. `accept` is called with the result before Nodes are set: if it
    raises, they keep their values.

    >>> import numpy as np, tinygraph as tg
    >>> f = tg.compile(lambda x: np.tanh(x) * 2)
    >>> f(np.array([0.0, 1.0]))
    array([0.        , 1.52318831])
    """
    if f is None:
        return lambda function: Compiled(function, simplify, check, accept)
    return Compiled(f, simplify, check, accept)
