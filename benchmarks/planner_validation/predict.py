"""Predict a published point: its microbatch where that is not published, then its step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hunmin.planner.catalogue.software import find_software
from hunmin.planner.cluster import Cluster
from hunmin.planner.memory import memory_use
from hunmin.planner.software import Software
from hunmin.planner.speed.step import StepTime, step_time
from planner_validation.point import Point


@dataclass(frozen=True)
class Predicted:
    """A point and what the planner says about it.

    Args:
        point: With its microbatch.
        value: Predicted, in the unit of the point.
        step: Predicted time of an optimizer step.
    """

    point: Point
    value: float
    step: StepTime

    @property
    def speed(self) -> float:
        """Predicted over published speed; above 1 the prediction is too fast."""
        return self.point.published_seconds() / self.step.seconds

    @property
    def error(self) -> float:
        """Error of the speed as a share of the published one; below 0 is too slow."""
        return self.speed - 1


def predict(
    point: Point, cluster: Cluster | None = None, software: Software | None = None
) -> Predicted:
    """Predict a point with the catalogue, or with other constants.

    Args:
        point: With its microbatch: see `resolved`.
        cluster: Instead of the point's.
        software: Instead of the point's.

    Returns:
        The prediction.
    """
    step = step_time(
        point.shape,
        point.strategy,
        cluster or point.cluster,
        software or find_software(point.software),
    )
    return Predicted(point, point.predicted_value(step.seconds), step)


def resolved(point: Point) -> Point:
    """Return the point with the largest microbatch that fits, where none is published.

    What fits is the memory itself, without the planner's allowance for fragmentation: those who
    publish records fill their devices.
    """
    if not point.fits_rule:
        return point
    memory = point.cluster.device.memory
    habits = find_software(point.software).habits
    for rows in point.micro_batches:
        tried = point.with_micro_batch(rows)
        strategy = replace(tried.strategy_to_fit, micro_batch=rows)
        if memory_use(tried.shape, strategy, habits).total <= memory:
            return tried
    return point
