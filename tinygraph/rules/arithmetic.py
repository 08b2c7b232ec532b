"""Rules of the operators: sums, products, quotients, powers and remainders."""

from typing import Any

import numpy as np

from tinygraph.op import composed, op

Rule = tuple[Any, ...]


@op(np.add)
def add(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return g, g


@op(np.subtract)
def subtract(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return g, lambda: -g


@op(np.multiply)
def multiply(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: g * y, lambda: g * x


@op(np.divide, domain=(0.3, 3.0))
def divide(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return lambda: g / y, lambda: -g * out / y


@op(np.power, domain=(0.3, 3.0))
def power(g: Any, out: Any, x: Any, y: Any) -> Rule:
    # The masks keep x**0 flat, also at x = 0, and 0**y flat in y; they add in any dtype.
    def for_y() -> Any:
        base = (x + (x == 0)) * out.dtype.type(1)
        return g * out * np.log(base)

    return lambda: g * y * x ** (1 * y - (y != 0)), for_y


float_power = op(np.float_power, domain=(0.3, 3.0))(power.rule)


@op(np.negative)
def negative(g: Any, out: Any, x: Any) -> Rule:
    return (-g,)


@op(np.positive)
def positive(g: Any, out: Any, x: Any) -> Rule:
    return (g,)


@op(np.remainder, domain=(0.3, 3.0))
def remainder(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return g, lambda: -g * np.floor_divide(x, y)


@op(np.fmod, domain=(0.3, 3.0))
def fmod(g: Any, out: Any, x: Any, y: Any) -> Rule:
    # The whole quotients: x / y itself may be rounded up to the next.
    return g, lambda: -g * np.rint((x - out) / y)


@op(np.floor_divide, domain=(0.3, 3.0))
def floor_divide(g: Any, out: Any, x: Any, y: Any) -> Rule:
    return None, None


@composed(np.divmod)
def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    return np.floor_divide(x, y), np.remainder(x, y)
