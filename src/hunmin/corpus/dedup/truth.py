"""Exact Jaccard similarities, and how far the near-duplicate search agrees with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.dedup.shingles import Shingles
from hunmin.corpus.hashes import Hashes, Positions

_MAX_DOCUMENTS = 300


@dataclass(frozen=True)
class SimilarPairs:
    """Pairs of texts with their exact Jaccard similarity."""

    left: Positions
    """Row of the first text, the smaller one."""
    right: Positions
    """Row of the second text."""
    jaccard: npt.NDArray[np.float64]
    """Shared shingles over all different shingles, in (0, 1], float64."""


def exact_pairs(
    shingles: Shingles, *, minimum: float = 0.5, max_documents: int = _MAX_DOCUMENTS
) -> SimilarPairs:
    """Find all pairs of similar texts by counting.

    Args:
        shingles: Shingles of the texts.
        minimum: Smallest similarity that is listed, in (0, 1].
        max_documents: Shingles in more texts than this do not make candidates (their pairs are
            still counted exactly if another shingle makes them candidates).

    Returns:
        The pairs, by left and right.

    Note:
        A pair is a candidate if it shares a tenth of `minimum` of the smaller text's shingles
        among the rarer ones. Quadratic in `max_documents`: meant to judge, not to de-duplicate.
    """
    unique = [shingles.of(text) for text in range(len(shingles))]
    sizes = np.array([len(found) for found in unique], np.int64)
    postings = _Postings(unique, max_documents)
    found = [np.zeros((3, 0))]
    for text, own in enumerate(unique):
        shared = postings.shared_with_later(text)
        enough = np.minimum(sizes, sizes[text]) * minimum * 0.1
        others = np.flatnonzero((shared > 0) & (shared >= enough))
        common = np.array([_num_common(own, unique[other]) for other in others], np.int64)
        jaccard = common / (sizes[text] + sizes[others] - common)
        found.append(np.stack([np.full(len(others), text), others, jaccard]))
    pairs = np.concatenate(found, axis=1)
    left, right, jaccards = pairs[:, pairs[2] >= minimum]
    return SimilarPairs(left.astype(np.int64), right.astype(np.int64), jaccards)


def pairs_of_either(first: SimilarPairs, second: SimilarPairs) -> SimilarPairs:
    """Return the pairs that are similar by one measure or the other, such as words or characters.

    Copies that lost spaces are alike by characters alone: a precision that asks for shared words
    counts every one of them that was found as an error.
    """
    return SimilarPairs(
        *(
            np.concatenate([getattr(pairs, name) for pairs in (first, second)])
            for name in ("left", "right", "jaccard")
        )
    )


def _num_common(left: Hashes, right: Hashes) -> int:
    return len(np.intersect1d(left, right, assume_unique=True))


class _Postings:
    """Which texts each shingle stands in."""

    def __init__(self, unique: list[Hashes], max_documents: int) -> None:
        self._texts = len(unique)
        owners = np.repeat(np.arange(self._texts), [len(found) for found in unique])
        flat = np.concatenate(unique) if unique else np.zeros(0, np.uint64)
        _, code, counts = np.unique(flat, return_inverse=True, return_counts=True)
        self._owners = owners[np.argsort(code, kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._counts = np.where((counts > 1) & (counts <= max_documents), counts, 0)
        self._codes = np.split(code, np.cumsum([len(found) for found in unique])[:-1])

    def shared_with_later(self, text: int) -> Positions:
        """How many rarer shingles each later text shares with this one, shape (texts,)."""
        codes = self._codes[text]
        counts = self._counts[codes]
        starts = np.repeat(self._starts[codes] - (np.cumsum(counts) - counts), counts)
        owners = self._owners[starts + np.arange(counts.sum())]
        return np.bincount(owners[owners > text], minlength=self._texts)


def pair_recall(
    pairs: SimilarPairs, is_kept: npt.NDArray[np.bool_], *, minimum: float = 0.8
) -> float:
    """Return the share of similar pairs of which at least one text was dropped.

    Args:
        pairs: All similar pairs.
        is_kept: Whether each text was kept.
        minimum: Only pairs of at least this similarity count.

    Returns:
        A share in [0, 1]; nan if there is no such pair.
    """
    chosen = pairs.jaccard >= minimum
    both = is_kept[pairs.left[chosen]] & is_kept[pairs.right[chosen]]
    return float(1 - both.mean()) if len(both) else float("nan")


def drop_precision(
    pairs: SimilarPairs, is_kept: npt.NDArray[np.bool_], *, minimum: float = 0.7
) -> float:
    """Return the share of dropped texts that do have a similar text.

    Args:
        pairs: All similar pairs, at least down to `minimum`.
        is_kept: Whether each text was kept.
        minimum: Similarity that justifies dropping.

    Returns:
        A share in [0, 1]; nan if nothing was dropped.
    """
    chosen = pairs.jaccard >= minimum
    has_similar = np.zeros(len(is_kept), np.bool_)
    has_similar[pairs.left[chosen]] = has_similar[pairs.right[chosen]] = True
    return float(has_similar[~is_kept].mean()) if (~is_kept).any() else float("nan")


def planted_recall(copies: pa.Table, clusters: pa.Table) -> dict[str, float]:
    """Return, for each kind of copy, the share found in one cluster with its origin.

    Args:
        copies: What `planting.plant` returned.
        clusters: CLUSTER_SCHEMA.

    Returns:
        Shares in [0, 1] by kind.
    """
    keepers = clusters["keeper"].combine_chunks()
    ids = clusters["id"].combine_chunks()
    of_copy, of_origin = (
        keepers.take(pc.index_in(copies[name].combine_chunks(), ids)) for name in ("id", "origin")
    )
    found = pc.fill_null(pc.equal(of_copy, of_origin), fill_value=False)
    table = pa.table({"change": copies["change"], "found": pc.cast(found, pa.float64())})
    rows = table.group_by("change").aggregate([("found", "mean")]).to_pylist()
    return {row["change"]: row["found_mean"] for row in rows}
