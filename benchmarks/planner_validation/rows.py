"""Rows of the table of published results, and which of them say nothing that can be predicted."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hunmin.core.yaml12 import read_yaml

ASSUMPTIONS = Path(__file__).with_name("assumptions.yaml")
_PATTERNS = ("source", "system", "model", "metric")


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        number: Line in the file, from 2.
        fields: Text by column.
    """

    number: int
    fields: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.fields[column]

    @property
    def value(self) -> float:
        """The published number."""
        return float(self["value"])

    @property
    def gpus(self) -> int:
        """Devices of the run."""
        return int(self["n_gpus"])

    def matches(self, patterns: Mapping[str, str]) -> bool:
        """Return whether all patterns, by column, fit."""
        return all(
            fnmatchcase(self[column], patterns[column])
            for column in _PATTERNS
            if column in patterns
        )


@functools.cache
def assumptions() -> Mapping[str, Any]:
    """Read the shapes, rules and reasons that the points rest on."""
    data, _ = read_yaml(ASSUMPTIONS)
    tables: Mapping[str, Any] = data
    return tables


def read_rows(path: Path) -> list[Row]:
    """Read all rows of a table of published results."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return [Row(reader.line_num, fields) for fields in reader]


def find_reason(row: Row, table: str) -> str | None:
    """Return why a row is in a table of `assumptions.yaml` (parts, skipped); None if it is not."""
    entries: list[Mapping[str, str]] = assumptions()[table]
    return next((entry["reason"] for entry in entries if row.matches(entry)), None)
