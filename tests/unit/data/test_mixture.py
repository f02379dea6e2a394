"""The group of every sample follows the weights block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.data import mixture as mixture_module
from hunmin.data.mixture import BLOCK_SIZE, Mixture

WEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda w: sum(w) > 1e-3)


def normalized(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


@settings(max_examples=40)
@given(weights=WEIGHTS, seed=st.integers(0, 2**63 - 1), block=st.integers(0, 3))
def test_each_block_follows_the_shares_within_one(
    weights: list[float], seed: int, block: int
) -> None:
    shares = normalized(weights)
    samples = np.arange(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)
    groups, _ = Mixture(shares, seed).locate(samples)
    counts = np.bincount(groups, minlength=len(shares))
    # Shares are kept to 32 bits, hence the small addition.
    assert np.all(np.abs(counts - np.array(shares) * BLOCK_SIZE) < 1 + 1e-5)


@settings(max_examples=20)
@given(weights=WEIGHTS, seed=st.integers(0, 2**63 - 1))
def test_ranks_count_the_samples_of_a_group(weights: list[float], seed: int) -> None:
    mixture = Mixture(normalized(weights), seed)
    groups, ranks = mixture.locate(np.arange(3 * BLOCK_SIZE))
    for group in range(len(weights)):
        members = ranks[groups == group]
        assert np.array_equal(np.sort(members), np.arange(len(members)))
        for block in range(3):
            inside = ranks[block * BLOCK_SIZE :][:BLOCK_SIZE][
                groups[block * BLOCK_SIZE :][:BLOCK_SIZE] == group
            ]
            assert np.all(np.diff(inside) == 1)


def test_over_many_blocks_shares_are_exact() -> None:
    """Rounding is unbiased: a share of a tenth of a sample per block gets its tenth."""
    shares = [0.1 / BLOCK_SIZE, 0.5, 0.5 - 0.1 / BLOCK_SIZE]
    counts = Mixture(shares, 0)._counts(np.arange(2_000))
    assert set(counts[:, 0].tolist()) == {0, 1}
    # 200 expected; 4 standard deviations of a fair draw.
    assert abs(counts[:, 0].sum() - 200) < 54
    assert np.all(counts.sum(axis=1) == BLOCK_SIZE)


def test_far_samples_are_found_without_the_ones_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture_module, "_BLOCKS_PER_CHECKPOINT", 4)
    shares = [0.2, 0.3, 0.5]
    samples = np.arange(9 * BLOCK_SIZE, 10 * BLOCK_SIZE)
    far = Mixture(shares, 5).locate(samples)
    whole = Mixture(shares, 5).locate(np.arange(10 * BLOCK_SIZE))
    assert np.array_equal(far, np.array(whole)[:, samples])


def test_the_shuffle_inside_a_block_has_no_runs() -> None:
    groups, _ = Mixture([0.5, 0.5], 0).locate(np.arange(BLOCK_SIZE))
    changes = np.count_nonzero(np.diff(groups))
    assert abs(changes - BLOCK_SIZE / 2) < 4 * 32
