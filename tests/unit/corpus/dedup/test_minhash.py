"""Signatures: unbiased, with the variance of independent permutations, the same in any batch."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.minhash import MinHash, similarity
from hunmin.corpus.dedup.shingles import Shingles, shingle
from hunmin.corpus.hashes import mix


def sets_of(pairs: int, size: int, jaccard: float) -> tuple[Shingles, Shingles]:
    """Pairs of sets of `size` shingles with one exact similarity."""
    shared = round(2 * size * jaccard / (1 + jaccard))
    numbers = np.arange(pairs * (2 * size - shared), dtype=np.uint64).reshape(pairs, -1)
    hashes = mix(numbers)
    offsets = np.arange(0, (pairs + 1) * size, size)
    left, right = hashes[:, :size], hashes[:, -size:]
    return Shingles(left.reshape(-1), offsets), Shingles(right.reshape(-1), offsets)


@pytest.mark.parametrize("size", [20, 300])
@pytest.mark.parametrize("jaccard", [0.1, 0.5, 0.72, 0.9])
def test_estimates_are_unbiased_and_as_sharp_as_independent_permutations(
    jaccard: float, size: int
) -> None:
    pairs, minhash = 2000, MinHash()
    left, right = sets_of(pairs, size, jaccard)
    shared = round(2 * size * jaccard / (1 + jaccard))
    exact = shared / (2 * size - shared)
    errors = similarity(minhash.signatures(left), minhash.signatures(right)) - exact
    deviation = np.sqrt(exact * (1 - exact) / minhash.permutations)
    assert abs(errors.mean()) < 4 * deviation / np.sqrt(pairs)
    assert errors.std() == pytest.approx(deviation, rel=0.06)


def test_signatures_are_the_smallest_hashes() -> None:
    hashes = mix(np.arange(100, dtype=np.uint64))
    minhash = MinHash(bands=3, rows=2, seed=5)
    whole = minhash.signatures(Shingles(hashes, np.array([0, 100])))
    single = minhash.signatures(Shingles(hashes, np.arange(101)))
    assert whole.tolist() == [single.min(axis=0).tolist()]


def test_documents_may_cross_the_blocks() -> None:
    hashes = mix(np.arange(60_000, dtype=np.uint64))
    offsets = np.array([0, 1, 16_384, 16_385, 50_000, 60_000])
    minhash = MinHash(bands=2, rows=2)
    together = minhash.signatures(Shingles(hashes, offsets))
    for row, (start, stop) in enumerate(pairwise(offsets)):
        alone = minhash.signatures(Shingles(hashes[start:stop], np.array([0, stop - start])))
        assert alone[0].tolist() == together[row].tolist()


def test_seeds_draw_other_permutations_and_one_seed_the_same() -> None:
    shingles = shingle(pa.array(["한 문서의 본문입니다. 조금 더 길게 씁니다."]), ["characters"])
    first = MinHash(seed=1).signatures(shingles)
    again = pickle.loads(pickle.dumps(MinHash(seed=1))).signatures(shingles)
    assert first.tolist() == again.tolist()
    assert similarity(first, MinHash(seed=2).signatures(shingles)) < 0.1
    assert first.dtype == np.uint32
    assert first.shape == (1, 112)


def test_golden_signature() -> None:
    """Signatures are stored, so they must never change unnoticed."""
    shingles = shingle(
        pa.array(["나랏말싸미 듕귁에 달아 문자와로 서로 사맛디 아니할쌔"]), ["words"]
    )
    signature = MinHash(bands=2, rows=2).signatures(shingles)
    assert signature.tolist() == GOLDEN_SIGNATURE
    assert MinHash(bands=2, rows=2).band_keys(signature).tolist() == GOLDEN_KEYS


GOLDEN_SIGNATURE = [[1360512948, 404062052, 223041076, 798052580]]
GOLDEN_KEYS = [[10264524751270291910, 9623877280821172139]]


def test_band_keys_agree_where_the_rows_do() -> None:
    minhash = MinHash(bands=3, rows=2)
    signatures = np.array([[1, 2, 3, 4, 5, 6], [1, 2, 9, 4, 5, 6], [2, 1, 1, 2, 1, 2]], np.uint32)
    keys = minhash.band_keys(signatures)
    assert (keys[0] == keys[1]).tolist() == [True, False, True]
    assert len(np.unique(keys[2])) == 3
    assert minhash.band_keys(signatures[:0]).shape == (0, 3)


def test_nothing_to_sign() -> None:
    empty = shingle(pa.array([], pa.string()), [])
    assert MinHash().signatures(empty).shape == (0, 112)


def test_bands_and_rows_are_checked() -> None:
    with pytest.raises(InputError, match="0 bands of 8 rows"):
        MinHash(bands=0)
