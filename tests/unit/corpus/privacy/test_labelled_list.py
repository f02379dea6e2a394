"""The labelled list: precision and recall by type, and that the list itself is worth something."""

from __future__ import annotations

from collections import Counter

import pytest

from hunmin.core.errors import InputError
from hunmin.corpus.privacy import DEFAULT_TYPES, PRIVACY_TYPES, PrivacySpec, TextMasker, masker_for
from hunmin.corpus.privacy.patterns import load_patterns
from hunmin.corpus.privacy.scoring import LabelledText, Score, read_labelled, score

FLOOR = 0.95
MIN_POSITIVES, MIN_NEGATIVES, MIN_LANGUAGES = 150, 200, 15


def test_list_is_large_and_has_many_languages(cases: list[LabelledText]) -> None:
    assert sum(len(case.spans) for case in cases) >= MIN_POSITIVES
    assert sum(not case.spans for case in cases) >= MIN_NEGATIVES
    assert len({case.language for case in cases}) >= MIN_LANGUAGES
    kinds = Counter(kind for case in cases for _, _, kind in case.spans)
    assert set(kinds) == set(PRIVACY_TYPES)
    assert min(kinds[kind] for kind in DEFAULT_TYPES) >= 8


@pytest.mark.parametrize("kind", PRIVACY_TYPES)
def test_precision_and_recall(kind: str, cases: list[LabelledText], masker: TextMasker) -> None:
    result = score(cases, masker)[kind]
    assert result.precision >= FLOOR, result
    assert result.recall >= FLOOR, result


def test_every_pattern_finds_something(cases: list[LabelledText], masker: TextMasker) -> None:
    found = {span.pattern for case in cases for span in masker.find(case.text, case.language)}
    unused = {pattern.name for pattern in load_patterns(PRIVACY_TYPES)} - found
    assert not unused


def test_what_is_off_is_not_masked(cases: list[LabelledText]) -> None:
    masker = masker_for(PrivacySpec())
    kinds = {span.type for case in cases for span in masker.find(case.text, case.language)}
    assert kinds == set(DEFAULT_TYPES)


def test_score_counts_exact_spans(masker: TextMasker) -> None:
    lines = ["# a comment", "", "ko\t전화 [[phone|010-2837-4651]]", "ko\t번호 [[phone|12]] a@b.kr"]
    result = score(read_labelled(lines), masker)
    assert result["phone"] == Score(found=1, extra=0, missed=1)
    assert result["email"] == Score(found=0, extra=1, missed=0)
    assert (result["phone"].precision, result["phone"].recall) == (1.0, 0.5)
    assert (result["email"].precision, result["email"].recall) == (0.0, 1.0)


def test_line_without_tab_is_named() -> None:
    with pytest.raises(InputError, match="line 2") as error:
        read_labelled(["ko\ta", "no tab here"])
    assert "language<TAB>text" in str(error.value)
