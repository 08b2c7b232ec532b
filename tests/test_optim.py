"""Optimisers do PyTorch's mathematics, change nothing but their leaves, and resume to the bit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

import tinygraph as tg
from tinygraph import optim

TOLERANCE = {"f": 1e-5, "d": 1e-12, "F": 1e-5, "D": 1e-12}
EVERY_OPTIMIZER = {
    "SGD": lambda parameters, rate: optim.SGD(parameters, rate),
    "momentum": lambda parameters, rate: optim.SGD(parameters, rate, momentum=0.5),
    "Nesterov": lambda parameters, rate: optim.SGD(parameters, rate, momentum=0.5, nesterov=True),
    "decay": lambda parameters, rate: optim.SGD(parameters, rate, weight_decay=0.1),
    "Adam": lambda parameters, rate: optim.Adam(parameters, rate),
    "AdamW": lambda parameters, rate: optim.AdamW(parameters, rate),
    "RMSprop": lambda parameters, rate: optim.RMSprop(parameters, rate, decay=0.9, momentum=0.5),
}
every_optimizer = pytest.mark.parametrize("make", EVERY_OPTIMIZER.values(), ids=EVERY_OPTIMIZER)

fractions = st.floats(0, 0.99)
momenta = st.sampled_from([0.0, 0.5, 0.9])
decays = st.sampled_from([0.0, 0.01, 0.3])
epsilons = st.sampled_from([1e-8, 1e-3])
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "SGD": st.fixed_dictionaries(
        {"momentum": momenta, "nesterov": st.booleans(), "weight_decay": decays}
    ).filter(lambda options: options["momentum"] or not options["nesterov"]),
    "Adam": st.fixed_dictionaries(
        {"betas": st.tuples(fractions, fractions), "epsilon": epsilons, "weight_decay": decays}
    ),
    "AdamW": st.fixed_dictionaries(
        {"betas": st.tuples(fractions, fractions), "epsilon": epsilons, "weight_decay": decays}
    ),
    "RMSprop": st.fixed_dictionaries(
        {"decay": fractions, "epsilon": epsilons, "momentum": momenta, "weight_decay": decays}
    ),
}


@st.composite
def trainings(draw: st.DrawFn, dtypes: str = "fdFD") -> dict[str, Any]:
    """Draw an optimiser, leaves, and for every step their gradients, of which some are missing."""
    name = draw(st.sampled_from(sorted(OPTIONS)))
    shapes = draw(
        st.lists(hypothesis_numpy.array_shapes(min_dims=0, max_side=3), min_size=1, max_size=3)
    )
    dtype = draw(st.sampled_from(dtypes))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    present = draw(
        st.lists(
            st.lists(st.booleans(), min_size=len(shapes), max_size=len(shapes)).filter(any),
            min_size=1,
            max_size=6,
        )
    )
    return {
        "name": name,
        "options": draw(OPTIONS[name]),
        "rates": [draw(st.floats(0, 0.5)) for _ in present],
        "start": [draw_array(random, shape, dtype) for shape in shapes],
        "gradients": [
            [
                draw_array(random, shape, dtype) if there else None
                for shape, there in zip(shapes, row, strict=True)
            ]
            for row in present
        ],
    }


def draw_array(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    array = random.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        array = array + 1j * random.normal(size=shape)
    return np.array(array, dtype, order=random.choice(["C", "F"]))


def run(training: dict[str, Any]) -> list[np.ndarray]:
    nodes = [tg.Node(x) for x in training["start"]]
    optimizer = getattr(optim, training["name"])(nodes, 0.1, **training["options"])
    take_steps(optimizer, nodes, training["rates"], training["gradients"])
    return [node.value for node in nodes]


def take_steps(optimizer: Any, nodes: Any, rates: Any, gradients: Any) -> None:
    for rate, row in zip(rates, gradients, strict=True):
        optimizer.learning_rate = rate
        for node, gradient in zip(nodes, row, strict=True):
            node.grad = gradient
        optimizer.step()


def reference(training: dict[str, Any]) -> list[np.ndarray]:
    """Do the papers' formulas with fresh arrays; complex numbers are pairs of real ones."""
    results = []
    for i, start in enumerate(training["start"]):
        parts = [(np.real, 1)] + ([(np.imag, -1)] if start.dtype.kind == "c" else [])
        moved = []
        for part, sign in parts:
            steps = [
                (rate, sign * part(row[i]).astype(np.float64))
                for rate, row in zip(training["rates"], training["gradients"], strict=True)
                if row[i] is not None
            ]
            moved.append(
                REFERENCES[training["name"]](
                    part(start).astype(np.float64), steps, training["options"]
                )
            )
        results.append(moved[0] + 1j * moved[1] if len(moved) == 2 else moved[0])
    return results


def reference_sgd(w: Any, steps: Any, options: dict[str, Any]) -> Any:
    mu = options["momentum"]
    velocity = 0.0
    for rate, g in steps:
        g = g + options["weight_decay"] * w
        velocity = mu * velocity + g
        w = w - rate * (g + mu * velocity if options["nesterov"] else velocity)
    return w


def reference_adam(w: Any, steps: Any, options: dict[str, Any], decoupled: bool = False) -> Any:
    beta1, beta2 = options["betas"]
    m = v = 0.0
    for t, (rate, g) in enumerate(steps, start=1):
        if decoupled:
            w = w * (1 - rate * options["weight_decay"])
        else:
            g = g + options["weight_decay"] * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        w = w - rate * m_hat / (np.sqrt(v_hat) + options["epsilon"])
    return w


def reference_adamw(w: Any, steps: Any, options: dict[str, Any]) -> Any:
    return reference_adam(w, steps, options, decoupled=True)


def reference_rmsprop(w: Any, steps: Any, options: dict[str, Any]) -> Any:
    alpha = options["decay"]
    v = velocity = 0.0
    for rate, g in steps:
        g = g + options["weight_decay"] * w
        v = alpha * v + (1 - alpha) * g**2
        velocity = options["momentum"] * velocity + g / (np.sqrt(v) + options["epsilon"])
        w = w - rate * velocity
    return w


REFERENCES = {
    "SGD": reference_sgd,
    "Adam": reference_adam,
    "AdamW": reference_adamw,
    "RMSprop": reference_rmsprop,
}


def assert_close(got: list[np.ndarray], expected: list[np.ndarray], training: Any) -> None:
    for value, wanted, start in zip(got, expected, training["start"], strict=True):
        assert value.dtype == start.dtype
        assert value.shape == start.shape
        tolerance = TOLERANCE[start.dtype.char]
        np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=10 * tolerance)


@given(trainings())
def test_steps_are_those_of_the_papers(training: dict[str, Any]) -> None:
    assert_close(run(training), reference(training), training)


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@given(trainings(dtypes="dD"))
def test_steps_are_those_of_pytorch(torch: Any, training: dict[str, Any]) -> None:
    names = {"epsilon": "eps", "decay": "alpha"}
    options = {names.get(name, name): x for name, x in training["options"].items()}
    tensors = [torch.tensor(x, requires_grad=True) for x in training["start"]]
    optimizer = getattr(torch.optim, training["name"])(tensors, lr=0.1, **options)
    for rate, row in zip(training["rates"], training["gradients"], strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for tensor, gradient in zip(tensors, row, strict=True):
            tensor.grad = None if gradient is None else torch.tensor(gradient.conj())
        optimizer.step()
    assert_close(run(training), [tensor.detach().numpy() for tensor in tensors], training)


def test_defaults_are_those_of_pytorch() -> None:
    start = np.array([1.0, -2.0])
    gradients = [[np.array([0.3, 4.0])], [np.array([-0.1, 2.0])]]
    for name, rate, options in [
        ("Adam", 1e-3, {"betas": (0.9, 0.999), "epsilon": 1e-8, "weight_decay": 0.0}),
        ("AdamW", 1e-3, {"betas": (0.9, 0.999), "epsilon": 1e-8, "weight_decay": 1e-2}),
        ("RMSprop", 1e-2, {"decay": 0.99, "epsilon": 1e-8, "momentum": 0.0, "weight_decay": 0.0}),
    ]:
        w = tg.Node(start)
        optimizer = getattr(optim, name)([w])
        take_steps(optimizer, [w], [optimizer.learning_rate] * 2, gradients)
        expected = REFERENCES[name](start, [(rate, row[0]) for row in gradients], options)
        np.testing.assert_allclose(w.value, expected, rtol=1e-12)


@every_optimizer
def test_squared_distance_of_complex_numbers_is_minimised(make: Any) -> None:
    target = np.array([1 + 2j, -3j, 0.5])
    z = tg.Node(np.zeros(3, complex))
    w = tg.Node(0j)
    optimizer = make([z, w], optim.cosine(0.1, 400))
    for _ in range(400):
        optimizer.zero_grad()
        (np.sum(np.abs(z - target) ** 2) + np.abs(w - 2j) ** 2).backward()
        optimizer.step()
    # Weight decay pulls towards 0, by 0.1 / 2.1 of the way at most.
    np.testing.assert_allclose(z.value, target, atol=0.2)
    np.testing.assert_allclose(w.value, 2j, atol=0.2)


def test_options_of_a_group_stand_in_for_the_arguments() -> None:
    start, gradient = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    a, b, c = tg.Node(start), tg.Node(start), tg.Node(start)
    optimizer = optim.SGD(
        [
            {"parameters": [a]},
            {"parameters": [b], "learning_rate": 0.5, "weight_decay": 0.1},
            {"parameters": c, "learning_rate": optim.step(1.0, 1, 0.5), "momentum": 0.9},
        ],
        0.25,
    )
    take_steps(optimizer, [a, b, c], [0.25, 0.125], [[gradient] * 3] * 2)
    plain = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
    for node, rates, options in [
        (a, [0.25, 0.125], plain),
        (b, [0.5, 0.5], plain | {"weight_decay": 0.1}),
        (c, [1.0, 0.5], plain | {"momentum": 0.9}),
    ]:
        expected = reference_sgd(start, [(rate, gradient) for rate in rates], options)
        np.testing.assert_allclose(node.value, expected, rtol=1e-15)


def test_constant_schedule() -> None:
    assert [optim.constant(0.5)(i) for i in (0, 1, 10**9)] == [0.5, 0.5, 0.5]


def test_step_schedule() -> None:
    schedule = optim.step(8.0, every=3, factor=0.5)
    assert [schedule(i) for i in range(7)] == [8, 8, 8, 4, 4, 4, 2]


def test_cosine_schedule() -> None:
    schedule = optim.cosine(1.0, steps=4, final=0.5)
    expected = [1, 0.75 + math.sqrt(2) / 8, 0.75, 0.75 - math.sqrt(2) / 8, 0.5, 0.5]
    np.testing.assert_allclose([schedule(i) for i in range(6)], expected, rtol=1e-15)


def test_warm_up_schedule() -> None:
    schedule = optim.warm_up(optim.step(8.0, every=3, factor=0.5), steps=4)
    assert [schedule(i) for i in range(6)] == [2, 4, 6, 4, 4, 4]
    assert optim.warm_up(8.0, steps=2)(0) == 4


def test_schedule_gets_the_number_of_steps_taken() -> None:
    w = tg.Node([100.0])
    seen = []
    optimizer = optim.SGD([w], lambda number: seen.append(number) or 10.0**-number)
    take_gradients(optimizer, w, 3)
    assert seen == [0, 1, 2]
    np.testing.assert_allclose(w.value, [100 - 1 - 0.1 - 0.01], rtol=1e-15)
    assert optimizer.learning_rate == 10.0**-3


def take_gradients(optimizer: Any, node: tg.Node, steps: int) -> None:
    for _ in range(steps):
        node.grad = np.ones(node.shape, node.dtype)
        optimizer.step()


def test_learning_rate_is_read_and_assigned() -> None:
    w = tg.Node([1.0])
    optimizer = optim.SGD([w], optim.step(0.5, 1, 0.5))
    assert optimizer.learning_rate == 0.5
    take_gradients(optimizer, w, 1)
    assert optimizer.learning_rate == 0.25
    optimizer.learning_rate *= 2
    take_gradients(optimizer, w, 1)
    assert w.value == 0.0
    optimizer.learning_rate = optim.constant(0.125)
    take_gradients(optimizer, w, 1)
    assert w.value == -0.125
    with pytest.raises(ValueError, match=r"learning_rate: expected a number from 0 .*, got -1"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.125


def test_rate_of_a_schedule_is_checked_before_anything_changes() -> None:
    a, b = tg.Node([1.0]), tg.Node([1.0])
    bad = {"parameters": [b], "learning_rate": lambda number: -1.0}
    optimizer = optim.SGD([{"parameters": [a]}, bad], 0.1)
    a.grad = b.grad = np.ones(1)
    with pytest.raises(ValueError, match=r"learning rate of step 0: expected .*, got -1"):
        optimizer.step()
    assert a.value == 1.0


def test_zero_grad_sets_gradients_to_none() -> None:
    a, b = tg.Node([1.0]), tg.Node([2.0])
    np.sum(a * b).backward()
    optim.SGD([a, b], 0.1).zero_grad()
    assert a.grad is None
    assert b.grad is None


def test_parameters_without_gradients_are_left_alone() -> None:
    a, b = tg.Node([1.0]), tg.Node([1.0])
    optimizer = optim.Adam([a, b], 0.1, weight_decay=0.5)
    stamp = b.stamp
    take_gradients(optimizer, a, 2)
    assert b.value == 1.0
    assert b.stamp == stamp
    assert not optimizer.state_dict()["parameters"][1]["state"]["mean"].any()


def test_step_without_any_gradient_is_refused() -> None:
    optimizer = optim.SGD([tg.Node([1.0])], 0.1)
    with pytest.raises(ValueError, match=r"call backward\(\) first"):
        optimizer.step()


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (np.ones((1, 2)), r"second of shape \(2,\) .* is an array of shape \(1, 2\)"),
        (np.ones(()), r"is an array of shape \(\)"),
        (np.ones(2, np.float32), "dtype float64 is an array of shape .* dtype float32"),
        (np.ones(2, complex), "dtype complex128"),
        (tg.Node(np.ones(3)), r"is an array of shape \(3,\)"),
        ([1.0, 1.0], "is a list of 2"),
        (1.0, "is of type float"),
    ],
)
@every_optimizer
def test_unfit_gradient_is_refused_before_anything_changes(
    make: Any, gradient: Any, message: str
) -> None:
    first, second = tg.Node([1.0, 2.0], name="first"), tg.Node([3.0, 4.0], name="second")
    optimizer = make([first, second], 0.1)
    before = tree_bits([optimizer.state_dict(), first.value, second.value, first.stamp])
    first.grad = np.ones(2)
    second.grad = gradient
    with pytest.raises(ValueError, match=message):
        optimizer.step()
    assert tree_bits([optimizer.state_dict(), first.value, second.value, first.stamp]) == before


def tree_bits(tree: Any) -> Any:
    """Turn a tree into something that is equal only for trees of the same bits and types."""
    if isinstance(tree, dict):
        return {key: tree_bits(x) for key, x in tree.items()}
    if isinstance(tree, list):
        return [tree_bits(x) for x in tree]
    if isinstance(tree, np.ndarray):
        return tree.dtype, tree.shape, tree.tobytes()
    return type(tree), tree


@every_optimizer
def test_gradients_that_are_nodes_are_used_by_value(make: Any) -> None:
    values = []
    for create_graph in (False, True):
        w = tg.Node([1.0, 2.0])
        optimizer = make([w], 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            np.sum(w**3).backward(create_graph=create_graph)
            assert isinstance(w.grad, tg.Node) == create_graph
            optimizer.step()
        assert w.op is None
        assert w.requires_grad
        values.append(w.value.tobytes())
    assert values[0] == values[1]


HOLDERS = {
    "value": lambda w: w.value,
    "view of the value": lambda w: w.value[1:],
    "memory of the value": lambda w: memoryview(w.value),
    "array itself": lambda w: w.value.base,
    "detached node": lambda w: w.detach(),
    "transposed node": lambda w: w.T,
    "graph above a transposed node": lambda w: np.sum(w.T, axis=0),
    "sliced node": lambda w: w[:, 1:],
    "gradient of another node": lambda w: hold_as_gradient(w),
}


def hold_as_gradient(w: tg.Node) -> tg.Node:
    other = tg.Node(np.ones(w.shape, w.dtype))
    other.grad = w.value
    return other


def held(holder: Any) -> bytes:
    """Give the bits of everything that a holder of values leads to."""
    if not isinstance(holder, tg.Node):
        return bytes(holder) if isinstance(holder, memoryview) else holder.tobytes()
    below = [x for x in holder.inputs if isinstance(x, tg.Node) and x.op is not None]
    grad = b"" if holder.grad is None else holder.grad.tobytes()
    return holder.value.tobytes() + grad + b"".join(held(x) for x in below)


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@every_optimizer
def test_what_others_hold_of_a_value_never_changes(make: Any, dtype: Any, hold: Any) -> None:
    w = tg.Node(np.arange(12).reshape(3, 4).astype(dtype))
    optimizer = make([w], 0.1)
    holders, contents = [], []
    for _ in range(5):
        holders.append(hold(w))
        contents.append(held(holders[-1]))
        before = w.value.copy()
        take_gradients(optimizer, w, 1)
        assert np.all(w.value != before)
    assert [held(holder) for holder in holders] == contents


@every_optimizer
def test_arrays_of_a_user_never_change(make: Any) -> None:
    start, gradient = np.ones((3, 2)), np.full((3, 2), 0.5)
    w = tg.Node(start)
    optimizer = make([w], 0.1)
    for _ in range(4):
        w.grad = gradient
        optimizer.step()
        assert w.grad is gradient
    assert np.all(start == 1)
    assert np.all(gradient == 0.5)


@every_optimizer
def test_value_may_be_its_own_gradient(make: Any) -> None:
    values = []
    for give in (lambda w: w.value, lambda w: w.value.copy(), lambda w: w.detach()):
        w = tg.Node([[1.0, -2.0]])
        optimizer = make([w], 0.1)
        for _ in range(4):
            w.grad = give(w)
            optimizer.step()
        values.append(w.value.tobytes())
    assert values[0] == values[1] == values[2]


def test_a_leaf_that_is_a_view_of_another_is_moved_alone() -> None:
    base = tg.Node(np.ones((2, 3)))
    view, row, scalar = base.T.detach(), base[0].detach(), np.sum(base).detach()
    leaves, before = [base, view, row, scalar], base.value
    for leaf in leaves:
        leaf.requires_grad = True
    optimizer = optim.SGD(leaves, 1.0)
    for steps in range(1, 5):
        for leaf in leaves:
            leaf.grad = np.ones(leaf.shape)
        optimizer.step()
        for leaf, start in zip(leaves, [1, 1, 1, 6], strict=True):
            np.testing.assert_array_equal(leaf.value, np.full(leaf.shape, start - steps))
    assert np.all(before == 1)


@every_optimizer
def test_backward_through_a_value_before_the_step_is_refused(make: Any) -> None:
    w = tg.Node([1.0, 2.0])
    optimizer = make([w], 0.1)
    loss = np.sum(w * w)
    loss.backward()
    optimizer.step()
    with pytest.raises(ValueError, match=r"the value of a leaf of shape \(2,\) changed"):
        loss.backward()
    assert loss.forward().item() == np.sum(w.value**2)
    loss.backward()


def test_steps_are_recorded_in_no_graph() -> None:
    w = tg.Node([1.0, 2.0])
    optimizer = optim.Adam([w], 0.1, weight_decay=0.1)
    np.sum(w * w).backward(create_graph=True)
    optimizer.step()
    assert w.inputs == ()
    assert type(w._value) is np.ndarray
    assert all(
        type(array) is np.ndarray
        for array in optimizer.state_dict()["parameters"][0]["state"].values()
    )


@given(trainings(), st.data())
def test_resumed_training_is_bit_identical(
    tmp_path_factory: pytest.TempPathFactory, training: dict[str, Any], data: st.DataObject
) -> None:
    make = getattr(optim, training["name"])
    split = data.draw(st.integers(0, len(training["rates"]) - 1))
    rates, gradients = training["rates"], training["gradients"]
    nodes = [tg.Node(x) for x in training["start"]]
    optimizer = make(nodes, 0.1, **training["options"])
    take_steps(optimizer, nodes, rates[:split], gradients[:split])
    path = tmp_path_factory.getbasetemp() / "state"
    tg.save(path, {"values": nodes, "optimizer": optimizer.state_dict()})

    saved = tg.load(path)
    resumed_nodes = [tg.Node(x) for x in saved["values"]]
    resumed = make(resumed_nodes, 0.3, **training["options"])
    resumed.load_state_dict(saved["optimizer"])
    assert resumed.learning_rate == optimizer.learning_rate

    take_steps(optimizer, nodes, rates[split:], gradients[split:])
    take_steps(resumed, resumed_nodes, rates[split:], gradients[split:])
    for node, again in zip(nodes, resumed_nodes, strict=True):
        assert node.value.tobytes() == again.value.tobytes()
    assert tree_bits(optimizer.state_dict()) == tree_bits(resumed.state_dict())


def test_resumed_schedule_goes_on_where_it_was() -> None:
    w, again = tg.Node([1.0]), tg.Node([1.0])
    optimizer = optim.SGD([w], optim.cosine(0.5, 10))
    take_gradients(optimizer, w, 3)
    resumed = optim.SGD([again], optim.cosine(0.5, 10))
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.learning_rate == optim.cosine(0.5, 10)(3)


def test_state_is_a_copy_both_ways() -> None:
    w = tg.Node([1.0, 2.0])
    optimizer = optim.Adam([w], 0.1)
    take_gradients(optimizer, w, 1)
    state = optimizer.state_dict()
    before = tree_bits(state)
    optimizer.load_state_dict(state)
    take_gradients(optimizer, w, 1)
    assert tree_bits(state) == before


def changed(change: Any) -> Any:
    """Give a function that makes a state and changes it."""

    def make() -> dict[str, Any]:
        state = adam().state_dict()
        change(state)
        return state

    return make


def adam(
    shape: tuple[int, ...] = (2, 3), dtype: Any = np.float32, name: str = "w", count: int = 1
) -> optim.Adam:
    return optim.Adam([tg.Node(np.ones(shape, dtype), name=name) for _ in range(count)], 0.1)


def first_state(state: dict[str, Any]) -> dict[str, Any]:
    return state["parameters"][0]["state"]


@pytest.mark.parametrize(
    ("make_state", "message"),
    [
        (lambda: optim.SGD([tg.Node(np.ones((2, 3)))], 0.1).state_dict(), "'SGD', expected 'Adam'"),
        (lambda: adam(shape=(3, 2)).state_dict(), r"'w of shape \(3, 2\) and dtype float32'"),
        (lambda: adam(dtype=np.float64).state_dict(), "dtype float64', expected 'w .* float32'"),
        (lambda: adam(name="b").state_dict(), "'b of shape .*, expected 'w of shape"),
        (lambda: adam(count=2).state_dict(), "a list of 2, expected a list of 1"),
        (changed(lambda x: x.pop("steps")), "expected a dict of .*'steps'"),
        (changed(lambda x: x.update(steps=1.0)), "of type float, expected of type int"),
        (changed(lambda x: x.update(learning_rate=None)), r"\['learning_rate'\] is of type None"),
        (changed(lambda x: x.update(learning_rate=-1.0)), "learning_rate: expected .*, got -1.0"),
        (changed(lambda x: x.update(learning_rate="a schedule")), "is 'a schedule', expected of"),
        (changed(lambda x: first_state(x).pop("mean")), r"\['state'\] is a dict of \['square'\]"),
        (changed(lambda x: first_state(x).update(mean=np.ones(6, np.float32))), r"shape \(6,\)"),
        (changed(lambda x: first_state(x).update(mean=np.ones((2, 3)))), "dtype float64, expected"),
        (changed(lambda x: first_state(x).update(mean=[1.0])), r"\['mean'\] is a list of 1"),
        (lambda: None, "state is of type NoneType"),
    ],
)
def test_state_of_another_optimizer_is_refused_before_anything_changes(
    make_state: Any, message: str
) -> None:
    optimizer = adam()
    node = optimizer._parameters[0].node
    take_gradients(optimizer, node, 1)
    before = tree_bits(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(make_state())
    assert tree_bits(optimizer.state_dict()) == before


def test_number_is_not_loaded_over_a_schedule() -> None:
    w = tg.Node([1.0])
    state = optim.SGD([w], 0.1).state_dict()
    with pytest.raises(ValueError, match="of type float, expected 'a schedule'"):
        optim.SGD([w], optim.constant(0.1)).load_state_dict(state)


W = tg.Node([1.0, 2.0], name="w")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([], 0.1), ValueError, "at least one Node, got none"),
        (lambda: optim.SGD([{"parameters": []}], 0.1), ValueError, "at least one Node"),
        (lambda: optim.SGD([np.ones(2)], 0.1), TypeError, "expected Nodes, got ndarray"),
        (lambda: optim.SGD("ab", 0.1), TypeError, "expected Nodes, got str"),
        (lambda: optim.SGD([W, W], 0.1), ValueError, "got one of them twice"),
        (lambda: optim.SGD([{"parameters": [W]}, W], 0.1), ValueError, "twice"),
        (lambda: optim.SGD([W * 2], 0.1), ValueError, "leaves .* a node made by multiply"),
        (lambda: optim.SGD([W.detach()], 0.1), ValueError, "w of shape .* requires_grad=False"),
        (lambda: optim.SGD([{"parameters": [W], "lr": 1}], 0.1), ValueError, "got one of .*'lr'"),
        (lambda: optim.SGD([{"learning_rate": 1}], 0.1), ValueError, "groups of 'parameters'"),
        (lambda: optim.SGD([{"parameters": [W], "momentum": -1}], 0.1), ValueError, "momentum: "),
        (lambda: optim.SGD([{"parameters": [W], "learning_rate": -1}], 1), ValueError, "got -1"),
        (lambda: optim.SGD([W], -0.1), ValueError, "learning_rate: .* from 0 .*, got -0.1"),
        (lambda: optim.SGD([W], math.nan), ValueError, "learning_rate: .*, got nan"),
        (lambda: optim.SGD([W], math.inf), ValueError, "learning_rate: .*, got inf"),
        (lambda: optim.SGD([W], "fast"), TypeError, "learning_rate: expected a number, got str"),
        (lambda: optim.SGD([W], 0.1, weight_decay=-1), ValueError, "weight_decay: .*, got -1"),
        (lambda: optim.SGD([W], 0.1, nesterov=True), ValueError, "nesterov: expected a momentum"),
        (lambda: optim.Adam([W], betas=(0.9, 1.0)), ValueError, "betas: .* below 1, got 1.0"),
        (lambda: optim.Adam([W], betas=(-0.1, 0.9)), ValueError, "betas: .*, got -0.1"),
        (lambda: optim.AdamW([W], betas=0.9), ValueError, "betas: expected two numbers, got 0.9"),
        (lambda: optim.Adam([W], epsilon=-1e-8), ValueError, "epsilon: .*, got -1e-08"),
        (lambda: optim.RMSprop([W], decay=1.0), ValueError, "decay: .* below 1, got 1.0"),
        (lambda: optim.RMSprop([W], momentum=None), TypeError, "momentum: .*, got NoneType"),
        (lambda: optim.constant(-1), ValueError, "rate: .*, got -1"),
        (lambda: optim.step(0.1, 0, 0.5), ValueError, "every: .* from 1 .*, got 0"),
        (lambda: optim.step(0.1, 1, -0.5), ValueError, "factor: .*, got -0.5"),
        (lambda: optim.cosine(0.1, 0), ValueError, "steps: .*, got 0"),
        (lambda: optim.cosine(0.1, 1, final=-1), ValueError, "final: .*, got -1"),
        (lambda: optim.warm_up("slow", 1), TypeError, "schedule: .*, got str"),
        (lambda: optim.warm_up(0.1, -1), ValueError, "steps: .*, got -1"),
    ],
)
def test_bad_arguments_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
