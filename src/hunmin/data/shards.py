"""Documents and a tokenizer in, a tokens artifact out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.core.units import format_count
from hunmin.corpus.documents import SPLITS, Split, part_paths, read_documents
from hunmin.data.encoding import (
    DocumentEncoder,
    EnginesDisagreeError,
    choose_num_workers,
    encode_batches,
    slice_batches,
)
from hunmin.data.spec import DataSpec
from hunmin.data.spool import Spool
from hunmin.data.tokens import (
    TOKENS_KIND,
    SplitFacts,
    TokensFacts,
    check_tokenizer,
)
from hunmin.tokenizer.bulk import SELF_TEST_MAX_CHARACTERS, SELF_TEST_TEXTS
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

__all__ = ["check_tokenizer", "write_shards"]

logger = get_logger(__name__)

_SPOOL = ".spool"
# Of each document in the self-test: as much as lets all of them take part.
_SELF_TEST_CHARACTERS = SELF_TEST_MAX_CHARACTERS // SELF_TEST_TEXTS


def write_shards(
    spec: DataSpec,
    documents: Artifact,
    tokenizer: Artifact,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Tokenize a corpus into memory-mapped shards, documents in a seeded order.

    Args:
        spec: Groups, seed, shard size, number of processes.
        documents: A documents artifact.
        tokenizer: A tokenizer artifact.
        output: Folder of the tokens artifact.
        recipe: Recorded in the manifest.

    Returns:
        The tokens artifact.

    Raises:
        EmptyCorpusError: The train split has no documents.
        StageFailedError: A worker process died.

    Note:
        The same bytes whatever the number of processes. Memory: about 40 bytes per document and
        some 50 MB per process. Disk: twice the size of the shards while it runs.
    """
    encoder = _make_encoder(spec, documents, load_tokenizer(tokenizer.path))
    inputs = [documents, tokenizer]
    with write_artifact(output, TOKENS_KIND, recipe=recipe, inputs=inputs) as draft:
        try:
            splits = _write_splits(spec, documents, encoder, draft.path)
        except EnginesDisagreeError:
            logger.warning("tiktoken gave other ids for a document; starting again without it")
            for path in draft.path.iterdir():
                shutil.rmtree(path)
            encoder = replace(encoder, tokenizer=encoder.tokenizer.with_engine("tokenizers"))
            splits = _write_splits(spec, documents, encoder, draft.path)
        draft.facts.update(_facts(spec, encoder.tokenizer, splits).model_dump(mode="json"))
    return load_artifact(output, TOKENS_KIND, verify=False)


def _make_encoder(spec: DataSpec, documents: Artifact, tokenizer: TextTokenizer) -> DocumentEncoder:
    """Choose the bulk engine by a self-test on training documents."""
    texts = sample_texts(documents)
    if not texts:
        raise EmptyCorpusError(
            "no documents to make shards of: the train split is empty",
            where=documents.path,
            hint="look at the reject reasons in its README.md, then run the corpus stage again",
        )
    engine = tokenizer.choose_engine(texts)
    return DocumentEncoder(tokenizer.with_engine(engine), spec.mix_by, spec.seed)


def sample_texts(documents: Artifact) -> list[str]:
    """Return the beginnings of up to 1,000 training documents, from all parts of the corpus."""
    parts = part_paths(documents.path / "train")
    per_part = -(-SELF_TEST_TEXTS // max(1, len(parts)))
    texts: list[str] = []
    for path in parts:
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=per_part, columns=["text"]), None)
        if batch is not None:
            starts = pc.utf8_slice_codeunits(batch.column("text"), 0, _SELF_TEST_CHARACTERS)
            texts += starts.to_pylist()
        if len(texts) >= SELF_TEST_TEXTS:
            break
    return texts[:SELF_TEST_TEXTS]


def _write_splits(
    spec: DataSpec, documents: Artifact, encoder: DocumentEncoder, folder: Path
) -> dict[str, SplitFacts]:
    splits: dict[str, SplitFacts] = {}
    for split in SPLITS:
        spool = Spool(folder / _SPOOL, encoder.tokenizer.id_dtype)
        _fill(spool, spec, documents, encoder, split)
        facts = spool.write_shards(folder, split, spec.shard_max_tokens)
        shutil.rmtree(folder / _SPOOL)
        if facts is not None:
            splits[split] = facts
    return splits


def _fill(
    spool: Spool, spec: DataSpec, documents: Artifact, encoder: DocumentEncoder, split: Split
) -> None:
    num_documents, text_bytes = _survey(documents, split)
    if num_documents == 0:
        return
    num_workers = choose_num_workers(spec.num_workers, text_bytes)
    batches = slice_batches(read_documents(documents, split, encoder.columns))
    tokens = 0
    with progress(f"tokenizing {split}", total=num_documents, unit="documents") as bar:
        for groups in encode_batches(batches, encoder, num_workers):
            for group in groups:
                spool.add(group)
            tokens += sum(len(group.tokens) for group in groups)
            done = sum(len(group.lengths) for group in groups)
            bar.advance(done, tokens=format_count(tokens))


def _survey(documents: Artifact, split: Split) -> tuple[int, int]:
    """Number of documents of a split and the rough size of their text, from Parquet footers."""
    num_documents = text_bytes = 0
    for path in part_paths(documents.path / split):
        metadata = pq.read_metadata(path)
        num_documents += metadata.num_rows
        for number in range(metadata.num_row_groups):
            row_group = metadata.row_group(number)
            columns = [row_group.column(i) for i in range(row_group.num_columns)]
            text_bytes += sum(
                c.total_uncompressed_size for c in columns if c.path_in_schema == "text"
            )
    return num_documents, text_bytes


def _facts(spec: DataSpec, tokenizer: TextTokenizer, splits: dict[str, SplitFacts]) -> TokensFacts:
    return TokensFacts.model_validate(
        {
            "tokenizer": {
                "digest": tokenizer.digest,
                "size": tokenizer.size,
                "boundary_id": tokenizer.boundary_id,
            },
            "dtype": tokenizer.id_dtype.name,
            "mix_by": spec.mix_by,
            "splits": splits,
        }
    )
