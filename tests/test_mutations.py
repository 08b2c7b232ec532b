"""Whether tg.gradcheck finds wrong rules, and calls no right one wrong."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tests.mutations import (
    EXPLAINED,
    Target,
    examples,
    function_of,
    has_derivative,
    judge,
    mutants_of,
    targets,
)
from tests.samples import REAL_ONLY, SAMPLES, all_composed
from tests.test_rules import as_complex, variables_of
from tinygraph.testing import Graph, graphs

THOROUGH = settings.default.max_examples >= 100
TARGETS = targets()
COMPOSED = all_composed()
FUNCTIONS = {
    **TARGETS,
    **{
        name: Target(None, function, SAMPLES[name])
        for name, function in COMPOSED.items()
        if name in SAMPLES
    },
}
EXAMPLES = 200 if THOROUGH else 1
"""How many random examples are tried of every function; together with graphs more than 100,000."""

GRAPHS = 60_000 if THOROUGH else 60

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_wrong_rules_are_found(name: str) -> None:
    """Try all wrong rules in the thorough profile, two of each op in the quick one."""
    target = TARGETS[name]
    mutants = mutants_of(target.op)
    if not THOROUGH:
        mutants = random.Random(name).sample(mutants, 2)
    calls = examples(name, target, 12 if THOROUGH else 3)
    missed = [m for m in mutants if judge(target, m, calls) == "missed"]
    assert {(name, m.kind, m.place) for m in missed} <= EXPLAINED.keys()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@settings(max_examples=EXAMPLES)
@given(data=st.data(), seed=seeds)
def test_no_right_rule_is_called_wrong(name: str, data: st.DataObject, seed: int) -> None:
    target = FUNCTIONS[name]
    call = data.draw(target.calls)
    if name not in REAL_ONLY and data.draw(st.booleans()):
        call = as_complex(call, seed)
    if has_derivative(target, call):
        tg.gradcheck(function_of(target, call), *variables_of(call), order=2, seed=seed)


@settings(max_examples=GRAPHS)
@given(graph=graphs(), seed=seeds)
def test_no_random_graph_of_right_rules_is_called_wrong(graph: Graph, seed: int) -> None:
    tg.gradcheck(graph, *graph.inputs, order=2, seed=seed)
