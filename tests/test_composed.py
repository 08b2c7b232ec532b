"""Every NumPy function that is written with others: values, dtypes, derivatives of two orders."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygraph as tg
from tests.numeric import assert_gradients, numeric_vjp
from tests.samples import ALWAYS_FLOAT64, REAL_ONLY, SAMPLES, STEPS, all_composed
from tests.samples.drawing import Call
from tests.test_rules import (
    as_complex,
    assert_same_bits,
    is_inexact,
    nodes_of,
    random_like,
    values_of,
    variables_of,
    with_dtype,
)
from tinygraph.tree import flatten, map_tree

FUNCTIONS = all_composed()

every_function = pytest.mark.parametrize("name", sorted(FUNCTIONS))
seeds = st.integers(0, 2**32 - 1)


def calls(name: str) -> st.SearchStrategy[Call]:
    if name not in SAMPLES:
        raise LookupError(f"{name} has no sample: add one to SAMPLES in tests/samples/")
    return SAMPLES[name]


def function_of(name: str, call: Call) -> Callable[..., Any]:
    """Give the function of its variables alone, with its smooth results alone."""

    def function(*variables: Any) -> Any:
        left = iter(variables)
        inputs = [next(left) if is_inexact(x) else x for x in call.inputs]
        return smooth(FUNCTIONS[name](*inputs, **call.params))

    return function


def smooth(out: Any) -> list[Any]:
    return [x for x in flatten(out)[0] if is_inexact(x)]


def cotangent_like(tree: Any, seed: int) -> Any:
    return map_tree(lambda x: random_like(np.asarray(x), seed), tree)


def assert_derivatives(name: str, call: Call, seed: int) -> None:
    f, variables = function_of(name, call), variables_of(call)
    out, pullback = tg.vjp(f, *variables)
    cotangent = cotangent_like(out, seed)
    assert_gradients(pullback(cotangent), numeric_vjp(f, variables, cotangent))


def assert_second_derivatives(name: str, call: Call, seed: int) -> None:
    f, variables = function_of(name, call), variables_of(call)
    cotangent = tuple(cotangent_like(f(*variables), seed))
    count = len(cotangent)

    def gradients(*at: Any) -> Any:
        return tg.vjp(f, *at[count:])[1](list(at[:count]))

    at = (*cotangent, *variables)
    weights = tuple(random_like(x, seed + i) for i, x in enumerate(variables))
    _, pullback = tg.vjp(gradients, *at)
    assert_gradients(pullback(weights), numeric_vjp(gradients, at, weights))


@every_function
@given(data=st.data())
def test_values_are_those_of_numpy_bit_for_bit(name: str, data: st.DataObject) -> None:
    call = data.draw(calls(name))
    nodes = nodes_of(call)
    actual = FUNCTIONS[name](*nodes, **call.params)
    expected = FUNCTIONS[name](*values_of(nodes), **call.params)
    assert type(actual) is type(expected) or not isinstance(expected, tuple | list)
    pairs = zip(flatten(actual)[0], flatten(expected)[0], strict=True)
    for x, y in pairs:
        assert isinstance(x, tg.Node) == is_inexact(y)
        assert_same_bits(x.value if isinstance(x, tg.Node) else np.asarray(x), y)


@every_function
@given(data=st.data(), seed=seeds)
def test_gradients_agree_with_finite_differences(name: str, data: st.DataObject, seed: int) -> None:
    assert_derivatives(name, data.draw(calls(name)), seed)


@every_function
@given(data=st.data(), seed=seeds)
def test_second_derivatives_agree_with_finite_differences(
    name: str, data: st.DataObject, seed: int
) -> None:
    assert_second_derivatives(name, data.draw(calls(name)), seed)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - REAL_ONLY))
@given(data=st.data(), seed=seeds)
def test_complex_gradients_follow_the_convention_of_jax(
    name: str, data: st.DataObject, seed: int
) -> None:
    call = as_complex(data.draw(calls(name)), seed)
    assert_derivatives(name, call, seed)
    assert_second_derivatives(name, call, seed)


@every_function
@given(data=st.data(), seed=seeds)
def test_float32_stays_float32(name: str, data: st.DataObject, seed: int) -> None:
    call = with_dtype(data.draw(calls(name)), "float32")
    out, pullback = tg.vjp(function_of(name, call), *variables_of(call))
    expected = smooth(FUNCTIONS[name](*call.inputs, **call.params))
    assert [x.dtype for x in out] == [x.dtype for x in expected]
    assert name in ALWAYS_FLOAT64 or {str(x.dtype) for x in out} <= {"float32", "complex64"}
    gradients = pullback(cotangent_like(out, seed))
    assert {str(x.dtype) for x in gradients} <= {"float32"}


@every_function
@given(data=st.data(), seed=seeds)
def test_nothing_that_was_given_is_written(name: str, data: st.DataObject, seed: int) -> None:
    call = data.draw(calls(name))
    before = [x.copy() for x in call.inputs]
    out, pullback = tg.vjp(function_of(name, call), *variables_of(call))
    pullback(cotangent_like(out, seed))
    for array, copy in zip(call.inputs, before, strict=True):
        assert_same_bits(array, copy)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - STEPS))
@given(data=st.data(), seed=seeds)
def test_a_gradient_that_is_a_little_off_is_found(
    name: str, data: st.DataObject, seed: int
) -> None:
    call = data.draw(calls(name))
    f, variables = function_of(name, call), variables_of(call)
    out, pullback = tg.vjp(f, *variables)
    cotangent = cotangent_like(out, seed)
    estimates = numeric_vjp(f, variables, cotangent)
    for gradient, estimate in zip(pullback(cotangent), estimates, strict=True):
        if np.max(np.abs(gradient), initial=0) > 1e3 * np.max(estimate.tolerance, initial=0):
            with pytest.raises(AssertionError, match="finite differences"):
                assert_gradients([gradient * 1.01], [estimate])
