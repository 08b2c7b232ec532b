"""What texts of functions are made of: names and lines."""

from __future__ import annotations

import keyword
import re
from typing import Any
from unicodedata import normalize


class Names:
    """A name of its own for everything that the text speaks of."""

    def __init__(self) -> None:
        self._taken: set[str] = {"np", "make", "range"}
        self._names: dict[Any, str] = {}

    def of(self, thing: Any, hint: str) -> str:
        """Give the name of `thing`, made of `hint` where it has none yet."""
        if thing not in self._names:
            self._names[thing] = self._fresh(hint)
        return self._names[thing]

    def share(self, thing: Any, name: str) -> str:
        """Let `thing` go by a name that is given already."""
        self._names[thing] = name
        return name

    def known(self, thing: Any) -> bool:
        """Tell whether `thing` has a name."""
        return thing in self._names

    def _fresh(self, hint: str) -> str:
        # Python takes letters that look alike for the same, the micro sign and mu for one.
        word = re.sub(r"\W+", "_", normalize("NFKC", hint)).strip("_") or "value"
        word = f"_{word}" if word[0].isdigit() or keyword.iskeyword(word) else word
        name, number = word, 1
        while name in self._taken:
            number += 1
            name = f"{word}_{number}"
        self._taken.add(name)
        return name


def indent(lines: list[str]) -> list[str]:
    """Give the lines one level deeper."""
    return [f"    {line}" if line else "" for line in lines]
