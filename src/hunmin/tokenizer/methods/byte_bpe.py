"""Byte-level BPE as in GPT-2, by the library's trainer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.methods.base import TrainingTask


def train_byte_bpe(task: TrainingTask) -> Tokenizer:
    """Train byte-level BPE with the stock GPT-2 regex.

    Args:
        task: Spec and sample.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries.
    """
    spec = task.spec
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        min_frequency=spec.min_frequency,
        special_tokens=list(spec.all_special_tokens),
        initial_alphabet=list(byte_to_character()),
        # The library's limit is exclusive.
        max_token_length=None if spec.max_token_bytes is None else spec.max_token_bytes + 1,
        show_progress=False,
    )
    with library_threads():
        tokenizer.train_from_iterator(task.texts(), trainer)
    return tokenizer


@contextlib.contextmanager
def library_threads() -> Iterator[None]:
    """Let the library use its threads for training; elsewhere they could deadlock after fork()."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        os.environ["TOKENIZERS_PARALLELISM"] = before or "false"
