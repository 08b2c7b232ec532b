"""Compare derivative rules with finite differences, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygraph.node import Node
from tinygraph.transforms import vjp
from tinygraph.tree import flatten, map_tree

Array = NDArray[Any]

DIRECTIONS = 60
"""How many random directions stand for the elements of inputs that are too large to try each."""


class GradientError(AssertionError):
    """A derivative that disagrees with finite differences."""


@dataclass(frozen=True)
class Comparison:
    """One derivative, by the rules and by finite differences."""

    place: str
    analytic: float
    numeric: float
    uncertainty: float
    kink: bool

    @property
    def error(self) -> float:
        """The distance of the two beyond doubt: in units of what is uncertain about them."""
        if self.kink:
            return np.inf
        allowed = 10 * self.uncertainty + 1e-9 * abs(self.numeric) + 1e-12
        distance = abs(self.analytic - self.numeric)
        return distance / allowed if np.isfinite(distance) else np.inf


def gradcheck(f: Callable[..., Any], *inputs: Any, order: int = 1, seed: int = 0) -> None:
    """Raise a GradientError unless the derivatives of `f` agree with finite differences.

    `inputs` are arrays or trees of arrays, floating or complex, checked in double precision;
    `order` 2 checks the derivative of the derivative too. A random cotangent drawn from `seed`
    weights the elements of the result. Central differences are extrapolated to step zero until
    they settle (Ridders, Advances in Engineering Software 4(2), 1982), which also tells how
    uncertain they are: that sets the tolerance. Inputs of more than 60 elements are checked along
    60 random directions.

    >>> import numpy as np, tinygraph as tg
    >>> tg.gradcheck(lambda x: np.sum(np.sin(x) * x), np.array([0.3, -1.2]), order=2)
    """
    generator = np.random.default_rng(seed)
    inputs = map_tree(as_double, inputs)
    out, pullback = vjp(f, *inputs)
    cotangent = map_tree(lambda leaf: random_like(leaf, generator), out)
    check_repeatable(f, inputs, out)
    gradients, _ = flatten(pullback(cotangent))
    weights, _ = flatten(cotangent)
    leaves, rebuild = flatten(inputs)

    def along(direction: list[Array], step: float) -> float:
        moved = [x + step * d for x, d in zip(leaves, direction, strict=True)]
        values, _ = flatten(f(*rebuild(iter(Node(x, requires_grad=False) for x in moved))))
        return float(sum(dot(w, plain(v)) for w, v in zip(weights, values, strict=True)))

    found = []
    for place, direction in directions(leaves, generator):
        analytic = float(sum(dot(g, d) for g, d in zip(gradients, direction, strict=True)))
        scale = max(
            float(np.max(np.abs(x[d != 0])))
            for x, d in zip(leaves, direction, strict=True)
            if np.any(d != 0)
        )
        numeric, uncertainty, kink = differentiate(partial(along, direction), max(scale, 0.1))
        found.append(Comparison(place, analytic, numeric, uncertainty, kink))
    wrong = sorted((c for c in found if not c.error <= 1), key=lambda c: -c.error)
    if wrong:
        raise GradientError(report(f, wrong, len(found), seed))
    if order > 1:
        gradcheck(lambda *xs: vjp(f, *xs)[1](cotangent), *inputs, order=order - 1, seed=seed + 1)


def as_double(x: Any) -> Array:
    """Give `x` in double precision, and refuse what cannot be differentiated."""
    array = np.array(x.value if isinstance(x, Node) else x)
    if array.dtype.kind not in "fc":
        raise TypeError(f"gradcheck: expected floating or complex inputs, got {array.dtype}")
    return array.astype(complex if array.dtype.kind == "c" else float)


def plain(x: Any) -> Array:
    """Give the value of a result."""
    return x.value if isinstance(x, Node) else np.asarray(x)


def dot(g: Array, d: Array) -> float:
    """Give the real part of sum(g * d): how a gradient and a direction meet, without conjugate."""
    return float(np.real(np.sum(g * d)))


def random_like(x: Any, generator: np.random.Generator) -> Array:
    """Give random numbers, away from 0, of the shape and kind of `x`."""
    x = plain(x)
    draw = generator.uniform(0.5, 1.5, x.shape) * generator.choice([-1.0, 1.0], x.shape)
    if x.dtype.kind == "c":
        return np.asarray(draw + 1j * generator.uniform(-1, 1, x.shape))
    return np.asarray(draw)


def check_repeatable(f: Callable[..., Any], inputs: Any, out: Any) -> None:
    """Refuse a function that gives different values for the same inputs."""
    again, _ = flatten(f(*map_tree(lambda x: Node(x, requires_grad=False), inputs)))
    for first, second in zip(flatten(out)[0], again, strict=True):
        if not np.array_equal(plain(first), plain(second), equal_nan=True):
            raise GradientError("gradcheck: f gives other values when called again; fix its noise")


def directions(
    leaves: list[Array], generator: np.random.Generator
) -> Iterator[tuple[str, list[Array]]]:
    """Give every unit vector of small inputs, random directions in large ones, with names."""
    if sum(x.size for x in leaves) > DIRECTIONS:
        for number in range(DIRECTIONS):
            yield f"direction {number}", [random_like(x, generator) for x in leaves]
        return
    for number, leaf in enumerate(leaves):
        for index in np.ndindex(leaf.shape):
            for unit in (1.0, 1j) if leaf.dtype.kind == "c" else (1.0,):
                direction = [np.zeros_like(x) for x in leaves]
                direction[number][index] = unit
                position = f"[{', '.join(map(str, index))}]" if index else ""
                yield f"input {number}{position}{' imaginary' if unit == 1j else ''}", direction


def differentiate(along: Callable[[float], float], scale: float) -> tuple[float, float, bool]:
    """Give the derivative of `along` at 0, its uncertainty, and whether one-sided ones differ."""
    middle = along(0.0)
    step = 0.05 * scale
    best, uncertainty = np.nan, np.inf
    gaps = []
    previous: list[float] = []
    for _ in range(12):
        up, down = along(step), along(-step)
        noise = 4 * np.finfo(float).eps * max(abs(up), abs(down)) / step
        row = [(up - down) / (2 * step)]
        for order, before in enumerate(previous, start=1):
            row.append(row[-1] + (row[-1] - before) / (4**order - 1))
            doubt = max(abs(row[-1] - row[-2]), abs(row[-1] - before)) + noise
            if doubt < uncertainty:
                best, uncertainty = row[-1], doubt
        gaps.append(abs((up - middle) - (middle - down)) / step)
        previous = row
        step /= 2
    # Of a smooth function the gap between one-sided differences shrinks with the step.
    kink = gaps[-1] > 0.3 * max(gaps) and gaps[-1] > 1000 * noise
    return float(best), float(uncertainty), bool(kink)


def report(f: Callable[..., Any], wrong: list[Comparison], count: int, seed: int) -> str:
    """Write what disagrees as a table, the worst first."""
    lines = [
        f"{getattr(f, '__name__', f)}: {len(wrong)} of {count} derivatives disagree with finite "
        f"differences (seed={seed})",
        f"{'where':<24}{'by the rules':>16}{'by differences':>16}{'uncertainty':>14}",
    ]
    for c in wrong[:10]:
        note = "  a kink: one-sided differences disagree" if c.kink else ""
        lines.append(
            f"{c.place:<24}{c.analytic:>16.8g}{c.numeric:>16.8g}{c.uncertainty:>14.1g}{note}"
        )
    return "\n".join(lines)
