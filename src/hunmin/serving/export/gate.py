"""What the networks of an export answer on labelled utterances, compared one by one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from hunmin.adapt.nlu.decode import Parse, decode, prediction_of
from hunmin.adapt.nlu.encode import EncodedUtterance, by_length, pad_batch
from hunmin.adapt.nlu.model import NluModel
from hunmin.adapt.nlu.scores import Prediction, count
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.estimates import Estimate, estimate, resampled_sums
from hunmin.core.hashing import seed_from
from hunmin.serving.errors import AccuracyLossError
from hunmin.serving.export.report import Answers, Change, Comparison
from hunmin.serving.nlu.network import Floats, Integers, Network

FLOAT_TOLERANCE = 1e-3
"""Of the largest logit: what float32 sums in another order may differ by."""
NUM_RESAMPLES = 1000
NUM_TIMED = 100
MAX_EXAMPLES = 20
_UTTERANCES, _INTENTS, _FOUND, _REFERENCE, _PREDICTED, _EXACT = range(6)


class TorchNetwork:
    """A trained model as a function of arrays.

    Args:
        module: Of ids and mask to the two logits.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    @torch.inference_mode()
    def __call__(self, input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        """Return intent_logits (B, I) and slot_logits (B, T, S)."""
        intents, slots = self._module(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))
        return intents.numpy(), slots.numpy()


@dataclass(frozen=True)
class Outcome:
    """What one network says about all utterances.

    Args:
        parses: One for each utterance.
        counts: What is right in each, as `scores.count` gives it, shape (N, 6).
        intents: Logits of intents, shape (N, I).
        slots: Logits of tags, shape (places of all utterances, S).
    """

    parses: list[Parse]
    counts: npt.NDArray[np.float64]
    intents: Floats
    slots: Floats


@dataclass(frozen=True)
class Gate:
    """Utterances on which networks are compared.

    Args:
        model: The trained model.
        utterances: Labelled.
    """

    model: NluModel
    utterances: Sequence[Utterance]

    def encode(self) -> list[EncodedUtterance]:
        """Return the utterances as every network reads them."""
        return self.model.encoder.encode(
            [one.utt for one in self.utterances], [one.locale for one in self.utterances]
        )

    def ask(
        self, network: Network, encoded: Sequence[EncodedUtterance], *, batch_size: int
    ) -> Outcome:
        """Ask a network about all utterances.

        Args:
            network: The network.
            encoded: As `encode` gives them.
            batch_size: Utterances of one call.

        Returns:
            Its answers.
        """
        parses: dict[int, Parse] = {}
        intents, slots = {}, {}
        for rows in by_length(encoded, batch_size):
            batch = [encoded[row] for row in rows]
            intent_logits, slot_logits = network(*pad_batch(batch, self.model.config.pad_id))
            made = decode(
                self.model.config, batch, intent_logits, slot_logits, self.model.transitions
            )
            for number, (row, parse) in enumerate(zip(rows, made, strict=True)):
                parses[row], intents[row] = parse, intent_logits[number]
                slots[row] = slot_logits[number, encoded[row].places]
        order = range(len(encoded))
        in_order = [parses[row] for row in order]
        return Outcome(
            in_order,
            count(self.utterances, self._predictions(in_order)),
            np.stack([intents[row] for row in order]),
            np.concatenate([slots[row] for row in order]),
        )

    def _predictions(self, parses: Sequence[Parse]) -> list[Prediction]:
        return [
            prediction_of(parse, one.id, one.utt, one.locale)
            for parse, one in zip(parses, self.utterances, strict=True)
        ]


def describe(outcome: Outcome, reference: Outcome) -> Answers:
    """Return the scores of a network, and how far its logits are from those of the reference."""
    total = outcome.counts.sum(0)
    slots = total[_REFERENCE] + total[_PREDICTED]
    return Answers(
        exact_match=_share(outcome.counts[:, _EXACT]),
        intent_accuracy=float(total[_INTENTS] / total[_UTTERANCES]),
        slot_f1=float(2 * total[_FOUND] / slots) if slots else None,
        largest_difference=largest_difference(outcome, reference),
        other_parses=len(_differing(outcome, reference)),
    )


def _share(values: npt.NDArray[np.float64]) -> Estimate:
    """Return the mean with its interval over utterances."""
    rows = values[:, None]
    drawn = resampled_sums(rows, NUM_RESAMPLES, seed_from(0, "export"))
    means = np.vstack([rows.sum(0), *drawn])[:, 0] / len(rows)
    return estimate(means, has_interval=len(rows) > 1)


def largest_difference(outcome: Outcome, reference: Outcome) -> float:
    """Return the largest difference of a logit from the reference's."""
    pairs = [(outcome.intents, reference.intents), (outcome.slots, reference.slots)]
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)


def _differing(outcome: Outcome, reference: Outcome) -> list[int]:
    """Return the utterances with another intent or other slots; scores may differ."""
    pairs = zip(outcome.parses, reference.parses, strict=True)
    return [row for row, (one, other) in enumerate(pairs) if _meaning(one) != _meaning(other)]


def _meaning(parse: Parse) -> tuple[object, ...]:
    slots = [(one.type, one.first_character, one.end_character) for one in parse.slots]
    return (parse.intent, *slots)


def check_float32(exported: Outcome, reference: Outcome) -> None:
    """Refuse a float32 graph that computes something else than the trained model.

    Args:
        exported: Of the ONNX file.
        reference: Of the model in torch.

    Raises:
        AccuracyLossError: Logits differ by more than sums in another order can.
    """
    largest = max(1.0, float(np.abs(reference.intents).max()), float(np.abs(reference.slots).max()))
    found = largest_difference(exported, reference)
    # Written so that nan is refused, too.
    if not found <= FLOAT_TOLERANCE * largest:
        raise AccuracyLossError(
            "the ONNX graph computes something else than the model; nothing was written",
            given=f"logits that differ by up to {found:.3g}",
            allowed=f"{FLOAT_TOLERANCE * largest:.3g}, a thousandth of the largest logit",
            hint="the exporter does not understand this architecture: take another body",
        )


def compare(outcome: Outcome, reference: Outcome, utterances: Sequence[Utterance]) -> Comparison:
    """Compare answers with those of the reference.

    Args:
        outcome: Of the network in question.
        reference: Of the model that it was made from.
        utterances: What both were asked.

    Returns:
        The points of exact match that are lost, and what has changed.
    """
    before, after = reference.counts[:, _EXACT], outcome.counts[:, _EXACT]
    lost = _share(before - after)
    points = {name: 100 * value for name, value in lost.model_dump().items() if value is not None}
    rows = _differing(outcome, reference)
    # What was right comes first.
    rows.sort(key=lambda row: after[row] - before[row])
    return Comparison(
        utterances=len(utterances),
        drop_points=Estimate(**points),
        broken=int((before > after).sum()),
        fixed=int((after > before).sum()),
        other_parses=len(rows),
        examples=tuple(
            _change(utterances[row], reference.parses[row], outcome.parses[row])
            for row in rows[:MAX_EXAMPLES]
        ),
    )


def _change(utterance: Utterance, before: Parse, after: Parse) -> Change:
    return Change(
        text=utterance.utt,
        locale=utterance.locale,
        before=write_parse(before),
        after=write_parse(after),
    )


def write_parse(parse: Parse) -> str:
    """Return intent and slots in one line."""
    return " ".join([parse.intent, *(f"[{one.type} : {one.value}]" for one in parse.slots)])


def check_drop(comparison: Comparison, max_drop: float) -> None:
    """Refuse an int8 network that loses too much.

    Args:
        comparison: With the model that it was made from.
        max_drop: Points of exact match that may be lost.

    Raises:
        AccuracyLossError: More are lost.
    """
    lost = comparison.drop_points.value
    if lost <= max_drop:
        return
    shown = "; ".join(
        f"{one.text!r}: {one.before} -> {one.after}" for one in comparison.examples[:2]
    )
    raise AccuracyLossError(
        f"int8 loses {lost:.2f} points of exact match; nothing was written",
        given=f"{comparison.broken} of {comparison.utterances:,} utterances broken, "
        f"{comparison.fixed} repaired, such as {shown}",
        allowed=f"{max_drop:g} points, on utterances that each count "
        f"{100 / comparison.utterances:.2f}",
        hint="compare on more utterances; set reduce_range on a processor without VNNI; or allow "
        "more with --max-drop (max_drop)",
    )


def median_milliseconds(
    network: Network, encoded: Sequence[EncodedUtterance], pad_id: int
) -> float:
    """Return how long a network takes for one utterance, without encoding and decoding."""
    rows = [pad_batch([one], pad_id) for one in encoded[:NUM_TIMED]]
    return 1000 * statistics.median(_seconds(partial(network, *row)) for row in rows)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
