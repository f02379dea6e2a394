"""The forward pass of a transformers model over packed rows.

Where a model takes positions and a mask of its own for each document, the rows go in as they are.
Where it does not, each document gets a row of its own (`models.unpacking`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.core.errors import ContextLengthError, InputError
from hunmin.data.batch import PairBatch, TokenBatch
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.kinds import a_model
from hunmin.models.architecture import layout_of
from hunmin.models.attention import PACKED_ATTENTION, PLAN_ARGUMENT
from hunmin.models.packing import (
    PackingPlan,
    cross_mask,
    dense_mask,
    document_mask,
    plan_cross,
    plan_documents,
    plan_packing,
)
from hunmin.models.precision import compute_dtype
from hunmin.models.unpacking import unpacked_encoder_states, unpacked_sequence_states

PACKING_ENCODERS = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "distilbert",
        "electra",
        "eurobert",
        "modernbert",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
    }
)
"""Encoders that take positions and a mask of documents."""
RELATIVE_SEQUENCES = frozenset({"mt5", "t5"})
"""Encoder-decoders that know distances only, which are the same in a packed row."""
LEARNED_SEQUENCES = frozenset({"bart", "mbart"})
"""Encoder-decoders with a table of positions."""
_ATTENTION_DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")


def hidden_states(model: PreTrainedModel, batch: TokenBatch | PairBatch) -> Tensor:
    """Return the last hidden state of each token, before the head.

    Args:
        model: A language model of any layout.
        batch: Packed rows: a TokenBatch for encoders, in which a token sees its whole segment, and
            decoders, in which it sees its segment up to itself; a PairBatch for encoder-decoders.

    Returns:
        Shape (B, T, D); of encoder-decoders those of the decoder.

    Raises:
        ContextLengthError: A row is longer than the model has positions.
        InputError: The batch is made for models of another kind.
    """
    layout = layout_of(model.config)
    _check_batch(layout, batch)
    _check_length(model, batch)
    if isinstance(batch, PairBatch):
        return _sequence_states(model, batch)
    if layout is Layout.ALIGNED:
        return _encoder_states(model, batch)
    output = model.base_model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids,
        use_cache=False,
        **_causal_arguments(model, batch),
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def first_position(model: PreTrainedModel) -> int:
    """Return the position of a document's first token: RoBERTa counts from its padding token on."""
    embeddings: Any = getattr(model.base_model, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return int(embeddings.padding_idx) + 1
    return 0


def _encoder_states(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    if model.config.model_type not in PACKING_ENCODERS:
        return unpacked_encoder_states(model, batch)
    output = model.base_model(
        input_ids=batch.input_ids,
        position_ids=batch.position_ids + first_position(model),
        **_bidirectional_arguments(model, batch.segment_ids),
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _bidirectional_arguments(model: PreTrainedModel, segment_ids: Tensor) -> dict[str, Any]:
    window = model.config.sliding_window if "sliding_attention" in _layer_types(model) else None
    if not _takes_plans(model):
        mask = document_mask(segment_ids)
        near_mask = None if window is None else document_mask(segment_ids, window)
        return {"attention_mask": _masks(window, mask, near_mask)}
    dtype = compute_dtype(next(model.parameters()))
    near = None if window is None else plan_documents(segment_ids, dtype, window)
    plan = PackingPlan(plan_documents(segment_ids, dtype).blocks, near=near)
    unread = _placeholder(segment_ids)
    return {"attention_mask": _masks(window, unread, unread), PLAN_ARGUMENT: plan}


def _masks(window: int | None, full: Tensor | None, near: Tensor | None) -> Any:
    """Return masks as ModernBERT wants them, or the only one."""
    if window is None:
        return full
    return {"full_attention": full, "sliding_attention": near}


def _layer_types(model: PreTrainedModel) -> list[str]:
    return getattr(model.config, "layer_types", None) or []


def _sequence_states(model: PreTrainedModel, batch: PairBatch) -> Tensor:
    if model.config.model_type not in RELATIVE_SEQUENCES | LEARNED_SEQUENCES:
        return unpacked_sequence_states(model, batch)
    encoder, decoder = model.get_encoder(), model.get_decoder()
    with _placed(encoder, batch.position_ids), _placed(decoder, batch.decoder_position_ids):
        read = encoder(
            input_ids=batch.input_ids, **_bidirectional_arguments(model, batch.segment_ids)
        ).last_hidden_state
        output = decoder(
            input_ids=batch.decoder_input_ids,
            encoder_hidden_states=read,
            use_cache=False,
            **_reading_arguments(model, batch),
        )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _reading_arguments(model: PreTrainedModel, batch: PairBatch) -> dict[str, Any]:
    said, read = batch.decoder_segment_ids, batch.segment_ids
    if not _takes_plans(model):
        return {
            "attention_mask": dense_mask(said),
            "encoder_attention_mask": cross_mask(said, read),
        }
    dtype = compute_dtype(next(model.parameters()))
    cross = plan_cross(said, read, dtype)
    placeholder = _placeholder(said)
    return {
        "attention_mask": placeholder,
        "encoder_attention_mask": placeholder,
        PLAN_ARGUMENT: PackingPlan(plan_packing(said, dtype).blocks, cross=cross),
    }


@contextlib.contextmanager
def _placed(stack: nn.Module, position_ids: Tensor) -> Iterator[None]:
    """Let a stack of BART look up these positions; it would count through the row."""
    table: Any = getattr(stack, "embed_positions", None)
    if table is None:
        yield
        return

    def look_up(module: Any, arguments: Any, output: Tensor) -> Tensor:
        return F.embedding(position_ids + module.offset, module.weight)

    handle = table.register_forward_hook(look_up)
    try:
        yield
    finally:
        handle.remove()


def _causal_arguments(model: PreTrainedModel, batch: TokenBatch) -> dict[str, Any]:
    if not _takes_plans(model):
        return {"attention_mask": dense_mask(batch.segment_ids)}
    plan = plan_packing(batch.segment_ids, compute_dtype(next(model.parameters())))
    return {"attention_mask": _placeholder(batch.segment_ids), PLAN_ARGUMENT: plan}


def _takes_plans(model: PreTrainedModel) -> bool:
    """Whether attention is ours, and nothing in it that blocks of queries cannot do."""
    is_ours = model.config._attn_implementation == PACKED_ATTENTION
    is_plain = model.config.model_type not in RELATIVE_SEQUENCES
    return is_ours and is_plain and not _has_dropout(model)


def _placeholder(ids: Tensor) -> Tensor:
    """A ready 4-D mask keeps transformers from building one; with a plan nobody reads it."""
    return torch.empty(1, 1, 1, 1, dtype=torch.bool, device=ids.device)


def _has_dropout(model: PreTrainedModel) -> bool:
    shares = [getattr(model.config, name, None) for name in _ATTENTION_DROPOUTS]
    return bool(model.training and any(shares))


def _check_batch(layout: Layout, batch: TokenBatch | PairBatch) -> None:
    if isinstance(batch, PairBatch) != (layout is Layout.SEQUENCE):
        raise InputError(
            "this batch is made for models of another kind",
            given=f"a {type(batch).__name__} for {a_model(layout.model_kind)}",
            allowed="a PairBatch for encoder-decoders, a TokenBatch for encoders and decoders",
            hint="make the batches with the layout of this model (models.architecture.layout_of)",
        )


def row_limit(model: PreTrainedModel) -> int | None:
    """Return how many tokens a row may have; None if the model knows distances only."""
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    if positions is None or model.config.model_type in RELATIVE_SEQUENCES:
        return None
    return positions - first_position(model)


def _check_length(model: PreTrainedModel, batch: TokenBatch | PairBatch) -> None:
    tables = [batch.input_ids]
    if isinstance(batch, PairBatch):
        tables.append(batch.decoder_input_ids)
    length, limit = max(table.shape[1] for table in tables), row_limit(model)
    if limit is not None and length > limit:
        raise ContextLengthError(
            "a row is longer than the model has positions",
            given=f"{length} tokens",
            allowed=f"up to {limit}",
            hint="lower data.context, or build the model with a larger model.context",
        )
