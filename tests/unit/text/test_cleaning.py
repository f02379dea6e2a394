"""Clean-up: what goes, what stays, and that it is done once and for all."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.text.cleaning import RULE_NAMES, RULES, CleanText, clean, clean_many, count_changes
from hunmin.text.unicode import normalize

REMOVED = {
    "page break": ("가\f나", "가\n나"),
    "control character": ("a\x00b\x07c\x85d\x9fe", "abcde"),
    "byte order mark": ("가\ufeff나", "가나"),
    "soft hyphen": ("Donau\u00addampf\u00adschiff", "Donaudampfschiff"),
    "direction override": ("a\u202egpj.exe\u202cb", "agpj.exeb"),
    "direction mark": ("한국\u200e어", "한국어"),
    "zero-width space": ("한\u200b국", "한국"),
    "zero-width joiner": ("a\u200db ㄱ\u200cㄴ", "ab ㄱㄴ"),
    "invisible character": ("x\u2061y\u2060z ㅋ\u3164ㅋ", "xyz ㅋㅋ"),
    "vowel separator": ("a\u180eb", "ab"),
    "tag character": ("a\U000e0041\U000e0042b", "ab"),
    "half-width letter": ("ﾃﾞｰﾀ ﾻﾻ", "データ ㅋㅋ"),
    "single jamo": ("\u110f\u110f\u110f 진짜 \u1172\u1172", "ㅋㅋㅋ 진짜 ㅠㅠ"),
    "space": ("10\u00a0km\u2009a\u202fb", "10 km a b"),
    "ideographic space": ("한국\u3000어", "한국 어"),
    "space at line end": ("가 \t\n나", "가\n나"),
    "blank lines": ("가\n\n\n\n나", "가\n\n나"),
}
KEPT = [
    "ㅋㅋㅋ 재밌다 ㅠㅠ",
    "می\u200cخواهم",  # Persian: a verbal prefix, not joined
    "क्\u200dष और क्\u200cष",  # Hindi: two ways to write a cluster
    "ශ්\u200dරී",  # Sinhala: Sri
    "👨\u200d👩\u200d👧 👩🏽\u200d💻 ❤\ufe0f\u200d🔥",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "ភាសា\u200bខ្មែរ",  # Khmer: a word boundary
    "本当？\u3000はい。",
    "\u05e9\u05dc\u05d5\u05dd\u200f! C++\u200f \u05d5",  # Hebrew with a mark beside C++
    "ᠬᠠᠭᠠᠨ\u180eᠠ",  # Mongolian: a separated vowel
    "\u1112\u119e\u11ab글 \u1102\u1173\u11af\u1107\u1165",  # Old Hangul
    "Ａ１　Ｂ",
    "한 줄\n\n두 줄\t탭",
    "",
]


@pytest.mark.parametrize("name", RULE_NAMES)
def test_each_rule_changes_and_is_counted(name: str) -> None:
    dirty, expected = REMOVED[name]
    cleaned = clean(normalize(dirty) if name != "control character" else dirty)
    assert cleaned.text == normalize(expected)
    assert set(cleaned.changes) == {name}


@pytest.mark.parametrize("text", KEPT)
def test_what_carries_meaning_stays(text: str) -> None:
    text = normalize(text)
    cleaned = clean(text)
    assert cleaned.text == text
    assert cleaned.changes == {}


def test_a_clean_text_is_returned_as_the_same_object() -> None:
    text = "깨끗한 글입니다. " * 10 + "끝"
    assert clean(text).text is text


def test_removal_may_compose_and_call_for_further_rules() -> None:
    assert clean("e\u200b\u0301").text == "é"
    assert clean("\u1112\u200b\u1161\u200b\u11ab").text == "한"
    assert clean("가\n\u200b\n\u200b \n나").text == "가\n\n나"
    assert clean("\u200b 가").text == "가"
    assert clean("ខ្មែរ\u200b\u200bខ្មែរ\u200b a\u200bខ").text == "ខ្មែរ\u200bខ្មែរ aខ"


@given(st.lists(st.sampled_from([d for d, _ in REMOVED.values()] + KEPT), max_size=9))
@settings(max_examples=60, deadline=None)
def test_many_texts_are_cleaned_as_each_alone(texts: list[str]) -> None:
    assert clean_many(texts) == [clean(text) for text in texts]


def _alphabet() -> st.SearchStrategy[str]:
    special = "".join(dirty for dirty, _ in REMOVED.values()) + "".join(KEPT)
    return st.text(st.one_of(st.sampled_from(special), st.characters()), max_size=40)


@given(_alphabet())
@settings(max_examples=400, deadline=None)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(normalize(text)).text
    again = clean(once)
    assert again.text == once
    assert again.changes == {}
    assert normalize(once) == once


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=40))
@settings(max_examples=100, deadline=None)
def test_letters_never_become_fewer(text: str) -> None:
    text = normalize(text)
    if not re.search("[\u1100-\u11ff\u3164\uff66-\U0010ffff]", text):
        assert clean(text).text == text


def test_texts_of_one_column_in_batches_of_any_size() -> None:
    texts = [dirty for dirty, _ in REMOVED.values()] + [*KEPT, None]
    batch = pa.RecordBatch.from_pydict({"id": [str(i) for i in range(len(texts))], "text": texts})
    whole = CleanText(report=True)(batch)
    rows = [CleanText(report=True)(batch.slice(i, 1)) for i in range(len(texts))]
    assert pa.Table.from_batches(rows).to_pylist() == whole.to_pylist()
    assert CleanText()(batch.slice(0, 0)).num_rows == 0
    assert whole["cleaning"].to_pylist()[0] == ["page break"]
    clean_batch = CleanText()(whole)
    assert CleanText()(clean_batch) is clean_batch


def test_changes_are_counted_over_texts() -> None:
    assert count_changes(["a\u00adb\u00adc", "a\u200bb", "x"]) == {
        "soft hyphen": 2,
        "zero-width space": 1,
    }
    assert {rule.name for rule in RULES} == set(RULE_NAMES)


@pytest.mark.parametrize("code", ["kor", "fas", "hin", "khm", "heb", "jpn", "sin"])
def test_real_text_keeps_its_letters(shared_data: Path, code: str) -> None:
    (path,) = (shared_data / "ntrex128").glob(f"newstest2019-ref.{code}.*zst")
    content = zstandard.ZstdDecompressor().decompress(path.read_bytes(), 1 << 24).decode()
    for line in content.split("\n")[:300]:
        text = normalize(line)
        cleaned = clean(text).text
        assert [c for c in cleaned if c.isalnum()] == [c for c in text if c.isalnum()]
