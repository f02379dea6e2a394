"""The group of every sample follows the weights block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data import mixture as mixture_module
from hunmin.data.mixture import BLOCK_SIZE, Mixture, group_shares

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


TOKENS = {"en": 10_000, "ko": 2_500, "sw": 100}


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1, [10_000, 2_500, 100]), (0.5, [100, 50, 10]), (0, [1, 1, 1])],
)
def test_temperature(temperature: float, expected: list[float]) -> None:
    shares = group_shares(TOKENS, None, temperature)
    assert list(shares) == list(TOKENS)
    assert list(shares.values()) == pytest.approx(normalized(expected))


def test_weights_set_shares_and_the_rest_follows_temperature() -> None:
    assert group_shares(TOKENS, {"ko": 0.45}, 0.5) == pytest.approx(
        {"en": 0.5, "ko": 0.45, "sw": 0.05}
    )
    assert group_shares(TOKENS, {"en": 0}, 0) == pytest.approx({"en": 0, "ko": 0.5, "sw": 0.5})
    assert group_shares(TOKENS, {"en": 2, "ko": 1, "sw": 1}, 1) == pytest.approx(
        {"en": 0.5, "ko": 0.25, "sw": 0.25}
    )


def test_unknown_group_in_the_weights() -> None:
    with pytest.raises(InputError, match=r"no such group.*Did you mean 'ko'\?"):
        group_shares(TOKENS, {"kor": 1}, 1)


@pytest.mark.parametrize("weights", [{"ko": 1}, {"ko": 0.6, "en": 0.6}])
def test_weights_that_leave_nothing(weights: dict[str, float]) -> None:
    with pytest.raises(InputError, match="leave no samples for the other groups"):
        group_shares(TOKENS, weights, 1)


def test_all_weights_zero() -> None:
    with pytest.raises(InputError, match="all weights are 0"):
        group_shares(TOKENS, dict.fromkeys(TOKENS, 0.0), 1)
