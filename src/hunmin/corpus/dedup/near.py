"""Near duplicates: from texts to candidates to checked edges, as kernels for any engine.

    sign_documents   (id, text, language[, priority]) -> (member, signature, bands)
    band_rows        (member, bands)                  -> (key, member), 14 rows a document
      engine: the smallest member of each key is its leader; join on the key
    check_pairs      (leader, signature, member, signature) -> (leader, member) that are similar
      engine: members without a similar leader go round again, with a new leader for their key
    clusters.clusters_of   edges -> clusters;   engine: anti_join the ids that are not kept

`find_near_duplicates` in `hunmin.corpus.dedup.buckets` runs all of it in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.clusters import EDGE_SCHEMA, KEY_SCHEMA, members_of
from hunmin.corpus.dedup.minhash import MinHash, similarity
from hunmin.corpus.dedup.shingles import shingle, units_of


@dataclass(frozen=True)
class NearDuplicateRule:
    """When two documents are one."""

    minhash: MinHash = field(default_factory=MinHash)
    """Signatures and bands."""
    threshold: float = 0.72
    """Smallest estimated similarity of near duplicates, in (0, 1]."""
    max_bucket: int = 10_000
    """Documents of a bucket that are compared without limit; see `find_near_duplicates`."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(
                "the threshold is a share of equal hashes",
                given=self.threshold,
                allowed="more than 0, at most 1; 0.70 to 0.75 goes with 14 bands of 8 rows",
            )
        if self.max_bucket < 2:
            raise InputError("a bucket holds at least two documents", given=self.max_bucket)


def sign_documents(batch: pa.RecordBatch, minhash: MinHash) -> pa.RecordBatch:
    """Compute the signature and the buckets of each document.

    Args:
        batch: Columns `id`, `text` and `language` (canonical BCP 47 tags), and `priority`
            (integers, the lowest is kept) if some sources go before others.
        minhash: The permutations; the same for all documents.

    Returns:
        `member` (string), `signature` (fixed-size list of uint32) and `bands` (fixed-size list of
        uint64), in the order of the batch.

    Raises:
        InputError: A text or an id is missing.
    """
    priorities = batch["priority"] if "priority" in batch.schema.names else None
    shingles = shingle(batch["text"], units_of(batch["language"]))
    signatures = minhash.signatures(shingles)
    columns = {
        "member": members_of(batch["id"], priorities),
        "signature": _lists(signatures),
        "bands": _lists(minhash.band_keys(signatures)),
    }
    return pa.RecordBatch.from_pydict(columns)


def band_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give each document a row for each of its buckets.

    Args:
        batch: `member` and `bands`, as from `sign_documents`.

    Returns:
        KEY_SCHEMA; the keys are eight bytes.
    """
    bands = matrix_of(batch["bands"])
    content = pa.py_buffer(bands.astype(">u8").tobytes())
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), bands.size, [None, content])
    members = batch["member"].take(pa.array(np.repeat(np.arange(len(bands)), bands.shape[1])))
    return pa.RecordBatch.from_arrays([keys.cast(pa.binary()), members], schema=KEY_SCHEMA)


def check_pairs(batch: pa.RecordBatch, threshold: float) -> pa.RecordBatch:
    """Keep the candidate pairs whose signatures say that they are duplicates.

    Args:
        batch: `leader`, `leader_signature`, `member` and `signature`.
        threshold: Smallest similarity.

    Returns:
        EDGE_SCHEMA, the pairs at or over the threshold.
    """
    left, right = (matrix_of(batch[name]) for name in ("leader_signature", "signature"))
    kept = batch.filter(pa.array(similarity(left, right) >= np.float32(threshold)))
    return pa.RecordBatch.from_arrays([kept["leader"], kept["member"]], schema=EDGE_SCHEMA)


def matrix_of(lists: pa.Array) -> npt.NDArray[Any]:
    """Return a column of lists of one length as a matrix, shape (rows, length)."""
    values: npt.NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(lists), lists.type.list_size)


def _lists(matrix: npt.NDArray[Any]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
