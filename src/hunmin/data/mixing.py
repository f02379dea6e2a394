"""The mixture of a run: what share of the samples each group gets, and how often it is repeated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hunmin.core.logs import get_logger
from hunmin.core.tables import align_columns
from hunmin.core.units import format_count
from hunmin.data.grouping import Grouping
from hunmin.data.shares import Divider, Shares, cap_shares, wanted_shares
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import SplitFacts, TokensFacts

logger = get_logger(__name__)

ADVISED_MAX_EPOCHS = 4
"""Repeating text up to four times is worth almost as much as new text; beyond, less and less.

Source: Muennighoff et al. 2023, "Scaling data-constrained language models", arXiv:2305.16264.
"""
_MAX_NAMED = 5
_MAX_ROWS = 16
# Steps are whole and caps are kept to rounding: 4.001 epochs are no reason to warn.
_SLACK = 1.01


@dataclass(frozen=True)
class PlannedGroup:
    """What a run takes from one group.

    Args:
        name: The group.
        tokens: Tokens it has.
        share: Its share of the samples; [0, 1].
        epochs: How often it is read in the run.
    """

    name: str
    tokens: int
    share: float
    epochs: float


@dataclass(frozen=True)
class MixturePlan:
    """The mixture of a run.

    Args:
        groups: In the order they were given.
        run_tokens: Tokens the run draws in all.
    """

    groups: tuple[PlannedGroup, ...]
    run_tokens: int

    @property
    def shares(self) -> Shares:
        """Share of the samples by group; they add up to 1."""
        return {group.name: group.share for group in self.groups}

    def as_json(self) -> list[dict[str, Any]]:
        """Return one row per group, for a file."""
        return [asdict(group) for group in self.groups]

    def table(self) -> list[str]:
        """Return the lines of a table for a terminal: group, tokens, share, epochs.

        Returns:
            The header, the groups with the largest shares, and a row for all others together.
        """
        ordered = sorted(self.groups, key=lambda group: (-group.share, group.name))
        shown, rest = ordered[:_MAX_ROWS], ordered[_MAX_ROWS:]
        rows = [describe_group(group) for group in shown]
        if rest:
            rows.append(describe_group(self._together(rest)))
        return align_columns([("group", "tokens", "share", "epochs"), *rows])

    def _together(self, groups: Sequence[PlannedGroup]) -> PlannedGroup:
        tokens = sum(group.tokens for group in groups)
        share = math.fsum(group.share for group in groups)
        name = f"({len(groups)} others)"
        return PlannedGroup(name, tokens, share, share * self.run_tokens / tokens)

    def repeated(self) -> list[PlannedGroup]:
        """Return the groups that are read more often than advised, the worst first."""
        found = [g for g in self.groups if g.epochs > ADVISED_MAX_EPOCHS * _SLACK]
        return sorted(found, key=lambda group: (-group.epochs, group.name))


def describe_group(group: PlannedGroup) -> tuple[str, str, str, str]:
    """Return a group's name, tokens, share and epochs as text."""
    tokens = format_count(group.tokens)
    return group.name, tokens, f"{group.share:.2%}", f"{group.epochs:.2f}"


def plan_mixture(
    num_tokens: Mapping[str, int],
    spec: DataSpec,
    run_tokens: int | None = None,
    *,
    other_groups: Iterable[str] = (),
) -> MixturePlan:
    """Work out the mixture of a run; a pure function.

    Args:
        num_tokens: Tokens by group, each > 0.
        spec: Weights, temperatures, up-weighting, most epochs.
        run_tokens: Tokens the run draws; None for as many as there are, without a cap on epochs.
        other_groups: Groups of other splits, which may be named too.

    Returns:
        The mixture; the order of the groups changes nothing but the order of its rows.

    Raises:
        InputError: A name that no group has, weights that contradict each other or leave nothing,
            or a run too long for `max_epochs`.
    """
    grouping = Grouping(num_tokens, spec.mix_by)
    known = Grouping({*num_tokens, *other_groups}, spec.mix_by)
    weights = {
        name: weight
        for name, weight in (spec.weights or {}).items()
        if not num_tokens.keys().isdisjoint(known.members(name, "data.weights"))
    }
    sizes = _upweighted(num_tokens, spec, known)
    divider = Divider(grouping, sizes, spec.temperature, spec.source_temperature)
    shares = wanted_shares(divider, weights)
    if run_tokens is not None and spec.max_epochs is not None:
        caps = {name: spec.max_epochs * size / run_tokens for name, size in num_tokens.items()}
        shares = cap_shares(grouping, shares, caps)
    drawn = sum(num_tokens.values()) if run_tokens is None else run_tokens
    groups = (
        PlannedGroup(name, size, shares[name], shares[name] * drawn / size)
        for name, size in num_tokens.items()
    )
    return MixturePlan(tuple(groups), drawn)


def mix_split(
    facts: TokensFacts, split: SplitFacts, spec: DataSpec, run_tokens: int | None = None
) -> MixturePlan:
    """Work out the mixture of a split of a tokens artifact, see `plan_mixture`.

    Args:
        facts: Of the artifact.
        split: The split.
        spec: Weights, temperatures, up-weighting, most epochs.
        run_tokens: Tokens the run draws; None for one pass, without a cap on epochs.

    Returns:
        The mixture, groups in the order of the split.

    Raises:
        InputError: See `plan_mixture`.
    """
    num_tokens = {name: group.tokens for name, group in split.groups.items()}
    others = {name for other in facts.splits.values() for name in other.groups}
    return plan_mixture(num_tokens, spec, run_tokens, other_groups=others)


def _upweighted(num_tokens: Mapping[str, int], spec: DataSpec, known: Grouping) -> Shares:
    """Tokens by group as if its documents were there so many times."""
    factors: dict[str, list[float]] = {name: [] for name in num_tokens}
    for name, factor in sorted((spec.upweight or {}).items()):
        for group in known.members(name, "data.upweight"):
            factors.get(group, []).append(factor)
    return {name: size * math.prod(factors[name]) for name, size in num_tokens.items()}


def repetition_warning(plan: MixturePlan, spec: DataSpec) -> str | None:
    """Say which groups a run repeats more often than advised, and what to change.

    Args:
        plan: The mixture of the run.
        spec: What made it.

    Returns:
        One sentence or two; None if no group is repeated too often.
    """
    groups = plan.repeated()
    if not groups:
        return None
    named = ", ".join(f"{group.name} {group.epochs:.1f} times" for group in groups[:_MAX_NAMED])
    more = f" and {len(groups) - _MAX_NAMED} more groups" if len(groups) > _MAX_NAMED else ""
    return (
        f"text is read more than {ADVISED_MAX_EPOCHS} times, where repeating begins to cost "
        f"quality: {named}{more}. {_advice(spec)}"
    )


def log_mixture(plan: MixturePlan, spec: DataSpec) -> None:
    """Log the table of a run's mixture if there is one, and warn of what is repeated too often."""
    if len(plan.groups) > 1:
        logger.info("%s", "\n".join(["what the run reads:", *plan.table()]))
    warning = repetition_warning(plan, spec)
    if warning is not None:
        logger.warning("%s", warning)


def _advice(spec: DataSpec) -> str:
    changes = [f"set data.max_epochs: {ADVISED_MAX_EPOCHS}"] if spec.max_epochs is None else []
    if spec.max_epochs is not None and spec.max_epochs > ADVISED_MAX_EPOCHS:
        changes.append("lower data.max_epochs")
    if spec.weights:
        changes.append("lower their data.weights")
    if spec.upweight:
        changes.append("lower their data.upweight")
    if spec.temperature < 1:
        changes.append("raise data.temperature")
    if spec.source_temperature < 1:
        changes.append("raise data.source_temperature")
    advice = ", ".join([*changes, "shorten train.duration"])
    return f"{advice[0].upper()}{advice[1:]}, or add text."
