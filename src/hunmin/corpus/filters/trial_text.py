"""A trial of thresholds as text: for the terminal, and as the file that a recipe names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import InputError
from hunmin.core.tables import align_columns
from hunmin.corpus.filters.profiles import read_profile
from hunmin.corpus.filters.trial import RuleTrial, SampleFacts, Trial


def terminal_lines(trial: Trial) -> list[str]:
    """Return what to print: samples, a table of rules, what they drop together, notes."""
    lines = [_sample_line(name, facts, trial) for name, facts in trial.facts.items()]
    names = list(trial.facts)
    header = ["rule", "at least", "at most", *(f"drops of {name}" for name in names)]
    rows = [header, *(_row(rule, names) for rule in trial.rules if _is_shown(rule))]
    rows.append(["all rules together", "", "", *(_percent(trial.dropped[n]) for n in names)])
    rows.append(
        ["(thresholds of hunmin)", "", "", *(_percent(trial.dropped_without[n]) for n in names)]
    )
    lines += ["", *align_columns(rows), "", "* proposed; the others are hunmin's own"]
    if trial.held_out is not None:
        lines.append(
            f"thresholds from four fifths of the trusted text drop {_percent(trial.held_out)} of "
            "the last fifth"
        )
    if trial.proposal.profile.stop_words:
        lines.append("stop words: " + " ".join(trial.proposal.profile.stop_words[:20]))
    return [*lines, *(f"note: {note}" for note in trial.notes)]


def _is_shown(rule: RuleTrial) -> bool:
    return rule.is_proposed or any(rule.dropped.values())


def _row(rule: RuleTrial, names: Sequence[str]) -> list[str]:
    limits = ["" if limit is None else f"{limit:g}" for limit in (rule.min, rule.max)]
    shares = [_percent(rule.dropped[name]) for name in names]
    return [rule.statistic + (" *" if rule.is_proposed else ""), *limits, *shares]


def _percent(share: float) -> str:
    if not share:
        return "0"
    return f"{100 * share:.1f} %" if share >= 0.0005 else "< 0.1 %"


def _sample_line(name: str, facts: SampleFacts, trial: Trial) -> str:
    made = (
        f"put together to {trial.documents[name]:,} documents"
        if facts.kind == "pieces"
        else f"documents of their own, {facts.with_lines:,} with several lines"
    )
    return (
        f"{name}: {facts.texts:,} texts, {facts.words:,} words, median {facts.median_words:,.0f}; "
        f"{made}"
    )


def write_thresholds(trial: Trial, path: Path, *, origin: str) -> None:
    """Write the file of thresholds.

    Args:
        trial: What was proposed.
        path: Where; an older file of thresholds is replaced.
        origin: What they were made from, for the comment at the top.
    """
    profile = trial.proposal.profile
    values = profile.model_dump(exclude_defaults=True, exclude_none=True, mode="json")
    body = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=98)
    head = [*origin.splitlines(), *_drop_lines(trial), "", "In a recipe:"]
    head.append(f"  corpus: {{filters: {{files: [{path.name}]}}}}")
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head)
    atomic_write_text(path, comment + body)


def _drop_lines(trial: Trial) -> list[str]:
    return [
        f"{_sample_line(name, facts, trial)}; {_percent(trial.dropped[name])} dropped"
        for name, facts in trial.facts.items()
    ]


def check_thresholds_path(path: Path) -> None:
    """Refuse, before any work, a path that is no place for a file of thresholds."""
    if path.is_dir() or path.suffix not in (".yaml", ".yml"):
        raise InputError(
            "this is no place for a file of thresholds",
            where=path,
            given="a folder" if path.is_dir() else path.suffix or "no ending",
            allowed="a file with the ending .yaml",
        )
    if path.is_file():
        _check_replaced(path)


def _check_replaced(path: Path) -> None:
    try:
        read_profile(path)
    except (InputError, UnicodeDecodeError) as error:
        raise InputError(
            "something else is here; thresholds would replace it",
            where=path,
            hint="choose another name, or move it away",
        ) from error
