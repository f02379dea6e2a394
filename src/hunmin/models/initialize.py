"""Fresh weights that depend on the seed and the parameter's name alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.core.hashing import seed_from
from hunmin.models.pieces import held_part, held_pieces, write_rows

RESIDUAL_OUTPUTS = ("attn.c_proj", "mlp.c_proj", "self_attn.o_proj", "mlp.down_proj")
"""Projections that write into the residual stream, as GPT-2 and Llama-like models name them."""

BLOCK_VALUES = 1 << 20
"""Values drawn at once: what a process needs beyond the part of a parameter that it keeps."""


@torch.no_grad()
def initialize_parameters(model: PreTrainedModel, *, seed: int) -> None:
    """Draw all weights anew.

    Matrices and embeddings are normal with the configuration's `initializer_range`; those that
    write into the residual stream are smaller by sqrt(2 * layers), so that its variance does not
    grow with depth. Biases are 0, gains of norms 1, the row of the padding token 0.

    Args:
        model: A causal language model of transformers; changed in place. Of sharded parameters
            each process fills its own part.
        seed: Decides every weight, on every device and machine, however the model is sharded.

    Note:
        Collectives: none. Memory: 4 MiB a thread. A process that holds the last rows of a
        parameter has to draw all rows before them as well (about 8 ns a value).

    Source:
        GPT-2 (Radford et al. 2019, section 2.3) for the residual scale.
    """
    std = float(model.config.initializer_range)
    residual_std = std / math.sqrt(2 * model.config.num_hidden_layers)
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
            is_residual = module_name.endswith(RESIDUAL_OUTPUTS)
            own_std = residual_std if is_residual else std
            drawn.append(partial(_fill_normal, parameter, own_std, seed, module_name))
    _run_all(drawn)
    _zero_padding_rows(model)


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
