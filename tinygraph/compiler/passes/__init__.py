"""The simplifications of a program, each a function of its own, in the order they are done."""

from __future__ import annotations

from collections.abc import Callable

from tinygraph.compiler.passes.graph import Graph
from tinygraph.compiler.passes.listing import describe_program
from tinygraph.compiler.passes.numbers import box_numbers, drop_ones, fold_constants, use_numbers
from tinygraph.compiler.passes.products import (
    MOST_ADDED,
    add_up_by_products,
    is_transpose,
    is_turned,
    leave_transposes_to_products,
    multiply_by_dot,
)
from tinygraph.compiler.passes.redundant import drop_unused, merge_equal
from tinygraph.compiler.passes.scales import fold_decay, scale_of, scale_smaller
from tinygraph.compiler.program import Program

Pass = Callable[[Program], Program]

PASSES: list[Pass] = [
    drop_unused,
    fold_constants,
    use_numbers,
    drop_ones,
    leave_transposes_to_products,
    leave_transposes_to_products,
    multiply_by_dot,
    merge_equal,
    scale_smaller,
    fold_decay,
    merge_equal,
    drop_unused,
    add_up_by_products,
    box_numbers,
]

__all__ = [
    "MOST_ADDED",
    "PASSES",
    "Graph",
    "Pass",
    "add_up_by_products",
    "box_numbers",
    "describe_program",
    "drop_ones",
    "drop_unused",
    "fold_constants",
    "fold_decay",
    "is_transpose",
    "is_turned",
    "leave_transposes_to_products",
    "merge_equal",
    "multiply_by_dot",
    "scale_of",
    "scale_smaller",
    "use_numbers",
]
