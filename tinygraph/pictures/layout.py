"""The layout engine that there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any

_layout = RLock()


def find_layout_engine() -> str | None:
    """Find `dot`, or else the executable of the PyPI package graphviz-pure; None without."""
    import shutil
    import sysconfig

    from graphviz.backend import dot_command

    # A virtual environment's scripts are often not on PATH when its python is run by its path.
    user = sysconfig.get_preferred_scheme("user")
    scripts = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", user)]
    return (
        shutil.which(dot_command.DOT_BINARY)
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=os.pathsep.join(scripts))
    )


@contextmanager
def _layout_engine(file_format: str) -> Iterator[None]:
    """Let the graphviz package run the engine that there is; refuse a format that it lacks."""
    from graphviz.backend import dot_command

    executable = find_layout_engine()
    if executable is None:
        raise RuntimeError(
            "no layout engine for pictures was found: install one with `pip install "
            "tinygraph[render]`, or Graphviz with its `dot` on PATH; .source needs none"
        )
    if "graphviz-pure" in os.path.basename(executable):
        import subprocess

        answer = subprocess.run([executable, "-T?"], capture_output=True, text=True, check=False)
        formats = answer.stderr.partition("Use one of:")[2].split()
        if formats and file_format not in formats:
            raise ValueError(
                f"graphviz-pure writes no {file_format!r}, only {', '.join(formats)}; take one "
                f"of these, or install Graphviz with its `dot` on PATH"
            )
    with _layout:
        before = dot_command.DOT_BINARY
        dot_command.DOT_BINARY = executable
        try:
            yield
        finally:
            dot_command.DOT_BINARY = before


@cache
def digraph_class() -> Any:
    """Make the Digraph that finds its engine, when graphviz is first needed."""
    import graphviz

    class Digraph(graphviz.Digraph):  # type: ignore[misc]
        def pipe(self, format: str | None = None, **options: Any) -> Any:
            # The engine may warn of characters that it has no widths of.
            options.setdefault("quiet", True)
            with _layout_engine(format or self.format):
                return super().pipe(format, **options)

        def render(self, filename: Any = None, **options: Any) -> Any:
            options.setdefault("quiet", True)
            suffix = os.path.splitext(options.get("outfile") or "")[1][1:].lower()
            with _layout_engine(options.get("format") or suffix or self.format):
                return super().render(filename, **options)

    return Digraph
