"""Checkpoints: safetensors and JSON in an artifact folder, written whole or not at all.

checkpoints/step-00000400/
    manifest.json           checksums of the files below
    model.safetensors       parameters
    optimizer.safetensors   "parameter|entry" tensors
    random.safetensors      states of the random generators
    state.json              TrainState and the identity of the run
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    ArtifactMismatchError,
    CorruptArtifactError,
    HunminError,
)
from hunmin.core.logs import get_logger
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.state import TrainState

logger = get_logger(__name__)


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        path: Folder that holds one folder per checkpoint.
        identity: Hash of what must be equal for a run to be resumed.
    """

    path: Path
    identity: str

    def step_path(self, step: int) -> Path:
        """Return the folder of the checkpoint of a step."""
        return self.path / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Return the steps that have a finished checkpoint, oldest first."""
        names = [f.name for f in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(int(name[5:]) for name in names if re.fullmatch(r"step-\d{8}", name))

    def save(self, model: PreTrainedModel, optimizer: OptimizerSet, state: TrainState) -> Path:
        """Write the checkpoint of the present step.

        Args:
            model: The model.
            optimizer: Its optimizer.
            state: Where the run stands.

        Returns:
            The finished folder.

        Raises:
            DiskFullError: No space was left; older checkpoints are untouched.
        """
        path = self.step_path(state.step)
        with write_artifact(path, "checkpoint") as draft:
            save_file(_unique_tensors(model), draft.path / "model.safetensors")
            save_file(_contiguous(optimizer.state_tensors()), draft.path / "optimizer.safetensors")
            save_file(random_states(), draft.path / "random.safetensors")
            content = {"identity": self.identity, "state": state.as_dict()}
            (draft.path / "state.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
            draft.facts |= {"step": state.step, "tokens": state.tokens}
        return path

    def newest_whole(self) -> Artifact | None:
        """Return the newest checkpoint that passes its checksums; None if there is none.

        Returns:
            The checkpoint.

        Raises:
            CorruptArtifactError: There are checkpoints and none of them is whole.
        """
        damaged: list[HunminError] = []
        for step in reversed(self.steps()):
            try:
                return load_artifact(self.step_path(step), "checkpoint")
            except (CorruptArtifactError, ArtifactKindError) as error:
                # One that was being deleted when the process was killed has no manifest any more.
                logger.warning("skipping a damaged checkpoint:\n%s", error)
                damaged.append(error)
        if damaged:
            raise damaged[0]
        return None

    def prune(self, *, keep: int, best_step: int | None) -> None:
        """Delete all but the newest `keep` checkpoints and the best one."""
        for step in self.steps()[:-keep]:
            if step != best_step:
                shutil.rmtree(self.step_path(step))


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


def restore(checkpoint: Artifact, model: PreTrainedModel, optimizer: OptimizerSet) -> TrainState:
    """Put a checkpoint back into model, optimizer and random generators, to the last bit.

    Args:
        checkpoint: A verified checkpoint.
        model: The model to fill.
        optimizer: The optimizer to fill.

    Returns:
        Where the run stands.
    """
    load_weights(checkpoint, model)
    optimizer.load_state_tensors(load_file(checkpoint.path / "optimizer.safetensors"))
    set_random_states(load_file(checkpoint.path / "random.safetensors"))
    return TrainState(**read_state(checkpoint)["state"])


def load_weights(checkpoint: Artifact, model: PreTrainedModel) -> None:
    """Fill a model with the parameters of a checkpoint."""
    tensors = load_file(checkpoint.path / "model.safetensors")
    with torch.no_grad():
        for name, parameter in _unique_tensors(model).items():
            parameter.copy_(tensors[name])


def read_state(checkpoint: Artifact) -> dict[str, Any]:
    """Return identity and state of a checkpoint as a JSON value."""
    content: dict[str, Any] = json.loads(
        (checkpoint.path / "state.json").read_text(encoding="utf-8")
    )
    return content


def _unique_tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return parameters and persistent buffers; tied ones once, under their first name."""
    buffers = model.state_dict(keep_vars=True)
    names = {name for name, _ in model.named_parameters()}
    parameters = {id(value) for name, value in buffers.items() if name in names}
    return {
        name: value.detach()
        for name, value in buffers.items()
        if name in names or id(value) not in parameters
    }


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def random_states() -> dict[str, Tensor]:
    """Return the states of torch's random generators as byte tensors."""
    states = {"cpu": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        states[f"cuda:{index}"] = torch.cuda.get_rng_state(index)
    return states


def set_random_states(states: dict[str, Tensor]) -> None:
    """Restore what `random_states` returned, for the devices that exist here."""
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda:{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{index}"], index)
