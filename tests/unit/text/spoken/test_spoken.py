"""Spoken forms: Korean numerals by counter, numbers of other languages, what is silent."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import MissingExtraError
from hunmin.text.spoken.form import spoken_form
from hunmin.text.spoken.korean import read_digits, read_korean, read_native, read_sino
from hunmin.text.spoken.lines import SpokenForm, spoken_lines
from hunmin.text.spoken.numbers import languages_with_numbers, read_numbers
from hunmin.text.spoken.spans import speak_spans

KOREAN = {
    # Native numerals before native counters, with the forms 한 두 세 네 스무.
    "사과 3개와 배 20개": "사과 세 개와 배 스무 개",
    "고양이 1마리, 21살, 99명": "고양이 한 마리 스물한 살 아흔아홉 명",
    "105명이 왔다": "백오 명이 왔다",
    "2시간 동안 5번": "두 시간 동안 다섯 번",
    "1번째와 2번째": "첫 번째와 두 번째",
    # Sino-Korean ones.
    "12층 3학년 2반": "십이 층 삼 학년 이 반",
    "30분 45초 7일 8주": "삼십 분 사십오 초 칠 일 팔 주",
    "1,234,567원": "백이십삼만 사천오백육십칠 원",
    "3만 5천 명": "삼만 오천 명",
    "100000000": "일억",
    "10000": "만",
    # Hours are native up to noon, minutes never; two months have names of their own.
    "오후 3시 30분": "오후 세 시 삼십 분",
    "14:30에 만나요.": "십사 시 삼십 분에 만나요",
    "6월과 10월, 11월 1일": "유월과 시월 십일월 일 일",
    "2021-03-05": "이천이십일 년 삼월 오 일",
    "2021. 3. 5. 금요일": "이천이십일 년 삼월 오 일 금요일",
    # Telephone numbers, decimals, signs.
    "010-1234-5678": "공일공 일이삼사 오육칠팔",
    "습도 45.6%다": "습도 사십오 점 육 퍼센트다",
    "-5℃까지": "영하 오 도까지",
    "5kg, 10km": "오 킬로그램 십 킬로미터",
    "$5와 $3만": "오 달러와 삼만 달러",
    "1/2": "이분의 일",
    "3분의 2가 20대": "삼분의 이가 이십 대",
    "차 2대, 30야드": "차 두 대 삼십 야드",
    "859-292-3680로": "팔오구 이구이 삼육팔공로",
    "3~5개": "삼에서 다섯 개",
    "007": "공공칠",
    # A counter that is the beginning of another word is none.
    "3개월 뒤": "삼 개월 뒤",
    "KBS 2장군님": "kbs 이장군님",
}
OTHERS = [
    (
        "de",
        "20 % von 1.234,5",
        "zwanzig prozent von eintausendzweihundertvierunddreißig komma fünf",
    ),
    ("tr", "IŞIK %20 İZMİR'de", "ışık yüzde yirmi izmir'de"),
    ("sw", "Watu 25, 30%.", "watu ishirini na tano asilimia thelathini"),
    ("th", "มี 25 คน", "มี ยี่สิบห้า คน"),
    ("hi", "25 लोग।", "पच्चीस लोग"),
    ("ja", "25人が3.5%！", "二十五人が三点五パーセント"),
    ("ru", "Их 25; 3,5", "их двадцать пять 3,5"),
    ("xh", "Abantu 25.", "abantu 25"),
    ("und", "A 25!", "a 25"),
]


@pytest.mark.parametrize(("written", "spoken"), KOREAN.items())
def test_korean(written: str, spoken: str) -> None:
    assert spoken_form(written, "ko") == spoken


@pytest.mark.parametrize(("language", "written", "spoken"), OTHERS)
def test_other_languages(language: str, written: str, spoken: str) -> None:
    assert spoken_form(written, language) == spoken


def test_english() -> None:
    spoken = (
        "it's three point five percent of one thousand two hundred fifty in nineteen ninety nine"
    )
    assert spoken_form("It's 3.5% of 1,250 in 1999!", "en-US") == spoken
    assert spoken_form("A4 paper, well-known", "en") == "a4 paper well known"


@pytest.mark.parametrize(
    ("number", "sino", "native"),
    [
        (0, "영", "영"),
        (1, "일", "한"),
        (10, "십", "열"),
        (16, "십육", "열여섯"),
        (20, "이십", "스무"),
        (44, "사십사", "마흔네"),
        (100, "백", "백"),
        (10_000, "만", "만"),
        (11_000, "만 천", "만 천"),
        (20_300, "이만 삼백", "이만 삼백"),
        (100_010_000, "일억 일만", "일억 일만"),
        (10**16, "일경", "일경"),
    ],
)
def test_korean_numerals(number: int, sino: str, native: str) -> None:
    assert read_sino(number) == sino
    assert read_native(number) == native


def test_numbers_too_long_to_read_are_spelled() -> None:
    assert read_sino(10**20) == "일" + "공" * 20
    assert read_digits("2024") == "이공이사"
    assert read_numbers("1" * 30, "en") == "1" * 30


def test_impossible_dates_and_times_are_no_dates() -> None:
    assert "월" not in read_korean("2021-13-45")
    assert "시" not in read_korean("99:99")


@given(st.text(st.sampled_from("가나다 0123456789.,:-/%~개월일시분원kg℃$A'’!?"), max_size=30))
@settings(max_examples=200, deadline=None)
def test_korean_has_no_digits_left_and_is_said_once(text: str) -> None:
    spoken = spoken_form(text, "ko")
    assert spoken_form(spoken, "ko") == spoken
    assert spoken == " ".join(spoken.split())
    assert not any(character.isdigit() for character in spoken)


@given(st.text(max_size=30), st.sampled_from(["en", "tr", "sw", "xh", "und"]))
@settings(max_examples=150, deadline=None)
def test_no_capitals_and_no_sentence_marks(text: str, language: str) -> None:
    spoken = spoken_form(text, language)
    assert not set('!?;()[]"«»“”。！') & set(spoken)
    assert spoken == " ".join(spoken.split())


def test_which_languages_are_served() -> None:
    served = languages_with_numbers()
    assert {"ko", "en", "tr", "sw", "hi", "th", "ja"} <= served
    assert "xh" not in served


def test_a_missing_package_is_named_but_korean_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicode_rbnf", None)
    assert spoken_form("3개", "ko") == "세 개"
    with pytest.raises(MissingExtraError, match="pip install"):
        languages_with_numbers()


def test_the_kernel_speaks_each_record_in_its_language() -> None:
    batch = pa.RecordBatch.from_pydict(
        {"text": ["3개!", "3!", None, "3?"], "language": ["ko", "en", "ko", None]}
    )
    assert SpokenForm()(batch)["text"].to_pylist() == ["세 개", "three", None, "3"]
    assert SpokenForm()(batch.slice(1, 1))["text"].to_pylist() == ["three"]
    assert SpokenForm()(batch.slice(0, 0)).num_rows == 0


def test_lines_stay_lines_and_reserved_tokens_stay_tokens() -> None:
    assert spoken_lines("제목!\n\n— —\n전화: <|phone|>, 3개.", "ko") == "제목\n전화 <|phone|> 세 개"


def test_each_line_is_spoken_in_its_own_language() -> None:
    assert spoken_lines("3 cups\n3개", ("en", "ko")) == "three cups\n세 개"
    with pytest.raises(ValueError, match="zip"):
        spoken_lines("one\ntwo", ("en",))


# Text, places of the slots, and what the slots are afterwards.
WITH_SLOTS = [
    ("ko", "거실 불을 30%로 밝혀줘!", ["거실", "30"], ["거실", "삼십"]),
    ("ko", "3시간 15분 타이머", ["3", "15"], ["세", "십오"]),
    ("en", "Set the Kitchen's light to 30%.", ["Kitchen", "30"], ["kitchen", "thirty"]),
    ("en", "Play “Mr. Blue Sky” at 7", ["Mr. Blue Sky", "7"], ["mr blue sky", "seven"]),
    ("th", "ตั้งไฟ ห้องครัว เป็น 25%", ["ห้องครัว", "25"], ["ห้องครัว", "ยี่สิบห้า"]),
    ("hi", "रसोई की बत्ती 25% करो।", ["रसोई", "25"], ["रसोई", "पच्चीस"]),
    ("tr", "IŞIK %20 olsun", ["IŞIK"], ["ışık"]),
]


@pytest.mark.parametrize(("language", "text", "values", "spoken"), WITH_SLOTS)
def test_slots_are_found_again_in_the_spoken_form(
    language: str, text: str, values: list[str], spoken: list[str]
) -> None:
    spans = [(text.index(value), text.index(value) + len(value)) for value in values]
    found = speak_spans(text, spans, language)
    assert found is not None
    assert found[0] == spoken_form(text, language)
    assert [found[0][start:end] for start, end in found[1]] == spoken


def test_a_slot_without_a_word_is_not_found() -> None:
    assert speak_spans("play ???", [(5, 8)], "en") is None
    # The second number is read first: 이분의 일.
    assert speak_spans("1/2", [(0, 1)], "ko") is None


def test_every_utterance_of_four_languages_keeps_its_slots() -> None:
    from hunmin.corpus.sources.home.source import draw_language
    from hunmin.corpus.sources.spec import HomeAssistantSource

    for language in ("ko", "en", "th", "hi"):
        source = HomeAssistantSource(languages=(language,), max_utterances_per_language=400)
        lost = 0
        for record in draw_language(language, source):
            slots = json.loads(record.meta)["slots"]
            spans = [(slot["start"], slot["end"]) for slot in slots]
            found = speak_spans(record.text, spans, language)
            if found is None:
                lost += 1
                continue
            # Letters of a value are letters of the value afterwards; numbers become words.
            for slot, (start, end) in zip(slots, found[1], strict=True):
                value = record.text[slot["start"] : slot["end"]]
                if not any(map(str.isdigit, value)):
                    assert found[0][start:end] == spoken_form(value, language)
        assert lost <= 4, language


@pytest.mark.parametrize("distance", [0, 1, 20, 24, 25, 47, 48, 49, 100])
def test_numbers_are_read_alike_however_far_they_are_apart(distance: int) -> None:
    filler = " " + "가" * distance + " "
    parts = ("오후 3시 30분에", "010-1234-5678", "$5와 1,234,567원", "-5℃", "3~5개", "2021. 3. 5.")
    whole = filler.join(parts)
    assert read_korean(whole) == filler.join(read_korean(part) for part in parts)
