"""BPE over characters, the rare ones spelled in bytes (`<0xEA>`).

A space is the character it is, not `▁` (U+2581) as with SentencePiece: only so a text that holds
that character comes back as it was. Words are split as by GPT-2, but that marks, such as vowel
signs of Hindi and Thai, belong to their word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, trainers

from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.byte_bpe import library_threads
from hunmin.tokenizer.methods.characters import (
    check_room,
    choose_alphabet,
    count_characters,
    cut_rare,
)
from hunmin.tokenizer.methods.cuts import (
    CUT,
    cut_names,
    names_in_text,
    refuse_collisions,
    split_at_cuts,
)
from hunmin.tokenizer.pieces import BYTE_ENTRIES, read_merges
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.splits import word_split

# Most characters of scripts without spaces, which a limit is for.
BYTES_PER_CHARACTER = 3


def train_char_bpe(task: TrainingTask) -> Tokenizer:
    """Train BPE over characters.

    Args:
        task: Spec and sample; `character_coverage` decides which characters are entries.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries: special tokens, 256 bytes, characters
        and merges. It has no unknown token, because every text can be spelled in bytes.

    Raises:
        VocabularyError: The characters do not fit, or a special token is written like an entry.
    """
    spec = task.spec
    counts = count_characters(task.texts("counting characters"))
    alphabet = choose_alphabet(counts, spec.character_coverage)
    check_room(spec, alphabet)
    refuse_collisions([*BYTE_ENTRIES, *alphabet], spec.all_special_tokens)
    texts = cut_rare(task.texts(), counts, alphabet, wall=CUT)
    task.facts["characters"] = len(alphabet)
    return _build(spec, *_learn(spec, texts, alphabet))


def _learn(
    spec: TokenizerSpec, texts: Iterable[list[str]], alphabet: list[str]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges."""
    splitter = word_split("marks").splitter()
    names = names_in_text(spec.all_special_tokens, splitter, byte_level=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split_at_cuts(splitter)
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        min_frequency=spec.min_frequency,
        special_tokens=[*spec.all_special_tokens, *BYTE_ENTRIES],
        initial_alphabet=alphabet,
        max_token_length=max_characters(spec, exclusive=True),
        show_progress=False,
    )
    with library_threads():
        tokenizer.train_from_iterator(cut_names(texts, names), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [(left, right) for left, right in read_merges(model)]
    refuse_collisions(map("".join, merges), [*spec.all_special_tokens, *BYTE_ENTRIES])
    return model["vocab"], merges


def max_characters(spec: TokenizerSpec, *, exclusive: bool = False) -> int | None:
    """Return the longest entry in characters, as if each had three bytes; None for no limit."""
    if spec.max_token_bytes is None:
        return None
    return max(spec.max_token_bytes // BYTES_PER_CHARACTER, 1) + exclusive


def _build(
    spec: TokenizerSpec, vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> Tokenizer:
    model = models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=False)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = word_split("marks").splitter()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special_tokens(spec))
    return tokenizer


def special_tokens(spec: TokenizerSpec) -> list[AddedToken]:
    """Return the special tokens as the library wants them."""
    return [AddedToken(name, special=True, normalized=False) for name in spec.all_special_tokens]
