"""Golden segmentations of each analyser, and what must hold for any text."""

from __future__ import annotations

import itertools
import pickle

import pytest

from hunmin.text.segmentation.boundaries import Analyser
from hunmin.text.segmentation.kiwi import KiwiAnalyser

KOREAN = {
    "친구들과 학교에서 공부했습니다.": "친구|들|과 학교|에서 공부|했|습니다|.",
    "먹었습니다": "먹|었|습니다",
    "나는 😀😀학교에서 먹었다": "나|는 😀|😀|학교|에서 먹|었|다",
    "𠀀𠀁을 먹었다": "𠀀𠀁|을 먹|었|다",
}


def cut(text: str, analyser: Analyser) -> str:
    (found,) = analyser.boundaries([text])
    ends = (0, *found.positions, len(text))
    return "|".join(text[a:b] for a, b in itertools.pairwise(ends))


@pytest.fixture(scope="module")
def kiwi() -> KiwiAnalyser:
    return KiwiAnalyser()


def test_kiwi(kiwi: KiwiAnalyser) -> None:
    assert {text: cut(text, kiwi) for text in KOREAN} == KOREAN
    assert kiwi.needs_context
    assert kiwi.identity.startswith("kiwi 0.")


def test_a_copy_of_kiwi_has_the_same_identity(kiwi: KiwiAnalyser) -> None:
    assert pickle.loads(pickle.dumps(kiwi)).identity == kiwi.identity
