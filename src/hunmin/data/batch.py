"""The tensors of a batch. Shapes: B rows, T tokens; of pairs S in the encoder, T in the decoder.

Batch        what all batches can do
TokenBatch   one sequence per row: for decoders and encoders
PairBatch    what an encoder reads and what a decoder says
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

IGNORED_LABEL = -100
PADDING_SEGMENT = -1


class Batch:
    """Tensors with one row for each sequence; a subclass is a frozen dataclass of tensors.

    Note:
        Every batch has `input_ids`, what is read, and `labels`, -100 where nothing is scored.
    """

    if TYPE_CHECKING:

        @property
        def input_ids(self) -> Tensor:
            """What the model reads, int64, one row for each sequence."""

        @property
        def labels(self) -> Tensor:
            """What it is to say, int64; -100 where nothing is scored."""

    @property
    def num_rows(self) -> int:
        """Rows of the batch."""
        return self.labels.shape[0]

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on another device; the copy does not block."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def rows(self, start: int, stop: int) -> Self:
        """Return the rows [start, stop) as views."""
        return self._map(lambda tensor: tensor[start:stop])

    def padded(self, num_rows: int) -> Self:
        """Return the batch with rows appended in which nothing is scored.

        Args:
            num_rows: Rows of the result, at least those there are; there is at least one.

        Returns:
            The batch, so that every rank computes equally many rows of the same shape.
        """
        missing = num_rows - self.num_rows
        if missing <= 0:
            return self
        filled = self._map(lambda t: torch.cat((t, t[:1].expand(missing, *t.shape[1:]))))
        filled.labels[-missing:] = IGNORED_LABEL
        return filled

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        names = [field.name for field in fields(cast("DataclassInstance", self))]
        return type(self)(**{name: change(getattr(self, name)) for name in names})


@dataclass(frozen=True)
class TokenBatch(Batch):
    """Packed rows of documents and what is to be said at each place.

    Args:
        input_ids: Tokens, int64, shape (B, T).
        labels: For a decoder the token after each; for an encoder the token itself, or what was
            there before it was masked. int64, shape (B, T); -100 where nothing is scored.
        position_ids: Place within the document as far as it is in the row, int64, shape (B, T).
        segment_ids: Number of the document within the row, int32, shape (B, T); a token may
            attend only to its own segment.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    segment_ids: Tensor


@dataclass(frozen=True)
class PairBatch(Batch):
    """Packed rows of what an encoder reads, and of what a decoder says to it.

    Args:
        input_ids: What the encoder reads, int64, shape (B, S).
        position_ids: Place within the segment, int64, shape (B, S); 0 in padding.
        segment_ids: Number of the segment within the row, int32, shape (B, S); -1 in padding. A
            token of the encoder may attend only to its own segment.
        decoder_input_ids: The boundary token and the labels but the last, for each segment, int64,
            shape (B, T).
        decoder_segment_ids: As `segment_ids`, shape (B, T); a token of the decoder may attend only
            to its own segment in what was said before it and in what the encoder read.
        labels: The token after each of `decoder_input_ids`, int64, shape (B, T); -100 where nothing
            is scored, as in padding.

    Note:
        Every segment of the decoder has its segment in the encoder, which is not empty.
    """

    input_ids: Tensor
    position_ids: Tensor
    segment_ids: Tensor
    decoder_input_ids: Tensor
    decoder_segment_ids: Tensor
    labels: Tensor

    @property
    def decoder_position_ids(self) -> Tensor:
        """Place within the segment, int64, shape (B, T); 0 in padding."""
        return segment_positions(self.decoder_segment_ids)


def segment_positions(segment_ids: Tensor) -> Tensor:
    """Return the place of each token within its segment.

    Args:
        segment_ids: int, shape (B, T); segments are stretches of equal numbers, -1 is padding.

    Returns:
        int64, shape (B, T); 0 in padding.
    """
    places = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    begins = torch.ones_like(segment_ids, dtype=torch.bool)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    starts = torch.cummax(torch.where(begins, places, 0), dim=1).values
    return torch.where(segment_ids == PADDING_SEGMENT, 0, places - starts)


def batch_from_windows(
    windows: npt.NDArray[np.int64], boundary_id: int, *, cross_document_attention: bool
) -> TokenBatch:
    """Turn stretches of a token stream into a batch.

    Args:
        windows: Tokens, int64, shape (B, T + 1); row by row a stretch of a stream.
        boundary_id: The token that begins a document.
        cross_document_attention: One segment per row and positions counted through.

    Returns:
        The batch. A row may begin within a document: its positions then start at 0 there.
    """
    inputs, labels = windows[:, :-1], windows[:, 1:]
    places = np.arange(inputs.shape[1], dtype=np.int64)
    if cross_document_attention:
        positions = np.broadcast_to(places, inputs.shape).copy()
        segments = np.zeros(inputs.shape, dtype=np.int32)
    else:
        begins = inputs == boundary_id
        begins[:, 0] = False
        segments = np.cumsum(begins, axis=1, dtype=np.int32)
        positions = places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    return TokenBatch(
        input_ids=torch.from_numpy(np.ascontiguousarray(inputs)),
        labels=torch.from_numpy(np.ascontiguousarray(labels)),
        position_ids=torch.from_numpy(positions),
        segment_ids=torch.from_numpy(segments),
    )
