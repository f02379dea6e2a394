"""Common characters come first, rare ones are walls."""

from hunmin.tokenizer.consistent.characters import merge_characters, words_in_characters
from hunmin.tokenizer.consistent.learn import Vocabulary
from hunmin.tokenizer.consistent.sequences import WALL
from hunmin.tokenizer.consistent.word_types import WordCounter, WordTypes


def words(**counts: int) -> WordTypes:
    counter = WordCounter()
    for word, count in counts.items():
        counter.add_word(word, count, (1,) if len(word) > 1 else ())
    return counter.word_types()


def test_characters_by_frequency() -> None:
    vocabulary = Vocabulary()
    merge_characters(words(가=10, 나=20, abc=99), vocabulary, coverage=1, size=1_000)
    made = [piece.decode() for piece in vocabulary.pieces[256:] if len(piece) == 3]
    assert made == ["나", "가"]


def test_each_merge_extends_a_character_by_one_byte() -> None:
    vocabulary = Vocabulary()
    merge_characters(words(**{"가": 10, "각": 5, "😀": 3}), vocabulary, coverage=1, size=1_000)
    texts = ["가".encode(), "각".encode(), "😀".encode()]
    prefixes = {text[:end] for text in texts for end in range(2, len(text) + 1)}
    assert set(vocabulary.pieces[256:]) == prefixes
    assert len(vocabulary.merges) == len(prefixes)


def test_coverage_leaves_out_the_rarest() -> None:
    vocabulary = Vocabulary()
    merge_characters(words(가=90, 나=9, 다=1), vocabulary, coverage=0.95, size=1_000)
    assert "나".encode() in vocabulary.pieces
    assert "다".encode() not in vocabulary.pieces


def test_a_full_vocabulary_takes_no_half_character() -> None:
    vocabulary = Vocabulary()
    merge_characters(words(가=90, 나=9), vocabulary, coverage=1, size=256 + 3)
    assert len(vocabulary) == 258


def test_sequences_hold_characters_weights_and_cuts() -> None:
    vocabulary = Vocabulary()
    text = words(가나=5, 가=3, ab=2)
    merge_characters(text, vocabulary, coverage=1, size=1_000)
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
    merge_characters(words(가=10, 나=10), vocabulary, coverage=1, size=1_000)
    symbols = words_in_characters(text, vocabulary).symbols.tolist()
    assert [symbol == WALL for symbol in symbols] == [True, False, True, False, True]
