"""Keys and values of several texts of different lengths, so that they can be continued together.

row 0  [k k k k k k · ·]      Every text begins in column 0 of its row. A step writes each text's
row 1  [k k k · · · · ·]      new column at its own place, and the attention mask hides what lies
row 2  [k k k k k k k k]      behind it. Rows in use are 0 … n-1; memory grows with need.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

COLUMN_STEP = 64


class RowLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here
    """Keys and values of one attention layer, shape (rows, heads, columns, head size)."""

    keys: Tensor
    values: Tensor
    is_initialized: bool

    def __init__(self, places: StepPlaces) -> None:
        super().__init__()
        self._places = places

    def store(self, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write whole prompts: the first columns of the rows."""
        self._reserve(int(rows.max()) + 1, keys.shape[2], keys)
        self.keys[rows, :, : keys.shape[2]] = keys
        self.values[rows, :, : values.shape[2]] = values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write one column for each row and return all that the rows may look at."""
        columns_N = self._places.columns_N
        num_rows, num_columns = len(columns_N), self._places.num_columns
        self._reserve(num_rows, num_columns, key_states)
        rows_N = torch.arange(num_rows, device=key_states.device)
        self.keys[rows_N, :, columns_N] = key_states[:, :, 0]
        self.values[rows_N, :, columns_N] = value_states[:, :, 0]
        return self.keys[:num_rows, :, :num_columns], self.values[:num_rows, :, :num_columns]

    def copy_row(self, source: int, target: int) -> None:
        """Make one row equal to another."""
        self.keys[target] = self.keys[source]
        self.values[target] = self.values[source]

    def get_seq_length(self) -> int:
        """Return the number of columns before the one that is being written."""
        return self._places.num_columns - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the number of columns to attend to, and the first one."""
        return self._places.num_columns, 0

    def _reserve(self, num_rows: int, num_columns: int, like: Tensor) -> None:
        """Make room, in steps, keeping what is there; new room is zero, as masked NaN stays NaN."""
        rows, columns = (self.keys.shape[0], self.keys.shape[2]) if self.is_initialized else (0, 0)
        if num_rows <= rows and num_columns <= columns:
            return
        num_columns = -(-max(num_columns, columns) // COLUMN_STEP) * COLUMN_STEP
        shape = (max(num_rows, rows), like.shape[1], num_columns, like.shape[3])
        keys, values = like.new_zeros(shape), like.new_zeros(shape)
        if self.is_initialized:
            keys[:rows, :, :columns] = self.keys
            values[:rows, :, :columns] = self.values
        self.keys, self.values, self.is_initialized = keys, values, True
        self.dtype, self.device = like.dtype, like.device


class StepPlaces:
    """Where the step under way writes: one column for each row, shared by all layers."""

    def __init__(self) -> None:
        self.columns_N = torch.zeros(0, dtype=torch.int64)
        self.num_columns = 1


class RowCache(Cache):  # type: ignore[misc]  # transformers is untyped here
    """A cache for transformers models whose rows come, grow and go independently.

    Args:
        num_layers: Number of attention layers of the model.
    """

    def __init__(self, num_layers: int) -> None:
        self._places = StepPlaces()
        super().__init__(layers=[RowLayer(self._places) for _ in range(num_layers)])

    def begin_step(self, lengths_N: Tensor) -> Tensor:
        """Fix the places of the next step.

        Args:
            lengths_N: How many columns each of the first N rows has so far, int64.

        Returns:
            The attention mask of the step, int64, shape (N, columns).
        """
        self._places.columns_N = lengths_N
        self._places.num_columns = int(lengths_N.max()) + 1
        columns = torch.arange(self._places.num_columns, device=lengths_N.device)
        return (columns[None, :] <= lengths_N[:, None]).long()

    def store(self, first_row: int, prompts: DynamicCache, prompt_of_row_N: Tensor) -> None:
        """Take over prompts that were computed together, padded on the right.

        Args:
            first_row: Row of the first text; the others follow.
            prompts: Their keys and values.
            prompt_of_row_N: Which of the prompts each text continues, int64.
        """
        rows = torch.arange(len(prompt_of_row_N), device=prompt_of_row_N.device) + first_row
        for layer, prompt_layer in zip(self.layers, prompts.layers, strict=True):
            keys, values = prompt_layer.keys, prompt_layer.values
            layer.store(rows, keys[prompt_of_row_N], values[prompt_of_row_N])

    def copy_row(self, source: int, target: int) -> None:
        """Make one row equal to another in all layers."""
        for layer in self.layers:
            layer.copy_row(source, target)
