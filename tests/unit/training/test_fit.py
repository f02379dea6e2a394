"""What is measured on one and two blocks is what a whole model keeps."""

from __future__ import annotations

import pytest
import torch

from hunmin.core.errors import InputError
from hunmin.models.build import model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.spec import ParallelSpec
from hunmin.parallel.world import local_world
from hunmin.training.fit import _kept_for_backward, _random_rows, measure_footprint, smallest_group
from hunmin.training.machine import Machine
from hunmin.training.spec import AdamWSpec, TrainSpec

MACHINE = Machine(torch.device("cpu"), "bf16", 1e12, 1)
TRAIN = TrainSpec(microbatch_tokens=256, loss_chunk_tokens=64)


@pytest.mark.parametrize("preset", ["hunmin", "kogpt2-125m"])
def test_activations_of_a_deep_model_follow_from_shallow_ones(preset: str) -> None:
    size = {"size": None} if preset == "hunmin" else {"heads": 2}
    spec = ModelSpec(preset=preset, layers=6, width=128, **size)
    config = model_config(spec, vocab_size=512, context=32)
    found = measure_footprint(config, TRAIN, ParallelSpec(), MACHINE, context=32)
    batch = _random_rows(config, 8, 32, MACHINE.device)
    whole = _kept_for_backward(config, batch, TRAIN, MACHINE)
    logits = 64 * 512 * (2 + 4)
    assert found.activation_bytes == pytest.approx(whole + logits, rel=0.01)


def test_recomputation_and_the_optimizer_show_in_the_footprint() -> None:
    config = model_config(ModelSpec(layers=8, width=128, size=None), vocab_size=512, context=32)
    plain = measure_footprint(config, TRAIN, ParallelSpec(), MACHINE, context=32)
    saving = TRAIN.model_copy(update={"activation_checkpointing": True, "optimizer": AdamWSpec()})
    less = measure_footprint(config, saving, ParallelSpec(), MACHINE, context=32)
    assert less.activation_bytes < plain.activation_bytes / 2
    assert (plain.optimizer_bytes, less.optimizer_bytes) == (4, 8)
    assert plain.parameters == plain.outside_parameters + 8 * plain.block_parameters


def test_a_given_group_that_cannot_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hunmin.training.fit.device_memory", lambda world: 1_000_000)
    config = model_config(ModelSpec(layers=2, width=128, size=None), vocab_size=512, context=32)
    parallel = ParallelSpec(partition_group=2)
    with pytest.raises(InputError, match=r"partition_group[\s\S]*at least 6"):
        smallest_group(config, TRAIN, parallel, MACHINE, local_world(), context=32)
