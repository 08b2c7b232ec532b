"""tinygraph.testing: its strategies, check, check_op, and the code that they print."""

import importlib
import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygraph as tg
from tinygraph import testing
from tinygraph.compiler import compiled
from tinygraph.state import get_state
from tinygraph.testing import (
    LAYOUTS,
    Call,
    Graph,
    arrays,
    axes,
    broadcastable_arrays,
    calls,
    check,
    check_op,
    graphs,
    indices,
    lay_out,
    overlapping_arrays,
    properties,
    trees,
)
from tinygraph.testing.graphs import Step, take
from tinygraph.testing.source import layout_of, literal, program, reference
from tinygraph.tree import flatten

ROOT = Path(__file__).parents[1]
SLICES = "(slice(1, None, -1), ..., None, np.array([True]))"
DTYPES = st.sampled_from(["float64", "float32", "float16", "complex128", "complex64"])
ANY_DTYPE = DTYPES | st.sampled_from(["int64", "int8", "uint16", "bool"])


def _cube(x: Any, *, scale: float = 1.0) -> Any:
    return scale * x**3


@tg.op(_cube)
def cube(g: Any, out: Any, x: Any, *, scale: float = 1.0) -> Any:
    return (g * (3 * scale) * x**2,)


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Give the same examples of a strategy every time."""
    found: list[Any] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


# Strategies of arrays


@given(st.data())
def test_arrays_have_what_is_asked_of_them(data: st.DataObject) -> None:
    dtype = data.draw(ANY_DTYPE)
    x = data.draw(arrays(st.sampled_from([(2, 3), (), (0,)]), dtype=dtype))
    assert x.dtype == dtype
    assert x.shape in {(2, 3), (), (0,)}
    assert data.draw(arrays((4, 1), dtype=ANY_DTYPE)).shape == (4, 1)


@pytest.mark.parametrize(
    "domain", [(0.3, 3.0), (-1e-9, 1e-9), (1e6, np.inf), (-np.inf, 0.0), testing.REAL]
)
@pytest.mark.parametrize("signed", [False, True])
@given(data=st.data())
def test_numbers_lie_in_the_domain_and_do_not_tie(
    domain: tuple[float, float], signed: bool, data: st.DataObject
) -> None:
    x, y = data.draw(broadcastable_arrays(2, domain=domain, signed=signed))
    numbers = np.concatenate([x, y], axis=None)
    low, high = domain
    inside = (low < numbers) & (numbers < high)
    assert np.all(inside | signed & (low < -numbers) & (-numbers < high))
    assert np.unique(numbers).size == numbers.size


def test_large_arrays_are_drawn_too() -> None:
    for x in drawn(arrays((40, 30)), 2):
        assert np.unique(x).size == 1200


@given(arrays(kinks=[0.1, -1.0]), arrays((3,), kinks=[0.25, -1.0], on_kinks=True))
def test_numbers_are_away_from_kinks_or_on_them(away: np.ndarray, on: np.ndarray) -> None:
    for kink in (0.1, -1.0, 0.0, 1.0, 0.5, -2.0):
        assert np.all(np.abs(away - kink) > 0.01)
    assert on.dtype == float


def test_on_kinks_some_numbers_are_on_each_kink() -> None:
    x = find(arrays((3,), kinks=[0.25, -1.0], on_kinks=True), lambda x: {0.25, -1.0} < {*x})
    assert set(x) > {0.25, -1.0}


def test_a_domain_without_numbers_away_from_its_kinks_is_an_error() -> None:
    with pytest.raises(ValueError, match="not enough of"):
        find(arrays((2,), domain=(0.0, 1.0), kinks=np.linspace(0, 1, 300)), lambda x: True)


@given(broadcastable_arrays(3))
def test_broadcastable_arrays_broadcast(inputs: tuple[np.ndarray, ...]) -> None:
    assert sum(inputs).shape == np.broadcast_shapes(*(x.shape for x in inputs))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_arrays_are_drawn_in_every_layout(layout: str, dtype: str) -> None:
    strategy = arrays((2, 3), dtype=dtype)
    x = find(strategy, lambda x: layout_of(x) == layout)
    assert layout_of(x) == layout
    assert np.array_equal(lay_out(x, "C"), x)


@given(overlapping_arrays(3))
def test_overlapping_arrays_share_their_memory(inputs: tuple[np.ndarray, ...]) -> None:
    first, second, third = inputs
    assert first.shape == second.shape == third.shape
    assert np.shares_memory(first, second) == (first.size > 1)
    assert np.array_equal(np.ravel(first)[1:], np.ravel(second)[:-1])


@given(st.data())
def test_axes_and_indices_suit_the_shape(data: st.DataObject) -> None:
    x = data.draw(arrays())
    np.sum(x, axis=data.draw(axes(x.ndim)))
    assert data.draw(axes(x.ndim, none=False)) is not None
    assert isinstance(x[data.draw(indices(x.shape))], np.ndarray | np.generic)


@pytest.mark.parametrize("wanted", [0, -1, None, (), (0, 1), (-1, 0)])
def test_axes_are_of_every_kind(wanted: Any) -> None:
    assert find(axes(2), lambda axis: axis == wanted and type(axis) is type(wanted)) == wanted


@pytest.mark.parametrize(
    "is_wanted",
    [
        lambda index: isinstance(index, np.ndarray) and index.dtype == bool and index.ndim == 1,
        lambda index: isinstance(index, np.ndarray) and index.dtype == bool and index.ndim == 2,
        lambda index: type(index) is tuple and any(x is None for x in index),
        lambda index: type(index) is tuple and any(x is ... for x in index),
        lambda index: type(index) is tuple and any(np.any(np.ndim(x) and x < 0) for x in index),
        lambda index: type(index) is tuple and any(getattr(x, "step", 0) == -1 for x in index),
        lambda index: type(index) is tuple and any(type(x) is int and x < 0 for x in index),
    ],
)
def test_indices_are_of_every_kind(is_wanted: Callable[[Any], bool]) -> None:
    assert any(map(is_wanted, drawn(indices((2, 3)), 100)))


@given(trees(arrays((2,)), max_leaves=3))
def test_trees_have_arrays_as_leaves(tree: Any) -> None:
    leaves, _ = flatten(tree)
    assert all(isinstance(x, np.ndarray) and x.shape == (2,) for x in leaves)


def test_trees_are_of_every_kind() -> None:
    kinds = {type(tree) for tree in drawn(trees(), 100)}
    assert kinds == {tuple, list, dict, np.ndarray}


def test_examples_shrink_one_number_at_a_time() -> None:
    assert find(arrays(), lambda x: (x < -1).any()) == -1.025
    x = find(arrays(), lambda x: x.size > 1 and (x < -1).any())
    assert sorted(x.tolist()) == [-1.025, 0.1]
    assert layout_of(x) == "C"


# Random graphs


@given(graphs())
def test_graphs_are_functions_of_arrays_and_of_nodes(graph: Graph) -> None:
    on_arrays, on_nodes = graph(*graph.inputs), graph(*map(tg.Node, graph.inputs))
    for y, node in zip(flatten(on_arrays)[0], flatten(on_nodes)[0], strict=True):
        # NumPy's loops round otherwise for arrays with gaps, which values of Nodes have not.
        np.testing.assert_allclose(node.value, y, rtol=1e-12, atol=1e-12)


@given(graphs([*testing.SMOOTH, cube]))
def test_a_graph_shows_itself_as_code_that_defines_it(graph: Graph) -> None:
    expected = flatten(graph(*graph.inputs))[0]
    for lines in ([*graph.definition[:-1], graph.definition[-1]], [*graph.imports, repr(graph)]):
        space = {"np": np}
        exec("\n".join(lines), space)
        found = flatten(space["graph"](*graph.inputs))[0]
        assert all(map(np.array_equal, found, expected))


def test_graphs_use_values_again_and_shrink() -> None:
    def is_reused(graph: Graph) -> bool:
        used = [i for step in graph.steps for i in {*step.operands}]
        return any(used.count(i) > 1 for i in used if i >= len(graph.inputs))

    ways = settings(max_examples=1000, derandomize=True, database=None)
    assert len(find(graphs(), is_reused, settings=ways).steps) == 3


def test_graphs_are_made_of_all_functions() -> None:
    found = drawn(graphs([*testing.SMOOTH, cube]), 600)
    seen = {step.function for graph in found for step in graph.steps}
    others = {np.sum, np.mean, np.transpose, np.ravel, np.outer, np.inner, take}
    assert seen == {*testing.SMOOTH, cube, *others}


@given(graphs())
def test_graphs_are_not_too_steep(graph: Graph) -> None:
    moved = [x + 1e-6 for x in graph.inputs]
    pairs = zip(flatten(graph(*graph.inputs))[0], flatten(graph(*moved))[0], strict=True)
    assert all(np.max(np.abs(y - x)) < 0.1 for x, y in pairs)


@given(graphs())
def test_compiled_graphs_give_the_same(graph: Graph) -> None:
    properties.compiled_agrees(graph, *graph.inputs)


# Code to paste


@given(st.data())
def test_literals_are_the_same_arrays_again(data: st.DataObject) -> None:
    x = data.draw(arrays(dtype=ANY_DTYPE))
    again = eval(literal(x), {"np": np, "lay_out": lay_out})
    assert (again.dtype, again.shape, again.tobytes()) == (x.dtype, x.shape, x.tobytes())
    assert layout_of(again) == layout_of(x)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([np.nan, np.inf, -np.inf, -0.0]), "np.array([np.nan, np.inf, -np.inf, -0.0])"),
        (np.array(complex(1, np.inf)), "np.array(complex(1.0, np.inf))"),
        (np.array([0.1], "float32"), "np.array([0.1], dtype='float32')"),
        (np.zeros((0, 2), "int8"), "np.zeros((0, 2), dtype='int8')"),
        (np.float32(0.1), "np.float32(0.1)"),
        (float("nan"), "np.nan"),
        ((1,), "(1,)"),
        ((), "()"),
        ([1, (2.5, None)], "[1, (2.5, None)]"),
        ({"a": np.array(1.0)}, "{'a': np.array(1.0)}"),
        ((slice(1, None, -1), ..., None, np.array([True])), SLICES),
        (np.dtype("float32"), "np.dtype('<f4')"),
        (np.float32, "np.float32"),
        (np.linalg.inv, "np.linalg.inv"),
        ("C", "'C'"),
        (True, "True"),
    ],
)
def test_literals_are_short(value: Any, expected: str) -> None:
    assert literal(value) == expected


@pytest.mark.parametrize(
    ("function", "lines", "name"),
    [
        (np.tanh, [], "np.tanh"),
        (np.transpose, [], "np.transpose"),
        (np.fft.rfft, [], "np.fft.rfft"),
        (tg.nn.softmax, ["from tinygraph.nn import softmax"], "softmax"),
        (cube, [f"from {__name__} import cube"], "cube"),
    ],
)
def test_functions_are_imported_by_name(
    function: Callable[..., Any], lines: list[str], name: str
) -> None:
    assert reference(function) == (lines, name)


def test_ufuncs_of_scipy_are_imported_from_there() -> None:
    special = pytest.importorskip("scipy.special")
    assert reference(special.erf) == (["from scipy.special import erf"], "erf")


def test_where_a_function_without_a_name_was_defined_is_said() -> None:
    (line,), name = reference(lambda x: x)
    assert line.startswith("# Define function here, as in ")
    assert "test_testing.py, line" in line
    assert name == "function"


def test_a_program_repeats_a_call() -> None:
    call = Call((np.array([1.0, 2.0]),), {"scale": 2.0})
    assert program(cube, call, "tg.gradcheck(f, {inputs})") == textwrap.dedent(
        f"""\
        import numpy as np
        import tinygraph as tg
        from {__name__} import cube

        x = np.array([1.0, 2.0])

        def f(x):
            return cube(x, scale=2.0)

        tg.gradcheck(f, x)"""
    )


# check_op


@pytest.mark.parametrize(
    "op",
    [
        np.tanh,
        np.log,
        np.arccosh,
        np.multiply,
        np.hypot,
        np.maximum,
        np.floor,
        tg.nn.softplus,
        cube,
    ],
)
def test_right_ops_pass(op: Callable[..., Any]) -> None:
    report = check_op(op, examples=10)
    assert report.examples == 10
    assert set(testing.PROPERTIES) < set(report.counts)


def test_the_report_tells_what_was_checked() -> None:
    report = check_op(np.multiply, examples=10)
    assert repr(report) == "<check_op np.multiply: right in 10 examples>"
    assert "    10  second order\n" in str(report)
    assert 0 < report.counts["inputs_of_several_shapes"] <= 10


def test_examples_are_the_same_every_time() -> None:
    seen: list[bytes] = []

    def watched(x: Any) -> Any:
        seen.append(properties.value_of(x).tobytes())
        return x + 0

    for _ in range(2):
        check_op(watched, examples=5)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def test_functions_of_trees_and_of_sequences_are_checked() -> None:
    pairs = st.tuples(arrays((2,)), arrays((2,))).map(list)
    assert check_op(np.concatenate, pairs, examples=5).examples == 5
    forest = arrays().map(lambda x: {"a": (x, 2.0), "b": [x * 2, None]})
    assert check_op(lambda tree: tree["a"][0] * tree["b"][0], forest, examples=5).examples == 5


def test_constants_among_the_inputs_are_left_alone() -> None:
    masks = arrays((3,), dtype=bool)
    assert check_op(np.where, masks, arrays((3,)), arrays(()), examples=5).examples == 5


def test_functions_without_a_derivative_are_checked_for_their_values() -> None:
    counts = check_op(np.argmax, arrays(st.just((2, 2))), examples=5).counts
    assert counts["values_agree"] == 5
    assert counts["gradients"] == 0


def test_params_are_strategies_or_made_of_the_inputs_or_plain() -> None:
    axes_of = calls(np.sum, arrays(), axis=lambda x: axes(x.ndim), keepdims=st.booleans())
    found = drawn(axes_of, 100)
    assert {frozenset(call.params) for call in found} == {
        frozenset(names) for names in [(), ("axis",), ("keepdims",), ("axis", "keepdims")]
    }
    report = check_op(
        np.moveaxis,
        arrays((2, 3)),
        source=0,
        destination=axes(2, none=False).filter(lambda axis: isinstance(axis, int)),
        examples=5,
    )
    assert report.examples == 5


def test_inputs_may_be_drawn_together() -> None:
    assert check_op(np.multiply, overlapping_arrays(2), examples=5).examples == 5
    both = arrays((2, 2)).map(lambda x: Call((x,), {"axis": 0}))
    assert {call.params["axis"] for call in drawn(calls(np.sum, both), 3)} == {0}


@pytest.mark.parametrize("function", [np.concatenate, lambda *xs: xs[0]])
def test_inputs_that_cannot_be_told_are_asked_for(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"pass strategies of its inputs, as in check_op\(f, arr"):
        check_op(function)


def test_a_property_of_another_name_cannot_be_skipped() -> None:
    with pytest.raises(ValueError, match=r"skip: expected names among .*got \['third_order'\]"):
        check_op(cube, skip=["third_order"])


def test_costly_gradients_of_constants_are_told() -> None:
    eager = tg.op(lambda x, y: x * y, name="eager")(lambda g, out, x, y: (g * y, g * x))
    lazy = tg.op(lambda x, y: x * y, name="lazy")(
        lambda g, out, x, y: (lambda: g * y, lambda: g * x)
    )
    assert check_op(eager, examples=5).for_constants == {0, 1}
    assert "input 1 is computed where that is a constant" in str(check_op(eager, examples=5))
    assert check_op(lazy, examples=5).for_constants == set()


# What check_op finds


def op_with(rule: Callable[..., Any], forward: Callable[..., Any] = lambda x: x * x) -> Any:
    return tg.op(forward, name="wrong")(rule)


def forgets_state() -> Any:
    kept = []
    return op_with(lambda g, out, x: (2 * g * kept[-1],), lambda x: kept.append(x) or x * x)


def writes_into(x: Any) -> Any:
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x *= 2
    return x * x


def right_on_arrays_alone(g: Any, out: Any, x: Any) -> Any:
    return (2 * g * x if isinstance(x, np.ndarray | np.generic) else 3 * g * x,)


WRONG = {
    "gradients": lambda: op_with(lambda g, out, x: (3 * g * x,)),
    "second_order": lambda: op_with(lambda g, out, x: (2 * g * getattr(x, "value", x),)),
    "values_agree": lambda: lambda x: x * (3.0 if isinstance(x, tg.Node) else 2.0),
    "inputs_are_left_alone": lambda: writes_into,
    "calls_are_independent": forgets_state,
    "rules_agree": lambda: op_with(right_on_arrays_alone),
    "constants_make_no_difference": lambda: (
        lambda x, y: x * y if isinstance(x, tg.Node) == isinstance(y, tg.Node) else x * y + x
    ),
    "float32_stays": lambda: op_with(lambda g, out, x: (2 * g * np.float64(1) * x,)),
    "compiled_agrees": lambda: lambda x: x * (3.0 if get_state().tape else 2.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_hold_is_found(name: str) -> None:
    others = set(testing.PROPERTIES) - {name}
    with pytest.raises(AssertionError):
        check_op(WRONG[name](), skip=others)


def test_a_wrong_simplification_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def squares_for_sines(program: Any) -> None:
        for step in program.steps:
            step.function = np.square if step.function is np.sin else step.function

    monkeypatch.setattr(compiled, "PASSES", [*compiled.PASSES, squares_for_sines])
    with pytest.raises(AssertionError, match="simplify=True"):
        check_op(np.sin, examples=3)


def test_what_asks_for_values_is_not_compiled_and_that_is_said() -> None:
    def branching(x: Any) -> Any:
        return 2 * x if properties.value_of(np.sum(x)) > -1000 else x

    report = check_op(branching, arrays((3,)), examples=5)
    assert report.counts["not_compiled"] == 5
    assert "compiled_agrees" not in report.counts
    assert "one was not compiled since compile: the value of" in str(report)


CUBE = """
import numpy as np
import tinygraph as tg


def _cube(x, *, scale=1.0):
    return scale * x**3


@tg.op(_cube)
def cube(g, out, x, *, scale=1.0):
    return (g * 3 * scale * x**2,)
"""

MISTAKES = {
    "a factor": ("3 * scale", "2 * scale"),
    "a parameter forgotten": ("3 * scale", "3"),
    "wrong for some numbers": ("x**2", "x * abs(x)"),
    "a second order lost": ("x**2", "getattr(x, 'value', x)**2"),
    "another precision": ("3 * scale", "np.float64(3) * scale"),
    "by the order in memory": ("x**3", "np.ravel(x, order='K').reshape(x.shape)**3"),
    "an error": ("x**2", "np.asarray(x)**2"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_code_printed_shows_the_failure_again(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"ops_with_{mistake.replace(' ', '_')}"
    path = tmp_path / f"{module}.py"
    path.write_text(CUBE.replace(*MISTAKES[mistake]))
    monkeypatch.syspath_prepend(tmp_path)
    wrong = importlib.import_module(module).cube
    with pytest.raises((AssertionError, TypeError)) as caught:
        check_op(wrong, scale=st.just(2.0))
    code = code_in(caught.value)
    assert type(caught.value).__name__ in run(code, tmp_path)
    path.write_text(CUBE)
    assert run(code, tmp_path) == ""


def code_in(error: BaseException) -> str:
    (note,) = [note for note in error.__notes__ if note.startswith("To see it again:")]
    return note.removeprefix("To see it again:")


def run(code: str, place: Path) -> str:
    """Run a program, and give the last line of what it says is wrong."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{place}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == (1 if done.stderr else 0)
    assert done.stdout == ""
    return done.stderr


def test_the_example_printed_is_the_smallest() -> None:
    def rule(g: Any, out: Any, x: Any) -> Any:
        return (g * 2 * x * np.where(x < -2, 1.1, 1),)

    with pytest.raises(tg.GradientError) as caught:
        check_op(op_with(rule), arrays(), skip=["second_order", "float32_stays"])
    assert "x = np.array(-2.025)\n" in code_in(caught.value)


def test_a_graph_is_printed_as_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.array([0.1, 0.5])
    graph = Graph([x], [Step(np.tanh, (0,), {}), Step(np.multiply, (0, 1), {})])
    code = program(graph, Call((x,)), "found = f({inputs})")
    space: dict[str, Any] = {}
    exec(code, space)
    assert np.array_equal(space["found"], x * np.tanh(x))


# check


@pytest.mark.parametrize("is_right", [True, False])
def test_check_makes_a_test_of_a_function(is_right: bool) -> None:
    tried = []

    @check(cube, arrays(), scale=st.just(2.0))
    def test_of_cube(x: Any, scale: float = 1.0) -> None:
        """Say what is tested."""
        tried.append(scale)
        assert is_right or x.ndim < 2

    assert test_of_cube.__name__ == "test_of_cube"
    assert test_of_cube.__doc__ == "Say what is tested."
    assert inspect.signature(test_of_cube).parameters == {}
    if is_right:
        test_of_cube()
        assert {*tried} == {1.0, 2.0}
    else:
        with pytest.raises(AssertionError):
            test_of_cube()


def test_check_finds_a_wrong_rule_before_what_the_function_asserts() -> None:
    @check(WRONG["gradients"](), arrays())
    def test_of_wrong(x: Any) -> None:
        pass

    with pytest.raises(tg.GradientError) as caught:
        test_of_wrong()
    assert "tg.gradcheck(f, x)" in code_in(caught.value)


# Without hypothesis


def test_tinygraph_imports_hypothesis_only_for_testing() -> None:
    assert run("import tinygraph, sys; assert 'hypothesis' not in sys.modules", ROOT) == ""


def test_without_hypothesis_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; import tinygraph.testing"
    assert "needs hypothesis: pip install tinygraph[test]" in run(code, ROOT)
