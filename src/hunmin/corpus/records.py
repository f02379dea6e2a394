"""Records: what a source yields before anything is judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

BATCH_ROWS = 4096
BATCH_CHARACTERS = 1 << 23
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)

RECORD_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("license", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("meta", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
    ]
)
"""key: name within the source, null = the text; group: null = the document's own; reason: null =
nothing wrong so far."""


class Record(NamedTuple):
    """One text of a source with all that is known about it."""

    key: str | None
    """What names it within its source; None: the text itself."""
    text: str
    """As it was read."""
    language: str
    """Canonical BCP 47 tag."""
    source: str
    """Name of the source."""
    license: str
    """Licence of the text."""
    group: str | None
    """Records of one group stay on one side of the split; None: a group of its own."""
    meta: str
    """A JSON object."""
    reason: str | None = None
    """Why it cannot be used, if that is known already."""


def batched(records: Iterable[Record]) -> Iterator[pa.RecordBatch]:
    """Collect records to batches of RECORD_SCHEMA of at most 4096 rows, about 8 M characters."""
    rows: list[Record] = []
    characters = 0
    for record in records:
        rows.append(record)
        characters += len(record.text)
        if len(rows) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield _batch(rows)
            rows, characters = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[Record]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=RECORD_SCHEMA)


def to_json(values: Mapping[str, Any]) -> str:
    """Write a JSON object on one line, other scripts as they are."""
    return _ENCODER.encode(values)


def cut(text: str, max_characters: int) -> list[str]:
    """Cut a long text into pieces of at most `max_characters`, at line ends where there are any."""
    pieces: list[str] = []
    start = 0
    while len(text) - start > max_characters:
        end = text.rfind("\n", start, start + max_characters) + 1
        end = end if end > start else start + max_characters
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]


def cut_records(records: Iterable[Record], max_characters: int) -> Iterator[Record]:
    """Yield the records, those that are too long in pieces; the pieces stay one group."""
    for record in records:
        if len(record.text) <= max_characters:
            yield record
        else:
            yield from _pieces(record, max_characters)


def _pieces(record: Record, max_characters: int) -> Iterator[Record]:
    name = f"{record.source}\x1f{record.key or record.text}"
    group = record.group or hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    for index, piece in enumerate(cut(record.text, max_characters)):
        yield record._replace(
            key=None if record.key is None else f"{record.key}#{index}", text=piece, group=group
        )
