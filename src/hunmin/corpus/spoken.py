"""Documents in spoken form: which ones, and what becomes of their slots, ids and lineage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.hashing import seed_from
from hunmin.corpus.kernels import text_id
from hunmin.corpus.records import to_json
from hunmin.corpus.sources.spec import SourceSpec
from hunmin.corpus.spec import SpokenSpec
from hunmin.text.spoken.lines import spoken_lines
from hunmin.text.spoken.numbers import languages_with_numbers
from hunmin.text.spoken.spans import speak_spans

WRITTEN, SPOKEN, SAME, UNSPEAKABLE = "written", "spoken", "same in both", "cannot be spoken"
FORMS = (WRITTEN, SPOKEN, SAME, UNSPEAKABLE)
"""Written on purpose; spoken; not changed by speaking; written since it has no spoken form."""

Flags = npt.NDArray[np.bool_]


class Utterance(NamedTuple):
    """A text and what is known about it."""

    text: str
    """NFC."""
    meta: dict[str, Any]
    """`slots` and `languages` are kept in step with the text."""


def speak(text: str, language: str, meta: dict[str, Any]) -> Utterance | None:
    """Write a text as it is spoken.

    Args:
        text: NFC.
        language: Canonical tag.
        meta: May have `slots`, objects with `start` and `end` in characters of the text, and
            `languages`, the language of each line.

    Returns:
        The text and its meta; None if no word is left, or a slot cannot be found again, or a line
        that has a language has no word.
    """
    slots = meta.get("slots")
    if slots:
        places = [(slot["start"], slot["end"]) for slot in slots]
        found = speak_spans(text, places, language)
        if found is None:
            return None
        spoken, moved = found
        slots = [
            slot | {"start": start, "end": end}
            for slot, (start, end) in zip(slots, moved, strict=True)
        ]
        return Utterance(spoken, meta | {"slots": slots})
    lines, languages = text.count("\n") + 1, meta.get("languages")
    if not (isinstance(languages, list) and len(languages) == lines):
        spoken = spoken_lines(text, language)
        return Utterance(spoken, meta) if spoken else None
    spoken = spoken_lines(text, [str(tag) for tag in languages])
    return Utterance(spoken, meta) if spoken.count("\n") + 1 == lines else None


def check_numbers(sources: Sequence[SourceSpec]) -> None:
    """Make sure that numbers can be read, unless every source is Korean.

    Args:
        sources: Of the corpus.

    Raises:
        MissingExtraError: unicode-rbnf is not installed.
    """
    if {getattr(source, "language", None) for source in sources} != {"ko"}:
        languages_with_numbers()


@dataclass(frozen=True)
class SpeakDocuments:
    """Kernel: gives documents their spoken form, or both."""

    spec: SpokenSpec
    """Share and kind of the choice."""
    seed: int
    """Another seed chooses other documents."""

    def __call__(self, batch: pa.RecordBatch, is_held_out: Flags) -> pa.RecordBatch:
        """Choose the forms of documents.

        Args:
            batch: DOCUMENT_SCHEMA.
            is_held_out: Whether a document is wanted in both forms, shape (documents,).

        Returns:
            The batch with a column `form`; a spoken document stands behind its written one.
        """
        written, spoken = self._wanted(batch["id"].to_pylist())
        written, spoken = written | is_held_out, spoken | is_held_out
        rows = _Rows(batch, self.spec.suffix)
        for row in np.flatnonzero(spoken).tolist():
            rows.speak(row)
        return rows.assembled(written)

    def _wanted(self, ids: list[str]) -> tuple[Flags, Flags]:
        """Which documents of the training split are wanted as written, which as spoken."""
        share, everything = self.spec.share, np.ones(len(ids), np.bool_)
        chances = [seed_from("spoken", self.seed, name) for name in ids]
        places = np.array(chances, np.uint64) / 2.0**64
        if not self.spec.copies:
            return places >= share, places < share
        if share >= 0.5:
            return places < (1 - share) / share, everything
        return everything, places < share / (1 - share)


class _Rows:
    """The documents of a batch and the spoken ones made of them."""

    def __init__(self, batch: pa.RecordBatch, suffix: str) -> None:
        self._batch, self._suffix = batch, suffix
        self._spoken: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, str] = {}

    def speak(self, row: int) -> None:
        """Make the spoken document of a row, or say why there is none."""
        document = {name: self._batch[name][row].as_py() for name in _CHANGED}
        text, meta = document["text"], json.loads(document["meta"])
        said = speak(text, document["language"], meta)
        if said is None or said.text == text:
            self._kept[row] = UNSPEAKABLE if said is None else SAME
            return
        source = document["source"] + self._suffix
        lineage = {"form": SPOKEN, "written_id": document["id"]}
        changed = {"id": text_id(source, said.text), "text": said.text, "source": source}
        self._spoken[row] = changed | {"meta": to_json(said.meta | lineage)}

    def assembled(self, written: Flags) -> pa.RecordBatch:
        """Put written and spoken documents together, in the order of the batch."""
        written = written.copy()
        written[list(self._kept)] = True
        first, rows = np.flatnonzero(written), np.array(sorted(self._spoken), np.int64)
        forms = [self._kept.get(row, WRITTEN) for row in first.tolist()] + [SPOKEN] * len(rows)
        parts = [self._batch.take(pa.array(first)), self._spoken_batch(rows)]
        columns = [
            pa.concat_arrays([part[name] for part in parts]) for name in parts[0].schema.names
        ]
        schema = self._batch.schema.append(FORM_FIELD)
        whole = pa.RecordBatch.from_arrays([*columns, pa.array(forms, pa.string())], schema=schema)
        return whole.take(pa.array(np.argsort(np.concatenate([first, rows]), kind="stable")))

    def _spoken_batch(self, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        batch = self._batch.take(pa.array(rows))
        for name in ("id", "text", "source", "meta"):
            values = pa.array([self._spoken[row][name] for row in rows.tolist()], pa.string())
            index = batch.schema.get_field_index(name)
            batch = batch.set_column(index, batch.schema.field(index), values)
        return batch


_CHANGED = ("id", "text", "language", "source", "meta")
FORM_FIELD = pa.field("form", pa.string(), nullable=False)
"""One of FORMS."""
