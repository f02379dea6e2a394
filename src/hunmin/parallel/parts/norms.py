"""Norms of gradients that ranks hold in parts.

Every rank sums the squares of its own parts in one go over all tensors, and one number for each
kind of sharing is summed up over the axes along which that kind is sharded. Copies are counted
once. What is sent is a few bytes, whatever the size of the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup
from torch.distributed.tensor import DTensor

from hunmin.core.errors import InputError
from hunmin.parallel.parts.sharing import local_part, sharing_of

_Groups = tuple[ProcessGroup, ...]


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients as if they were one vector.

    Args:
        parameters: Plain tensors, DTensors or both, in the same order on every rank; those
            without a gradient count as zero.

    Returns:
        A float32 scalar, the same on every rank; inf or nan if a gradient holds one.

    Raises:
        InputError: A gradient is not placed as its parameter is; it may wait to be summed up.

    Note:
        Collectives: one all-reduce of a few numbers for each mesh axis along which something is
        sharded, none in one process. Squares are summed in float32 within a part and in float64
        over parts, so that copies of the model, whose sums may run in another order, still get
        the same float32 number.
    """
    parameters = list(parameters)
    if any(isinstance(parameter, DTensor) for parameter in parameters):
        return _norm_of_parts(parameters)
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale gradients down, in place, so that their norm is at most `max_norm`.

    Args:
        parameters: As for `gradient_norm`.
        max_norm: Positive; infinite to take the norm only.

    Returns:
        The norm before, a float32 scalar. If it is inf or nan, so may the gradients be.

    Note:
        In one process this is torch.nn.utils.clip_grad_norm_, to the last bit.
    """
    parameters = list(parameters)
    if not any(isinstance(parameter, DTensor) for parameter in parameters):
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    norm = _norm_of_parts(parameters)
    gradients = [local_part(p.grad) for p in parameters if p.grad is not None]
    if gradients and not math.isinf(max_norm):
        torch._foreach_mul_(gradients, torch.clamp(max_norm / (norm + 1e-6), max=1.0))
    return norm


@torch.no_grad()
def _norm_of_parts(parameters: Sequence[Tensor]) -> Tensor:
    # By the parameters, not by the gradients: every rank must call the same collectives.
    members: dict[_Groups, list[Tensor]] = {}
    for parameter in parameters:
        members.setdefault(_sharding_groups(parameter), []).append(parameter)
    sums = {groups: _sum_of_squares(some) for groups, some in members.items()}
    for group in dict.fromkeys(group for groups in sums for group in groups):
        _add_over_ranks([total for groups, total in sums.items() if group in groups], group)
    return torch.stack(list(sums.values())).sum().sqrt().float()


def _sharding_groups(tensor: Tensor) -> _Groups:
    if not isinstance(tensor, DTensor):
        return ()
    sharing = sharing_of(tensor)
    return tuple(sharing.mesh.get_group(axis) for axis in sharing.sharded)


def _sum_of_squares(parameters: Sequence[Tensor]) -> Tensor:
    gradients = [_checked_part(p, p.grad) for p in parameters if p.grad is not None]
    if not gradients:
        return torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    norms = torch._foreach_norm(gradients, 2, dtype=torch.float32)
    return torch.stack(norms).double().square().sum()


def _checked_part(parameter: Tensor, gradient: Tensor) -> Tensor:
    placed = [t.placements for t in (parameter, gradient) if isinstance(t, DTensor)]
    if len(set(placed)) > 1:
        raise InputError(
            "a gradient must be placed as its parameter is",
            given="parameter {}, gradient {}".format(*placed),
            hint="sum it up over the ranks that hold copies, and scatter it, before its norm",
        )
    return local_part(gradient)


def _add_over_ranks(totals: Sequence[Tensor], group: ProcessGroup) -> None:
    together = torch.stack(list(totals))
    dist.all_reduce(together, group=group)
    for total, value in zip(totals, together, strict=True):
        total.copy_(value)
