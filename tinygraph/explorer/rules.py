"""What the source of a derivative rule says: its text, its names, what each return gives."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from tinygraph.explorer.formulas import Tree, called, parsed, tree_of
from tinygraph.op import Op, describe

SPELT = {
    "absolute": "abs(x)",
    "add": "x + y",
    "subtract": "x - y",
    "multiply": "x * y",
    "divide": "x / y",
    "power": "x ** y",
    "float_power": "x ** y",
    "matmul": "x @ y",
    "negative": "-x",
    "positive": "x",
    "square": "np.square(x)",
    "reciprocal": "1 / x",
    "sqrt": "np.sqrt(x)",
    "exp": "np.exp(x)",
    "remainder": "x % y",
    "floor_divide": "x // y",
}
"""How people write ops whose two arguments, or one, are called x and y."""

PASSED_FIRST = 2
"""A rule is called with the cotangent and the result first."""


class Source:
    """The source of the rule of an op, and what can be read off it."""

    def __init__(self, op: Op) -> None:
        self.op = op
        self.rule = inspect.unwrap(op.rule)
        self.text = source_of(self.rule)
        self.definition = definition_in(self.text)
        self.inputs, self.takes_many = inputs_of(self.rule)

    def names(self, count: int) -> list[str]:
        """Give what the rule calls its `count` inputs."""
        if self.takes_many:
            return [f"{self.inputs[0]}[{i}]" for i in range(count)]
        return self.inputs[:count]

    def value(self, count: int, params: Mapping[str, str]) -> Tree:
        """Give the formula of the value of a node with `count` inputs."""
        names = self.names(count)
        spelt = SPELT.get(self.op.name, "")
        if spelt and not params and names == ["x", "y"][:count]:
            return parsed(spelt)
        arguments: list[Tree] = [["i", name] for name in names]
        arguments += [["t", f"{key}={value}"] for key, value in params.items()]
        return called(self.op.name, arguments)

    def gradients(self, line: int | None) -> dict[str, Any]:
        """Give what the return at `line` gives for each input, and what names in it stand for."""
        returned = self.returned_at(line)
        if returned is None or returned.value is None:
            return {}
        entries = returned.value.elts if isinstance(returned.value, ast.Tuple) else [returned.value]
        expressions = [self.expression(entry) for entry in entries]
        local = self.assigned()
        waiting = list(expressions)
        where: dict[str, Tree] = {}
        used = set()
        while waiting:
            for name in ast.walk(waiting.pop()):
                if isinstance(name, ast.Name):
                    used.add(name.id)
                    if name.id in local and name.id not in where:
                        where[name.id] = tree_of(local[name.id])
                        waiting.append(local[name.id])
        return {
            "for": [None if is_none(entry) else tree_of(entry) for entry in expressions],
            "where": [[name, tree] for name, tree in where.items()],
            "uses": sorted(used),
            "helpers": self.helpers(used),
        }

    def helpers(self, names: set[str]) -> list[list[str]]:
        """Give what the functions of ours among `names` say that they do."""
        functions = {name: getattr(self.rule, "__globals__", {}).get(name) for name in names}
        return [
            [name, (inspect.getdoc(function) or "").split("\n")[0]]
            for name, function in sorted(functions.items())
            if inspect.isfunction(function) and function.__doc__
        ]

    def returned_at(self, line: int | None) -> ast.Return | None:
        """Give the return statement at a line; without a line the only one there is."""
        returns = own_nodes(self.definition, ast.Return)
        if line is not None:
            returns = [x for x in returns if x.lineno <= line <= (x.end_lineno or x.lineno)]
        return returns[0] if len(returns) == 1 else None

    def expression(self, entry: ast.expr) -> ast.expr:
        """Give what an entry of the returned tuple computes, now or when called."""
        if isinstance(entry, ast.Lambda):
            return entry.body
        functions = own_nodes(self.definition, ast.FunctionDef)
        for function in functions:
            if isinstance(entry, ast.Name) and entry.id == function.name:
                returns: list[ast.Return] = own_nodes(function, ast.Return)
                if len(returns) == 1 and returns[0].value is not None:
                    return returns[0].value
        return entry

    def assigned(self) -> dict[str, ast.expr]:
        """Give the expressions of the names that are assigned to once."""
        found: dict[str, ast.expr] = {}
        again = set()
        for one in ast.walk(self.definition) if self.definition else ():
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                name = one.targets[0].id
                if name in found:
                    again.add(name)
                found[name] = one.value
        return {name: x for name, x in found.items() if name not in again}

    def told(self) -> dict[str, Any]:
        """Give what the page shows of the rule."""
        return {
            "name": self.op.name,
            "function": described(self.op),
            "summary": summary_of(self.op),
            "source": self.text,
        }


def source_of(rule: Any) -> str | None:
    """Give the source of a rule; None where Python cannot find it, as of one typed at a prompt."""
    try:
        return dedent(inspect.getsource(rule)).rstrip()
    except (OSError, TypeError):
        return None


def definition_in(text: str | None) -> ast.FunctionDef | None:
    """Give the function that a source defines; None for a lambda amid other code."""
    try:
        statements = ast.parse(text or "").body
    except SyntaxError:
        return None
    return next((x for x in statements if isinstance(x, ast.FunctionDef)), None)


def inputs_of(rule: Any) -> tuple[list[str], bool]:
    """Give the names of the inputs, and whether the rule takes any number of them."""
    parameters = list(inspect.signature(rule).parameters.values())
    many = [x.name for x in parameters if x.kind is x.VAR_POSITIONAL]
    if many:
        return many, True
    named = [x for x in parameters if x.kind in (x.POSITIONAL_ONLY, x.POSITIONAL_OR_KEYWORD)]
    return [x.name for x in named if x.default is x.empty][PASSED_FIRST:], False


def own_nodes(function: ast.FunctionDef | None, kind: type[Any]) -> list[Any]:
    """Give the statements of a kind in a function, but not in functions within it."""
    found = []
    stack: list[ast.AST] = list(reversed(function.body)) if function else []
    while stack:
        node = stack.pop()
        if isinstance(node, kind):
            found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            stack += reversed(list(ast.iter_child_nodes(node)))
    return found


def is_none(entry: ast.expr) -> bool:
    """Tell whether an entry says that there is no gradient."""
    return isinstance(entry, ast.Constant) and entry.value is None


def described(op: Op) -> str:
    """Give the function's name as users write it, the op's own for one that NumPy lacks."""
    name = describe(op.function)
    return name if name.startswith(("np.", "scipy.")) else op.name


def summary_of(op: Op) -> str:
    """Give the first sentence of the function's documentation."""
    paragraphs = (inspect.getdoc(op.function) or "").split("\n\n")
    sentences = [x for x in paragraphs if x and not x.split("(")[0].isidentifier()]
    return " ".join(sentences[0].split()) if sentences else ""
