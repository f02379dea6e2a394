"""Run: all steps over one workspace, from sources to the files of an artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from hunmin.corpus.decontamination.index import EvaluationIndex
from hunmin.corpus.dedup.lines import RemoveRepeatedLines
from hunmin.corpus.documents import SPLITS
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.holdout import HoldoutGuard
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.registry import open_source
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.spoken import check_numbers
from hunmin.corpus.steps.assemble import REJECTS, AssembleShard, AssembleTask
from hunmin.corpus.steps.chain import chain_of
from hunmin.corpus.steps.decisions import Decisions
from hunmin.corpus.steps.duplicates import decide
from hunmin.corpus.steps.evaluation import index_evaluation_sets
from hunmin.corpus.steps.judge import JudgedShard, JudgeShard
from hunmin.corpus.steps.lines import find_repeated_lines, rule_of
from hunmin.corpus.steps.outcome import Forms, Found, Outcome, nothing_left, outcome_of
from hunmin.corpus.steps.read import RecordShard, read_sources
from hunmin.corpus.steps.speak import speak_documents, speak_task
from hunmin.corpus.steps.workspace import Facts, Workspace, run_tasks

# Less than this is judged sooner than other processes have started.
_WORTH_PROCESSES = 1 << 25


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
        readers = self._open()
        index = self._evaluation_index()
        records = read_sources(readers, self._workspace.step("read"), self._engine)
        if sum(shard.bytes for shard in records) < _WORTH_PROCESSES:
            self._tasks_on = None
        judged, notes = self._judge(records)
        shards = [shard for shard in judged if notes[shard.name]["documents"]]
        if not shards:
            raise nothing_left(self._spec, notes.values())
        folder = self._workspace.step("duplicates")
        decisions = decide(shards, self._spec.deduplicate, folder, self._engine)
        lines = self._repeated_lines(shards, decisions)
        assembled = self._assemble(shards, decisions, lines)
        written = self._files(judged, assembled)
        if self._spec.spoken is None:
            return outcome_of(self._spec, written, Found(notes, assembled, decisions, lines, index))
        spoken, kept = self._speak(shards, assembled)
        files = self._spoken_files(written, kept)
        found = Found(notes, assembled, decisions, lines, index, Forms(written, spoken, kept))
        return outcome_of(self._spec, files, found)

    def _open(self) -> list[tuple[int, SourceReader]]:
        """Open all sources and load all kernels: what is missing is told before any work."""
        for place in range(len(self._spec.sources)):
            chain_of(self._json, place)
        if self._spec.spoken is not None:
            check_numbers(self._spec.sources)
        sources = enumerate(self._spec.sources)
        return [(place, open_source(source, self._spec)) for place, source in sources]

    def _evaluation_index(self) -> EvaluationIndex | None:
        if self._spec.decontaminate is None:
            return None
        return index_evaluation_sets(self._spec.decontaminate, self._index_path)

    def _judge(self, records: Sequence[RecordShard]) -> tuple[list[JudgedShard], dict[str, Facts]]:
        folder = self._workspace.step("judge")
        tasks = {shard.name: (number, shard) for number, shard in enumerate(records)}
        work = JudgeShard(folder, self._json)
        notes = run_tasks(work, tasks, folder, self._tasks_on, title="judging documents")
        shards = [
            JudgedShard(name, number, folder, shard.priority)
            for name, (number, shard) in tasks.items()
        ]
        return shards, notes

    def _repeated_lines(
        self, shards: Sequence[JudgedShard], decisions: Decisions
    ) -> pa.Table | None:
        spec = self._spec.deduplicate.lines
        if spec is None:
            return None
        folder = self._workspace.step("lines")
        texts = [shard for shard in shards if not self._has_pairs(shard)]
        return find_repeated_lines(texts, decisions, spec, folder, self._tasks_on)

    def _has_pairs(self, shard: JudgedShard) -> bool:
        return self._spec.sources[shard.priority].kind == "parallel"

    def _assemble(
        self, shards: Sequence[JudgedShard], decisions: Decisions, lines: pa.Table | None
    ) -> dict[str, Facts]:
        folder = self._workspace.step("assemble")
        index = self._index_path if self._spec.decontaminate is not None else None
        work = AssembleShard(folder, self._json, self._remover(lines), index)
        shown = tuple(address for _, addresses in decisions.shown for address in addresses)
        tasks = {
            shard.name: AssembleTask(shard, decisions.of(shard), shown, self._has_pairs(shard))
            for shard in shards
        }
        return run_tasks(work, tasks, folder, self._tasks_on, title="putting documents together")

    def _remover(self, lines: pa.Table | None) -> RemoveRepeatedLines | None:
        spec = self._spec.deduplicate.lines
        if lines is None or spec is None:
            return None
        return RemoveRepeatedLines(lines["line"].to_numpy(), rule_of(spec))

    def _speak(
        self, shards: Sequence[JudgedShard], assembled: Mapping[str, Facts]
    ) -> tuple[dict[str, Facts], dict[str, Facts]]:
        folder = self._workspace.step("assemble")
        tasks = {
            shard.name: speak_task(shard, folder, assembled[shard.name]["files"])
            for shard in shards
        }
        guard = HoldoutGuard(self._spec.seed, (facts["guard"] for facts in assembled.values()))
        moved = guard.groups_to_move() if self._spec.validation_fraction > 0 else []
        engines = (self._engine, self._tasks_on)
        return speak_documents(self._spec, tasks, moved, self._workspace, engines)

    def _spoken_files(
        self, written: Mapping[str, Sequence[Path]], kept: Mapping[str, Facts]
    ) -> dict[str, list[Path]]:
        folder = self._workspace.step("keep")
        files: dict[str, list[Path]] = {side: [] for side in SPLITS} | {
            REJECTS: list(written[REJECTS])
        }
        for name, facts in kept.items():
            for side in facts["files"]:
                files[side].append(folder / f"{name}.{side}.parquet")
        return files

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
