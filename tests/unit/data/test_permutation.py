"""Shuffling without memory is a bijection, for any size and key."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hunmin.data.permutation import mix, permute

KEYS = st.integers(0, 2**64 - 1)


def permute_all(size: int, key: int) -> np.ndarray:
    sizes = np.full(size, size)
    return permute(np.arange(size), sizes, np.full(size, key, dtype=np.uint64))


@given(size=st.integers(1, 3_000), key=KEYS)
def test_every_number_is_hit_once(size: int, key: int) -> None:
    assert np.array_equal(np.sort(permute_all(size, key)), np.arange(size))


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 2**52), st.floats(0, 1, exclude_max=True), KEYS),
        min_size=1,
        max_size=20,
    )
)
def test_rows_do_not_influence_each_other(rows: list[tuple[int, float, int]]) -> None:
    sizes = np.array([size for size, _, _ in rows])
    indices = np.array([int(size * place) for size, place, _ in rows])
    keys = np.array([key for _, _, key in rows], dtype=np.uint64)
    together = permute(indices, sizes, keys)
    alone = [permute(indices[[i]], sizes[[i]], keys[[i]])[0] for i in range(len(rows))]
    assert together.tolist() == alone
    assert np.all((together >= 0) & (together < sizes))


def test_other_keys_give_other_orders_without_structure() -> None:
    size = 10_000
    orders = [permute_all(size, key) for key in range(2)]
    assert (orders[0] == orders[1]).mean() < 0.01
    for order in orders:
        # Neither the order itself nor neighbours in it are correlated; 4 standard errors.
        assert abs(np.corrcoef(np.arange(size), order)[0, 1]) < 0.04
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.04


def test_small_sizes_reach_every_order_about_equally() -> None:
    keys = mix(np.arange(24_000, dtype=np.uint64))
    places = [permute(np.full(24_000, i), np.full(24_000, 4), keys) for i in range(4)]
    _, counts = np.unique(np.stack(places), axis=1, return_counts=True)
    assert len(counts) == 24
    # 1,000 each are expected; the bound is 6 standard deviations.
    assert np.all(np.abs(counts - 1_000) < 190)


def test_the_order_is_the_same_on_every_machine() -> None:
    assert permute_all(10, 0).tolist() == [7, 0, 8, 4, 9, 5, 1, 6, 2, 3]
    assert [int(value) for value in mix(np.array([0, 1], dtype=np.uint64))] == [
        0xE220A8397B1DCDAF,
        0x910A2DEC89025CC1,
    ]
