"""What a thread or context says about the nodes that it makes: record them, and in which scope."""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple


class State(NamedTuple):
    """What a thread or context says about the nodes that it makes."""

    recording: bool = True
    scope: tuple[str, ...] = ()


_initial_state = State()
_state: ContextVar[State] = ContextVar("tinygraph", default=_initial_state)
get_state = _state.get


class changed_state(ContextDecorator):  # noqa: N801 - used as a word of the language
    """Change what this thread or context says about the nodes it makes, inside the block."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.tokens: list[Token[State]] = []

    def _recreate_cm(self) -> changed_state:
        return changed_state(**self.changes)

    def __enter__(self) -> None:
        self.tokens.append(_state.set(get_state()._replace(**self.changes)))

    def __exit__(self, *error: object) -> None:
        _state.reset(self.tokens.pop())


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
    return changed_state(scope=(*get_state().scope, str(name)))
