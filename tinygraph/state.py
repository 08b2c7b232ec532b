"""What a thread or context says about the nodes that it makes: record them, and in which scope."""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, NamedTuple


class State(NamedTuple):
    """Whether nodes are recorded, the scopes' names, the tape of `compile`, whether what is made
    is looked at (see `tinygraph.debug`), the state outside."""

    recording: bool = True
    scope: tuple[str, ...] = ()
    tape: Any = None
    debug: bool = False
    outer: Any = None


_initial_state = State()
_state: ContextVar[State] = ContextVar("tinygraph", default=_initial_state)
get_state = _state.get


class changed_state(ContextDecorator):  # noqa: N801 - used as a word of the language
    """Change the state of this thread or context inside the block."""

    def __init__(self, name: str | None = None, **changes: Any) -> None:
        self.name = name
        self.changes = changes

    def __enter__(self) -> None:
        outer = get_state()
        scope = outer.scope if self.name is None else (*outer.scope, self.name)
        _state.set(outer._replace(scope=scope, outer=outer, **self.changes))

    def __exit__(self, *error: object) -> None:
        # A generator that is closed in another context leaves a block that it did not enter there.
        _state.set(get_state().outer or _initial_state)


def no_grad() -> changed_state:
    """Make nodes without inputs and gradients inside, in this thread or context alone.

    A context manager and, called, a decorator.

    >>> import tinygraph as tg
    >>> x = tg.Node(2.0)
    >>> with tg.no_grad():
    ...     (x * x).requires_grad
    False
    """
    return changed_state(recording=False)


def recording() -> changed_state:
    """Record inside, whatever the surroundings do."""
    return changed_state(recording=True)


def scope(name: str) -> changed_state:
    """Name the group of the nodes made inside, for pictures; scopes nest.

    A context manager and a decorator.
    """
    return changed_state(name=str(name))
