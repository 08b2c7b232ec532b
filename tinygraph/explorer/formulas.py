"""Formulas out of Python's source, as trees that a page draws as mathematics.

A tree is a list: ["i", name], ["n", number], ["o", sign], ["t", text] are its leaves; ["row",
...], ["fraction", a, b], ["power", a, b], ["root", a], ["size", a] hold other trees.
"""

from __future__ import annotations

import ast
from typing import Any

Tree = list[Any]

SIGNS: dict[type[ast.AST], tuple[str, int]] = {
    ast.Add: ("+", 1),
    ast.Sub: ("-", 1),
    ast.Mult: ("·", 2),
    ast.MatMult: ("@", 2),
    ast.FloorDiv: ("//", 2),
    ast.Mod: ("mod", 2),
}
UNARY, POWER, ATOM = 3, 4, 5

COMPARED: dict[type[ast.AST], str] = {
    ast.Eq: "=",
    ast.NotEq: "≠",
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Gt: ">",
    ast.GtE: "≥",
}
POWERS = {"square": "2", "reciprocal": "-1"}
SIZES = {"absolute", "abs", "fabs"}
TRANSPOSED = {"T", "mT"}
NUMPY = ("np", "numpy")


def tree_of(node: ast.AST) -> Tree:
    """Give the formula of an expression; what has no sign in mathematics stays Python."""
    return _tree(node)[0]


def parsed(expression: str) -> Tree:
    """Give the formula of Python's text for an expression."""
    return tree_of(ast.parse(expression, mode="eval").body)


def _tree(node: ast.AST) -> tuple[Tree, int]:
    """Give the formula, and how tightly its parts hold together."""
    match node:
        case ast.Name(id=name):
            return ["i", name], ATOM
        case ast.Constant(value=int() | float() | complex() as value) if value is not True:
            return ["n", f"{value:.6g}" if isinstance(value, float) else str(value)], ATOM
        case ast.Attribute(value=value, attr=attribute) if attribute in TRANSPOSED:
            return ["power", _wrapped(value, POWER), ["t", "T"]], POWER
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return ["fraction", tree_of(left), tree_of(right)], ATOM
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return ["power", _wrapped(left, ATOM), tree_of(right)], POWER
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in SIGNS:
            text, level = SIGNS[type(sign)]
            return ["row", _wrapped(left, level), ["o", text], _wrapped(right, level + 1)], level
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ["row", ["o", "-"], _wrapped(operand, 2)], 2
        case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in COMPARED:
            return ["row", _wrapped(left, 1), ["o", COMPARED[type(sign)]], _wrapped(right, 1)], 0
        case ast.Call(func=function, args=arguments, keywords=[]):
            return _call(function, arguments)
    return ["t", ast.unparse(node)], 0


def _wrapped(node: ast.AST, level: int) -> Tree:
    """Give the formula in parentheses, unless it holds together as tightly as `level`."""
    tree, own = _tree(node)
    return tree if own >= level else ["row", ["o", "("], tree, ["o", ")"]]


def _call(function: ast.expr, arguments: list[ast.expr]) -> tuple[Tree, int]:
    name = plain_name(ast.unparse(function))
    if len(arguments) == 1:
        only = arguments[0]
        if name in POWERS:
            return ["power", _wrapped(only, ATOM), ["n", POWERS[name]]], POWER
        if name in SIZES:
            return ["size", tree_of(only)], ATOM
        if name == "sqrt":
            return ["root", tree_of(only)], ATOM
        if name == "exp":
            return ["power", ["i", "e"], tree_of(only)], POWER
    return called(name, [tree_of(x) for x in arguments]), ATOM


def plain_name(name: str) -> str:
    """Give a function's name without its module."""
    module, _, rest = name.partition(".")
    return rest.removeprefix("linalg.") if module in NUMPY and rest else name


def called(name: str, arguments: list[Tree]) -> Tree:
    """Give a function's name with its arguments in parentheses."""
    row: Tree = ["row", ["t", name], ["o", "("]]
    for i, argument in enumerate(arguments):
        row += [["o", ","], argument] if i else [argument]
    return [*row, ["o", ")"]]
