"""The sample with boundaries: which texts are analysed, by what, and what is recorded."""

from __future__ import annotations

import logging
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.cuts import CUT, insert_cuts
from hunmin.tokenizer.methods.segmented import (
    find_analyser,
    open_analysers,
    segment_words,
    segmented_batches,
)
from hunmin.tokenizer.sample import plan_sample
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

KOREAN = "나는 학교에서 밥을 먹었습니다."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    rows = [document(f"{KOREAN} {number}", "ko") for number in range(40)]
    rows += [document(f"They walked home {number}.", "en") for number in range(40)]
    return write_documents(tmp_path_factory.mktemp("corpus") / "corpus", {"train": rows})


def task_of(corpus: Artifact, **morphemes: Any) -> TrainingTask:
    values = {"kind": "morpheme-bpe-train-only", "morphemes": morphemes, "temperature": 1}
    spec = TokenizerSpec.model_validate(values)
    return TrainingTask(spec, corpus, plan_sample(corpus, spec))


def segmented(task: TrainingTask) -> list[tuple[str, str, tuple[int, ...] | None]]:
    return [
        row
        for batch in segmented_batches(task)
        for row in zip(batch.texts, batch.languages, batch.boundaries, strict=True)
    ]


def test_texts_of_languages_with_an_analyser_are_cut(corpus: Artifact) -> None:
    task = task_of(corpus, analysers={"ko": "mecab-ko"})
    rows = segmented(task)
    assert len(rows) == 80
    for text, language, cuts in rows:
        if language == "en":
            assert cuts is None
        else:
            assert cuts is not None
            cut = insert_cuts(text, cuts).replace(CUT, "|")
            assert cut.startswith("나|는 학교|에서 밥|을 먹|었|습니다|.")
    record = task.facts["morphemes"]["ko"]
    assert record["analysed_bytes"] == sum(
        len(text.encode()) for text, tag, _ in rows if tag == "ko"
    )
    assert record["boundaries"] == sum(len(cuts or ()) for _, _, cuts in rows)
    assert record["failed_lines"] == 0


def test_only_the_kinds_that_count(corpus: Artifact) -> None:
    task = task_of(corpus, analysers={"ko": "mecab-ko"}, boundaries=["particle"])
    (text, _, cuts), *_ = (row for row in segmented(task) if row[1] == "ko")
    assert (
        insert_cuts(text, cuts or ())
        .replace(CUT, "|")
        .startswith("나|는 학교|에서 밥|을 먹었습니다.")
    )


def test_a_part_is_analysed_and_spread_evenly(corpus: Artifact) -> None:
    task = task_of(corpus, analysers={"ko": "mecab-ko"}, sample_max_bytes=900)
    rows = [row for row in segmented(task) if row[1] == "ko"]
    analysed = [number for number, (_, _, cuts) in enumerate(rows) if cuts is not None]
    assert 0.7 * 900 < sum(len(rows[number][0].encode()) for number in analysed) <= 1000
    assert analysed[0] < 10
    assert analysed[-1] >= 30


def test_text_that_is_not_composed_is_not_analysed(tmp_path: Path) -> None:
    rows = [document(unicodedata.normalize("NFD", KOREAN)), document(KOREAN)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    task = task_of(corpus, analysers={"ko": "mecab-ko"})
    assert sorted(cuts is None for _, _, cuts in segmented(task)) == [False, True]
    words = [" 먹었습니다", unicodedata.normalize("NFD", " 먹었습니다")]
    assert segment_words(task, "ko", words) == [(2, 3), ()]
    assert segment_words(task, "en", ["walked"]) == [()]


def test_the_nearest_analyser_of_a_language() -> None:
    spec = TokenizerSpec.model_validate(
        {
            "kind": "morpheme-bpe",
            "morphemes": {"analysers": {"ko": "kiwi", "pt-BR": "table:a.tsv", "*": "morfessor"}},
        }
    ).morphemes
    names = {
        tag: getattr(find_analyser(spec, tag), "name", None) for tag in ("ko-KP", "pt", "pt-BR")
    }
    assert names == {"ko-KP": "kiwi", "pt": "morfessor", "pt-BR": "table"}


def test_analysers_are_opened_once(corpus: Artifact) -> None:
    task = task_of(corpus, analysers={"*": "morfessor"})
    first = dict(open_analysers(task))
    assert set(first) == {"en", "ko"}
    assert first["en"].identity != first["ko"].identity
    assert all(open_analysers(task)[tag] is analyser for tag, analyser in first.items())


def test_analysers_that_nothing_needs_are_told(
    corpus: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        rows = segmented(task_of(corpus, analysers={"ja": "unidic"}))
    assert (
        "no analyser is used: the sample has text in en, ko, the recipe has analysers for ja"
        in (caplog.text)
    )
    assert {cuts for _, _, cuts in rows} == {None}


def test_an_analyser_of_another_language_is_refused(corpus: Artifact) -> None:
    with pytest.raises(ValueError, match="not for every language"):
        task_of(corpus, analysers={"*": "kiwi"})


def test_words_of_the_rest_are_cut_alone(corpus: Artifact, tmp_path: Path) -> None:
    """Nothing is analysed sentence by sentence, and still no entry crosses a boundary."""
    spec = TokenizerSpec.model_validate(
        {
            "kind": "morpheme-bpe-train-only",
            "vocab_size": 400,
            "allow_smaller": True,
            "morphemes": {"analysers": {"ko": "mecab-ko"}, "sample_max_bytes": 1},
        }
    )
    tokenizer = load_tokenizer(train_tokenizer(spec, corpus, tmp_path / "tokenizer").path)
    tokens = [tokenizer.token_bytes(token).decode() for token in tokenizer.encode(" 먹었습니다")]
    assert tokens == [" 먹", "었", "습니다"]


def test_one_large_text_is_analysed_as_a_whole(tmp_path: Path) -> None:
    text = "나는 밥을 먹었습니다. " * 50
    documents = write_documents(tmp_path / "corpus", {"train": [document(text)]})
    task = task_of(documents, analysers={"ko": "mecab-ko"}, sample_max_bytes=100)
    (batch,) = segmented_batches(task)
    assert batch.boundaries[0]
