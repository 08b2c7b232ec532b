"""Derivatives by finite differences, each with the error that it may have.

A function of one number is evaluated at +-h for steps h that halve. At every scale Richardson's
extrapolation gives an estimate, and how much estimates change from one scale to the next shows
what disturbs them: the truncation error at large steps, the rounding error of the function at
small ones. The largest disturbance seen at a scale and below it is the doubt of its estimate; the
scale of the least doubt wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Change = Callable[[float], tuple[float, float]]
"""From a step to the change of a function, and the rounding error that it has at least."""

LEVELS = 3
"""How often estimates are extrapolated; more would amplify the noise."""

NEAR = 2.0**-8
"""How far away a kink may be, in scales of the input, for it to count as here."""

TINY = 2.0**-20
"""The same in units, where scales are small."""

MINUTE = 2.0**-30
"""The steps, in scales of the input, that see of a discontinuity nothing else."""


class Estimate(NamedTuple):
    """A derivative, the bound of its error, and the step at which it was found."""

    value: float
    doubt: float
    step: float = 0.0


class Point(NamedTuple):
    """What differences tell of a function at a point.

    `smooth` are the derivatives that they admit: none on a kink, two where small and large steps
    see different slopes and either may be meant, as of a function that rounds its results.
    `oddity` is `kink`, `discontinuity` or `unbounded` where there is no derivative.
    """

    smooth: list[Estimate]
    left: Estimate
    right: Estimate
    oddity: str = ""


class Samples(NamedTuple):
    """The changes of a function at steps h that halve, forward and backward, and their noise."""

    steps: Array
    forward: Array
    backward: Array
    noise: Array


class Stair(NamedTuple):
    """How far a function is flat, and how high it jumps there; zeros of one that has no stairs."""

    step: float
    size: float


def sample(change: Change, steps: list[float]) -> Samples:
    """Evaluate a function at the steps, which halve, on both sides."""
    rows = []
    for step in steps:
        (forward, noise_1), (backward, noise_2) = change(step), change(-step)
        rows.append((step, forward, backward, max(noise_1, noise_2)))
    return Samples(*np.array(rows, dtype=float).reshape(-1, 4).T)


def quick_estimate(change: Change, step: float) -> Estimate:
    """Estimate a derivative from three steps alone, which is enough for most functions."""
    return central_estimates(sample(change, [step, step / 2, step / 4]))[-1]


def look(
    change: Change,
    scale: float,
    finest: float,
    widest: float,
    rounding: float = 0.0,
    is_known: bool = False,
) -> Point:
    """Find the derivative of a function at 0, or what stands in its way, from steps of all sizes.

    Steps go from a quarter of `scale`, a power of two, down to `finest`, and up to `widest` where
    the function rounds so much that small steps do not tell. `rounding` is the rounding error that
    the function may have, but need not: where estimates settle in spite of it, they count too. It
    `is_known` if there is no larger one.
    """
    seen = sample(change, halving(scale / 4, finest))
    samples = with_noise(seen, rounding)
    stair = find_stair(samples, change, finest)
    kept = with_noise(above(samples, stair), stair.size)
    near = max(scale * NEAR, widest * TINY)
    point = judge(widen(kept, change, widest, rounding), near, is_known)
    if point.oddity:
        return point
    settled = [e for e in plateaus(central_estimates(seen)) if e.doubt < 0.01 * abs(e.value)]
    if stair.size > 100 * samples.noise[-1]:
        # Rounding on purpose, or in a narrower dtype than it shows: flat may be what is meant.
        settled.append(Estimate(0.0, 2 * samples.noise[-1] / stair.step, stair.step))
    return point._replace(smooth=[*point.smooth, *settled])


def halving(first: float, last: float) -> list[float]:
    """Give steps that halve from `first` until `last` is reached, 200 at most."""
    steps = [first]
    while steps[-1] > last and len(steps) < 200:
        steps.append(steps[-1] / 2)
    return steps


def widen(samples: Samples, change: Change, widest: float, rounding: float) -> Samples:
    """Add larger steps where they would leave less doubt, or take them alone if far larger."""
    top = float(samples.steps[0])
    if top >= widest or not is_noisy(central_estimates(samples), samples):
        return samples
    more = with_noise(sample(change, halving(widest, 2 * top)), rounding)
    if more.steps[-1] != 2 * top:
        return more
    return Samples(*map(np.concatenate, zip(more, samples, strict=True)))


def is_noisy(found: list[Estimate], samples: Samples) -> bool:
    """Tell whether larger steps would leave less doubt."""
    best = surest(found)
    return best.step >= samples.steps[0] / 2 and best.doubt > 1e-8 * abs(best.value)


def judge(samples: Samples, near: float, is_known: bool) -> Point:
    """Find the derivative from the samples, or what stands in its way not further than `near`."""
    h, forward, backward, noise = samples
    left = surest(one_sided_estimates(-backward, h, noise))
    right = surest(one_sided_estimates(forward, h, noise))
    if is_jump(forward, samples) or is_jump(backward, samples):
        return Point([], left, right, "discontinuity")
    sides = [
        (changes, side)
        for changes, side in ((forward, right), (backward, left))
        if np.isfinite(side.doubt)
    ]
    if len(sides) == 1:
        # At the edge of the domain there is one side alone.
        changes, side = sides[0]
        is_root = is_steep(changes, samples, side)
        return Point([] if is_root else [side], left, right, "unbounded" if is_root else "")
    central = plateaus(central_estimates(samples))
    cusps = []
    if is_steep(backward, samples, central[0]):
        cusps.append(-backward[-1])
        left = Estimate(-np.inf * backward[-1], 0.0)
    if is_steep(forward, samples, central[0]):
        cusps.append(forward[-1])
        right = Estimate(np.inf * forward[-1], 0.0)
    if len(cusps) == 2 and np.sign(cusps[0]) == np.sign(cusps[1]):
        return Point([], left, right, "unbounded")
    if cusps or has_kink(samples, central[0], near):
        return Point([], left, right, "kink")
    return Point([spread(central[0], samples, is_known), *central[1:]], left, right)


def central_estimates(samples: Samples) -> list[Estimate]:
    """Give the estimates of every scale and level by central differences.

    The odd part of the change divided by h is the slope plus even powers of h; the even part is
    even powers of h alone, unless there is a kink, of which central differences would not tell.
    """
    h, noise = samples.steps, samples.noise
    slopes = (samples.forward - samples.backward) / (2 * h)
    bends = (samples.forward + samples.backward) / 2
    kink = 1.0
    found: list[Estimate] = []
    for level in range(1, LEVELS + 1):
        if len(slopes) < 2:
            break
        power = 4.0**level
        # What a kink contributes to these differences of the even part, in units of its bend.
        kink *= 1 - power / 2
        bends = bends[:-1] - power * bends[1:]
        h, noise = h[: len(bends)], noise[: len(bends)]
        steps_apart = slopes[1:] - slopes[:-1]
        slopes = slopes[1:] + steps_apart / (power - 1)
        disturbance = np.maximum(np.abs(steps_apart), np.abs(bends / kink) / h)
        found += estimates(slopes, disturbance, h, noise)
    return found


def one_sided_estimates(changes: Array, h: Array, noise: Array) -> list[Estimate]:
    """Give the estimates of every scale and level from the changes on one side alone."""
    slopes = changes / h
    found: list[Estimate] = []
    for level in range(1, LEVELS + 1):
        if len(slopes) < 2:
            break
        h, noise = h[: len(slopes) - 1], noise[: len(slopes) - 1]
        steps_apart = slopes[1:] - slopes[:-1]
        slopes = slopes[1:] + steps_apart / (2.0**level - 1)
        found += estimates(slopes, np.abs(steps_apart), h, noise)
    return found


def estimates(values: Array, disturbance: Array, h: Array, noise: Array) -> list[Estimate]:
    """Give values with their doubts: no scale is surer than what disturbs the smaller ones."""
    moved = np.fmax.accumulate((disturbance * h)[::-1])[::-1]
    doubts = (moved + 2 * noise) / h
    doubts[~np.isfinite(values + disturbance + doubts)] = np.inf
    triples = zip(values.tolist(), doubts.tolist(), h.tolist(), strict=True)
    return [Estimate(*triple) for triple in triples]


def surest(found: list[Estimate]) -> Estimate:
    """Give the estimate of least doubt."""
    return min(found, key=lambda e: e.doubt, default=Estimate(np.nan, np.inf))


def plateaus(found: list[Estimate]) -> list[Estimate]:
    """Give the surest estimate, and the surest that contradicts it at another scale."""
    best = surest(found)
    others = [e for e in found if abs(e.value - best.value) > 3 * (e.doubt + best.doubt)]
    return [best, surest(others)] if others else [best]


def spread(best: Estimate, samples: Samples, is_known: bool) -> Estimate:
    """Widen the doubt of an estimate below whose step the function swings more than by rounding.

    Its slope here may then be any of those seen there, which rounding does not let settle. Where
    the rounding error is not known, large swings alone are taken for real.
    """
    h, forward, backward, noise = samples
    slopes = (forward - backward) / (2 * h)
    for level in (1, 2):
        slopes = slopes[1:] + np.diff(slopes) / (4.0**level - 1)
    apart = np.abs(np.diff(slopes))
    h, noise = h[: len(apart)], noise[: len(apart)]
    least = 20 * noise if is_known else np.maximum(20 * noise, 0.01 * reach(samples))
    below = (apart * h > least) & (h < best.step / 2)
    return best._replace(doubt=max(best.doubt, largest(apart[below])))


def reach(samples: Samples) -> float:
    """Give how far the function goes within the steps."""
    return largest(np.abs([samples.forward, samples.backward]))


def largest(numbers: Array) -> float:
    """Give the largest of the numbers that are any."""
    return float(np.fmax.reduce(numbers, axis=None, initial=0))


def find_stair(samples: Samples, change: Change, finest: float) -> Stair:
    """Find the step at which a function that rounds its results begins to change, and by how much.

    A function that is flat around 0, as a relu is on its closed side, changes little at first.
    """
    moves = np.maximum(np.abs(samples.forward), np.abs(samples.backward))
    moving = np.flatnonzero(moves > 0)
    if not len(moving) or moving[-1] in (0, len(moves) - 1):
        return Stair(0.0, 0.0)
    last = moving[-1]
    side = 1 if abs(samples.forward[last]) == moves[last] else -1
    flat, step = samples.steps[last + 1], samples.steps[last]
    if step < 16 * finest:
        return Stair(0.0, 0.0)
    for _ in range(20):
        middle = (flat + step) / 2
        flat, step = (flat, middle) if change(side * middle)[0] != 0 else (middle, step)
    size = abs(change(side * step)[0])
    is_stair = size > max(moves[last] / 4, moves[last - 1] / 8)
    return Stair(step, size) if is_stair else Stair(0.0, 0.0)


def above(samples: Samples, stair: Stair) -> Samples:
    """Leave out the steps that see no change."""
    return Samples(*(row[samples.steps >= stair.step] for row in samples))


def with_noise(samples: Samples, noise: float) -> Samples:
    """Raise the noise of samples."""
    return samples._replace(noise=np.maximum(samples.noise, noise))


def is_jump(changes: Array, samples: Samples) -> bool:
    """Tell whether the function changes by as much however small the step is."""
    jump = changes[-1]
    tiny = changes[samples.steps < MINUTE * samples.steps[0]]
    return bool(
        tiny.size > 8
        and np.all(np.abs(tiny - jump) < 0.1 * np.abs(jump))
        and abs(jump) > 1e-5 * reach(samples)
        and abs(jump) > 1000 * samples.noise[-1]
    )


def has_kink(samples: Samples, central: Estimate, near: float) -> bool:
    """Tell whether the slopes on both sides differ, as long as steps are not too small to tell.

    That has to be so for steps below `near`, or the kink may be as far away. It is not here where
    central differences with smaller steps are sure of the slope.
    """
    h, forward, backward, noise = samples
    right, left = forward / h, -backward / h
    right, left = (2 * slopes[1:] - slopes[:-1] for slopes in (right, left))
    gaps = np.abs(right - left)
    moved = (np.abs(np.diff(right)) + np.abs(np.diff(left))) * h[:-2]
    unsure = (np.fmax.accumulate(moved[::-1])[::-1] + 10 * noise[:-2]) / h[:-2]
    clear = np.flatnonzero(unsure < 0.2 * gaps[:-1])
    if len(clear) < 4 or h[clear[-1]] > near:
        return False
    last = clear[-1]
    gap, before = gaps[last], gaps[clear[-8:][0]]
    is_sure = central.step < h[last] and central.doubt < 0.05 * gap
    is_there = is_sure or gap <= 0.9 * before - unsure[last]
    return not is_there and not lies_beside(samples, clear[-4:], gap)


def lies_beside(samples: Samples, settled: Array, gap: float) -> bool:
    """Tell whether a kink lies beside the point, where slopes that differ by `gap` have settled.

    Changes on the side of the kink then do not go to 0 with the step, but to an offset: the gap,
    times how far away the kink is, which has to be clear of rounding errors of f and of x.
    """
    h, forward, backward, noise = samples
    least = 10 * largest(noise[settled]) + 64 * h[-1] * gap
    sides = [(2 * changes[1:] - changes[:-1])[settled] for changes in (forward, backward)]
    return any(np.ptp(x) < 0.2 * np.min(np.abs(x)) > 0.2 * least for x in sides)


def is_steep(changes: Array, samples: Samples, best: Estimate) -> bool:
    """Tell whether slopes on one side grow without end as steps shrink, as those of a root at 0."""
    informed = np.flatnonzero(np.abs(changes) > 100 * samples.noise)[-12:]
    if len(informed) < 12 or best.doubt < 1e-3 * abs(best.value):
        return False
    changes, h = changes[informed], samples.steps[informed]
    slopes = changes / h
    growth = np.diff(slopes)
    return (
        bool(np.all(growth[1:] / growth[:-1] > 0.98))
        and bool(np.all(growth * slopes[1:] > 0))
        and bool(np.all(np.abs(changes[1:]) < 0.9 * np.abs(changes[:-1])))
    )
