"""Model and optimizer as named tensors, and back: from a disk or from a node's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, suggest
from hunmin.core.logs import get_logger
from hunmin.parallel.checkpoint.index import CheckpointIndex, TensorRecord
from hunmin.parallel.checkpoint.load import load_tensors
from hunmin.parallel.checkpoint.random_states import (
    random_states,
    seed_again,
    set_random_states,
)
from hunmin.parallel.checkpoint.ranks import Ranks

logger = get_logger(__name__)

MODEL, OPTIMIZER = "model.", "optimizer."


class StatefulOptimizer(Protocol):
    """An optimizer whose state is a dictionary of named tensors."""

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the state as tensors named "parameter|entry"."""

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `state_tensors` returned."""


class SavedState(Protocol):
    """A state that was saved, wherever it lies."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def index(self) -> CheckpointIndex:
        """Which tensors it holds, and how many ranks wrote it."""

    def has(self, name: str) -> bool:
        """Tell whether a tensor is in it."""

    def load(self, targets: Mapping[str, Tensor]) -> None:
        """Fill tensors, on all ranks together."""


@dataclass(frozen=True)
class StateOnDisk:
    """A checkpoint to load from.

    Args:
        checkpoint: A verified one.
        index: Of the checkpoint.
        ranks: Who loads.
    """

    checkpoint: Artifact
    index: CheckpointIndex
    ranks: Ranks

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.checkpoint.path

    def has(self, name: str) -> bool:
        """Tell whether a tensor is in it."""
        return name in self.index.tensors

    def load(self, targets: Mapping[str, Tensor]) -> None:
        """Fill tensors, on all ranks together."""
        load_tensors(self.checkpoint, targets, self.ranks)


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and persistent buffers; tied ones once, under their first name."""
    values = module.state_dict(keep_vars=True)
    names = {name for name, _ in module.named_parameters()}
    parameters = {id(value) for name, value in values.items() if name in names}
    return {
        name: value.detach()
        for name, value in values.items()
        if name in names or id(value) not in parameters
    }


def run_tensors(module: nn.Module, optimizer: StatefulOptimizer, rank: int) -> dict[str, Tensor]:
    """Return all tensors of a run by their names in a checkpoint.

    Args:
        module: The model.
        optimizer: Its optimizer.
        rank: This one.

    Returns:
        Views of the live tensors: plain ones and DTensors.
    """
    return _named(module_tensors(module), optimizer.state_tensors()) | random_states(rank)


def _named(parameters: Mapping[str, Tensor], states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {MODEL + name: value for name, value in parameters.items()}
    return named | {OPTIMIZER + name: value for name, value in states.items()}


def load_module(saved: SavedState, module: nn.Module) -> None:
    """Fill a model with the parameters of a saved state.

    Args:
        saved: The state.
        module: The model, whole or sharded.

    Raises:
        ArtifactMismatchError: It is of another model; a parameter is named.
    """
    parameters = module_tensors(module)
    _refuse_surplus(saved, parameters)
    saved.load(_named(parameters, {}))


def load_run(
    saved: SavedState, module: nn.Module, optimizer: StatefulOptimizer, ranks: Ranks
) -> dict[str, Tensor]:
    """Fill model and optimizer.

    Args:
        saved: The state.
        module: The model to fill.
        optimizer: The optimizer to fill.
        ranks: Who loads.

    Returns:
        This rank's random generators as they were saved; empty if other ranks saved them.

    Raises:
        ArtifactMismatchError: It is of another model; a parameter is named.
    """
    parameters = module_tensors(module)
    _refuse_surplus(saved, parameters)
    states = _optimizer_targets(saved.index, parameters)
    generators = random_states(ranks.rank) if saved.index.world_size == ranks.size else {}
    generators = {name: state for name, state in generators.items() if saved.has(name)}
    saved.load(_named(parameters, states) | generators)
    optimizer.load_state_tensors(states)
    return generators


def restore_generators(
    generators: Mapping[str, Tensor], ranks: Ranks, *, identity: str, step: int, tensor: int
) -> None:
    """Let random generators go on where they were, or seed them anew.

    Args:
        generators: What `load_run` returned.
        ranks: All ranks.
        identity: Of the run; the seed of the recipe is part of it.
        step: Where the run stands.
        tensor: Neighbouring ranks that draw the same numbers.
    """
    if generators:
        set_random_states(ranks.rank, generators)
        return
    seed_again(identity, step, ranks.rank // tensor)
    if ranks.is_first:
        logger.info("another number of ranks goes on: random generators are seeded anew")


def _optimizer_targets(
    index: CheckpointIndex, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Optimizer states are spread like their parameter if they have its shape, else plain."""
    return {
        key: _like(parameters[key.rsplit("|", 1)[0]], index.tensors[OPTIMIZER + key])
        for key in index.names(OPTIMIZER)
    }


def _like(parameter: Tensor, record: TensorRecord) -> Tensor:
    if record.shape == tuple(parameter.shape):
        return torch.empty_like(parameter, dtype=record.torch_dtype)
    return torch.empty(record.shape, dtype=record.torch_dtype, device=parameter.device)


def _refuse_surplus(saved: SavedState, parameters: Mapping[str, Tensor]) -> None:
    owners = {key.rsplit("|", 1)[0] for key in saved.index.names(OPTIMIZER)}
    surplus = sorted({*saved.index.names(MODEL), *owners} - parameters.keys())
    if surplus:
        raise ArtifactMismatchError(
            "this checkpoint is of another model",
            where=saved.path,
            given=f"{surplus[0]} is in it and not in this model, {len(surplus)} such in all."
            + suggest(surplus[0], parameters),
            hint="give the recipe that the checkpoint was made with",
        )
