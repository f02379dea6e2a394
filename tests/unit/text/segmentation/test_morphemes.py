"""From morphemes to boundaries, and from tags to kinds."""

from __future__ import annotations

import pytest

from hunmin.text.segmentation.boundaries import NO_BOUNDARIES, Boundaries, BoundaryKind
from hunmin.text.segmentation.morphemes import Morpheme, join_morphemes
from hunmin.text.segmentation.tags import kaist_kind, sejong_kind, unidic_kind

PARTICLE, ENDING = BoundaryKind.PARTICLE, BoundaryKind.ENDING
COPULA, DERIVATION, COMPOUND = (
    BoundaryKind.COPULA,
    BoundaryKind.DERIVATION,
    BoundaryKind.COMPOUND,
)


def test_contracted_morphemes_have_one_end_and_no_start_between() -> None:
    # 공부 | 했 (하 + 았, both over the same syllable) | 다
    morphemes = [
        Morpheme(0, 2, COMPOUND),
        Morpheme(2, 1, DERIVATION),
        Morpheme(2, 1, ENDING),
        Morpheme(3, 1, ENDING),
    ]
    assert join_morphemes("공부했다", morphemes) == Boundaries((2, 3), (DERIVATION, ENDING))


def test_a_start_within_an_earlier_morpheme_is_no_boundary() -> None:
    # 예쁘 over 예뻤, 았 over 뻤
    morphemes = [Morpheme(0, 2, COMPOUND), Morpheme(1, 1, ENDING), Morpheme(2, 1, ENDING)]
    assert join_morphemes("예뻤다", morphemes).positions == (2,)


def test_an_unwritten_morpheme_names_the_boundary() -> None:
    morphemes = [Morpheme(0, 2, COMPOUND), Morpheme(2, 0, COPULA), Morpheme(2, 1, ENDING)]
    assert join_morphemes("친구다", morphemes) == Boundaries((2,), (COPULA,))


def test_an_end_with_nothing_behind_it_is_a_compound_boundary() -> None:
    assert join_morphemes("가나다", [Morpheme(0, 1, COMPOUND)]) == Boundaries((1,), (COMPOUND,))


def test_ends_of_the_text_and_white_space_have_no_boundaries() -> None:
    text = "나는\t간다"
    morphemes = [Morpheme(0, 2, COMPOUND), Morpheme(2, 1, COMPOUND), Morpheme(3, 2, COMPOUND)]
    assert join_morphemes(text, morphemes) == NO_BOUNDARIES
    assert join_morphemes("", []) == NO_BOUNDARIES


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("JKS", PARTICLE),
        ("JX", PARTICLE),
        ("EP", ENDING),
        ("EP+EF", ENDING),
        ("VCP", COPULA),
        ("VCP+EF", COPULA),
        ("VCN", COPULA),
        ("XSV", DERIVATION),
        ("XSA-I", DERIVATION),
        ("XPN", DERIVATION),
        ("VV-R", COMPOUND),
        ("VV+EP", COMPOUND),
        ("NNG", COMPOUND),
        ("XR", COMPOUND),
        ("SF", COMPOUND),
        ("", COMPOUND),
    ],
)
def test_sejong_tags(tag: str, kind: BoundaryKind) -> None:
    assert sejong_kind(tag) is kind


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("jco", PARTICLE),
        ("jp", COPULA),
        ("ef", ENDING),
        ("xsv", DERIVATION),
        ("ncn", COMPOUND),
    ],
)
def test_kaist_tags(tag: str, kind: BoundaryKind) -> None:
    assert kaist_kind(tag) is kind


@pytest.mark.parametrize(
    ("tag", "kind"),
    [("助詞", PARTICLE), ("助動詞", ENDING), ("接尾辞", DERIVATION), ("名詞", COMPOUND)],
)
def test_unidic_tags(tag: str, kind: BoundaryKind) -> None:
    assert unidic_kind(tag) is kind


def test_kinds_are_chosen() -> None:
    boundaries = Boundaries((1, 2, 3), (PARTICLE, COMPOUND, ENDING))
    assert boundaries.of_kinds({PARTICLE, ENDING}) == (1, 3)
