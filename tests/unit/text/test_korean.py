"""Korean particles."""

from __future__ import annotations

import pytest

from hunmin.text.korean import fit_particle


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        ("실", "를 켜", "을 켜"),
        ("고", "을 켜", "를 켜"),
        ("트", "이", "가"),
        ("실", "가 있어", "이 있어"),
        ("울", "으로 가", "로 가"),
        ("방", "로 가", "으로 가"),
        ("3", "를", "을"),
        ("2", "으로", "로"),
        ("V", "을 켜", "을 켜"),
        ("실", "이야", "이야"),
        ("고", " 을", " 을"),
    ],
)
def test_particle_fits_the_word(before: str, text: str, expected: str) -> None:
    assert fit_particle(before, text) == expected
