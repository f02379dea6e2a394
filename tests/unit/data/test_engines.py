"""tiktoken only where it gives the ids of tokenizers: with a tokenizer for which it does not.

The entry `abc` is the merge of `a` and `bc`. In the text `abc` tokenizers merges `a b` first and
then knows no merge of `ab` and `c`; tiktoken takes any two pieces that make an entry.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.data import encoding
from hunmin.data.encoding import DocumentEncoder, encode_batches
from hunmin.data.shards import sample_texts, write_shards
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import read_facts
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.sample import hash_ids

pytest.importorskip("tiktoken")

DIFFERS = "abc"


@pytest.fixture(scope="module")
def differing(tokenizer_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A byte-level BPE whose merges tiktoken cannot follow."""
    definition = json.loads((tokenizer_artifact.path / "tokenizer.json").read_text())
    special = {token["content"]: token["id"] for token in definition["added_tokens"]}
    entries = sorted(definition["model"]["vocab"].items(), key=lambda item: item[1])
    single = [name for name, _ in entries if len(name) == 1 and name not in special]
    names = [*special, *single, "ab", "bc", "abc"]
    definition["model"]["vocab"] = {name: number for number, name in enumerate(names)}
    definition["model"]["merges"] = [["a", "b"], ["b", "c"], ["a", "bc"]]
    path = tmp_path_factory.mktemp("differing") / "tokenizer"
    with write_artifact(path, "tokenizer") as draft:
        (draft.path / "tokenizer.json").write_text(json.dumps(definition))
    return load_artifact(path)


def tokens_by_reference(tokenizer: TextTokenizer, texts: list[str]) -> list[list[int]]:
    return sorted([tokenizer.boundary_id, *tokenizer.encode(text)] for text in texts)


def stored(tokens: Artifact) -> list[list[int]]:
    facts = read_facts(tokens)
    found = []
    for group in facts.splits["train"].groups.values():
        for shard in group.shards:
            data = np.fromfile(tokens.path / shard.file, facts.dtype)
            found += np.split(data, np.flatnonzero(data == facts.tokenizer.boundary_id)[1:])
    return sorted(document.tolist() for document in found)


def test_the_engines_differ_for_this_tokenizer(differing: Artifact) -> None:
    tokenizer = load_tokenizer(differing.path)
    assert tokenizer.choose_engine(["cab"]) == "tiktoken"
    assert not tokenizer.engines_agree([DIFFERS])
    ids = [tokenizer.with_engine(e).encode_batch([DIFFERS])[0] for e in ("tiktoken", "tokenizers")]
    assert [len(row) for row in ids] == [1, 2]


def test_a_difference_at_the_start(
    differing: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [*(f"cab {number}" for number in range(20)), DIFFERS]
    corpus = write_documents(tmp_path / "corpus", {"train": [document(text) for text in texts]})
    with caplog.at_level(logging.INFO, logger="hunmin"):
        tokens = write_shards(DataSpec(num_workers=1), corpus, differing, tmp_path / "tokens")
    (record,) = [record for record in caplog.records if "self-test" in record.getMessage()]
    assert record.levelname == "WARNING"
    assert stored(tokens) == tokens_by_reference(load_tokenizer(differing.path), texts)


def test_a_difference_after_the_self_test(
    differing: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Far inside one of the checked documents, where the self-test at the start does not look."""
    rows = [document(f"cab {number} " * 200) for number in range(300)]
    checked = np.flatnonzero(hash_ids(pa.array([row["id"] for row in rows]), 0) % 128 == 0)
    rows[checked[0]]["text"] += DIFFERS
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    monkeypatch.setattr(encoding, "_SLICE_MAX_BYTES", 50_000)
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        tokens = write_shards(DataSpec(num_workers=1), corpus, differing, tmp_path / "tokens")
    assert "tiktoken gave other ids for a document; starting again without it" in caplog.text
    texts = [row["text"] for row in rows]
    assert stored(tokens) == tokens_by_reference(load_tokenizer(differing.path), texts)
    names = {file.name for file in tokens.path.iterdir()}
    assert names == {"manifest.json", "train"}


def test_the_self_test_takes_part_of_1000_documents_from_all_parts(tmp_path: Path) -> None:
    rows = [document(f"{number} " * 1_000) for number in range(1_200)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows}, rows_per_part=300)
    texts = sample_texts(corpus)
    assert len(texts) == 1_000
    assert {len(text) for text in texts} == {500}
    assert {int(text.split()[0]) // 300 for text in texts} == {0, 1, 2, 3}


class CountingEncoder(DocumentEncoder):
    """Tells in which process, and with which tokenizer object, each batch was encoded."""

    def encode(self, batch: pa.RecordBatch) -> Any:
        found = super().encode(batch)
        tokenizer = self.tokenizer
        return found, (os.getpid(), id(tokenizer), id(tokenizer._bulk._fast))


def test_one_encoder_per_worker_process(tokenizer: TextTokenizer) -> None:
    rows = [document(f"모든 인간은 {number}") for number in range(64)]
    batches = [pa.RecordBatch.from_pylist(rows[first : first + 4]) for first in range(0, 64, 4)]
    encoder = CountingEncoder(tokenizer.with_engine("tiktoken"), "language", 0)
    found = [who for _, who in encode_batches(batches, encoder, 2)]  # type: ignore[misc]
    processes = {process for process, _, _ in found}
    assert os.getpid() not in processes
    assert len(set(found)) == len(processes) <= 2
