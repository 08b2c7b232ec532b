"""The table of NumPy's functions: it misses none, and the page in the docs is the table."""

from importlib.resources import files

import numpy as np
import pytest

from tinygraph import support
from tinygraph.op import COMPOSED, CONSTANT, INSTEAD, OF_SHAPES, OPS, is_dispatched

PAGE = files("tinygraph").joinpath("docs", "functions.md").read_text(encoding="utf-8")


def rows_of(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("| `")}


def test_every_function_of_numpy_is_listed_and_has_a_rule_or_a_reason() -> None:
    rows = [row for part in support.sections().values() for row in part]
    listed = {name for row in rows for name in row.names.replace("`", "").split(", ")}
    for package in (np, np.linalg, np.fft):
        prefix = package.__name__.replace("numpy", "np")
        for name in dir(package):
            function = getattr(package, name)
            if callable(function) and is_dispatched(function) and not name.startswith("_"):
                assert f"{prefix}.{name}" in listed
    assert [row.names for row in rows if row.notes == support.MISSING] == []


def test_a_function_is_of_one_kind_only() -> None:
    kinds = [set(OPS), set(COMPOSED), CONSTANT, OF_SHAPES, set(INSTEAD)]
    for i, kind in enumerate(kinds):
        for other in kinds[i + 1 :]:
            assert not kind & other


def test_the_page_is_what_the_table_says() -> None:
    pytest.importorskip("scipy")
    page, table = rows_of(PAGE), rows_of(support.table())
    if f"NumPy {np.__version__};" in PAGE:
        assert page == table, "run python -m tinygraph.support > tinygraph/docs/functions.md"
    names = {row.split(" | ")[0] for row in page}
    assert len(names) > 350
    assert len(names & {row.split(" | ")[0] for row in table}) > 0.9 * len(names)


def test_an_unknown_function_is_told() -> None:
    assert support.row(np.block, ["np.block"]).notes != support.MISSING
    assert support.row(np.empty, ["np.empty"]).notes == support.MISSING
