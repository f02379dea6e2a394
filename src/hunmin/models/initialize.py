"""Fresh weights that depend on the seed and the parameter's name alone."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from hunmin.core.hashing import seed_from

RESIDUAL_OUTPUTS = ("attn.c_proj", "mlp.c_proj", "self_attn.o_proj", "mlp.down_proj")
"""Projections that write into the residual stream, as GPT-2 and Llama-like models name them."""


@torch.no_grad()
def initialize_parameters(model: PreTrainedModel, *, seed: int) -> None:
    """Draw all weights anew.

    Matrices and embeddings are normal with the configuration's `initializer_range`; those that
    write into the residual stream are smaller by sqrt(2 * layers), so that its variance does not
    grow with depth. Biases are 0, gains of norms 1, the row of the padding token 0.

    Args:
        model: A causal language model of transformers; changed in place.
        seed: Decides every weight, on every device and machine.

    Source:
        GPT-2 (Radford et al. 2019, section 2.3) for the residual scale.
    """
    std = float(model.config.initializer_range)
    residual_std = std / math.sqrt(2 * model.config.num_hidden_layers)
    done: set[int] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in done:
                continue
            done.add(id(parameter))
            if parameter.dim() < 2:
                parameter.fill_(1.0 if name == "weight" else 0.0)
                continue
            is_residual = module_name.endswith(RESIDUAL_OUTPUTS)
            _fill_normal(parameter, residual_std if is_residual else std, seed, module_name)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx] = 0.0


def _fill_normal(parameter: torch.Tensor, std: float, seed: int, name: str) -> None:
    """NumPy's Philox gives the same numbers on every machine; torch's do not promise that."""
    generator = np.random.Generator(np.random.Philox(seed_from(seed, name)))
    values = torch.from_numpy(generator.standard_normal(parameter.shape, dtype=np.float32))
    parameter.copy_(values.mul_(std))
