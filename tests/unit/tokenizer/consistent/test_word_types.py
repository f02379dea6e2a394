"""Words are what the tokenizer in use makes, and their cuts are those of the texts."""

import time
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES
from tokenizers import pre_tokenizers

from hunmin.tokenizer.consistent.word_types import UnitCounter, WordCounter
from hunmin.tokenizer.splits import word_split

STOCK = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def words_of(text: str, positions: tuple[int, ...] = ()) -> WordCounter:
    units = UnitCounter()
    units.add(text, positions)
    counter = WordCounter()
    counter.add_units(units.counts)
    return counter


def stock_words(text: str) -> list[str]:
    return [text[start:end] for _, (start, end) in STOCK.pre_tokenize_str(text)]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("a가 \n\t'.")))
def test_words_are_those_of_the_stock_pre_tokenizer(text: str) -> None:
    assert sorted(words_of(text).counts.elements()) == sorted(stock_words(text))


def test_words_of_real_and_hard_texts() -> None:
    for text in [*chain.from_iterable(SENTENCES.values()), *HARD_TEXTS]:
        assert sorted(words_of(text).counts.elements()) == sorted(stock_words(text)), text


def test_cuts_are_counted_by_word_and_position() -> None:
    #       012345678901234
    text = "밥을 먹었다. 또 밥을 봤다."
    counter = words_of(text, (1, 4, 5, 6, 11))
    assert counter.cuts == {("밥을", 1): 1, (" 먹었다", 2): 1, (" 먹었다", 3): 1, (" 밥을", 2): 1}


def test_words_with_their_vowel_signs() -> None:
    units = UnitCounter()
    units.add("पानी पानी", (2,))
    counter = WordCounter(word_split("marks"))
    counter.add_units(units.counts)
    assert counter.counts == {"पानी": 1, " पानी": 1}
    assert counter.cuts == {("पानी", 2): 1}


def test_a_cut_where_the_pre_tokenizer_cuts_anyway_says_nothing() -> None:
    assert not words_of("3개", (1,)).cuts


def test_a_word_has_the_share_of_its_analysed_occurrences() -> None:
    counter = WordCounter()
    counter.add_word(" 나는", 3, (2,))
    counter.add_word(" 나는", 1, ())
    counter.extrapolate({" 나는": 4, " 새": 2})
    types = counter.word_types()
    assert dict(zip(types.words, types.counts.tolist(), strict=True)) == {" 나는": 8, " 새": 2}
    assert types.cut_counts.tolist() == [6]
    assert types.words[types.cut_words[0]] == " 나는"
    assert types.cut_positions.tolist() == [2]


def test_lines_keep_their_spaces() -> None:
    units = UnitCounter(lines=True)
    units.add("하나 둘\n\n셋 넷")
    assert units.counts == {"하나 둘": 1, "\n\n": 1, "셋 넷": 1}


def test_a_long_unit_without_spaces_takes_time_in_proportion() -> None:
    text = "私は学校に行きました。" * 10_000
    units = UnitCounter()
    units.add(text, tuple(range(1, len(text), 2)))
    counter = WordCounter()
    start = time.process_time()
    counter.add_units(units.counts)
    # Every word against every boundary would be minutes.
    assert time.process_time() - start < 10
    assert counter.counts["私は学校に行きました"] == 10_000
    assert counter.cuts["私は学校に行きました", 1] == 5_000
