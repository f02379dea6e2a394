"""All steps together: what each finds, what it leaves alone, and that the numbers add up."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.corpus.steps.conftest import NOTICE, recipe

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError, MissingInputError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import SPLITS, read_documents, read_parts
from hunmin.corpus.kernels import DUPLICATE, NEAR_DUPLICATE


def documents(artifact: Artifact) -> list[dict[str, Any]]:
    return [
        row for split in SPLITS for batch in read_documents(artifact, split)
        for row in batch.to_pylist()
    ]  # fmt: skip


def rejects(artifact: Artifact) -> list[dict[str, Any]]:
    return [row for batch in read_parts(artifact.path / "rejects") for row in batch.to_pylist()]


def test_each_kind_of_duplicate_is_found(built: Artifact) -> None:
    reasons = built.facts["rejects"]
    # Copies within the first source, those of the second, and some that stand there already.
    assert reasons[DUPLICATE] >= 45
    assert reasons[NEAR_DUPLICATE] >= 55
    facts = built.facts["duplicates"]
    assert facts["exact"]["dropped"] == reasons[DUPLICATE]
    assert facts["near"]["dropped"] == reasons[NEAR_DUPLICATE]
    kept = sum(row["copies"] for row in documents(built))
    lost = [row for row in rejects(built) if row["reason"] == "holds evaluation items"]
    assert kept + sum(row["copies"] for row in lost) == len(documents(built)) + len(lost) + sum(
        reasons[reason] for reason in (DUPLICATE, NEAR_DUPLICATE)
    )


def test_the_earlier_source_keeps_its_copy(built: Artifact) -> None:
    assert built.facts["sources"]["second"]["documents"] == 0
    assert built.facts["sources"]["second"]["rejects"][DUPLICATE] >= 25


def test_evaluation_items_are_kept_out_and_reported(built: Artifact, items: list[str]) -> None:
    found = built.facts["contamination"]["sets"]["nli"]
    assert found["found_items"] >= 9
    texts = "\n".join(row["text"] for row in documents(built))
    assert not any(item in texts for item in items[:10] if len(item) >= 15)


def test_personal_data_are_masked_everywhere(built: Artifact) -> None:
    assert built.facts["privacy"]["counts"]["phone"] >= 1
    everything = "".join(row["text"] for row in [*documents(built), *rejects(built)])
    assert "010-1234-5678" not in everything
    assert "010-1234-5678" not in (built.path / "report.html").read_text("utf-8")
    assert "010-1234-5678" not in (built.path / "samples.json").read_text("utf-8")


def test_unwanted_records_have_reasons(built: Artifact) -> None:
    reasons = {json.loads(row["meta"]).get("line"): row for row in rejects(built)}
    assert reasons
    by_text = {row["text"][:10]: row["reason"] for row in rejects(built)}
    assert by_text["This is a "] == "not in the expected language"
    assert by_text["짧다"] == "too few words"


def test_the_flow_adds_up(built: Artifact) -> None:
    flow = built.facts["flow"]
    total = built.facts["total"]
    assert flow[0]["step"] == "read"
    for before, after in itertools.pairwise(flow):
        dropped = after["dropped"].values()
        assert before["documents"] - after["documents"] == sum(row["documents"] for row in dropped)
    assert flow[-1]["documents"] == total["documents"]
    assert flow[0]["documents"] == total["documents"] + sum(built.facts["rejects"].values())
    assert sum(total[f"{split}_documents"] for split in SPLITS) == total["documents"]


def test_repeated_lines_go_and_the_rest_of_the_text_stays(
    folder: Path, tmp_path: Path, petitions: list[str]
) -> None:
    """Without near duplicates, the forty documents with the notice stay, without it."""
    spec = recipe(folder, deduplicate={"lines": {"max_documents": 20}}, decontaminate=None)
    artifact = build_corpus(spec, tmp_path / "corpus")
    texts = [row["text"] for row in documents(artifact)]
    assert not any(NOTICE in text for text in texts)
    facts = artifact.facts["lines"]
    assert facts["documents"] >= 35
    assert facts["top"][0]["example"] == NOTICE
    assert facts["top"][0]["documents"] >= 35


def test_groups_are_on_one_side_only(built: Artifact) -> None:
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        for batch in read_documents(built, split):
            for group in batch["group"].to_pylist():
                sides.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())
    total = built.facts["total"]
    assert 15 < total["validation_documents"] < 70
    assert 15 < total["test_documents"] < 70


def test_the_result_does_not_depend_on_workers(
    built: Artifact, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hunmin.corpus.steps.run._WORTH_PROCESSES", 0)
    again = build_corpus(recipe(folder, num_workers=2), tmp_path / "corpus", title="Test")
    assert again.digest == built.digest


def test_a_source_can_be_left_out_and_have_filters_of_its_own(folder: Path, tmp_path: Path) -> None:
    spec = recipe(folder)
    first, second = spec.sources
    off = spec.model_copy(update={"sources": (first.model_copy(update={"enabled": False}), second)})
    only = build_corpus(off, tmp_path / "off")
    assert list(only.facts["sources"]) == ["second"]
    lenient = first.model_validate(
        first.model_dump() | {"filters": {"thresholds": {"ko": {"words": {"min": 1}}}}}
    )
    with_own = spec.model_copy(update={"sources": (lenient, second)})
    artifact = build_corpus(with_own, tmp_path / "own")
    assert "too few words" in only.facts["sources"]["second"]["rejects"]
    assert "too few words" not in artifact.facts["sources"]["first"]["rejects"]


def test_when_nothing_is_left_the_commonest_reason_is_told(folder: Path, tmp_path: Path) -> None:
    spec = recipe(folder, filters={"thresholds": {"ko": {"words": {"min": 100_000}}}})
    with pytest.raises(EmptyCorpusError, match=r"all dropped: [\d,]+ too few words") as error:
        build_corpus(spec, tmp_path / "corpus")
    assert "`filters`" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_set_that_is_not_there_is_told_before_anything_is_read(
    folder: Path, tmp_path: Path
) -> None:
    sets = [{"name": "nli", "paths": [str(folder / "itens.jsonl")]}]
    with pytest.raises(MissingInputError, match=r"itens\.jsonl"):
        build_corpus(recipe(folder, decontaminate={"sets": sets}), tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_set_without_items_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"premise": ""}\n', encoding="utf-8")
    sets = [{"name": "nli", "paths": [str(path)], "fields": {"text": "premise"}}]
    with pytest.raises(EmptyCorpusError, match="the evaluation set 'nli' holds no item"):
        build_corpus(recipe(folder, decontaminate={"sets": sets}), tmp_path / "corpus")


def test_items_can_be_reported_without_dropping_documents(folder: Path, tmp_path: Path) -> None:
    sets = recipe(folder).decontaminate
    assert sets is not None
    report = sets.model_dump() | {"action": "report"}
    artifact = build_corpus(recipe(folder, decontaminate=report), tmp_path / "corpus")
    assert "holds evaluation items" not in artifact.facts["rejects"]
    assert artifact.facts["contamination"]["contaminated_documents"] >= 9
