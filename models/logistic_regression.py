"""Multinomial logistic regression in plain NumPy, minimised by scipy.optimize.

    python -m models.logistic_regression

`loss` knows nothing of tinygraph; `tg.ravel_tree` makes a vector of the weights, as
scipy.optimize wants it, and `tg.value_and_grad` and `tg.hvp` give what the methods ask for.
"""

from typing import Any

import numpy as np

import tinygraph as tg

Weights = dict[str, Any]


def log_probabilities(weights: Weights, x: Any) -> Any:
    """Give the log probability of every class, a row for each row of `x`."""
    scores = x @ weights["w"] + weights["b"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))


def loss(weights: Weights, x: Any, labels: Any, regular: float) -> Any:
    """Give the mean cross-entropy of the labels, and the L2 term of the weights."""
    chosen = log_probabilities(weights, x)[np.arange(len(labels)), labels]
    return -np.mean(chosen) + 0.5 * regular * np.sum(weights["w"] ** 2)


def fit(x: Any, labels: Any, classes: int, regular: float = 1e-3, method: str = "L-BFGS-B") -> Any:
    """Give the weights of least loss; "Newton-CG" uses products with the Hessian."""
    from scipy.optimize import minimize

    start = {"w": np.zeros((x.shape[1], classes)), "b": np.zeros(classes)}
    vector, unravel = tg.ravel_tree(start)

    def of_vector(vector: Any) -> Any:
        return loss(unravel(vector), x, labels, regular)

    def hessian_product(at: Any, direction: Any) -> Any:
        return tg.hvp(of_vector, (at,), (direction,))

    found = minimize(
        tg.value_and_grad(of_vector),
        vector,
        jac=True,
        method=method,
        hessp=hessian_product if method == "Newton-CG" else None,
    )
    return unravel(found.x)


def accuracy(weights: Weights, x: Any, labels: Any) -> float:
    """Give the share of rows whose most probable class is the label."""
    return float(np.mean(np.argmax(log_probabilities(weights, x), axis=1) == labels))


def main() -> None:
    """Classify the embedded digits, by a first-order and by a second-order method."""
    from models.load import load_data

    (x, labels), _, (x_test, labels_test) = load_data(original=True, path="digits")
    for method in ("L-BFGS-B", "Newton-CG"):
        weights = fit(x, labels, classes=10, method=method)
        print(f"{method}: {100 * accuracy(weights, x_test, labels_test):.1f} % of the test digits")


if __name__ == "__main__":
    main()
