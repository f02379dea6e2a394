"""From a vocabulary and its merges to an ordinary tokenizer that any library can run."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from hunmin.tokenizer.alphabet import bytes_to_piece
from hunmin.tokenizer.consistent.learn import Vocabulary
from hunmin.tokenizer.consistent.word_types import GPT2_SPLIT


def build_tokenizer(
    vocabulary: Vocabulary, special_tokens: Sequence[str], *, split: str = GPT2_SPLIT
) -> Tokenizer:
    """Build a byte-level BPE tokenizer.

    Args:
        vocabulary: Entries and merges.
        special_tokens: They get the first ids, in this order.
        split: Regex of the pre-tokenizer; the default becomes the stock ByteLevel pre-tokenizer,
            which llama.cpp knows as `gpt-2`.

    Returns:
        The tokenizer: no normalizer, no unknown token, nothing added to a text.
    """
    names = [bytes_to_piece(piece) for piece in vocabulary.pieces]
    entries = {name: number for number, name in enumerate([*special_tokens, *names])}
    merges = [(names[left], names[right]) for left, right in vocabulary.merges]
    tokenizer = Tokenizer(models.BPE(vocab=entries, merges=merges))
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in special_tokens]
    )
    return tokenizer


def _pre_tokenizer(split: str) -> pre_tokenizers.PreTokenizer:
    if split == GPT2_SPLIT:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    cut = pre_tokenizers.Split(Regex(split), behavior="isolated")
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([cut, in_bytes])
