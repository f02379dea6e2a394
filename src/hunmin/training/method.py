"""What a run teaches a model, and what it starts from: the part of training that methods differ in.

Pretraining            fresh weights, the model's own task
ContinuedPretraining   the weights of a finished model, the same task on another mixture
Distillation           (in `adapt.distill`) a teacher's answers as targets
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ContextLengthError, VocabularyError
from hunmin.data.loader import WindowLoader
from hunmin.models.build import model_config
from hunmin.models.objective import LanguageModelObjective
from hunmin.parallel.weights.folder import load_folder
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

if TYPE_CHECKING:
    from hunmin.training.job import TrainJob


class Method(Protocol):
    """What differs between pretraining, its continuation and distillation."""

    @property
    def inputs(self) -> tuple[Artifact, ...]:
        """Artifacts it learns from besides tokens and tokenizer, for the lineage."""

    def identity(self) -> Any:
        """Return what decides the losses besides the job's sections, as a JSON value."""

    def config(self, job: TrainJob, tokenizer: TextTokenizer) -> PreTrainedConfig:
        """Return the configuration of the model that is trained."""

    def initialize(self, model: PreTrainedModel) -> None:
        """Overwrite fresh weights by those it starts from, in place.

        Args:
            model: On its device; its parameters are whole, or this rank's part of them.
        """

    def objective(self, model: PreTrainedModel, job: TrainJob, device: torch.device) -> nn.Module:
        """Return the module whose forward pass is the loss.

        Args:
            model: The model that is trained, the module's attribute `model`. Whatever else the
                module holds is trained with it and saved in checkpoints, not in the model folder:
                keep what is frozen out of it. It begins alike on every rank.
            job: What is trained on what.
            device: Where the batches will be.

        Returns:
            `forward(batch, returns="sum" | "tokens")`, see `models.objective`.
        """

    def batches(self, loader: WindowLoader[Any], job: TrainJob) -> WindowLoader[Any]:
        """Return the loader, or one that adds what the objective needs besides tokens."""


@dataclass(frozen=True)
class Pretraining:
    """Fresh weights of the recipe's model, taught its own task."""

    @property
    def inputs(self) -> tuple[Artifact, ...]:
        """Nothing besides tokens and tokenizer."""
        return ()

    def identity(self) -> Any:
        """Return nothing: the sections of the job say all."""
        return None

    def config(self, job: TrainJob, tokenizer: TextTokenizer) -> PreTrainedConfig:
        """Return the configuration that the section `model` describes."""
        return model_config(
            job.model,
            vocab_size=tokenizer.size,
            context=job.data.context,
            boundary_id=tokenizer.boundary_id,
            pad_id=tokenizer.pad_id,
        )

    def initialize(self, model: PreTrainedModel) -> None:
        """Leave the weights fresh."""

    def objective(self, model: PreTrainedModel, job: TrainJob, device: torch.device) -> nn.Module:
        """Return the model's own task: next tokens, masked tokens or the written sequence."""
        return LanguageModelObjective(model, chunk_tokens=job.train.loss_chunk_tokens)

    def batches(self, loader: WindowLoader[Any], job: TrainJob) -> WindowLoader[Any]:
        """Return the loader."""
        return loader


@dataclass(frozen=True)
class ContinuedPretraining:
    """The weights of a finished model, taught the same task on another mixture.

    Args:
        start: A model artifact whose tokenizer is that of the tokens. The section `model` of the
            job is not read: shape and weights are those of the artifact.

    Note:
        The optimizer starts anew.

    Source:
        Stage 2 of the Alexa Teacher Model (arXiv:2206.07808); domain-adaptive pretraining of
        Gururangan et al. 2020 (arXiv:2004.10964).
    """

    start: Artifact

    @property
    def inputs(self) -> tuple[Artifact, ...]:
        """The model it starts from."""
        return (self.start,)

    def identity(self) -> Any:
        """Return the digest of the model it starts from."""
        return {"start": self.start.digest}

    def config(self, job: TrainJob, tokenizer: TextTokenizer) -> PreTrainedConfig:
        """Return the configuration of the model it starts from.

        Args:
            job: What is trained on what.
            tokenizer: The one that made the tokens.

        Returns:
            The configuration.

        Raises:
            ContextLengthError: The rows are longer than it has positions.
            VocabularyError: It was trained with another tokenizer than the tokens.
        """
        _check_tokenizer(self.start, tokenizer)
        config: PreTrainedConfig = AutoConfig.from_pretrained(self.start.path)
        _check_positions(config, job.data.context, self.start)
        return config

    def initialize(self, model: PreTrainedModel) -> None:
        """Fill the model with the weights it starts from, each rank its own part."""
        load_folder(model, self.start.path)

    def objective(self, model: PreTrainedModel, job: TrainJob, device: torch.device) -> nn.Module:
        """Return the model's own task."""
        return LanguageModelObjective(model, chunk_tokens=job.train.loss_chunk_tokens)

    def batches(self, loader: WindowLoader[Any], job: TrainJob) -> WindowLoader[Any]:
        """Return the loader."""
        return loader


def _check_tokenizer(start: Artifact, tokenizer: TextTokenizer) -> None:
    own = load_tokenizer(start.path)
    if own.digest != tokenizer.digest:
        raise VocabularyError(
            "the model was trained with another tokenizer, so its ids mean other pieces",
            where=start.path,
            given=f"tokenizer {own.digest[:12]}… with {own.size} ids",
            allowed=f"tokenizer {tokenizer.digest[:12]}… with {tokenizer.size} ids",
            hint="make the shards with the model's own tokenizer (use.tokenizer: its folder), or "
            "extend it first: hunmin tokenizer extend --help",
        )


def _check_positions(config: PreTrainedConfig, context: int, start: Artifact) -> None:
    positions = getattr(config, "max_position_embeddings", context)
    if context > positions:
        raise ContextLengthError(
            "the rows are longer than the model has positions",
            where=start.path,
            given=f"{context} tokens",
            allowed=f"up to {positions}",
            hint="lower the context of this stage, or train the first one with a larger "
            "model.context",
        )
