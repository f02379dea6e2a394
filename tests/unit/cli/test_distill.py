"""`hunmin distill`: tiny models are trimmed and write text; what cannot be is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.documents import document, write_documents
from tests.support.foreign import ENGLISH, KOREAN, foreign_definition, write_foreign
from tests.support.texts import SENTENCES
from tests.support.tiny_models import save_folder, tiny_gpt2, tiny_qwen3

from hunmin.cli.distill import command
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
)
from hunmin.corpus.documents import read_documents
from hunmin.models.load import load_model
from hunmin.tokenizer.load import load_tokenizer


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A foreign model in a run folder, a teacher, a corpus, and text in two languages."""
    folder = tmp_path_factory.mktemp("distill")
    every = [text for texts in SENTENCES.values() for text in texts] * 3
    definition = foreign_definition(every + [*KOREAN, *ENGLISH] * 3, vocab_size=700)
    tiny_qwen3(768).save_pretrained(write_foreign(folder / "run/model", definition))
    save_folder(tiny_gpt2(400), folder / "teacher")
    rows = [document(text, tag) for tag, texts in SENTENCES.items() for text in texts]
    write_documents(folder / "corpus", {"train": rows, "validation": rows[:2]})
    (folder / "ko.txt").write_text("\n".join(KOREAN), encoding="utf-8")
    (folder / "en.txt").write_text("\n".join(ENGLISH), encoding="utf-8")
    return folder


def test_a_run_is_trimmed_to_the_languages_of_its_texts(folders: Path, tmp_path: Path) -> None:
    texts = ("--texts", folders / "ko.txt", "--texts", folders / "en.txt")
    said = run("trim", folders / "run", *texts, "--out", tmp_path / "small", "--json")
    facts = json.loads(said.stdout)
    assert facts["kind"] == "model"
    went = facts["trimming"]
    assert went["ids_after"] < went["ids_before"] - 50
    assert facts["vocab_size"] == load_model(tmp_path / "small").config.vocab_size
    old, new = load_tokenizer(folders / "run/model"), load_tokenizer(tmp_path / "small")
    assert len(new.encode(KOREAN[0])) == len(old.encode(KOREAN[0]))
    fewer = run("trim", folders / "run", *texts, "--out", tmp_path / "few", "--min-count", "3")
    assert fewer.stdout.strip() == str(tmp_path / "few")
    trimming = load_artifact(tmp_path / "few").facts["trimming"]
    assert trimming["ids_after"] < went["ids_after"]


def test_documents_can_say_what_a_model_serves(folders: Path, tmp_path: Path) -> None:
    texts = folders / "corpus/train"
    run("trim", folders / "run", "--texts", texts, "--out", tmp_path / "small")
    told = load_artifact(tmp_path / "small").facts["trimming"]["texts"]
    assert told == sum(map(len, SENTENCES.values()))


def test_what_cannot_be_trimmed_is_named(folders: Path, tmp_path: Path) -> None:
    texts, out = ("--texts", folders / "ko.txt"), ("--out", tmp_path / "small")
    with pytest.raises(MissingInputError, match="Did you mean 'run'"):
        run("trim", folders / "rnu", *texts, *out)
    with pytest.raises(ArtifactKindError, match="a documents artifact"):
        run("trim", folders / "corpus", *texts, *out)
    with pytest.raises(MissingInputError, match=r"Did you mean 'ko\.txt'"):
        run("trim", folders / "run", "--texts", folders / "kor.txt", *out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyCorpusError, match="no file to read"):
        run("trim", folders / "run", "--texts", tmp_path / "empty", *out)
    with pytest.raises(ArtifactKindError, match="hunmin did not write"):
        run("trim", folders / "run", *texts, "--out", folders)
    assert "Missing option '--texts'" in run("trim", folders / "run", *out).stderr
    assert not (tmp_path / "small").exists()


def test_a_teacher_writes_documents(folders: Path, tmp_path: Path) -> None:
    words = ("text", folders / "teacher", "--corpus", folders / "corpus", "--new-tokens", "6")
    small = ("--documents", "5", "--prompt-tokens", "4", "--batch-size", "2", "--device", "cpu")
    said = run(*words, *small, "--out", tmp_path / "written", "--json")
    assert json.loads(said.stdout)["documents"] == 5
    written = load_artifact(tmp_path / "written", "documents")
    rows = [row for batch in read_documents(written, "train") for row in batch.to_pylist()]
    assert {row["source"] for row in rows} == {"teacher"}
    again = run(*words, *small, "--seed", "1", "--out", tmp_path / "other")
    assert again.stdout.strip() == str(tmp_path / "other")
    assert load_artifact(tmp_path / "other").digest != written.digest


def test_what_a_teacher_cannot_do_is_named(folders: Path, tmp_path: Path) -> None:
    corpus, out = ("--corpus", folders / "corpus"), ("--out", tmp_path / "written")
    with pytest.raises(MissingInputError, match="Did you mean 'teacher'"):
        run("text", folders / "teachr", *corpus, *out)
    with pytest.raises(MissingInputError, match="no such artifact"):
        run("text", folders / "teacher", "--corpus", folders / "nowhere", *out)
    with pytest.raises(InputError, match="no such device"):
        run("text", folders / "teacher", *corpus, *out, "--device", "cuda:99")
    with pytest.raises(ArtifactKindError, match="hunmin did not write"):
        run("text", folders / "teacher", *corpus, "--out", folders)
    assert run("text", folders / "teacher", *corpus, *out, "--temperature", "0").exit_code == 2


@pytest.mark.parametrize("words", [(), ("trim",), ("text",)])
def test_help_shows_commands(words: tuple[str, ...]) -> None:
    assert "  hunmin distill " in run(*words, "--help").output
