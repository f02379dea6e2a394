"""The teacher: any model folder, frozen, beside the student and no part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.distill.layers import Recorder
from hunmin.adapt.distill.targets import FullTargets
from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.errors import MissingInputError
from hunmin.core.hashing import sha256_file, stable_hash
from hunmin.data.batch import PairBatch, TokenBatch
from hunmin.models.forward import hidden_states
from hunmin.models.load import load_language_model
from hunmin.models.optimize import optimize_model
from hunmin.models.outputs import output_features, output_projection
from hunmin.models.precision import choose_precision

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def load_teacher(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    precision: Literal["auto", "bf16", "fp32"] = "auto",
    verify: bool = True,
) -> Teacher:
    """Load a teacher.

    Args:
        path: A model artifact, or any Hugging Face folder with safetensors.
        device: Where it shall lie.
        precision: Type of its weights; "auto" is bf16 where the device is fast at it.
        verify: Compare the checksums of an artifact first.

    Returns:
        The teacher, in evaluation mode; its parameters need no gradient.

    Raises:
        MissingInputError: There is no such folder.
        InputError: It holds no language model.
    """
    device = torch.device(device)
    chosen = choose_precision(precision, device, where="student.teacher_precision")
    model = load_language_model(path, device=device, dtype=_DTYPES[chosen], verify=verify)
    return Teacher(optimize_model(model), str(path))


def teacher_digest(path: Path) -> str:
    """Return the identity of a teacher's weights; of an artifact without reading them again."""
    if not path.is_dir():
        raise MissingInputError(
            "there is no such teacher",
            where=path,
            hint="name the folder of a model, such as runs/assistant/stage2",
        )
    if (path / MANIFEST_NAME).is_file():
        return load_artifact(path, verify=False).digest
    files = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".json"))
    return stable_hash({file.name: sha256_file(file) for file in files})


@dataclass(frozen=True, eq=False)
class Answer:
    """What a teacher computed for a batch.

    Args:
        hidden_BTD: Its last hidden states.
        recorded: What the modules it was asked for returned.
    """

    hidden_BTD: Tensor
    recorded: list[Tensor]


class Teacher:
    """A frozen model that answers batches. Not a module: whoever holds it does not train it.

    Args:
        model: A language model; its parameters are frozen here.
        name: How messages call it.
    """

    def __init__(self, model: PreTrainedModel, name: str = "teacher") -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.name = name
        self._recorder = Recorder(())

    def record(self, modules: Sequence[nn.Module]) -> None:
        """Say which modules' outputs an answer holds besides the last hidden states."""
        self._recorder = Recorder(modules)

    @cached_property
    def vocabulary(self) -> int:
        """Rows of its output matrix."""
        return int(output_projection(self.model)[0].shape[0])

    @torch.no_grad()
    def answer(self, batch: TokenBatch | PairBatch) -> Answer:
        """Run the teacher, in the type of its weights and without a gradient.

        Args:
            batch: On its device.

        Returns:
            Hidden states; logits are made from them where they are needed.
        """
        device = batch.input_ids.device.type
        with torch.autocast(device, enabled=False), self._recorder:
            hidden = hidden_states(self.model, batch)
        return Answer(hidden, self._recorder.take())

    @torch.no_grad()
    def targets(self, hidden_ND: Tensor, size: int) -> FullTargets:
        """Return the logits at some places, not yet computed.

        Args:
            hidden_ND: Its hidden states there.
            size: Entries that both vocabularies have.

        Returns:
            Targets that compute logits chunk by chunk.
        """
        weight, bias = output_projection(self.model)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            features = output_features(self.model, hidden_ND)
        return FullTargets(features, weight, bias, size, self.name)
