"""Evaluation items in documents that exist already: what a model may have seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.artifact import Artifact, check_output, write_artifact
from hunmin.core.errors import ArtifactKindError, EmptyCorpusError
from hunmin.core.progress import ProgressBar, progress
from hunmin.corpus.decontamination.excerpt import excerpt
from hunmin.corpus.decontamination.index import ContaminationRule, EvaluationIndex, build_index
from hunmin.corpus.decontamination.report import ContaminationReport
from hunmin.corpus.decontamination.search import find_items
from hunmin.corpus.decontamination.sets import EvaluationSets
from hunmin.corpus.documents import SPLITS, Split, part_paths, read_documents
from hunmin.corpus.privacy.mask import masker_for
from hunmin.corpus.privacy.spec import PrivacySpec

CHECK_KIND = "report"
FOUND_NAME = "found.jsonl"
_COLUMNS = ("id", "text", "source")
_MAX_FOUND = 200_000


class Found(NamedTuple):
    """An item in a document."""

    set: str
    """Name of the set."""
    item: str
    """Name of the item."""
    item_text: str
    """Its text."""
    share: float
    """Share of the item that stands in the document, in runs of characters."""
    document: str
    """Id of the document."""
    source: str
    """Source of the document."""
    excerpt: str
    """The document around the item, personal data masked."""


@dataclass(frozen=True)
class Check:
    """What was found."""

    documents: tuple[str, ...]
    """Paths of the documents artifacts."""
    splits: tuple[Split, ...]
    """What was looked through of them."""
    counts: Mapping[str, Any]
    """See `ContaminationReport.as_json`; without its examples."""
    sources: Mapping[str, Mapping[str, int]]
    """Documents that hold items, by set and source."""
    found: tuple[Found, ...]
    """Every item and document, the surest first; of a great many the first 200,000."""

    @property
    def num_found_items(self) -> int:
        """Different items found, over all sets."""
        return sum(row["found_items"] for row in self.counts["sets"].values())

    def as_json(self, examples: int) -> dict[str, Any]:
        """Return plain values.

        Args:
            examples: Documents to tell of each set.

        Returns:
            Counts, and some of what was found.
        """
        return {
            "looked_through": list(self.documents),
            "splits": list(self.splits),
            **self.counts,
            "sources": {name: dict(row) for name, row in self.sources.items()},
            "examples": [found._asdict() for found in self.examples(examples)],
        }

    def examples(self, number: int) -> list[Found]:
        """Return the surest finds of each set, each item once."""
        seen: set[tuple[str, str]] = set()
        counts: Counter[str] = Counter()
        chosen = []
        for found in self.found:
            if (found.set, found.item) not in seen and counts[found.set] < number:
                seen.add((found.set, found.item))
                counts[found.set] += 1
                chosen.append(found)
        return chosen


def check_documents(
    documents: Sequence[Artifact],
    sets: EvaluationSets,
    *,
    splits: Sequence[Split] = ("train",),
    min_share: float | None = None,
) -> Check:
    """Look evaluation items up in documents.

    Args:
        documents: Documents artifacts.
        sets: What to look for.
        splits: Splits to look through.
        min_share: Share of an item that must stand in a document; by default what the recipe of
            the sets says, or 0.3.

    Returns:
        What was found, the same as decontamination in a build would find.

    Raises:
        EmptyCorpusError: The splits hold no document.
        InputError: There is nothing to look for.
    """
    share = min_share or sets.min_share or ContaminationRule().min_share
    index = build_index(sets.items, ContaminationRule(min_share=share))
    report, found = ContaminationReport(index), list[Found]()
    parts = [(artifact, split) for artifact in documents for split in splits]
    total = sum(_num_rows(artifact, split) for artifact, split in parts)
    if not total:
        raise EmptyCorpusError(
            f"there is no document in {' and '.join(splits)}",
            where=", ".join(str(artifact.path) for artifact in documents),
            allowed=f"a split that holds some, of {', '.join(SPLITS)}",
        )
    with progress("looking through documents", total=total, unit="documents") as bar:
        for artifact, split in parts:
            for batch in _batches(artifact, split, bar):
                found += _in_batch(batch, index, sets, report, room=_MAX_FOUND - len(found))
    found.sort(key=lambda hit: (hit.set, -hit.share, hit.item, hit.document))
    counts = report.as_json()
    for row in counts["sets"].values():
        del row["examples"]
    paths = tuple(str(artifact.path) for artifact in documents)
    return Check(paths, tuple(splits), counts, _by_source(found), tuple(found))


def _num_rows(artifact: Artifact, split: Split) -> int:
    parts = part_paths(artifact.path / split)
    return sum(int(pq.read_metadata(part).num_rows) for part in parts)


def _batches(artifact: Artifact, split: Split, bar: ProgressBar) -> Iterator[pa.RecordBatch]:
    for batch in read_documents(artifact, split, _COLUMNS):
        yield batch
        bar.advance(batch.num_rows)


def _in_batch(
    batch: pa.RecordBatch,
    index: EvaluationIndex,
    sets: EvaluationSets,
    report: ContaminationReport,
    *,
    room: int,
) -> list[Found]:
    hits = find_items(batch.select(["id", "text"]), index)
    report.add(hits, batch.num_rows)
    hits = hits.slice(0, max(0, room))
    rows = pc.index_in(hits["id"], batch["id"])
    texts, sources = batch["text"].take(rows).to_pylist(), batch["source"].take(rows).to_pylist()
    return [
        _found(hit, sets.items[hit["set"]][hit["item"]], text, source)
        for hit, text, source in zip(hits.to_pylist(), texts, sources, strict=True)
    ]


def _found(hit: Mapping[str, Any], item: str, text: str, source: str) -> Found:
    shown, _ = masker_for(PrivacySpec()).mask(excerpt(text, item))
    share = round(hit["share"], 3)
    return Found(hit["set"], hit["item"], item, share, hit["id"], source, shown)


def _by_source(found: Sequence[Found]) -> dict[str, dict[str, int]]:
    pairs = {(hit.set, hit.source, hit.document) for hit in found}
    counts = Counter((name, source) for name, source, _ in pairs)
    table: dict[str, dict[str, int]] = {}
    for (name, source), number in sorted(counts.items()):
        table.setdefault(name, {})[source] = number
    return table


def check_report_folder(folder: Path, inputs: Sequence[Artifact]) -> None:
    """Refuse, before any work, a folder whose content a report would replace.

    Args:
        folder: Where the report goes.
        inputs: What is looked through.

    Raises:
        ArtifactKindError: Something that is no report is there.
        InputError: The folder is one of the inputs.
    """
    if not folder.name:
        raise ArtifactKindError(
            "the folder that this runs in cannot be replaced",
            where=folder,
            hint="name a new folder, such as runs/NAME/check",
        )
    check_output(folder, CHECK_KIND, inputs)


def write_check(
    check: Check, folder: Path, report: str, *, inputs: Sequence[Artifact], asked: Any
) -> None:
    """Write report.md, report.json and found.jsonl as an artifact.

    Args:
        check: What was found.
        folder: Where; an older report there is replaced.
        report: Content of report.md.
        inputs: What was looked through.
        asked: The sets as the user named them, for the manifest.
    """
    recipe = {"check": {"sets": asked, "splits": list(check.splits)}}
    with write_artifact(folder, CHECK_KIND, recipe=recipe, inputs=inputs) as draft:
        (draft.path / "report.md").write_text(report, encoding="utf-8")
        numbers = json.dumps(check.as_json(10), ensure_ascii=False, indent=2)
        (draft.path / "report.json").write_text(numbers + "\n", encoding="utf-8")
        with (draft.path / FOUND_NAME).open("w", encoding="utf-8") as file:
            for found in check.found:
                file.write(json.dumps(found._asdict(), ensure_ascii=False) + "\n")
        draft.facts = {
            "documents": check.counts["documents"],
            "contaminated_documents": check.counts["contaminated_documents"],
            "found_items": check.num_found_items,
        }
