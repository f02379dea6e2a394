"""Seconds of computing: operations over rates, bytes over bandwidths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.planner_cases import DEVICE, SHAPE, SOFTWARE

from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Device
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.software import Software
from hunmin.planner.speed.compute import Compute
from hunmin.planner.strategy import Strategy

STRATEGY = Strategy(Layout(16, 4, 4), micro_batch=2, microsteps=1, recompute="none")
FAST_MEMORY = replace(DEVICE, memory_bandwidth=1e30, kernel_seconds=0.0)
RATE = 100e12 * 0.5
IDEAL = Software("ideal", "ideal", attention_share=1.0)


def compute(
    strategy: Strategy = STRATEGY,
    *,
    device: Device = DEVICE,
    shape: ModelShape = SHAPE,
    software: Software = SOFTWARE,
) -> Compute:
    return Compute(device, shape, strategy, software)


def test_without_memory_traffic_a_block_takes_its_operations() -> None:
    ideal = compute(device=FAST_MEMORY, software=IDEAL)
    operations = 2 * SHAPE.context * (SHAPE.matrix_flops + SHAPE.attention_flops)
    assert ideal.forward_seconds() == pytest.approx(operations / RATE)


def test_the_loss_takes_the_output_matrix_forward_and_twice_backward() -> None:
    ideal = compute(device=FAST_MEMORY)
    operations = 3 * 2 * SHAPE.context * SHAPE.output_flops
    assert ideal.loss_seconds() == pytest.approx(operations / RATE)


def test_fused_attention_goes_at_its_own_rate() -> None:
    half = replace(SOFTWARE, attention_share=0.5)
    whole = compute(device=FAST_MEMORY, software=IDEAL).forward_seconds()
    attention = 2 * SHAPE.context * SHAPE.attention_flops / RATE
    slower = compute(device=FAST_MEMORY, software=half).forward_seconds()
    assert slower - whole == pytest.approx(attention)


def test_plain_attention_pays_for_the_masked_half_and_its_scores() -> None:
    plain = replace(STRATEGY, attention="plain")
    ideal, real = compute(plain, device=FAST_MEMORY), compute(plain)
    attention = 2 * SHAPE.context * SHAPE.attention_flops / RATE
    fused = compute(device=FAST_MEMORY, software=IDEAL)
    assert ideal.forward_seconds() - fused.forward_seconds() == pytest.approx(attention)
    assert real.forward_seconds() > compute(software=IDEAL).forward_seconds()


def test_backward_is_twice_forward_and_what_is_computed_again() -> None:
    plain = replace(STRATEGY, attention="plain")
    forward = compute(plain).forward_seconds()
    backward = {
        again: compute(replace(plain, recompute=again)).backward_seconds()
        for again in ("none", "attention", "blocks")
    }
    assert backward["none"] == pytest.approx(2 * forward)
    assert backward["blocks"] == pytest.approx(3 * forward)
    assert backward["none"] < backward["attention"] < backward["blocks"]


def test_fused_attention_goes_back_in_two_and_a_half_forwards() -> None:
    ideal = compute(device=FAST_MEMORY, software=IDEAL)
    attention = 2 * SHAPE.context * SHAPE.attention_flops / RATE
    twice = 2 * ideal.forward_seconds()
    assert ideal.backward_seconds() - twice == pytest.approx(attention / 2)


def test_tensor_ranks_share_the_matrices() -> None:
    split = replace(STRATEGY, layout=Layout(16, 4, 4, tensor=4))
    alone, quarter = compute(device=FAST_MEMORY), compute(split, device=FAST_MEMORY)
    assert quarter.forward_seconds() == pytest.approx(alone.forward_seconds() / 4)
    assert quarter.loss_seconds() == pytest.approx(alone.loss_seconds() / 4)
    # With real memory each of them reads the whole hidden states: less than a quarter is saved.
    assert compute(split).forward_seconds() > compute().forward_seconds() / 4


def test_small_matrices_reach_a_smaller_share_of_the_peak() -> None:
    def share(width: int) -> float:
        shape = gpt2_shape(
            "toy", layers=4, width=width, heads=width // 64, vocab_size=8192, context=512
        )
        operations = 2 * shape.context * (shape.matrix_flops + shape.attention_flops)
        return operations / compute(shape=shape).forward_seconds() / RATE

    shares = [share(width) for width in (256, 1024, 4096)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[2] < 1


def test_single_precision_goes_at_its_own_rate_and_moves_twice_the_bytes() -> None:
    single = replace(STRATEGY, precision="fp32")
    half, whole = compute(device=FAST_MEMORY), compute(single, device=FAST_MEMORY)
    assert whole.forward_seconds() == pytest.approx(5 * half.forward_seconds())
    assert compute(single).forward_seconds() > 5 * half.forward_seconds()


def test_fused_kernels_save_passes_over_memory() -> None:
    fused = replace(SOFTWARE, fused=1.0)
    assert compute(software=fused).forward_seconds() < compute().forward_seconds()


def test_a_group_of_one_handles_no_collectives() -> None:
    alone = compute(replace(STRATEGY, layout=Layout(16, 4, 1)))
    assert alone.copy_seconds(2) == 0.0
    expected = SOFTWARE.copies * SHAPE.block_parameters * 2 / 1e12
    assert compute().copy_seconds(2) == pytest.approx(expected)


def test_an_update_takes_the_bytes_of_weights_gradients_and_moments() -> None:
    assert compute().optimizer_seconds(1e9) == pytest.approx(28e9 / 1e12)


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(["none", "attention", "blocks"]),
    st.sampled_from(["fused", "plain"]),
)
@settings(max_examples=24, deadline=None)
def test_more_rows_take_longer_but_never_longer_a_row(
    rows: int, recompute: str, attention: str
) -> None:
    small = replace(STRATEGY, micro_batch=rows, recompute=recompute, attention=attention)  # type: ignore[arg-type]
    large = replace(small, micro_batch=2 * rows)
    for name in ("forward_seconds", "backward_seconds", "loss_seconds"):
        less, more = (getattr(compute(strategy), name)() for strategy in (small, large))
        assert less < more <= 2 * less
