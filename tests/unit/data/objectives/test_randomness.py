"""Random numbers of a document depend on its number, not on its neighbours; orders are uniform."""

from __future__ import annotations

import numpy as np
import pytest

from hunmin.data.objectives import randomness
from hunmin.data.objectives.ragged import Ragged
from hunmin.data.objectives.randomness import (
    document_keys,
    draw_bits,
    draw_uniform,
    random_order,
    random_subset,
)


def keys(num_documents: int, purpose: str = "test") -> np.ndarray:
    return document_keys(0, purpose, 0, 0, num_documents)


def rows_of(lengths: list[int]) -> Ragged:
    return Ragged.from_lengths(np.zeros(sum(lengths)), np.array(lengths))


def test_seed_purpose_epoch_and_number_each_give_another_key() -> None:
    arguments = [(0, "a", 0, 0), (1, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0, 1)]
    assert len({int(document_keys(*each, 1)[0]) for each in arguments}) == 5


def test_epoch_and_number_do_not_stand_for_each_other() -> None:
    together = [document_keys(0, "a", epoch, 0, 50) for epoch in range(50)]
    assert len(np.unique(np.concatenate(together))) == 2_500


def test_numbers_may_be_given_one_by_one() -> None:
    numbers, epochs = np.array([4, 2, 4]), np.array([1, 1, 0])
    pairs = zip(numbers.tolist(), epochs.tolist(), strict=True)
    each = [document_keys(3, "a", epoch, number, 1)[0] for number, epoch in pairs]
    assert document_keys(3, "a", epochs, numbers, 3).tolist() == each


def test_a_stream_does_not_depend_on_the_streams_before_it() -> None:
    lengths = np.array([3, 0, 5, 1])
    alone = [draw_bits(keys(4)[[i]], lengths[[i]]) for i in range(4)]
    assert np.array_equal(draw_bits(keys(4), lengths), np.concatenate(alone))


def test_draws_are_uniform_and_unrelated() -> None:
    draws = draw_uniform(keys(200), np.full(200, 500)).reshape(200, 500)
    counts = np.bincount((draws.ravel() * 100).astype(int), minlength=100)
    # Chi-square with 99 degrees of freedom: mean 99, standard deviation 14.1; bound 5 of them.
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 99 + 5 * 14.1
    for one, next_one in ((draws[:, :-1], draws[:, 1:]), (draws[:-1], draws[1:])):
        correlation = np.corrcoef(one.ravel(), next_one.ravel())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(99_500)


def test_all_orders_of_four_are_equally_likely() -> None:
    rows = rows_of([4] * 24_000)
    orders = random_order(rows, keys(24_000)).reshape(-1, 4) % 4
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    # 1,000 each are expected; the bound is 6 standard deviations.
    assert np.all(np.abs(counts - 1_000) < 190)


def test_the_first_place_can_stay_the_first() -> None:
    rows = rows_of([4, 0, 1, 3] * 50)
    order = random_order(rows, keys(200), first_stays=True)
    begins = rows.offsets[:-1][rows.lengths > 0]
    assert np.array_equal(order[begins], begins)
    assert np.array_equal(np.sort(order), np.arange(len(order)))


def test_more_rows_than_a_sort_key_holds_give_the_same_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = rows_of([5, 0, 3, 9] * 20)
    packed = random_order(rows, keys(80))
    monkeypatch.setattr(randomness, "_MAX_PACKED_ROWS", 10)
    assert np.array_equal(random_order(rows, keys(80)), packed)


def test_subsets_are_of_the_right_size_and_uniform() -> None:
    chosen = random_subset(np.full(20_000, 5), np.full(20_000, 2), keys(20_000)).reshape(-1, 5)
    assert np.all(chosen.sum(axis=1) == 2)
    _, counts = np.unique(chosen, axis=0, return_counts=True)
    assert len(counts) == 10
    # 2,000 each; the standard deviation is 42, the bound 5 of them.
    assert np.all(np.abs(counts - 2_000) < 212)


def test_random_numbers_are_the_same_on_every_machine() -> None:
    assert [int(bits) for bits in draw_bits(keys(1), np.array([2]))] == [
        0xF34C057AEF31120,
        0x26C1260069AFCED6,
    ]
