"""Decoders learn from what they write themselves: the student continues, the teacher judges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL, PADDING_SEGMENT, Batch, TokenBatch
from hunmin.models.packing import document_starts

_PRIME = 2_654_435_761


def wants_own_words(batch: Batch, share: float) -> bool:
    """Decide whether the student writes the continuation of a microbatch.

    Args:
        batch: Its tokens decide, so that a resumed run decides alike.
        share: Of all microbatches.

    Returns:
        Whether it does; over many microbatches true for the share of them.
    """
    if not share:
        return False
    return (_number(batch) * _PRIME) % 2**32 < share * 2**32


def own_continuations(model: PreTrainedModel, batch: Batch) -> TokenBatch:
    """Let the student write on from the middle of each row.

    Args:
        model: A decoder.
        batch: Packed rows.

    Returns:
        One document a row, padded on the left: the document that the middle of the row lies in, up
        to there, and what the student drew at temperature 1. What it wrote is scored, up to the
        boundary token if it wrote one.

    Raises:
        InputError: The batch is no decoder's.

    Source:
        Agarwal et al. 2024, GKD (arXiv:2306.13649). Deviation: prompts are halves of training rows.
    """
    if not isinstance(batch, TokenBatch):
        raise InputError(
            "only decoders write on from a text",
            where="student.losses.on_policy",
            given=type(batch).__name__,
            allowed="0 for encoders and encoder-decoders",
        )
    prompts, is_text = _prompts(batch)
    written = _write(model, prompts, is_text, batch.input_ids.shape[1] // 2, _number(batch))
    is_text = torch.cat((is_text, torch.ones_like(written, dtype=torch.bool)), 1)
    tokens = torch.cat((prompts, written), 1)
    labels = tokens[:, 1:].clone()
    labels[:, : prompts.shape[1] - 1] = IGNORED_LABEL
    ended = (written == model.config.eos_token_id).cumsum(1) - (
        written == model.config.eos_token_id
    ).long()
    labels[:, prompts.shape[1] - 1 :][ended > 0] = IGNORED_LABEL
    segments = torch.where(is_text, 0, PADDING_SEGMENT)[:, :-1].int()
    positions = (is_text.long().cumsum(1) - 1).clamp(min=0)[:, :-1]
    return TokenBatch(tokens[:, :-1], labels, positions, segments)


def _prompts(batch: TokenBatch) -> tuple[Tensor, Tensor]:
    """Return the document in the middle of each row up to there, and where it is text."""
    middle = max(1, batch.input_ids.shape[1] // 2)
    starts = document_starts(batch.segment_ids)[:, middle - 1 : middle]
    length = int((middle - starts).max())
    places = torch.arange(middle - length, middle, device=starts.device).expand(len(starts), -1)
    is_text = places >= starts
    return batch.input_ids.gather(1, places) * is_text, is_text


@torch.no_grad()
def _write(model: Any, prompts: Tensor, is_text: Tensor, num_tokens: int, seed: int) -> Tensor:
    was_training = model.training
    devices = [prompts.device] if prompts.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        tokens = model.eval().generate(
            input_ids=prompts,
            attention_mask=is_text.long(),
            max_new_tokens=num_tokens,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            eos_token_id=-1,  # all rows stay equally long; what follows an end is not scored
            pad_token_id=0,
        )
    model.train(was_training)
    written: Tensor = tokens[:, prompts.shape[1] :]
    return written


def _number(batch: Batch) -> int:
    ids = batch.input_ids
    places = torch.arange(1, ids.numel() + 1, device=ids.device)
    return int((ids.flatten().long() * places).sum())
