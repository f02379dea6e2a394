"""What changed is marked, and nothing else."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hunmin.corpus.report.blocks import Piece
from hunmin.corpus.report.visible import looks_the_same, mark_changes, visible

LETTERS = st.text(alphabet="가나다abć.ا", max_size=30)


def marked(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_marked]


def joined(pieces: tuple[Piece, ...], *, with_marked: bool = True) -> str:
    return "".join(piece.text for piece in pieces if with_marked or not piece.is_marked)


@given(LETTERS, LETTERS)
def test_texts_come_back_and_differ_in_marked_parts_only(before: str, after: str) -> None:
    left, right = mark_changes(before, after)
    assert (joined(left), joined(right)) == (before, after)
    assert joined(left, with_marked=False) == joined(right, with_marked=False)


@given(LETTERS)
def test_equal_texts_have_no_marks(text: str) -> None:
    assert mark_changes(text, text) == mark_changes(text, text)[::-1]
    assert marked(mark_changes(text, text)[0]) == []


def test_only_the_part_of_a_word_is_marked() -> None:
    left, right = mark_changes("그들은 멍청이처럼 보였다", "그들은 멍청저처럼 보였다")
    assert (marked(left), marked(right)) == (["이"], ["저"])


def test_no_letter_is_parted_from_its_marks() -> None:
    left, right = mark_changes("ne\u0301e", "ne\u0300e")
    assert (marked(left), marked(right)) == (["e\u0301"], ["e\u0300"])
    left, right = mark_changes("\u1112\u1161\u11ab", "\u1112\u1161\u11ac")
    assert (marked(left), marked(right)) == (["\u1112\u1161\u11ab"], ["\u1112\u1161\u11ac"])


def test_spaces_that_change_are_shown() -> None:
    left, right = mark_changes("11\xa0millones", "11 millones")
    assert (marked(left), marked(right)) == (["[U+00A0]"], ["␣"])
    assert visible("11\xa0millones") == "11\xa0millones"


def test_zero_width_characters_that_go_are_shown() -> None:
    left, right = mark_changes("한글\u200b과", "한글과")
    assert "[U+200B]" in joined(left)
    assert joined(right) == "한글과"


def test_the_end_of_a_cut_sample_is_no_change() -> None:
    before = "abc " + "x " * 198
    after = before[4:] + "more"
    assert marked(mark_changes(before[:400], after[:400])[1]) == []
    left, right = mark_changes("a b c 형", "a b c 형식으로 d", window=8)
    assert marked(left) == marked(right) == []
    assert marked(mark_changes("one", "one two")[1]) == [" two"]


def test_joiners_stay() -> None:
    for text in ("می\u200cخواهم", "क\u094d\u200dष", "👩\u200d🚀", "a\n\tb"):
        assert visible(text) == text


def test_unicode_forms_are_told() -> None:
    assert looks_the_same(unicodedata.normalize("NFD", "한글"), "한글")
    assert not looks_the_same("한글", "한글")
    assert not looks_the_same("한글", "한 글")


def test_forms_that_look_alike_are_spelled() -> None:
    left, right = mark_changes("caf\u00e9 x", "cafe\u0301 x")
    assert (marked(left), marked(right)) == (["\u00e9 [00E9]"], ["e\u0301 [0065 0301]"])
