"""Text that a teacher writes for students with another tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.documents import document, write_documents
from tests.support.jobs import DATA
from tests.support.texts import SENTENCES
from tests.support.tiny_models import save_folder, tiny_gpt2

from hunmin.adapt.distill.sequence_level import WritingOptions, write_teacher_text
from hunmin.core.artifact import Artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.corpus.documents import read_documents
from hunmin.data.shards import write_shards
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

OPTIONS = WritingOptions(prompt_tokens=4, new_tokens=12, batch_size=3)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return save_folder(tiny_gpt2(400), tmp_path / "teacher")


@pytest.fixture
def corpus(tmp_path: Path) -> Artifact:
    rows = [document(text, tag) for tag, texts in SENTENCES.items() for text in texts]
    return write_documents(tmp_path / "documents", {"train": rows, "validation": rows[:2]})


def texts(artifact: Artifact, split: str = "train") -> list[dict]:
    return [row for batch in read_documents(artifact, split) for row in batch.to_pylist()]


def test_the_teacher_goes_on_from_documents(teacher, corpus, tmp_path) -> None:
    artifact = write_teacher_text(teacher, corpus, tmp_path / "written", OPTIONS)
    tokenizer = load_tokenizer(teacher)
    begun, written = texts(corpus), texts(artifact)
    assert [row["language"] for row in written] == [row["language"] for row in begun]
    for old, new in zip(begun, written, strict=True):
        beginning = tokenizer.decode_bytes(tokenizer.encode(old["text"])[:4])
        assert new["text"].startswith(beginning.decode(errors="ignore"))
        assert new["text"] != old["text"]
    assert texts(artifact, "validation") == [
        {**row, "copies": 1} for row in texts(corpus, "validation")
    ]
    again = write_teacher_text(teacher, corpus, tmp_path / "again", OPTIONS)
    assert again.digest == artifact.digest


def test_lineage_names_the_teacher(teacher, corpus, tmp_path) -> None:
    with write_artifact(tmp_path / "made", "model", recipe={}, inputs=()) as draft:
        shutil.copytree(teacher, draft.path, dirs_exist_ok=True)
    artifact = write_teacher_text(tmp_path / "made", corpus, tmp_path / "written", OPTIONS)
    assert [made.kind for made in artifact.manifest.inputs] == ["documents", "model"]


def test_a_student_with_its_own_tokenizer_reads_it(teacher, corpus, tmp_path) -> None:
    artifact = write_teacher_text(teacher, corpus, tmp_path / "written", OPTIONS)
    tokenizer = train_tokenizer(TokenizerSpec(vocab_size=280), artifact, tmp_path / "tokenizer")
    shards = write_shards(DATA, artifact, tokenizer, tmp_path / "tokens")
    assert shards.manifest.kind == "tokens"


def test_what_cannot_be_written_is_refused(teacher, tmp_path) -> None:
    empty = write_documents(tmp_path / "empty", {"train": []})
    with pytest.raises(EmptyCorpusError, match="no documents to begin from"):
        write_teacher_text(teacher, empty, tmp_path / "written", OPTIONS)
    with pytest.raises(InputError, match="cannot write like this"):
        WritingOptions(temperature=0.0)
