"""A Gaussian process in plain NumPy, whose hyper-parameters are learnt by the gradient.

    python -m models.gaussian_process

`log_likelihood` knows nothing of tinygraph: `tg.value_and_grad` differentiates it through the
Cholesky factor and the triangular solve, and scipy.optimize climbs. The formula is (2.30) of
C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press, 2006.
"""

from typing import Any

import numpy as np

import tinygraph as tg

Parameters = dict[str, Any]


def kernel(x: Any, y: Any, parameters: Parameters) -> Any:
    """Give the squared-exponential covariance of the points `x` and `y`, one a row."""
    length, scale = np.exp(parameters["log_length"]), np.exp(parameters["log_scale"])
    distance = x[:, None, :] / length - y[None, :, :] / length
    return scale**2 * np.exp(-0.5 * np.sum(distance**2, axis=-1))


def covariance(x: Any, parameters: Parameters) -> Any:
    """Give the covariance of noisy observations at `x`."""
    return kernel(x, x, parameters) + np.exp(2 * parameters["log_noise"]) * np.eye(len(x))


def log_likelihood(parameters: Parameters, x: Any, y: Any) -> Any:
    """Give the log marginal likelihood of the observations `y` at `x`."""
    factor = np.linalg.cholesky(covariance(x, parameters))
    whitened = np.linalg.solve(factor, y)
    log_determinant = 2 * np.sum(np.log(np.diagonal(factor)))
    return -0.5 * (whitened @ whitened + log_determinant + len(y) * np.log(2 * np.pi))


def predict(parameters: Parameters, x: Any, y: Any, at: Any) -> tuple[Any, Any]:
    """Give the mean and the standard deviation of the process at new points."""
    factor = np.linalg.cholesky(covariance(x, parameters))
    cross = np.linalg.solve(factor, kernel(x, at, parameters))
    mean = cross.T @ np.linalg.solve(factor, y)
    variance = np.exp(2 * parameters["log_scale"]) - np.sum(cross**2, axis=0)
    return mean, np.sqrt(np.maximum(variance, 0))


def fit(parameters: Parameters, x: Any, y: Any) -> Parameters:
    """Give the parameters at which the likelihood of the observations has its maximum."""
    from scipy.optimize import minimize

    vector, unravel = tg.ravel_tree(parameters)
    loss = tg.value_and_grad(lambda vector: -log_likelihood(unravel(vector), x, y))
    fitted: Parameters = unravel(minimize(loss, vector, jac=True, method="L-BFGS-B").x)
    return fitted


def make_observations(count: int = 60, seed: int = 0) -> tuple[Any, Any]:
    """Draw noisy values of a function of two numbers, which hardly depends on the second."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-3, 3, (count, 2))
    y = np.sin(2 * x[:, 0]) + 0.1 * x[:, 1] + 0.1 * generator.normal(size=count)
    return x, y


START: Parameters = {"log_length": np.zeros(2), "log_scale": 0.0, "log_noise": -1.0}


def main() -> None:
    """Fit a process to noisy values, and print what it found."""
    x, y = make_observations()
    fitted = fit(START, x, y)
    for name, parameters in [("start", START), ("fitted", fitted)]:
        print(f"{name}: log likelihood {float(log_likelihood(parameters, x, y)):.2f}")
    print(f"length scales {np.exp(fitted['log_length']).round(2)} of the two inputs")
    print(f"noise {np.exp(fitted['log_noise']):.3f}, of which the data were made with 0.1")
    at, truth = make_observations(200, seed=1)
    mean, _ = predict(fitted, x, y, at)
    print(f"root mean square error at new points {np.sqrt(np.mean((mean - truth) ** 2)):.3f}")


if __name__ == "__main__":
    main()
