"""Kernels: record batch in, record batch out. Engine-neutral; none assumes large batches."""

from __future__ import annotations

import hashlib
import operator

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.hashing import seed_from
from hunmin.corpus.documents import DOCUMENT_SCHEMA, JUDGED_SCHEMA, REJECT_SCHEMA, Split
from hunmin.text.unicode import normalize_many

EMPTY, TOO_SHORT = "empty", "too short"
DUPLICATE, NEAR_DUPLICATE = "duplicate", "near duplicate"
_ID_BYTES = 16
# Between the parts of a hashed name, so that no two splits of a string give the same hash.
_SEPARATOR = "\x1f"


def normalize_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bring the texts of a RECORD_SCHEMA batch into their canonical spelling."""
    texts = batch["text"].to_pylist()
    normal = normalize_many(texts)
    if all(map(operator.is_, normal, texts)):
        return batch
    return _with_column(batch, "text", normal)


def reject_unusable(batch: pa.RecordBatch, *, min_characters: int) -> pa.RecordBatch:
    """Give a reason to records that are empty or too short and have none yet.

    Args:
        batch: RECORD_SCHEMA, normalised.
        min_characters: Shorter texts are too short.

    Returns:
        The same records, `reason` filled in.
    """
    lengths = pc.utf8_length(batch["text"])
    reason = pc.if_else(
        pc.equal(lengths, 0),
        pa.scalar(EMPTY),
        pc.if_else(pc.less(lengths, min_characters), pa.scalar(TOO_SHORT), None),
    )
    return _with_column(batch, "reason", pc.coalesce(batch["reason"], reason))


def identify(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Turn keys into ids and give every record a group.

    Args:
        batch: RECORD_SCHEMA, normalised.

    Returns:
        JUDGED_SCHEMA, each document its own only copy.

    Note:
        The id is a hash over the source's name and the record's key, or its text if it has no key:
        never a row number, so it survives when records are added, removed or reordered.
    """
    sources, keys = (batch[name].to_pylist() for name in ("source", "key"))
    # Making Python strings of long texts costs more than their hashes.
    texts = batch["text"].to_pylist() if batch["key"].null_count else keys
    ids = [
        text_id(source, text) if key is None else _digest(source, "key", key)
        for source, key, text in zip(sources, keys, texts, strict=True)
    ]
    id_column = pa.array(ids, pa.string())
    columns = {name: batch[name] for name in batch.schema.names}
    columns |= {"id": id_column, "group": pc.coalesce(batch["group"], id_column)}
    columns["copies"] = pa.repeat(pa.scalar(1, pa.int32()), len(ids))
    columns = {name: columns[name] for name in JUDGED_SCHEMA.names}
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=JUDGED_SCHEMA)


def text_id(source: str, text: str) -> str:
    """Return the id of a document that nothing but its text names within its source."""
    return _digest(source, "text", text)


def occurrence_id(name: str, occurrence: int) -> str:
    """Return the id of the second, third … record of one id."""
    return _digest(name, "occurrence", str(occurrence))


def group_number(group: str, seed: int) -> int:
    """Return the number in [0, 2**64) that decides a group's side, the same on every machine."""
    return seed_from("split", seed, group)


def splits_of(
    batch: pa.RecordBatch, *, seed: int, validation: float, test: float = 0.0
) -> pa.Array:
    """Say on which side of the split each record is.

    Args:
        batch: Any batch with a `group` column.
        seed: Another seed holds out other groups.
        validation: Share of the groups to hold out for validation.
        test: Share of the groups to hold out for the test.

    Returns:
        Strings: `train`, `validation` or `test`. A group's side depends on its name, the seed and
        the shares alone, so adding documents never moves another one.
    """
    limits = (int(validation * 2.0**64), int((validation + test) * 2.0**64))
    groups = batch["group"].to_pylist()
    sides = {group: _side(group_number(group, seed), *limits) for group in set(groups)}
    return pa.array([sides[group] for group in groups], pa.string())


def _side(number: int, validation: int, test: int) -> Split:
    if number < validation:
        return "validation"
    return "test" if number < test else "train"


def without_reason(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the records with no reason against them, as DOCUMENT_SCHEMA."""
    kept = batch.filter(pc.is_null(batch["reason"])).select(DOCUMENT_SCHEMA.names)
    return pa.RecordBatch.from_arrays(kept.columns, schema=DOCUMENT_SCHEMA)


def with_reason(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the records with a reason against them, as REJECT_SCHEMA."""
    kept = batch.filter(pc.is_valid(batch["reason"]))
    return pa.RecordBatch.from_arrays(kept.columns, schema=REJECT_SCHEMA)


def _digest(*parts: str) -> str:
    text = _SEPARATOR.join(parts)
    return hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).hexdigest()


def _with_column(batch: pa.RecordBatch, name: str, values: object) -> pa.RecordBatch:
    if not isinstance(values, pa.Array):
        values = pa.array(values, pa.string())
    index = batch.schema.get_field_index(name)
    return batch.set_column(index, batch.schema.field(index), values)
