"""Tokens of texts, and boundaries against gold, on examples counted by hand."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS
from tests.unit.tokenizer.compare.conftest import (
    TEXT,
    byte_bpe,
    char_bpe,
    subject,
    unigram,
    wordpiece,
)
from tokenizers import normalizers

from hunmin.text.segmentation.boundaries import Boundaries, BoundaryKind
from hunmin.text.segmentation.gold import GoldText
from hunmin.tokenizer.compare import measures
from hunmin.tokenizer.compare.library import LibrarySubject
from hunmin.tokenizer.compare.measures import (
    boundary_estimates,
    boundary_scores,
    scan_texts,
    text_measures,
    token_boundaries,
    vocabulary_use,
)

# 저|는 밥|을 먹|었|습니다, judged between Hangul syllables.
KINDS = {1: "particle", 4: "particle", 7: "ending", 8: "ending"}
GOLD = GoldText(
    TEXT,
    (1, 4, 7, 8, 9, 10),
    Boundaries(tuple(KINDS), tuple(BoundaryKind(kind) for kind in KINDS.values())),
)


def test_a_tokenizer_that_cuts_at_every_morpheme(morphemic: LibrarySubject) -> None:
    assert token_boundaries(morphemic, [TEXT]) == [[0, 1, 3, 4, 6, 7, 8]]
    scores = boundary_scores(morphemic, [GOLD])
    assert (scores.recall, scores.precision, scores.f1) == (1, 1, 1)


def test_a_tokenizer_that_crosses_morphemes(greedy: LibrarySubject) -> None:
    assert token_boundaries(greedy, [TEXT]) == [[0, 3, 6, 8]]
    scores = boundary_scores(greedy, [GOLD])
    assert (scores.num_gold, scores.num_found, scores.num_right) == (4, 1, 1)
    assert (scores.recall, scores.precision, scores.f1) == (0.25, 1, 0.4)
    assert scores.recall_by_kind == {"particle": 0, "ending": 0.5}


def test_parts_of_a_character_give_no_boundary() -> None:
    bytes_only = subject(byte_bpe())
    assert token_boundaries(bytes_only, ["밥을 a"]) == [[0, 1, 3]]
    found = text_measures(bytes_only, ["밥을 a"])
    assert (found.num_tokens, found.partial_share) == (8, 6 / 8)


def test_a_token_that_begins_within_a_character_gives_no_boundary() -> None:
    """The last byte of 먹 and the first of 었 are one token; 었 begins in it, and gives none."""
    torn = subject(byte_bpe(merges=[("¹", "ì")]))
    assert len(torn.encode(["먹었"]).ids) == 5
    assert token_boundaries(torn, ["먹었"]) == [[0]]
    assert text_measures(torn, ["먹었"]).partial_share == 1


def test_positions_do_not_depend_on_the_texts_around(morphemic: LibrarySubject) -> None:
    texts = ["", TEXT, " ", f"  {TEXT} ", "밥", TEXT]
    together = token_boundaries(morphemic, texts)
    assert together == [token_boundaries(morphemic, [text])[0] for text in texts]
    assert together[3] == [position + 2 for position in together[1]]


def test_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch, greedy: LibrarySubject) -> None:
    texts = [TEXT, "", "밥을 먹었", "저는"] * 5
    whole = token_boundaries(greedy, texts), text_measures(greedy, texts)
    monkeypatch.setattr(measures, "CHUNK_CHARACTERS", 7)
    assert (token_boundaries(greedy, texts), text_measures(greedy, texts)) == whole


@given(texts=st.lists(st.text(max_size=30), max_size=4))
def test_counts_of_any_texts(texts: list[str]) -> None:
    tokenizer = subject(byte_bpe("저는", " 밥을"))
    found = text_measures(tokenizer, texts)
    assert found.num_bytes == sum(len(text.encode()) for text in texts)
    assert found.num_tokens == sum(len(tokenizer.encode([text]).ids) for text in texts)
    for text, positions in zip(texts, token_boundaries(tokenizer, texts), strict=True):
        assert positions == sorted(set(positions))
        assert all(0 <= position < len(text) for position in positions)
        assert not any(text[position].isspace() for position in positions)


def test_counts_of_a_known_text(greedy: LibrarySubject) -> None:
    found = text_measures(greedy, [TEXT, "밥"])
    assert (found.num_texts, found.num_words, found.num_tokens) == (2, 4, 7)
    assert found.num_characters == len(TEXT) + 1
    assert found.bytes_per_token == pytest.approx((len(TEXT.encode()) + 3) / 7)
    assert found.tokens_per_word == pytest.approx(7 / 4)
    assert (found.unknown_share, found.byte_fallback_share) == (0, 0)


def test_words_of_a_list_stand_after_a_space(morphemic: LibrarySubject) -> None:
    """`먹` after a space is an entry of its own, so that 먹었 is cut as in running text."""
    word = GoldText("먹었", (1,), Boundaries((1,), (BoundaryKind.UNLABELLED,)))
    spaced = subject(byte_bpe(" 먹", "먹었", "었"))
    assert token_boundaries(spaced, ["먹었"]) == [[0]]
    assert boundary_scores(spaced, [word]).recall == 1
    assert boundary_scores(spaced, [word], as_words=False).recall == 0
    assert boundary_scores(morphemic, [word]).recall == 1


def test_intervals_enclose_the_value_and_repeat(greedy: LibrarySubject) -> None:
    plain = GoldText("밥을", (1,), Boundaries((1,), (BoundaryKind.PARTICLE,)))
    gold = [GOLD, plain, GOLD, GOLD, plain, GOLD]
    found = boundary_estimates(greedy, gold, num_resamples=200)
    assert found == boundary_estimates(greedy, gold, num_resamples=200)
    assert found.recall.value == boundary_scores(greedy, gold, as_words=False).recall
    assert found.recall.low is not None
    assert found.recall.high is not None
    assert found.recall.low <= found.recall.value <= found.recall.high
    assert found.recall_by_kind["ending"] == 0.5
    assert boundary_estimates(greedy, gold[:2]).recall.low is None


def test_nothing_judged_scores_zero(greedy: LibrarySubject) -> None:
    found = boundary_estimates(greedy, [GoldText("a", (), Boundaries())] * 6)
    assert (found.recall.value, found.precision.value, found.f1.value) == (0, 0, 0)


def test_unknown_tokens_are_counted_and_lost() -> None:
    tokenizer = subject(char_bpe("▁밥을저는", ("▁", "밥")))
    scan = scan_texts(tokenizer, ["밥을 먹", "저는"])
    found = scan.measures()
    assert found.unknown_share == pytest.approx(1 / 7)
    trip = scan.round_trip()
    assert (trip.num_failures, trip.num_normalized, trip.num_texts) == (1, 0, 2)
    assert trip.examples[0].text == "밥을 먹"
    assert "<unk>" in trip.examples[0].decoded


def test_byte_fallback_is_counted_and_comes_back() -> None:
    tokenizer = subject(char_bpe("▁밥을", fallback=True))
    scan = scan_texts(tokenizer, ["밥을 먹"])
    found = scan.measures()
    assert found.unknown_share == 0
    # ▁ 밥 을 ▁ and three bytes.
    assert (found.num_tokens, found.byte_fallback_share) == (7, 3 / 7)
    assert found.partial_share == 3 / 7
    assert scan.round_trip().num_failures == 0


def test_a_space_put_before_a_text_is_no_part_of_a_character() -> None:
    tokenizer = subject(unigram(("▁", -1.0), ("밥", -1.0), ("을", -1.0)))
    assert text_measures(tokenizer, ["밥을", "을"]).partial_share == 0
    assert token_boundaries(tokenizer, ["밥을"]) == [[0, 1]]


def test_wordpiece_loses_spaces_and_marks_unknown_words() -> None:
    tokenizer = subject(wordpiece("밥", "##을", "저"))
    scan = scan_texts(tokenizer, ["밥을  저", "먹었"])
    assert token_boundaries(tokenizer, ["밥을  저"]) == [[0, 1, 4]]
    assert scan.measures().unknown_share == 1 / 4
    assert scan.round_trip().num_failures == 2


def test_another_unicode_form_is_no_failure() -> None:
    tokenizer = byte_bpe("밥")
    tokenizer.normalizer = normalizers.NFC()
    scan = scan_texts(subject(tokenizer), [unicodedata.normalize("NFD", "밥"), "밥"])
    assert (scan.round_trip().num_failures, scan.round_trip().num_normalized) == (0, 1)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_hard_texts_come_back(text: str) -> None:
    assert scan_texts(subject(byte_bpe("저는")), [text]).round_trip().num_failures == 0


def test_use_of_a_vocabulary() -> None:
    use = vocabulary_use(np.array([90, 0, 9, 1, 0]), vocab_size=10)
    assert (use.num_used, use.used_share, use.num_covering) == (3, 0.3, 2)
    nothing = vocabulary_use(np.zeros(0, np.int64), vocab_size=10)
    assert (nothing.num_used, nothing.num_covering) == (0, 0)
