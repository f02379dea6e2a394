"""Fit the constants of the catalogue to the calibrating part of the published points.

python benchmarks/planner_validation/calibrate.py

Prints each constant beside the catalogue's; nothing is written: who changes the catalogue does it
by hand, and the tests compare. Least squares on the logarithm of predicted over published speed, by
damped Gauss-Newton steps within bounds. No constant belongs to a point or to a model.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hunmin.planner.catalogue.software import find_software
from hunmin.planner.cluster import Cluster
from hunmin.planner.software import Software
from planner_validation.point import Point
from planner_validation.points import load_points, part
from planner_validation.predict import predict, resolved

Vector = npt.NDArray[np.float64]
ON_EFA = ("p3dn", "p4d", "p4de", "p5", "p5en")


@dataclass(frozen=True)
class Constant:
    """One constant of the catalogue.

    Args:
        name: Where it lies.
        start: First guess.
        low: Least value that makes sense.
        high: Largest one.
        digits: Significant digits that the catalogue keeps.
    """

    name: str
    start: float
    low: float
    high: float
    digits: int = 3

    def rounded(self, value: float) -> float:
        """Return the value as the catalogue writes it."""
        return float(f"{value:.{self.digits}g}")


CONSTANTS = (
    Constant("v100.matmul_share", 0.55, 0.3, 1),
    Constant("a100.matmul_share", 0.82, 0.3, 1),
    Constant("h100.matmul_share", 0.65, 0.3, 1),
    Constant("nvlink.latency", 2e-6, 1e-6, 1e-5),
    Constant("infiniband and roce.latency", 5e-6, 2e-6, 3e-5),
    Constant("efa.latency", 3e-5, 1e-5, 1e-4),
    Constant("fsdp.copies", 6, 1, 12),
    Constant("fsdp.attention_share", 0.3, 0.1, 1),
    Constant("deepspeed.overlap", 0.5, 0, 1),
)


def with_constants(point: Point, values: Sequence[float]) -> tuple[Cluster, Software]:
    """Return cluster and software of a point with constants in place of the catalogue's."""
    given = dict(zip((constant.name for constant in CONSTANTS), values, strict=True))
    cluster, software = point.cluster, find_software(point.software)
    kind = next(k for k in ("v100", "a100", "h100") if k.upper() in cluster.device.name)
    between = replace(cluster.between, latency=given["efa.latency"])
    if point.cluster_name.split(":")[0] not in ON_EFA:
        between = replace(cluster.between, latency=given["infiniband and roce.latency"])
    cluster = replace(
        cluster,
        device=replace(cluster.device, matmul_share=given[f"{kind}.matmul_share"]),
        within=replace(cluster.within, latency=given["nvlink.latency"]),
        between=between,
    )
    overlap = given["deepspeed.overlap"] if software.name == "deepspeed" else software.overlap
    return cluster, replace(
        software,
        overlap=overlap,
        copies=given["fsdp.copies"],
        attention_share=given["fsdp.attention_share"],
    )


def residuals(points: Sequence[Point], values: Sequence[float]) -> Vector:
    """Return the logarithm of predicted over published speed of each point."""
    speeds = [predict(point, *with_constants(point, values)).speed for point in points]
    return np.array([math.log(speed) for speed in speeds])


def fit(points: Sequence[Point]) -> tuple[Vector, float]:
    """Return the constants that fit the points best, and the root of the mean squared residual."""
    low = np.array([constant.low for constant in CONSTANTS])
    high = np.array([constant.high for constant in CONSTANTS])
    start = np.array([constant.start for constant in CONSTANTS])
    values, squares = gauss_newton(lambda x: residuals(points, list(x)), start, low, high)
    return values, math.sqrt(squares / len(points))


def gauss_newton(
    errors: Callable[[Vector], Vector], start: Vector, low: Vector, high: Vector, steps: int = 20
) -> tuple[Vector, float]:
    """Minimise a sum of squares within bounds (Levenberg and Marquardt's damping).

    Args:
        errors: From values, shape (n,), to residuals, shape (m,).
        start: First guess, shape (n,).
        low: Least values, shape (n,).
        high: Largest values, shape (n,).
        steps: At most so many.

    Returns:
        Values, shape (n,), and their sum of squares.
    """
    values, found = start, errors(start)
    damping = 1e-3
    for _ in range(steps):
        slopes = _slopes(errors, values, found, low, high)
        matrix, gradient = slopes.T @ slopes, slopes.T @ found
        for _ in range(8):
            damped = matrix + damping * np.diag(np.diag(matrix) + 1e-12)
            tried = np.clip(values - np.linalg.solve(damped, gradient), low, high)
            there = errors(tried)
            if there @ there < found @ found:
                values, found, damping = tried, there, damping / 5
                break
            damping *= 5
    return values, float(found @ found)


def _slopes(
    errors: Callable[[Vector], Vector], values: Vector, found: Vector, low: Vector, high: Vector
) -> Vector:
    columns = []
    for index, value in enumerate(values):
        width = max(1e-3 * value, 1e-4 * (high[index] - low[index]))
        moved = values.copy()
        moved[index] += width if value + width <= high[index] else -width
        columns.append((errors(moved) - found) / (moved[index] - value))
    return np.array(columns).T


def catalogue_values() -> list[float]:
    """Return the constants as the catalogue has them."""
    from hunmin.planner.catalogue.clusters import find_cluster

    roce, efa = find_cluster("a100-40gb-roce:2"), find_cluster("p4d:2")
    return [
        find_cluster("dgx-2:2").device.matmul_share,
        efa.device.matmul_share,
        find_cluster("dgx-h100:2").device.matmul_share,
        efa.within.latency,
        roce.between.latency,
        efa.between.latency,
        find_software("fsdp").copies,
        find_software("fsdp").attention_share,
        find_software("deepspeed").overlap,
    ]


def main() -> None:
    """Fit, and print the constants beside the catalogue's."""
    points = [resolved(point) for point in load_points() if part(point) == "calibrate"]
    values, deviation = fit(points)
    print(f"{len(points)} points, deviation {deviation:.3f}")
    for constant, value, kept in zip(CONSTANTS, values, catalogue_values(), strict=True):
        print(f"{constant.name:30} {constant.rounded(value):<12g} catalogue {kept:g}")


if __name__ == "__main__":
    main()
