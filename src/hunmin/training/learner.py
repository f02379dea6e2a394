"""What one rank does in a step: gradients of its rows, their norm, the update."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.data.batch import IGNORED_LABEL, Batch
from hunmin.models.loss import DEFAULT_CHUNK_TOKENS
from hunmin.models.objective import LanguageModelObjective
from hunmin.parallel.parts.norms import clip_gradients
from hunmin.parallel.sharding import GradientSynchronizer, explain_unused_parameters
from hunmin.parallel.world import World, local_world
from hunmin.training.machine import Machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import TrainPlan
from hunmin.training.trained import trained_module


@dataclass(frozen=True)
class TextScore:
    """Sums over held-out tokens.

    Args:
        nats: Negative log-likelihood.
        tokens: Tokens scored.
        bytes: UTF-8 bytes of the text behind them.
    """

    nats: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class Learner:
    """A model with all that changes it.

    Args:
        model: On its device; its parameters are whole, or this rank's part of them.
        objective: The module around it whose forward pass is the loss. What it holds besides the
            model is trained, clipped and saved with it.
        optimizer: Of the parameters of both.
        synchronizer: Decides which microstep synchronises gradients.
        machine: Precision and device.
        world: All ranks.
    """

    model: PreTrainedModel
    objective: nn.Module
    optimizer: OptimizerSet
    synchronizer: GradientSynchronizer
    machine: Machine
    world: World

    @property
    def trained(self) -> nn.Module:
        """What checkpoints hold: the model, and what is learned beside it."""
        return trained_module(self.model, self.objective)

    @classmethod
    def alone(
        cls,
        model: PreTrainedModel,
        optimizer: OptimizerSet,
        machine: Machine,
        *,
        chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
    ) -> Learner:
        """Return a learner of one process.

        Args:
            model: On its device.
            optimizer: Of its parameters.
            machine: Precision and device.
            chunk_tokens: Tokens whose logits exist at one time.

        Returns:
            The learner.
        """
        objective = LanguageModelObjective(model, chunk_tokens=chunk_tokens)
        world = local_world(machine.device)
        return cls(model, objective, optimizer, GradientSynchronizer(), machine, world)

    def backward(self, batch: Batch, plan: TrainPlan) -> Tensor:
        """Take the gradient of the mean loss over the scored tokens of all ranks.

        Args:
            batch: This rank's rows of the global batch.
            plan: Says how many microbatches that makes.

        Returns:
            This rank's share: the mean of the shares of all ranks is the mean loss of the global
            batch. float32, a scalar.

        Note:
            Collective. Where ranks have different numbers of rows, or of scored tokens, each token
            still weighs the same. An exception leaves no gradient behind.
        """
        scored = float(self._sum_over_data(_count_scored(batch), plan))
        scale = plan.data_ranks / max(1.0, scored)
        total = torch.zeros((), device=self.machine.device)
        try:
            for number, microbatch in enumerate(self._microbatches(batch, plan), start=1):
                self.synchronizer.begin_microstep(is_last=number == plan.microbatches)
                with self.machine.autocast():
                    loss = self.objective(microbatch) * scale
                with explain_unused_parameters():
                    loss.backward()
                total += loss.detach()
        except BaseException:
            self.forget_gradients()
            raise
        return total

    def clip(self, max_norm: float | None) -> Tensor:
        """Scale gradients down to a norm; return the norm before, the same on every rank."""
        limit = math.inf if max_norm is None else max_norm
        return clip_gradients(self.objective.parameters(), limit)

    def forget_gradients(self) -> None:
        """Drop the gradients of a step that will not be taken."""
        self.synchronizer.abandon()
        self.objective.zero_grad(set_to_none=True)

    @torch.no_grad()
    def score(self, batch: Batch, token_bytes: Tensor, plan: TrainPlan) -> TextScore:
        """Score held-out rows, in evaluation mode.

        Args:
            batch: This rank's rows.
            token_bytes: UTF-8 bytes per token id, shape (vocabulary,).
            plan: Says how many rows fit a forward pass.

        Returns:
            Sums over the rows of all ranks.

        Note:
            Collective: every rank runs equally many forward passes.
        """
        scored = batch.labels[batch.labels != IGNORED_LABEL]
        sums = torch.tensor([0.0, len(scored), float(token_bytes[scored].sum())]).double()
        rows = math.ceil(plan.evaluation_sequences / plan.data_ranks)
        for part in self._parts(batch.padded(rows), plan.sequences_per_microbatch):
            with self.machine.autocast():
                nll = self.objective(part, returns="tokens")
            sums[0] += float(nll.double().sum())
        self.synchronizer.free_gathered()
        nats, tokens, num_bytes = self._sum_over_data(sums, plan).tolist()
        return TextScore(nats, round(tokens), round(num_bytes))

    def _microbatches(self, batch: Batch, plan: TrainPlan) -> Iterator[Batch]:
        size = plan.sequences_per_microbatch
        return self._parts(batch.padded(plan.microbatches * size), size)

    def _parts(self, batch: Batch, size: int) -> Iterator[Batch]:
        for start in range(0, batch.num_rows, size):
            yield batch.rows(start, start + size).to(self.machine.device)

    def _sum_over_data(self, values: Tensor, plan: TrainPlan) -> Tensor:
        """Ranks that compute slices of the same rows count once."""
        return self.world.sum(values) / plan.tensor_ranks(self.world.size)


def _count_scored(batch: Batch) -> Tensor:
    return (batch.labels != IGNORED_LABEL).sum().double()
