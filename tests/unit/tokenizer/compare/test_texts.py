"""Of a documents artifact the text is read that tokenizers were not trained on, if there is any."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.documents import document, write_documents

from hunmin.tokenizer.compare.texts import read_texts


def test_the_validation_split_is_read(tmp_path: Path) -> None:
    splits = {"train": [document("learnt")], "validation": [document("held out")]}
    documents = write_documents(tmp_path / "corpus", splits)
    assert read_texts([str(documents.path)]).texts == ["held out"]


def test_without_one_it_is_said_that_the_train_split_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    documents = write_documents(tmp_path / "corpus", {"train": [document("learnt")]})
    assert read_texts([str(documents.path)]).texts == ["learnt"]
    assert "which tokenizers may know" in caplog.text
