"""The kernel: a batch of documents in, the same documents with tokens and counts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.errors import InputError, suggest
from hunmin.corpus.privacy.mask import masker_for
from hunmin.corpus.privacy.scan import gate
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.text.languages import UNDETERMINED

_GATE_BYTES = 1 << 17


@dataclass(frozen=True)
class PersonalDataMasker:
    """Masks the texts of record batches; picklable, the same for batches of any size."""

    spec: PrivacySpec = field(default_factory=PrivacySpec)
    """What to mask."""
    text_column: str = "text"
    """Column of strings with the texts."""
    language_column: str = "language"
    """Column of strings with BCP 47 tags; taken as `und` where there is no such column."""
    counts_column: str = "personal_data"
    """Column that is added: a struct of one int32 for each type of the spec, never null."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Mask a batch.

        Args:
            batch: Any batch with a text column of type string or large_string; null stays null.

        Returns:
            The same rows and columns, `text_column` masked, `counts_column` added or replaced.

        Raises:
            InputError: There is no such text column, or it is not one of strings.
        """
        index = self._text_index(batch.schema)
        masked, counts = self.mask_array(batch.column(index), self._languages(batch))
        batch = batch.set_column(index, batch.schema.field(index), masked)
        at = batch.schema.get_field_index(self.counts_column)
        added = pa.field(self.counts_column, counts.type, nullable=False)
        if at >= 0:
            return batch.set_column(at, added, counts)
        return batch.append_column(added, counts)

    def mask_array(
        self, texts: pa.Array, languages: Sequence[str | None] | None = None
    ) -> tuple[pa.Array, pa.StructArray]:
        """Mask an array of texts.

        Args:
            texts: Strings or large strings.
            languages: BCP 47 tag of each text; None for texts of unknown language.

        Returns:
            Masked texts, the same object if nothing was found, and a struct of counts by type.
        """
        masker = masker_for(self.spec)
        changed: dict[int, str] = {}
        counts: dict[int, dict[str, int]] = {}
        for row, text in _candidates(texts):
            language = languages[row] if languages is not None else None
            masked, found = masker.mask(text, language or UNDETERMINED)
            if found:
                changed[row], counts[row] = masked, found
        return _exchange(texts, changed), self._count_array(counts, len(texts))

    def _text_index(self, schema: pa.Schema) -> int:
        index: int = schema.get_field_index(self.text_column)
        if index < 0:
            raise InputError(
                f"the batch has no column of texts.{suggest(self.text_column, schema.names)}",
                given=self.text_column,
                allowed=", ".join(schema.names) or "a batch with columns",
                hint="name the column of texts in text_column",
            )
        kind = schema.field(index).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(
                "the column of texts holds something else",
                where=f"column {self.text_column}",
                given=kind,
                allowed="string, large_string",
                hint="name another column in text_column, or cast this one to string",
            )
        return index

    def _languages(self, batch: pa.RecordBatch) -> list[str | None] | None:
        index = batch.schema.get_field_index(self.language_column)
        if index < 0:
            return None
        languages: list[str | None] = batch.column(index).to_pylist()
        return languages

    def _count_array(self, counts: dict[int, dict[str, int]], length: int) -> pa.StructArray:
        columns = np.zeros((len(self.spec.types), length), np.int32)
        for row, found in counts.items():
            columns[:, row] = [found.get(name, 0) for name in self.spec.types]
        fields = [pa.field(name, pa.int32(), nullable=False) for name in self.spec.types]
        if not fields:
            return pa.array([{}] * length, pa.struct([]))
        return pa.StructArray.from_arrays([pa.array(column) for column in columns], fields=fields)


def _candidates(texts: pa.Array) -> Iterator[tuple[int, str]]:
    """Yield the texts, and their rows, in which a scan may find anything."""
    if len(texts) == 0:
        return
    if texts.nbytes < _GATE_BYTES:
        # Compiling the gate would take longer than looking at the texts.
        yield from ((row, text) for row, text in enumerate(texts.to_pylist()) if text is not None)
        return
    rows = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(texts, gate()), False))
    yield from zip(rows.to_pylist(), texts.take(rows).to_pylist(), strict=True)


def _exchange(texts: pa.Array, changed: dict[int, str]) -> pa.Array:
    if not changed:
        return texts
    chosen = np.zeros(len(texts), np.bool_)
    chosen[list(changed)] = True
    return pc.replace_with_mask(
        texts, pa.array(chosen), pa.array(list(changed.values()), texts.type)
    )


def total_counts(counts: pa.StructArray) -> dict[str, int]:
    """Add up the counts of a batch.

    Args:
        counts: The column of counts.

    Returns:
        Number of tokens by type, also of those that were not found.
    """
    names = [column.name for column in counts.type]
    return {name: pc.sum(counts.field(name)).as_py() or 0 for name in names}
