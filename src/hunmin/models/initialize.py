"""Fresh weights that depend on the seed and the parameter's name alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.core.hashing import seed_from
from hunmin.models.pieces import held_part, held_pieces, write_rows

RESIDUAL_OUTPUTS = ("attn.c_proj", "mlp.c_proj", "self_attn.o_proj", "mlp.down_proj")
"""Projections that write into the residual stream, as GPT-2 and Llama-like models name them."""
_OTHER_RESIDUAL_OUTPUTS = {
    "modernbert": ("attn.Wo", "mlp.Wo"),
    "roberta-prelayernorm": ("output.dense",),
    "mbart": ("attn.out_proj", "fc2"),
}
"""The same of other pre-LN models. Post-LN ones norm the stream after each addition."""

BLOCK_VALUES = 1 << 20
"""Values drawn at once: what a process needs beyond the part of a parameter that it keeps."""


@torch.no_grad()
def initialize_parameters(model: PreTrainedModel, *, seed: int) -> None:
    """Draw all weights anew.

    Matrices and embeddings are normal with the configuration's `initializer_range` (`init_std` of
    BART); those that write into the residual stream are smaller by sqrt(additions to the stream), 2
    a layer, 3 in decoders that also read an encoder, so that its variance does not grow with depth.
    Biases are 0, gains of norms 1, the row of the padding token 0. T5 is as in its own
    implementation: embeddings have 1, matrices 1 / sqrt(inputs), and those of queries are smaller
    by sqrt(size of a head), for the scores are not.

    Args:
        model: A language model of transformers; changed in place. Of sharded parameters each
            process fills its own part.
        seed: Decides every weight, on every device and machine, however the model is sharded.

    Note:
        Collectives: none. Memory: 4 MiB a thread. A process that holds the last rows of a
        parameter has to draw all rows before them as well (about 8 ns a value).

    Source:
        GPT-2 (Radford et al. 2019, section 2.3) for the residual scale.
    """
    done: set[int] = set()
    drawn: list[Callable[[], None]] = []
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in done:
                continue
            done.add(id(parameter))
            if parameter.dim() < 2:
                held_part(parameter).fill_(1.0 if name == "weight" else 0.0)
                continue
            own_std = _spread(model.config, module_name, parameter)
            drawn.append(partial(_fill_normal, parameter, own_std, seed, module_name))
    _run_all(drawn)
    _zero_padding_rows(model)


def _spread(config: Any, name: str, parameter: Tensor) -> float:
    """Return the standard deviation of a matrix."""
    if hasattr(config, "initializer_factor"):
        return float(config.initializer_factor) * _t5_spread(config, name, parameter)
    std = getattr(config, "initializer_range", None)
    std = float(config.init_std if std is None else std)
    if not name.endswith(_OTHER_RESIDUAL_OUTPUTS.get(config.model_type, RESIDUAL_OUTPUTS)):
        return std
    if config.is_encoder_decoder and ".decoder." in name:
        return std / math.sqrt(3 * config.decoder_layers)
    return std / math.sqrt(2 * config.num_hidden_layers)


def _t5_spread(config: Any, name: str, parameter: Tensor) -> float:
    if name.endswith(("shared", "embed_tokens", "lm_head")):
        return 1.0
    if name.endswith("relative_attention_bias"):
        return float(config.d_model**-0.5)
    std = float(parameter.shape[1] ** -0.5)
    return std * float(config.d_kv**-0.5) if name.endswith(".q") else std


def _run_all(jobs: list[Callable[[], None]]) -> None:
    """Each parameter has numbers of its own, so the order does not matter."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


@torch.no_grad()
def _fill_normal(parameter: Tensor, std: float, seed: int, name: str) -> None:
    """NumPy's Philox gives the same numbers on every machine; torch's do not promise that."""
    generator = np.random.Generator(np.random.Philox(seed_from(seed, name)))
    last = max((piece.whole[0].stop for piece in held_pieces(parameter)), default=0)
    rest = parameter.shape[1:]
    step = max(1, BLOCK_VALUES // math.prod(rest))
    for first in range(0, last, step):
        # A normal number takes an unknown count of random words: no row can be jumped to.
        rows = min(step, len(parameter) - first)
        drawn = generator.standard_normal((rows, *rest), dtype=np.float32)
        write_rows(parameter, first, torch.from_numpy(drawn).mul_(std))


def _zero_padding_rows(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            table = module._parameters["weight"]
            if table is not None:
                write_rows(table, module.padding_idx, torch.zeros(1, *table.shape[1:]))
