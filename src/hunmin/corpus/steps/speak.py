"""Speak: documents in spoken form, and those that are equal then.

Two passes over the documents of the last step: the first speaks and leaves keys, by which the whole
corpus is compared; the second leaves out what is there twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.corpus.documents import (
    DOCUMENT_SCHEMA,
    JUDGED_SCHEMA,
    REJECT_SCHEMA,
    SPLITS,
    Split,
)
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.kernels import with_reason, without_reason
from hunmin.corpus.spec import CorpusSpec, DeduplicateSpec, SpokenSpec
from hunmin.corpus.spoken import FORM_FIELD, SPOKEN, Flags, SpeakDocuments
from hunmin.corpus.steps.assemble import REJECTS, Side
from hunmin.corpus.steps.decisions import apply_decisions, read_decisions
from hunmin.corpus.steps.duplicates import decide
from hunmin.corpus.steps.judge import BATCH_ROWS, ROW_BITS, JudgedShard, document_keys, key_schema
from hunmin.corpus.steps.notes import SPOKEN_FORM, SPOKEN_TWICE, Notes
from hunmin.corpus.steps.samples import MAX_CHANGES
from hunmin.corpus.steps.workspace import COMPRESSION, Facts, Workspace, run_tasks
from hunmin.corpus.tally import Tally

SPOKEN_SCHEMA = DOCUMENT_SCHEMA.append(FORM_FIELD)
_EXAMPLE_CHARACTERS, _EXAMPLE_ROWS = 400, 1_000


@dataclass(frozen=True)
class SpeakTask:
    """The documents of a shard."""

    number: int
    """Place among all shards."""
    priority: int
    """Of its source."""
    files: Mapping[Split, Path]
    """Parquet files by split, DOCUMENT_SCHEMA."""


def speak_task(shard: JudgedShard, folder: Path, sides: Collection[str]) -> SpeakTask:
    """Return the task of a shard whose documents lie in a folder, of some sides of the split."""
    files = {split: folder / f"{shard.name}.{split}.parquet" for split in SPLITS if split in sides}
    return SpeakTask(shard.number, shard.priority, files)


@dataclass(frozen=True)
class SpeakShard:
    """Gives the documents of a shard their forms."""

    folder: Path
    """Where the files go."""
    spec: str
    """The CorpusSpec as JSON."""
    moved: pa.Array
    """Groups of the training split that will be held out."""

    def __call__(self, name: str, task: SpeakTask) -> Facts:
        """Write NAME.SPLIT.parquet (SPOKEN_SCHEMA) and NAME.keys.parquet.

        Args:
            name: Of the shard.
            task: Its documents.

        Returns:
            Counts, and examples of texts before and after.
        """
        spec = CorpusSpec.model_validate_json(self.spec)
        speaker = SpeakDocuments(spec.spoken or SpokenSpec(), spec.seed)
        tally, examples, rows = Tally(), list[dict[str, Any]](), task.number << ROW_BITS
        with (
            atomic_file(JudgedShard(name, task.number, self.folder).keys) as draft,
            pq.ParquetWriter(draft, key_schema(None), compression="none") as keys,
        ):
            for split, path in task.files.items():
                target = self.folder / f"{name}.{split}.parquet"
                with pq.ParquetWriter(target, SPOKEN_SCHEMA, compression=COMPRESSION) as writer:
                    for batch in _batches(path, DOCUMENT_SCHEMA):
                        spoken = speaker(batch, is_held_out(batch, split, self.moved))
                        writer.write_batch(spoken)
                        keys.write_batch(document_keys(spoken, rows, task.priority, None))
                        rows += spoken.num_rows
                        note_change(tally, batch, spoken)
                        examples += _examples(batch, spoken) if not examples else []
        return {"tally": tally.state(), "examples": examples}


def is_held_out(batch: pa.RecordBatch, split: Split, moved: pa.Array) -> Flags:
    """Say which documents are held out, or will be.

    Args:
        batch: With `group`.
        split: Where the documents are.
        moved: Groups of the training split that will be held out.

    Returns:
        Booleans, shape (documents,).
    """
    if split != "train":
        return np.ones(batch.num_rows, np.bool_)
    flags: Flags = pc.is_in(batch["group"], moved).to_numpy(zero_copy_only=False)
    return flags


def note_change(tally: Tally, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
    """Count the documents that speaking adds and the bytes that it takes, or less than none."""
    documents = after.num_rows - before.num_rows
    sizes = [pc.sum(pc.binary_length(side["text"])).as_py() or 0 for side in (before, after)]
    tally.add("added documents", SPOKEN_FORM, number=documents)
    tally.add("removed bytes", SPOKEN_FORM, number=sizes[0] - sizes[1])


def _examples(before: pa.RecordBatch, after: pa.RecordBatch) -> list[dict[str, Any]]:
    """The first spoken document of each language beside what was written."""
    spoken = after.filter(pc.equal(after["form"], SPOKEN)).slice(0, _EXAMPLE_ROWS).to_pylist()
    first = {row["language"]: row for row in reversed(spoken)}
    return [_example(first[language], before) for language in sorted(first)[:MAX_CHANGES]]


def _example(row: Mapping[str, Any], before: pa.RecordBatch) -> dict[str, Any]:
    at = pc.index(before["id"], json.loads(row["meta"])["written_id"]).as_py()
    texts = {"before": before["text"][at].as_py(), "after": row["text"]}
    known = {name: row[name] for name in ("id", "source", "language")}
    return known | {name: text[:_EXAMPLE_CHARACTERS] for name, text in texts.items()}


@dataclass(frozen=True)
class KeepTask:
    """The documents of a shard in their forms, and which of them are there already."""

    files: Mapping[Split, Path]
    """Parquet files by split, SPOKEN_SCHEMA."""
    decisions: Path | None
    """Its duplicates, if there are any."""


@dataclass(frozen=True)
class KeepShard:
    """Leaves out the documents of a shard that are there twice now."""

    folder: Path
    """Where the files go."""
    seed: int
    """Of the split."""
    moved: pa.Array
    """Groups of the training split that will be held out."""

    def __call__(self, name: str, task: KeepTask) -> Facts:
        """Write the files NAME.SPLIT.parquet of a shard.

        Args:
            name: Of the shard.
            task: Its documents and the decisions about them.

        Returns:
            Counts, samples, and what is known of groups and languages.
        """
        notes, decisions, first = Notes(self.seed, ()), read_decisions(task.decisions), 0
        rejects = Side(self.folder / f"{name}.{REJECTS}.parquet", REJECT_SCHEMA)
        files: list[str] = []
        for split, path in task.files.items():
            kept = Side(self.folder / f"{name}.{split}.parquet", DOCUMENT_SCHEMA)
            for spoken in _batches(path, SPOKEN_SCHEMA):
                batch = _decided(spoken, first, decisions)
                first += batch.num_rows
                twice = with_reason(batch)
                notes.drop(twice, SPOKEN_TWICE)
                rejects.write(twice)
                own = without_reason(batch)
                kept.write(own)
                notes.keep(own, split)
                forms = self._with_split(spoken, split).filter(pc.is_null(batch["reason"]))
                notes.keep_forms(forms)
            files += [split] if kept.close() else []
        files += [REJECTS] if rejects.close() else []
        return notes.facts() | {"files": files}

    def _with_split(self, batch: pa.RecordBatch, split: Split) -> pa.RecordBatch:
        later = "validation" if split == "train" else split
        sides = np.where(is_held_out(batch, split, self.moved), later, split)
        return batch.append_column("split", pa.array(sides.tolist(), pa.string()))


def _decided(spoken: pa.RecordBatch, first: int, decisions: pa.Table) -> pa.RecordBatch:
    """JUDGED_SCHEMA; a document also stands for those that it stood for before."""
    columns = [spoken[name] for name in DOCUMENT_SCHEMA.names]
    nothing = pa.nulls(spoken.num_rows, pa.string())
    batch = pa.RecordBatch.from_arrays([*columns, nothing], schema=JUDGED_SCHEMA)
    batch = apply_decisions(batch, first, decisions)
    index = batch.schema.get_field_index("copies")
    copies = pc.max_element_wise(batch["copies"], spoken["copies"])
    return batch.set_column(index, batch.schema.field(index), copies)


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def speak_documents(
    spec: CorpusSpec,
    tasks: Mapping[str, SpeakTask],
    moved: Sequence[str],
    workspace: Workspace,
    engines: tuple[Engine, Engine | None],
) -> tuple[dict[str, Facts], dict[str, Facts]]:
    """Give all documents their forms.

    Args:
        spec: What the recipe asks for.
        tasks: The documents of each shard, by its name.
        moved: Groups of the training split that will be held out.
        workspace: Where the steps keep their work; the files are those of the step `keep`.
        engines: What finds equal texts, and where the shards are done; None for this process.

    Returns:
        What was noted of each shard when it was spoken, and when what is equal was left out.
    """
    spoken_in, kept_in = workspace.step("speak"), workspace.step("keep")
    (engine, tasks_on), groups = engines, pa.array(moved, pa.string())
    speak = SpeakShard(spoken_in, spec.model_dump_json(), groups)
    spoken = run_tasks(speak, tasks, spoken_in, tasks_on, title="writing spoken forms")
    shards = [JudgedShard(name, task.number, spoken_in) for name, task in tasks.items()]
    again = DeduplicateSpec(exact=spec.deduplicate.exact)
    decisions = decide(shards, again, workspace.step("spoken-duplicates"), engine)
    todo = {
        shard.name: KeepTask(
            {split: spoken_in / path.name for split, path in tasks[shard.name].files.items()},
            decisions.of(shard),
        )
        for shard in shards
    }
    title = "keeping one of equal forms"
    keep = KeepShard(kept_in, spec.seed, groups)
    return spoken, run_tasks(keep, todo, kept_in, tasks_on, title=title)
