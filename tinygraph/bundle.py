"""Bundle: several arrays as the one value of a node whose op has several results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class Bundle:
    """Arrays that are computed together, with what the engine asks of a value or a cotangent.

    The parts of a cotangent may be None, which stands for zeros like the part of `like`.
    """

    __slots__ = ("like", "parts")

    dtype = np.dtype("V")

    def __init__(self, parts: Sequence[Any], like: Bundle | None = None) -> None:
        self.parts = tuple(parts)
        self.like = like

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shapes of the parts."""
        return tuple(part.shape for part in (self.like or self).parts)

    @property
    def size(self) -> int:
        """The number of elements of all parts."""
        return sum(part.size for part in (self.like or self).parts)

    def __iter__(self) -> Iterator[Any]:
        for i, part in enumerate(self.parts):
            yield np.zeros_like(self.like.parts[i]) if part is None and self.like else part

    def __add__(self, other: Bundle) -> Bundle:
        pairs = zip(self.parts, other.parts, strict=True)
        return Bundle([y if x is None else x if y is None else x + y for x, y in pairs], self.like)
