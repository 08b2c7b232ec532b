"""What holds of every function with right rules, each checked at one point.

Every property takes a function `f` of arrays or Nodes and its inputs, arrays or trees of arrays,
and raises an AssertionError that says what does not hold. That the derivatives are right is what
`tinygraph.gradcheck` checks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygraph.compiler.compiled import compile
from tinygraph.gradcheck.vector import is_inexact
from tinygraph.node import Node
from tinygraph.testing.drawing import LAYOUTS, Array, lay_out
from tinygraph.transforms import vjp
from tinygraph.tree import flatten, map_tree

Function = Callable[..., Any]


def values_agree(f: Function, *inputs: Any) -> None:
    """Check that `f` gives the same on Nodes as on arrays, however these lie in memory.

    NumPy's own loops round otherwise for arrays with gaps, so the same is not the same bits.
    """
    nodes = as_nodes(inputs)
    expected = floats(f(*map_tree(value_of, nodes)))
    pairs = list(zip(floats(f(*nodes)), expected, strict=True))
    for got, y in pairs:
        if (got.dtype, got.shape) != (y.dtype, y.shape):
            raise AssertionError(
                f"of Nodes it gives {got.dtype} of shape {got.shape}, of arrays {y.dtype} of "
                f"shape {y.shape}"
            )
        refuse_difference(got, y, "of Nodes it gives other values than of arrays")
    in_order = floats(f(*laid_out(inputs, "C")))
    for layout in LAYOUTS:
        why = "its value depends on how the inputs lie in memory"
        refuse_differences(floats(f(*laid_out(inputs, layout))), in_order, why)


def inputs_are_left_alone(f: Function, *inputs: Any) -> None:
    """Check that neither `f` nor a rule in it writes into what it is given."""
    before = map_tree(np.array, inputs)
    f(*inputs)
    refuse_changes(inputs, before, "it writes into its inputs")
    nodes = as_nodes(inputs)
    pull_back(f(*nodes), nodes)
    refuse_changes(inputs, before, "its derivative rule writes into the inputs")
    refuse_changes(map_tree(value_of, nodes), before, "it writes into the values of Nodes")


def calls_are_independent(f: Function, *inputs: Any) -> None:
    """Check that the gradient of a call is its own, whatever was called in between."""
    expected = gradients(f, inputs)
    nodes = as_nodes(inputs)
    out = f(*nodes)
    with contextlib.suppress(ArithmeticError, ValueError):
        gradients(f, map_tree(lambda x: x * 0.98 if is_variable(x) else x, inputs))
    refuse_differences(
        pull_back(out, nodes), expected, "its gradient changes when it is called elsewhere between"
    )


def rules_agree(f: Function, *inputs: Any) -> None:
    """Check that derivative rules give on Nodes, for higher derivatives, what they do on arrays."""
    refuse_differences(
        gradients(f, inputs, create_graph=True),
        gradients(f, inputs),
        "the derivative rule gives other gradients on Nodes than on arrays",
    )


def constants_make_no_difference(f: Function, *inputs: Any) -> None:
    """Check that the gradient by each input is the same where all others are constants."""
    leaves, rebuild = flatten(inputs)
    expected = iter(gradients(f, inputs))
    for number, leaf in enumerate(leaves):
        if is_variable(leaf):
            alone = [*leaves]
            alone[number] = node = Node(leaf)
            found = pull_back(f(*rebuild(iter(alone))), [node])
            why = f"the gradient by input {number} is another where the others are constants"
            refuse_differences(found, [next(expected)], why)


def float32_stays(f: Function, *inputs: Any) -> None:
    """Check that values and gradients of float32 arrays are computed in float32.

    Arrays without axes may not stay: NumPy gives np.float64 for Python numbers times np.bool.
    """
    nodes = as_nodes(map_tree(as_single, inputs))
    for y in flatten(f(*nodes))[0]:
        if not isinstance(y, Node) or not y.requires_grad or not y.ndim:
            continue
        if y.dtype not in (np.float32, np.complex64):
            raise AssertionError(f"of float32 inputs it gives {y.dtype}")
        for number, gradient in enumerate(partials_of(y)):
            gradient = gradient() if callable(gradient) else gradient
            if np.ndim(gradient) and gradient.dtype in (np.float64, np.complex128):
                raise AssertionError(
                    f"of float32 inputs the derivative rule gives {gradient.dtype} for input "
                    f"{number}; let no float64 array or np.float64 take part, Python numbers may"
                )


def compiled_agrees(f: Function, *inputs: Any) -> None:
    """Check that `f` and its gradient, compiled by a call elsewhere, give what they give eagerly.

    A CompileError tells that `f` asks for values. Plans add up in another order where intermediate
    arrays lie otherwise in memory, so the same is not the same bits.
    """
    leaves, rebuild = flatten(inputs)
    chosen = [i for i, x in enumerate(leaves) if is_variable(x)]

    def results(*variables: Any) -> list[Any]:
        full = [*leaves]
        for i, x in zip(chosen, variables, strict=True):
            full[i] = x
        return [y for y in flatten(f(*rebuild(iter(full))))[0] if is_inexact(y)]

    def with_gradients(cotangents: Any, *variables: Any) -> Any:
        out, pullback = vjp(results, *variables)
        return out, pullback(cotangents)

    variables = [np.asarray(leaves[i]) for i in chosen]
    cotangents = [cotangent_like(y, i) for i, y in enumerate(floats(results(*variables)))]
    expected = flatten(with_gradients(cotangents, *variables))[0]
    for simplify in (False, True):
        compiled = compile(with_gradients, simplify=simplify)
        with contextlib.suppress(ArithmeticError, ValueError), np.errstate(all="ignore"):
            compiled(cotangents, *(x * x.dtype.type(0.98) for x in variables))
        found = flatten(compiled(cotangents, *variables))[0]
        refuse_differences(found, expected, f"compile(f, simplify={simplify}) gives other results")


def computed_for_constants(f: Function, *inputs: Any) -> set[int]:
    """Give the inputs of the last op whose gradients its rule computes where they are constants."""
    found = set()
    for y in flatten(f(*as_nodes(inputs)))[0]:
        if isinstance(y, Node) and len(y.inputs) > 1 and y.requires_grad:
            g = cotangent_like(y, 0)
            partials = enumerate(partials_of(y, g))
            found |= {i for i, x in partials if isinstance(x, np.ndarray) and x is not g}
    return found


def is_variable(x: Any) -> bool:
    """Tell whether `x` is something to differentiate by."""
    is_number = isinstance(x, np.ndarray | np.generic | float | complex)
    return is_number and np.asarray(x).dtype.kind in "fc"


def as_nodes(inputs: Any) -> Any:
    """Give inputs with Nodes for what can be differentiated by."""
    return map_tree(lambda x: Node(x) if is_variable(x) else x, inputs)


def laid_out(inputs: Any, layout: str) -> Any:
    """Give inputs with copies of their arrays that lie in memory as `layout` says."""
    return map_tree(
        lambda x: lay_out(np.array(x), layout) if isinstance(x, np.ndarray) else x, inputs
    )


def as_single(x: Any) -> Any:
    """Give `x` in single precision, if it is something to differentiate by."""
    if not is_variable(x):
        return x
    return np.asarray(x, np.complex64 if np.iscomplexobj(x) else np.float32)


def value_of(x: Any) -> Any:
    """Give the value of a Node, anything else as it is."""
    return x.value if isinstance(x, Node) else x


def floats(out: Any) -> list[Array]:
    """Give the arrays of floating and complex numbers among results."""
    arrays = [np.asarray(value_of(x)) for x in flatten(out)[0]]
    return [x for x in arrays if x.dtype.kind in "fc"]


def cotangent_like(y: Any, seed: int) -> Array:
    """Give random numbers, none near 0, of the shape and dtype of `y`."""
    generator = np.random.default_rng(seed)
    draw = generator.uniform(0.5, 1.5, y.shape) * generator.choice([-1.0, 1.0], y.shape)
    if y.dtype.kind == "c":
        draw = draw + 1j * generator.uniform(0.5, 1.5, y.shape)
    return np.asarray(draw, y.dtype)


def partials_of(y: Node, g: Any = None) -> Any:
    """Give what the rule of the op that made `y` gives."""
    if y.backward_fn is None:
        return ()
    g = cotangent_like(y, 0) if g is None else g
    return y.backward_fn(g, y.value, *map(value_of, y.inputs))


def gradients(f: Function, inputs: Any, create_graph: bool = False) -> list[Array]:
    """Give the gradients of `f` by all variables among its inputs, for a random cotangent."""
    nodes = as_nodes(inputs)
    return pull_back(f(*nodes), nodes, create_graph)


def pull_back(out: Any, inputs: Any, create_graph: bool = False) -> list[Array]:
    """Give the gradients of the Nodes among inputs, for a random cotangent of `out`."""
    for number, y in enumerate(flatten(out)[0]):
        if isinstance(y, Node) and y.requires_grad:
            y.backward(cotangent_like(y, number), create_graph)
    nodes = [x for x in flatten(inputs)[0] if isinstance(x, Node)]
    return [np.zeros(x.shape) if x.grad is None else np.asarray(value_of(x.grad)) for x in nodes]


def refuse_differences(found: list[Array], expected: list[Array], why: str) -> None:
    """Raise an AssertionError unless the arrays agree."""
    for x, y in zip(found, expected, strict=True):
        refuse_difference(x, y, why)


def refuse_difference(found: Array, expected: Array, why: str) -> None:
    """Raise an AssertionError unless two ways to compute the same agree to half their digits."""
    scale = np.max(np.abs(expected), initial=0)
    tolerance = np.sqrt(np.finfo(expected.dtype).eps) * scale
    if not np.allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True):
        raise AssertionError(f"{why}: {found} in place of {expected}")


def refuse_changes(found: Any, before: Any, why: str) -> None:
    """Raise an AssertionError unless all arrays are what they were."""
    for x, y in zip(flatten(found)[0], flatten(before)[0], strict=True):
        if np.asarray(x).tobytes() != y.tobytes():
            raise AssertionError(f"{why}: {x} in place of {y}")
