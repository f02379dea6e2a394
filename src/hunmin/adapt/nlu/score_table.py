"""Scores as text."""

from __future__ import annotations

from hunmin.adapt.nlu.scores import NluScores, Scores
from hunmin.core.estimates import Estimate
from hunmin.core.tables import align_columns


def percent(estimate: Estimate | None) -> str:
    """Return a share in per cent with its interval; a hyphen for none."""
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{100 * estimate.value:.1f}"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def score_table(scores: NluScores) -> list[str]:
    """Return a table for a terminal: the mean, then each locale, the best on top."""
    header = ["locale", "utterances", "intent accuracy", "slot F1", "exact match"]
    order = sorted(scores.locales, key=lambda name: -scores.locales[name].exact_match.value)
    rows = [_row("mean", scores.mean), *(_row(name, scores.locales[name]) for name in order)]
    return align_columns([header, *rows])


def _row(name: str, scores: Scores) -> list[str]:
    estimates = (scores.intent_accuracy, scores.slot_f1, scores.exact_match)
    return [name, f"{scores.num_utterances:,}", *map(percent, estimates)]
