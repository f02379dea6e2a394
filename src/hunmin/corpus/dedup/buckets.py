"""The near-duplicate job in memory: leaders of buckets, checked edges, clusters, and a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.corpus.dedup.clusters import (
    EDGE_SCHEMA,
    clusters_of,
    ids_of,
    sorted_members,
)
from hunmin.corpus.dedup.minhash import Signatures, similarity
from hunmin.corpus.dedup.near import NearDuplicateRule, matrix_of
from hunmin.corpus.hashes import Hashes, Positions

_PAIRS_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class CappedBucket:
    """A bucket that was too large to compare all of its documents."""

    band: int
    """Which of the bands."""
    size: int
    """Documents in it."""
    leaders: int
    """Documents that all others were compared with."""
    unresolved: int
    """Documents that resemble none of the leaders and were not compared with each other."""
    example: str
    """Id of the first of them."""


@dataclass(frozen=True)
class NearDuplicates:
    """What was found, and how."""

    clusters: pa.Table
    """CLUSTER_SCHEMA: only documents with a near duplicate."""
    candidates: int
    """Pairs that were compared, counted once a bucket."""
    edges: int
    """Pairs of them that were similar, counted once a bucket."""
    capped: tuple[CappedBucket, ...]
    """Buckets that were not compared to the end."""

    def as_json(self) -> dict[str, Any]:
        """Return the counts for a report."""
        dropped = self.clusters.num_rows - len(self.clusters["keeper"].unique())
        return {
            "clusters": self.clusters.num_rows - dropped,
            "dropped": dropped,
            "candidates": self.candidates,
            "edges": self.edges,
            "capped": [asdict(bucket) for bucket in self.capped],
        }


def find_near_duplicates(signed: pa.Table, rule: NearDuplicateRule) -> NearDuplicates:
    """Find the clusters of near duplicates.

    Args:
        signed: `member`, `signature` and `bands`, all batches of `sign_documents` in any order.
        rule: When two documents are one.

    Returns:
        The clusters, the same for every order of the rows and every size of the batches.

    Raises:
        InputError: Two documents have the same id.

    Note:
        In each bucket the smallest member is the leader and all others are compared with it;
        those that do not resemble it go round again with a leader of their own, until each has
        one or is one. So no two documents that are kept share a bucket and reach the threshold.

        A bucket's rounds end early once max_bucket**2/2 pairs were compared, which only buckets
        of more than `max_bucket` documents can reach. Its members were then compared with every
        leader so far, at least one, and none of the edges found is given up; members that resemble
        no leader stay in their other buckets, are kept unless found there, and are reported.

        Memory: 560 bytes for a document (signature and band keys), and pairs in groups of 32,768.
    """
    search = _Search(signed, rule)
    for band in range(rule.minhash.bands):
        search.add_band(band)
    return search.result()


class _Search:
    def __init__(self, signed: pa.Table, rule: NearDuplicateRule) -> None:
        signed = signed.combine_chunks()
        members, signatures, bands = (
            pa.concat_arrays(signed[name].chunks or [pa.array([], signed.schema.field(name).type)])
            for name in ("member", "signature", "bands")
        )
        order = sorted_members(members)
        self._members = members.take(pa.array(order))
        self._signatures: Signatures = matrix_of(signatures)
        self._bands: Hashes = matrix_of(bands).astype(np.uint64, copy=False)
        self._row, self._rule = order, rule
        self._edges: list[tuple[Positions, Positions]] = []
        self._capped: list[CappedBucket] = []
        self._candidates = 0

    def add_band(self, band: int) -> None:
        """Compare the documents of all buckets of a band, round by round."""
        keys = self._bands[self._row, band]
        ranks = np.argsort(keys, kind="stable")
        buckets = _Buckets(keys[ranks], ranks)
        while len(buckets.ranks):
            leaders, members = buckets.pairs()
            similar = self._are_similar(leaders, members)
            self._candidates += len(leaders)
            self._edges.append((leaders[similar], members[similar]))
            buckets.next_round(similar)
            self._report(band, buckets)

    def _are_similar(self, left: Positions, right: Positions) -> npt.NDArray[np.bool_]:
        threshold = np.float32(self._rule.threshold)
        similar = np.empty(len(left), np.bool_)
        for start in range(0, len(left), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            rows = self._row[left[some]], self._row[right[some]]
            similar[some] = similarity(*(self._signatures[of] for of in rows)) >= threshold
        return similar

    def _report(self, band: int, buckets: _Buckets) -> None:
        for size, leaders, ranks in buckets.close(self._rule.max_bucket**2 // 2):
            example = ids_of(self._members.slice(int(ranks[0]), 1))[0].as_py()
            self._capped.append(CappedBucket(band, size, leaders, len(ranks), example))

    def result(self) -> NearDuplicates:
        left, right = (
            np.concatenate([edge[side] for edge in self._edges] or [np.zeros(0, np.int64)])
            for side in (0, 1)
        )
        ends = [self._members.take(pa.array(end)) for end in (left, right)]
        clusters = clusters_of(pa.Table.from_arrays(ends, schema=EDGE_SCHEMA))
        return NearDuplicates(clusters, self._candidates, len(left), tuple(self._capped))


class _Buckets:
    """Documents of a band that still look for a leader, by bucket and rank."""

    def __init__(self, keys: Hashes, ranks: Positions) -> None:
        _, buckets, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        self._sizes = sizes.astype(np.int64)
        self._compared = np.zeros(len(sizes), np.int64)
        self._rounds = 0
        self.ranks = ranks
        self._arrange(ranks, buckets.astype(np.int64))

    def pairs(self) -> tuple[Positions, Positions]:
        """The leader of each bucket beside each of its other members."""
        leaders = np.repeat(self.ranks[self._is_first], self._counts)
        self._compared += self._counts - 1
        self._rounds += 1
        return leaders[~self._is_first], self.ranks[~self._is_first]

    def next_round(self, similar: npt.NDArray[np.bool_]) -> None:
        """Let go of the leaders and of the members that resemble theirs."""
        left = np.flatnonzero(~self._is_first)[~similar]
        self._arrange(self.ranks[left], self._buckets[left])

    def close(self, max_compared: int) -> list[tuple[int, int, Positions]]:
        """Give up buckets over the limit; return size, leaders and remaining ranks of each."""
        over = self._compared > max_compared
        if not over.any():
            return []
        is_over = over[self._buckets]
        found = [
            (int(self._sizes[bucket]), self._rounds, self.ranks[self._buckets == bucket])
            for bucket in np.flatnonzero(over)
        ]
        self._arrange(self.ranks[~is_over], self._buckets[~is_over])
        return found

    def _arrange(self, ranks: Positions, buckets: Positions) -> None:
        """Take these members, sorted by bucket, and drop buckets of one."""
        starts = np.flatnonzero(np.diff(buckets, prepend=-1))
        counts = np.diff(starts, append=len(buckets))
        kept = buckets[starts][counts > 1]
        self.ranks = ranks[np.repeat(counts > 1, counts)]
        self._counts = counts[counts > 1]
        self._sizes, self._compared = self._sizes[kept], self._compared[kept]
        self._buckets = np.repeat(np.arange(len(kept)), self._counts)
        self._is_first = np.diff(self._buckets, prepend=-1) > 0
