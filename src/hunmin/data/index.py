"""The index of a shard, in Megatron's format: where each document lies in the `.bin` beside it.

`ko-00000.bin` with `ko-00000.idx` is what `megatron.core.datasets.indexed_dataset.IndexedDataset`
opens as `ko-00000`. Little-endian, one after the other:

    9 bytes  MMIDIDX, two zero bytes
    uint64   1, the version
    uint8    type of a token: 8 uint16, 4 int32
    uint64   number of sequences; here each document is one
    uint64   number of document borders: one more than there are documents
    int32    tokens of each sequence
    int64    byte where each sequence begins in the `.bin`
    int64    document borders, as numbers of sequences: 0, 1, 2, …

Megatron has no uint32. Ids stay below 2**31, so the bytes of uint32 and of its int32 are the same.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from hunmin.core.errors import CorruptArtifactError, InputError
from hunmin.data.permutation import Int64s

INDEX_SUFFIX = ".idx"

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEADER = struct.Struct("<9sQBQQ")
_CODES = {"uint16": 8, "uint32": 4}
_MAX_LENGTH = 2**31 - 1


def write_index(file: Path, lengths_N: Int64s, dtype: np.dtype[Any]) -> None:
    """Write the index of a shard.

    Args:
        file: The `.idx`.
        lengths_N: Tokens of each document, int64, shape (documents,).
        dtype: Type of a token in the `.bin`: uint16 or uint32.

    Raises:
        InputError: A document has 2**31 tokens or more, which the format cannot say.

    Source:
        NVIDIA Megatron-LM, megatron/core/datasets/indexed_dataset.py, `_IndexWriter` (version 1,
        without modes). Borders are always 0, 1, 2, …: a document is never several sequences.
    """
    if lengths_N.max(initial=0) > _MAX_LENGTH:
        raise InputError(
            "a document is too long for the index of its shard",
            where=file,
            given=f"{int(lengths_N.max())} tokens",
            allowed=f"at most {_MAX_LENGTH}",
            hint="cut it into several documents before the corpus stage",
        )
    count = len(lengths_N)
    starts_N = np.cumsum(lengths_N) - lengths_N
    header = _HEADER.pack(_MAGIC, _VERSION, _CODES[dtype.name], count, count + 1)
    with file.open("wb") as out:
        out.write(header)
        out.write(lengths_N.astype("<i4").tobytes())
        out.write((starts_N * dtype.itemsize).astype("<i8").tobytes())
        out.write(np.arange(count + 1, dtype="<i8").tobytes())


def read_lengths(file: Path) -> Int64s:
    """Return how many tokens each document of a shard has.

    Args:
        file: The `.idx`.

    Returns:
        Tokens of each document in the order of the `.bin`, int64, shape (documents,).

    Raises:
        CorruptArtifactError: It is no index, or it is cut off.
    """
    data = file.read_bytes()
    count = _read_count(data)
    if count is None:
        raise CorruptArtifactError(
            "this is no index of a shard, or it is cut off",
            where=file,
            given=f"{len(data)} bytes, the first {data[:9]!r}",
            allowed=f"an index that begins with {_MAGIC!r}, version {_VERSION}",
            hint="run the data stage again",
        )
    return np.frombuffer(data, "<i4", count, _HEADER.size).astype(np.int64)


def _read_count(data: bytes) -> int | None:
    if len(data) < _HEADER.size:
        return None
    magic, version, _, count, borders = _HEADER.unpack_from(data)
    size = _HEADER.size + 12 * count + 8 * borders
    return int(count) if (magic, version, size) == (_MAGIC, _VERSION, len(data)) else None
