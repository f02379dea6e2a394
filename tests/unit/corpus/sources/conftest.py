"""What the tests of sources share: a corpus of one source, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import read_documents, read_parts
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.remote import objects, stream

from .stores import LocalStore, serving


class Built(NamedTuple):
    """The rows of a documents artifact."""

    documents: list[dict[str, Any]]
    rejects: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.documents]

    @property
    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.rejects]


Build = Callable[..., Built]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build a corpus from one source, given as in a recipe; other options are the corpus'."""

    def run(source: dict[str, Any], **options: Any) -> Built:
        recipe = {"sources": [source], "validation_fraction": 0, **options}
        artifact = build_corpus(CorpusSpec.model_validate(recipe), tmp_path / "out")
        train = read_documents(artifact, "train")
        rejects = read_parts(artifact.path / "rejects")
        return Built(
            [row for batch in train for row in batch.to_pylist()],
            [row for batch in rejects for row in batch.to_pylist()],
        )

    return run


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStore]:
    """A store and web server on this machine, and an environment that leads to it."""
    monkeypatch.setattr(stream, "PAUSES", (0.001,) * 5)
    monkeypatch.setattr(objects, "_TRIES", 1)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_NO_SIGN_REQUEST", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/nonexistent")
    with serving(LocalStore()) as served:
        monkeypatch.setenv("AWS_ENDPOINT_URL", served.address)
        stream._store.cache_clear()
        yield served
    stream._store.cache_clear()
