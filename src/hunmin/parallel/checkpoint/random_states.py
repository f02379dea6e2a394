"""Random generators of the ranks: saved one by one, seeded anew where the ranks are others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hunmin.core.hashing import seed_from
from hunmin.core.logs import get_logger

logger = get_logger(__name__)

PREFIX = "random."


def random_states(rank: int) -> dict[str, Tensor]:
    """Return the states of this rank's generators as byte tensors.

    Args:
        rank: This one.

    Returns:
        "random.<rank>.<device>" for the CPU and, if it is in use, the present CUDA device.
    """
    states = {f"{PREFIX}{rank}.cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states[f"{PREFIX}{rank}.cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(rank: int, states: Mapping[str, Tensor]) -> None:
    """Restore what `random_states` returned, for the devices in use."""
    for name in random_states(rank):
        if name in states:
            setter = torch.cuda.set_rng_state if name.endswith(".cuda") else torch.set_rng_state
            setter(states[name].cpu())


def seed_again(identity: str, step: int, stream: int) -> None:
    """Seed this rank's generators where no state of theirs was saved.

    Args:
        identity: Of the run; the seed of the recipe is part of it.
        step: Where the run stands.
        stream: Number of the rank among those that see different data.
    """
    torch.manual_seed(seed_from(identity, step, stream) % 2**63)
