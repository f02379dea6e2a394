from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

NUM_COPIES = {"ko": 30, "en": 10, "th": 3, "sw": 1}


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Four languages, from 60 documents down to a single one; some in validation."""
    rows = [
        document(
            f"{sentence} " * (1 + number % 3) + str(number), language, source=f"web/{number % 2}"
        )
        for language, copies in NUM_COPIES.items()
        for sentence in SENTENCES[language]
        for number in range(copies)
    ]
    splits = {"train": rows, "validation": rows[::17]}
    return write_documents(tmp_path_factory.mktemp("documents") / "corpus", splits)


@pytest.fixture(scope="session")
def tokenizer_artifact(documents: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    return train_tokenizer(TokenizerSpec(vocab_size=400), documents, folder)


@pytest.fixture(scope="session")
def tokenizer(tokenizer_artifact: Artifact) -> TextTokenizer:
    return load_tokenizer(tokenizer_artifact.path)


@pytest.fixture(scope="session")
def write(documents: Artifact, tokenizer_artifact: Artifact) -> Callable[..., Artifact]:
    """Write shards of the fixture's documents: write(path, **fields of DataSpec)."""

    def write_with(path: Path, **fields: Any) -> Artifact:
        spec = DataSpec(**({"num_workers": 1} | fields))
        return write_shards(spec, documents, tokenizer_artifact, path)

    return write_with


@pytest.fixture(scope="session")
def tokens(write: Callable[..., Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Shards by language, several per group."""
    return write(tmp_path_factory.mktemp("tokens") / "tokens", shard_max_tokens=1_000)


@pytest.fixture(scope="session")
def reserved_artifact(documents: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tokenizer with all tokens that objectives put in."""
    folder = tmp_path_factory.mktemp("reserved") / "tokenizer"
    spec = TokenizerSpec(vocab_size=520, reserve="objectives")
    return train_tokenizer(spec, documents, folder)


@pytest.fixture(scope="session")
def reserved_tokenizer(reserved_artifact: Artifact) -> TextTokenizer:
    return load_tokenizer(reserved_artifact.path)


@pytest.fixture(scope="session")
def reserved_tokens(
    documents: Artifact, reserved_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """Shards by language of that tokenizer."""
    folder = tmp_path_factory.mktemp("reserved-tokens") / "tokens"
    return write_shards(DataSpec(num_workers=1), documents, reserved_artifact, folder)
