"""NFC, line ends and white space."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hunmin.text.unicode import normalize, normalize_many, self_test


def test_hangul_is_composed() -> None:
    self_test()
    assert normalize(unicodedata.normalize("NFD", "훈민정음 나랏말싸미")) == "훈민정음 나랏말싸미"


def test_line_ends_and_marks_are_unified() -> None:
    text = "\ufeff첫째 줄\r\n둘째 줄\r셋째 줄\u2028넷째 줄\u3000"
    assert normalize(text) == "첫째 줄\n둘째 줄\n셋째 줄\n넷째 줄"


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()


@given(st.lists(st.text(alphabet="가a\u1100\u1161e\u0301\u0323 \r\n\u2028\ufeff", max_size=6)))
def test_many_texts_are_normalised_as_each_is(texts: list[str]) -> None:
    assert normalize_many(texts) == [normalize(text) for text in texts]
