"""Gold readers and scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunmin.core.errors import InputError, MissingInputError
from hunmin.text.segmentation.boundaries import BoundaryKind
from hunmin.text.segmentation.gold import Gold, GoldText, read_gold
from hunmin.text.segmentation.scoring import score_boundaries

KLUE = """## 주석 : ##
## klue-dp-v1_dev_00000_wikitree\t'K팝스타3’ 유희열이 흘렸다.
1\t'K팝스타3’\t' K 팝스타 3 ’\tSS+SL+NNP+SN+SS\t2\tNP
2\t유희열이\t유희열 이\tNNP+JKS\t6\tNP_SBJ
3\t흘렸다.\t흘리 었 다 .\tVV+EP+EF+SF\t0\tVP
"""
CONLLU = """# sent_id = 1
# text = 병원(서울)가 간다고.
1\t병원\t병+원\tNOUN\tNNG+XSN\t_\t1\tx\t_\tSpaceAfter=No
2\t(\t(\tPUNCT\tSS\t_\t1\tx\t_\tSpaceAfter=No
3\t서울\t서울\tPROPN\tNNP\t_\t1\tx\t_\tSpaceAfter=No
4\t)\t)\tPUNCT\tSS\t_\t1\tx\t_\tSpaceAfter=No
5\t가\t가\tADP\tJKS\t_\t1\tx\t_\t_
6\t간다\t가+ㄴ다\tVERB\tpvg+ef\t_\t1\tx\t_\tSpaceAfter=No
7\t고\t고\tADP\tjcr\t_\t1\tx\t_\tSpaceAfter=No
8\t.\t.\tPUNCT\tsf\t_\t1\tx\t_\t_
"""


def read(tmp_path: Path, name: str, content: str) -> Gold:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_gold(path)


def show(text: GoldText) -> str:
    kinds = dict(zip(text.boundaries.positions, text.boundaries.kinds, strict=True))
    return "".join(
        (f"|{kinds[i]}:" if i in kinds else "·" if i in text.judged else "") + character
        for i, character in enumerate(text.text)
    )


def test_klue(tmp_path: Path) -> None:
    gold = read(tmp_path, "dp.tsv", KLUE)
    assert (gold.num_words, gold.num_judged_words) == (3, 2)
    (text,) = gold.texts
    # Only between two syllables, and not in 흘렸다, which is not spelled 흘리었다.
    assert show(text) == "'K팝·스·타3’ 유·희·열|particle:이 흘렸다."


def test_conllu_with_tokens_that_stand_together(tmp_path: Path) -> None:
    gold = read(tmp_path, "a.conllu", CONLLU)
    assert show(gold.texts[0]) == "병|derivation:원(서·울)가 간다고."
    together = CONLLU.replace("간다\t가+ㄴ다\tVERB\tpvg+ef", "간다\t간+다\tVERB\tpvg+ef")
    gold = read(tmp_path, "a.conllu", together)
    assert show(gold.texts[0]) == "병|derivation:원(서·울)가 간|ending:다|particle:고."
    assert gold.judged_share == 1


def test_conllu_without_its_text_is_spelled_from_the_tokens(tmp_path: Path) -> None:
    lines = [line for line in CONLLU.splitlines() if not line.startswith("# text")]
    gold = read(tmp_path, "a.conllu", "\n".join(lines))
    assert gold.texts[0].text == "병원(서울)가 간다고."


def test_segmented_words_and_sentences(tmp_path: Path) -> None:
    gold = read(tmp_path, "a.tsv", "strides\tstride @@s\t100\nran\trun @@ed\t100\n")
    assert [show(text) for text in gold.texts] == ["s·t·r·i·d·e|unlabelled:s", "ran"]
    gold = read(tmp_path, "b.tsv", "He Turned back .\tHe turn @@ed back .\nlost row\tlost @@row\n")
    assert show(gold.texts[0]) == "H·e T·u·r·n|unlabelled:e·d b·a·c·k ."
    assert gold.texts[1].judged == ()
    assert (gold.num_words, gold.num_judged_words) == (6, 4)


def test_scores(tmp_path: Path) -> None:
    gold = read(tmp_path, "dp.tsv", KLUE)
    text = gold.texts[0]
    right = text.boundaries.positions
    wrong = next(position for position in text.judged if position not in right)
    scores = score_boundaries([(text, [*right, wrong, 1, 99])])
    assert (scores.recall, scores.precision) == (1, 0.5)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.recall_by_kind == {BoundaryKind.PARTICLE: 1}
    assert score_boundaries([]).f1 == 0


def test_what_is_no_gold_standard_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3(.|\n)*2 of 10"):
        read(tmp_path, "a.conllu", "# text = a\n\n1\ta\n")
    with pytest.raises(InputError, match="no segmented word in this file"):
        read(tmp_path, "a.conllu", "# text = a\n\n")
    with pytest.raises(InputError, match="no segmented word in this file"):
        read(tmp_path, "a.tsv", "\n")
    with pytest.raises(MissingInputError):
        read_gold(tmp_path / "no.tsv")


@pytest.mark.parametrize(
    ("name", "num_texts", "num_gold", "judged_share"),
    [
        ("klue/dp_dev_a.tsv.zst", 1000, 9874, 0.83),
        ("ud_korean_gsd/ko_gsd-ud-dev.conllu.zst", 950, 7095, 0.87),
        ("ud_korean_kaist/ko_kaist-ud-dev.conllu.zst", 2066, 17832, 0.82),
        ("sigmorphon_segmentation/ces.sentence.dev.tsv.zst", 500, 9435, 1.0),
        ("sigmorphon_segmentation/mon.word.dev.tsv.zst", 1895, 522, 0.34),
    ],
)
def test_real_gold(
    shared_data: Path, name: str, num_texts: int, num_gold: int, judged_share: float
) -> None:
    gold = read_gold(shared_data / name)
    assert len(gold.texts) == num_texts
    assert sum(len(text.boundaries.positions) for text in gold.texts) == num_gold
    assert gold.judged_share == pytest.approx(judged_share, abs=0.006)
