"""What a recipe says about watching the ranks of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hunmin.core.spec import Spec


class StragglerSpec(Spec):
    """When a rank counts as slow."""

    every: int = Field(20, ge=1)
    """Steps whose computing times are added up and compared: a window."""
    factor: float = Field(1.2, gt=1)
    """Times the median of all ranks that is slow."""
    windows: int = Field(3, ge=1)
    """Slow windows in a row after which the rank is named."""


class ProfileSpec(Spec):
    """A trace of some steps by torch's profiler, for chrome://tracing or ui.perfetto.dev."""

    first_step: int = Field(10, ge=1)
    """First step that is traced; the earliest ones show compilation and warm-up."""
    num_steps: int = Field(3, ge=1)
    """Steps that are traced; each makes the file some megabytes larger."""
    ranks: Literal["all", "first"] = "all"
    """Which ranks write a trace."""
    memory: bool = False
    """Also record allocations; slower."""
    stacks: bool = False
    """Also record the Python source of each operation; much slower."""


class WatchSpec(Spec):
    """What is recorded besides metrics; none of it changes the course of the losses."""

    communication: bool = True
    """Record bytes and seconds of collectives at each record of metrics.jsonl."""
    every_rank: bool = False
    """Also write each rank's communication and computing time, to metrics-rank-00003.jsonl."""
    stragglers: StragglerSpec | None = StragglerSpec()
    """When to name a slow rank; null for never."""
    profile: ProfileSpec | None = None
    """Trace some steps; null for none."""
    heartbeat: float = Field(2.0, gt=0)
    """Seconds between a rank's signs of life, by which a rank that does not answer is found."""
