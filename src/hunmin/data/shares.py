"""Which share of the samples each group gets. Pure functions of sizes and rules.

Weights come first: a share that is named is what a group, a source or a language gets. What is not
named divides the rest by its size: languages by tokens ** temperature, then the sources of each
language in the same way. At last no group is repeated more often than allowed, and what it could
not take goes to the others: first within its language, then among languages, in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hunmin.core.errors import InputError
from hunmin.data.grouping import Grouping

Shares = dict[str, float]

_WEIGHTS = "data.weights"
# Steps are whole: a run may be that much longer than the passes it was made of.
_ROUNDING = 0.01
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Divider:
    """Divides a share among groups by their sizes.

    Args:
        grouping: The groups.
        sizes: Tokens by group, times what up-weighting says; > 0.
        temperature: Power of the size of a language, or of a group if there is one level; [0, 1].
        source_temperature: Power of the size of a source within its language; [0, 1].
    """

    grouping: Grouping
    sizes: Mapping[str, float]
    temperature: float
    source_temperature: float

    def divide(self, total: float, groups: Iterable[str]) -> Shares:
        """Return the part of `total` that each group gets."""
        branches = _by_branch(self.grouping, groups)
        tops = {
            name: math.fsum(self.sizes[group] for group in members) ** self.temperature
            for name, members in branches.items()
        }
        shares: Shares = {}
        for name, members in branches.items():
            part = total * tops[name] / math.fsum(tops.values())
            powers = {group: self.sizes[group] ** self.source_temperature for group in members}
            whole = math.fsum(powers.values())
            shares |= {group: part * (power / whole) for group, power in powers.items()}
        return shares


def wanted_shares(divider: Divider, weights: Mapping[str, float]) -> Shares:
    """Return the shares that weights and sizes ask for, whatever the repetitions.

    Args:
        divider: Groups and how they divide what no weight names.
        weights: Share of all samples by name; 0 leaves out everything of that name.

    Returns:
        Shares by group that add up to 1.

    Raises:
        InputError: An unknown name, weights that contradict each other, or nothing left to share.
    """
    groups = divider.grouping.groups
    shares = _settle_weights(divider, weights)
    free = [group for group in groups if group not in shares]
    total = math.fsum(shares.values())
    if not free and total > 0:
        return {group: shares[group] / total for group in groups}
    if not free or total >= 1:
        raise _nothing_left(total, free)
    shares |= divider.divide(1 - total, free)
    return {group: shares[group] for group in groups}


def _settle_weights(divider: Divider, weights: Mapping[str, float]) -> Shares:
    """Shares of all groups that a weight says something about; special names before general."""
    grouping = divider.grouping
    shares: Shares = {}
    for name in weights:
        if weights[name] == 0:
            shares |= dict.fromkeys(grouping.members(name, _WEIGHTS), 0.0)
    for name in sorted(weights, key=lambda name: (grouping.level(name), name)):
        if weights[name] > 0:
            members = grouping.members(name, _WEIGHTS)
            free = [group for group in members if group not in shares]
            left = weights[name] - math.fsum(shares.get(group, 0.0) for group in members)
            if left <= 0 if free else abs(left) > _TOLERANCE:
                raise _contradiction(name, weights[name], weights[name] - left)
            shares |= divider.divide(left, free)
    return shares


def _contradiction(name: str, weight: float, parts: float) -> InputError:
    return InputError(
        "the weights contradict each other",
        where=f"{_WEIGHTS}.{name}",
        given=f"{weight:g} for {name}, while other weights give its groups {parts:g}",
        allowed="a language or source with more than the parts of it that are named, if any of its "
        "groups is left, else with their sum",
        hint=f"change the weight of {name}, or of its parts; 0 leaves out all that has the name",
    )


def _nothing_left(total: float, free: list[str]) -> InputError:
    return InputError(
        "the weights leave no samples for the other groups" if free else "all weights are 0",
        where=_WEIGHTS,
        given=f"a sum of {total:g}",
        allowed="less than 1 in total, or a weight for every group",
        hint=f"set a weight (0 leaves it out) for: {', '.join(free)}" if free else None,
    )


def cap_shares(grouping: Grouping, shares: Shares, caps: Mapping[str, float]) -> Shares:
    """Return shares that no group's cap is below; the surplus goes to the others.

    Args:
        grouping: The groups.
        shares: What is wanted; adds up to 1.
        caps: Largest share by group, >= 0.

    Returns:
        Shares that add up to 1: first the languages are filled in proportion to what is wanted, as
        far as the caps of their sources allow, then the sources of each.

    Raises:
        InputError: The caps of all groups together are below 1: the run is too long for them.
    """
    used = {group: caps[group] for group in shares if shares[group] > 0}
    room = math.fsum(used.values())
    if room < 1 - _ROUNDING:
        raise _too_long(room)
    if room <= 1:
        return {group: used.get(group, 0.0) / room for group in shares}
    branches = _by_branch(grouping, used)
    wanted = {name: math.fsum(shares[g] for g in members) for name, members in branches.items()}
    limits = {name: math.fsum(used[g] for g in members) for name, members in branches.items()}
    totals = _fill(1.0, wanted, limits)
    result = dict.fromkeys(shares, 0.0)
    for name, members in branches.items():
        result |= _fill(totals[name], {group: shares[group] for group in members}, used)
    return result


def _fill(total: float, wanted: Mapping[str, float], limits: Mapping[str, float]) -> Shares:
    """Parts in proportion to `wanted`, each within its limit, that add up to `total`."""
    parts: Shares = {}
    free = dict(wanted)
    while free:
        scale = max(total - math.fsum(parts.values()), 0) / math.fsum(free.values())
        full = [name for name, share in free.items() if share * scale >= limits[name]]
        if not full:
            return parts | {name: share * scale for name, share in free.items()}
        parts |= {name: limits[name] for name in full}
        free = {name: share for name, share in free.items() if name not in parts}
    return parts


def _too_long(room: float) -> InputError:
    return InputError(
        "the run is longer than data.max_epochs passes over all groups",
        where="data.max_epochs",
        given=f"a run {1 / room:.2f} times as long as that",
        hint="shorten train.duration, raise data.max_epochs, or add text",
    )


def _by_branch(grouping: Grouping, groups: Iterable[str]) -> dict[str, list[str]]:
    branches: dict[str, list[str]] = {}
    for group in groups:
        branches.setdefault(grouping.branch(group), []).append(group)
    return branches
