"""`hunmin plan --budget`: which model to train in so many device hours."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hunmin.planner.budget.budget import BudgetPlan, SizeOption
    from hunmin.planner.cluster import Device, Precision

BUDGET_ONLY = ("device", "mfu", "unique_tokens", "inference_tokens")
"""Options that only a budget takes."""
DEFAULT_MFU = 0.4


@dataclass(frozen=True)
class BudgetArguments:
    """The words of a command line; see the help of each."""

    budget: str | None
    device: str | None
    mfu: float | None
    unique_tokens: str | None
    inference_tokens: str | None

    def refuse_without_budget(self) -> None:
        """Refuse words that would be ignored."""
        from hunmin.core.errors import InputError

        names = [field.name for field in fields(self) if field.name != "budget"]
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None]
        if given:
            raise InputError(
                "these belong to a budget",
                given=", ".join(given),
                hint="add --budget 10000gpu-hours, or leave them out",
            )


def plan_budget(
    asked: BudgetArguments, cluster: str | None, precision: Precision | None, *, as_json: bool
) -> None:
    """Print sizes and tokens that a budget is good for.

    Args:
        asked: Of the command line.
        cluster: Its device counts, if none is named.
        precision: Of matrix products.
        as_json: Print JSON only.
    """
    from hunmin.core.units import parse_device_hours, parse_tokens
    from hunmin.planner.budget.budget import budget

    unique, inference = asked.unique_tokens, asked.inference_tokens
    plan = budget(
        parse_device_hours(asked.budget or "", where="--budget"),
        _device(asked.device, cluster),
        DEFAULT_MFU if asked.mfu is None else asked.mfu,
        precision=precision,
        unique_tokens=None if unique is None else parse_tokens(unique, where="--unique-tokens"),
        inference_tokens=(
            None if inference is None else parse_tokens(inference, where="--inference-tokens")
        ),
    )
    if as_json:
        click.echo(json.dumps(plan.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(plan)))


def _device(name: str | None, cluster: str | None) -> Device:
    from hunmin.core.errors import InputError
    from hunmin.planner.catalogue.clusters import find_cluster, find_device

    if name is not None and cluster is None:
        return find_device(name, where="--device")
    if cluster is not None and name is None:
        return find_cluster(cluster, where="--cluster").device
    raise InputError(
        "a budget needs a device",
        where="--budget",
        given="both --device and --cluster" if name else None,
        allowed="--device A100-40GB, or --cluster p4d",
        hint="hunmin plan --list shows them",
    )


def _lines(plan: BudgetPlan) -> Iterator[str]:
    from hunmin.core.tables import align_columns
    from hunmin.core.units import format_count

    yield (
        f"{plan.device_hours:,.0f} hours of {plan.device}, {plan.precision}, at an MFU of "
        f"{plan.mfu:.0%}: {plan.flops:.3g} operations"
    )
    yield ""
    header = [
        "",
        "parameters",
        "tokens",
        "a parameter",
        "loss",
        "equal loss",
        *_more(plan),
        "hunmin",
    ]
    yield from align_columns([header, *(_row(option, plan) for option in plan.options)])
    yield ""
    yield "loss: by the law, and how much more it is than the first"
    yield "equal loss: the compute with which this size reaches the loss of the first"
    yield from _wrapped(f"the law: {plan.law} ({plan.source})")
    others = [
        f"{name}: {format_count(found.parameters)} on {format_count(found.tokens)}"
        for name, found in plan.other_laws.items()
        if name != plan.law
    ]
    yield from _wrapped(f"other laws would take: {'; '.join(others)}")
    for note in plan.notes:
        yield from _wrapped(note)


def _wrapped(note: str) -> list[str]:
    return textwrap.wrap(f"{note[0].upper()}{note[1:].rstrip('.')}.", 100)


def _more(plan: BudgetPlan) -> list[str]:
    first = plan.options[0]
    lifetime = ["lifetime"] if first.lifetime_flops is not None else []
    return lifetime + (["passes"] if first.epochs is not None else [])


def _row(option: SizeOption, plan: BudgetPlan) -> list[str]:
    from hunmin.core.units import format_count

    added = f" +{option.loss_added:.3f}" if option.loss_added >= 0.0005 else ""
    equal = option.flops_for_equal_loss
    more = [] if option.lifetime_flops is None else [f"{option.lifetime_flops:.3g}"]
    more += [] if option.epochs is None else [f"{option.epochs:.3g}"]
    size = "" if option.hunmin is None else f"size: {option.hunmin.size}"
    return [
        option.name,
        format_count(option.parameters),
        format_count(option.tokens),
        f"{option.tokens_per_parameter:.3g}",
        f"{option.loss:.3f}{added}",
        "never" if equal is None else f"{equal:.2f}x",
        *more,
        size,
    ]
