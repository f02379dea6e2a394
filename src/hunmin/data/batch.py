"""The tensors of a batch. Shapes: B rows, T tokens."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IGNORED_LABEL = -100


@dataclass(frozen=True)
class TokenBatch:
    """Packed rows of documents and what is to be predicted at each place.

    Args:
        input_ids: Tokens, int64, shape (B, T).
        labels: The token after each, int64, shape (B, T); -100 where nothing is scored.
        position_ids: Place within the document as far as it is in the row, int64, shape (B, T).
        segment_ids: Number of the document within the row, int32, shape (B, T); a token may
            attend only to its own segment.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    segment_ids: Tensor

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
        missing = num_rows - self.input_ids.shape[0]
        if missing <= 0:
            return self
        filled = self._map(lambda t: torch.cat((t, t[:1].expand(missing, -1))))
        filled.labels[-missing:] = IGNORED_LABEL
        return filled

    def _map(self, change: Any) -> Self:
        return type(self)(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


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
