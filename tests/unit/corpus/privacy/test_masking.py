"""Masking of one text: what is found however it is written, and what must never happen."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.corpus.privacy import PRIVACY_TOKENS, PRIVACY_TYPES, PrivacySpec, TextMasker, masker_for
from hunmin.corpus.privacy.scan import SCANS, may_hold_data

ALL = masker_for(PrivacySpec(types=PRIVACY_TYPES))
# Pieces that make hypothesis write what looks like numbers and addresses, and what is near them.
PIECES = (
    *"0123456789", "010", "-", ".", " ", "(", ")", "+", "+82", ":", "/", "@", "a", "M", "원", "년",
    "계좌", "국민은행 ", "전화 ", "여권 ", "Tel", "mail ", "naver.com", " at ", " dot ", "골뱅이",
    "1234", "900101-1", "4579731820064917", "DE89", "::", "2001:", "<<", "P<KOR", "\n", "\u200b",
    "０", "٣", "–", "ㅡ", "<|phone|>", "010-1234-5678", "11-12-345678-90", "110-234-567890",
)  # fmt: skip
NUMBERS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@pytest.mark.parametrize(
    "number",
    [
        "010-2837-4651",
        "010.2837.4651",
        "010 2837 4651",
        "010–2837—4651",
        "010·2837·4651",
        "０１０－２８３７－４６５１",
        "०१०-२८३७-४६५१",
        "٠١٠-٢٨٣٧-٤٦٥١",
        "๐๑๐-๒๘๓๗-๔๖๕๑",
        "010\u00a02837\u20034651",
        "0\u200b10-28\u200d37-4\u20606\ufeff51",
        "010ㅡ2837ㅡ4651",
        "010ー2837ー4651",
        "0\ufe0f\u20e31\ufe0f\u20e30\ufe0f\u20e3-2837-4651",
        "010_2837_4651",
        "010)2837-4651",
    ],
)
def test_numbers_are_found_however_they_are_written(number: str, masker: TextMasker) -> None:
    masked, counts = masker.mask(f"앞ㅡ글　{number}\u200b뒤의 ２글", "ko")
    assert masked == "앞ㅡ글　<|phone|>\u200b뒤의 ２글"
    assert counts == {"phone": 1}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("(044-203-6422, 담당)", "(<|phone|>, 담당)"),
        ("(02)738-4519", "<|phone|>"),
        ("2019-08-01 010-2837-4651", "2019-08-01 <|phone|>"),
        ("0112837465@naver.com", "<|email|>"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("010-2837-4651~2", "<|phone|>~2"),
        ("번호010-2837-4651로", "번호<|phone|>로"),
        ("1010-2837-4651", "1010-2837-4651"),
        ("010-2837-46512", "010-2837-46512"),
        ("0010 1000 0000 0000", "0010 1000 0000 0000"),
    ],
)
def test_borders(text: str, masked: str, masker: TextMasker) -> None:
    assert masker.mask(text, "ko")[0] == masked


@pytest.mark.parametrize(
    ("text", "language", "masked"),
    [
        ("06 48 27 19 36", "fr", "<|phone|>"),
        ("06 48 27 19 36", "ko", "06 48 27 19 36"),
        ("전화 06 48 27 19 36", "ko", "전화 <|phone|>"),
        ("13848271936", "zh-Hant-TW", "<|phone|>"),
        ("13848271936", "und", "13848271936"),
        ("48271930", "ko", "48271930"),
        ("M48271936", "ko", "M48271936"),
        ("482901-04-173829", "ko", "482901-04-173829"),
        ("국민은행 482901-04-173829", "ko", "국민은행 <|account|>"),
    ],
)
def test_ambiguous_numbers_need_their_language_or_a_word(
    text: str, language: str, masked: str, masker: TextMasker
) -> None:
    assert masker.mask(text, language)[0] == masked


def test_resident_numbers_need_a_date_and_no_checksum(masker: TextMasker) -> None:
    good = ["210305-3918274", "900101-1234567", "850923-5123408", "2103053918274"]
    bad = ["991332-1234567", "230230-3123456", "900101-8234567", "450101-3234567"]
    for number in good:
        assert masker.mask(number)[1] == {"rrn": 1}, number
    for number in bad:
        assert masker.mask(number)[1].get("rrn") is None, number


def test_addresses_that_are_not_public_stay(masker: TextMasker) -> None:
    text = (
        "10.1.2.3 172.16.9.9 192.168.1.254 127.0.0.1 169.254.3.4 198.51.100.7 203.0.113.99 "
        "224.0.0.251 255.255.255.0 fe80::1 fc00::12 ::1 2001:db8::1 93.184.216.0"
    )
    assert masker.mask(text) == (text, {})


def test_masking_is_not_reversible(masker: TextMasker) -> None:
    first, _ = masker.mask("전화 010-2837-4651")
    second, _ = masker.mask("전화 010-9283-1122")
    assert first == second


@pytest.mark.parametrize("text", [*HARD_TEXTS, *(t for texts in SENTENCES.values() for t in texts)])
def test_text_without_candidates_is_the_same_object(text: str, masker: TextMasker) -> None:
    masked, counts = masker.mask(text)
    assert masked is text
    assert counts == {}


@pytest.mark.parametrize(
    "piece", ["0", "1 ", "010-1234-", "@", "a@", "(at)", "+", "P<", "A1", "2:"]
)
def test_long_runs_take_no_time_and_no_stack(piece: str, masker: TextMasker) -> None:
    text = piece * (30_000 // len(piece))
    assert len(masker.mask(text)[0]) > 0


@settings(max_examples=200, deadline=None)
@given(text=NUMBERS | st.text(max_size=60), language=st.sampled_from(["ko", "fr", "de", "und"]))
@example(text="계좌 110-234-567890 4579731820064917 전화 110-234-567890", language="ko")
def test_masking_twice_changes_nothing(text: str, language: str) -> None:
    once, counts = ALL.mask(text, language)
    assert ALL.mask(once, language) == (once, {})
    tokens = sum(once.count(token) - text.count(token) for token in PRIVACY_TOKENS)
    assert tokens == sum(counts.values())


@settings(max_examples=200, deadline=None)
@given(text=NUMBERS | st.text(max_size=60))
def test_what_is_not_masked_stays_as_it_is(text: str) -> None:
    spans = ALL.find(text, "ko")
    assert spans == sorted(spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    kept = [
        text[a:b]
        for a, b in zip(
            [0, *(s.end for s in spans)], [*(s.start for s in spans), len(text)], strict=True
        )
    ]
    masked = "".join(
        part + token
        for part, token in zip(kept, [*(f"<|{span.type}|>" for span in spans), ""], strict=True)
    )
    if not ALL.find(masked, "ko"):
        assert ALL.mask(text, "ko")[0] == masked


@settings(max_examples=200, deadline=None)
@given(text=NUMBERS | st.text(max_size=60))
def test_quick_test_lets_every_candidate_through(text: str) -> None:
    if any(True for scan in SCANS.values() for _ in scan(text)):
        assert may_hold_data(text)
