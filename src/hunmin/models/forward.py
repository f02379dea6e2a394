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
from hunmin.models.architecture import LAYOUT_NAMES, layout_of
from hunmin.models.attention import PACKED_ATTENTION, PLAN_ARGUMENT
from hunmin.models.packing import cross_mask, dense_mask, document_mask, plan_packing
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
    mask = document_mask(segment_ids)
    if "sliding_attention" not in (getattr(model.config, "layer_types", None) or ()):
        return {"attention_mask": mask}
    near = document_mask(segment_ids, model.config.sliding_window)
    return {"attention_mask": {"full_attention": mask, "sliding_attention": near}}


def _sequence_states(model: PreTrainedModel, batch: PairBatch) -> Tensor:
    if model.config.model_type not in RELATIVE_SEQUENCES | LEARNED_SEQUENCES:
        return unpacked_sequence_states(model, batch)
    encoder, decoder = model.get_encoder(), model.get_decoder()
    with _placed(encoder, batch.position_ids), _placed(decoder, batch.decoder_position_ids):
        read = encoder(
            input_ids=batch.input_ids, attention_mask=document_mask(batch.segment_ids)
        ).last_hidden_state
        output = decoder(
            input_ids=batch.decoder_input_ids,
            attention_mask=dense_mask(batch.decoder_segment_ids),
            encoder_hidden_states=read,
            encoder_attention_mask=cross_mask(batch.decoder_segment_ids, batch.segment_ids),
            use_cache=False,
        )
    hidden: Tensor = output.last_hidden_state
    return hidden


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
    if model.config._attn_implementation != PACKED_ATTENTION or _has_dropout(model):
        return {"attention_mask": dense_mask(batch.segment_ids)}
    plan = plan_packing(batch.segment_ids, compute_dtype(next(model.parameters())))
    # A ready 4-D mask keeps transformers from building one; with a plan nobody reads it.
    placeholder = torch.empty(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
    return {"attention_mask": placeholder, PLAN_ARGUMENT: plan}


def _has_dropout(model: PreTrainedModel) -> bool:
    shares = [getattr(model.config, name, None) for name in _ATTENTION_DROPOUTS]
    return bool(model.training and any(shares))


def _check_batch(layout: Layout, batch: TokenBatch | PairBatch) -> None:
    if isinstance(batch, PairBatch) != (layout is Layout.SEQUENCE):
        raise InputError(
            "this batch is made for models of another kind",
            given=f"a {type(batch).__name__} for an {LAYOUT_NAMES[layout]}",
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
