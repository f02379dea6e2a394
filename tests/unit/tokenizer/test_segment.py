"""`hunmin tokenizer segment`: a table that stands in for an analyser."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.documents import document, write_documents

from hunmin.cli.tokenizer import command
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.text.segmentation.registry import load_analyser
from hunmin.text.segmentation.segment import find_boundaries
from hunmin.tokenizer.segment import write_segmentation
from hunmin.tokenizer.spec import AnalyserSpec

TEXTS = ["거실에 있는 불을 켜줘", "안방 전등을 꺼줘", "학교에서는 조용히 하세요"]
MECAB = AnalyserSpec(name="mecab-ko")


def test_the_table_says_what_the_analyser_says(tmp_path: Path) -> None:
    source, table = tmp_path / "texts.txt", tmp_path / "ko.tsv"
    source.write_text("\n\n".join(TEXTS), encoding="utf-8")
    facts = write_segmentation(source, MECAB, "ko", table)
    assert facts.words == 10
    expected = find_boundaries(load_analyser("mecab-ko", "ko"), TEXTS)
    found = find_boundaries(load_analyser("table", "ko", path=table), TEXTS)
    assert [each.positions for each in found] == [each.positions for each in expected]
    assert facts.cut_words >= 6


def test_of_an_artifact_only_the_language_is_read(tmp_path: Path) -> None:
    rows = [document(text) for text in TEXTS] + [document("turn on the light", "en")]
    write_documents(tmp_path / "corpus", {"train": rows})
    out = tmp_path / "ko.tsv"
    arguments = ["segment", str(tmp_path / "corpus"), "--language", "ko"]
    result = CliRunner().invoke(command, [*arguments, "--analyser", "mecab-ko", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "10 words" in result.output
    rows_written = out.read_text(encoding="utf-8").splitlines()
    assert rows_written[0].startswith("# Korean, by mecab-ko")
    assert "학교에서는\t학교 에서 는" in rows_written
    assert not any("turn" in row for row in rows_written)


def test_morfessor_learns_from_the_text(tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    stems, endings = ("walk", "talk", "jump", "look"), ("", "ing", "ed", "s")
    words = [stem + ending for stem in stems for ending in endings]
    source.write_text("\n".join(" ".join(words) for _ in range(20)), encoding="utf-8")
    facts = write_segmentation(source, AnalyserSpec(name="morfessor"), "en", tmp_path / "en.tsv")
    assert facts.words == len(words)


@pytest.mark.parametrize(
    ("language", "analyser", "problem"),
    [("fr", MECAB, "is not for French"), ("ko", AnalyserSpec(name="kiwy"), "Did you mean")],
)
def test_wrong_analysers_are_named(
    language: str, analyser: AnalyserSpec, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=problem):
        write_segmentation(tmp_path, analyser, language, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_no_word_is_an_error(tmp_path: Path) -> None:
    write_documents(tmp_path / "corpus", {"train": [document("turn on", "en")]})
    with pytest.raises(EmptyCorpusError, match="no word of Korean"):
        write_segmentation(tmp_path / "corpus", MECAB, "ko", tmp_path / "out.tsv")
