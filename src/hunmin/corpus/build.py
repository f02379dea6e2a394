"""From sources to a documents artifact: read, normalise, judge, de-duplicate, split, write."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.corpus.documents import DOCUMENT_SCHEMA, DOCUMENTS_KIND, REJECT_SCHEMA
from hunmin.corpus.holdout import HoldoutGuard, single_group_error
from hunmin.corpus.kernels import (
    ExactDeduplicator,
    UniqueIds,
    identify,
    is_validation,
    normalize_text,
    reject_unusable,
    with_reason,
    without_reason,
)
from hunmin.corpus.parts import PartWriter, move_groups
from hunmin.corpus.sources.home.massive import write_massive
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.registry import open_source
from hunmin.corpus.spec import CorpusSpec
from hunmin.corpus.statistics import CorpusStatistics, readme

logger = get_logger(__name__)


def build_corpus(
    spec: CorpusSpec, output: Path, *, recipe: Mapping[str, Any] | None = None
) -> Artifact:
    """Make a documents artifact.

    Args:
        spec: What is read, dropped and held out.
        output: Folder of the artifact; an older one there is replaced.
        recipe: What the manifest records; the spec itself by default.

    Returns:
        The artifact: train, validation, rejects, statistics.json and README.md, and
        massive/LOCALE.jsonl if there is a home-assistant source.

    Raises:
        MissingInputError: A path does not exist.
        TextEncodingError: A file is not text, or in no known encoding.
        EmptyCorpusError: No document is left, or none can be held out.
        InputError: A file or a field is not what the recipe says.

    Note:
        Streams: holds one hash for each document and a few batches. The same input gives the
        same bytes.
    """
    readers = [open_source(source, spec) for source in spec.sources]
    content = dict(recipe) if recipe is not None else spec.model_dump(mode="json")
    with write_artifact(output, DOCUMENTS_KIND, recipe=content) as draft:
        with CorpusWriter(spec, draft.path) as writer:
            for reader in readers:
                _read(reader, writer)
        draft.facts = writer.finish()
        if any(source.kind == "home-assistant" for source in spec.sources):
            write_massive(draft.path)
    return load_artifact(output, DOCUMENTS_KIND, verify=False)


def _read(reader: SourceReader, writer: CorpusWriter) -> None:
    with progress(f"reading {reader.name}", total=reader.total, unit=reader.unit) as bar:
        for batch in reader.batches(bar.advance):
            writer.add(batch)
            bar.advance(0, documents=f"{writer.num_documents:,}")


class CorpusWriter:
    """The part after the sources: judges records and writes them where they belong.

    Args:
        spec: What is dropped and held out.
        folder: The artifact's draft.
    """

    def __init__(self, spec: CorpusSpec, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self._spec, self._folder = spec, folder
        self._statistics = CorpusStatistics()
        self._guard = HoldoutGuard(spec.seed)
        self._deduplicate = ExactDeduplicator() if spec.deduplicate else None
        self._make_ids_unique = UniqueIds()
        self._train = self._writer("train", DOCUMENT_SCHEMA)
        self._validation = self._writer("validation", DOCUMENT_SCHEMA)
        self._rejects = self._writer("rejects", REJECT_SCHEMA)
        self.num_documents = 0

    def _writer(self, name: str, schema: pa.Schema) -> PartWriter:
        return self._stack.enter_context(PartWriter(self._folder / name, schema))

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, records: pa.RecordBatch) -> None:
        """Judge a batch of RECORD_SCHEMA and write every record to its side."""
        batch = reject_unusable(normalize_text(records), min_characters=self._spec.min_characters)
        batch = identify(batch)
        if self._deduplicate is not None:
            batch = self._deduplicate(batch)
        rejects = with_reason(batch)
        self._rejects.write(rejects)
        self._statistics.add_rejects(rejects)
        self._split(self._make_ids_unique(without_reason(batch)))

    def _split(self, documents: pa.RecordBatch) -> None:
        held_out = is_validation(
            documents, seed=self._spec.seed, fraction=self._spec.validation_fraction
        )
        validation = documents.filter(held_out)
        train = documents.filter(pc.invert(held_out))
        self._validation.write(validation)
        self._train.write(train)
        self._guard.add_validation(validation)
        self._guard.add_train(train)
        self.num_documents += documents.num_rows
        for batch, split in ((train, "train"), (validation, "validation")):
            self._statistics.add(batch, split)

    def finish(self) -> dict[str, Any]:
        """Check what came out and write the statistics; call it after the parts are closed.

        Returns:
            The statistics, for the manifest.

        Raises:
            EmptyCorpusError: No document is left, or none can be held out.
        """
        if self.num_documents == 0:
            raise self._empty()
        if self._spec.validation_fraction > 0:
            self._hold_out_every_language()
        facts = self._statistics.as_json()
        text = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
        (self._folder / "statistics.json").write_text(text, encoding="utf-8")
        (self._folder / "README.md").write_text(readme(facts), encoding="utf-8")
        return facts

    def _hold_out_every_language(self) -> None:
        groups = self._guard.groups_to_move()
        train, validation = self._folder / "train", self._folder / "validation"
        if groups:
            logger.info("held out %d more groups, so that each language has one", len(groups))
            move_groups(groups, train, validation, DOCUMENT_SCHEMA)
            self._statistics.recount(train, validation)
        if 0 in (self._statistics.documents("validation"), self._statistics.documents("train")):
            raise single_group_error(self._source_names())
        alone = self._guard.languages_without_validation()
        if alone:
            logger.warning("nothing is held out for %s: one group each", ", ".join(alone))

    def _source_names(self) -> str:
        return ", ".join(source.source_name for source in self._spec.sources)

    def _empty(self) -> EmptyCorpusError:
        reasons = self._statistics.reasons()
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        return EmptyCorpusError(
            "no document is left",
            where=self._source_names(),
            given=f"{sum(reasons.values()):,} records read, all dropped: {told}"
            if reasons
            else "no record at all: the files hold nothing",
            hint="look at the files, at `min_characters`, and at `fields` for JSON lines",
        )
