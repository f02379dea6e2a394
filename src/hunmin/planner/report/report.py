"""A plan for people: the same lines on a terminal and in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from hunmin.core.tables import markdown_table
from hunmin.core.units import (
    format_bytes,
    format_count,
    format_duration,
    format_flops,
    format_network,
)
from hunmin.planner.memory import DEVICE_PARTS, USABLE
from hunmin.planner.plan import SHOWN_TOKENS, Plan
from hunmin.planner.prediction import Prediction
from hunmin.planner.report.accuracy import caveats
from hunmin.planner.report.timeline_text import timeline_lines
from hunmin.planner.run.run import RunPlan, Spending
from hunmin.planner.search.search import Loser
from hunmin.planner.speed.step import StepTime

_DAY, _HOUR = 86_400.0, 3_600.0
_LABEL = 19
_WIDTH = 100
_INDENT = 11 * " "
_TINY = 0.0005
"""Shares of a step below this are not worth a line."""
_ALL = 0.9995
_PASSES = ("forward", "backward")
_USUAL = {"hierarchical": False, "two_hop": True, "reshard_after_forward": True}
"""What is not worth a word where the best strategy has no such choice."""
Row = tuple[str, str]
Cells = tuple[str, str, str]


@dataclass(frozen=True)
class Section:
    """Lines that belong together.

    Args:
        title: Empty for what goes on from the section before.
        rows: Label and text.
    """

    title: str
    rows: tuple[Row, ...]


def plan_sections(plan: Plan) -> list[Section]:
    """Return everything about the best strategy and the run with it."""
    best = plan.best
    return [
        Section("Layout", tuple(_layout_rows(best))),
        Section("Memory", tuple(_memory_rows(best))),
        Section("Speed", tuple(_speed_rows(best))),
        Section("Run", tuple(_run_rows(plan))),
    ]


def headline(plan: Plan) -> str:
    """Return what is planned, in one line."""
    best = plan.best
    shape, cluster = best.shape, best.cluster
    nodes = "1 node" if cluster.nodes == 1 else f"{cluster.nodes:,} nodes"
    return (
        f"{shape.name}, {format_count(shape.parameters)} parameters, rows of {shape.context:,} "
        f"tokens, on {nodes} of {cluster.title}: {cluster.devices:,} x {cluster.device.name}"
    )


def terminal_lines(plan: Plan, *, explain: bool = False) -> list[str]:
    """Return what `hunmin plan` prints.

    Args:
        plan: The plan.
        explain: Whether to draw the time line and to say why every other choice loses.

    Returns:
        Lines without colours.
    """
    lines = [headline(plan)]
    for section in plan_sections(plan):
        lines += ["", *_terminal_section(section)]
    if explain:
        lines += ["", *timeline_lines(plan.best.step.events, plan.best.strategy.microsteps)]
        lines += ["", "Every other choice at its best", *_told(_loser_rows(plan))]
    else:
        lines += ["", "Next best by tokens a second, and why they lose", *_told(_rival_rows(plan))]
    lines += ["", "To paste into a recipe", *(f"  {line}" for line in plan.recipe), ""]
    return [*lines, *(line for note in _notes(plan) for line in textwrap.wrap(note, _WIDTH))]


def markdown_lines(plan: Plan, command: str) -> list[str]:
    """Return plan.md.

    Args:
        plan: The plan.
        command: The command that made it.

    Returns:
        Lines of Markdown; pictures lie beside it.
    """
    lines = [f"# {headline(plan)}", "", f"`{command}`"]
    for section in plan_sections(plan):
        lines += ["", f"## {section.title}", "", "| | |", "|---|---|"]
        lines += [f"| {label} | {text} |" for label, text in section.rows]
    lines += ["", "## Why the others lose", ""]
    lines += markdown_table(["", "tokens/s", "why"], list(_loser_rows(plan)))
    lines += ["", "## A step", "", "```text"]
    lines += timeline_lines(plan.best.step.events, plan.best.strategy.microsteps)
    lines += ["```", "", "![Time line of a step](timeline.svg)", ""]
    lines += ["![Weak scaling](weak.svg)", "", "![Strong scaling](strong.svg)", ""]
    lines += ["## Recipe", "", "```yaml", *plan.recipe, "```", ""]
    return [*lines, *(f"- {note}" for note in _notes(plan))]


# -- rows ------------------------------------------------------------------------------------------


def _layout_rows(best: Prediction) -> Iterator[Row]:
    strategy, layout = best.strategy, best.strategy.layout
    copies = "one copy" if layout.replicas == 1 else f"{layout.replicas} copies"
    yield "model shared by", f"partition groups of {layout.partition_group}, {copies}"
    if strategy.pipeline > 1:
        stages = f"a pipeline of {strategy.pipeline} stages, which hunmin cannot train"
        yield "blocks split", f"over {stages}"
    if layout.tensor > 1:
        yield "matrices split", f"over {layout.tensor} devices"
    if layout.spans_nodes:
        stages = "in two stages" if layout.hierarchical else "in one ring"
        yield "groups", f"span {layout.nodes_per_group} nodes; gathered {stages}"
    if layout.replicas > 1:
        often = "once a step" if layout.two_hop else "in every microstep"
        yield "synchronised", f"{often} between the copies"
    yield "microbatch", _rows(strategy.micro_batch, best) + f", {strategy.microsteps} a step"
    yield "global batch", _rows(strategy.rows_per_step, best)
    yield "recomputes", _recomputes(best)
    yield "computes in", f"{strategy.precision}, optimizer {strategy.optimizer}"
    yield "trained by", best.software.title


def _rows(rows: int, best: Prediction) -> str:
    count = "1 row" if rows == 1 else f"{rows:,} rows"
    return f"{count} ({format_count(rows * best.shape.context)} tokens)"


def _recomputes(best: Prediction) -> str:
    kept = "" if best.strategy.reshard_after_forward else "; keeps parameters gathered"
    return {"none": "nothing", "attention": "attention", "blocks": "whole blocks"}[
        best.strategy.recompute
    ] + kept


def _memory_rows(best: Prediction) -> Iterator[Row]:
    memory, device = best.memory, best.cluster.device.memory
    usable = f"{format_bytes(USABLE * device)} ({USABLE:.0%} of {format_bytes(device)})"
    peak = f", at the peak in the {memory.moment} pass" if memory.moment in _PASSES else ""
    yield "a device", f"{format_bytes(memory.total)} of {usable}{peak}"
    for name in DEVICE_PARTS:
        value = float(getattr(memory, name))
        if value:
            yield f"  {name}", format_bytes(value)
    if memory.host:
        yield "host, a device", f"{format_bytes(memory.host)} while a checkpoint is written"


def _speed_rows(best: Prediction) -> Iterator[Row]:
    yield "a step", _seconds(best.step.seconds)
    for name, seconds in _step_parts(best.step):
        yield f"  {name}", f"{_seconds(seconds)} ({seconds / best.step.seconds:.1%})"
    yield "network", f"{_hidden(best)}; {_link_use(best)}"
    yield "model FLOPs", f"{_flops(best.model_flops)}, MFU {best.mfu:.1%} of {_peak(best)}"
    again = "what is recomputed counts" if best.hfu > best.mfu else "nothing is recomputed"
    yield "hardware FLOPs", f"{_flops(best.hardware_flops)}, HFU {best.hfu:.1%}; {again}"
    per_device = format_count(best.tokens_per_second_per_device)
    yield "tokens a second", f"{format_count(best.tokens_per_second)}, {per_device} a device"


def _flops(flops: float) -> str:
    return f"{format_flops(flops)} a device"


def _peak(best: Prediction) -> str:
    return f"{format_flops(best.peak_flops)} ({best.strategy.precision})"


def _step_parts(step: StepTime) -> Iterator[tuple[str, float]]:
    tensor = step.computing.get("tensor", 0.0)
    parts = {
        "computing": sum(step.computing.values()) - tensor,
        "tensor ranks": tensor,
        **{f"waits, {kind.replace('_', '-')}": value for kind, value in step.exposed.items()},
        "bubble": step.bubble,
        "update": step.optimizer,
    }
    return ((name, value) for name, value in parts.items() if value > _TINY * step.seconds)


def _hidden(best: Prediction) -> str:
    sending = sum(best.step.sending.values())
    if not sending:
        return "idle"
    hidden = max(0.0, 1 - best.step.exposed_seconds / sending)
    return f"busy for {_seconds(sending)}, {hidden:.0%} of it behind computing"


def _link_use(best: Prediction) -> str:
    if not best.node_link_bytes:
        return "nothing between nodes"
    speed = format_network(best.cluster.between.bandwidth)
    return f"{format_bytes(best.node_link_bytes)} over each node's link of {speed}"


def _run_rows(plan: Plan) -> Iterator[Row]:
    run = plan.run
    tokens = f"{format_count(plan.tokens or SHOWN_TOKENS)} tokens"
    yield tokens, f"{_spending(run.ideal)}, {run.steps:,} steps"
    if run.expected is not None:
        yield "with failures", f"{_spending(run.expected)}; {_failures(run)}"
    yield "checkpoint", _checkpoint(run)
    if run.ideal.cost is not None and plan.price is not None:
        where = "" if run.expected is None else ", with failures"
        yield "cost", f"{_cost(run):,.0f}{where}, at {plan.price:g} a node and hour"
    if run.ideal.energy_kwh is not None:
        yield "energy", f"{_energy((run.expected or run.ideal).energy_kwh or 0.0)}, devices alone"


def _spending(spending: Spending) -> str:
    return _days(spending.days)


def _cost(run: RunPlan) -> float:
    return (run.expected or run.ideal).cost or 0.0


def _failures(run: RunPlan) -> str:
    share = run.goodput or 0.0
    goodput = "goodput over 99.9%" if share > _ALL else f"goodput {share:.1%}"
    if run.seconds_between_failures is None or run.expected_failures is None:
        return f"{goodput}, none expected"
    between = _days(run.seconds_between_failures / _DAY)
    return f"{goodput}, a failure every {between}"


def _checkpoint(run: RunPlan) -> str:
    plan = run.checkpoint
    if plan.write_seconds is None or plan.pause_seconds is None or plan.every_seconds is None:
        return f"{format_bytes(plan.bytes)}; --storage says how fast a node writes"
    return (
        f"{format_bytes(plan.bytes)}, written in {_seconds(plan.write_seconds)} (training pauses "
        f"{_seconds(plan.pause_seconds)}), every {_seconds(plan.every_seconds)} "
        f"({plan.every_steps:,} steps)"
    )


# -- the others ------------------------------------------------------------------------------------


def _rival_rows(plan: Plan) -> Iterator[Cells]:
    for rival in plan.rivals():
        yield _cells(rival, plan.best)
    if plan.result.zero3 is not None and plan.zero3_loss is not None:
        world = plan.result.zero3.strategy.layout.partition_group
        zero3 = Loser("partition_group", world, plan.result.zero3, plan.zero3_loss, {})
        name, speed, why = _cells(zero3, plan.best)
        yield f"ZeRO-3: {name}", speed, why


def _loser_rows(plan: Plan) -> Iterator[Cells]:
    return (_cells(loser, plan.best) for loser in plan.result.losers)


def _cells(loser: Loser, best: Prediction) -> Cells:
    return describe_difference(loser, best), _slower(loser.prediction, best), loser.reason


def _told(rows: Iterator[Cells]) -> list[str]:
    """One line says what and how fast, the next ones why."""
    lines = []
    for name, speed, why in rows:
        lines.append(f"  {speed:>7}  {name}")
        lines += textwrap.wrap(why, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return lines or ["  there is no other that fits"]


def describe_difference(loser: Loser, best: Prediction) -> str:
    """Return what is different about a strategy, such as "groups of 16, tensor 2".

    Args:
        loser: The strategy; the value it stands for comes first.
        best: What it is compared with.

    Returns:
        All choices that differ.
    """
    ours, theirs = _choices(loser.prediction), _choices(best)
    usual = {**_USUAL, **theirs}
    changed = [name for name in ours if ours[name] != usual[name] and name != loser.dimension]
    first = _say_choice(loser.dimension, loser.value)
    return ", ".join([first, *(_say_choice(name, ours[name]) for name in changed)])


def _choices(prediction: Prediction) -> dict[str, object]:
    strategy, layout = prediction.strategy, prediction.strategy.layout
    # Choices only where there are several nodes in a group, several copies, anything to gather.
    staged = layout.hierarchical if layout.spans_nodes else None
    hops = layout.two_hop if layout.replicas > 1 and strategy.microsteps > 1 else None
    gathers = strategy.reshard_after_forward if layout.partition_group > 1 else None
    choices: dict[str, object] = {
        "partition_group": layout.partition_group,
        "tensor": layout.tensor,
        "micro_batch": strategy.micro_batch,
        "recompute": strategy.recompute,
        "hierarchical": staged,
        "two_hop": hops,
        "reshard_after_forward": gathers,
    }
    return {name: value for name, value in choices.items() if value is not None}


def _say_choice(dimension: str, value: object) -> str:
    return {
        "partition_group": f"groups of {value}",
        "tensor": f"tensor {value}",
        "micro_batch": "1 row at a time" if value == 1 else f"{value} rows at a time",
        "recompute": "recomputes " + ("nothing" if value == "none" else str(value)),
        "hierarchical": "in two stages" if value else "in one ring",
        "two_hop": "copies once a step" if value else "copies in every microstep",
        "reshard_after_forward": "gathers twice" if value else "stays gathered",
    }[dimension]


def _slower(prediction: Prediction, best: Prediction) -> str:
    if not prediction.fits:
        return "no room"
    change = best.seconds_per_token / prediction.seconds_per_token - 1
    return "as fast" if abs(change) < _TINY else f"{change:+.1%}"


def _notes(plan: Plan) -> list[str]:
    how_good, unknown = caveats()
    asks = [] if plan.tokens else ["--tokens says how long the run is, --price what a node costs."]
    return [*map(_sentence, (*plan.result.notes, *plan.run.notes)), *asks, how_good, unknown]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."


def _terminal_section(section: Section) -> Iterator[str]:
    yield section.title
    for label, text in section.rows:
        yield f"  {label:<{_LABEL}}  {text}"


# -- units -----------------------------------------------------------------------------------------


def _seconds(seconds: float) -> str:
    if seconds >= 60:
        return format_duration(seconds)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _days(days: float) -> str:
    if days >= 365:
        return f"{days:,.0f} days ({days / 365.25:.1f} years)"
    return f"{days:.1f} days" if days >= 2 else format_duration(days * _DAY)


def _energy(kwh: float) -> str:
    return f"{kwh / 1000:,.1f} MWh" if kwh >= 1000 else f"{kwh:.3g} kWh"
