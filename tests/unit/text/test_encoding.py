"""Encodings: found by evidence, or refused with the byte that does not fit."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.text.encoding import check_encoding_name, detect_encoding

KOREAN = "나라의 말이 중국과 달라 문자와 서로 통하지 아니하므로 이런 까닭으로\n어린 백성이 있다."


def detect(data: bytes) -> tuple[str, int]:
    return tuple(detect_encoding(io.BytesIO(data), where="x.txt"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"plain ascii", ("utf-8", 0)),
        (b"", ("utf-8", 0)),
        (KOREAN.encode(), ("utf-8", 0)),
        (b"\xef\xbb\xbf" + KOREAN.encode(), ("utf-8", 3)),
        (KOREAN.encode("cp949"), ("cp949", 0)),
        ("안녕하세요".encode("euc-kr"), ("cp949", 0)),
        ("똠방각하 펲시콜라는 이것이다".encode("cp949"), ("cp949", 0)),
        (b"\xff\xfe" + KOREAN.encode("utf-16-le"), ("utf-16-le", 2)),
        (b"\xfe\xff" + KOREAN.encode("utf-16-be"), ("utf-16-be", 2)),
        (KOREAN.encode("utf-16-le"), ("utf-16-le", 0)),
        ("가로등 가게가 각각 가까운 곳에 있다".encode("utf-16-be"), ("utf-16-be", 0)),
        ("Hello, world".encode("utf-16-be"), ("utf-16-be", 0)),
    ],
)
def test_encoding_is_found(data: bytes, expected: tuple[str, int]) -> None:
    assert detect(data) == expected


def test_evidence_after_megabytes_of_ascii() -> None:
    assert detect(b"x" * 3_000_000 + b"\n" + KOREAN.encode("cp949")) == ("cp949", 0)


def test_utf8_character_cut_by_the_sample_is_no_evidence_against_utf8() -> None:
    assert detect("가".encode() * 1_000_000) == ("utf-8", 0)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Füße über Größe für Äpfel, schöne Grüße", "latin-1"),
        ("élève où ça naïve cœur".replace("œ", "oe"), "latin-1"),
        ("ある日の暮方の事である。一人の下人が、羅生門の下で雨やみを待っていた。", "shift_jis"),
        ("ある日の暮方の事である。一人の下人が、羅生門の下で雨やみを待っていた。", "euc-jp"),
        ("人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心", "gb2312"),
        ("人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心", "big5"),
        ("Все люди рождаются свободными и равными в своем достоинстве", "cp1251"),
        ("Все люди рождаются свободными и равными в своем достоинстве", "koi8-r"),
    ],
)
def test_other_legacy_encodings_are_refused_not_taken_for_korean(text: str, encoding: str) -> None:
    with pytest.raises(TextEncodingError, match="the encoding cannot be told"):
        detect(text.encode(encoding))


def test_refusal_names_file_offset_bytes_and_what_to_do() -> None:
    with pytest.raises(TextEncodingError) as error:
        detect(b"th\xe9 noir")
    message = str(error.value)
    assert "x.txt" in message
    assert "from byte 2 on" in message
    assert "e9 20 6e" in message
    assert "UTF-8" in message
    assert "iconv" in message
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04" + bytes(30), "zip"),
        (b"%PDF-1.7\n\xe2\xe3", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8), ".hwp"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ],
)
def test_known_binary_files_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(TextEncodingError, match=f"not text: it looks like .*{kind}"):
        detect(data)


def test_zero_bytes_are_not_text() -> None:
    with pytest.raises(TextEncodingError, match="a zero byte at byte 3") as error:
        detect(b"abc\x00\x00\x01\x02\x03def\x00\x07\x00\x00")
    assert "61 62 63 00" in str(error.value)


def test_utf32_is_refused_by_name() -> None:
    with pytest.raises(TextEncodingError, match="this is UTF-32"):
        detect("가나".encode("utf-32"))


def test_unknown_encoding_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'cp949'"):
        check_encoding_name("cp94")
    with pytest.raises(InputError, match="no such text encoding"):
        check_encoding_name("hex")
    assert check_encoding_name("CP949") == "cp949"
    assert check_encoding_name("auto") == "auto"


@given(st.text())
def test_utf8_is_always_told_from_its_bytes(text: str) -> None:
    data = text.encode()
    if "\0" not in text:
        assert detect(data)[0] in ("utf-8",) or data[:3] in (b"\xef\xbb\xbf", b"GIF", b"RIF")
