"""Shards hold every document once, in an order that only the seed decides."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    EmptyCorpusError,
    InputError,
    StageFailedError,
)
from hunmin.corpus.documents import read_documents
from hunmin.data import encoding
from hunmin.data.encoding import (
    DocumentEncoder,
    choose_num_workers,
    encode_batches,
    slice_batches,
)
from hunmin.data.index import read_lengths, write_index
from hunmin.data.shards import check_tokenizer, write_shards
from hunmin.data.spec import DataSpec
from hunmin.data.spool import _cut_into_runs, file_name
from hunmin.data.tokens import GroupFacts, TokenStream, open_tokens, read_facts, split_facts
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

Write = Callable[..., Artifact]


def read_borders(index: Path) -> tuple[str, list[int]]:
    """Type of a token and where documents begin and end, by the specification of Megatron."""
    data = index.read_bytes()
    magic, version, code, num_sequences, num_borders = struct.unpack_from("<9sQBQQ", data)
    assert (magic, version) == (b"MMIDIDX\x00\x00", 1)
    dtype = {8: "<u2", 4: "<i4"}[code]
    end_of_sizes = 34 + 4 * num_sequences
    sizes = struct.unpack_from(f"<{num_sequences}i", data, 34)
    pointers = struct.unpack_from(f"<{num_sequences}q", data, end_of_sizes)
    borders = struct.unpack_from(f"<{num_borders}q", data, end_of_sizes + 8 * num_sequences)
    assert len(data) == end_of_sizes + 8 * num_sequences + 8 * num_borders
    assert list(borders) == list(range(num_sequences + 1))
    places = [pointer // np.dtype(dtype).itemsize for pointer in pointers]
    assert [place + size for place, size in zip(places, sizes, strict=True)][:-1] == places[1:]
    return dtype, [*places, places[-1] + sizes[-1]]


def stored_documents(tokens: Artifact, group: GroupFacts) -> list[list[int]]:
    """Read a group with nothing but the specification, as another program would."""
    found = []
    for shard in group.shards:
        file = tokens.path / shard.file
        dtype, borders = read_borders(file.with_suffix(".idx"))
        data = np.fromfile(file, dtype=dtype)
        assert borders[0] == 0
        assert borders[-1] == len(data) == shard.tokens
        assert len(borders) == shard.documents + 1
        assert read_lengths(file.with_suffix(".idx")).tolist() == np.diff(borders).tolist()
        found += [data[a:b].tolist() for a, b in pairwise(borders)]
    return found


def test_every_document_is_there_once(
    documents: Artifact, tokens: Artifact, tokenizer: TextTokenizer
) -> None:
    facts = read_facts(tokens)
    assert facts.dtype == "uint16"
    for split in ("train", "validation"):
        expected: dict[str, list[list[int]]] = {}
        num_bytes: dict[str, int] = {}
        for batch in read_documents(documents, split):
            for row in batch.to_pylist():
                ids = [tokenizer.boundary_id, *tokenizer.encode(row["text"])]
                expected.setdefault(row["language"], []).append(ids)
                num_bytes[row["language"]] = num_bytes.get(row["language"], 0) + len(
                    row["text"].encode()
                )
        groups = facts.splits[split].groups
        assert list(groups) == sorted(expected)
        for name, group in groups.items():
            found = stored_documents(tokens, group)
            assert sorted(found) == sorted(expected[name])
            assert len(found) == group.documents
            assert sum(map(len, found)) == group.tokens
            assert group.bytes == num_bytes[name]
        assert facts.splits[split].tokens == sum(group.tokens for group in groups.values())
        assert facts.splits[split].bytes == sum(num_bytes.values())
        assert tokens.facts["splits"][split]["tokens"] == facts.splits[split].tokens


def test_documents_are_shuffled_and_shards_bounded(
    documents: Artifact, tokens: Artifact, tokenizer: TextTokenizer
) -> None:
    facts = read_facts(tokens)
    group = facts.splits["train"].groups["ko"]
    assert len(group.shards) > 2
    assert all(shard.tokens <= 1_000 for shard in group.shards)
    arrived = [
        [0, *tokenizer.encode(row["text"])]
        for batch in read_documents(documents, "train")
        for row in batch.to_pylist()
        if row["language"] == "ko"
    ]
    found = stored_documents(tokens, group)
    assert found != arrived
    same_place = sum(a == b for a, b in zip(found, arrived, strict=True))
    assert same_place < 10


def test_lineage_and_nothing_but_shards(
    documents: Artifact, tokenizer_artifact: Artifact, tokens: Artifact
) -> None:
    digests = {record.kind: record.digest for record in tokens.manifest.inputs}
    assert digests == {"documents": documents.digest, "tokenizer": tokenizer_artifact.digest}
    names = {path.name for path in tokens.path.rglob("*") if path.is_file()}
    assert all(name.endswith((".bin", ".idx", "manifest.json")) for name in names)


def test_the_same_bytes_with_several_processes(
    write: Write, tokens: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_SLICE_MAX_BYTES", 1_000)
    again = write(tmp_path / "tokens", shard_max_tokens=1_000, num_workers=2)
    assert again.manifest.files == tokens.manifest.files
    assert again.facts == tokens.facts


def test_the_seed_decides_the_order(write: Write, tokens: Artifact, tmp_path: Path) -> None:
    other = write(tmp_path / "tokens", shard_max_tokens=1_000, seed=1)
    assert other.manifest.files.keys() != tokens.manifest.files.keys() or (
        other.manifest.files != tokens.manifest.files
    )
    assert read_facts(other).splits["train"].tokens == read_facts(tokens).splits["train"].tokens


@pytest.mark.parametrize(("mix_by", "groups"), [("source", ["web/0", "web/1"]), ("none", ["all"])])
def test_other_groupings(write: Write, tmp_path: Path, mix_by: str, groups: list[str]) -> None:
    tokens = write(tmp_path / "tokens", mix_by=mix_by)
    facts = read_facts(tokens)
    assert list(facts.splits["train"].groups) == groups
    open_tokens(tokens)


@pytest.fixture(scope="module")
def wide(
    documents: Artifact, tokenizer_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    """Shards of a tokenizer with more than 65,536 ids."""
    folder = tmp_path_factory.mktemp("wide") / "tokenizer"
    shutil.copytree(tokenizer_artifact.path, folder)
    definition = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = definition["model"]["vocab"]
    vocabulary |= {f"!unused{i}": len(vocabulary) + i for i in range(2**16)}
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    (folder / "manifest.json").unlink()
    large = Artifact(folder, tokenizer_artifact.manifest)
    return write_shards(DataSpec(num_workers=1), documents, large, folder.parent / "tokens")


def test_wide_ids_for_large_vocabularies(wide: Artifact) -> None:
    facts = read_facts(wide)
    assert facts.dtype == "uint32"
    group = facts.splits["train"].groups["sw"]
    assert stored_documents(wide, group)[0][0] == 0


def read_with_megatron(tokens: Artifact, group: GroupFacts) -> list[list[int]]:
    """Read a group with Megatron's own reader; skips the test where it is not installed."""
    module = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    found = []
    for shard in group.shards:
        prefix = str((tokens.path / shard.file).with_suffix(""))
        dataset = module.IndexedDataset(prefix, mmap=True)
        assert dataset.document_indices.tolist() == list(range(shard.documents + 1))
        found += [dataset[number].tolist() for number in range(len(dataset))]
    return found


@pytest.mark.parametrize("name", ["tokens", "wide"])
def test_megatron_reads_the_shards(name: str, request: pytest.FixtureRequest) -> None:
    tokens: Artifact = request.getfixturevalue(name)
    for split in read_facts(tokens).splits.values():
        for group in split.groups.values():
            assert read_with_megatron(tokens, group) == stored_documents(tokens, group)


@pytest.mark.parametrize("content", [b"", b"MMIDIDX", b"x" * 100])
def test_a_file_that_is_no_index(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ko-00000.idx"
    file.write_bytes(content)
    with pytest.raises(CorruptArtifactError, match="no index of a shard"):
        read_lengths(file)


def test_an_index_that_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "ko-00000.idx"
    write_index(file, np.array([3, 4]), np.dtype("<u2"))
    assert read_lengths(file).tolist() == [3, 4]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CorruptArtifactError, match="cut off"):
        read_lengths(file)


def test_a_document_too_long_for_the_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long for the index"):
        write_index(tmp_path / "ko-00000.idx", np.array([2**31]), np.dtype("<u4"))


def test_no_training_documents(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    empty = write_documents(tmp_path / "corpus", {"train": [], "validation": [document("글")]})
    with pytest.raises(EmptyCorpusError, match="train split is empty"):
        write_shards(DataSpec(), empty, tokenizer_artifact, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()


def test_no_validation_documents(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    documents = write_documents(tmp_path / "corpus", {"train": [document("글")]})
    tokens = write_shards(DataSpec(), documents, tokenizer_artifact, tmp_path / "tokens")
    assert list(read_facts(tokens).splits) == ["train"]


def test_a_test_split(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    splits = {"train": [document("글 하나")], "validation": [], "test": [document("글 둘")]}
    documents = write_documents(tmp_path / "corpus", splits)
    tokens = write_shards(DataSpec(), documents, tokenizer_artifact, tmp_path / "tokens")
    assert list(read_facts(tokens).splits) == ["train", "test"]
    with pytest.raises(EmptyCorpusError, match=r"raise corpus\.validation_fraction"):
        split_facts(tokens, read_facts(tokens), "validation")


def test_shards_of_another_tokenizer(
    documents: Artifact, tokens: Artifact, tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    check_tokenizer(tokens, tokenizer)
    spec = TokenizerSpec(vocab_size=300)
    other = train_tokenizer(spec, documents, tmp_path / "other")
    with pytest.raises(ArtifactMismatchError, match="another tokenizer") as caught:
        check_tokenizer(tokens, TextTokenizer((other.path / "tokenizer.json").read_text()))
    assert "with 400 ids" in str(caught.value)
    assert "with 300 ids" in str(caught.value)


@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_corrupt_shard(tokens: Artifact, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "tokens"
    shutil.copytree(tokens.path, folder)
    file = folder / "train" / "ko-00001.bin"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[100] ^= 1
    file.unlink() if damage == "delete" else file.write_bytes(
        content[:-2] if damage == "cut" else content
    )
    copy = Artifact(folder, tokens.manifest)
    with pytest.raises(CorruptArtifactError, match=r"ko-00001\.bin"):
        open_tokens(copy)
    if damage != "flip":
        facts = read_facts(copy)
        with pytest.raises(CorruptArtifactError, match=r"ko-00001\.bin.*another size"):
            TokenStream(folder, facts.splits["train"].groups["ko"], facts.dtype)


def test_checksums_are_compared_once_per_process(
    tokens: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tokens"
    shutil.copytree(tokens.path, folder)
    copy = Artifact(folder, tokens.manifest)
    verified = []
    from hunmin.core import artifact as artifact_module

    original = artifact_module.sha256_file
    monkeypatch.setattr(
        artifact_module, "sha256_file", lambda path: verified.append(path) or original(path)
    )
    open_tokens(copy, verify=False)
    assert not verified
    open_tokens(copy)
    first = len(verified)
    open_tokens(copy)
    assert len(verified) == first == len(tokens.manifest.files)


def test_a_failed_check_starts_again_with_the_reference(
    write: Write,
    tokens: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The check of single documents is triggered by hand; all else is the real thing."""
    monkeypatch.setattr(TextTokenizer, "engines_agree", lambda self, texts: not texts)
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        monkeypatch.setattr(encoding, "_CHECKED_SHARE", 2)
        again = write(tmp_path / "tokens", shard_max_tokens=1_000)
    assert "starting again" in caplog.text
    assert again.manifest.files == tokens.manifest.files


class DyingEncoder(DocumentEncoder):
    def encode(self, batch: pa.RecordBatch) -> list[encoding.EncodedGroup]:
        os._exit(1)


def test_a_dead_worker_fails_the_stage(documents: Artifact, tokenizer: TextTokenizer) -> None:
    encoder = DyingEncoder(tokenizer, "language", 0)
    batches = read_documents(documents, "train", encoder.columns)
    with pytest.raises(StageFailedError, match="a process that tokenizes died"):
        list(encode_batches(batches, encoder, 2))


def test_slices_keep_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_SLICE_MAX_BYTES", 10)
    texts = ["", "aaaa", "bbbbbbbbbbbbbbbbbbbbbbbbb", "cc", "", "d", "eeeeeeeeeeee", ""]
    batch = pa.RecordBatch.from_pydict({"text": texts})
    slices = list(slice_batches([batch, batch.slice(0, 0)]))
    assert [text for part in slices for text in part.column("text").to_pylist()] == texts
    assert len(slices) > 2
    assert all(part.num_rows for part in slices)


def test_number_of_workers() -> None:
    assert choose_num_workers(3, 0) == 3
    assert choose_num_workers("auto", 1_000_000) == 1
    assert 1 <= choose_num_workers("auto", 10**12) <= (os.cpu_count() or 1)


@given(lengths=st.lists(st.integers(1, 50), min_size=1), max_tokens=st.integers(1, 100))
def test_runs_are_as_long_as_allowed(lengths: list[int], max_tokens: int) -> None:
    sizes = np.array(lengths)
    runs = list(_cut_into_runs(sizes, max_tokens))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(range(len(lengths)))
    for run in runs:
        total = sizes[run].sum()
        assert total <= max_tokens or run.stop - run.start == 1
        if run.stop < len(lengths):
            assert total + lengths[run.stop] > max_tokens


def test_any_group_name_is_a_file_name() -> None:
    names = ["ko", "zh-Hant-TW", "web/한국어", "", "..", "a" * 300, "a" * 299 + "b", "%"]
    files = [file_name(name) for name in names]
    assert files[:2] == ["ko", "zh-Hant-TW"]
    assert len(set(files)) == len(files)
    assert all("/" not in file and 0 < len(file) <= 100 for file in files)
