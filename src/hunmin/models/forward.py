"""The forward pass of a transformers model over packed rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.errors import ContextLengthError
from hunmin.data.batch import TokenBatch
from hunmin.models.attention import PACKED_ATTENTION, PLAN_ARGUMENT
from hunmin.models.packing import dense_mask, plan_packing
from hunmin.models.precision import compute_dtype


def hidden_states(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """Return the last hidden state of each token, before the output projection.

    Args:
        model: A causal language model.
        batch: Packed rows; a token sees the tokens of its segment up to itself.

    Returns:
        Shape (B, T, D).

    Raises:
        ContextLengthError: A row is longer than the model has positions.
    """
    _check_length(model, batch)
    output = model.base_model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        use_cache=False,
        **_attention_arguments(model, batch),
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _attention_arguments(model: PreTrainedModel, batch: TokenBatch) -> dict[str, Any]:
    if model.config._attn_implementation != PACKED_ATTENTION or _has_dropout(model):
        return {"attention_mask": dense_mask(batch.segment_ids)}
    plan = plan_packing(batch.segment_ids, compute_dtype(next(model.parameters())))
    # A ready 4-D mask keeps transformers from building one; with a plan nobody reads it.
    placeholder = torch.empty(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
    return {"attention_mask": placeholder, PLAN_ARGUMENT: plan}


def _has_dropout(model: PreTrainedModel) -> bool:
    config = model.config
    dropout = getattr(config, "attention_dropout", None) or getattr(config, "attn_pdrop", 0.0)
    return bool(model.training and dropout)


def _check_length(model: PreTrainedModel, batch: TokenBatch) -> None:
    positions = getattr(model.config, "max_position_embeddings", None)
    length = batch.input_ids.shape[1]
    if positions is not None and length > positions:
        raise ContextLengthError(
            "a row is longer than the model has positions",
            given=f"{length} tokens",
            allowed=f"up to {positions}",
            hint="lower data.context, or build the model with a larger model.context",
        )
