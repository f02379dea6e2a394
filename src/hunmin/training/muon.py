"""Muon, for matrices that are whole and for matrices whose parts lie on several ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hunmin.parallel.parts import local_part
from hunmin.parallel.whole import WholeMatrices, groups_alike

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7
_TRAVEL_TYPE = torch.bfloat16
"""In which torch.optim.Muon orthogonalizes too, on every device; the cast loses nothing more."""


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal, with decoupled weight decay.

    Args:
        parameters: Matrices; plain tensors, DTensors or both, in the same order on every rank.
        learning_rate: Step size, scaled so that an update has the size that AdamW's has.
        momentum: Decay of the momentum average (Nesterov); [0, 1).
        weight_decay: Decay towards zero per step and learning rate.
        divide_copies: Whether copies of the model divide the matrices among them and exchange
            updates, instead of each working out all of them.

    Raises:
        InputError: The ranks of a mesh do not ascend, or a parameter is not split by torch.chunk.

    Note:
        Momentum is kept in parts, as the parameters are. For N elements of matrices, of which P
        ranks hold parts of each and C copies exist, a rank sends in a step

            4 N (P-1) / (P² C)   bytes in the partition group, bfloat16 there and back, and
            2 N (C-1) / (P C)    bytes to its copies (so much it receives in their all-gathers),

        and orthogonalizes 1 / (P C) of the matrices; gathering every matrix on every rank would
        be 2 N (P-1) / P bytes and all of the work. `divide_copies` pays where a link between
        copies carries more than F / (15 h) bytes a second for each rank, at matrices of width h
        and F FLOP/s in matrix products: 2.4 GB/s at h = 4096 and 150 TFLOP/s. It also keeps the
        copies equal to the last bit, whatever their hardware. All ranks must agree on which
        parameters have gradients. On whole matrices results are those of torch.optim.Muon with
        adjust_lr_fn="match_rms_adamw", to the last bit.

    Source:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/ (iteration, coefficients);
        Liu et al. 2025, arXiv:2502.16982, sections 2.2 (size of updates) and 2.3 (momentum in
        parts). Deviates from 2.3: matrices are exchanged all-to-all, so that each is
        orthogonalized once, where the paper gathers all of them on all ranks.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        divide_copies: bool = True,
    ) -> None:
        defaults = {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)
        everything = [p for group in self.param_groups for p in group["params"]]
        self._pools = [
            ([everything[number] for number in numbers], WholeMatrices(...))
            for numbers in groups_alike(everything)
        ]
