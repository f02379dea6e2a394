"""Counting what was kept and what was dropped, by source and language."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.documents import read_parts

REJECTED = "rejected"


class CorpusStatistics:
    """Documents, characters and UTF-8 bytes by source, language and side of the split."""

    def __init__(self) -> None:
        self._documents: Counter[tuple[str, str, str]] = Counter()
        self._characters: Counter[tuple[str, str, str]] = Counter()
        self._bytes: Counter[tuple[str, str, str]] = Counter()
        self._reasons: Counter[tuple[str, str, str]] = Counter()

    def add(self, batch: pa.RecordBatch, split: str) -> None:
        """Count a batch of documents of one side of the split."""
        texts = batch["text"]
        table = pa.table(
            {
                "source": batch["source"],
                "language": batch["language"],
                "characters": pc.utf8_length(texts),
                "bytes": pc.binary_length(texts),
            }
        )
        totals = table.group_by(["source", "language"]).aggregate(
            [("characters", "sum"), ("bytes", "sum"), ("bytes", "count")]
        )
        for row in totals.to_pylist():
            key = (row["source"], row["language"], split)
            self._documents[key] += row["bytes_count"]
            self._characters[key] += row["characters_sum"]
            self._bytes[key] += row["bytes_sum"]

    def add_rejects(self, batch: pa.RecordBatch) -> None:
        """Count a batch of rejected records by reason."""
        columns = (batch[name].to_pylist() for name in ("source", "language", "reason"))
        self._reasons.update(zip(*columns, strict=True))

    def recount(self, train: Path, validation: Path) -> None:
        """Count the documents again, from what is written."""
        for counter in (self._documents, self._characters, self._bytes):
            counter.clear()
        for folder, split in ((train, "train"), (validation, "validation")):
            for batch in read_parts(folder, ["source", "language", "text"]):
                self.add(batch, split)

    def documents(self, split: str) -> int:
        """Return the number of documents on one side of the split."""
        return sum(count for key, count in self._documents.items() if key[2] == split)

    def reasons(self) -> dict[str, int]:
        """Return the number of rejected records by reason, the commonest first."""
        totals: Counter[str] = Counter()
        for (_, _, reason), count in self._reasons.items():
            totals[reason] += count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    def as_json(self) -> dict[str, Any]:
        """Return everything counted, in a stable order."""
        return {
            "total": self._summary(lambda _source, _language: "all").get("all", {}),
            "rejects": self.reasons(),
            "languages": self._summary(lambda _source, language: language),
            "sources": self._summary(lambda source, _language: source),
        }

    def _summary(self, name_of: Any) -> dict[str, Any]:
        rows: dict[str, dict[str, Any]] = defaultdict(_empty_row)
        for (source, language, split), count in self._documents.items():
            row = rows[name_of(source, language)]
            key = (source, language, split)
            row[f"{split}_documents"] = row.get(f"{split}_documents", 0) + count
            row["documents"] += count
            row["characters"] += self._characters[key]
            row["utf8_bytes"] += self._bytes[key]
        for (source, language, reason), count in self._reasons.items():
            rejects = rows[name_of(source, language)]["rejects"]
            rejects[reason] = rejects.get(reason, 0) + count
        return {name: _ordered(rows[name]) for name in sorted(rows)}


def _empty_row() -> dict[str, Any]:
    return {
        "documents": 0,
        "train_documents": 0,
        "validation_documents": 0,
        "characters": 0,
        "utf8_bytes": 0,
        "rejects": {},
    }


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"rejects": dict(sorted(row["rejects"].items()))}


def readme(statistics: dict[str, Any]) -> str:
    """Write the statistics as a page for people.

    Args:
        statistics: What `CorpusStatistics.as_json` returns.

    Returns:
        Markdown with a table by language, by source and by reason of rejection.
    """
    total = statistics["total"]
    lines = [
        "# Documents",
        "",
        f"{total['documents']:,} documents, {total['characters']:,} characters, "
        f"{total['utf8_bytes']:,} bytes of UTF-8; {total['validation_documents']:,} documents are "
        "held out for validation.",
        "",
        "`train/` and `validation/` hold Parquet parts with the columns id, text, language, "
        "source, license, group and meta; no group is on both sides. `rejects/` holds every "
        "record that was dropped, with its reason.",
        "",
        "## By language",
        "",
        *_table("language", statistics["languages"]),
        "",
        "## By source",
        "",
        *_table("source", statistics["sources"]),
        "",
        "## Dropped",
        "",
    ]
    if statistics["rejects"]:
        lines += ["| reason | records |", "|---|--:|"]
        lines += [f"| {reason} | {count:,} |" for reason, count in statistics["rejects"].items()]
    else:
        lines.append("Nothing.")
    return "\n".join(lines) + "\n"


def _table(title: str, rows: dict[str, Any]) -> list[str]:
    lines = [
        f"| {title} | documents | train | validation | characters | UTF-8 bytes | dropped |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in rows.items():
        numbers = [
            row["documents"],
            row["train_documents"],
            row["validation_documents"],
            row["characters"],
            row["utf8_bytes"],
            sum(row["rejects"].values()),
        ]
        lines.append(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    return lines
