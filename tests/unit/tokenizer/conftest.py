from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    rows = [
        document(f"{sentence} {number}", language)
        for language, sentences in SENTENCES.items()
        for sentence in sentences
        for number in range(20)
    ]
    return write_documents(tmp_path_factory.mktemp("documents") / "corpus", {"train": rows})


@pytest.fixture(scope="session")
def tokenizer_artifact(documents: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    spec = TokenizerSpec(vocab_size=600, special_tokens=("<|user|>", "<|도우미|>"))
    return train_tokenizer(spec, documents, tmp_path_factory.mktemp("tokenizer") / "tokenizer")


@pytest.fixture(scope="session")
def tokenizer(tokenizer_artifact: Artifact) -> TextTokenizer:
    return load_tokenizer(Path(tokenizer_artifact.path))
