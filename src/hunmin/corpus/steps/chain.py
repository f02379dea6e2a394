"""The chain of kernels that judges documents one by one, and what it notes about them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.documents import JUDGED_SCHEMA, REJECT_SCHEMA
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.kernels import identify, normalize_text, reject_unusable, with_reason
from hunmin.corpus.privacy.kernel import PersonalDataMasker
from hunmin.corpus.sources.spec import ParallelSource, Source
from hunmin.corpus.spec import CorpusSpec, LanguageSpec
from hunmin.corpus.steps.samples import MAX_CHANGES_OF_BATCH, Samples
from hunmin.corpus.tally import Tally
from hunmin.text.cleaning import CleanText
from hunmin.text.identification.identifier import Identifier
from hunmin.text.identification.kernel import IdentifyLanguages
from hunmin.text.identification.registry import load_classifier
from hunmin.text.identification.thresholds import load_thresholds

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]
READ, USABLE, LANGUAGE, QUALITY = "read", "usable text", "language", "quality"


@dataclass(frozen=True)
class Link:
    """A kernel and the step of the report that it belongs to."""

    step: str
    """Name in the report."""
    kernel: Kernel
    """Fills in reasons, changes texts, adds columns for the report."""


@dataclass(frozen=True)
class Judged:
    """What became of the records of a batch."""

    documents: pa.RecordBatch
    """JUDGED_SCHEMA, without a reason."""
    rejects: pa.RecordBatch
    """REJECT_SCHEMA."""


class Chain:
    """Judges the records of a source; each is judged alone, so batches do not matter.

    Args:
        spec: What the recipe asks for.
        source: The source, whose own filters go before those of the corpus.
    """

    def __init__(self, spec: CorpusSpec, source: Source) -> None:
        self._links = tuple(links_of(spec, source))
        self._mask = PersonalDataMasker(spec.privacy) if spec.privacy is not None else None

    def __call__(self, records: pa.RecordBatch, tally: Tally, samples: Samples) -> Judged:
        """Judge a batch.

        Args:
            records: RECORD_SCHEMA.
            tally: Counts what happens.
            samples: Keeps examples of it.

        Returns:
            Documents and rejects, both masked.
        """
        tally.add_batch(READ, records, ("source",))
        original, batch, rejects = records["text"], records, []
        for link in self._links:
            before = batch
            batch, extra = _without_extra(link.kernel(before))
            note_extra(tally, before, extra)
            if "id" in batch.schema.names:
                rejects.append(with_reason(batch))
                tally.add_batch("dropped", rejects[-1], ("reason",), link.step)
                tally.add_batch("rejected", rejects[-1], ("source", "language", "reason"))
                is_live = pc.is_null(batch["reason"])
                batch, original = batch.filter(is_live), original.filter(is_live)
        judged = Judged(
            _as(JUDGED_SCHEMA, self._masked(batch, tally)),
            _as(REJECT_SCHEMA, self._masked(_together(rejects))),
        )
        samples.add_rejects(judged.rejects)
        samples.add_changes(*self._changes(original, batch, judged.documents))
        return judged

    def _masked(self, batch: pa.RecordBatch, tally: Tally | None = None) -> pa.RecordBatch:
        if self._mask is None:
            return batch
        masked, extra = _without_extra(self._mask(batch))
        if tally is not None:
            note_extra(tally, batch, extra)
        return masked

    def _changes(
        self, original: pa.Array, cleaned: pa.RecordBatch, documents: pa.RecordBatch
    ) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """The first documents that were changed, before and after; personal data never show."""
        rows = pc.indices_nonzero(pc.not_equal(original, cleaned["text"]))[:MAX_CHANGES_OF_BATCH]
        after = documents.take(rows)
        index = after.schema.get_field_index("text")
        before = after.set_column(index, after.schema.field(index), original.take(rows))
        return self._masked(before), after


@functools.lru_cache(maxsize=8)
def chain_of(spec: str, place: int) -> Chain:
    """Return the chain of a source; a process makes it once.

    Args:
        spec: The CorpusSpec as JSON.
        place: Of the source in it.

    Returns:
        What judges the records of the source.
    """
    parsed = CorpusSpec.model_validate_json(spec)
    return Chain(parsed, parsed.sources[place])


def links_of(spec: CorpusSpec, source: Source) -> Iterator[Link]:
    """Yield the kernels that a recipe asks for, in order.

    Args:
        spec: The recipe's corpus section.
        source: The source whose records are judged.

    Yields:
        At least those that make texts comparable.
    """
    yield Link(USABLE, normalize_text)
    if spec.clean:
        yield Link(USABLE, CleanText(report=True))
    yield Link(USABLE, functools.partial(reject_unusable, min_characters=spec.min_characters))
    yield Link(USABLE, identify)
    # A pair of sentences is of two languages, and shorter than what filters are made for.
    is_pair = isinstance(source, ParallelSource)
    if spec.language is not None and not is_pair:
        yield Link(LANGUAGE, identification(spec.language))
    filters = source.filters or (None if is_pair else spec.filters)
    if filters is not None:
        yield Link(QUALITY, QualityFilter(filters))
    if spec.classifier is not None and not is_pair:
        from hunmin.corpus.filters.classifier import load_classifier as load_quality_classifier

        classifier = load_quality_classifier(spec.classifier.path)
        if spec.classifier.threshold is not None:
            classifier = replace(classifier, threshold=spec.classifier.threshold)
        yield Link(QUALITY, classifier)


def identification(spec: LanguageSpec) -> IdentifyLanguages:
    """Return the kernel that finds languages."""
    thresholds = load_thresholds(spec.classifier).override(spec.thresholds)
    classifier = load_classifier(spec.classifier, path=spec.model)
    identifier = Identifier(classifier, thresholds)
    return IdentifyLanguages(identifier, spec.trust, spec.reject_other, spec.reject_unknown)


def _together(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    columns = [pa.concat_arrays([b[name] for b in batches]) for name in REJECT_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=REJECT_SCHEMA)


def _as(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same columns under a schema that kernels may have loosened."""
    return pa.RecordBatch.from_arrays([batch[name] for name in schema.names], schema=schema)


def _without_extra(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, pa.Array]]:
    """Part the columns that kernels add for the report from those of the document."""
    known = JUDGED_SCHEMA.names if "id" in batch.schema.names else (*JUDGED_SCHEMA.names, "key")
    extra = {name: batch[name] for name in batch.schema.names if name not in known}
    return (batch.drop_columns(list(extra)) if extra else batch), extra


def note_extra(tally: Tally, batch: pa.RecordBatch, extra: dict[str, pa.Array]) -> None:
    """Count what kernels say about the documents.

    Args:
        tally: Takes the counts.
        batch: The documents as the kernel got them.
        extra: Columns `cleaning`, `identified`, `script`, `personal_data`, where there are any.
    """
    if "cleaning" in extra:
        rules = extra["cleaning"].flatten().to_pylist()
        tally.add_all("cleaning", ((rule,) for rule in rules))
    if "identified" in extra:
        pairs = (batch["language"].to_pylist(), extra["identified"].to_pylist())
        tally.add_all("languages found", zip(*pairs, strict=True))
        tally.add_all("scripts", ((script,) for script in extra["script"].to_pylist()))
    if "personal_data" in extra:
        _note_personal_data(tally, batch, extra["personal_data"])


def _note_personal_data(tally: Tally, batch: pa.RecordBatch, counts: pa.StructArray) -> None:
    total = np.zeros(batch.num_rows, np.int64)
    sources: list[Any] = []
    for field in counts.type:
        numbers = counts.field(field.name).to_numpy(zero_copy_only=False)
        total += numbers
        for row in np.flatnonzero(numbers):
            sources = sources or batch["source"].to_pylist()
            tally.add("personal data", sources[row], field.name, number=int(numbers[row]))
    tally.add("masked documents", number=int((total > 0).sum()))
