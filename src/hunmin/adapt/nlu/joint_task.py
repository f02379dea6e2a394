"""What the heads learn: intents and tags of labelled utterances, and a teacher's answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.decode import Parse, prediction_of
from hunmin.adapt.nlu.encode import UtteranceEncoder
from hunmin.adapt.nlu.examples import IGNORED, Batch, Example, Integers, collate
from hunmin.adapt.nlu.model import JointModel, NluModel
from hunmin.adapt.nlu.scores import Prediction, score
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.teaching import TeacherAnswers
from hunmin.adapt.nlu.utterances import Utterance


class JointTask:
    """Fits a joint model.

    Args:
        spec: Settings.
        network: The model.
        config: Its labels and shape.
        encoder: Encodes texts.
        examples: What is learnt.
        dev: Labelled utterances that choose the epoch.
        answers: A teacher's answers to the examples, if there is one.
    """

    def __init__(
        self,
        spec: NluSpec,
        network: JointModel,
        config: NluConfig,
        encoder: UtteranceEncoder,
        examples: Sequence[Example],
        dev: Sequence[Utterance],
        answers: TeacherAnswers | None = None,
    ) -> None:
        self.spec = spec
        self.joint = network
        self.config = config
        self.encoder = encoder
        self.examples = examples
        self.dev = dev
        self.answers = answers
        self._lengths = np.array([len(one.encoded.ids) for one in examples], dtype=np.int64)

    @property
    def network(self) -> nn.Module:
        """The joint model."""
        return self.joint

    @property
    def lengths(self) -> Integers:
        """Tokens of each example, shape (N)."""
        return self._lengths

    def loss(self, rows: Integers, whole: Integers) -> tuple[Tensor, dict[str, float]]:
        """Return what examples add to the mean loss of a batch, and its parts.

        Args:
            rows: Numbers of the examples of a forward pass.
            whole: Numbers of the examples of the batch.

        Returns:
            The intents' part is a mean over utterances, the slots' one over places.
        """
        batch = collate(self.examples, rows, self.config.pad_id)
        device = next(self.joint.parameters()).device
        intents, slots = self.joint(
            torch.from_numpy(batch.input_ids).to(device),
            torch.from_numpy(batch.attention_mask).to(device),
        )
        wanted = torch.from_numpy(batch.intents).to(device)
        intent_sum = F.cross_entropy(intents.float(), wanted, reduction="sum")
        intent_loss = intent_sum / len(whole)
        num_places = sum(len(self.examples[row].tags) for row in whole)
        slot_loss = self._slot_loss(batch, slots) / max(1, num_places)
        loss = intent_loss + self.spec.slot_weight * slot_loss
        parts = {"intent_loss": float(intent_loss.detach()), "slot_loss": float(slot_loss.detach())}
        if self.answers is None:
            return loss, parts
        intent_gap, slot_gap = self.answers.loss(
            batch, whole, intents, slots, self.spec.temperature
        )
        taught = intent_gap + self.spec.slot_weight * slot_gap
        weight = self.spec.teacher_weight
        parts["teacher_loss"] = float(taught.detach())
        return (1 - weight) * loss + weight * taught, parts

    def _slot_loss(self, batch: Batch, slots: Tensor) -> Tensor:
        """Sum over all places, with a chain as without."""
        tags = torch.from_numpy(batch.tags).to(slots.device)
        if self.joint.crf is None:
            flat = slots.float().flatten(0, 1)
            return F.cross_entropy(flat, tags.flatten(), ignore_index=IGNORED, reduction="sum")
        places = torch.from_numpy(batch.places).to(slots.device)
        logits = slots.gather(1, places.unsqueeze(2).expand(-1, -1, slots.shape[2]))
        chosen = tags.gather(1, places).clamp(min=0)
        mask = torch.from_numpy(batch.is_place).to(slots.device)
        chain: Tensor = self.joint.crf(logits, chosen, mask).sum()
        return chain

    def evaluate(self) -> dict[str, float]:
        """Return scores on the dev utterances, averaged over their locales."""
        return dev_scores(self.dev, self.predict(self.dev))

    def model(self) -> NluModel:
        """Return the model as it is now."""
        chain = self.joint.crf
        transitions = None if chain is None else chain.as_transitions()
        return NluModel(self.joint.eval(), self.config, self.encoder, transitions)

    def parse(self, utterances: Sequence[Utterance]) -> list[Parse | None]:
        """Parse utterances; labels are not looked at."""
        texts = [made.utt for made in utterances]
        return list(self.model().parse(texts, [made.locale for made in utterances]))

    def count_truncated(
        self, utterances: Sequence[Utterance], parses: Sequence[Parse | None]
    ) -> int:
        """Return how many utterances were read only in part, as their parses say."""
        return sum(one is not None and one.truncated_at is not None for one in parses)

    def predict(self, utterances: Sequence[Utterance]) -> list[Prediction]:
        """Return predictions in words."""
        return predictions_of(utterances, self.parse(utterances))


def predictions_of(
    utterances: Sequence[Utterance], parses: Sequence[Parse | None]
) -> list[Prediction]:
    """Return predictions in words.

    Args:
        utterances: What was parsed.
        parses: One for each; None counts as wrong in all.

    Returns:
        One for each.
    """
    return [
        Prediction(made.id, made.locale, "")
        if parse is None
        else prediction_of(parse, made.id, made.utt, made.locale)
        for made, parse in zip(utterances, parses, strict=True)
    ]


def dev_scores(dev: Sequence[Utterance], predictions: Sequence[Prediction]) -> dict[str, float]:
    """Return the scores that choose an epoch: each averaged over the locales.

    Args:
        dev: Labelled utterances.
        predictions: One for each.

    Returns:
        Exact match, intent accuracy and slot F1, shares in [0, 1].
    """
    mean = score(dev, predictions, num_resamples=0).mean
    return {
        "exact_match": mean.exact_match.value,
        "intent_accuracy": mean.intent_accuracy.value,
        "slot_f1": 0.0 if mean.slot_f1 is None else mean.slot_f1.value,
    }
