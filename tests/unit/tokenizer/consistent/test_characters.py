"""Common characters come first, rare ones are walls."""

from hunmin.tokenizer.consistent.characters import (
    choose_characters,
    merge_characters,
    words_in_characters,
)
from hunmin.tokenizer.consistent.learn import Vocabulary
from hunmin.tokenizer.consistent.sequences import WALL
from hunmin.tokenizer.consistent.word_types import WordCounter, WordTypes


def words(**counts: int) -> WordTypes:
    counter = WordCounter()
    for word, count in counts.items():
        counter.add_word(word, count, (1,) if len(word) > 1 else ())
    return counter.word_types()


def test_characters_by_frequency() -> None:
    assert choose_characters([[{"가": 10, "나": 5}, {"나": 15, "abc": 99}]], 1) == [
        ord("나"),
        ord("가"),
    ]


def test_marks_of_boundaries_are_no_characters() -> None:
    assert choose_characters([[{"가\ud800나": 1}]], 1) == [ord("가"), ord("나")]


def test_coverage_leaves_out_the_rarest() -> None:
    assert choose_characters([[{"가": 90, "나": 9, "다": 1}]], 0.95) == [ord("가"), ord("나")]


def test_each_language_is_covered() -> None:
    """Of all characters together, those of a syllabary beside a small alphabet would be rare."""
    many = {"я": 1_000_000}
    few = {"ሀ": 5, "ለ": 4, "ሐ": 3}
    assert choose_characters([[many], [few]], 0.9) == [ord("я"), ord("ሀ"), ord("ለ"), ord("ሐ")]
    assert choose_characters([[many, few]], 0.9) == [ord("я")]


def test_each_merge_extends_a_character_by_one_byte() -> None:
    vocabulary = Vocabulary()
    merge_characters(list(map(ord, "가각😀")), vocabulary, size=1_000)
    texts = [character.encode() for character in "가각😀"]
    prefixes = {text[:end] for text in texts for end in range(2, len(text) + 1)}
    assert set(vocabulary.pieces[256:]) == prefixes
    assert len(vocabulary.merges) == len(prefixes)


def test_a_full_vocabulary_takes_no_half_character() -> None:
    vocabulary = Vocabulary()
    merge_characters(list(map(ord, "가나")), vocabulary, size=256 + 3)
    assert len(vocabulary) == 258


def test_sequences_hold_characters_weights_and_cuts() -> None:
    vocabulary = Vocabulary()
    text = words(가나=5, 가=3, ab=2)
    merge_characters(list(map(ord, "가나")), vocabulary, size=1_000)
    sequences = words_in_characters(text, vocabulary)
    pieces = [
        "|" if symbol == WALL else vocabulary.pieces[symbol].decode()
        for symbol in sequences.symbols.tolist()
    ]
    assert pieces == ["|", "a", "b", "|", "가", "나", "|"]
    assert sequences.weights.tolist()[1:3] == [2, 2]
    assert sequences.weights.tolist()[4:6] == [5, 5]
    assert sequences.cuts.tolist() == [0, 2, 0, 0, 5, 0, 0]


def test_a_character_without_an_entry_is_a_wall() -> None:
    vocabulary = Vocabulary()
    text = words(가힣나=5)
    merge_characters(list(map(ord, "가나")), vocabulary, size=1_000)
    symbols = words_in_characters(text, vocabulary).symbols.tolist()
    assert [symbol == WALL for symbol in symbols] == [True, False, True, False, True]
