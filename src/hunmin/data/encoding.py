"""Tokenizing record batches, in this process or in several, with results in order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.environment import available_cores
from hunmin.core.processes import map_in_order
from hunmin.data.grouping import SEPARATOR
from hunmin.data.permutation import Int64s, UInt64s
from hunmin.data.spec import MixBy
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.sample import hash_ids

ONLY_GROUP = "all"
_SLICE_MAX_BYTES = 4_000_000
_WORKER_MIN_BYTES = 16_000_000
# One document in so many is tokenized by both engines, chosen by the hash of its id.
_CHECKED_SHARE = 128


@dataclass(frozen=True)
class EncodedGroup:
    """Documents of one group from one slice of a record batch, in order.

    Args:
        name: The group.
        tokens: All their tokens, each document led by the boundary token.
        lengths: Tokens of each document.
        hashes: Seeded hash of each document's id, which decides the order in the shards.
        num_bytes: UTF-8 bytes of their text.
    """

    name: str
    tokens: npt.NDArray[Any]
    lengths: Int64s
    hashes: UInt64s
    num_bytes: int


class EnginesDisagreeError(Exception):
    """tiktoken and tokenizers gave other ids for some document; caught in `shards.py`."""


@dataclass(frozen=True)
class DocumentEncoder:
    """Turns record batches into tokens by group; travels to worker processes.

    Args:
        tokenizer: The tokenizer; if its engine is tiktoken, some documents are checked.
        mix_by: The columns that name the group, or none.
        seed: Decides the order of documents.
    """

    tokenizer: TextTokenizer
    mix_by: MixBy
    seed: int

    @property
    def columns(self) -> list[str]:
        """Columns of the documents artifact that are needed."""
        return ["id", "text", *self._group_columns]

    @property
    def _group_columns(self) -> list[str]:
        return [name for name in ("language", "source") if name in self.mix_by.split()]

    def encode(self, batch: pa.RecordBatch) -> list[EncodedGroup]:
        """Tokenize documents.

        Args:
            batch: Rows with `columns`.

        Returns:
            Their tokens by group, groups sorted by name.

        Raises:
            EnginesDisagreeError: tiktoken gave other ids than tokenizers for a checked document.
        """
        texts = batch.column("text").to_pylist()
        hashes = hash_ids(batch.column("id"), self.seed)
        self._check(texts, hashes)
        rows = self.tokenizer.encode_batch(texts)
        lengths = np.array([len(row) + 1 for row in rows], dtype=np.int64)
        sizes = pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
        return [
            EncodedGroup(
                name=name,
                tokens=self._join([rows[i] for i in members]),
                lengths=lengths[members],
                hashes=hashes[members],
                num_bytes=int(sizes[members].sum()),
            )
            for name, members in self._members(batch)
        ]

    def _check(self, texts: list[str], hashes: UInt64s) -> None:
        if self.tokenizer.engine == "tokenizers":
            return
        checked = np.flatnonzero(hashes % np.uint64(_CHECKED_SHARE) == 0)
        if not self.tokenizer.engines_agree([texts[i] for i in checked]):
            raise EnginesDisagreeError

    def _join(self, rows: list[npt.NDArray[np.uint32]]) -> npt.NDArray[Any]:
        """All rows, each led by the boundary token."""
        dtype = self.tokenizer.id_dtype
        boundary = np.array([self.tokenizer.boundary_id], dtype=dtype)
        parts = chain.from_iterable((boundary, row) for row in rows)
        return np.concatenate(list(parts), dtype=dtype, casting="same_kind")

    def _members(self, batch: pa.RecordBatch) -> Iterator[tuple[str, Int64s]]:
        if self.mix_by == "none":
            yield ONLY_GROUP, np.arange(batch.num_rows)
            return
        columns = [batch.column(name) for name in self._group_columns]
        names = pc.binary_join_element_wise(*columns, SEPARATOR).dictionary_encode()
        codes = names.indices.to_numpy()
        by_name = sorted(enumerate(names.dictionary.to_pylist()), key=lambda pair: pair[1])
        for code, name in by_name:
            yield name, np.flatnonzero(codes == code)


def slice_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut record batches into slices of about 4 MB of text, so that memory stays bounded."""
    for batch in batches:
        sizes = pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
        parts = np.cumsum(sizes, dtype=np.int64) // _SLICE_MAX_BYTES
        borders = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), batch.num_rows]
        for start, stop in pairwise(borders):
            if stop > start:
                yield batch.slice(start, stop - start)


def choose_num_workers(requested: int | Literal["auto"], text_bytes: int) -> int:
    """Return how many processes tokenize: one per core, fewer if each had little to do."""
    if requested != "auto":
        return requested
    return max(1, min(available_cores(), text_bytes // _WORKER_MIN_BYTES))


def encode_batches(
    batches: Iterable[pa.RecordBatch], encoder: DocumentEncoder, num_workers: int
) -> Iterator[list[EncodedGroup]]:
    """Tokenize record batches.

    Args:
        batches: Rows with the encoder's columns.
        encoder: What to do with them.
        num_workers: Processes; 1 works in this one.

    Yields:
        One list per batch, in order, whatever the number of processes.

    Raises:
        StageFailedError: A worker process died.
    """
    yield from map_in_order(
        encoder.encode,
        batches,
        num_workers,
        problem="a process that tokenizes died",
        hint="if memory ran out, lower data.num_workers; with data.num_workers=1 all is done in "
        "one process",
    )
