"""Texts to compare tokenizers on: documents artifacts, and files line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.logs import get_logger
from hunmin.corpus.documents import DOCUMENTS_KIND, read_documents
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.languages import UNDETERMINED, normalize_tag
from hunmin.tokenizer.compare.subject import Flags

MAX_BYTES_PER_SOURCE = 5_000_000
MAX_CHARACTERS = 1_000_000
logger = get_logger(__name__)


@dataclass
class Texts:
    """Some texts with what is known about them.

    Args:
        texts: The texts.
        languages: The BCP 47 tag of each.
        sources: The source of each.
    """

    texts: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def by_language(self) -> dict[str, Flags]:
        """Return for each language which texts are in it."""
        return _groups(self.languages)

    def by_source(self) -> dict[str, Flags]:
        """Return for each source which texts come from it."""
        return _groups(self.sources)


def read_texts(written: Sequence[str], *, max_bytes: int = MAX_BYTES_PER_SOURCE) -> Texts:
    """Read texts.

    Args:
        written: Documents artifacts (their validation split, if they have one), files (.txt by
            lines, .jsonl, .parquet; packed or not) or folders of files; `ko=FILE` says what
            language a file is in.
        max_bytes: Most UTF-8 bytes of each source; the rest is left out, and said.

    Returns:
        The texts that are not empty, in order.

    Raises:
        MissingInputError: A path does not exist.
        InputError: A file is not text, a tag is no language, a folder is another artifact.
        EmptyCorpusError: There is no text.
    """
    found, taken, full = Texts(), Counter[str](), set[str]()
    for path in written:
        for batch in _batches(path):
            _append(found, batch, taken, full, max_bytes)
    if full:
        names = ", ".join(sorted(full))
        logger.info("of these sources only the first %d bytes are read: %s", max_bytes, names)
    if written and not found.texts:
        raise EmptyCorpusError(
            "there is no text to compare on",
            where=", ".join(written),
            hint="name a text file, or a documents artifact such as runs/quickstart/corpus",
        )
    return found


def held_out_texts(documents: Artifact, *, max_bytes: int = MAX_BYTES_PER_SOURCE) -> Texts:
    """Read the validation split of a documents artifact.

    Args:
        documents: A documents artifact.
        max_bytes: Most UTF-8 bytes of each source.

    Returns:
        Its texts.

    Raises:
        EmptyCorpusError: It has no validation split.
    """
    found, taken, full = Texts(), Counter[str](), set[str]()
    for batch in read_documents(documents, "validation", ["text", "language", "source"]):
        _append(found, batch, taken, full, max_bytes)
    if not found.texts:
        raise EmptyCorpusError(
            "there is no held-out text to compare on",
            where=documents.path,
            hint="set corpus.validation_fraction above 0 and run the corpus stage again",
        )
    return found


def _batches(written: str) -> Iterator[pa.RecordBatch]:
    tag, path = _split_tag(written)
    if (Path(path) / MANIFEST_NAME).is_file():
        artifact = load_artifact(Path(path), DOCUMENTS_KIND, verify=False)
        yield from _held_out_batches(artifact)
        return
    source = FilesSource(paths=(path,), unit="line", language=tag)
    for batch in FileReader(source, MAX_CHARACTERS).batches(lambda _: None):
        usable = pa.compute.is_null(batch.column("reason"))
        yield batch.filter(usable).select(["text", "language", "source"])


def _held_out_batches(documents: Artifact) -> Iterator[pa.RecordBatch]:
    """Yield the validation split; a tokenizer may have been trained on the other one."""
    is_empty = True
    for batch in read_documents(documents, "validation", ["text", "language", "source"]):
        is_empty = is_empty and not batch.num_rows
        yield batch
    if is_empty:
        logger.warning(
            "%s has no validation split: its train split is read, which tokenizers may know",
            documents.path,
        )
        yield from read_documents(documents, "train", ["text", "language", "source"])


def _split_tag(written: str) -> tuple[str, str]:
    tag, equals, path = written.partition("=")
    if not equals or Path(written).exists():
        return UNDETERMINED, written
    try:
        return normalize_tag(tag), path
    except InputError as error:
        error.where = f"--texts {written}"
        raise


def _append(
    found: Texts, batch: pa.RecordBatch, taken: Counter[str], full: set[str], max_bytes: int
) -> None:
    for text, language, source in zip(*(c.to_pylist() for c in batch.columns), strict=True):
        if not text or source in full:
            continue
        taken[source] += len(text.encode())
        if taken[source] > max_bytes:
            full.add(source)
            continue
        found.texts.append(text)
        found.languages.append(language)
        found.sources.append(source)


def _groups(labels: Sequence[str]) -> dict[str, Flags]:
    column = np.array(labels, dtype=object)
    return {label: column == label for label in sorted(set(labels))}
