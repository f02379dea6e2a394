"""How much of each evaluation set stands in a corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.decontamination.search import HIT_SCHEMA

_EXAMPLES = 5


class ContaminationReport:
    """Adds up hits of many batches, in any order.

    Args:
        index: What was looked for.

    Note:
        Memory: one row for each document and item found.
    """

    def __init__(self, index: EvaluationIndex) -> None:
        self._index = index
        self._hits: list[pa.RecordBatch] = []
        self._documents = 0

    def add(self, hits: pa.RecordBatch, documents: int) -> None:
        """Count a batch: the hits that `find_items` returned, and how many documents it saw."""
        self._hits.append(hits)
        self._documents += documents

    def as_json(self) -> dict[str, Any]:
        """Return the counts for a report.

        Returns:
            `documents`, `contaminated_documents`, and for each set its counts of items (see
            SetCounts), `found_items`, `found_share` of the items that can be looked for,
            `contaminated_documents` and some `examples` of a document, an item and the share of
            the item found. The same whatever the order of the batches.
        """
        hits = pa.Table.from_batches(self._hits, schema=HIT_SCHEMA)
        return {
            "documents": self._documents,
            "contaminated_documents": len(hits["id"].unique()),
            "sets": {name: self._of_set(name, hits) for name in self._index.sets},
        }

    def _of_set(self, name: str, hits: pa.Table) -> dict[str, Any]:
        counts = self._index.counts[self._index.sets.index(name)]
        own = hits.filter(pc.equal(hits["set"], name))
        found = len(own["item"].unique())
        own_order = [("share", "descending"), ("id", "ascending"), ("item", "ascending")]
        examples = own.sort_by(own_order).slice(0, _EXAMPLES).drop_columns(["set"])
        return asdict(counts) | {
            "found_items": found,
            "found_share": found / max(counts.whole + counts.runs, 1),
            "contaminated_documents": len(own["id"].unique()),
            "examples": examples.to_pylist(),
        }
