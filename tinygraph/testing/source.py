"""Python code that repeats a call: imports, arrays as literals, the function, the call."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph.op import Op
from tinygraph.testing.calls import Call, positional_arguments
from tinygraph.testing.drawing import Array

IMPORTS = {
    "np": "import numpy as np",
    "tg": "import tinygraph as tg",
    "lay_out": "from tinygraph.testing import lay_out",
    "properties": "from tinygraph.testing import properties",
}


def program(function: Callable[..., Any], call: Call, statement: str) -> str:
    """Write a program that defines `f`, the function with its parameters, and does `statement`.

    In the statement {inputs} stands for the names of the inputs.
    """
    names = input_names(function, call.inputs)
    imported, name = reference(function)
    params = [f"{key}={literal(x)}" for key, x in call.params.items()]
    body = [f"{name} = {literal(x)}" for name, x in zip(names, call.inputs, strict=True)]
    body += ["", f"def f({', '.join(names)}):"]
    body += [f"    return {name}({', '.join([*names, *params])})"]
    body += ["", statement.format(inputs=", ".join(names))]
    used = set(re.findall(r"\w+", "\n".join([*body, *imported])))
    return "\n".join([*(IMPORTS[key] for key in IMPORTS if key in used), *imported, "", *body])


def input_names(function: Callable[..., Any], inputs: Sequence[Any]) -> list[str]:
    """Name inputs as the function does, where it tells, or x0, x1, ..."""
    arguments = positional_arguments(function)
    if len(arguments) < len(inputs):
        arguments = [f"x{number}" for number in range(len(inputs))]
    return arguments[: len(inputs)]


def reference(function: Callable[..., Any]) -> tuple[list[str], str]:
    """Give the lines that import or define a function, and its name after them."""
    if hasattr(function, "definition"):
        return function.definition, function.__name__
    home = inspect.unwrap(function.rule) if isinstance(function, Op) else function
    own_name = getattr(home, "__name__", "<callable>")
    for module_name in (getattr(home, "__module__", None) or "numpy", "scipy.special"):
        contents = vars(sys.modules.get(module_name, object))
        names = [name for name, value in contents.items() if value is function]
        if names:
            return import_lines(module_name, own_name if own_name in names else names[0])
    name = function.name if isinstance(function, Op) else own_name.replace("<lambda>", "function")
    code = getattr(home, "__code__", None)
    place = f" in {code.co_filename}, line {code.co_firstlineno}" if code else " it was"
    return [f"# Define {name} here, as{place}."], name


def import_lines(module_name: str, name: str) -> tuple[list[str], str]:
    """Give the lines that import something by its module, and its name after them."""
    if module_name.split(".")[0] == "numpy":
        return [], f"{module_name.replace('numpy', 'np', 1)}.{name}"
    if module_name == "__main__":
        module_name = Path(getattr(sys.modules["__main__"], "__file__", "__main__")).stem
    return [f"from {module_name} import {name}"], name


def literal(x: Any) -> str:
    """Write a value as an expression of Python."""
    if isinstance(x, np.ndarray):
        return array_literal(x)
    if isinstance(x, np.generic):
        return f"np.{type(x).__name__}({number_literal(x)})"
    if isinstance(x, float | complex):
        return number_literal(x)
    if isinstance(x, list | tuple):
        inside = ", ".join(map(literal, x))
        if isinstance(x, list):
            return f"[{inside}]"
        return f"({inside},)" if len(x) == 1 else f"({inside})"
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key!r}: {literal(value)}' for key, value in x.items())}}}"
    if isinstance(x, np.dtype):
        return f"np.dtype({x.str!r})"
    if callable(x):
        return reference(x)[1]
    return "..." if x is Ellipsis else repr(x)


def number_literal(x: Any) -> str:
    """Write a number so that it reads as the same number of its dtype."""
    if isinstance(x, complex | np.complexfloating) and not np.isfinite(x):
        return f"complex({number_literal(x.real)}, {number_literal(x.imag)})"
    text = str(x)
    return re.sub(r"nan|inf", r"np.\g<0>", text)


def array_literal(x: Array) -> str:
    """Write an array that has the same numbers, dtype and memory layout."""
    has_own_dtype = x.dtype not in (float, complex, np.int64, bool) or not x.size
    dtype = f", dtype={str(x.dtype)!r}" if has_own_dtype and x.dtype != float else ""
    if x.size:
        text = (
            f"np.array({nested([number_literal(element) for element in x.flat], x.shape)}{dtype})"
        )
    else:
        text = f"np.zeros({x.shape}{dtype})"
    layout = layout_of(x)
    return text if layout == "C" else f"lay_out({text}, {layout!r})"


def nested(texts: Sequence[str], shape: tuple[int, ...]) -> str:
    """Write the texts of elements as nested lists."""
    if not shape:
        return texts[0]
    step = len(texts) // shape[0]
    parts = [nested(texts[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
    return f"[{', '.join(parts)}]"


def layout_of(x: Array) -> str:
    """Tell the memory layout of an array, by its name in LAYOUTS."""
    if not x.flags.writeable:
        return "read-only"
    if x.flags.c_contiguous:
        return "C"
    if x.flags.f_contiguous:
        return "Fortran"
    return "reversed" if any(stride < 0 for stride in x.strides) else "strided"
