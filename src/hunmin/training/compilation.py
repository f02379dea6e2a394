"""Per-block torch.compile and activation checkpointing, applied from outside the model."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from hunmin.core.environment import find_compiler
from hunmin.core.errors import InputError
from hunmin.models.blocks import transformer_blocks
from hunmin.training.plan import TrainPlan
from hunmin.training.spec import TrainSpec

MIN_TOKENS_TO_COMPILE = 20_000_000
"""Shorter runs on a GPU end before compiling has paid off."""


def prepare_blocks(
    model: PreTrainedModel, spec: TrainSpec, plan: TrainPlan, device: torch.device
) -> bool:
    """Apply activation checkpointing and compilation as the recipe says.

    Args:
        model: Changed in place; parameter names stay as they are.
        spec: What the recipe says.
        plan: Length of the run, for `compile: auto`.
        device: Where the model lies.

    Returns:
        Whether the blocks are compiled.

    Raises:
        InputError: Compilation was asked for and there is no C++ compiler.
    """
    if spec.activation_checkpointing:
        enable_checkpointing(model)
    if not _wants_compilation(spec, plan, device):
        return False
    for block in transformer_blocks(model):
        block.compile(dynamic=False)
    return True


def enable_checkpointing(model: PreTrainedModel) -> None:
    """Recompute the activations of every block in the backward pass."""
    new_name = getattr(model, "activation_checkpointing_enable", None)
    enable = new_name or model.gradient_checkpointing_enable  # the name of older transformers
    enable({"use_reentrant": False})


def _wants_compilation(spec: TrainSpec, plan: TrainPlan, device: torch.device) -> bool:
    has_compiler = device.type == "cuda" or find_compiler() is not None
    if spec.compile == "blocks" and not has_compiler:
        raise InputError(
            "compiling for the CPU needs a C++ compiler",
            where="train.compile",
            given="blocks, and no g++ on the PATH or named in CXX",
            allowed="none or auto",
            hint="install g++ (Debian: apt install g++)",
        )
    if spec.compile == "auto":
        # On a CPU no clear gain was measured over `optimize_model` alone (LAB.md).
        return device.type == "cuda" and plan.total_tokens >= MIN_TOKENS_TO_COMPILE
    return spec.compile == "blocks"
