"""Assemble: documents without duplicates, repeated lines and evaluation items, on their sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.corpus.dedup.lines import RemoveRepeatedLines
from hunmin.corpus.documents import DOCUMENT_SCHEMA, JUDGED_SCHEMA, REJECT_SCHEMA, SPLITS
from hunmin.corpus.kernels import DUPLICATE, splits_of, with_reason, without_reason
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.steps.decisions import apply_decisions, read_decisions
from hunmin.corpus.steps.judge import BATCH_ROWS, JudgedShard
from hunmin.corpus.steps.notes import EVALUATION, EXACT, LINES, NEAR, Notes
from hunmin.corpus.steps.workspace import Facts

REJECTS = "rejects"


@dataclass(frozen=True)
class AssembleTask:
    """A shard, and what the whole corpus says about its documents."""

    shard: JudgedShard
    """Its documents and rejects."""
    decisions: Path | None
    """Its duplicates, if there are any."""
    shown: tuple[int, ...] = ()
    """Addresses of documents whose text the report shows."""
    keeps_lines: bool = False
    """Whether repeated lines stay: a sentence stands beside each of its translations."""


@dataclass(frozen=True)
class AssembleShard:
    """Writes the documents of a shard to their sides of the split."""

    folder: Path
    """Where the files go."""
    spec: str
    """The CorpusSpec as JSON."""
    remove_lines: RemoveRepeatedLines | None
    """Takes repeated lines out, the most frequent of which come first."""
    index: Path | None
    """The index of evaluation items."""

    def __call__(self, name: str, task: AssembleTask) -> Facts:
        """Write the files NAME.SPLIT.parquet of a shard.

        Args:
            name: Of the shard.
            task: The shard and the decisions about it.

        Returns:
            Counts, samples, what was shown, and what is known of groups and languages.
        """
        spec = CorpusSpec.model_validate_json(self.spec)
        notes = Notes(spec.seed, task.shown)
        decisions = read_decisions(task.decisions)
        schemas = dict.fromkeys(SPLITS, DOCUMENT_SCHEMA) | {REJECTS: REJECT_SCHEMA}
        paths = {side: self.folder / f"{name}.{side}.parquet" for side in schemas}
        sides = {side: Side(paths[side], schemas[side]) for side in schemas}
        first = 0
        for batch in _documents(task.shard):
            notes.show(batch, task.shard.number, first)
            batch = apply_decisions(batch, first, decisions)
            first += batch.num_rows
            for side, rows in self._assembled(batch, spec, notes, task.keeps_lines):
                sides[side].write(rows)
        files = {side: found.close() for side, found in sides.items()}
        return notes.facts() | {"files": [side for side, is_there in files.items() if is_there]}

    def _assembled(
        self, batch: pa.RecordBatch, spec: CorpusSpec, notes: Notes, keeps_lines: bool
    ) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield what goes where."""
        kept, dropped = _parted(batch)
        for reason, step in ((DUPLICATE, EXACT), (None, NEAR)):
            is_own = pc.equal(dropped["reason"], DUPLICATE)
            own = dropped.filter(is_own if reason else pc.invert(is_own))
            notes.drop(own, step)
            yield REJECTS, own
        if self.remove_lines is not None and not keeps_lines:
            kept, dropped = _parted(notes.remove_lines(kept, self.remove_lines))
            notes.drop(dropped, LINES)
            yield REJECTS, dropped
        if self.index is not None and spec.decontaminate is not None:
            is_dropping = spec.decontaminate.action == "drop"
            kept, dropped = _parted(notes.find_items(kept, self.index, is_dropping))
            notes.drop(dropped, EVALUATION)
            yield REJECTS, dropped
        documents = without_reason(kept)
        splits = splits_of(
            documents,
            seed=spec.seed,
            validation=spec.validation_fraction,
            test=spec.test_fraction,
        )
        for split in SPLITS:
            own = documents.filter(pc.equal(splits, split))
            count = notes.keep if spec.spoken is None else notes.watch
            count(own, split)
            yield split, own


@dataclass
class Side:
    """A Parquet file of one side that appears when it is closed, and only if it has rows."""

    path: Path
    schema: pa.Schema
    batches: list[pa.RecordBatch] = field(default_factory=list)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows; they are written at the end."""
        if batch.num_rows:
            self.batches.append(batch)

    def close(self) -> bool:
        """Write the file; say whether there is one."""
        if not self.batches:
            self.path.unlink(missing_ok=True)
            return False
        table = pa.Table.from_batches(self.batches, self.schema)
        with atomic_file(self.path) as draft:
            pq.write_table(table, draft, compression="zstd", row_group_size=len(table))
        return True


def _documents(shard: JudgedShard) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(shard.documents) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=JUDGED_SCHEMA)


def _parted(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Documents without a reason, and rejects."""
    return batch.filter(pc.is_null(batch["reason"])), with_reason(batch)
