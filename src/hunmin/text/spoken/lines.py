"""The spoken form of whole texts, line by line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from hunmin.text.languages import UNDETERMINED
from hunmin.text.spoken.form import spoken_form

# Stands for something that is spoken, such as <|phone|> for a number that was masked.
_RESERVED = re.compile(r"(<\|\w+\|>)")


def spoken_lines(text: str, languages: str | Sequence[str]) -> str:
    """Write a text as it is spoken; lines stay lines.

    Args:
        text: NFC.
        languages: Canonical tag of the text, or of each of its lines in turn.

    Returns:
        One line of words for each line that has any; reserved tokens (`<|phone|>`) as they are.
    """
    lines = text.split("\n")
    tags = [languages] * len(lines) if isinstance(languages, str) else languages
    spoken = itertools.starmap(_spoken_line, zip(lines, tags, strict=True))
    return "\n".join(line for line in spoken if line)


def _spoken_line(line: str, language: str) -> str:
    if "<|" not in line:
        return spoken_form(line, language)
    parts = _RESERVED.split(line)
    # Every second part is a token.
    parts[::2] = [spoken_form(part, language) for part in parts[::2]]
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class SpokenForm:
    """Kernel: writes the texts of a batch as they are spoken, each in its language."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Replace the column `text`.

        Args:
            batch: With columns `text` and `language`; nulls stay null.

        Returns:
            The batch with spoken forms, see `spoken_lines`.
        """
        columns = (batch[name].to_pylist() for name in ("text", "language"))
        texts = [
            None if text is None else spoken_lines(text, language or UNDETERMINED)
            for text, language in zip(*columns, strict=True)
        ]
        index = batch.schema.get_field_index("text")
        field = batch.schema.field(index)
        return batch.set_column(index, field, pa.array(texts, field.type))
