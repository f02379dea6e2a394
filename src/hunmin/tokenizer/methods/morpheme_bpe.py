"""Consistent morpheme-aware BPE: trained with boundaries, used without an analyser."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from hunmin.tokenizer.alphabet import NUM_BYTES, bytes_to_piece
from hunmin.tokenizer.consistent.characters import (
    choose_characters,
    merge_characters,
    words_in_characters,
)
from hunmin.tokenizer.consistent.definition import build_tokenizer
from hunmin.tokenizer.consistent.learn import Vocabulary, learn_merges
from hunmin.tokenizer.consistent.sequences import Sequences
from hunmin.tokenizer.consistent.superwords import count_phrases, phrases_in_pieces
from hunmin.tokenizer.consistent.word_types import UnitCounter, WordCounter, WordTypes
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.cuts import entries_of_names, refuse_collisions
from hunmin.tokenizer.methods.segmented import segment_words, segmented_batches
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.splits import word_split


@dataclass(frozen=True)
class TrainingText:
    """The counted sample.

    Args:
        words: Its word types and their cuts.
        characters: Code points that become entries, most frequent first.
        phrases: How often each run of words occurs; empty unless superwords are wanted.
    """

    words: WordTypes
    characters: Sequence[int]
    phrases: Mapping[str, int]


def train_morpheme_bpe(task: TrainingTask) -> Tokenizer:
    """Train consistent morpheme-aware BPE.

    Args:
        task: Spec and sample.

    Returns:
        An ordinary byte-level BPE tokenizer with at most `spec.vocab_size` entries.

    Raises:
        MissingExtraError: An analyser that the spec names is not installed.
    """
    return learn_tokenizer(task.spec, count_text(task))


def count_text(task: TrainingTask) -> TrainingText:
    """Read the sample and count its words, with the share of each boundary.

    Args:
        task: Spec and sample.

    Returns:
        The counts. Words that stand only in text that was not analysed are analysed on their own.
    """
    phrases = UnitCounter(lines=True)
    # By language: a word of French is not cut as English cuts it.
    analysed: defaultdict[str, UnitCounter] = defaultdict(UnitCounter)
    rest: defaultdict[str, UnitCounter] = defaultdict(UnitCounter)
    for batch in segmented_batches(task):
        for text, language, cuts in zip(
            batch.texts, batch.languages, batch.boundaries, strict=True
        ):
            counters = rest if cuts is None else analysed
            counters[language].add(text, cuts or ())
            if task.spec.superwords:
                phrases.add(text)
    languages = sorted({*analysed, *rest})
    characters = choose_characters(
        ((analysed[language].counts, rest[language].counts) for language in languages),
        task.spec.character_coverage,
    )
    words = WordCounter(word_split(task.spec.split))
    for language in languages:
        # Popped: a large sample has millions of units, which take more memory than its words.
        units = analysed.pop(language).counts, rest.pop(language).counts
        words.add(_count_language(task, language, *units))
    spanning = word_split(task.spec.split, superwords=True)
    return TrainingText(words.word_types(), characters, count_phrases(phrases.counts, spanning))


def _count_language(
    task: TrainingTask, language: str, analysed: Mapping[str, int], rest: Mapping[str, int]
) -> WordCounter:
    words = WordCounter(word_split(task.spec.split))
    words.add_units(analysed)
    _add_rest(task, language, rest, words)
    return words


def _add_rest(
    task: TrainingTask, language: str, units: Mapping[str, int], words: WordCounter
) -> None:
    others = WordCounter(word_split(task.spec.split))
    others.add_units(units)
    seen = Counter({word: n for word, n in others.counts.items() if word in words.counts})
    words.extrapolate(seen)
    unseen = [word for word in others.counts if word not in seen]
    # Also those that occur once: left whole, they would teach merges across boundaries.
    for word, cuts in zip(unseen, segment_words(task, language, unseen), strict=True):
        words.add_word(word, others.counts[word], cuts)


def learn_tokenizer(spec: TokenizerSpec, text: TrainingText) -> Tokenizer:
    """Learn a vocabulary from counted text.

    Args:
        spec: Size, penalty, special tokens, superwords.
        text: What `count_text` returned; it can be used for several specs.

    Returns:
        The tokenizer.

    Raises:
        VocabularyError: A special token is written like a character that texts need.
    """
    names = spec.all_special_tokens
    size = spec.vocab_size - len(names)
    size_of_words = size - int(size * spec.superwords)
    vocabulary = Vocabulary()
    # Words need room too, whatever number of characters a text has.
    size_of_characters = NUM_BYTES + (size_of_words - NUM_BYTES) // 2
    merge_characters(text.characters, vocabulary, size=size_of_characters)
    sequences = words_in_characters(text.words, vocabulary)
    _learn(spec, sequences, vocabulary, size_of_words)
    refuse_collisions(map(bytes_to_piece, vocabulary.pieces), names)
    if not spec.superwords:
        return build_tokenizer(vocabulary, names, word_split(spec.split))
    spanning = word_split(spec.split, superwords=True)
    first_stage = build_tokenizer(vocabulary, (), spanning)
    _learn(spec, phrases_in_pieces(text.phrases, text.words, first_stage), vocabulary, size)
    return build_tokenizer(vocabulary, names, spanning)


def _learn(spec: TokenizerSpec, sequences: Sequences, vocabulary: Vocabulary, size: int) -> None:
    learn_merges(
        sequences,
        vocabulary,
        size=size,
        cross_penalty=spec.morphemes.cross_penalty,
        min_score=spec.min_frequency,
        max_piece_bytes=spec.max_token_bytes,
        banned=entries_of_names(spec.all_special_tokens),
    )
