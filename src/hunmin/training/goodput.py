"""Goodput: which share of the time since a run began went into steps that count.

goodput.jsonl in the run folder, one record a line, over all sittings:

    start     a sitting begins: time, step it goes on from, step_seconds up to there
    progress  every so often: time, step, step_seconds, and this sitting's other seconds so far
    end       the same once more

`step_seconds` is time in optimizer steps that count. After a restart it falls back to that of the
checkpoint: the difference was lost. Time between the last record of a sitting and the start of the
next one is down time.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunmin.core.errors import MissingInputError
from hunmin.core.units import format_duration

FILE_NAME = "goodput.jsonl"
ACTIVITIES = ("startup", "evaluation", "checkpoint")
"""What a sitting's records count besides steps, in seconds."""


@dataclass(frozen=True)
class GoodputReport:
    """Where the time of a run went, in seconds.

    Args:
        wall_seconds: Since the first start, to the last record.
        effective_seconds: In optimizer steps that count.
        lost_seconds: In steps that a restart or a rollback took back.
        startup_seconds: From the start of each sitting to its first step.
        evaluation_seconds: Scoring held-out text.
        checkpoint_seconds: Standing still for checkpoints.
        down_seconds: Between sittings.
        other_seconds: The rest.
        sittings: How often the run was started.
        slowest: Longest step, checkpoint and evaluation so far.
    """

    wall_seconds: float
    effective_seconds: float
    lost_seconds: float
    startup_seconds: float
    evaluation_seconds: float
    checkpoint_seconds: float
    down_seconds: float
    other_seconds: float
    sittings: int
    slowest: dict[str, float]

    @property
    def goodput(self) -> float:
        """Effective training time as a share of all time, 0 to 1."""
        return self.effective_seconds / self.wall_seconds if self.wall_seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON value, seconds to the millisecond."""
        values = {name: _rounded(value) for name, value in vars(self).items()}
        return {"goodput": round(self.goodput, 4), **values}

    def describe(self) -> str:
        """Return one line for people: the largest losses first."""
        names = ("lost", "startup", "evaluation", "checkpoint", "down", "other")
        losses = {name: getattr(self, f"{name}_seconds") for name in names}
        parts = sorted(losses.items(), key=lambda item: -item[1])
        shares = [f"{name} {value / max(self.wall_seconds, 1e-9):.1%}" for name, value in parts]
        told = ", ".join(s for s, (_, value) in zip(shares, parts, strict=True) if value > 0)
        return (
            f"effective training time {self.goodput:.1%} of {format_duration(self.wall_seconds)}"
            f" in {self.sittings} sitting{'s' * (self.sittings != 1)} ({told})"
        )


def read_goodput(folder: Path) -> GoodputReport:
    """Read where the time of a run went, also while it runs.

    Args:
        folder: The folder that holds goodput.jsonl.

    Returns:
        The report.

    Raises:
        MissingInputError: Nothing was recorded there.
    """
    path = folder / FILE_NAME
    records = _whole_records(path.read_text("utf-8").splitlines()) if path.is_file() else []
    if not records:
        raise MissingInputError(
            "there is no record of a run's time here",
            where=path,
            hint="it is written while a model is trained, in the run folder's train/",
        )
    return summarize(records)


def _whole_records(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Leave out what a kill cut in the middle, and empty lines."""
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in records if isinstance(record, dict)]


def summarize(records: Sequence[Mapping[str, Any]]) -> GoodputReport:
    """Add up the records of a run; a pure function.

    Args:
        records: In the order of writing; the first is a start.

    Returns:
        The report.
    """
    pairs = list(itertools.pairwise(records))
    lasts = [before for before, after in pairs if after["event"] == "start"] + [records[-1]]
    spent = {name: sum(last.get(name, 0.0) for last in lasts) for name in ACTIVITIES}
    down = sum(max(0.0, b["time"] - a["time"]) for a, b in pairs if b["event"] == "start")
    lost = sum(max(0.0, a["step_seconds"] - b["step_seconds"]) for a, b in pairs)
    wall = max(0.0, records[-1]["time"] - records[0]["time"])
    effective = records[-1]["step_seconds"]
    known = effective + lost + down + sum(spent.values())
    return GoodputReport(
        wall_seconds=wall,
        effective_seconds=effective,
        lost_seconds=lost,
        startup_seconds=spent["startup"],
        evaluation_seconds=spent["evaluation"],
        checkpoint_seconds=spent["checkpoint"],
        down_seconds=down,
        other_seconds=max(0.0, wall - known),
        sittings=len(lasts),
        slowest=_slowest(records),
    )


def _slowest(records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    slowest: dict[str, float] = {}
    for record in records:
        for name, seconds in record.get("slowest", {}).items():
            slowest[name] = max(slowest.get(name, 0.0), seconds)
    return slowest


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 3) if isinstance(value, float) else value
