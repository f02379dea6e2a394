"""Draws documents: what is scored, and what the baselines learn from. Memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.core.hashing import seed_from
from hunmin.corpus.documents import Split, read_documents

SCORED_COLUMNS = ("id", "text", "language", "source", "group")
Mask = npt.NDArray[np.bool_]


def draw_documents(
    documents: Artifact, split: Split, *, max_per_language: int | None, seed: int
) -> tuple[pa.Table, int]:
    """Draw documents to score, each of a language with the same chance.

    Args:
        documents: A documents artifact.
        split: The split to draw from.
        max_per_language: Most documents of one language; None for all.
        seed: Seed of the draw.

    Returns:
        The columns SCORED_COLUMNS of the drawn documents in the order of the corpus, and the
        number of documents in the whole split.

    Raises:
        EmptyCorpusError: The split has no document with text.
    """
    languages = _read_languages(documents, split)
    kept = draw_per_group(languages, max_per_language, seed_from("scored", split, seed))
    batches, start = [], 0
    for batch in read_documents(documents, split, SCORED_COLUMNS):
        rows = kept[start : start + len(batch)]
        start += len(batch)
        batches.append(batch.filter(pa.array(rows)))
    if not any(len(batch) for batch in batches):
        raise EmptyCorpusError(
            f"there is no document in the {split} split",
            where=documents.path,
            hint=f"{_hold_out(split)}, or give the corpus more documents",
        )
    return pa.Table.from_batches(batches), len(kept)


def _hold_out(split: Split) -> str:
    """What makes a split larger."""
    return "drop less" if split == "train" else f"raise corpus.{split}_fraction"


def draw_per_group(groups: npt.NDArray[np.int64], max_per_group: int | None, seed: int) -> Mask:
    """Mark at most so many random members of each group.

    Args:
        groups: Group of each item; a negative group is never drawn from.
        max_per_group: Most members; None for all.
        seed: Seed of the draw.

    Returns:
        True for drawn items.
    """
    drawn = groups >= 0
    if max_per_group is None or groups.size == 0:
        return drawn
    lots = np.random.default_rng(seed).random(groups.size)
    order = np.lexsort((lots, groups))
    ordered = groups[order]
    ranks = np.arange(groups.size) - np.searchsorted(ordered, ordered, side="left")
    drawn[order[ranks >= max_per_group]] = False
    return drawn


def draw_texts(
    documents: Artifact, *, max_bytes: int | None, seed: int
) -> tuple[Iterator[pa.Array], int]:
    """Draw training texts, each document with the same chance.

    Args:
        documents: A documents artifact.
        max_bytes: Bytes of text to draw, about; None for all.
        seed: Seed of the draw.

    Returns:
        The texts in pieces, and the bytes of the whole train split.
    """
    available = sum(
        pc.sum(pc.binary_length(batch["text"])).as_py() or 0
        for batch in read_documents(documents, "train", ("text",))
    )
    share = 1.0 if max_bytes is None else min(1.0, max_bytes / max(available, 1))
    return _thin(documents, share, seed), available


def _thin(documents: Artifact, share: float, seed: int) -> Iterator[pa.Array]:
    generator = np.random.default_rng(seed_from("baseline", seed))
    for batch in read_documents(documents, "train", ("text",)):
        texts = batch["text"]
        yield (
            texts if share == 1.0 else texts.filter(pa.array(generator.random(len(texts)) < share))
        )


def _read_languages(documents: Artifact, split: Split) -> npt.NDArray[np.int64]:
    """Return a number for each document's language; -1 for a document without text."""
    names: dict[str, int] = {}
    numbers = [np.zeros(0, np.int64)]
    for batch in read_documents(documents, split, ("language", "text")):
        encoded = batch["language"].dictionary_encode()
        codes = [names.setdefault(name, len(names)) for name in encoded.dictionary.to_pylist()]
        of_row = np.array(codes, np.int64)[encoded.indices.to_numpy()]
        lengths = pc.binary_length(batch["text"]).to_numpy()
        numbers.append(np.where(lengths > 0, of_row, -1))
    return np.concatenate(numbers)
