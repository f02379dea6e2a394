"""forgetting.md: losses before and after a second stage in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hunmin.core.estimates import MIN_GROUPS
from hunmin.core.tables import markdown_table
from hunmin.core.units import format_count
from hunmin.evaluation.report import interval_text

if TYPE_CHECKING:
    from hunmin.evaluation.forgetting import Change, ForgettingReport, GroupChange

HEADER = ("", "before", "after", "difference", "95 %", "relative", "documents", "scored tokens")
EXPLANATION = """\
- **Loss**: nats per scored token of held-out text, by the task that the models learnt from; lower
  is better. Both models say the same tokens, so they compare; groups do not, since languages differ
  in how much a token tells.
- **Difference**: after less before. Below 0 the second stage taught something, above 0 something
  was forgotten. The interval resamples documents, the same ones for both models; it does not cover
  the seed of training. With fewer than {min_groups} documents none is given.
- **Mean** gives each group the same weight, **by tokens** the weight of its held-out tokens."""


def forgetting_markdown(report: ForgettingReport) -> str:
    """Return forgetting.md.

    Args:
        report: The numbers.

    Returns:
        Markdown that links the plot by its relative path.
    """
    totals = [("in-domain", report.in_domain)]
    totals += [("general", report.general)] if report.general is not None else []
    rows = [
        _row(f"{name}, {how} ({total.groups} groups)", change)
        for name, total in totals
        for how, change in (("mean", total.mean), ("by tokens", total.by_tokens))
    ]
    lines = ["# What the second stage gained and forgot", "", report.sentence, ""]
    lines += [*markdown_table(HEADER[:6], rows), "", "![Loss by group](forgetting.svg)", ""]
    for title, is_own in (("In-domain groups", True), ("General groups", False)):
        own = {n: g for n, g in report.groups.items() if g.is_in_domain is is_own}
        if own:
            lines += [f"## {title}", "", *markdown_table(HEADER, _group_rows(own)), ""]
    lines += ["## How to read this", "", EXPLANATION.format(min_groups=MIN_GROUPS), ""]
    lines.append(
        f"Scored: the {report.split} split of the shards {report.tokens[:12]}, by an "
        f"{report.kind}, in {report.precision}."
    )
    return "\n".join(lines) + "\n"


def _group_rows(groups: dict[str, GroupChange]) -> list[tuple[str, ...]]:
    """The groups that lost most come first."""
    ordered = sorted(groups.items(), key=lambda row: (-row[1].change.difference.value, row[0]))
    return [
        (*_row(name, group.change), f"{group.documents:,}", format_count(group.scored_tokens))
        for name, group in ordered
    ]


def _row(name: str, change: Change) -> tuple[str, ...]:
    before = change.before.value
    share = f"{change.difference.value / before:+.1%}" if before else ""
    return (
        name,
        f"{before:.3f}",
        f"{change.after.value:.3f}",
        f"{change.difference.value:+.3f}",
        interval_text(change.difference),
        share,
    )
