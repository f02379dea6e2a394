"""Logistic regression by L-BFGS on sparse rows, in numpy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hunmin.corpus.filters.features import Rows

Vector = npt.NDArray[np.float64]
Objective = Callable[[Vector], tuple[float, Vector]]
_MEMORY = 10
_ARMIJO = 1e-4
_SMALLEST_STEP = 1e-12
_LARGEST_EXPONENT = 500.0


def sigmoid(values: Vector) -> Vector:
    """Return 1 / (1 + exp(-values)) without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(values, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))


def fit(
    rows: Rows, is_good: npt.NDArray[np.bool_], size: int, *, scale: float, l2: float, steps: int
) -> tuple[Vector, float]:
    """Fit weights and bias.

    Args:
        rows: Features, each row summing to one.
        is_good: Which rows are good.
        size: Number of features.
        scale: Factor on the features; larger means less pull towards zero.
        l2: Weight of half the squared weights against the sum of the losses (scikit-learn's 1/C).
        steps: Most steps of L-BFGS.

    Returns:
        Weights of shape (size,) for features as they are, and the bias.

    Note:
        Classes weigh the same however many rows they have. Deterministic.
    """
    signs = np.where(is_good, 1.0, -1.0)
    shares = np.where(is_good, is_good.mean(), 1.0 - is_good.mean())
    weights = 0.5 / shares

    def objective(point: Vector) -> tuple[float, Vector]:
        margins = signs * (scale * rows.dot(point[:-1]) + point[-1])
        loss = np.logaddexp(0.0, -margins) @ weights + 0.5 * l2 * (point[:-1] @ point[:-1])
        slopes = -signs * weights * sigmoid(-margins)
        gradient = np.append(scale * rows.dot_transposed(slopes, size), slopes.sum())
        gradient[:-1] += l2 * point[:-1]
        return float(loss), gradient

    found = minimize(objective, np.zeros(size + 1), steps)
    return scale * found[:-1], float(found[-1])


def minimize(objective: Objective, start: Vector, steps: int, tolerance: float = 1e-4) -> Vector:
    """Find the minimum of a smooth convex function.

    Args:
        objective: Returns the value and the gradient at a point.
        start: Where to begin.
        steps: Most steps.
        tolerance: Stop when the gradient's largest part is below this share of the first one's.

    Returns:
        The best point found.

    Source:
        Nocedal & Wright 2006, algorithm 7.5, with backtracking to the Armijo condition; pairs of
        too little curvature are left out.
    """
    point, history = start, deque[tuple[Vector, Vector]](maxlen=_MEMORY)
    value, gradient = objective(point)
    limit = tolerance * max(np.abs(gradient).max(), 1e-300)
    for _ in range(steps):
        if np.abs(gradient).max() <= limit:
            break
        direction = -_two_loops(gradient, history)
        found = _line_search(objective, point, value, gradient, direction)
        if found is None:
            break
        moved, value, slope = found
        step, change = moved - point, slope - gradient
        if step @ change > 1e-10 * (step @ step):
            history.append((step, change))
        point, gradient = moved, slope
    return point


def _two_loops(gradient: Vector, history: deque[tuple[Vector, Vector]]) -> Vector:
    """The inverse Hessian, as far as it is known, times the gradient."""
    direction, alphas = gradient.copy(), []
    for step, change in reversed(history):
        alpha = (step @ direction) / (step @ change)
        direction -= alpha * change
        alphas.append(alpha)
    if history:
        step, change = history[-1]
        direction *= (step @ change) / (change @ change)
    for (step, change), alpha in zip(history, reversed(alphas), strict=True):
        direction += (alpha - (change @ direction) / (step @ change)) * step
    return direction


def _line_search(
    objective: Objective, point: Vector, value: float, gradient: Vector, direction: Vector
) -> tuple[Vector, float, Vector] | None:
    """Halve the step until the value falls enough; None if it does not."""
    slope, length = float(gradient @ direction), 1.0
    while length > _SMALLEST_STEP:
        moved = point + length * direction
        new_value, new_gradient = objective(moved)
        if new_value <= value + _ARMIJO * length * slope:
            return moved, new_value, new_gradient
        length *= 0.5
    return None
