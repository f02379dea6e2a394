"""Byte-level BPE as in GPT-2, by the library's trainer."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer, decoders, models, trainers

from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.cuts import (
    cut_names,
    names_in_text,
    refuse_collisions,
    split_at_cuts,
)
from hunmin.tokenizer.pieces import read_merges
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.splits import word_split


def train_byte_bpe(task: TrainingTask) -> Tokenizer:
    """Train byte-level BPE.

    Args:
        task: Spec and sample.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries.

    Raises:
        VocabularyError: A special token is written like an entry.
    """
    return train_on_cut_texts(task.spec, task.texts())


def train_on_cut_texts(spec: TokenizerSpec, texts: Iterable[list[str]]) -> Tokenizer:
    """Train byte-level BPE on texts in which `CUT` marks what no entry may cross.

    Args:
        spec: Vocabulary size, special tokens, limits.
        texts: Batches of texts.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries; in use it knows no cuts.

    Raises:
        VocabularyError: A special token is written like an entry.
    """
    splitter = word_split(spec.split).byte_level()
    names = names_in_text(spec.all_special_tokens, splitter, byte_level=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split_at_cuts(splitter)
    tokenizer.decoder = decoders.ByteLevel()
    refuse_collisions(byte_to_character(), spec.all_special_tokens)
    with library_threads():
        tokenizer.train_from_iterator(cut_names(texts, names), _trainer(spec))
    tokenizer.pre_tokenizer = splitter
    merges = read_merges(json.loads(tokenizer.to_str())["model"])
    refuse_collisions(map("".join, merges), spec.all_special_tokens)
    return tokenizer


def _trainer(spec: TokenizerSpec) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        min_frequency=spec.min_frequency,
        special_tokens=list(spec.all_special_tokens),
        initial_alphabet=list(byte_to_character()),
        # The library's limit is exclusive.
        max_token_length=None if spec.max_token_bytes is None else spec.max_token_bytes + 1,
        show_progress=False,
    )


@contextlib.contextmanager
def library_threads() -> Iterator[None]:
    """Let the library use its threads for training; elsewhere they could deadlock after fork()."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        os.environ["TOKENIZERS_PARALLELISM"] = before or "false"
