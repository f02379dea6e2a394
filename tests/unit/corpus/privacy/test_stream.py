"""Masking of streams: text comes out as it went in, personal data aside; counts are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.corpus.privacy.mask import masker_for
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.corpus.privacy.stream import StreamMasker, types_of
from hunmin.corpus.privacy.tokens import DEFAULT_TYPES, PRIVACY_TYPES

LINES = ["문의: 010-1234-5678", "", "계좌번호:", "국민은행 123456-78-123456", "", "kim@example.com"]


def stream(**options: object) -> StreamMasker:
    return StreamMasker(masker_for(PrivacySpec()), "ko", **options)  # type: ignore[arg-type]


def test_masked_text_and_counts() -> None:
    masker = stream()
    masked = "\n".join(masker.masked(LINES))
    assert masked == "문의: <|phone|>\n\n계좌번호:\n국민은행 <|account|>\n\n<|email|>"
    assert masker.summary() == "1 account <|account|>, 1 phone <|phone|>, 1 email <|email|>"
    assert not masker.findings


def test_findings_are_kept_on_request_only() -> None:
    masker = stream()
    list(masker.masked(LINES, explain=True))
    found = [(finding.line, finding.type, finding.original) for finding in masker.findings]
    assert found == [
        (1, "phone", "010-1234-5678"),
        (4, "account", "123456-78-123456"),
        (6, "email", "kim@example.com"),
    ]


def test_lines_one_by_one() -> None:
    blocks = stream(by_line=True).masked(iter(["010-1234-5678", "다음"]))
    assert next(blocks) == "<|phone|>"
    assert list(blocks) == ["다음"]


@given(st.lists(st.text(alphabet="가나 다.,!a\t", max_size=8), max_size=12), st.booleans())
def test_text_without_personal_data_stays(lines: list[str], by_line: bool) -> None:
    masker = stream(by_line=by_line)
    assert "\n".join(masker.masked(lines)) == "\n".join(lines)
    assert masker.summary() == "nothing to mask"


@pytest.mark.parametrize(
    ("written", "types"),
    [
        (None, DEFAULT_TYPES),
        ("all", PRIVACY_TYPES),
        ("phone, email", ("phone", "email")),
        ("default,coordinates", (*DEFAULT_TYPES, "coordinates")),
        ("", ()),
    ],
)
def test_types(written: str | None, types: tuple[str, ...]) -> None:
    assert types_of(written) == types
