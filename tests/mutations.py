"""Wrong rules made of the right ones, and whether tg.gradcheck finds them.

python -m tests.mutations [part of a name] prints the share found, by kind of mistake, and every
wrong rule that was not. Some mistakes are made in the source of a rule: a term or a factor is
dropped, a sign flipped, one variable taken for another. Others are made around it: gradients are
scaled, transposed, averaged where they should be summed, those of another call.
"""

import ast
import contextlib
import inspect
import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import tinygraph as tg
from tests.samples import (
    JOINT,
    REAL_ONLY,
    SAMPLES,
    all_composed,
    calls_of,
    is_elementwise,
    ops_in,
    rule_modules,
)
from tests.samples.drawing import Call
from tests.test_rules import OPS, as_complex, is_inexact, random_like, variables_of
from tinygraph import rules
from tinygraph.bundle import Bundle
from tinygraph.op import Op
from tinygraph.tree import flatten, map_tree

Rule = Callable[..., Any]


class Mutant(NamedTuple):
    """An op's wrong rule, the kind of mistake, where it is, and the order that shows it.

    Where the rule uses what the forward function has kept, that is changed too.
    """

    kind: str
    place: str
    rule: Rule
    order: int = 1
    forward: Rule | None = None


# Mistakes in the source of a rule


def mutants_in_source(rule: Rule) -> Iterator[Mutant]:
    """Give a mutant for every mistake that `variants` makes in the source of a rule."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(rule)))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return
    definition.decorator_list = []
    names = [argument.arg for argument in definition.args.args]
    for parent, field, position in places_of_expressions(definition):
        held = getattr(parent, field)
        expression = held if position is None else held[position]
        for kind, wrong in variants(expression, names):
            replace(parent, field, position, wrong)
            mutated = compiled(definition, rule)
            replace(parent, field, position, expression)
            place = f"{ast.unparse(expression)} -> {ast.unparse(wrong)}"
            yield Mutant(kind, place, mutated)


def places_of_expressions(definition: ast.FunctionDef) -> list[tuple[ast.AST, str, int | None]]:
    """Give every place in the body of a function that holds an expression."""
    found: list[tuple[ast.AST, str, int | None]] = []
    for statement in definition.body:
        for node in ast.walk(statement):
            for field, held in ast.iter_fields(node):
                if isinstance(held, ast.expr):
                    found.append((node, field, None))
                elif isinstance(held, list):
                    found += [(node, field, i) for i, x in enumerate(held) if is_expression(x)]
    return found


def is_expression(x: Any) -> bool:
    return isinstance(x, ast.expr)


def is_starred(x: ast.expr) -> bool:
    return isinstance(x, ast.Starred)


def replace(parent: ast.AST, field: str, position: int | None, expression: ast.expr) -> None:
    if position is None:
        setattr(parent, field, expression)
    else:
        getattr(parent, field)[position] = expression


def variants(x: ast.expr, names: Sequence[str]) -> Iterator[tuple[str, ast.expr]]:
    """Give what may wrongly be written in place of an expression; `names` are g, out, inputs."""
    match x:
        case ast.BinOp(left, ast.Add() | ast.Sub() as operator, right):
            flipped = ast.Sub() if isinstance(operator, ast.Add) else ast.Add()
            yield "term dropped", left
            yield "term dropped", right
            yield "sign flipped", ast.BinOp(left, flipped, right)
        case ast.BinOp(left, ast.Mult() | ast.Div() | ast.Pow() as operator, right):
            yield "factor dropped", left
            if isinstance(operator, ast.Mult):
                yield "factor dropped", right
            else:
                yield "quotient for product", ast.BinOp(left, ast.Mult(), right)
        case ast.UnaryOp(ast.USub(), operand):
            yield "sign flipped", operand
        case ast.Attribute(value, "mT" | "T"):
            yield "transposed", value
        case ast.Call(ast.Attribute(ast.Name("np"), _), [first, *_]) if not is_starred(first):
            yield "function dropped", first
        case ast.Compare(left, [_], [right]):
            yield "comparison changed", ast.Compare(left, [ast.NotEq()], [right])
            yield "comparison changed", ast.Compare(left, [ast.Lt()], [right])
        case ast.Constant(float() | int() as number) if not isinstance(number, bool):
            yield "number changed", ast.Constant(number + 1)
        case ast.Name(name, ast.Load()) if name in names[1:]:
            for other in names[1:]:
                if other != name:
                    kind = "output" if "out" in (name, other) else "input"
                    yield f"{kind} used for another", ast.Name(other, ast.Load())
        case ast.Tuple([first, second], ast.Load()):
            yield "gradients exchanged", ast.Tuple([second, first], ast.Load())


def compiled(definition: ast.FunctionDef, rule: Rule) -> Rule:
    """Compile the definition of a rule as if it stood where the rule does."""
    free = inspect.getclosurevars(rule).nonlocals
    outer = ast.parse(f"def outer({', '.join(free)}): pass")
    outer.body[0].body = [definition, ast.Return(ast.Name(definition.name, ast.Load()))]
    made: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(outer), "<mutant>", "exec"), rule.__globals__, made)
    return made["outer"](**free)


# Mistakes around a rule


def mutants_around(op: Op) -> Iterator[Mutant]:
    """Give a mutant for every mistake in what a rule gets and in what it gives."""
    rule = op.rule
    for kind, change in CHANGES.items():
        yield Mutant(kind, "every gradient", with_gradients_changed(rule, change))
    for kind, change in CHANGES_OF_ARGUMENTS.items():
        yield Mutant(kind, "arguments", with_arguments_changed(rule, change))
    yield keeping_state(op)
    scaled = with_gradients_changed(rule, lambda gradient, x: wrong_in_second_order(gradient))
    yield Mutant("second order scaled", "every gradient", scaled, order=2)
    for kind, change in DETACHED.items():
        yield Mutant(kind, "arguments", with_arguments_changed(rule, change), order=2)


def keeping_state(op: Op) -> Mutant:
    """Give the mutant whose forward function keeps what the rule uses, in one place for all."""
    kept: list[Any] = []

    def forward(*inputs: Any, **params: Any) -> Any:
        out = op_forward(*inputs, **params)
        kept[:] = [out, *inputs]
        return out

    op_forward, op_rule = op.forward, op.rule

    @wraps(op_rule)
    def rule(g: Any, out: Any, *inputs: Any, **params: Any) -> Any:
        return op_rule(g, *kept, **params)

    return Mutant("state of the last call", "forward", rule, forward=forward)


def with_gradients_changed(rule: Rule, change: Callable[[Any, Any], Any]) -> Rule:
    """Pass every gradient that a rule gives, and its input, through `change`."""

    @wraps(rule)
    def changed(g: Any, out: Any, *inputs: Any, **params: Any) -> Any:
        partials = rule(g, out, *inputs, **params)
        return tuple(
            None if partial is None else change(evaluate(partial), x)
            for partial, x in zip(partials, inputs, strict=True)
        )

    return changed


def with_arguments_changed(rule: Rule, change: Callable[..., tuple[Any, ...]]) -> Rule:
    """Pass the cotangent, the output and the inputs that a rule gets through `change`."""

    @wraps(rule)
    def changed(*arguments: Any, **params: Any) -> Any:
        return rule(*change(*arguments), **params)

    return changed


def evaluate(partial: Any) -> Any:
    return partial() if callable(partial) else partial


def last_element_half_more(gradient: Any, x: Any) -> Any:
    factors = np.ones(np.shape(x))
    factors.flat[-1:] = 1.5
    return gradient * factors


def transposed(gradient: Any, x: Any) -> Any:
    """Transpose a gradient where its shape allows it."""
    square = gradient.ndim > 1 and gradient.shape[-1] == gradient.shape[-2]
    return np.swapaxes(gradient, -1, -2) if square else gradient


def reversed_order(gradient: Any, x: Any) -> Any:
    return np.flip(gradient) if gradient.ndim else gradient


def mean_over_broadcast(gradient: Any, x: Any) -> Any:
    """Let the engine average over broadcast axes where it sums."""
    return gradient * (np.size(x) / max(gradient.size, 1))


@tg.op(lambda x: x, name="twist")
def wrong_in_second_order(g: Any, out: Any, x: Any) -> Any:
    return (g * 1.01,)


def of_another_call(x: Any) -> Any:
    return x * 0.98 if getattr(x, "dtype", np.dtype(int)).kind in "fc" else x


def averaged(g: Any) -> Any:
    return np.mean(g) + 0 * g if g.size else g


def on_parts(change: Callable[[Any], Any], g: Any) -> Any:
    """Apply a change to a cotangent, or to the parts of one of several results."""
    if isinstance(g, Bundle):
        return Bundle([None if x is None else change(x) for x in g.parts], g.like)
    return change(g)


def detached(x: Any) -> Any:
    return x.detach() if isinstance(x, tg.Node) else x


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "scaled by 1.01": lambda gradient, x: gradient * 1.01,
    "scaled by 1.0001": lambda gradient, x: gradient * 1.0001,
    "sign": lambda gradient, x: -gradient,
    "zero": lambda gradient, x: gradient * 0,
    "conjugated": lambda gradient, x: np.conjugate(gradient),
    "term added": lambda gradient, x: gradient + 0.001,
    "one element": last_element_half_more,
    "transposed afterwards": transposed,
    "reversed": reversed_order,
    "averaged where broadcast": mean_over_broadcast,
}

CHANGES_OF_ARGUMENTS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "for uniform cotangents": lambda g, *rest: (on_parts(averaged, g), *rest),
    "not linear in the cotangent": lambda g, *rest: (on_parts(lambda x: x * x * x, g), *rest),
    "inputs of another call": lambda g, out, *inputs: (g, out, *map(of_another_call, inputs)),
}

DETACHED: dict[str, Callable[..., tuple[Any, ...]]] = {
    "cotangent detached": lambda g, *rest: (on_parts(detached, g), *rest),
    "output detached": lambda g, out, *inputs: (g, detached(out), *inputs),
    "inputs detached": lambda g, out, *inputs: (g, out, *map(detached, inputs)),
}


EXPLAINED: dict[tuple[str, str, str], str] = {}
"""Why a wrong rule cannot be found, by name, kind and place."""


# Judging


class Target(NamedTuple):
    """An op whose rule is changed, the function of it that is checked, and calls of that."""

    op: Op
    function: Callable[..., Any]
    calls: st.SearchStrategy[Call]


def targets() -> dict[str, Target]:
    """Give every op that is tested by itself, and those tested with the function that uses them.

    That each has samples is what test_rules and test_composed see to.
    """
    found = {
        name: Target(op, op, calls_of(op))
        for name, op in OPS.items()
        if name in SAMPLES or is_elementwise(op)
    }
    modules = [getattr(rules, module.name) for module in rule_modules()]
    inner = {op.name: op for module in modules for op in ops_in(module) if op.name in JOINT}
    for name, function in all_composed().items():
        short = name.split(".")[-1]
        if short in inner and name in SAMPLES:
            found[name] = Target(inner[short], function, SAMPLES[name])
    return found


def function_of(target: Target, call: Call) -> Callable[..., Any]:
    """Give the function of its variables alone, with its smooth results alone."""

    def function(*variables: Any) -> Any:
        left = iter(variables)
        inputs = [next(left) if is_inexact(x) else x for x in call.inputs]
        out = target.function(*inputs, **call.params)
        return [x for x in flatten(out)[0] if is_inexact(x)]

    return function


def examples(name: str, target: Target, count: int) -> list[Call]:
    """Give calls of a target, half of them with complex numbers where it takes these."""
    found: list[Call] = []

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.calls)
    def collect(call: Call) -> None:
        is_real = name in REAL_ONLY or len(found) % 2 == 0
        found.append(call if is_real else as_complex(call, len(found)))

    collect()
    return [call for call in found if has_derivative(target, call)]


def has_derivative(target: Target, call: Call) -> bool:
    """Tell whether there is anything to differentiate, and to differentiate by."""
    variables = variables_of(call)
    return bool(variables) and bool(function_of(target, call)(*variables))


@contextlib.contextmanager
def planted(op: Op, mutant: Mutant) -> Iterator[None]:
    """Let an op have the rule, and the forward function, of a mutant."""
    right = op.rule, op.forward
    op.rule, op.forward = mutant.rule, mutant.forward or op.forward
    try:
        yield
    finally:
        op.rule, op.forward = right


@np.errstate(all="ignore")
def judge(target: Target, mutant: Mutant, calls: Sequence[Call]) -> str:
    """Tell what tg.gradcheck makes of a mutant.

    It is "found"; "refused", where the rule raises an error or gives an impossible shape;
    "equivalent", where it gives the gradients of the right rule at all calls; or else "missed".
    """
    verdict = "equivalent"
    for call in calls:
        f, variables = function_of(target, call), variables_of(call)
        with planted(target.op, mutant):
            try:
                tg.gradcheck(f, *variables, order=mutant.order)
                wrong = derivatives(f, variables, mutant.order)
            except tg.GradientError as error:
                return "refused" if {"shape", "error"} & {*error.report.causes} else "found"
        right = derivatives(f, variables, mutant.order)
        if not all(map(same, wrong, right)):
            verdict = "missed"
    return verdict


def derivatives(f: Callable[..., Any], variables: Sequence[Any], order: int) -> list[Any]:
    """Give the gradients of f for a random cotangent; or theirs, by the cotangent too."""
    out, pullback = tg.vjp(f, *variables)
    with contextlib.suppress(ValueError):
        f(*map(of_another_call, variables))
    cotangent = map_tree(lambda y: random_like(np.asarray(y), order), out)
    if order == 1:
        return list(pullback(cotangent))

    def gradients(*at: Any) -> list[Any]:
        return list(tg.vjp(f, *at[len(cotangent) :])[1](list(at[: len(cotangent)])))

    return derivatives(gradients, [*cotangent, *variables], order - 1)


def same(x: Any, y: Any) -> bool:
    return np.allclose(x, y, rtol=1e-9, atol=1e-9 * np.max(np.abs(y), initial=0), equal_nan=True)


def mutants_of(op: Op) -> list[Mutant]:
    return [*mutants_in_source(op.rule), *mutants_around(op)]


def main(part: str = "", count: int = 8) -> int:
    """Print the table of what was found, by kind of mistake, and what was missed."""
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    missed = []
    for name, target in targets().items():
        if part not in name:
            continue
        calls = examples(name, target, count)
        for mutant in mutants_of(target.op):
            verdict = judge(target, mutant, calls)
            verdicts[mutant.kind][verdict] += 1
            if verdict == "missed":
                missed.append(f"{name}: {mutant.kind}: {mutant.place}")
    total = sum(verdicts.values(), Counter())
    for kind, counts in [*sorted(verdicts.items()), ("all", total)]:
        print(share(kind, counts))
    print(*missed, sep="\n")
    return len(missed)


def share(kind: str, counts: Counter[str]) -> str:
    """Write how many mutants were found of those that are wrong."""
    wrong = counts.total() - counts["equivalent"]
    found = wrong - counts["missed"]
    rate = f"{found / wrong:8.2%}" if wrong else " " * 8
    return (
        f"{kind:32}{found:6} of {wrong:6}{rate}{counts['refused']:6} with an error"
        f"{counts['equivalent']:6} equivalent"
    )


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
