"""Tiny language models of many architectures with random weights, and packed batches for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    BartConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    EuroBertConfig,
    M2M100Config,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
)

from hunmin.data.batch import IGNORED_LABEL, PairBatch, TokenBatch, segment_positions
from hunmin.models.architecture import attention_for, language_model_class
from hunmin.models.build import model_config
from hunmin.models.sequences import drop_unread_tables
from hunmin.models.spec import ModelSpec

VOCABULARY = 96
LONGEST = 48
PAD = 1
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": LONGEST,
    "pad_token_id": PAD,
}
_T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "pad_token_id": PAD,
    "decoder_start_token_id": 0,
}
_BART: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": LONGEST,
    "pad_token_id": PAD,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
_NO_DROPOUT: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def _preset(**fields: Any) -> PreTrainedConfig:
    spec = ModelSpec(layers=2, width=64, heads=4, feedforward=96, **fields)
    return model_config(spec, vocab_size=VOCABULARY, context=LONGEST, pad_id=PAD)


def _modernbert() -> PreTrainedConfig:
    config = _preset(preset="hunmin-encoder")
    config.local_attention = 8
    return config


ENCODERS: dict[str, Any] = {
    "modernbert": _modernbert,
    "prelayernorm": lambda: _preset(preset="alexatm-encoder-17M"),
    "xlmr": lambda: _preset(preset="xlmr-style"),
    "electra": lambda: _preset(preset="xlmr-style", embedding_width=16),
    "bert": lambda: BertConfig(**_SIZES, **_NO_DROPOUT),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=LONGEST,
        pad_token_id=PAD,
        dropout=0.0,
        attention_dropout=0.0,
    ),
    "albert": lambda: AlbertConfig(**_SIZES, embedding_size=16),
    "eurobert": lambda: EuroBertConfig(**_SIZES),
    "deberta": lambda: DebertaV2Config(**_SIZES, **_NO_DROPOUT, type_vocab_size=0),
}
"""The last one cannot tell the documents of a row apart."""
SEQUENCES: dict[str, Any] = {
    "mbart": lambda: _preset(preset="hunmin-seq2seq", decoder_layers=1),
    "mbart-untied": lambda: _preset(preset="alexatm-20b", decoder_layers=1),
    "bart": lambda: BartConfig(**_BART),
    "t5": lambda: T5Config(**_T5),
    "t5-untied": lambda: T5Config(**_T5, tie_word_embeddings=False, feed_forward_proj="gated-gelu"),
    "m2m": lambda: M2M100Config(**_BART, encoder_layerdrop=0.0, decoder_layerdrop=0.0),
}
"""The last one counts positions itself."""


def tiny_language_model(name: str) -> PreTrainedModel:
    """Return a model whose scores differ clearly, biases too."""
    torch.manual_seed(0)
    config = (ENCODERS | SEQUENCES)[name]()
    model_class = language_model_class(config)
    model: PreTrainedModel = model_class._from_config(
        config, attn_implementation=attention_for(model_class)
    )
    drop_unread_tables(model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise.mul_(0.1))
        bias = getattr(model, "final_logits_bias", None)
        if bias is not None:
            bias.add_(torch.randn(bias.shape, generator=generator).mul_(0.1))
    return model.eval()


def segments(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Number the documents of rows, -1 behind them."""
    table = torch.full((len(rows), length), -1, dtype=torch.int32)
    for row, lengths in enumerate(rows):
        numbers = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        table[row, : len(numbers)] = numbers.int()
    return table


def masked_batch(rows: Sequence[Sequence[int]], *, seed: int = 0) -> TokenBatch:
    """Return packed documents of which about a third is scored; rows end in padding."""
    generator = torch.Generator().manual_seed(seed)
    segment_ids = segments(rows, LONGEST)
    is_padding = segment_ids < 0
    shape = segment_ids.shape
    input_ids = torch.randint(2, VOCABULARY, shape, generator=generator)
    labels = torch.randint(2, VOCABULARY, shape, generator=generator)
    unscored = (torch.rand(shape, generator=generator) > 0.3) | is_padding
    return TokenBatch(
        input_ids.masked_fill(is_padding, PAD),
        labels.masked_fill(unscored, IGNORED_LABEL),
        segment_positions(segment_ids),
        segment_ids,
    )


def pair_batch(
    read: Sequence[Sequence[int]], said: Sequence[Sequence[int]], *, seed: int = 0
) -> PairBatch:
    """Return packed pairs, all of what is said scored; rows end in padding."""
    source = masked_batch(read, seed=seed)
    target = masked_batch(said, seed=seed + 1)
    labels = torch.where(target.segment_ids < 0, IGNORED_LABEL, target.input_ids.roll(-1, 1))
    return PairBatch(
        source.input_ids,
        source.position_ids,
        source.segment_ids,
        target.input_ids,
        target.segment_ids,
        labels,
    )


def separate(batch: TokenBatch | PairBatch) -> dict[str, Tensor]:
    """Return each document as a padded row, as transformers' own forward pass wants it."""
    if isinstance(batch, TokenBatch):
        return {
            "input_ids": _rows(batch.input_ids, batch.segment_ids, PAD),
            "attention_mask": _rows((batch.segment_ids >= 0).long(), batch.segment_ids, 0),
            "labels": _rows(batch.labels, batch.segment_ids, IGNORED_LABEL),
        }
    said = batch.decoder_segment_ids
    return {
        "input_ids": _rows(batch.input_ids, batch.segment_ids, PAD),
        "attention_mask": _rows((batch.segment_ids >= 0).long(), batch.segment_ids, 0),
        "decoder_input_ids": _rows(batch.decoder_input_ids, said, PAD),
        "decoder_attention_mask": _rows((said >= 0).long(), said, 0),
        "labels": _rows(batch.labels, said, IGNORED_LABEL),
    }


def _rows(values: Tensor, segment_ids: Tensor, filler: int) -> Tensor:
    documents = [
        values[row, segment_ids[row] == number]
        for row in range(len(values))
        for number in range(int(segment_ids[row].max()) + 1)
    ]
    return torch.nn.utils.rnn.pad_sequence(documents, batch_first=True, padding_value=filler)
