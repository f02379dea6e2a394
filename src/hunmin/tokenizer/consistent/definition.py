"""From a vocabulary and its merges to an ordinary tokenizer that any library can run."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models

from hunmin.tokenizer.alphabet import bytes_to_piece
from hunmin.tokenizer.consistent.learn import Vocabulary
from hunmin.tokenizer.splits import WordSplit


def build_tokenizer(
    vocabulary: Vocabulary, special_tokens: Sequence[str], split: WordSplit
) -> Tokenizer:
    """Build a byte-level BPE tokenizer.

    Args:
        vocabulary: Entries and merges.
        special_tokens: They get the first ids, in this order.
        split: What merges do not cross.

    Returns:
        The tokenizer: no normalizer, no unknown token, nothing added to a text.
    """
    names = [bytes_to_piece(piece) for piece in vocabulary.pieces]
    entries = {name: number for number, name in enumerate([*special_tokens, *names])}
    merges = [(names[left], names[right]) for left, right in vocabulary.merges]
    tokenizer = Tokenizer(models.BPE(vocab=entries, merges=merges))
    tokenizer.pre_tokenizer = split.byte_level()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in special_tokens]
    )
    return tokenizer
