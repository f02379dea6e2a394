"""Run: all steps over one workspace, from sources to the files of an artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.decontamination.report import ContaminationReport
from hunmin.corpus.dedup.lines import RemoveRepeatedLines
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.holdout import HoldoutGuard
from hunmin.corpus.sources.registry import open_source
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.statistics import cluster_sizes, describe_rejects
from hunmin.corpus.steps.assemble import REJECTS, AssembleShard, AssembleTask
from hunmin.corpus.steps.chain import chain_of
from hunmin.corpus.steps.decisions import Decisions
from hunmin.corpus.steps.duplicates import decide
from hunmin.corpus.steps.evaluation import index_evaluation_sets
from hunmin.corpus.steps.judge import JudgedShard, JudgeShard
from hunmin.corpus.steps.lines import find_repeated_lines, rule_of
from hunmin.corpus.steps.notes import LINES, MAX_SHOWN_LINES, hits_table
from hunmin.corpus.steps.read import RecordShard, read_sources
from hunmin.corpus.steps.samples import Samples
from hunmin.corpus.steps.workspace import Facts, Workspace, run_tasks
from hunmin.corpus.tally import Tally

# Less than this is judged sooner than other processes have started.
_WORTH_PROCESSES = 1 << 25


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


def run_steps(spec: CorpusSpec, workspace: Workspace, engine: Engine) -> Outcome:
    """Do all steps that are not done yet.

    Args:
        spec: What the recipe asks for.
        workspace: With what an interrupted run has left.
        engine: Where the work runs.

    Returns:
        The files to make an artifact of.

    Raises:
        EmptyCorpusError: No document is left.
        InputError: A source, a file or a setting cannot be used.
    """
    return _Steps(spec, workspace, engine).run()


class _Steps:
    def __init__(self, spec: CorpusSpec, workspace: Workspace, engine: Engine) -> None:
        self._spec, self._workspace, self._engine = spec, workspace, engine
        self._json = spec.model_dump_json()
        self._index_path = workspace.path / "evaluation-index"
        self._tasks_on: Engine | None = engine

    def run(self) -> Outcome:
        spec, step = self._spec, self._workspace.step
        readers = [(place, open_source(each, spec)) for place, each in enumerate(spec.sources)]
        for place in range(len(spec.sources)):
            chain_of(self._json, place)
        index = self._evaluation_index()
        records = read_sources(readers, step("read"), self._engine)
        if sum(shard.bytes for shard in records) < _WORTH_PROCESSES:
            self._tasks_on = None
        judged, notes = self._judge(records)
        shards = [shard for shard in judged if notes[shard.name]["documents"]]
        if not shards:
            raise _nothing_left(spec, Tally(note["tally"] for note in notes.values()))
        decisions = decide(shards, spec.deduplicate, step("duplicates"), self._engine)
        lines = self._repeated_lines(shards, decisions)
        assembled = self._assemble(shards, decisions, lines)
        tally = Tally(note["tally"] for note in [*notes.values(), *assembled.values()])
        if not tally.total("kept documents"):
            raise _nothing_left(spec, tally)
        samples = Samples(note["samples"] for note in [*notes.values(), *assembled.values()])
        facts = {
            "duplicates": decisions.facts | {"cluster_sizes": cluster_sizes(tally)},
            "lines": _line_facts(tally, lines, assembled),
            "contamination": _contamination(index, assembled),
        }
        return Outcome(
            self._files(judged, assembled),
            tally,
            samples.state() | {"duplicates": _shown(decisions, assembled)},
            {name: value for name, value in facts.items() if value},
            HoldoutGuard(spec.seed, (note["guard"] for note in assembled.values())),
        )

    def _evaluation_index(self) -> EvaluationIndex | None:
        if self._spec.decontaminate is None:
            return None
        return index_evaluation_sets(self._spec.decontaminate, self._index_path)

    def _judge(self, records: Sequence[RecordShard]) -> tuple[list[JudgedShard], dict[str, Facts]]:
        folder = self._workspace.step("judge")
        tasks = {shard.name: (number, shard) for number, shard in enumerate(records)}
        work = JudgeShard(folder, self._json)
        notes = run_tasks(work, tasks, folder, self._tasks_on, title="judging documents")
        return [JudgedShard(name, number, folder) for number, name in enumerate(tasks)], notes

    def _repeated_lines(
        self, shards: Sequence[JudgedShard], decisions: Decisions
    ) -> pa.Table | None:
        spec = self._spec.deduplicate.lines
        if spec is None:
            return None
        folder = self._workspace.step("lines")
        return find_repeated_lines(shards, decisions, spec, folder, self._tasks_on)

    def _assemble(
        self, shards: Sequence[JudgedShard], decisions: Decisions, lines: pa.Table | None
    ) -> dict[str, Facts]:
        folder = self._workspace.step("assemble")
        index = self._index_path if self._spec.decontaminate is not None else None
        work = AssembleShard(folder, self._json, self._remover(lines), index)
        shown = tuple(address for _, addresses in decisions.shown for address in addresses)
        tasks = {shard.name: AssembleTask(shard, decisions.of(shard), shown) for shard in shards}
        return run_tasks(work, tasks, folder, self._tasks_on, title="putting documents together")

    def _remover(self, lines: pa.Table | None) -> RemoveRepeatedLines | None:
        spec = self._spec.deduplicate.lines
        if lines is None or spec is None:
            return None
        return RemoveRepeatedLines(lines["line"].to_numpy(), rule_of(spec))

    def _files(
        self, judged: Sequence[JudgedShard], assembled: Mapping[str, Facts]
    ) -> dict[str, list[Path]]:
        folder = self._workspace.step("assemble")
        files: dict[str, list[Path]] = {side: [] for side in (*SPLITS, REJECTS)}
        for shard in judged:
            files[REJECTS].append(shard.rejects)
            for side in assembled.get(shard.name, {"files": ()})["files"]:
                files[side].append(folder / f"{shard.name}.{side}.parquet")
        return files


def _nothing_left(spec: CorpusSpec, tally: Tally) -> EmptyCorpusError:
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
