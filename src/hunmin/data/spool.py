"""Tokens in the order they arrive, then written again in shuffled order.

Documents arrive in the order of the corpus and have to lie in the shards in the order of their
hashes. Tokens go to one file per group at once; in memory stay only the length and the hash of each
document (16 bytes, some 40 while they are sorted).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from hunmin.data.encoding import EncodedGroup
from hunmin.data.index import INDEX_SUFFIX, write_index
from hunmin.data.permutation import Int64s, UInt64s
from hunmin.data.tokens import GroupFacts, ShardFacts, SplitFacts

_CHUNK_TOKENS = 2_000_000
_MAX_NAME_LENGTH = 100


@dataclass
class _GroupSpool:
    """One group's documents so far."""

    file: Path
    num_bytes: int = 0
    lengths: list[Int64s] = field(default_factory=list)
    hashes: list[UInt64s] = field(default_factory=list)


class Spool:
    """Collects the tokens of one split and writes its shards.

    Args:
        folder: A folder of its own for temporary files; needs as much room as the shards.
        dtype: Type of a token on disk.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any]) -> None:
        self._folder = folder
        self._dtype = dtype.newbyteorder("<")
        self._groups: dict[str, _GroupSpool] = {}
        folder.mkdir(parents=True)

    def add(self, encoded: EncodedGroup) -> None:
        """Append documents to their group."""
        group = self._groups.get(encoded.name)
        if group is None:
            group = _GroupSpool(self._folder / f"{len(self._groups)}.bin")
            self._groups[encoded.name] = group
        # Opened each time: there may be more groups than files a process may hold open.
        with group.file.open("ab") as file:
            file.write(encoded.tokens.astype(self._dtype, copy=False).tobytes())
        group.num_bytes += encoded.num_bytes
        group.lengths.append(encoded.lengths)
        group.hashes.append(encoded.hashes)

    def write_shards(self, root: Path, split: str, max_tokens: int) -> SplitFacts | None:
        """Write the shards of the split, and empty the spool.

        Args:
            root: Folder of the artifact.
            split: Name of the split and of its folder.
            max_tokens: Largest shard, unless a document is larger.

        Returns:
            Its facts, or None if there are no documents.
        """
        if not self._groups:
            return None
        (root / split).mkdir()
        groups = {}
        for name in sorted(self._groups):
            group = self._groups.pop(name)
            groups[name] = self._write_group(group, root, f"{split}/{file_name(name)}", max_tokens)
            group.file.unlink()
        return SplitFacts(
            tokens=sum(group.tokens for group in groups.values()),
            documents=sum(group.documents for group in groups.values()),
            bytes=sum(group.bytes for group in groups.values()),
            groups=groups,
        )

    def _write_group(
        self, group: _GroupSpool, root: Path, stem: str, max_tokens: int
    ) -> GroupFacts:
        lengths = np.concatenate(group.lengths)
        order = np.argsort(np.concatenate(group.hashes), kind="stable")
        starts = (np.cumsum(lengths) - lengths)[order]
        lengths = lengths[order]
        source = np.memmap(group.file, dtype=self._dtype, mode="r")
        shards = []
        for number, documents in enumerate(_cut_into_runs(lengths, max_tokens)):
            file = f"{stem}-{number:05d}.bin"
            _write_shard(root / file, source, starts[documents], lengths[documents])
            num_documents = documents.stop - documents.start
            tokens = int(lengths[documents].sum())
            shards.append(ShardFacts(file=file, tokens=tokens, documents=num_documents))
        return GroupFacts(
            tokens=int(lengths.sum()),
            documents=len(lengths),
            bytes=group.num_bytes,
            shards=tuple(shards),
        )


def file_name(group: str) -> str:
    """Return a file name for any group name; names without odd characters stay as they are."""
    name = quote(group, safe="") or "%"
    if len(name) <= _MAX_NAME_LENGTH:
        return name
    return f"{name[: _MAX_NAME_LENGTH - 20]}-{hashlib.sha256(group.encode()).hexdigest()[:16]}"


def _cut_into_runs(lengths: Int64s, max_tokens: int) -> Iterator[slice]:
    """Runs of documents of at most `max_tokens`; a longer document is a run of its own."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        limit = ends[first] - lengths[first] + max_tokens
        stop = max(first + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(first, stop)
        first = stop


def _write_shard(file: Path, source: npt.NDArray[Any], starts: Int64s, lengths: Int64s) -> None:
    with file.open("wb") as out:
        for documents in _cut_into_runs(lengths, _CHUNK_TOKENS):
            out.write(_gather(source, starts[documents], lengths[documents]).tobytes())
    write_index(file.with_suffix(INDEX_SUFFIX), lengths, source.dtype)


def _gather(source: npt.NDArray[Any], starts: Int64s, lengths: Int64s) -> npt.NDArray[Any]:
    if len(starts) == 1:
        return source[starts[0] : starts[0] + lengths[0]]
    before = np.cumsum(lengths) - lengths
    places = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return np.asarray(source[places])
