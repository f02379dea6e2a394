"""Phrases are written in the pieces of their words, and cut as their words usually are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hunmin.tokenizer.consistent.characters import merge_characters
from hunmin.tokenizer.consistent.definition import build_tokenizer
from hunmin.tokenizer.consistent.learn import Vocabulary, learn_merges
from hunmin.tokenizer.consistent.sequences import WALL
from hunmin.tokenizer.consistent.superwords import count_phrases, phrases_in_pieces
from hunmin.tokenizer.consistent.word_types import UnitCounter, WordCounter
from hunmin.tokenizer.splits import word_split

SPANNING = word_split("gpt-2", superwords=True)


def test_phrases_are_runs_of_words() -> None:
    lines = {"나는 집에 간다. 3 시 it's ok now": 2, "혼자": 1, " 둘 셋  넷": 1}
    assert count_phrases(lines, SPANNING) == {
        "나는 집에 간다": 2,
        " 시 it": 2,
        " ok now": 2,
        " 둘 셋": 1,
    }


def test_phrases_in_pieces() -> None:
    counter = WordCounter()
    counter.add_word("나는", 4, (1,))
    counter.add_word(" 집에", 4, (2,))
    counter.cuts[" 집에", 2] = 2
    words = counter.word_types()
    vocabulary = Vocabulary()
    merge_characters(list(map(ord, "나는집에")), vocabulary, size=1_000)
    first_stage = build_tokenizer(vocabulary, (), SPANNING)
    sequences = phrases_in_pieces({"나는 집에": 6}, words, first_stage)
    shown = [
        "|" if symbol == WALL else vocabulary.pieces[symbol].decode()
        for symbol in sequences.symbols.tolist()
    ]
    assert shown == ["|", "나", "는", " ", "집", "에", "|"]
    assert sequences.weights.tolist() == [0, 6, 6, 6, 6, 6, 0]
    # After 나 always, between words never, after 집 in half of the occurrences.
    assert sequences.cuts.tolist() == [0, 6, 0, 0, 3, 0, 0]


def test_merges_cross_spaces_but_not_boundaries() -> None:
    counter = WordCounter()
    counter.add_word("나는", 40, (1,))
    counter.add_word(" 집", 40, ())
    words = counter.word_types()
    vocabulary = Vocabulary()
    merge_characters(list(map(ord, "나는집에")), vocabulary, size=1_000)
    first_stage = build_tokenizer(vocabulary, (), SPANNING)
    sequences = phrases_in_pieces({"나는 집": 40}, words, first_stage)
    learn_merges(sequences, vocabulary, size=1_000, cross_penalty=1)
    learned = [vocabulary.pieces[a] + vocabulary.pieces[b] for a, b in vocabulary.merges][-2:]
    assert [piece.decode() for piece in learned] == [" 집", "는 집"]


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a가 \n\t'.")))
def test_phrases_of_any_text_are_written_without_loss(text: str) -> None:
    lines, units = UnitCounter(lines=True), UnitCounter()
    for counter in (lines, units):
        counter.add(text)
    words = WordCounter()
    words.add_units(units.counts)
    phrases = count_phrases(lines.counts, SPANNING)
    vocabulary = Vocabulary()
    first_stage = build_tokenizer(vocabulary, (), SPANNING)
    symbols = phrases_in_pieces(phrases, words.word_types(), first_stage).symbols.tolist()
    written = b"".join(b"\n" if symbol == WALL else bytes([symbol]) for symbol in symbols)
    assert written.decode().splitlines()[1:] == sorted(phrases)
