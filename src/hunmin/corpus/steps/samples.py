"""Samples of what happened to documents, for people to look at."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_REJECTS, MAX_CHANGES = 5, 12
# Of one batch, so that the samples are of many kinds.
MAX_CHANGES_OF_BATCH = 2
_REJECT_CHARACTERS, _CHANGE_CHARACTERS, _BEFORE_CHANGE = 400, 400, 60
_NAMES = ("id", "source", "language")


class Samples:
    """The first few of each kind, in the order of the documents.

    Args:
        states: What `state` returned for parts of the corpus, in their order.
    """

    def __init__(self, states: Iterable[Mapping[str, Any]] = ()) -> None:
        self._rejected: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._changed: list[dict[str, Any]] = []
        for state in states:
            for reason, rows in state["rejected"].items():
                self._add_reject(reason, rows)
            self._add_changes(state["changed"])

    def state(self) -> dict[str, Any]:
        """Return the samples as JSON."""
        return {"rejected": dict(sorted(self._rejected.items())), "changed": self._changed}

    def add_rejects(self, rejects: pa.RecordBatch) -> None:
        """Keep the first rejects of each reason; REJECT_SCHEMA."""
        for reason in pc.unique(rejects["reason"]).to_pylist():
            if len(self._rejected[reason]) < MAX_REJECTS:
                own = rejects.filter(pc.equal(rejects["reason"], reason)).slice(0, MAX_REJECTS)
                self._add_reject(reason, map(_reject, own.to_pylist()))

    def _add_reject(self, reason: str, rows: Iterable[dict[str, Any]]) -> None:
        kept = self._rejected[reason]
        kept += itertools.islice(rows, MAX_REJECTS - len(kept))

    def add_changes(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """Keep the first documents whose text was changed.

        Args:
            before: With `text`.
            after: The same documents now, with `text`, `id`, `source` and `language`.
        """
        self._add_changes(map(_change, before["text"].to_pylist(), after.to_pylist()))

    def _add_changes(self, rows: Iterable[dict[str, Any]]) -> None:
        self._changed += itertools.islice(rows, MAX_CHANGES - len(self._changed))


def _reject(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: row[name] for name in _NAMES}
    return names | {"text": row["text"][:_REJECT_CHARACTERS], "note": row["meta"][:200]}


def _change(before: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Show the surroundings of the first change."""
    after = row["text"]
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))
    start = max(0, sum(1 for _ in same) - _BEFORE_CHANGE)
    cut = slice(start, start + _CHANGE_CHARACTERS)
    return {name: row[name] for name in _NAMES} | {"before": before[cut], "after": after[cut]}
