"""FLOPs of the machine against those of the model, and against what torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig

from hunmin.models.build import build_model, model_config
from hunmin.models.flops import hardware_flops_per_token, train_flops_per_token
from hunmin.models.spec import ModelSpec

CONTEXT = 16


def config_of(vocab_size: int) -> PreTrainedConfig:
    spec = ModelSpec(layers=3, width=128, feedforward=512)
    return model_config(spec, vocab_size=vocab_size, context=CONTEXT)


def counted_flops_per_token(config: PreTrainedConfig, *, recomputes: bool) -> float:
    """What torch counts in forward and backward of the blocks and the output matrix."""
    model = build_model(config, seed=1)
    if recomputes:
        new_name = getattr(model, "activation_checkpointing_enable", None)
        (new_name or model.gradient_checkpointing_enable)({"use_reentrant": False})
    model.train()
    ids = torch.zeros(2, CONTEXT, dtype=torch.long)
    with set_checkpoint_early_stop(False), FlopCounterMode(display=False) as counter:
        model(input_ids=ids).logits.sum().backward()
    return counter.get_total_flops() / ids.numel()


def test_without_recomputation_machine_and_model_do_the_same() -> None:
    config = config_of(640)
    same = hardware_flops_per_token(config, CONTEXT, recomputes=False)
    assert same == train_flops_per_token(config, CONTEXT)


def test_recomputation_costs_up_to_a_third_more() -> None:
    small, large = config_of(64), config_of(64 * 1024)
    ratios = [
        hardware_flops_per_token(config, CONTEXT, recomputes=True)
        / train_flops_per_token(config, CONTEXT)
        for config in (small, large)
    ]
    assert ratios[0] == pytest.approx(4 / 3, rel=0.01)
    assert 1 < ratios[1] < 1.1  # most of the work is the output matrix, which is done once


@pytest.mark.parametrize("recomputes", [False, True])
def test_formulas_agree_with_what_torch_counts(recomputes: bool) -> None:
    config = config_of(640)
    counted = counted_flops_per_token(config, recomputes=recomputes)
    assert hardware_flops_per_token(config, CONTEXT, recomputes=recomputes) == pytest.approx(
        counted, rel=0.03
    )
