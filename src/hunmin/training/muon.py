"""Muon, for matrices that are whole and for matrices whose parts lie on several ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from hunmin.core.errors import InputError
from hunmin.parallel.parts.sharing import local_part
from hunmin.parallel.parts.whole import WholeMatrices, groups_alike

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
        InputError: A parameter is no matrix or not split by torch.chunk, or the ranks of its mesh
            do not ascend.

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
        matrices = list(parameters)
        _refuse_other_shapes(matrices)
        defaults = {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(matrices, defaults)
        self._pools: list[tuple[list[nn.Parameter], WholeMatrices]] = []
        for numbers in groups_alike(matrices):
            alike = [matrices[number] for number in numbers]
            self._pools.append((alike, WholeMatrices(alike, divide_copies=divide_copies)))

    def empty_state(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the state of a parameter before its first step, in parts as the parameter is."""
        return {"momentum_buffer": torch.zeros_like(parameter)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the matrices that have a gradient.

        Args:
            closure: Not supported.

        Note:
            Collective where matrices are in parts or in copies.
        """
        for matrices, pool in self._pools:
            present = [n for n, matrix in enumerate(matrices) if matrix.grad is not None]
            if present:
                self._update(matrices, present, pool)

    def _update(
        self, matrices: Sequence[nn.Parameter], present: Sequence[int], pool: WholeMatrices
    ) -> None:
        settings = self.param_groups[0]
        rate, momentum = settings["lr"], settings["momentum"]
        parts = {n: local_part(matrices[n]) for n in present}
        gradients = {n: local_part(cast("Tensor", matrices[n].grad)) for n in present}
        averages = {n: local_part(self._average(matrices[n])) for n in present}
        torch._foreach_lerp_(list(averages.values()), list(gradients.values()), 1 - momentum)
        torch._foreach_mul_(list(parts.values()), 1 - rate * settings["weight_decay"])

        def look_ahead(number: int) -> Tensor:
            return gradients[number].lerp(averages[number], momentum)

        for number, direction in pool.map(orthogonalize, look_ahead, present, _TRAVEL_TYPE):
            size = 0.2 * math.sqrt(max(matrices[number].shape))
            parts[number].add_(direction, alpha=-(rate * size))

    def _average(self, matrix: nn.Parameter) -> Tensor:
        if not self.state[matrix]:
            self.state[matrix] = self.empty_state(matrix)
        return cast("Tensor", self.state[matrix]["momentum_buffer"])


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring all singular values near 1 and keep the singular vectors (Newton-Schulz).

    Args:
        matrix: bfloat16, 2-D; it is changed.

    Returns:
        bfloat16 of the same shape, singular values roughly in [0.5, 1.5].
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    values = matrix.T if is_tall else matrix
    values.div_(values.norm().clamp(min=_SMALLEST_NORM))
    for _ in range(_ITERATIONS):
        gram = values @ values.T
        gram = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        values = torch.addmm(values, gram, values, beta=a)
    return values.T if is_tall else values


def _refuse_other_shapes(matrices: Sequence[Tensor]) -> None:
    for matrix in matrices:
        if matrix.ndim != 2:
            raise InputError(
                "Muon is for matrices",
                given=f"a parameter of shape {tuple(matrix.shape)}",
                allowed="two dimensions",
                hint="give the others to AdamW",
            )
