"""Outcome: what the steps of a build leave, put together from what each shard noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.decontamination.report import ContaminationReport
from hunmin.corpus.holdout import HoldoutGuard
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.statistics import cluster_sizes, describe_rejects
from hunmin.corpus.steps.decisions import Decisions
from hunmin.corpus.steps.notes import LINES, MAX_SHOWN_LINES, hits_table
from hunmin.corpus.steps.samples import MAX_CHANGES, Samples
from hunmin.corpus.steps.workspace import Facts
from hunmin.corpus.tally import Tally


@dataclass(frozen=True)
class Outcome:
    """What the steps left."""

    files: Mapping[str, Sequence[Path]]
    """Parquet files by side of the split, and `rejects`."""
    tally: Tally
    """What was counted."""
    samples: dict[str, Any]
    """Examples for people to look at."""
    facts: dict[str, Any]
    """`duplicates`, `lines` and `contamination` of the report."""
    guard: HoldoutGuard
    """What is known of groups and languages."""
    written: Mapping[str, Sequence[Path]]
    """The same files before anything was spoken."""


@dataclass(frozen=True)
class Forms:
    """What speaking left."""

    written: Mapping[str, Sequence[Path]]
    """Files by side of the split before it."""
    spoken: Mapping[str, Facts]
    """What was noted of each shard when it was spoken."""
    kept: Mapping[str, Facts]
    """What was noted of each shard when equal forms were left out."""


@dataclass(frozen=True)
class Found:
    """What the steps found out."""

    judged: Mapping[str, Facts]
    """What was noted of each shard when it was judged."""
    assembled: Mapping[str, Facts]
    """What was noted of each shard when it was assembled."""
    decisions: Decisions
    """About duplicates."""
    lines: pa.Table | None
    """Repeated lines, if they were looked for."""
    index: EvaluationIndex | None
    """Evaluation items, if they were looked for."""
    forms: Forms | None = None
    """Of documents that are spoken, if any are."""

    @property
    def kept(self) -> Mapping[str, Facts]:
        """What was noted of each shard when its documents were counted at last."""
        return self.assembled if self.forms is None else self.forms.kept


def outcome_of(spec: CorpusSpec, files: Mapping[str, Sequence[Path]], found: Found) -> Outcome:
    """Put together what the steps left.

    Args:
        spec: What the recipe asks for.
        files: By side of the split.
        found: What the steps found out.

    Returns:
        The outcome of a build.

    Raises:
        EmptyCorpusError: No document is left.
    """
    notes = [*found.judged.values(), *found.assembled.values()]
    spoken = [*found.forms.spoken.values()] if found.forms is not None else []
    notes += [*found.kept.values()] if found.forms is not None else []
    tally = Tally(note["tally"] for note in [*notes, *spoken])
    if not tally.total("kept documents"):
        raise nothing_left(spec, notes)
    samples = Samples(note["samples"] for note in notes).state()
    if spec.spoken is not None:
        samples["spoken"] = [row for note in spoken for row in note["examples"]][:MAX_CHANGES]
    facts = {
        "duplicates": found.decisions.facts | {"cluster_sizes": cluster_sizes(tally)},
        "lines": _line_facts(tally, found.lines, found.assembled),
        "contamination": _contamination(found.index, found.assembled),
    }
    return Outcome(
        files,
        tally,
        samples | {"duplicates": _shown(found.decisions, found.assembled)},
        {name: value for name, value in facts.items() if value},
        HoldoutGuard(spec.seed, (note["guard"] for note in found.kept.values())),
        files if found.forms is None else found.forms.written,
    )


def nothing_left(spec: CorpusSpec, notes: Iterable[Facts]) -> EmptyCorpusError:
    """Return the error for a corpus of which every record was dropped."""
    tally = Tally(note["tally"] for note in notes)
    return EmptyCorpusError(
        "no document is left",
        where=", ".join(source.source_name for source in spec.sources),
        given=describe_rejects(tally) or "no record at all: the files hold nothing",
        hint="look at the files, at the settings behind the commonest reason (`min_characters`, "
        "`language`, `filters`, …), and at `fields` for JSON, CSV and Parquet",
    )


def _line_facts(
    tally: Tally, lines: pa.Table | None, assembled: Mapping[str, Facts]
) -> dict[str, Any]:
    if lines is None:
        return {}
    examples: dict[str, str] = {}
    for note in assembled.values():
        for line, example in note["lines"].items():
            examples[line] = min(example, examples.get(line, example))
    top = [
        {"documents": row["documents"], "example": examples.get(str(row["line"]), "")}
        for row in lines.slice(0, MAX_SHOWN_LINES).to_pylist()
    ]
    return {
        "lines": len(lines),
        "removed_characters": tally.total("lines removed characters"),
        "documents": tally.total("lines changed documents"),
        "dropped": tally.total("dropped documents", at1=LINES),
        "top": top,
    }


def _contamination(index: EvaluationIndex | None, assembled: Mapping[str, Facts]) -> dict[str, Any]:
    if index is None:
        return {}
    report = ContaminationReport(index)
    for note in assembled.values():
        report.add(hits_table(note["hits"]), note["searched"])
    return report.as_json()


def _shown(decisions: Decisions, assembled: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Size, texts and sources of some clusters; the first text is that of the keeper."""
    known = {at: text for note in assembled.values() for at, text in note["shown"].items()}
    clusters = [(size, [known[str(at)] for at in addresses]) for size, addresses in decisions.shown]
    return [
        {
            "size": size,
            "texts": [text["text"] for text in texts],
            "sources": [text["source"] for text in texts],
        }
        for size, texts in clusters
    ]
