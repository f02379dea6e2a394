"""Statistics: known values on small texts, the same values whatever the batch."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.corpus.filters import chunks
from hunmin.corpus.filters.characters import lower
from hunmin.corpus.filters.chunks import hash_strings
from hunmin.corpus.filters.repeats import find_repeats
from hunmin.corpus.filters.statistics import STATISTICS, STATISTICS_SCHEMA, Lexicon, measure

KOREAN = Lexicon(("Kore",), frozenset({"그", "수"}), frozenset({"욕"}))
ENGLISH = Lexicon(
    ("Latn",),
    frozenset({"the", "of"}),
    boilerplate=("uses cookies",),
    placeholders=("lorem ipsum",),
)


def statistics_of(text: str, lexicon: Lexicon = ENGLISH, title: str | None = None) -> Any:
    titles = None if title is None else [title]
    return measure([text], [lexicon], titles).to_pylist()[0]


def rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in batch.to_pylist()]


def test_counts_and_shares_of_characters() -> None:
    row = statistics_of("Ab 12 #{…}\n★ \ufffd xy")
    assert row["characters"] == 17
    assert row["words"] == 6
    assert row["lines"] == 2
    assert row["letter_share"] == pytest.approx(4 / 12)
    assert row["digit_share"] == pytest.approx(2 / 12)
    assert row["symbol_share"] == pytest.approx(3 / 12)
    assert row["brace_share"] == pytest.approx(2 / 12)
    assert row["broken_share"] == pytest.approx(1 / 12)
    assert row["alphabetic_words"] == pytest.approx(2 / 6)
    assert row["mean_word_length"] == pytest.approx(2)


def test_jamo_runs_and_scripts() -> None:
    row = statistics_of("재밌다ㅋㅋㅋㅋ good", KOREAN)
    assert row["jamo_share"] == pytest.approx(4 / 11)
    assert row["longest_run"] == 4
    assert row["run_share"] == pytest.approx(4 / 11)
    assert row["main_script_share"] == pytest.approx(7 / 11)
    assert statistics_of("漢字 한글", KOREAN)["main_script_share"] == 1
    assert statistics_of("abc где ё", Lexicon())["main_script_share"] == pytest.approx(4 / 7)


@pytest.mark.parametrize("text", ["모든 인간은 태어날 때부터", "für größere Häuser", "де́ти"])
def test_bytes_shown_one_by_one_are_broken(text: str) -> None:
    assert statistics_of(text)["broken_share"] == 0
    assert statistics_of(text.encode().decode("latin-1"))["broken_share"] > 0.1


def test_words_of_lists_stand_alone_or_anywhere() -> None:
    row = statistics_of('"The" other theory OF the thing.')
    assert (row["stop_words"], row["stop_word_share"]) == (2, pytest.approx(3 / 6))
    assert row["profanity_share"] is None
    thai = Lexicon(("Thai",), frozenset({"ที่", "และ", "การ"}))
    row = statistics_of("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ", thai)
    assert row["stop_words"] == 1
    assert statistics_of("욕 아니고 목욕", KOREAN)["profanity_share"] == pytest.approx(1 / 3)


def test_scripts_without_spaces_count_characters() -> None:
    japanese = "すべての人間は、生まれながらにして自由である。"
    row = statistics_of(japanese, Lexicon(("Jpan",)))
    assert row["words"] == len(japanese) / 2
    assert row["mean_word_length"] is None
    assert row["alphabetic_words"] is None
    repeated = statistics_of(japanese * 4, Lexicon(("Jpan",)))
    assert repeated["duplicate_5gram"] == pytest.approx(0.75)
    assert row["duplicate_5gram"] == 0


def test_lines() -> None:
    text = (
        "Title\n\n• one\n- two…\nA sentence (with an end.)\n"
        "This site uses COOKIES.\nTitle\nlorem ipsum"
    )
    row = statistics_of(text)
    assert row["lines"] == 7
    assert row["punctuated_lines"] == pytest.approx(3 / 7)
    assert row["bullet_lines"] == pytest.approx(2 / 7)
    assert row["ellipsis_lines"] == pytest.approx(1 / 7)
    assert row["short_lines"] == pytest.approx(1)
    assert row["title_lines"] == pytest.approx(1 / 7)
    assert row["boilerplate_lines"] == pytest.approx(1 / 7)
    assert row["placeholder_lines"] == pytest.approx(1 / 7)
    assert row["duplicate_lines"] == pytest.approx(1 / 7)
    assert statistics_of(text, title="lorem IPSUM")["title_lines"] == pytest.approx(1 / 7)
    assert statistics_of(text, title="another")["title_lines"] == 0


def test_repeated_paragraphs() -> None:
    row = statistics_of("one line\nand two\n\none line\nand two\n\nthree")
    assert row["duplicate_paragraphs"] == pytest.approx(1 / 3)
    assert row["duplicate_paragraph_characters"] == pytest.approx(16 / 37)
    assert row["duplicate_lines"] == pytest.approx(2 / 5)


def brute_ngrams(words: list[str], size: int) -> tuple[float, float]:
    """Shares of the characters in the top n-gram and in n-grams that stood before."""
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    total = sum(map(len, words))
    counts = Counter(grams)
    top = max((n * sum(map(len, gram)) for gram, n in counts.items() if n > 1), default=0)
    seen: set[tuple[str, ...]] = set()
    covered: set[int] = set()
    for place, gram in enumerate(grams):
        if gram in seen:
            covered.update(range(place, place + size))
        seen.add(gram)
    return min(top, total) / total, sum(len(words[i]) for i in covered) / total


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), min_size=1, max_size=40), max_size=4))
def test_ngrams_are_those_of_the_definition(documents: list[list[str]]) -> None:
    texts = [" ".join(words) for words in documents]
    found = measure(texts, [ENGLISH] * len(texts))
    for words, row in zip(documents, found.to_pylist(), strict=True):
        for size in (2, 3, 4):
            assert row[f"top_{size}gram"] == pytest.approx(brute_ngrams(words, size)[0])
        for size in (5, 7, 10):
            assert row[f"duplicate_{size}gram"] == pytest.approx(brute_ngrams(words, size)[1])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=200))
def test_repeats_are_all_later_occurrences(values: list[int]) -> None:
    keys = hash_strings([str(value) for value in values])
    repeats = find_repeats(keys)
    expected = [i for i, value in enumerate(values) if value in values[:i]]
    assert repeats.later.tolist() == expected
    assert repeats.firsts.tolist() == [values.index(values[i]) for i in expected]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_hashes_of_substrings_do_not_depend_on_their_place(a: str, b: str, c: str) -> None:
    (chunk,) = chunks.chunks(["x\n" + a + b, c])
    start = np.asarray([2 + len(a)])
    found = chunk.substrings.hashes(start, start + len(b))
    assert found.tolist() == hash_strings([lower(b)]).tolist()


def test_empty_batches_and_texts() -> None:
    assert measure([], []).schema == STATISTICS_SCHEMA
    assert measure([], []).num_rows == 0
    row = measure(["", "\n \n"], [ENGLISH, KOREAN]).to_pylist()
    for values in row:
        assert values["words"] == 0
        assert values["letter_share"] is None
        assert values["duplicate_5gram"] is None
    assert set(row[0]) == set(STATISTICS)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(HARD_TEXTS), st.text(max_size=60)), max_size=8))
def test_a_row_depends_on_its_text_alone(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    together = rows(measure(texts, [KOREAN] * len(texts)))
    alone = [rows(measure([text], [KOREAN]))[0] for text in texts]
    assert together == alone


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [sentence for group in SENTENCES.values() for sentence in group] * 3 + HARD_TEXTS
    lexicons = [ENGLISH, KOREAN] * (len(texts) // 2) + [ENGLISH] * (len(texts) % 2)
    whole = rows(measure(texts, lexicons))
    monkeypatch.setattr(chunks, "CHUNK_CHARACTERS", 50)
    assert rows(measure(texts, lexicons)) == whole


def test_unique_words_do_not_fall_with_length() -> None:
    block = " ".join(f"word{number % 128}" for number in range(256))
    short, long = (statistics_of(" ".join([block] * n))["unique_words"] for n in (1, 20))
    assert short == pytest.approx(0.5)
    assert long == pytest.approx(short)
    assert not math.isnan(long)
