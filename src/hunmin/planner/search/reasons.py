"""Why one strategy is slower than another: the parts of their steps, compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hunmin.core.units import format_bytes
from hunmin.planner.memory import DEVICE_PARTS
from hunmin.planner.prediction import Prediction
from hunmin.planner.search.bounds import computing_seconds
from hunmin.planner.speed.costs import derive_costs

_SAME = 0.01
"""Steps that differ by less than this are equally fast."""
_WORTH_SAYING = 0.2
"""Of everything that takes longer, the share that a part must have to be named."""
_EXPOSED = {"gather": "gathers", "scatter": "scatters", "all_reduce": "all-reduces"}


def explain_loss(loser: Prediction, best: Prediction, *, misses_batch: bool = False) -> str:
    """Say why a strategy loses against the best one.

    Args:
        loser: The strategy; it need not fit.
        best: The best one, of the same model and cluster.
        misses_batch: Whether the loser's global batch is too far from the one wished for.

    Returns:
        One line: the parts of its step that take longer, as shares of the best step.
    """
    if not loser.fits:
        return explain_memory(loser)
    if misses_batch:
        rows, theirs = loser.strategy.rows_per_step, best.strategy.rows_per_step
        return f"global batch: {rows:,} rows instead of {theirs:,}"
    change = _changes(loser, best)
    total = sum(change.values())
    return _explain_tie(loser, best, total) if total < _SAME else _explain_parts(loser, change)


def _changes(loser: Prediction, best: Prediction) -> dict[str, float]:
    """Return what each part takes longer, as a share of the best step."""
    ours, theirs = step_parts(loser), step_parts(best)
    return {part: (ours[part] - theirs[part]) / best.seconds_per_token for part in ours}


def _explain_parts(loser: Prediction, change: Mapping[str, float]) -> str:
    grouped = {part: share for part, share in change.items() if part not in _EXPOSED}
    grouped["exposed"] = sum(change[kind] for kind in _EXPOSED)
    longer = sum(max(0.0, share) for share in grouped.values())
    named = sorted(grouped, key=lambda part: -grouped[part])
    named = [part for part in named if grouped[part] >= _WORTH_SAYING * longer]
    said = [
        _say_exposed(loser, change) if part == "exposed" else _SAYING[part](loser, change[part])
        for part in named
    ]
    shorter = sum(grouped.values()) - sum(grouped[part] for part in named)
    if abs(shorter) > _WORTH_SAYING * longer:
        said.append(f"everything else {_percent(shorter)}")
    return "; ".join(said)


def explain_memory(prediction: Prediction) -> str:
    """Say what fills the memory of a device.

    Args:
        prediction: A strategy that does not fit.

    Returns:
        One line: bytes needed, with the allowance for fragmentation, bytes there are, the largest
        part.
    """
    memory, device = prediction.memory, prediction.cluster.device.memory
    parts: dict[str, float] = {name: getattr(memory, name) for name in DEVICE_PARTS}
    largest = max(parts, key=lambda name: parts[name])
    return (
        f"memory: {format_bytes(memory.needed)} of {format_bytes(device)}, "
        f"{format_bytes(parts[largest])} of it {largest}"
    )


def step_parts(prediction: Prediction) -> Mapping[str, float]:
    """Take a step apart into what can be compared with another one.

    Args:
        prediction: Any.

    Returns:
        Seconds of the cluster for a token, which add up to those of the step: undisturbed
        computing, what is computed again, how much longer it takes beside collectives, waiting by
        the kind of collective, the update, the bubble.
    """
    step, strategy = prediction.step, prediction.strategy
    again = _computing_again(prediction)
    undisturbed = _undisturbed(prediction)
    computed = sum(seconds for kind, seconds in step.computing.items() if kind != "tensor")
    parts = {
        "computing": undisturbed - again,
        "recomputing": again,
        "interference": computed - undisturbed,
        "tensor": step.computing.get("tensor", 0.0),
        **{kind: step.exposed.get(kind, 0.0) for kind in _EXPOSED},
        "optimizer": step.optimizer,
        "bubble": step.bubble,
    }
    tokens = strategy.rows_per_step * prediction.shape.context
    return {part: seconds / tokens for part, seconds in parts.items()}


def _undisturbed(prediction: Prediction) -> float:
    strategy = prediction.strategy
    costs = derive_costs(prediction.shape, strategy, prediction.cluster, prediction.software)
    return computing_seconds(costs, strategy)[0]


def _computing_again(prediction: Prediction) -> float:
    without = replace(prediction, strategy=replace(prediction.strategy, recompute="none"))
    return _undisturbed(prediction) - _undisturbed(without)


# -- in words ------------------------------------------------------------------------------------


def _percent(share: float) -> str:
    return f"{share:+.0%}" if abs(share) >= 0.1 else f"{share:+.1%}"


def _say_computing(loser: Prediction, change: float) -> str:
    strategy = loser.strategy
    rows = "1 row" if strategy.micro_batch == 1 else f"{strategy.micro_batch} rows"
    split = f" split over {strategy.layout.tensor} devices" if strategy.layout.tensor > 1 else ""
    return f"slower matrix products: {_percent(change)} of the step, {rows} at a time{split}"


def _say_recomputing(loser: Prediction, change: float) -> str:
    return f"recomputes {loser.strategy.recompute}: {_percent(change)} computing"


def _say_interference(_: Prediction, change: float) -> str:
    return f"computes slower beside collectives: {_percent(change)} of the step"


def _say_tensor(loser: Prediction, change: float) -> str:
    degree = loser.strategy.layout.tensor
    return f"waits for tensor all-reduces of {degree} devices: {_percent(change)} of the step"


def _say_optimizer(_: Prediction, change: float) -> str:
    return f"updates more parameters on each device: {_percent(change)} of the step"


def _say_bubble(_: Prediction, change: float) -> str:
    return f"pipeline stages wait for each other: {_percent(change)} of the step"


_SAYING: Mapping[str, Callable[[Prediction, float], str]] = {
    "computing": _say_computing,
    "recomputing": _say_recomputing,
    "interference": _say_interference,
    "tensor": _say_tensor,
    "optimizer": _say_optimizer,
    "bubble": _say_bubble,
}


def _say_exposed(loser: Prediction, change: Mapping[str, float]) -> str:
    total = sum(change[kind] for kind in _EXPOSED)
    ordered = sorted(_EXPOSED, key=lambda kind: -change[kind])
    kinds = [kind for kind in ordered if change[kind] >= _WORTH_SAYING * total]
    each = [f"{_EXPOSED[kind]} {_reach(loser, kind)} {_percent(change[kind])}" for kind in kinds]
    said = f"exposed communication: {_percent(total)} of the step"
    if len(kinds) == 1:
        return f"{said}, {_EXPOSED[kinds[0]]} {_reach(loser, kinds[0])}"
    return f"{said} ({', '.join(each)})"


def _reach(loser: Prediction, kind: str) -> str:
    layout = loser.strategy.layout
    if kind == "all_reduce":
        often = "" if layout.two_hop else " in every microstep"
        return f"between {layout.replicas} copies{often}"
    if not layout.spans_nodes:
        return "within the node"
    return f"over {layout.nodes_per_group} nodes"


def _explain_tie(loser: Prediction, best: Prediction, change: float) -> str:
    ours, theirs = loser.strategy.layout, best.strategy.layout
    speed = "equally fast" if abs(change) < 0.0005 else f"equally fast within {_SAME:.0%}"
    if ours.tensor > theirs.tensor:
        return f"{speed}, but splits matrices over {ours.tensor} devices"
    if ours.hierarchical > theirs.hierarchical:
        return f"{speed}, but collectives in two stages"
    if ours.two_hop < theirs.two_hop:
        return f"{speed}, but synchronises the copies in every microstep"
    if ours.partition_group > theirs.partition_group:
        return f"{speed}, but groups of {ours.partition_group} where {theirs.partition_group} do"
    needs = f"{format_bytes(loser.memory.total)} instead of {format_bytes(best.memory.total)}"
    return f"{speed}, but needs {needs}" if loser.memory.total > best.memory.total else speed
