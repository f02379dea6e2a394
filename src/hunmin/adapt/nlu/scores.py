"""Intent accuracy, slot F1 and exact match of predictions, by locale and over all.

A slot is found when its type and its words are those of the reference, once for the whole slot.
Slots predicted where the reference has none count against the prediction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hunmin.adapt.nlu.tags import WordSpan
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.estimates import MIN_GROUPS, Estimate, Floats, estimate, resampled_sums
from hunmin.core.hashing import seed_from
from hunmin.core.spec import Spec

NUM_RESAMPLES = 1000
_UTTERANCES, _INTENTS, _FOUND, _REFERENCE, _PREDICTED, _EXACT = range(6)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one utterance."""

    id: str
    locale: str
    intent: str
    slots: tuple[WordSpan, ...] = ()
    """Type, first word and the one after the last; not the sub-words of a tokenizer."""


class Scores(Spec):
    """Scores over some utterances, as shares in [0, 1]."""

    num_utterances: int
    """Utterances that were scored."""
    intent_accuracy: Estimate
    """Share of utterances with the right intent."""
    slot_f1: Estimate | None
    """2 found / (reference + predicted), over all slots; None where there is none of either."""
    slot_precision: Estimate | None
    """Share of the predicted slots that are right; None where none was predicted."""
    slot_recall: Estimate | None
    """Share of the reference's slots that were found; None where it has none."""
    exact_match: Estimate
    """Share of utterances with the right intent, every slot found and no other predicted."""


class NluScores(Spec):
    """Scores by locale, their mean, and over all utterances alike."""

    locales: dict[str, Scores]
    """Locale -> its scores."""
    mean: Scores
    """Each score averaged over the locales that have it, as published for MASSIVE."""
    overall: Scores
    """Every utterance counts the same, whatever its locale."""


def score(
    references: Sequence[Utterance],
    predictions: Sequence[Prediction],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> NluScores:
    """Compare predictions with the reference.

    Args:
        references: Labelled utterances.
        predictions: One for each, in the same order.
        num_resamples: Draws of utterances (within each locale) for the 95 % intervals.
        seed: Seed of the draws.

    Returns:
        The scores. Locales with fewer than five utterances have no interval.

    Raises:
        EmptyCorpusError: There is nothing to score.
        InputError: Another number of predictions, or one is of another utterance.

    Note:
        Utterances are resampled, not words or slots: slots of one utterance are right or wrong
        together. Translations of one utterance are drawn as if independent.
    """
    _check_pairs(references, predictions)
    counts = count(references, predictions)
    names, locale_of_row = np.unique([made.locale for made in references], return_inverse=True)
    totals: dict[str, Floats] = {}
    for number, name in enumerate(names.tolist()):
        rows = counts[locale_of_row == number]
        drawn = resampled_sums(rows, num_resamples, seed_from(seed, name))
        totals[name] = np.vstack([rows.sum(0), *drawn])
    ratios = {name: _ratios(sums) for name, sums in totals.items()}
    smallest = min(sums[0, _UTTERANCES] for sums in totals.values())
    together = np.stack(list(totals.values())).sum(0)
    return NluScores(
        locales={name: _scores(ratios[name], totals[name]) for name in totals},
        mean=_scores(_mean(list(ratios.values())), together, num_groups=smallest),
        overall=_scores(_ratios(together), together),
    )


def _check_pairs(references: Sequence[Utterance], predictions: Sequence[Prediction]) -> None:
    if not references:
        raise EmptyCorpusError("no utterance to score", hint="choose a partition that has some")
    if len(references) != len(predictions):
        raise InputError(
            "another number of predictions than of utterances",
            given=f"{len(predictions)} predictions for {len(references)} utterances",
            allowed="one prediction for each utterance, in the same order",
            hint="predict the same file again",
        )
    for row, (made, said) in enumerate(zip(references, predictions, strict=True)):
        if (made.id, made.locale) != (said.id, said.locale):
            raise InputError(
                f"prediction {row + 1} is of another utterance",
                given=f"{said.locale} {said.id}",
                allowed=f"{made.locale} {made.id}",
                hint="give predictions in the order of the utterances",
            )


def count(references: Sequence[Utterance], predictions: Sequence[Prediction]) -> Floats:
    """Count what is right in each utterance.

    Args:
        references: Labelled utterances.
        predictions: One for each, in the same order.

    Returns:
        Shape (utterances, 6): 1, intent right, slots found, slots of the reference, slots
        predicted, exact match. A slot of the reference that is predicted twice is found once.
    """
    num_rows = len(references)
    wanted = [
        (row, slot.type, slot.start, slot.end)
        for row, made in enumerate(references)
        for slot in made.slots
    ]
    said = [(row, *span) for row, made in enumerate(predictions) for span in made.slots]
    found = list((Counter(wanted) & Counter(said)).elements())
    intents = [
        made.intent == said.intent for made, said in zip(references, predictions, strict=True)
    ]
    right = np.array(intents, dtype=np.float64)
    slots = [_per_row(spans, num_rows) for spans in (found, wanted, said)]
    exact = right * (slots[0] == slots[1]) * (slots[0] == slots[2])
    return np.stack([np.ones(num_rows), right, *slots, exact], axis=1)


def _per_row(spans: list[tuple[int, str, int, int]], num_rows: int) -> Floats:
    rows = np.fromiter((span[0] for span in spans), dtype=np.int64, count=len(spans))
    return np.bincount(rows, minlength=num_rows).astype(np.float64)


def _ratios(sums: Floats) -> Floats:
    """Return accuracy, F1, precision, recall and exact match of each row; nan for nothing."""
    found = sums[:, _FOUND]
    pairs = [
        (sums[:, _INTENTS], sums[:, _UTTERANCES]),
        (2 * found, sums[:, _REFERENCE] + sums[:, _PREDICTED]),
        (found, sums[:, _PREDICTED]),
        (found, sums[:, _REFERENCE]),
        (sums[:, _EXACT], sums[:, _UTTERANCES]),
    ]
    nothing = np.full(len(sums), np.nan)
    columns = [np.divide(top, low, out=nothing.copy(), where=low > 0) for top, low in pairs]
    return np.stack(columns, axis=1)


def _mean(ratios: list[Floats]) -> Floats:
    """Return the mean of each ratio over the locales that have it."""
    stacked = np.stack(ratios)
    present = np.isfinite(stacked)
    total: Floats = np.where(present, stacked, 0.0).sum(0)
    number = present.sum(0)
    nothing = np.full(total.shape, np.nan)
    mean: Floats = np.divide(total, number, out=nothing, where=number > 0)
    return mean


def _scores(ratios: Floats, sums: Floats, *, num_groups: float | None = None) -> Scores:
    num_utterances = int(sums[0, _UTTERANCES])
    groups = num_utterances if num_groups is None else num_groups
    accuracy, f1, precision, recall, exact = (
        _estimate(column, has_interval=groups >= MIN_GROUPS) for column in ratios.T
    )
    return Scores.model_validate(
        {
            "num_utterances": num_utterances,
            "intent_accuracy": accuracy,
            "slot_f1": f1,
            "slot_precision": precision,
            "slot_recall": recall,
            "exact_match": exact,
        }
    )


def _estimate(column: Floats, *, has_interval: bool) -> Estimate | None:
    """Draws in which the ratio has no meaning say nothing about its spread: they are left out."""
    if not np.isfinite(column[0]):
        return None
    return estimate(column[np.isfinite(column)], has_interval=has_interval)
