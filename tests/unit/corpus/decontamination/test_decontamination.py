"""Evaluation items planted in real documents are found; documents without them stay clean."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
)
from hunmin.corpus.decontamination.index import ContaminationRule, EvaluationIndex, build_index
from hunmin.corpus.decontamination.planting import found_share, plant_items
from hunmin.corpus.decontamination.report import ContaminationReport
from hunmin.corpus.decontamination.search import (
    CONTAMINATED,
    HIT_SCHEMA,
    find_items,
    mark_contaminated,
)
from hunmin.corpus.decontamination.storage import load_index, save_index
from hunmin.corpus.dedup.planting import decomposed, exact, spaces_lost

QUESTION = "훈민정음을 만든 조선의 임금은 누구인가요?"
SHORT = "세종의 아버지는 누구?"


def batch_of(texts: list[str], kind: pa.DataType | None = None) -> pa.RecordBatch:
    ids = pa.array([f"d{number:05}" for number in range(len(texts))], pa.string())
    return pa.RecordBatch.from_arrays([ids, pa.array(texts, kind or pa.string())], ["id", "text"])


def is_found(texts: list[str], index: EvaluationIndex) -> list[bool]:
    marked = mark_contaminated(batch_of(texts), index)
    return [reason == CONTAMINATED for reason in marked["reason"].to_pylist()]


def word_changed(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    words[draw.randrange(len(words))] = "바꾼말"
    return " ".join(words)


def named(evaluation_sets: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    seen: set[str] = set()
    named_sets = {}
    for name, texts in evaluation_sets.items():
        own = {f"{name}/{number}": text for number, text in enumerate(texts)}
        named_sets[name] = {k: t for k, t in own.items() if not (t in seen or seen.add(t))}  # type: ignore[func-returns-value]
    return named_sets


def test_korean_items_are_found_verbatim_and_with_spaces_lost(
    evaluation_sets: dict[str, list[str]], clean_documents: list[str]
) -> None:
    sets = named(evaluation_sets)
    index = build_index(sets)
    items = {name: text for texts in sets.values() for name, text in texts.items()}
    documents = pa.array([text for text in clean_documents if len(text) > 300])
    assert len(items) > 700
    for change in (exact, decomposed, spaces_lost(0.15), spaces_lost(0.5)):
        assert found_share(plant_items(items, documents, change), index) >= 0.98
    assert found_share(plant_items(items, documents, word_changed), index) >= 0.3


def test_clean_documents_stay_clean(
    evaluation_sets: dict[str, list[str]], clean_documents: list[str]
) -> None:
    flagged = is_found(clean_documents, build_index(evaluation_sets))
    assert np.mean(flagged) <= 0.001


@pytest.mark.parametrize("code", ["tha", "aze-Latn", "hin", "swa", "jpn"])
def test_other_scripts(news: dict[str, list[str]], code: str) -> None:
    lines = [line for line in news[code] if len(line) > 40]
    # Other articles: headlines and the sentences of one article do repeat each other.
    items = {str(number): text for number, text in enumerate(dict.fromkeys(lines[:700:5]))}
    clean = lines[800:]
    index = build_index({code: items})
    assert np.mean(is_found(clean, index)) <= 0.001
    assert found_share(plant_items(items, pa.array(clean)), index) >= 0.98


def test_short_items_are_found_between_word_ends() -> None:
    index = build_index({"quiz": [SHORT, "thousand year"]})
    assert index.counts[0].whole == 2
    assert is_found(
        [
            f"문제: {SHORT} 답은?",
            "세종의아버지는 누구?",
            SHORT,
            f"({SHORT})",
            "대세종의 아버지는 누구?",
            "세종의 아버지는 누군가?",
            "A thousand-year reign",
            "ten thousand years",
            "",
        ],
        index,
    ) == [True, True, True, True, False, False, False, False, False]


def test_short_items_of_scripts_without_spaces_stand_within_text() -> None:
    index = build_index({"thai": ["เมืองหลวงของไทย"], "han": ["中国的首都是哪里"]})
    assert is_found(["ถามว่าเมืองหลวงของไทยคืออะไร", "请问中国的首都是哪里呢"], index) == [True, True]


def test_items_that_cannot_be_checked_are_counted() -> None:
    frame = "다음 글을 읽고 물음에 답하시오. "
    items = ["네", "!!!!!!!!!!!!!!!!!!!!", QUESTION, QUESTION + " ", SHORT]
    items += [f"{frame}({number})" for number in range(60)]
    (counts,) = build_index({"exam": items}, ContaminationRule(max_items=50)).counts
    assert counts.items == 65
    assert (counts.repeated, counts.too_short, counts.whole) == (1, 2, 1)
    assert counts.template + counts.runs == 61
    assert counts.runs >= 1


def test_what_is_part_of_the_template_alone_flags_nothing() -> None:
    frame = "다음 글을 읽고 물음에 알맞은 답을 고르시오: "
    items = [f"{frame}{number}번 물음의 알맹이는 이것입니다 {number}" for number in range(60)]
    index = build_index({"exam": items}, ContaminationRule(max_items=20))
    assert is_found([f"{frame}참 쉽습니다", items[7]], index) == [False, True]


def test_a_part_of_an_item_counts_by_its_share() -> None:
    item = "".join(chr(0xAC00 + 7 * number) for number in range(114))
    index = build_index({"set": {"only": item}}, ContaminationRule(min_share=0.5, max_runs=60))
    assert is_found([item[:63], item[:64], item[:20] + "가" + item[60:114]], index) == [
        False,
        True,
        False,
    ]
    (hit,) = find_items(batch_of(["앞 " + item[:64]]), index).to_pylist()
    assert hit == {"id": "d00000", "set": "set", "item": "only", "share": pytest.approx(0.5)}
    few = build_index({"set": [item]}, ContaminationRule(min_share=1, max_runs=10))
    assert is_found([item[30:53], item[30:54]], few) == [False, True]


def test_a_run_that_stands_often_counts_once() -> None:
    item = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허"
    index = build_index({"set": [item]}, ContaminationRule(min_share=0.5))
    assert is_found([f"{item[:15]} . " * 20], index) == [False]


def test_runs_do_not_reach_over_the_end_of_a_document() -> None:
    index = build_index({"set": [QUESTION]})
    middle = len(QUESTION) // 2
    assert is_found([QUESTION[:middle], QUESTION[middle:]], index) == [False, False]


def test_hits_name_every_set_and_older_reasons_stay() -> None:
    index = build_index({"b": [QUESTION, SHORT], "a": {"q1": QUESTION}})
    batch = batch_of([f"{QUESTION} {SHORT}", "깨끗한 글", QUESTION])
    marked = mark_contaminated(
        batch.append_column("reason", pa.array([None, None, "too short"])), index
    )
    assert marked["evaluation_sets"].to_pylist() == [["a", "b"], [], ["a", "b"]]
    assert marked["reason"].to_pylist() == [CONTAMINATED, None, "too short"]
    hits = find_items(batch, index)
    assert hits.schema == HIT_SCHEMA
    assert hits["set"].to_pylist() == ["a", "b", "b", "a", "b"]
    assert "q1" in hits["item"].to_pylist()


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.sampled_from([QUESTION, SHORT, "깨끗한 글", "", f"앞 {QUESTION}", f"{SHORT} 뒤"]),
        max_size=10,
    ),
    cut=st.integers(1, 4),
)
def test_batches_do_not_matter(texts: list[str], cut: int) -> None:
    index = build_index({"a": [QUESTION], "b": [SHORT]})
    batch = batch_of(texts)
    whole = pa.Table.from_batches([find_items(batch, index)])
    parts = [find_items(batch.slice(at, cut), index) for at in range(0, len(texts), cut)]
    assert pa.Table.from_batches(parts, schema=HIT_SCHEMA).equals(whole)
    large = batch_of(texts, pa.large_string())
    assert find_items(large, index).equals(whole.to_batches()[0] if texts and whole.num_rows
                                           else find_items(batch, index))  # fmt: skip


def test_neither_the_order_of_sets_nor_of_items_matters() -> None:
    first = build_index({"a": [QUESTION, SHORT], "b": [SHORT]})
    second = build_index({"b": [SHORT], "a": [SHORT, QUESTION]})
    assert_equal(first, second)


def assert_equal(first: EvaluationIndex, second: EvaluationIndex) -> None:
    for name in ("rule", "sets", "counts", "short_lengths"):
        assert getattr(first, name) == getattr(second, name)
    for name in ("hashes", "items", "item_sets", "item_runs", "item_names"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()


def test_an_index_comes_back_as_it_was(
    tmp_path: Path, evaluation_sets: dict[str, list[str]]
) -> None:
    index = build_index(evaluation_sets, ContaminationRule(min_share=0.4))
    artifact = save_index(index, tmp_path / "index")
    assert_equal(load_index(tmp_path / "index"), index)
    assert_equal(pickle.loads(pickle.dumps(index)), index)
    assert artifact.facts["sets"]["klue-sts"]["items"] == 100
    names = {path.suffix for path in (tmp_path / "index").iterdir()}
    assert names == {".npy", ".json"}
    save_index(index, tmp_path / "again")
    assert load_index(tmp_path / "again").rule.min_share == 0.4


def test_a_damaged_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        load_index(tmp_path / "none")
    save_index(build_index({"a": [QUESTION]}), tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    content = json.loads(manifest.read_text("utf-8"))
    content["facts"]["format"] = 99
    manifest.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactKindError, match="format 99"):
        load_index(tmp_path / "index")
    (tmp_path / "index" / "items.npy").write_bytes(b"other")
    with pytest.raises(CorruptArtifactError):
        load_index(tmp_path / "index")


def test_the_report_counts_items_and_documents() -> None:
    index = build_index(
        {"a": {"q": QUESTION, "s": SHORT}, "b": ["다른 물음은 어디에도 없습니다만?"]}
    )
    report = ContaminationReport(index)
    for texts in ([QUESTION, "깨끗한 글"], []):
        report.add(find_items(batch_of(texts), index), len(texts))
    found = report.as_json()
    assert (found["documents"], found["contaminated_documents"]) == (2, 1)
    assert found["sets"]["a"]["found_items"] == 1
    assert found["sets"]["a"]["found_share"] == 0.5
    assert found["sets"]["a"]["examples"] == [{"id": "d00000", "item": "q", "share": 1.0}]
    assert found["sets"]["b"]["found_items"] == 0
    assert json.loads(json.dumps(found)) == found


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(InputError, match=r"(?s)nothing to look for.*at least 8 letters"):
        build_index({"a": ["네", "아니요"], "b": []})
    with pytest.raises(InputError, match="nothing to look for"):
        build_index({})
    with pytest.raises(InputError, match="min_letters 16, width 15"):
        ContaminationRule(min_letters=16)
    with pytest.raises(InputError, match="no document"):
        plant_items({"q": QUESTION}, pa.array([], pa.string()))
    with pytest.raises(InputError, match="no evaluation item"):
        found_share(plant_items({}, pa.array([QUESTION])), build_index({"a": [QUESTION]}))
    with pytest.raises(InputError, match="always or never"):
        ContaminationRule(min_share=0)
