"""Checkpoints of a run: model, optimizer, random generators and TrainState, by one or many ranks.

checkpoints/step-00000400/
    manifest.json           checksums of the files below; written last
    index.json              which file holds which part of which tensor
    state.json              TrainState and the identity of the run
    shard-…-of-….safetensors    "model.<parameter>", "optimizer.<parameter>|<entry>",
                                "random.<rank>.<device>"; what is learned beside the model
                                is among its parameters (`training.trained`)
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch import nn

from hunmin.core.artifact import Artifact
from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import (
    ArtifactKindError,
    ArtifactMismatchError,
    CorruptArtifactError,
    HunminError,
)
from hunmin.core.logs import get_logger
from hunmin.parallel.checkpoint import (
    CheckpointContent,
    CheckpointSaver,
    MemoryCopies,
    Ranks,
    SavedCheckpoint,
    SaveJob,
    open_checkpoint,
)
from hunmin.parallel.checkpoint.index import CheckpointIndex
from hunmin.parallel.checkpoint.model_state import (
    SavedState,
    StateOnDisk,
    load_module,
    load_run,
    restore_generators,
    run_tensors,
)
from hunmin.parallel.checkpoint.steps import StepFolders
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.state import TrainState

logger = get_logger(__name__)

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
        self._folders = StepFolders(path)

    @functools.cached_property
    def ranks(self) -> Ranks:
        """Who saves and loads together."""
        return Ranks.join(timeout=self._timeout)

    @functools.cached_property
    def _saver(self) -> CheckpointSaver:
        """Made for the first checkpoint, when nothing of an earlier process is written any more."""
        if self.ranks.is_first:
            self._folders.remove_drafts()
        apart = Ranks.join_apart(timeout=self._timeout) if self.asynchronous else None
        return CheckpointSaver(self.ranks, apart)

    def step_path(self, step: int) -> Path:
        """Return the folder of the checkpoint of a step."""
        return self._folders.of(step)

    def steps(self) -> list[int]:
        """Return the steps that have a finished checkpoint, oldest first."""
        return self._folders.steps()

    def save(self, model: nn.Module, optimizer: OptimizerSet, state: TrainState) -> Path:
        """Write the checkpoint of the present step, or begin to.

        Args:
            model: The model, and what is learned beside it.
            optimizer: Its optimizer.
            state: Where the run stands.

        Returns:
            The folder; it is finished when `collect` says so, which may be at once.

        Raises:
            DiskFullError: No space was left on some rank; older checkpoints are untouched.
            StageFailedError: It could not be written for another reason.
        """
        path = self.step_path(state.step)
        text = json.dumps(self.content(state), indent=2)
        facts = {"step": state.step, "tokens": state.tokens, "ranks": self.ranks.size}
        job = SaveJob(path, state.step, CheckpointContent({"state.json": text}, facts))
        self._saver.save(job, run_tensors(model, optimizer, self.ranks.rank))
        self.newest_step = state.step
        return path

    def content(self, state: TrainState) -> dict[str, Any]:
        """Return what is saved beside the tensors, as a JSON value."""
        return {"identity": self.identity, "state": state.as_dict()}

    def copy(
        self,
        copies: MemoryCopies,
        model: nn.Module,
        optimizer: OptimizerSet,
        state: TrainState,
    ) -> float:
        """Copy the state of the present step into the memory of the nodes.

        Args:
            copies: Of this run.
            model: The model, and what is learned beside it.
            optimizer: Its optimizer.
            state: Where the run stands.

        Returns:
            Seconds that training stood still for it.

        Raises:
            DiskFullError: The memory file system of some node is too small.
        """
        tensors = run_tensors(model, optimizer, self.ranks.rank)
        return copies.save(state.step, tensors, self.content(state))

    def run_id(self) -> str:
        """Return a name of this run that no other has, though it may have the same recipe.

        Returns:
            The same on every rank and after a restart; another one where the folder is new.
        """
        file = self.path / "run-id"
        if self.ranks.is_first and not file.is_file():
            atomic_write_text(file, uuid.uuid4().hex)
        name = file.read_text(encoding="utf-8") if self.ranks.is_first else None
        return str(self.ranks.share(name))

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
        """Let the checkpoint being written come to its end before an error ends the process."""
        if "_saver" in self.__dict__:  # to make one is collective, and others may be gone
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
        for step in reversed(self.shared_steps()):
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

    def shared_steps(self) -> list[int]:
        """Return the steps that have a finished checkpoint as the first rank sees them."""
        if self.ranks.is_first:
            self._folders.recover()
        return list(self.ranks.share(self.steps()))

    def prune(self, *, keep: int, best_step: int | None) -> None:
        """Delete all but the newest `keep` checkpoints and the best one."""
        for step in self.steps()[:-keep] if self.ranks.is_first else ():
            if step != best_step:
                self._folders.delete(step)


def refuse_other_run(checkpoint: Artifact, identity: str) -> None:
    """Refuse to go on from a checkpoint of another recipe or other data.

    Args:
        checkpoint: The checkpoint.
        identity: Hash of what must be equal.

    Raises:
        ArtifactMismatchError: It belongs to another run.
    """
    _refuse_other_identity(checkpoint.path, read_state(checkpoint)["identity"], identity)


def _refuse_other_identity(path: Path, found: str, identity: str) -> None:
    if found != identity:
        raise ArtifactMismatchError(
            "this checkpoint belongs to a run with another recipe or other data",
            where=path,
            hint="move the folder of checkpoints away, or name another place with --run-dir",
        )


def resume_newest(
    folder: CheckpointFolder,
    model: nn.Module,
    optimizer: OptimizerSet,
    *,
    copies: MemoryCopies | None = None,
    tensor: int = 1,
) -> TrainState | None:
    """Go back to the newest state there is: in the nodes' memory, or on disk.

    Args:
        folder: The checkpoints.
        model: The model to fill.
        optimizer: The optimizer to fill.
        copies: In-memory copies of this run, if it keeps any.
        tensor: Neighbouring ranks that split each matrix and draw the same random numbers.

    Returns:
        Where the run stands; None if nothing was saved yet.

    Raises:
        ArtifactMismatchError: What was saved belongs to another recipe or other data.
        CorruptArtifactError: There are checkpoints and none of them is whole.

    Note:
        Collective. If a copy in memory is as new as the newest checkpoint, no checkpoint is read.
    """
    state = _resume_from_memory(folder, model, optimizer, copies, tensor)
    if state is not None:
        return state
    checkpoint = folder.newest_whole()
    if checkpoint is None:
        return None
    refuse_other_run(checkpoint, folder.identity)
    return restore(checkpoint, model, optimizer, ranks=folder.ranks, tensor=tensor)


def _resume_from_memory(
    folder: CheckpointFolder,
    model: nn.Module,
    optimizer: OptimizerSet,
    copies: MemoryCopies | None,
    tensor: int,
) -> TrainState | None:
    copy = None if copies is None else copies.newest()
    on_disk = folder.shared_steps()[-1:]
    if copy is None or [copy.step] < on_disk:
        return None
    try:
        opened = copy.open()
        _refuse_other_identity(opened.path, opened.content["identity"], folder.identity)
        state = _restore(opened, opened.content, model, optimizer, folder.ranks, tensor)
    except CorruptArtifactError as error:
        if folder.ranks.is_first:
            logger.warning("looking for a checkpoint on disk instead:\n%s", error)
        return None
    if folder.ranks.is_first:
        logger.info("step %d was still in the memory of the nodes", state.step)
    folder.newest_step = state.step if on_disk == [state.step] else None
    return state


def restore(
    checkpoint: Artifact,
    model: nn.Module,
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
    saved = StateOnDisk(checkpoint, CheckpointIndex.read(checkpoint.path), ranks)
    return _restore(saved, read_state(checkpoint), model, optimizer, ranks, tensor)


def _restore(
    saved: SavedState,
    content: Mapping[str, Any],
    model: nn.Module,
    optimizer: OptimizerSet,
    ranks: Ranks,
    tensor: int,
) -> TrainState:
    generators = load_run(saved, model, optimizer, ranks)
    state = TrainState(**content["state"])
    restore_generators(
        generators, ranks, identity=content["identity"], step=state.step, tensor=tensor
    )
    return state


def load_weights(checkpoint: Artifact, model: nn.Module, *, ranks: Ranks | None = None) -> None:
    """Fill a model, whole or sharded, with the parameters of a checkpoint.

    Args:
        checkpoint: A verified checkpoint, of any number of ranks and any partition group.
        model: The model to fill.
        ranks: Who loads; None for all of this run, `Ranks()` for this process alone.

    Raises:
        ArtifactMismatchError: It is a checkpoint of another model; a parameter is named.
    """
    ranks = ranks or Ranks.join(timeout=DEFAULT_TIMEOUT)
    load_module(StateOnDisk(checkpoint, CheckpointIndex.read(checkpoint.path), ranks), model)


def read_state(checkpoint: Artifact) -> dict[str, Any]:
    """Return identity and state of a checkpoint as a JSON value."""
    return dict(json.loads((checkpoint.path / "state.json").read_text(encoding="utf-8")))
