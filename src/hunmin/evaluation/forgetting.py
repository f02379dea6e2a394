"""What a second stage of training gained and what it forgot: held-out losses before and after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hunmin.core.artifact import Artifact
from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import InputError
from hunmin.core.estimates import MIN_GROUPS, Estimate, Floats, estimate
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.core.spec import Spec
from hunmin.data.grouping import Grouping
from hunmin.data.spec import DataSpec
from hunmin.evaluation.forgetting_plot import plot_forgetting
from hunmin.evaluation.forgetting_text import forgetting_markdown
from hunmin.evaluation.group_losses import (
    DocumentScores,
    GroupScores,
    check_comparable,
    resampled_totals,
    score_groups,
)

FILE_NAME = "forgetting"
IN_DOMAIN, GENERAL = "in-domain", "general"


class Change(Spec):
    """A loss before and after, in nats per scored token; below 0 is better."""

    before: Estimate
    """Loss of the model before."""
    after: Estimate
    """Loss of the model after."""
    difference: Estimate
    """After less before, on the same resamples of documents."""

    @property
    def is_sure(self) -> bool:
        """Whether the interval of the difference leaves zero out."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and low * high > 0


class GroupChange(Spec):
    """A group before and after."""

    change: Change
    """Of its loss."""
    is_in_domain: bool
    """Whether the second stage is about it."""
    scored_tokens: int
    """Tokens that both models had to say."""
    documents: int
    """Documents, or parts of them in one row; what the intervals resample."""
    available_tokens: int
    """Tokens that the group has in the split."""


class Total(Spec):
    """Several groups together."""

    groups: int
    """How many they are."""
    mean: Change
    """Mean over the groups, each with the same weight."""
    by_tokens: Change
    """Mean over the groups, each with the weight of its tokens in the split."""


class ForgettingReport(Spec):
    """What a second stage gained and forgot."""

    kind: str
    """encoder, decoder or encoder-decoder."""
    split: str
    """Which documents were held out."""
    precision: str
    """bf16 or fp32, the arithmetic of the matrix products."""
    tokens: str
    """Digest of the shards."""
    in_domain: Total
    """What the second stage is about."""
    general: Total | None
    """Everything else; None if there is nothing else."""
    groups: dict[str, GroupChange]
    """By name, sorted."""
    sentence: str
    """What was gained and what was forgotten."""


def write_forgetting_report(
    before: Path,
    after: Path,
    tokens: Artifact,
    data: DataSpec,
    output: Path,
    in_domain: Sequence[str],
    **options: Any,
) -> ForgettingReport:
    """Compare the held-out losses of a model before and after a second stage.

    Args:
        before: Folder of the model that the second stage began with.
        after: Folder of the model that it made.
        tokens: The tokens artifact of both.
        data: Context, objectives and seed of both; its weights say nothing here.
        output: Folder that gets forgetting.json, forgetting.md and plots; made if it is missing.
        in_domain: Languages, sources or groups that the second stage is about.
        **options: See `score_groups`.

    Returns:
        The report.

    Raises:
        MissingExtraError: matplotlib is not installed; nothing was done yet.
        InputError: A name that no group has.
        ArtifactMismatchError: The models are of two kinds, or a tokenizer did not make the shards.
    """
    check_plotting()
    scores = [score_groups(model, tokens, data, **options) for model in (before, after)]
    own = named_groups(scores[0].groups, data, in_domain)
    report = compare_groups(scores[0], scores[1], own, tokens.digest)
    output.mkdir(parents=True, exist_ok=True)
    atomic_write_text(output / f"{FILE_NAME}.json", report.model_dump_json(indent=2) + "\n")
    atomic_write_text(output / f"{FILE_NAME}.md", forgetting_markdown(report))
    plot_forgetting(report, [output / f"{FILE_NAME}{suffix}" for suffix in PLOT_SUFFIXES])
    return report


def named_groups(groups: Iterable[str], data: DataSpec, names: Sequence[str]) -> frozenset[str]:
    """Return the groups that names stand for.

    Args:
        groups: All groups.
        data: Says what a group is.
        names: Languages, sources or groups.

    Returns:
        At least one group.

    Raises:
        InputError: A name that no group has, or no name.
    """
    grouping = Grouping(groups, data.mix_by)
    found = {group for name in names for group in grouping.members(name, "in_domain")}
    if not found:
        raise InputError(
            "nothing says what the second stage is about",
            where="in_domain",
            allowed=", ".join(grouping.groups),
            hint="name the language, source or group of the text that was new or more frequent",
        )
    return frozenset(found)


def compare_groups(
    before: GroupScores, after: GroupScores, in_domain: Collection[str], tokens: str, seed: int = 0
) -> ForgettingReport:
    """Compare the scores of two models.

    Args:
        before: Scores of the model before.
        after: Scores of the model after, on the same tokens.
        in_domain: Groups that the second stage is about.
        tokens: Digest of the shards.
        seed: Of the resamples.

    Returns:
        The report.

    Raises:
        ArtifactMismatchError: The models did not say the same tokens.
    """
    check_comparable(before, after)
    pairs = {
        name: _Pair(name, each, after.groups[name], seed) for name, each in before.groups.items()
    }
    own = [pair for name, pair in pairs.items() if name in in_domain]
    rest = [pair for name, pair in pairs.items() if name not in in_domain]
    groups = {name: pair.as_change(name in in_domain) for name, pair in pairs.items()}
    totals = (_total(own), _total(rest) if rest else None)
    return ForgettingReport(
        kind=before.kind,
        split=before.split,
        precision=before.precision,
        tokens=tokens,
        in_domain=totals[0],
        general=totals[1],
        groups=groups,
        sentence=_sentence(*totals, groups),
    )


class _Pair:
    """The losses of two models on one group, over all documents and over each resample."""

    def __init__(self, name: str, before: DocumentScores, after: DocumentScores, seed: int) -> None:
        values = np.stack([before.nats, after.nats, before.tokens], axis=1)
        totals = resampled_totals(name, values, seed)
        self.losses: Floats = totals[:, :2] / totals[:, 2:]
        self.scores = before
        self.has_interval = len(before.nats) >= MIN_GROUPS

    def as_change(self, is_in_domain: bool) -> GroupChange:
        return GroupChange(
            change=_change(self.losses, self.has_interval),
            is_in_domain=is_in_domain,
            scored_tokens=int(self.scores.tokens.sum()),
            documents=len(self.scores.nats),
            available_tokens=self.scores.available_tokens,
        )


def _change(losses: Floats, has_interval: bool) -> Change:
    before, after = losses[:, 0], losses[:, 1]
    return Change(
        before=estimate(before, has_interval=has_interval),
        after=estimate(after, has_interval=has_interval),
        difference=estimate(after - before, has_interval=has_interval),
    )


def _total(pairs: Sequence[_Pair]) -> Total:
    # A group of few documents hardly moves; the interval is that of the others.
    has_interval = sum(len(pair.scores.nats) for pair in pairs) >= MIN_GROUPS
    losses = np.stack([pair.losses for pair in pairs])
    weights = np.array([pair.scores.available_tokens for pair in pairs], np.float64)
    return Total(
        groups=len(pairs),
        mean=_change(losses.mean(axis=0), has_interval),
        by_tokens=_change(np.average(losses, axis=0, weights=weights), has_interval),
    )


def _sentence(own: Total, rest: Total | None, groups: Mapping[str, GroupChange]) -> str:
    """Say what was gained and what was forgotten."""
    parts = [f"The {_told('in-domain text', own)}"]
    if rest is None:
        return parts[0] + "; there is no other text to forget."
    parts.append(f"the {_told('general text', rest)}")
    others = {name: group.change for name, group in groups.items() if not group.is_in_domain}
    worse = {name: c for name, c in others.items() if c.is_sure and c.difference.value > 0}
    told = f"{len(worse)} of {len(others)} general groups lost beyond doubt"
    if worse:
        name = max(worse, key=lambda name: (worse[name].difference.value, name))
        told += f", most of all {name} ({worse[name].difference.value:+.3f})"
    return f"{'; '.join(parts)}. {told}."


def _told(what: str, total: Total) -> str:
    change = total.mean
    verb = "fell" if change.difference.value < 0 else "rose"
    verb = verb if change.difference.value else "went"
    share = change.difference.value / change.before.value if change.before.value else 0.0
    doubt = "" if change.is_sure else ", not beyond doubt"
    return (
        f"loss on {what} {verb} from {change.before.value:.3f} to {change.after.value:.3f} "
        f"nats per token ({share:+.1%}{doubt})"
    )
