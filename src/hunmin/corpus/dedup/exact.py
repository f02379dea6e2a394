"""Exact duplicates: equal texts after normalisation, whatever the order they come in."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from hunmin.corpus.dedup.clusters import KEY_SCHEMA, members_of
from hunmin.text.unicode import normalize_many

_KEY_BYTES = 16


def exact_keys(batch: pa.RecordBatch, *, is_normal: bool = False) -> pa.RecordBatch:
    """Hash the texts of a batch, for a group-by of any engine or `key_clusters` in memory.

    Args:
        batch: Columns `id` and `text`, and `priority` (integers, the lowest is kept) if some
            sources go before others.
        is_normal: Whether the texts are normalised already; their bytes are hashed as they are.

    Returns:
        KEY_SCHEMA, one row for each document in the order of the batch.

    Raises:
        InputError: An id is missing, or a priority is out of range.

    Note:
        Two texts count as equal if they are after `hunmin.text.unicode.normalize`: NFC, one kind
        of line end, nothing around them. The key has 128 bits: among 10**12 documents two different
        texts share one with a probability of 10**-15. Of a key's documents the smallest member is
        kept, so the result depends on neither order nor batches (`ExactDeduplicator` in
        `hunmin.corpus.kernels` keeps the first that comes).
    """
    priorities = batch["priority"] if "priority" in batch.schema.names else None
    keys = [_key(text) for text in normalize_many(batch["text"].to_pylist())]
    columns = [pa.array(keys, pa.binary()), members_of(batch["id"], priorities)]
    return pa.RecordBatch.from_arrays(columns, schema=KEY_SCHEMA)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).digest()
