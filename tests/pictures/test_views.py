"""Other graphs drawn the same way: gradients, plans, two graphs, the path of a NaN."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import tinygraph as tg
from tests.pictures.reading import (
    Drawn,
    blocks,
    chain,
    constants_of,
    graphs,
    nodes_below,
    read,
    two_layers,
)
from tinygraph.pictures.chain import gradients_below
from tinygraph.pictures.style import LIGHT


def looking(drawn: Drawn, look: str) -> set[str]:
    """Give the titles of the boxes in the colours of a look."""
    return {drawn.labels[box][0] for box, style in drawn.styles.items() if has_look(style, look)}


def has_look(style: dict[str, str], look: str) -> bool:
    return (style["fillcolor"], style["color"], style["fontcolor"]) == LIGHT.looks[look]


def test_the_gradients_graph_is_beside_the_graph() -> None:
    x = tg.Node(2.0, name="x")
    y = np.sin(x) * x
    y.name = "y"
    drawn = read(tg.render(y, backward=True))
    assert looking(drawn, "backward") == {"∂y/∂y", "cos", "∂y/∂x", "\N{MULTIPLICATION SIGN}"}
    assert drawn.labels[drawn.box("∂y/∂x")] == ["∂y/∂x", "+"]
    assert looking(drawn, "output") == {"y"}
    assert x.grad is None
    assert y.name == "y"


def test_gradients_stand_in_scopes_beside_those_that_they_come_through() -> None:
    drawn = read(tg.render(two_layers(), backward=True))
    assert {scope[0] for scope in drawn.scopes} == {
        *("layer 1", "layer 2", "loss"),
        *("∂ layer 1", "∂ layer 2", "∂ loss"),
    }
    assert drawn.frames[drawn.box("∂loss/∂W2")] == ("∂ layer 2",)


def test_gradients_that_are_one_node_share_a_box() -> None:
    x, y = tg.Node(1.0, name="x"), tg.Node(1.0, name="y")
    assert read(tg.render(x + y, backward=True)).box("∂y/∂y, ∂y/∂x, ∂y/∂y")


@given(graphs())
def test_gradients_of_every_node_are_those_of_the_engine(output: tg.Node) -> None:
    leaf = tg.Node(1.5)
    total = output * leaf + leaf
    total.backward()
    assert gradients_below([total])[leaf] == leaf.grad


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.linalg.eigh(x)[0],
        lambda x: np.split(x, 2)[0],
        tg.checkpoint(lambda x: (x, np.exp(x))),
    ],
    ids=["eigh", "split", "checkpoint"],
)
def test_gradients_through_ops_with_several_results(f: Any) -> None:
    x = tg.Node(np.array([[2.0, 1.0], [1.0, 5.0]]), name="x")
    result = f(x)
    y = np.sum(result[1] if isinstance(result, tuple) else result)
    assert read(tg.render(y, backward=True)).box("∂y/∂x")


def test_gradients_of_a_long_chain() -> None:
    end = chain(20_000)
    assert len(gradients_below([end])) == 20_001
    assert len(read(tg.render(end, backward=True)).labels) == 200


def entropy() -> tg.Node:
    w = tg.Node([1.0, 0.0, 2.0], name="w")
    p = w / np.sum(w)
    with np.errstate(all="ignore"):
        logarithm = np.log(p)
        total = np.sum(p * logarithm)
    out = total + np.sum(w)
    p.name, logarithm.name, total.name, out.name = "p", "log p", "total", "out"
    return out


def test_the_path_of_the_first_infinity_is_marked() -> None:
    drawn = read(tg.render(entropy(), nonfinite=True))
    assert looking(drawn, "first bad") == {"log p"}
    assert looking(drawn, "bad") == {"\N{MULTIPLICATION SIGN}", "total", "out"}
    bad = LIGHT.looks["bad"].line
    marked = {
        tuple(drawn.labels[box][0] for box in edge)
        for edge, styles in drawn.edge_styles.items()
        if styles[0].get("color") == bad
    }
    times = "\N{MULTIPLICATION SIGN}"
    assert marked == {("log p", times), (times, "total"), ("total", "out")}


def test_what_is_not_finite_but_reaches_no_output_is_not_marked() -> None:
    x = tg.Node([np.inf, 1.0], name="x")
    y = np.sum(np.where(np.array([False, True]), x, 0.0))
    drawn = read(tg.render(y, nonfinite=True))
    assert not looking(drawn, "bad") | looking(drawn, "first bad")


def test_a_leaf_can_be_the_first_and_finite_graphs_have_no_marks() -> None:
    x = tg.Node([np.nan], name="x")
    assert looking(read(tg.render(x * 2, nonfinite=True)), "first bad") == {"x"}
    finite = read(tg.render(two_layers(), nonfinite=True))
    assert finite == read(tg.render(two_layers()))


def test_the_first_infinity_is_seen_in_a_long_graph() -> None:
    x = tg.Node(1.0, name="x")
    with np.errstate(all="ignore"):
        for number in range(3000):
            x = np.log(x * 0.0) if number == 1234 else x * 0.5
            x.name = "here" if number == 1234 else None
    drawn = read(tg.render(x, nonfinite=True))
    assert looking(drawn, "first bad") == {"here"}
    assert len(drawn.labels) <= 200


@given(graphs())
def test_a_graph_compared_with_itself_is_kept(output: tg.Node) -> None:
    drawn = read(tg.render(output, before=output))
    assert not looking(drawn, "added") | looking(drawn, "removed")
    assert len(drawn.labels) == len(read(tg.render(output)).labels)


@pytest.mark.parametrize("make", [two_layers, lambda: blocks(2), lambda: chain(50)])
def test_a_graph_made_again_is_kept(make: Any) -> None:
    drawn = read(tg.render(make(), before=make()))
    assert not looking(drawn, "added") | looking(drawn, "removed")


def test_an_edit_stands_out() -> None:
    drawn = read(tg.render(two_layers(tg.nn.relu), before=two_layers(np.tanh)))
    assert looking(drawn, "added") == {"relu"}
    assert looking(drawn, "removed") == {"tanh"}
    assert len(looking(drawn, "kept")) == 9
    assert drawn.styles[drawn.box("tanh")]["style"].endswith("dashed")
    (tanh,), (relu,) = (
        [style for edge, [style] in drawn.edge_styles.items() if edge[0] == drawn.box(title)]
        for title in ("tanh", "relu")
    )
    assert (tanh["style"], tanh["color"]) == ("dashed", LIGHT.looks["removed"].line)
    assert (relu.get("style"), relu["color"]) == (None, LIGHT.looks["added"].line)


def test_what_is_added_at_an_end_is_all_that_is_added() -> None:
    before = two_layers()
    drawn = read(tg.render(before * 2.0, before=before))
    assert looking(drawn, "added") == {"\N{MULTIPLICATION SIGN}", "2"}
    assert not looking(drawn, "removed")


@given(graphs(), graphs())
def test_both_graphs_are_in_a_comparison(before: tg.Node, after: tg.Node) -> None:
    drawn = read(tg.render(after, before=before, unfold="*", max_nodes=10**6))
    for look, output in (("added", before), ("removed", after)):
        shown = [box for box, style in drawn.styles.items() if not has_look(style, look)]
        nodes = nodes_below(output)
        assert len(shown) == len(nodes) + len(constants_of(nodes))


def step_of(**options: Any) -> Any:
    w = tg.Node(np.full((3, 4), 0.5), name="W")
    optimizer = tg.optim.SGD([w], learning_rate=0.1)

    def step(x: Any, y: Any) -> Any:
        with tg.scope("layer"):
            h = np.tanh(x @ w.T)
        loss = np.mean((h - y) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    compiled = tg.compile(step, **options)
    compiled(np.ones((2, 4)), np.zeros((2, 3)))
    return compiled


def test_a_plan_is_drawn_with_its_buffers() -> None:
    compiled = step_of()
    drawn = read(tg.render(compiled))
    program = compiled.last_plan().program
    given_values = len(program.arguments) + len(program.leaves) + len(program.numbers)
    ops = [box for box, style in drawn.styles.items() if "rounded" in style.get("style", "")]
    circles = [box for box, style in drawn.styles.items() if style.get("shape") == "circle"]
    assert len(ops) + len(circles) == len(program.steps)
    named = [drawn.box(name) for name in ("x", "y", "W", "learning rate")]
    assert len(named) == given_values
    places = Counter(lines[-1] for lines in drawn.labels.values() if lines[-1][0] in "■→")
    assert places["→ result"] == 1
    assert places["→ next W"] >= 1
    buffers = {int(place.split()[-1]) for place in places if place.startswith("■")}
    assert buffers == set(range(compiled.source.count("np.empty(")))
    assert ("layer",) in drawn.scopes


def test_what_blas_adds_to_a_weight_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr("tinygraph.compiler.blas.has_one_thread", lambda: True)
    drawn = read(tg.render(step_of(backend="blas")))
    last = [lines for lines in drawn.labels.values() if lines[-1] == "→ next W"]
    assert [lines[0] for lines in last] == ["accumulate"]


def test_a_plan_is_compared_with_one_that_was_not_simplified() -> None:
    drawn = read(tg.render(step_of(), before=step_of(simplify=False)))
    assert looking(drawn, "removed")
    assert {"W", "x", "y", "tanh", "square", "mean"} <= looking(drawn, "kept")


def test_plans_with_several_results_and_constant_results() -> None:
    @tg.compile
    def f(x: Any) -> Any:
        q, r = np.linalg.qr(x)
        return np.sum(q) + np.sum(r), np.ones(2) * 2

    f(np.eye(3))
    drawn = read(tg.render(f, show=("values", "bytes", "time")))
    assert {"[0]", "[1]"} <= {lines[0] for lines in drawn.labels.values()}


def test_a_compiled_function_that_was_not_called_is_refused() -> None:
    with pytest.raises(ValueError, match="has not been called yet"):
        tg.render(tg.compile(np.sin))
