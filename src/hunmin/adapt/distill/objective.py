"""A student and what it loses, as one module.

Shapes: B rows, T tokens, D width, N compared places.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.distill.answers import TaughtPairBatch, TaughtTokenBatch, cached_targets
from hunmin.adapt.distill.layers import Layer, Recorder, attention_layers, layer_map
from hunmin.adapt.distill.losses import (
    DEFAULT_CHUNK_PLACES,
    LogitMix,
    Places,
    hidden_loss,
    logit_loss,
    row_weights,
)
from hunmin.adapt.distill.on_policy import own_continuations, wants_own_words
from hunmin.adapt.distill.places import compared_places
from hunmin.adapt.distill.relations import relation_loss
from hunmin.adapt.distill.spec import LossSpec
from hunmin.adapt.distill.targets import Targets
from hunmin.adapt.distill.teacher import Answer, Teacher
from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL, PADDING_SEGMENT, PairBatch, TokenBatch
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of
from hunmin.models.forward import hidden_states
from hunmin.models.loss import token_nll
from hunmin.models.outputs import output_features, output_projection

AnyBatch = TokenBatch | PairBatch


class DistillationObjective(nn.Module):
    """What a student loses by differing from its teacher and from the text.

    The teacher is not part of the module: it is neither trained, sharded nor saved. What leads
    from the student's width to the teacher's (`projections`) is: it is trained with the student.

    Args:
        model: The student.
        teacher: Runs beside it; None if batches carry its answers.
        losses: What is compared.
        size: Entries that both vocabularies have; rows beyond only pad them.
        chunk_places: Places whose logits exist at one time.

    Raises:
        InputError: Hidden states or relations are asked of a model whose layers nobody knows, or
            without a teacher.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        teacher: Teacher | None,
        losses: LossSpec,
        *,
        size: int,
        chunk_places: int = DEFAULT_CHUNK_PLACES,
    ) -> None:
        super().__init__()
        self.model = model
        self.teacher = teacher
        self.losses = losses
        self.size = size
        self.chunk_places = chunk_places
        self.projections = nn.ModuleList()
        self._is_causal = layout_of(model.config) is Layout.NEXT_TOKEN
        self._comparison: _Activations | None = None
        if losses.hidden or losses.relations:
            self._comparison = _Activations(model, _required(teacher), losses)
            self.projections.extend(self._comparison.make_projections())

    def forward(self, batch: AnyBatch, returns: Literal["sum", "tokens"] = "sum") -> Tensor:
        """Return the loss of a batch.

        Args:
            batch: Packed rows; with the teacher's answers if there is no teacher here.
            returns: "sum" of all parts, with a gradient: over the number of scored tokens it is the
                loss of a step; "tokens" the student's own negative log-likelihood, without a
                gradient, shape (B, T).

        Returns:
            Nats, float32.

        Raises:
            InputError: The teacher's logits are not numbers, or the batch carries no answers.
        """
        if returns == "tokens":
            return token_nll(self.model, batch)
        scored_B = (batch.labels != IGNORED_LABEL).sum(1)
        is_own = wants_own_words(batch, self.losses.on_policy)
        if is_own:
            batch = own_continuations(self.model, batch)
        answer = self.teacher.answer(batch) if self.teacher is not None else None
        if self._comparison is None:
            hidden = hidden_states(self.model, batch)
            return self._logit_loss(batch, hidden, answer, scored_B, is_own)
        with self._comparison.recorder:
            hidden = hidden_states(self.model, batch)
        total = self._logit_loss(batch, hidden, answer, scored_B, is_own)
        return total + self._activation_loss(batch, answer, scored_B)

    def _logit_loss(
        self,
        batch: AnyBatch,
        hidden_BTD: Tensor,
        answer: Answer | None,
        scored_B: Tensor,
        is_own: bool,
    ) -> Tensor:
        losses = self.losses
        compared = compared_places(batch, "scored" if is_own else losses.positions)
        chosen = compared.flatten().nonzero().squeeze(1)
        features = output_features(self.model, hidden_BTD.flatten(0, 1)[chosen])
        weights = row_weights(scored_B, compared).flatten()[chosen]
        places = Places(batch.labels.flatten()[chosen], weights)
        targets = self._targets(batch, compared, chosen, answer)
        # What the student wrote itself is no truth: only the teacher judges it.
        hard = 0.0 if is_own else losses.hard
        mix = LogitMix(losses.soft, hard, losses.temperature, losses.divergence)
        weight, bias = output_projection(self.model)
        return logit_loss(
            features, weight, bias, places, targets, mix, chunk_places=self.chunk_places
        )

    def _targets(
        self, batch: AnyBatch, compared: Tensor, chosen: Tensor, answer: Answer | None
    ) -> Targets:
        if isinstance(batch, TaughtTokenBatch | TaughtPairBatch):
            return cached_targets(batch, compared, self.size)
        if answer is None or self.teacher is None:
            raise InputError(
                "the batch carries no answers of the teacher, and no teacher is here",
                given=type(batch).__name__,
                hint="draw batches through Distillation.batches, or leave student.cache out",
            )
        return self.teacher.targets(answer.hidden_BTD.flatten(0, 1)[chosen], self.size)

    def _activation_loss(self, batch: Any, answer: Answer | None, scored_B: Tensor) -> Tensor:
        comparison, losses = self._comparison, self.losses
        if comparison is None or answer is None:
            return torch.zeros((), device=batch.input_ids.device)
        weights = row_weights(scored_B, batch.segment_ids != PADDING_SEGMENT)
        mine, theirs = comparison.split(comparison.recorder.take(), answer.recorded, weights.shape)
        total = torch.zeros((), device=weights.device)
        for index, (state, target) in enumerate(zip(mine.hidden, theirs.hidden, strict=True)):
            if len(self.projections):
                state = self.projections[index](state)
            distance = hidden_loss(state, target, weights, losses.hidden_distance)
            total = total + distance * (losses.hidden / len(mine.hidden))
        if losses.relations:
            total = total + losses.relations * relation_loss(
                mine.vectors,
                theirs.vectors,
                batch.segment_ids,
                weights,
                heads=losses.relation_heads,
                causal=self._is_causal,
            )
        return total


class _Recorded:
    """Hidden states of some layers of a model; queries, keys and values of one."""

    def __init__(self, outputs: list[Tensor], num_hidden: int, layer: Layer | None) -> None:
        self.hidden = outputs[:num_hidden]
        self.vectors = () if layer is None else layer.split(outputs[num_hidden:])


class _Activations:
    """Which layers of student and teacher are compared; makes both record them."""

    def __init__(self, student: PreTrainedModel, teacher: Teacher, losses: LossSpec) -> None:
        mine, theirs = attention_layers(student), attention_layers(teacher.model)
        chosen = _compared_layers(len(mine), len(theirs), losses)
        self.num_hidden = len(chosen)
        self._widths = student.config.hidden_size, teacher.model.config.hidden_size
        self._relation_layers: tuple[Layer | None, Layer | None] = (None, None)
        if losses.relations:
            self._relation_layers = mine[-1], _teacher_layer(theirs, losses.relation_layer)
        blocks = [mine[i].block for i, _ in chosen], [theirs[j].block for _, j in chosen]
        modules = [
            [*found, *(layer.projections if layer else ())]
            for found, layer in zip(blocks, self._relation_layers, strict=True)
        ]
        self.recorder = Recorder(modules[0])
        teacher.record(modules[1])

    def make_projections(self) -> list[nn.Module]:
        """Return one matrix for each compared layer; none where widths agree."""
        own, wanted = self._widths
        if own == wanted:
            return []
        # The same numbers on every rank, whatever was drawn before.
        generator = torch.Generator().manual_seed(0)
        projections = [nn.Linear(own, wanted, bias=False) for _ in range(self.num_hidden)]
        for projection in projections:
            nn.init.normal_(projection.weight, std=own**-0.5, generator=generator)
        return list(projections)

    def split(
        self, student: list[Tensor], teacher: list[Tensor], shape: torch.Size
    ) -> tuple[_Recorded, _Recorded]:
        """Sort what was recorded, and check that it has a place for each token."""
        for outputs in (student, teacher):
            if any(tensor.shape[:2] != shape for tensor in outputs):
                raise InputError(
                    "one of the two models reads each document in a row of its own, so their "
                    "hidden states cannot be compared place by place",
                    where="student.losses",
                    given=f"{tuple(outputs[0].shape[:2])} for a batch of {tuple(shape)}",
                    hint="set losses.hidden and losses.relations to 0",
                )
        own, other = self._relation_layers
        return _Recorded(student, self.num_hidden, own), _Recorded(teacher, self.num_hidden, other)


def _compared_layers(num_own: int, num_other: int, losses: LossSpec) -> list[tuple[int, int]]:
    if not losses.hidden:
        return []
    if losses.hidden_layers == "last":
        return [(num_own - 1, num_other - 1)]
    return list(enumerate(layer_map(num_own, num_other)))


def _teacher_layer(layers: list[Layer], number: int | None) -> Layer:
    if number is None:
        return layers[-1]
    if number > len(layers):
        raise InputError(
            "the teacher has no such layer",
            where="student.losses.relation_layer",
            given=number,
            allowed=f"1 to {len(layers)}",
        )
    return layers[number - 1]


def _required(teacher: Teacher | None) -> Teacher:
    if teacher is None:
        raise InputError(
            "hidden states and relations are compared with a teacher that runs beside the student",
            where="student.cache",
            hint="leave student.cache out, or set losses.hidden and losses.relations to 0",
        )
    return teacher
