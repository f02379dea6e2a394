"""Checkpoints of a run: model, optimizer, random generators and TrainState, by one or many ranks.

checkpoints/step-00000400/
    manifest.json           checksums of the files below; written last
    index.json              which file holds which part of which tensor
    state.json              TrainState and the identity of the run
    shard-…-of-….safetensors    "model.<parameter>", "optimizer.<parameter>|<entry>",
                                "random.<rank>.<device>"
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.artifact import Artifact
from hunmin.core.atomic import recover_folder
from hunmin.core.errors import (
    ArtifactKindError,
    ArtifactMismatchError,
    CorruptArtifactError,
    HunminError,
    suggest,
)
from hunmin.core.logs import get_logger
from hunmin.parallel.checkpoint import (
    CheckpointContent,
    CheckpointSaver,
    Ranks,
    SavedCheckpoint,
    SaveJob,
    load_tensors,
    open_checkpoint,
)
from hunmin.parallel.checkpoint.index import CheckpointIndex, TensorRecord
from hunmin.parallel.checkpoint.random_states import (
    random_states,
    seed_again,
    set_random_states,
)
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.state import TrainState

logger = get_logger(__name__)

MODEL, OPTIMIZER = "model.", "optimizer."
DEFAULT_TIMEOUT = timedelta(minutes=30)
"""How long ranks wait for the slowest disk among them."""


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: Folder that holds one folder per checkpoint; on a disk that all nodes share.
        identity: Hash of what must be equal for a run to be resumed.
        asynchronous: Whether `save` returns as soon as the state is copied to the host's memory.
        timeout: How long ranks wait for each other.

    Note:
        All methods but `steps` and `step_path` are collective where torch.distributed is in use.
    """

    def __init__(
        self,
        path: Path,
        identity: str,
        *,
        asynchronous: bool = False,
        timeout: timedelta = DEFAULT_TIMEOUT,
    ) -> None:
        self.path = path
        self.identity = identity
        self.asynchronous = asynchronous
        self.newest_step: int | None = None
        """Step that was last found, or last saved; the same on every rank."""
        self._timeout = timeout

    @functools.cached_property
    def ranks(self) -> Ranks:
        """Who saves and loads together."""
        return Ranks.join(timeout=self._timeout)

    @functools.cached_property
    def _saver(self) -> CheckpointSaver:
        """Made for the first checkpoint, when nothing of an earlier process is written any more."""
        if self.ranks.is_first:
            self._remove_abandoned_drafts()
        apart = Ranks.join_apart(timeout=self._timeout) if self.asynchronous else None
        return CheckpointSaver(self.ranks, apart)

    def step_path(self, step: int) -> Path:
        """Return the folder of the checkpoint of a step."""
        return self.path / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Return the steps that have a finished checkpoint, oldest first."""
        names = [f.name for f in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(int(name[5:]) for name in names if re.fullmatch(r"step-\d{8}", name))

    def save(self, model: PreTrainedModel, optimizer: OptimizerSet, state: TrainState) -> Path:
        """Write the checkpoint of the present step, or begin to.

        Args:
            model: The model.
            optimizer: Its optimizer.
            state: Where the run stands.

        Returns:
            The folder; it is finished when `collect` says so, which may be at once.

        Raises:
            DiskFullError: No space was left on some rank; older checkpoints are untouched.
            StageFailedError: It could not be written for another reason.
        """
        path = self.step_path(state.step)
        content = {"identity": self.identity, "world_size": self.ranks.size}
        text = json.dumps({**content, "state": state.as_dict()}, indent=2)
        facts = {"step": state.step, "tokens": state.tokens, "ranks": self.ranks.size}
        job = SaveJob(path, state.step, CheckpointContent({"state.json": text}, facts))
        self._saver.save(job, run_tensors(model, optimizer, self.ranks.rank))
        self.newest_step = state.step
        return path

    def collect(self, *, wait: bool = False) -> list[SavedCheckpoint]:
        """Return the checkpoints that became safe on disk since the last call.

        Args:
            wait: Wait for the one being written.

        Returns:
            The same ones on every rank, oldest first.

        Raises:
            HunminError: One could not be saved; every rank raises it, in the same call.
        """
        return self._saver.collect(wait=wait)

    def abandon(self, *, seconds: float = 60.0) -> None:
        """Before the process ends with an error: let the checkpoint being written come to its end.

        Args:
            seconds: How long to wait at most.
        """
        self._saver.abandon(seconds=seconds)

    def open(self, step: int) -> Artifact:
        """Return the checkpoint of a step, verified by all ranks together.

        Args:
            step: Which one.

        Returns:
            The checkpoint.

        Raises:
            CorruptArtifactError: It is damaged.
            MissingInputError: There is none.
        """
        return open_checkpoint(self.step_path(step), self.ranks)

    def newest_whole(self) -> Artifact | None:
        """Return the newest checkpoint that passes its checksums; None if there is none.

        Returns:
            The checkpoint, the same on every rank.

        Raises:
            CorruptArtifactError: There are checkpoints and none of them is whole.
        """
        damaged: list[HunminError] = []
        for step in reversed(self._shared_steps()):
            try:
                checkpoint = self.open(step)
            except (CorruptArtifactError, ArtifactKindError) as error:
                # One that was being deleted when the process was killed has no manifest any more.
                if self.ranks.is_first:
                    logger.warning("skipping a damaged checkpoint:\n%s", error)
                damaged.append(error)
            else:
                self.newest_step = step
                return checkpoint
        if damaged:
            raise damaged[0]
        return None

    def _shared_steps(self) -> list[int]:
        if self.ranks.is_first and self.path.is_dir():
            for aside in self.path.glob(".step-*.old"):
                recover_folder(aside.with_name(aside.name[1 : -len(".old")]))
        steps: list[int] = self.ranks.share(self.steps())
        return steps

    def prune(self, *, keep: int, best_step: int | None) -> None:
        """Delete all but the newest `keep` checkpoints and the best one."""
        if not self.ranks.is_first:
            return
        for step in self.steps()[:-keep]:
            if step != best_step:
                # Without its name it is no checkpoint any more, even if a kill interrupts this.
                dying = self.path / f".step-{step:08d}.tmp-deleted"
                shutil.rmtree(dying, ignore_errors=True)
                with contextlib.suppress(FileNotFoundError):
                    self.step_path(step).rename(dying)
                shutil.rmtree(dying, ignore_errors=True)

    def _remove_abandoned_drafts(self) -> None:
        for draft in self.path.glob(".step-*.tmp-*"):
            shutil.rmtree(draft, ignore_errors=True)


def refuse_other_run(checkpoint: Artifact, identity: str) -> None:
    """Refuse to go on from a checkpoint of another recipe or other data.

    Args:
        checkpoint: The checkpoint.
        identity: Hash of what must be equal.

    Raises:
        ArtifactMismatchError: It belongs to another run.
    """
    if read_state(checkpoint)["identity"] != identity:
        raise ArtifactMismatchError(
            "this checkpoint belongs to a run with another recipe or other data",
            where=checkpoint.path,
            hint="move the folder of checkpoints away, or name another place with --run-dir",
        )


def restore(
    checkpoint: Artifact,
    model: PreTrainedModel,
    optimizer: OptimizerSet,
    *,
    ranks: Ranks | None = None,
    tensor: int = 1,
) -> TrainState:
    """Put a checkpoint back into model, optimizer and random generators, to the last bit.

    Args:
        checkpoint: A verified checkpoint, of any number of ranks and any partition group.
        model: The model to fill.
        optimizer: The optimizer to fill.
        ranks: Who restores; None for all of this run.
        tensor: Neighbouring ranks that split each matrix and draw the same random numbers.

    Returns:
        Where the run stands.

    Raises:
        ArtifactMismatchError: It is a checkpoint of another model; a parameter is named.
        CorruptArtifactError: A file cannot be read.

    Note:
        Collective. With another number of ranks than wrote it, random generators are seeded anew.
    """
    ranks = ranks or Ranks.join(timeout=DEFAULT_TIMEOUT)
    content = read_state(checkpoint)
    index = CheckpointIndex.read(checkpoint.path)
    parameters = unique_tensors(model)
    refuse_surplus(index, parameters, checkpoint.path)
    states = optimizer_targets(index, parameters)
    is_same_world = content["world_size"] == ranks.size
    generators = random_states(ranks.rank) if is_same_world else {}
    generators = {name: value for name, value in generators.items() if name in index.tensors}
    load_tensors(checkpoint, _named(parameters, states) | generators, ranks)
    optimizer.load_state_tensors(states)
    state = TrainState(**content["state"])
    if is_same_world:
        set_random_states(ranks.rank, generators)
    else:
        seed_again(content["identity"], state.step, ranks.rank // tensor)
        if ranks.is_first:
            logger.info(
                "%d ranks go on from a checkpoint of %d: random generators are seeded anew",
                ranks.size,
                content["world_size"],
            )
    return state


def load_weights(
    checkpoint: Artifact, model: PreTrainedModel, *, ranks: Ranks | None = None
) -> None:
    """Fill a model, whole or sharded, with the parameters of a checkpoint.

    Args:
        checkpoint: A verified checkpoint, of any number of ranks and any partition group.
        model: The model to fill.
        ranks: Who loads; None for all of this run, `Ranks()` for this process alone.

    Raises:
        ArtifactMismatchError: It is a checkpoint of another model; a parameter is named.

    Note:
        Collective.
    """
    parameters = unique_tensors(model)
    refuse_surplus(CheckpointIndex.read(checkpoint.path), parameters, checkpoint.path)
    load_tensors(checkpoint, _named(parameters, {}), ranks or Ranks.join(timeout=DEFAULT_TIMEOUT))


def read_state(checkpoint: Artifact) -> dict[str, Any]:
    """Return identity and state of a checkpoint as a JSON value."""
    content: dict[str, Any] = json.loads(
        (checkpoint.path / "state.json").read_text(encoding="utf-8")
    )
    return content


def run_tensors(model: PreTrainedModel, optimizer: OptimizerSet, rank: int) -> dict[str, Tensor]:
    """Return all tensors of a run by their names in a checkpoint.

    Args:
        model: The model.
        optimizer: Its optimizer.
        rank: This one.

    Returns:
        Views of the live tensors: plain ones and DTensors.
    """
    return _named(unique_tensors(model), optimizer.state_tensors()) | random_states(rank)


def _named(parameters: Mapping[str, Tensor], states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = {MODEL + name: value for name, value in parameters.items()}
    return named | {OPTIMIZER + name: value for name, value in states.items()}


def unique_tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return parameters and persistent buffers; tied ones once, under their first name."""
    buffers = model.state_dict(keep_vars=True)
    names = {name for name, _ in model.named_parameters()}
    parameters = {id(value) for name, value in buffers.items() if name in names}
    return {
        name: value.detach()
        for name, value in buffers.items()
        if name in names or id(value) not in parameters
    }


def optimizer_targets(
    index: CheckpointIndex, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return empty tensors for the optimizer states of a checkpoint.

    Args:
        index: Of the checkpoint.
        parameters: Of the model, by name.

    Returns:
        "parameter|entry": spread like the parameter if it has its shape, else plain, on its device.
    """
    targets = {}
    for key in index.names(OPTIMIZER):
        parameter = parameters[key.rsplit("|", 1)[0]]
        targets[key] = _like(parameter, index.tensors[OPTIMIZER + key])
    return targets


def _like(parameter: Tensor, record: TensorRecord) -> Tensor:
    if record.shape == tuple(parameter.shape):
        return torch.empty_like(parameter, dtype=record.torch_dtype)
    return torch.empty(record.shape, dtype=record.torch_dtype, device=parameter.device)


def refuse_surplus(index: CheckpointIndex, parameters: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a checkpoint with parameters that the model does not have.

    Args:
        index: Of the checkpoint.
        parameters: Of the model, by name.
        path: The checkpoint, for the message.

    Raises:
        ArtifactMismatchError: Names the first of them.
    """
    owners = {key.rsplit("|", 1)[0] for key in index.names(OPTIMIZER)}
    surplus = sorted({*index.names(MODEL), *owners} - parameters.keys())
    if surplus:
        raise ArtifactMismatchError(
            "this checkpoint is of another model",
            where=path,
            given=f"{surplus[0]} is in it and not in this model, {len(surplus)} such in all."
            + suggest(surplus[0], parameters),
            hint="give the recipe that the checkpoint was made with",
        )
