"""Lines: which lines stand in too many of the documents that are kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.corpus.dedup.lines import (
    LINE_COUNT_SCHEMA,
    LineRule,
    line_counts,
    merge_line_counts,
    repeated_lines,
)
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.spec import RepeatedLinesSpec
from hunmin.corpus.steps.decisions import Decisions, read_decisions, stays
from hunmin.corpus.steps.judge import BATCH_ROWS, JudgedShard
from hunmin.corpus.steps.workspace import Facts, run_tasks

_LINES_AT_ONCE = 1 << 23


def rule_of(spec: RepeatedLinesSpec) -> LineRule:
    """Return the rule of a recipe."""
    return LineRule(spec.unit, spec.max_documents, spec.min_letters, spec.min_share_left)


@dataclass(frozen=True)
class CountLines:
    """Counts the lines of the documents of a shard that are kept."""

    folder: Path
    """Where the counts go."""
    rule: LineRule
    """What a line is."""

    def __call__(self, name: str, task: tuple[JudgedShard, Path | None]) -> Facts:
        """Write the counts of a shard, sorted by the lines' hashes.

        Args:
            name: Of the shard.
            task: The shard, and the decisions about it.

        Returns:
            The number of different lines.
        """
        shard, decisions = task
        counts = merge_line_counts(
            line_counts(batch, self.rule) for batch in kept_batches(shard, decisions)
        )
        for column in LINE_COUNT_SCHEMA.names:
            with (
                atomic_file(self.folder / f"{name}.{column}.npy") as draft,
                draft.open("wb") as file,
            ):
                np.save(file, counts[column].to_numpy())
        return {"lines": counts.num_rows}


def kept_batches(shard: JudgedShard, decisions: Path | None) -> Iterator[pa.RecordBatch]:
    """Yield the documents of a shard that are no duplicates."""
    known = read_decisions(decisions)
    first = 0
    with pq.ParquetFile(shard.documents) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield stays(batch, first, known)
            first += batch.num_rows


def find_repeated_lines(
    shards: Sequence[JudgedShard],
    decisions: Decisions,
    spec: RepeatedLinesSpec,
    folder: Path,
    engine: Engine | None,
) -> pa.Table:
    """Find the lines that stand in too many documents.

    Args:
        shards: With their documents.
        decisions: Whom to leave out: the lines of duplicates would count twice.
        spec: How many documents are too many.
        folder: Of the step.
        engine: Where shards are counted; None for this process.

    Returns:
        LINE_COUNT_SCHEMA, the most frequent first.

    Note:
        Memory: 32 bytes for each of 8 million lines at a time, and the result.
    """
    rule = rule_of(spec)
    tasks = {shard.name: (shard, decisions.of(shard)) for shard in shards}
    facts = run_tasks(CountLines(folder, rule), tasks, folder, engine, title="counting lines")
    total = sum(found["lines"] for found in facts.values())
    ranges = _ranges(-(-total // _LINES_AT_ONCE))
    found = [repeated_lines(_merged(facts, folder, *limits), rule) for limits in ranges]
    order = [("documents", "descending"), ("line", "ascending")]
    return pa.concat_tables(found or [LINE_COUNT_SCHEMA.empty_table()]).sort_by(order)


def _ranges(number: int) -> list[tuple[int, int]]:
    """Divide all hashes into ranges, last ones included."""
    edges = [place * 2**64 // max(number, 1) for place in range(number + 1)]
    return [(start, end - 1) for start, end in itertools.pairwise(edges)]


def _merged(names: Mapping[str, Facts], folder: Path, first: int, last: int) -> pa.Table:
    """The counts of the lines of a range, over all shards."""
    parts = []
    for name in names:
        lines: npt.NDArray[np.uint64] = np.load(folder / f"{name}.line.npy", mmap_mode="r")
        start = int(np.searchsorted(lines, np.uint64(first)))
        end = int(np.searchsorted(lines, np.uint64(last), side="right"))
        counts = np.load(folder / f"{name}.documents.npy", mmap_mode="r")
        columns = [pa.array(np.array(lines[start:end])), pa.array(np.array(counts[start:end]))]
        parts.append(pa.Table.from_arrays(columns, schema=LINE_COUNT_SCHEMA))
    return merge_line_counts(parts)
