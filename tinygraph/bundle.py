"""Bundle: several arrays as the one value of a node whose op has several results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Shapes(tuple[Any, ...]):
    """The shapes of the parts of a Bundle, which are not compared one by one with themselves."""

    def __eq__(self, other: object) -> bool:
        return self is other or tuple.__eq__(self, other)

    __hash__ = tuple.__hash__


class Bundle:
    """Arrays that are computed together, with what the engine asks of a value or a cotangent.

    The parts of a cotangent may be None, which stands for zeros like the part of `like`.
    """

    __slots__ = ("_parts", "like", "shape")

    dtype = np.dtype("V")
    shape: Shapes

    def __init__(self, parts: Sequence[Any], like: Bundle | None = None) -> None:
        self._parts = tuple(parts)
        self.like = like
        self.shape = Shapes(part.shape for part in parts) if like is None else like.shape

    @property
    def parts(self) -> tuple[Any, ...]:
        """The arrays."""
        return self._parts

    @property
    def size(self) -> int:
        """The number of elements of all parts."""
        return sum(part.size for part in (self.like or self).parts)

    def __iter__(self) -> Iterator[Any]:
        for i, part in enumerate(self.parts):
            yield np.zeros_like(self.like.parts[i]) if part is None and self.like else part

    def __add__(self, other: Bundle) -> Bundle:
        assert self.like is not None
        return Contributions(self.like, self, other)


class Contributions(Bundle):
    """A sum of cotangents, and of pairs (number, cotangent of that part).

    It is added up when the parts are asked for, so that the time to add `n` up grows like `n`.
    """

    __slots__ = ("_terms",)

    def __init__(self, like: Bundle, *terms: Any) -> None:
        super().__init__((), like)
        self._terms = terms

    @property
    def parts(self) -> tuple[Any, ...]:
        """The sums."""
        if self._terms:
            self._parts = tuple(self._added_up())
            self._terms = ()
        return self._parts

    def _added_up(self) -> list[Any]:
        sums: list[Any] = [None] * len(self.shape)
        stack = list(self._terms)
        while stack:
            term = stack.pop()
            if isinstance(term, Contributions) and term._terms:
                stack.extend(term._terms)
                continue
            for number, part in [term] if isinstance(term, tuple) else enumerate(term.parts):
                if part is not None:
                    sums[number] = part if sums[number] is None else sums[number] + part
        return sums
