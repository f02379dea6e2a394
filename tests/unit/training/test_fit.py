"""What is measured on one and two blocks is what a whole model keeps, and what formulas say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedConfig

from hunmin.core.errors import InputError
from hunmin.models.build import count_parameters, model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.layout import Layout
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import local_world
from hunmin.planner.memory import Footprint, MemoryUse, memory_use
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.strategy import Strategy
from hunmin.training.fit import (
    _kept_for_backward,
    _random_rows,
    measure_activations,
    measure_footprint,
    smallest_group,
)
from hunmin.training.machine import Machine
from hunmin.training.spec import AdamWSpec, TrainSpec

MACHINE = Machine(torch.device("cpu"), "bf16", 1e12, 1)
GPT2 = ModelSpec(preset="kogpt2-125m", heads=4)
TRAIN = TrainSpec(microbatch_tokens=256, loss_chunk_tokens=64)


@pytest.mark.parametrize(
    ("preset", "tolerance"),
    [
        ("hunmin", 0.01),
        ("kogpt2-125m", 0.01),
        ("hunmin-encoder", 0.05),  # layers of two kinds; counted as the one that keeps more
        ("hunmin-seq2seq", 0.01),
    ],
)
def test_activations_of_a_deep_model_follow_from_shallow_ones(
    preset: str, tolerance: float
) -> None:
    size = {"heads": 2} if preset == "kogpt2-125m" else {"size": None}
    spec = ModelSpec(preset=preset, layers=6, width=128, **size)
    config = model_config(spec, vocab_size=512, context=32)
    found = measure_activations(config, TRAIN, MACHINE, context=32)
    batch = _random_rows(config, 8, 32, MACHINE.device)
    whole = _kept_for_backward(config, batch, TRAIN, MACHINE)
    assert found.kept(6, 8) == pytest.approx(whole, rel=tolerance)


def test_recomputation_and_the_optimizer_show_in_the_footprint() -> None:
    config = model_config(ModelSpec(layers=8, width=128, size=None), vocab_size=512, context=32)
    plain = measure_footprint(config, TRAIN, ParallelSpec(), MACHINE, context=32)
    saving = TRAIN.model_copy(update={"activation_checkpointing": True, "optimizer": AdamWSpec()})
    less = measure_footprint(config, saving, ParallelSpec(), MACHINE, context=32)
    assert less.use(1).activations < plain.use(1).activations / 2
    parameters = model_parameters(config)
    assert plain.weights.parameters == less.weights.parameters == parameters
    in_blocks = parameters - plain.weights.outside
    assert less.use(1).optimizer == 8 * parameters
    assert plain.use(1).optimizer == 4 * in_blocks + 8 * plain.weights.outside


def test_parameters_that_travel_in_another_type_are_copied_for_the_products() -> None:
    config = model_config(ModelSpec(layers=8, width=128, size=None), vocab_size=512, context=32)
    same = measure_footprint(config, TRAIN, ParallelSpec(), MACHINE, context=32)
    other = measure_footprint(
        config, TRAIN, ParallelSpec(gather_precision="fp32"), MACHINE, context=32
    )
    copies = 8 * 2 * same.weights.block
    more = other.use(1).activations - same.use(1).activations
    assert more == pytest.approx(copies, rel=0.01)  # norms are not copied


@pytest.mark.parametrize("recompute", ["none", "blocks"])
@pytest.mark.parametrize("family", ["hunmin", "gpt2"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_planners_formulas_agree_with_the_measurement(
    family: str, recompute: str, precision: str
) -> None:
    measured, formula = both_uses(family, recompute, precision)
    assert measured.total == pytest.approx(formula.total, rel=0.1)
    for part in ("parameters", "gradients", "optimizer", "gathered"):
        assert getattr(measured, part) == pytest.approx(getattr(formula, part), rel=0.01)


def test_a_model_of_one_layer_and_one_that_reads_an_encoder_have_a_footprint() -> None:
    shapes = {"hunmin-encoder": {"layers": 1}, "hunmin-seq2seq": {"layers": 4}}
    for preset, shape in shapes.items():
        spec = ModelSpec(preset=preset, size=None, width=128, **shape)
        config = model_config(spec, vocab_size=512, context=32)
        found = measure_footprint(config, TRAIN, ParallelSpec(), MACHINE, context=32)
        assert found.weights.parameters == model_parameters(config)
        measured = measure_activations(config, TRAIN, MACHINE, context=32)
        kept = found.activations.kept * found.weights.blocks
        assert kept == pytest.approx(shape["layers"] * 8 * measured.a_block_row, rel=0.01)


def test_a_given_group_that_cannot_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hunmin.training.fit.device_memory", lambda world: 1_000_000)
    config = model_config(ModelSpec(layers=2, width=128, size=None), vocab_size=512, context=32)
    parallel = ParallelSpec(partition_group=2)
    with pytest.raises(InputError, match=r"partition_group[\s\S]*at least 6"):
        smallest_group(config, TRAIN, parallel, MACHINE, local_world(), context=32)


def model_parameters(config: PreTrainedConfig) -> int:
    return count_parameters(config).total


def both_uses(family: str, recompute: str, precision: str) -> tuple[MemoryUse, MemoryUse]:
    """The peak in groups of two ranks, with measured and with calculated activations."""
    saves = {"layers": 6, "width": 256}
    spec = ModelSpec(size=None, **saves) if family == "hunmin" else GPT2.model_copy(update=saves)
    config = model_config(spec, vocab_size=1024, context=256)
    train = TRAIN.model_copy(
        update={"microbatch_tokens": 1024, "activation_checkpointing": recompute == "blocks"}
    )
    machine = replace(MACHINE, precision=precision)
    footprint = measure_footprint(config, train, ParallelSpec(), machine, context=256)
    return footprint.use(2), memory_use(shape_of(config), on_a_cpu(footprint))


def on_a_cpu(footprint: Footprint) -> Strategy:
    """Two ranks in a group, and the attention that `optimize_model` puts in."""
    return replace(footprint.strategy, layout=Layout(4, 4, 2), attention="plain")


def shape_of(config: PreTrainedConfig) -> ModelShape:
    if config.model_type == "gpt2":
        return gpt2_shape(
            "gpt2",
            layers=config.n_layer,
            width=config.n_embd,
            heads=config.n_head,
            vocab_size=config.vocab_size,
            context=config.n_positions,
        )
    return ModelShape(
        name="hunmin",
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        feedforward=config.intermediate_size,
        vocab_size=config.vocab_size,
        context=config.max_position_embeddings,
        is_gated=True,
        is_tied=config.tie_word_embeddings,
        has_biases=False,
    )
