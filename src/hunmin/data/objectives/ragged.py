"""Documents of different lengths in one array: flat tokens and offsets.

Shapes: N tokens, D documents (rows). Row d is tokens[offsets[d] : offsets[d + 1]].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError
from hunmin.data.permutation import Int64s

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of tokens of any lengths, also empty ones.

    Args:
        tokens: int64, shape (N,); all rows one after another.
        offsets: int64, shape (D + 1,); where each row begins, then N. Never falls; the first is 0.

    Raises:
        InputError: The offsets do not divide the tokens.
    """

    tokens: Int64s
    offsets: Int64s

    def __post_init__(self) -> None:
        offsets = self.offsets
        whole = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(self.tokens)
        if not whole or np.any(np.diff(offsets) < 0):
            raise InputError(
                "the offsets do not divide the tokens into rows",
                given=f"offsets {offsets[:3].tolist()} … {offsets[-1:].tolist()}",
                allowed=f"numbers that never fall, from 0 to {len(self.tokens)}",
                hint="make rows with Ragged.from_lists or Ragged.from_lengths",
            )

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int] | npt.NDArray[Any]]) -> Self:
        """Return the rows as one array."""
        arrays = [np.asarray(row, dtype=np.int64) for row in rows]
        tokens = np.concatenate([np.zeros(0, dtype=np.int64), *arrays])
        return cls.from_lengths(tokens, np.array([len(row) for row in arrays], dtype=np.int64))

    @classmethod
    def from_lengths(cls, tokens: npt.NDArray[Any], lengths: Int64s) -> Self:
        """Return rows of the given lengths, shape (D,), over the tokens, shape (N,)."""
        return cls(tokens.astype(np.int64, copy=False), _offsets(lengths))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Int64s:
        """Tokens of each row, int64, shape (D,)."""
        return np.diff(self.offsets)

    @cached_property
    def rows(self) -> Int64s:
        """Number of the row of each token, int64, shape (N,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    @cached_property
    def places(self) -> Int64s:
        """Place of each token within its row, int64, shape (N,)."""
        places: Int64s = np.arange(len(self.tokens)) - np.repeat(self.offsets[:-1], self.lengths)
        return places

    def to_lists(self) -> list[list[int]]:
        """Return each row as a list."""
        return [row.tolist() for row in np.split(self.tokens, self.offsets[1:-1])][: len(self)]

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return one value per row, shape (D,), repeated for each of its tokens, shape (N,)."""
        return np.repeat(values, self.lengths)

    def count(self, flags: Bools) -> Int64s:
        """Return how many tokens of each row have the flag, int64, shape (D,)."""
        return np.diff(_offsets(flags)[self.offsets])

    def numbered(self, flags: Bools) -> Int64s:
        """Return how many flags its row has up to each token, itself included, shape (N,)."""
        running = _offsets(flags)
        numbers: Int64s = running[1:] - self.spread(running[self.offsets[:-1]])
        return numbers

    def keep(self, flags: Bools) -> Ragged:
        """Return the rows with only the tokens that have the flag, shape (N,)."""
        return Ragged.from_lengths(self.tokens[flags], self.count(flags))

    def indices_of(self, rows: Int64s) -> Int64s:
        """Return where the tokens of the given rows lie, one row after another."""
        lengths = self.lengths[rows]
        return segment_indices(self.offsets[:-1][rows], lengths)

    def take(self, rows: Int64s) -> Ragged:
        """Return the given rows, in the given order."""
        return Ragged.from_lengths(self.tokens[self.indices_of(rows)], self.lengths[rows])

    def with_tokens(self, tokens: npt.NDArray[Any]) -> Ragged:
        """Return rows of the same lengths with other tokens, shape (N,)."""
        return Ragged(tokens.astype(np.int64, copy=False), self.offsets)


@dataclass(frozen=True, eq=False)
class Documents(Ragged):
    """Rows to be corrupted, and what some objectives have to know about them.

    Args:
        tokens: int64, shape (N,), without boundary tokens.
        offsets: int64, shape (D + 1,).
        sentence_starts: bool, shape (N,); True at the first token of each sentence. The first
            token of a document always counts as one. None: not known.
        language_ids: Token of each document's language, int64, shape (D,). None: not known.

    Raises:
        InputError: An array has another shape than the tokens or the documents.
    """

    sentence_starts: Bools | None = None
    language_ids: Int64s | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_length("sentence_starts", self.sentence_starts, len(self.tokens), "token")
        _check_length("language_ids", self.language_ids, len(self), "document")

    def take(self, rows: Int64s) -> Documents:
        """Return the given documents, in the given order, with all that is known about them."""
        indices = self.indices_of(rows)
        return Documents(
            self.tokens[indices],
            _offsets(self.lengths[rows]),
            None if self.sentence_starts is None else self.sentence_starts[indices],
            None if self.language_ids is None else self.language_ids[rows],
        )


def segment_indices(starts: Int64s, lengths: Int64s) -> Int64s:
    """Return the numbers start, …, start + length - 1 of each segment, one after another.

    Args:
        starts: int64, shape (S,).
        lengths: int64, shape (S,), none negative.

    Returns:
        int64, shape (sum of the lengths,).
    """
    before = np.cumsum(lengths) - lengths
    indices: Int64s = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return indices


def join(*parts: Ragged) -> Ragged:
    """Return rows made of the parts' rows: row d of the first, of the second, and so on.

    Args:
        *parts: At least one, all with D rows.

    Returns:
        D rows; no token is lost.
    """
    stacked = stack(*parts)
    num_rows = len(parts[0])
    order = np.arange(len(stacked)).reshape(len(parts), num_rows).T.ravel()
    lengths: Int64s = np.stack([part.lengths for part in parts]).sum(axis=0)
    return Ragged.from_lengths(stacked.take(order).tokens, lengths)


def stack(*parts: Ragged) -> Ragged:
    """Return all rows of the first part, then all rows of the second, and so on."""
    tokens = np.concatenate([part.tokens for part in parts])
    return Ragged.from_lengths(tokens, np.concatenate([part.lengths for part in parts]))


def single(values: npt.NDArray[Any], present: Bools) -> Ragged:
    """Return rows with one token where present, else none.

    Args:
        values: Tokens, shape (D,).
        present: bool, shape (D,).

    Returns:
        D rows of one or no token.
    """
    return Ragged.from_lengths(values[present], present.astype(np.int64))


def _offsets(lengths: npt.NDArray[Any]) -> Int64s:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _check_length(name: str, values: npt.NDArray[Any] | None, expected: int, per: str) -> None:
    if values is not None and values.shape != (expected,):
        raise InputError(
            f"{name} does not belong to these documents",
            given=f"shape {values.shape}",
            allowed=f"shape ({expected},), one for each {per}",
        )
