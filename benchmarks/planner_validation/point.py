"""A published result, as what the planner needs to predict it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hunmin.parallel.layout import Layout
from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.cluster import Cluster
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy
from planner_validation.conventions import Convention

Metric = Literal[
    "tflops_per_gpu", "mfu_pct", "tokens_per_s_per_gpu", "step_seconds", "samples_per_s"
]
MICRO_BATCHES = (16, 8, 4, 2, 1)


@dataclass(frozen=True)
class Point:
    """One published result.

    Args:
        group: Results that share a source and its rules.
        label: For tables.
        row: Line of the CSV; 0 if it is in none.
        place: Position in its group, from 0, in the order of the CSV.
        shape: The model.
        cluster_name: For `find_cluster`: `p4d:64`, `dgx-2:24@100Gbps`.
        strategy: How it was trained; see `fits_rule`.
        software: Key of a software stack.
        metric: What was published.
        value: In the unit of the metric.
        convention: How the publisher counts operations.
        peak: Operations a second that the publisher divides by.
        verified: Whether the published value was confirmed in its source.
        is_derived: Whether the value is arithmetic on two published ones.
        fits_rule: Whether the microbatch is not published: the largest one of `micro_batches`
            that fits the memory is meant, and `strategy` has the smallest.
        fits_layout: Layout whose memory decides, where it is not that of `strategy`: runs that were
            compared had the same microbatch.
        rows_per_rank: Rows of a step for each data-parallel rank, where they are published.
        assumptions: What the source leaves open, and what was taken.
    """

    group: str
    label: str
    row: int
    shape: ModelShape
    cluster_name: str
    strategy: Strategy
    software: str
    metric: Metric
    value: float
    convention: Convention
    peak: float
    place: int = 0
    verified: bool = True
    is_derived: bool = False
    fits_rule: bool = False
    fits_layout: Layout | None = None
    rows_per_rank: int | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def cluster(self) -> Cluster:
        """The cluster it ran on."""
        return find_cluster(self.cluster_name)

    @property
    def micro_batches(self) -> tuple[int, ...]:
        """Microbatches that are possible, the largest first: one where it is published."""
        if not self.fits_rule:
            return (self.strategy.micro_batch,)
        rows = self.rows_per_rank
        return tuple(size for size in MICRO_BATCHES if rows is None or rows % size == 0)

    @property
    def strategy_to_fit(self) -> Strategy:
        """What has to fit the memory for the microbatch of `strategy`."""
        return replace(self.strategy, layout=self.fits_layout or self.strategy.layout)

    def with_micro_batch(self, rows: int) -> Point:
        """Return the same point with another microbatch; a published batch stays what it is."""
        microsteps = self.strategy.microsteps
        if self.rows_per_rank is not None:
            microsteps = self.rows_per_rank // rows
        return replace(
            self, strategy=replace(self.strategy, micro_batch=rows, microsteps=microsteps)
        )

    def predicted_value(self, seconds_per_step: float) -> float:
        """Convert a predicted step to what was published.

        Args:
            seconds_per_step: Of an optimizer step.

        Returns:
            The value, in the unit of `metric`.
        """
        rows = self.strategy.rows_per_step / seconds_per_step
        tokens = rows * self.shape.context / self.strategy.devices
        flops = tokens * self.convention.flops(self.shape, self.strategy.recompute)
        values: dict[Metric, float] = {
            "step_seconds": seconds_per_step,
            "samples_per_s": rows,
            "tokens_per_s_per_gpu": tokens,
            "tflops_per_gpu": flops / 1e12,
            "mfu_pct": 100 * flops / self.peak,
        }
        return values[self.metric]

    def published_seconds(self) -> float:
        """Return the step time that the published value means; the inverse of the above."""
        if self.metric == "step_seconds":
            return self.value
        return self.predicted_value(1.0) / self.value
