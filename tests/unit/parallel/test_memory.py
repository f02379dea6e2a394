"""The memory of a rank is arithmetic that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunmin.core.errors import InputError
from hunmin.parallel.memory import Footprint, refuse_group_that_cannot_fit

SEVEN_BILLION = Footprint(
    parameters=7_000_000_000,
    outside_parameters=500_000_000,
    block_parameters=200_000_000,
    optimizer_bytes=8,
    gather_bytes=2,
    prefetch=1,
    activation_bytes=10_000_000_000,
)
GB = 10**9


def test_states_of_adamw_in_float32_are_sixteen_bytes_a_parameter() -> None:
    assert SEVEN_BILLION.kept_bytes(1) == 112 * GB
    assert SEVEN_BILLION.kept_bytes(8) == 14 * GB
    assert replace(SEVEN_BILLION, tensor=2).kept_bytes(8) == 7 * GB


def test_what_is_gathered_does_not_shrink_with_the_group() -> None:
    # two gathered blocks, a gradient in bf16 and in float32, the ends with theirs, activations
    by_hand = (2 * 0.4 + 0.4 + 0.8 + 4.0 + 10.0) * GB
    assert SEVEN_BILLION.working_bytes() == by_hand
    assert SEVEN_BILLION.bytes_per_rank(16) - SEVEN_BILLION.kept_bytes(16) == by_hand


@pytest.mark.parametrize(("gigabytes", "group"), [(200, 1), (80, 2), (40, 5), (20, 28)])
def test_the_smallest_group(gigabytes: int, group: int) -> None:
    assert SEVEN_BILLION.smallest_group(gigabytes * GB) == group
    assert SEVEN_BILLION.bytes_per_rank(group) <= gigabytes * GB
    if group > 1:
        assert SEVEN_BILLION.bytes_per_rank(group - 1) > gigabytes * GB


def test_activations_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"of which 10 GB activations[\s\S]*microbatch_tokens"):
        SEVEN_BILLION.smallest_group(12 * GB)


def test_a_group_whose_states_do_not_fit() -> None:
    refuse_group_that_cannot_fit(SEVEN_BILLION, 2, 80 * GB)
    with pytest.raises(InputError, match=r"1 ranks with 112 GB each[\s\S]*at least 2"):
        refuse_group_that_cannot_fit(SEVEN_BILLION, 1, 80 * GB)
