"""Reads metrics.jsonl: what a training run recorded, also while it is still being written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import MissingInputError

METRICS_NAME = "metrics.jsonl"
TRAIN_FOLDER = "train"


@dataclass(frozen=True)
class RunMetrics:
    """The records of one run in the order of their steps, each step once."""

    starts: tuple[dict[str, Any], ...]
    steps: tuple[dict[str, Any], ...]
    evaluations: tuple[dict[str, Any], ...]

    def series(self, event: str, name: str) -> npt.NDArray[np.float64]:
        """Return one value of each record.

        Args:
            event: "step" or "evaluation".
            name: Key of the value.

        Returns:
            The values as floats; not a number where a record lacks it.
        """
        records = {"step": self.steps, "evaluation": self.evaluations}[event]
        return np.array([_as_float(record.get(name)) for record in records], np.float64)


def find_metrics(folder: Path) -> Path | None:
    """Return the metrics.jsonl of a run folder or of its train folder; None without one."""
    for file in (folder / METRICS_NAME, folder / TRAIN_FOLDER / METRICS_NAME):
        if file.is_file():
            return file
    return None


def read_metrics(folder: Path) -> RunMetrics:
    """Read what a run recorded.

    Args:
        folder: The run folder, or its train folder.

    Returns:
        The records. A line cut off by a kill is passed over; of steps that were done again after
        a resume only the last record stays.

    Raises:
        MissingInputError: There is no metrics.jsonl.
    """
    file = find_metrics(folder)
    if file is None:
        raise MissingInputError(
            "there is no metrics.jsonl here or in its train folder",
            where=folder,
            hint="name the folder of a run that has trained, such as runs/quickstart",
        )
    starts: list[dict[str, Any]] = []
    records: dict[str, dict[Any, dict[str, Any]]] = {"step": {}, "evaluation": {}}
    for record in _parse_lines(file):
        event = record.get("event")
        if event == "start":
            starts.append(record)
            _forget_after(records, record.get("resumed_step", 0))
        elif event in records and isinstance(record.get("step"), int):
            records[event][record["step"], record.get("split")] = record
    return RunMetrics(tuple(starts), _ordered(records["step"]), _ordered(records["evaluation"]))


def _parse_lines(file: Path) -> list[dict[str, Any]]:
    parsed = []
    for line in file.read_bytes().splitlines():
        try:
            record = json.loads(line, parse_constant=_not_a_number)
        except ValueError:
            continue
        if isinstance(record, dict):
            parsed.append(record)
    return parsed


def _forget_after(records: dict[str, dict[Any, dict[str, Any]]], step: int) -> None:
    """Drop what was recorded after the checkpoint that a run resumed from."""
    for kept in records.values():
        for key in [key for key in kept if key[0] > step]:
            del kept[key]


def _ordered(records: dict[Any, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(records.values(), key=lambda record: int(record["step"])))


def _not_a_number(name: str) -> None:
    """A diverged loss is written as NaN, which is not JSON: it becomes null."""
    del name


def _as_float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
