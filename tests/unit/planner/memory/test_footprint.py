"""The memory of a rank, from counted weights and measured activations, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout
from hunmin.planner.memory import USABLE, Footprint
from hunmin.planner.memory.activations import Activations
from hunmin.planner.memory.footprint import first_enough
from hunmin.planner.memory.weights import Weights
from hunmin.planner.strategy import Strategy

GB = 10**9
SEVEN_BILLION = Footprint(
    weights=Weights(
        blocks=32,
        block=200_000_000,
        in_blocks=6_400_000_000,
        outside=600_000_000,
        output=300_000_000,
        is_tied=False,
        matrix=45_000_000,
        gram=16_000_000,
    ),
    activations=Activations(
        kept=0.25 * GB, again=0, working=0.5 * GB, once=0.1 * GB, stream=0.05 * GB, loss=1.5 * GB
    ),
    strategy=Strategy(Layout(1, 1, 1), micro_batch=1, microsteps=2, loss_chunk=1024),
)


def test_states_of_adamw_in_float32_are_sixteen_bytes_a_parameter() -> None:
    assert SEVEN_BILLION.kept_bytes(1) == 112 * GB
    assert SEVEN_BILLION.kept_bytes(8) == 14 * GB
    saving = replace(SEVEN_BILLION.strategy, optimizer="muon")
    # 12 bytes a parameter of a block, 16 of the others
    assert replace(SEVEN_BILLION, strategy=saving).kept_bytes(8) == (6.4 * 12 + 0.6 * 16) / 8 * GB


def test_the_loss_is_the_peak_where_nothing_is_computed_again() -> None:
    use = SEVEN_BILLION.use(8)
    assert use.moment == "loss"
    # the ends gathered in float32, and the buffer from which the last block was unpacked
    assert use.gathered == pytest.approx((0.6 * 4 + 0.2 * 2) * GB)
    assert use.activations == pytest.approx((32 * 0.25 + 0.1) * GB)
    # the gradient of the output matrix, the loss, hidden states at its sides
    assert use.logits == pytest.approx((0.3 * 4 + 1.5 + 2 * 0.05) * GB)


def test_what_is_gathered_does_not_shrink_with_the_group() -> None:
    def working(group: int) -> float:
        return SEVEN_BILLION.use(group).total - SEVEN_BILLION.kept_bytes(group)

    assert working(16) == pytest.approx(working(64))


@pytest.mark.parametrize("gigabytes", [200, 80, 40, 20])
def test_the_smallest_group(gigabytes: int) -> None:
    group = SEVEN_BILLION.smallest_group(gigabytes * GB)
    assert SEVEN_BILLION.use(group).total <= USABLE * gigabytes * GB
    if group > 1:
        assert SEVEN_BILLION.use(group - 1).total > USABLE * gigabytes * GB


def test_activations_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"of which 10.9 GB activations[\s\S]*microbatch_tokens"):
        SEVEN_BILLION.smallest_group(12 * GB)


def test_a_group_whose_states_do_not_fit() -> None:
    SEVEN_BILLION.refuse_group(2, 80 * GB)
    with pytest.raises(InputError, match=r"1 ranks with 112 GB each[\s\S]*at least 2"):
        SEVEN_BILLION.refuse_group(1, 80 * GB)


@pytest.mark.parametrize("threshold", [1, 2, 7, 10])
def test_the_first_that_is_enough(threshold: int) -> None:
    assert first_enough(range(1, 11), lambda n: n >= threshold) == threshold
    assert first_enough(range(1, threshold), lambda n: n >= threshold) is None
