"""A fluid in plain NumPy, and the wind that blows a puff of smoke into a shape.

    python -m models.fluid

The solver rolls arrays and reads them at computed places; it knows nothing of tinygraph.
`tg.value_and_grad` goes back through all its steps, and scipy.optimize finds the velocities at the
start after which the smoke is where it should be. The scheme (semi-Lagrangian advection, and a
projection onto velocities without divergence by Jacobi's iteration) is that of J. Stam, "Stable
Fluids", SIGGRAPH 1999; the experiment is HIPS autograd's.
"""

from typing import Any

import numpy as np

import tinygraph as tg

Field = Any


def project(u: Field, v: Field, iterations: int = 10) -> tuple[Field, Field]:
    """Take the divergence out of a velocity field on a torus."""
    divergence = -0.5 * (
        np.roll(u, -1, axis=1) - np.roll(u, 1, axis=1) + np.roll(v, -1, axis=0) - np.roll(v, 1, 0)
    )
    pressure = np.zeros(np.shape(u))
    for _ in range(iterations):
        neighbours = (
            np.roll(pressure, 1, axis=1)
            + np.roll(pressure, -1, axis=1)
            + np.roll(pressure, 1, axis=0)
            + np.roll(pressure, -1, axis=0)
        )
        pressure = (divergence + neighbours) / 4
    u = u - 0.5 * (np.roll(pressure, -1, axis=1) - np.roll(pressure, 1, axis=1))
    v = v - 0.5 * (np.roll(pressure, -1, axis=0) - np.roll(pressure, 1, axis=0))
    return u, v


def advect(field: Field, u: Field, v: Field) -> Field:
    """Move a field along the velocities, reading it between the cells where it comes from."""
    rows, columns = np.shape(field)
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    from_y, from_x = y - v, x - u
    top, left = np.floor(from_y).astype(int), np.floor(from_x).astype(int)
    down, right = from_y - top, from_x - left
    top, left = top % rows, left % columns
    bottom, beside = (top + 1) % rows, (left + 1) % columns
    upper = (1 - right) * field[top, left] + right * field[top, beside]
    lower = (1 - right) * field[bottom, left] + right * field[bottom, beside]
    return (1 - down) * upper + down * lower


def simulate(u: Field, v: Field, smoke: Field, steps: int) -> Field:
    """Give the smoke after some steps."""
    for _ in range(steps):
        u, v = project(advect(u, u, v), advect(v, u, v))
        smoke = advect(smoke, u, v)
    return smoke


def misfit(velocities: tuple[Field, Field], smoke: Field, target: Field, steps: int) -> Any:
    """Give the mean squared distance of the smoke at the end from the target."""
    u, v = project(*velocities)
    return np.mean((simulate(u, v, smoke, steps) - target) ** 2)


def scene(size: int = 24) -> tuple[Field, Field]:
    """Give a puff of smoke in the middle, and a ring as the target."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y) / size
    return 1.0 * (radius < 0.2), 1.0 * ((radius > 0.15) & (radius < 0.3))


def fit(smoke: Field, target: Field, steps: int = 8, iterations: int = 40) -> tuple[Field, Field]:
    """Give velocities at the start that bring the smoke near the target."""
    from scipy.optimize import minimize

    still = (np.zeros(smoke.shape), np.zeros(smoke.shape))
    vector, unravel = tg.ravel_tree(still)
    loss = tg.value_and_grad(lambda vector: misfit(unravel(vector), smoke, target, steps))
    found = minimize(loss, vector, jac=True, method="CG", options={"maxiter": iterations})
    velocities: tuple[Field, Field] = unravel(found.x)
    return velocities


def draw(field: Field) -> str:
    """Draw a field in characters, two for each cell."""
    shades = np.array(list(" .:-=+*#%@"))
    levels = np.clip(field * (len(shades) - 1), 0, len(shades) - 1).round().astype(int)
    return "\n".join("".join(row) for row in np.repeat(shades[levels], 2, axis=1))


def main() -> None:
    """Find the wind, and print the smoke at the end beside what it should be."""
    smoke, target = scene()
    still = (np.zeros(smoke.shape), np.zeros(smoke.shape))
    velocities = fit(smoke, target)
    print(f"misfit without wind {misfit(still, smoke, target, 8):.4f}")
    print(f"misfit with it      {misfit(velocities, smoke, target, 8):.4f}")
    print(draw(simulate(*project(*velocities), smoke, 8)))


if __name__ == "__main__":
    main()
