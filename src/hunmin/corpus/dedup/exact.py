"""Exact duplicates: equal texts after normalisation, whatever the order they come in."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
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
        kept, so the result depends on neither order nor batches. SHA-256, cut: processors have
        instructions for it.
    """
    priorities = batch["priority"] if "priority" in batch.schema.names else None
    texts = batch["text"]
    if not is_normal:
        texts = pa.array(normalize_many(texts.to_pylist()), pa.large_string())
    columns = [pa.array(_hashes(texts), pa.binary()), members_of(batch["id"], priorities)]
    return pa.RecordBatch.from_arrays(columns, schema=KEY_SCHEMA)


def _hashes(texts: pa.Array) -> list[bytes]:
    """Hash the UTF-8 of each text where it lies; making Python strings of it takes longer."""
    texts = texts.cast(pa.large_string())
    if not len(texts):
        return []
    _, offsets, content = texts.buffers()
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    view = memoryview(content) if content is not None else memoryview(b"")
    return [
        hashlib.sha256(view[start:end]).digest()[:_KEY_BYTES]
        for start, end in itertools.pairwise(places.tolist())
    ]
