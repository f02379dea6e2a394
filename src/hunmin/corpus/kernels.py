"""Kernels: record batch in, record batch out. Engine-neutral; none assumes large batches."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.hashing import seed_from
from hunmin.corpus.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA
from hunmin.text.unicode import normalize

EMPTY, TOO_SHORT, DUPLICATE = "empty", "too short", "duplicate"
_ID_BYTES = 16
# Between the parts of a hashed name, so that no two splits of a string give the same hash.
_SEPARATOR = "\x1f"


def normalize_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bring the texts of a RECORD_SCHEMA batch into their canonical spelling."""
    texts = [normalize(text) for text in batch["text"].to_pylist()]
    return _with_column(batch, "text", texts)


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
        REJECT_SCHEMA with `reason` still null where nothing is wrong.

    Note:
        The id is a hash over the source's name and the record's key, or its text if it has no key:
        never a row number, so it survives when records are added, removed or reordered.
    """
    sources, keys, texts = (batch[name].to_pylist() for name in ("source", "key", "text"))
    ids = [
        _digest(source, "text", text) if key is None else _digest(source, "key", key)
        for source, key, text in zip(sources, keys, texts, strict=True)
    ]
    id_column = pa.array(ids, pa.string())
    columns = {name: batch[name] for name in batch.schema.names}
    columns |= {"id": id_column, "group": pc.coalesce(batch["group"], id_column)}
    schema = pa.schema([*DOCUMENT_SCHEMA, pa.field("reason", pa.string())])
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


class ExactDeduplicator:
    """Rejects records whose text equals an earlier one's, whatever their source.

    Note:
        Holds 16 bytes of hash for each text kept, about 100 bytes with the set around them: 10 GB
        for a hundred million documents.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the reason `duplicate` to records without a reason whose text was seen."""
        reasons = batch["reason"].to_pylist()
        for index, text in enumerate(batch["text"].to_pylist()):
            if reasons[index] is not None:
                continue
            digest = hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).digest()
            if digest in self._seen:
                reasons[index] = DUPLICATE
            self._seen.add(digest)
        return _with_column(batch, "reason", reasons)


class UniqueIds:
    """Gives a record whose id was used before an id of its own, counting occurrences."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with ids that no earlier batch has."""
        ids = batch["id"].to_pylist()
        for index, name in enumerate(ids):
            uses = self._uses[name] = self._uses.get(name, 0) + 1
            if uses > 1:
                ids[index] = _digest(name, "occurrence", str(uses))
        return _with_column(batch, "id", ids)


def group_number(group: str, seed: int) -> int:
    """Return the number in [0, 2**64) that decides a group's side, the same on every machine."""
    return seed_from("split", seed, group)


def is_validation(batch: pa.RecordBatch, *, seed: int, fraction: float) -> pa.Array:
    """Say which records are held out.

    Args:
        batch: Any batch with a `group` column.
        seed: Another seed holds out other groups.
        fraction: Share of the groups to hold out.

    Returns:
        Booleans. A group's side depends on its name, the seed and the fraction alone, so adding
        documents never moves another one.
    """
    limit = int(fraction * 2.0**64)
    groups = batch["group"].to_pylist()
    sides = {group: group_number(group, seed) < limit for group in set(groups)}
    return pa.array([sides[group] for group in groups], pa.bool_())


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
