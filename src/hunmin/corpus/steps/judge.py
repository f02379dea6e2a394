"""Judge: a shard of records to documents, rejects and the keys that duplicates are found by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.atomic import atomic_file
from hunmin.corpus.dedup.exact import exact_keys
from hunmin.corpus.dedup.minhash import MinHash, Signatures
from hunmin.corpus.dedup.near import matrix_of, sign_documents
from hunmin.corpus.documents import JUDGED_SCHEMA, REJECT_SCHEMA
from hunmin.corpus.spec import CorpusSpec, NearDuplicateSpec
from hunmin.corpus.steps.chain import Chain, Judged, chain_of
from hunmin.corpus.steps.read import RecordShard
from hunmin.corpus.steps.samples import Samples
from hunmin.corpus.steps.workspace import COMPRESSION, Facts
from hunmin.corpus.tally import Tally

BATCH_ROWS = 4096
ROW_BITS = 24
"""An address is the number of a shard and, in its last 24 bits, a row."""


@dataclass(frozen=True)
class JudgedShard:
    """What was made of a shard of records."""

    name: str
    """Of the shard."""
    number: int
    """Its place among all shards."""
    folder: Path
    """Where its files lie."""
    priority: int = 0
    """Place of its source in the recipe."""

    @property
    def documents(self) -> Path:
        """JUDGED_SCHEMA: the documents without a reason."""
        return self.folder / f"{self.name}.documents.parquet"

    @property
    def rejects(self) -> Path:
        """REJECT_SCHEMA: the records with one."""
        return self.folder / f"{self.name}.rejects.parquet"

    @property
    def keys(self) -> Path:
        """One row for each document; see `document_keys`."""
        return self.folder / f"{self.name}.keys.parquet"


@dataclass(frozen=True)
class JudgeShard:
    """Judges the records of a shard."""

    folder: Path
    """Where the files go."""
    spec: str
    """The CorpusSpec as JSON."""

    def __call__(self, name: str, task: tuple[int, RecordShard]) -> Facts:
        """Write documents, rejects and keys of a shard.

        Args:
            name: Of the shard.
            task: Its place among all shards, and the shard.

        Returns:
            Counts, samples, and the number of documents.
        """
        number, shard = task
        judged = JudgedShard(name, number, self.folder)
        tally, samples = Tally(), Samples()
        near = CorpusSpec.model_validate_json(self.spec).deduplicate.near
        rows = 0
        with (
            atomic_file(judged.documents) as documents,
            atomic_file(judged.rejects) as rejects,
            atomic_file(judged.keys) as keys,
            pq.ParquetWriter(documents, JUDGED_SCHEMA, compression=COMPRESSION) as to_documents,
            pq.ParquetWriter(rejects, REJECT_SCHEMA, compression="zstd") as to_rejects,
            pq.ParquetWriter(keys, key_schema(near), compression="none") as to_keys,
        ):
            for batch in _judged(shard.path, chain_of(self.spec, shard.priority), tally, samples):
                to_documents.write_batch(batch.documents)
                to_rejects.write_batch(batch.rejects)
                first = (number << ROW_BITS) + rows
                to_keys.write_batch(document_keys(batch.documents, first, shard.priority, near))
                rows += batch.documents.num_rows
        return {"documents": rows, "tally": tally.state(), "samples": samples.state()}


def _judged(path: Path, chain: Chain, tally: Tally, samples: Samples) -> Iterator[Judged]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield chain(batch, tally, samples)


def key_schema(near: NearDuplicateSpec | None) -> pa.Schema:
    """Return the columns of `document_keys`."""
    fields = [
        pa.field("address", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("member", pa.string()),
        pa.field("id_key", pa.int64()),
        pa.field("exact_key", pa.int64()),
        pa.field("exact", pa.binary()),
    ]
    if near is not None:
        fields += [pa.field(name, pa.int64()) for name in band_names(near)]
        fields.append(pa.field("signature", pa.binary()))
    return pa.schema(fields)


def band_names(near: NearDuplicateSpec) -> list[str]:
    """Return the names of the columns that hold the buckets of documents."""
    return [f"band_{number:02d}" for number in range(near.bands)]


def document_keys(
    documents: pa.RecordBatch, first: int, priority: int, near: NearDuplicateSpec | None
) -> pa.RecordBatch:
    """Make the keys that duplicates are found by.

    Args:
        documents: JUDGED_SCHEMA.
        first: Address of the first one; the others follow.
        priority: Of their source.
        near: Whether, and how, near duplicates are looked for.

    Returns:
        `key_schema`: whole numbers for an engine to group by, and what decides in the end. The
        member is the document's place among those to keep: its priority, its id and, where several
        records have one id, its address.
    """
    addresses = np.arange(first, first + documents.num_rows, dtype=np.int64)
    pairs = zip(documents["id"].to_pylist(), addresses.tolist(), strict=True)
    names = [name_with_address(name, address) for name, address in pairs]
    named = pa.RecordBatch.from_pydict(
        {
            "id": pa.array(names, pa.string()),
            "text": documents["text"],
            "language": documents["language"],
            "priority": pa.repeat(pa.scalar(priority, pa.int32()), len(names)),
        }
    )
    exact = exact_keys(named, is_normal=True)
    columns: dict[str, pa.Array] = {
        "address": pa.array(addresses),
        "id": documents["id"],
        "member": exact["member"],
        "id_key": _id_numbers(documents["id"]),
        "exact_key": _first_numbers(exact["key"]),
        "exact": exact["key"],
    }
    if near is not None:
        signed = sign_documents(named, MinHash(near.bands, near.rows))
        bands = matrix_of(signed["bands"]).astype(np.uint64, copy=False).view(np.int64)
        columns |= dict(zip(band_names(near), map(pa.array, bands.T), strict=True))
        signatures = matrix_of(signed["signature"]).astype(np.uint32, copy=False)
        columns["signature"] = _rows_as_bytes(signatures)
    return pa.RecordBatch.from_pydict(columns, schema=key_schema(near))


def name_with_address(name: str, address: int) -> str:
    """Return a name that no other record has, even if several have one id."""
    return f"{name}@{address:016x}"


def addresses_of(names: pa.Array) -> npt.NDArray[np.int64]:
    """Return the addresses in names that `name_with_address` made."""
    return np.array([int(name.rpartition("@")[2], 16) for name in names.to_pylist()], np.int64)


def _id_numbers(ids: pa.Array) -> pa.Array:
    """The first 64 bits of ids, which are hashes in hexadecimal."""
    heads = pc.utf8_slice_codeunits(ids, 0, 16).to_pylist()
    return pa.array(np.array([int(head, 16) for head in heads], np.uint64).view(np.int64))


def _first_numbers(keys: pa.Array) -> pa.Array:
    """The first 64 bits of keys."""
    heads = b"".join(key[:8] for key in keys.to_pylist())
    return pa.array(np.frombuffer(heads, np.int64))


def _rows_as_bytes(matrix: Signatures) -> pa.Array:
    width = matrix.shape[1] * matrix.dtype.itemsize
    content = pa.py_buffer(np.ascontiguousarray(matrix).tobytes())
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(matrix), [None, content])
    return fixed.cast(pa.binary())
