"""Memory of a rank: by hand, what must hold for any strategy, and what would fit instead."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout
from hunmin.planner.memory import (
    DEVICE_PARTS,
    HUNMIN,
    MEGATRON,
    MEGATRON_CORE,
    MEGATRON_SEQUENCE,
    USABLE,
    check_fits,
    memory_use,
    ways_to_fit,
)
from hunmin.planner.memory.peak import in_flight
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.strategy import Strategy

GB = 10**9
CLOVA = gpt2_shape(
    "hyperclova-82b", layers=64, width=10_240, heads=80, vocab_size=51_200, context=2048
)
GPT3 = gpt2_shape("gpt3-175b", layers=96, width=12_288, heads=96, vocab_size=51_200, context=2048)
GATED = ModelShape(
    name="gated",
    layers=24,
    width=2048,
    heads=16,
    kv_heads=8,
    head_dim=128,
    feedforward=5632,
    vocab_size=32_768,
    context=4096,
    is_gated=True,
    is_tied=False,
    has_biases=False,
)


def plain(layout: Layout, **choices: object) -> Strategy:
    return replace(Strategy(layout, micro_batch=1, microsteps=1, loss_chunk=2048), **choices)


# -- by hand -------------------------------------------------------------------------------------


def test_states_are_shared_by_the_partition_group_and_split_by_tensor_ranks() -> None:
    whole, split = (memory_use(CLOVA, plain(Layout(64, 8, 32, tensor=tensor))) for tensor in (1, 2))
    assert whole.parameters == CLOVA.parameters * 4 / 32
    assert whole.optimizer == 2 * whole.parameters
    blocks = CLOVA.layers * CLOVA.block_parameters
    assert split.parameters == (blocks / 2 + CLOVA.outside_parameters) * 4 / 32


def test_a_block_of_gpt2_keeps_36_bytes_of_each_hidden_value() -> None:
    """Korthikanti et al. count 34 with a residual stream of 2 bytes and dropout."""
    strategy = plain(Layout(64, 8, 64), recompute="none")
    habits = replace(HUNMIN, masks_documents=False)
    deep, shallow = (
        memory_use(replace(CLOVA, layers=layers), strategy, habits) for layers in (64, 32)
    )
    sums = 4 * CLOVA.heads / CLOVA.width
    by_hand = 32 * CLOVA.context * CLOVA.width * (36 + sums)
    assert deep.moment == shallow.moment
    assert deep.activations - shallow.activations == pytest.approx(by_hand)


def test_recomputed_blocks_keep_their_inputs_and_one_blocks_inside() -> None:
    use = memory_use(CLOVA, plain(Layout(64, 8, 64)))
    stream = CLOVA.context * CLOVA.width * 4
    assert use.moment == "backward"
    assert stream * CLOVA.layers * 0.9 < use.activations + use.working < stream * 100


def test_gradients_wait_through_the_forward_pass_from_the_second_microbatch_on() -> None:
    first = memory_use(GATED, plain(Layout(8, 8, 8), recompute="none"))
    later = memory_use(GATED, plain(Layout(8, 8, 8), recompute="none", microsteps=2))
    assert (first.moment, first.gradients) == ("loss", 0)
    assert later.gradients == later.parameters


def test_muon_keeps_half_the_states_of_matrices() -> None:
    use = memory_use(GATED, plain(Layout(8, 8, 8), optimizer="muon"))
    blocks = GATED.layers * GATED.block_parameters
    assert use.optimizer == (4 * blocks + 8 * GATED.outside_parameters) / 8
    assert use.host == use.parameters + use.optimizer


def test_smaller_chunks_of_the_loss_need_less() -> None:
    uses = [
        memory_use(GATED, plain(Layout(8, 8, 8), recompute="none", loss_chunk=chunk)).total
        for chunk in (256, 1024, 4096, None)
    ]
    assert uses == sorted(uses)
    assert uses[0] < uses[-1]


def test_one_rank_alone_gathers_nothing_but_copies_for_its_products() -> None:
    alone = memory_use(GATED, plain(Layout(1, 1, 1), recompute="none"))
    assert alone.gathered == GATED.layers * GATED.block_parameters * 2
    assert alone.communication == 0
    assert memory_use(GATED, plain(Layout(1, 1, 1), precision="fp32")).gathered == 0


def test_a_pipelines_first_stage_holds_as_many_microbatches_as_there_are_stages() -> None:
    eight = plain(Layout(8, 8, 1, tensor=8), microsteps=64, pipeline=8, recompute="none")
    assert in_flight(eight) == 8
    assert in_flight(replace(eight, interleaved=2)) == 8 + 7 / 2
    assert in_flight(replace(eight, microsteps=4)) == 4
    use = memory_use(GPT3, eight)
    stage = GPT3.layers // 8
    # 34 s b h with scores of 5 a s², divided by t but for the residual stream and the norms' inputs
    per_layer = GPT3.context * GPT3.width * (8 + 24 / 8) + 5 * GPT3.heads * GPT3.context**2 / 8
    fused = replace(eight, attention="plain")
    assert memory_use(GPT3, fused).activations == pytest.approx(8 * stage * per_layer, rel=0.05)
    assert use.parameters == pytest.approx(
        (stage * GPT3.block_parameters + GPT3.vocab_size * GPT3.width) * 4 / 8, rel=0.02
    )


PUBLISHED = {
    "175B on 64": (GPT3, Layout(8, 8, 1, tensor=8), 8, 3),
    "530B on 280": (
        gpt2_shape("530b", layers=105, width=20_480, heads=128, vocab_size=51_200, context=2048),
        Layout(8, 8, 1, tensor=8),
        35,
        3,
    ),
    "1T on 512": (
        gpt2_shape("1t", layers=128, width=25_600, heads=160, vocab_size=51_200, context=2048),
        Layout(8, 8, 1, tensor=8),
        64,
        1,
    ),
}
"""Korthikanti et al. 2022 (arXiv:2205.05198), table 3: A100 of 80 GB, one row a microbatch."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_pipelines_fit_only_with_what_was_published(name: str) -> None:
    shape, layout, pipeline, interleaved = PUBLISHED[name]
    strategy = plain(
        layout,
        microsteps=512,
        recompute="attention",
        attention="plain",
        pipeline=pipeline,
        interleaved=interleaved,
    )
    assert memory_use(shape, strategy, MEGATRON_SEQUENCE).fits(80 * 2**30)
    everything = replace(strategy, recompute="none")
    assert not memory_use(shape, everything, MEGATRON).fits(80 * 2**30)


def test_a_distributed_optimizer_shares_states_and_keeps_whole_parameters() -> None:
    strategy = plain(Layout(64, 8, 1, tensor=8), microsteps=4)
    whole, shared = (memory_use(GPT3, strategy, h) for h in (MEGATRON_SEQUENCE, MEGATRON_CORE))
    assert (shared.optimizer, shared.parameters) == (whole.optimizer / 8, whole.parameters / 8)
    assert (shared.gathered, shared.gradients) == (whole.gathered, whole.gradients)


def test_a_memory_use_says_what_it_is_made_of() -> None:
    use = memory_use(GATED, plain(Layout(8, 8, 8)))
    assert use.total == sum(getattr(use, part) for part in DEVICE_PARTS)
    assert use.as_dict()["total"] == use.total
    assert use.fits(use.total / USABLE)
    assert not use.fits(use.total / USABLE - 1)
    assert re.match(r"[\d.]+ GB: [\d.]+ (GB|MB) \w+, ", use.describe())


# -- what must always hold -----------------------------------------------------------------------

LAYOUTS = st.sampled_from([(1, 1), (2, 1), (8, 1), (8, 2), (16, 1), (16, 2), (64, 1), (64, 4)])
CHOICES = st.fixed_dictionaries(
    {
        "micro_batch": st.sampled_from([1, 2, 3, 8]),
        "microsteps": st.sampled_from([1, 2, 4]),
        "recompute": st.sampled_from(["none", "attention", "blocks"]),
        "precision": st.sampled_from(["bf16", "fp32"]),
        "attention": st.sampled_from(["fused", "plain"]),
        "optimizer": st.sampled_from(["adamw", "muon"]),
        "reshard_after_forward": st.booleans(),
        "prefetch": st.sampled_from([0, 1, 3]),
        "loss_chunk": st.sampled_from([None, 512, 2048]),
    }
)
SHAPES = st.builds(
    lambda gated, layers, heads, ratio, vocab, context: replace(
        GATED,
        layers=layers,
        width=64 * heads,
        heads=heads,
        kv_heads=heads // 4,
        head_dim=64,
        feedforward=64 * ratio * heads,
        vocab_size=vocab,
        context=context,
        is_gated=gated,
        is_tied=not gated,
        has_biases=not gated,
    ),
    st.booleans(),
    st.integers(2, 40),
    st.sampled_from([16, 32, 96]),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([1024, 32_768, 256_000]),
    st.sampled_from([128, 2048, 16_384]),
)


def total(shape: ModelShape, strategy: Strategy) -> float:
    return memory_use(shape, strategy).total


@settings(max_examples=150, deadline=None)
@given(SHAPES, CHOICES, st.sampled_from([1, 2, 4]))
def test_a_larger_group_never_needs_more(
    shape: ModelShape, choices: dict[str, object], tensor: int
) -> None:
    uses = [
        total(shape, plain(Layout(64 * tensor, 8, group, tensor), **choices))
        for group in (1, 2, 8 // tensor, 16, 64)
        if group != 1 or tensor < 8
    ]
    assert uses == sorted(uses, reverse=True)


@settings(max_examples=150, deadline=None)
@given(SHAPES, CHOICES, st.sampled_from([1, 2, 16]))
def test_splitting_matrices_never_needs_more(
    shape: ModelShape, choices: dict[str, object], group: int
) -> None:
    if not shape.is_gated:
        choices = {**choices, "recompute": "blocks"}
    uses = [total(shape, plain(Layout(64, 4, group, tensor), **choices)) for tensor in (1, 2, 4)]
    assert uses == sorted(uses, reverse=True)


def test_the_joint_matrix_of_gpt2_is_the_one_thing_that_splitting_adds() -> None:
    """Each block keeps a copy of what the ranks exchange: seen where little else is left."""
    few_tokens = CLOVA.with_context(128)
    layouts = [Layout(512, 8, 256, tensor) for tensor in (1, 2)]
    kept = [memory_use(few_tokens, plain(layout, recompute="none")) for layout in layouts]
    assert kept[1].activations > kept[0].activations
    megatron = replace(HUNMIN, has_joint_projection=False)
    kept = [memory_use(few_tokens, plain(layout, recompute="none"), megatron) for layout in layouts]
    assert kept[1].activations < kept[0].activations


@settings(max_examples=150, deadline=None)
@given(SHAPES, CHOICES, LAYOUTS)
def test_more_rows_never_need_less(
    shape: ModelShape, choices: dict[str, object], layout: tuple[int, int]
) -> None:
    group, tensor = layout
    strategies = [
        plain(Layout(group * tensor, tensor, group, tensor), **{**choices, "micro_batch": rows})
        for rows in (1, 2, 3, 4, 8, 16)
    ]
    uses = [total(shape, strategy) for strategy in strategies]
    assert uses == sorted(uses)


@settings(max_examples=150, deadline=None)
@given(SHAPES, CHOICES, LAYOUTS)
def test_the_more_is_recomputed_the_less_is_needed(
    shape: ModelShape, choices: dict[str, object], layout: tuple[int, int]
) -> None:
    group, tensor = layout
    base = Layout(group * tensor, tensor, group, tensor)
    uses = [
        total(shape, plain(base, **{**choices, "recompute": kind}))
        for kind in ("blocks", "attention", "none")
    ]
    assert uses == sorted(uses)


@settings(max_examples=100, deadline=None)
@given(SHAPES, CHOICES, st.sampled_from([2, 4]))
def test_every_part_is_a_number_of_bytes(
    shape: ModelShape, choices: dict[str, object], pipeline: int
) -> None:
    for habits in (HUNMIN, MEGATRON):
        use = memory_use(shape, plain(Layout(8, 8, 8), pipeline=pipeline, **choices), habits)
        assert all(getattr(use, part) >= 0 for part in DEVICE_PARTS)


# -- what would fit ------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_the_nearest_group_that_does() -> None:
    strategy = plain(Layout(8, 8, 8))
    with pytest.raises(InputError, match="hyperclova-82b does not fit 8 x 40 GB") as caught:
        check_fits(CLOVA, strategy, 40 * GB)
    found = re.search(r"group of at least (\d+) devices", str(caught.value))
    assert found is not None
    group = int(found[1])
    for size, fits in ((group, True), (group - 8, False)):
        assert memory_use(CLOVA, plain(Layout(size, 8, size))).fits(40 * GB) is fits


def test_each_way_out_that_is_named_fits() -> None:
    strategy = plain(Layout(64, 8, 16), recompute="none", micro_batch=6, loss_chunk=None)
    ways = ways_to_fit(GATED, strategy, 40 * GB)
    assert ways == ("tensor 4", "recomputed blocks", "at most 3 rows a microbatch")
    for tensor, rows, fits in ((4, 6, True), (2, 6, False), (1, 3, True), (1, 4, False)):
        tried = replace(strategy, layout=Layout(64, 8, 16, tensor), micro_batch=rows)
        assert memory_use(GATED, tried).fits(40 * GB) is fits
    assert memory_use(GATED, replace(strategy, recompute="blocks")).fits(40 * GB)


def test_a_smaller_chunk_of_the_loss_is_a_way_out_of_a_large_vocabulary() -> None:
    many_words = replace(GATED, vocab_size=512_000)
    strategy = plain(Layout(64, 8, 64), loss_chunk=None)
    memory = 23 * GB
    (way,) = (way for way in ways_to_fit(many_words, strategy, memory) if "loss" in way)
    chunk = int(way.split()[3])
    for tokens, fits in ((chunk, True), (2 * chunk, False)):
        assert memory_use(many_words, replace(strategy, loss_chunk=tokens)).fits(memory) is fits


def test_where_no_change_alone_is_enough_they_are_put_together() -> None:
    strategy = plain(Layout(1024, 8, 64), recompute="none", micro_batch=8)
    ways = ways_to_fit(CLOVA, strategy, 40 * GB)
    assert any("1 row a microbatch and a partition group of at least 128" in way for way in ways)
    layout = Layout(1024, 8, 128)
    assert memory_use(CLOVA, plain(layout, recompute="blocks", micro_batch=1)).fits(40 * GB)


def test_what_nothing_can_help_says_how_large_a_device_must_be() -> None:
    huge = GPT3.with_context(1_000_000)
    with pytest.raises(InputError, match=r"it needs devices of [\d.]+ [GT]B"):
        check_fits(huge, plain(Layout(8, 8, 8)), GB)


def test_what_fits_is_returned() -> None:
    strategy = plain(Layout(8, 8, 8))
    assert check_fits(GATED, strategy, 80 * GB) == memory_use(GATED, strategy)


def test_it_works_without_torch() -> None:
    code = "import hunmin.planner.memory, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
