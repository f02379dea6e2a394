"""How short a step can be at best, without a time line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hunmin.planner.cluster import Cluster
from hunmin.planner.shape import ModelShape
from hunmin.planner.software import Software
from hunmin.planner.speed.costs import StepCosts, derive_costs
from hunmin.planner.strategy import Strategy


@dataclass
class Bounds:
    """Least seconds of steps of one model on one cluster; costs are worked out once.

    Args:
        shape: The model.
        cluster: Devices and links.
        software: Constants of the program.
    """

    shape: ModelShape
    cluster: Cluster
    software: Software
    _costs: dict[tuple[object, ...], StepCosts] = field(default_factory=dict)

    def least_seconds(self, strategy: Strategy) -> float:
        """Return seconds that no step of a strategy falls short of.

            sending                                                        one network
            computing + tensor + what cannot be hidden + interference      one device

        Args:
            strategy: One pipeline stage.

        Returns:
            The larger of both, and the update.

        Note:
            Nothing hides the first gathers of a microstep and its last reductions. What is hidden
            behind computing makes it longer by the interference I: h hidden seconds by h I/(1+I).
            What tensor collectives hide makes nothing longer.
        """
        costs = self._costs_of(strategy)
        computing, tensor = computing_seconds(costs, strategy)
        sending = sending_seconds(costs, strategy)
        exposed = _never_hidden(costs, strategy, sending)
        slower = costs.interference
        hidden = max(0.0, sum(sending.values()) - exposed - tensor)
        longer = min(hidden, computing * (1 + slower)) * slower / (1 + slower)
        device = computing + tensor + exposed + longer
        return max(sum(sending.values()), device) + costs.optimizer

    def _costs_of(self, strategy: Strategy) -> StepCosts:
        layout = strategy.layout
        key = (
            layout.partition_group,
            layout.tensor,
            layout.hierarchical,
            strategy.micro_batch,
            strategy.recompute,
            strategy.reshard_after_forward,
        )
        if key not in self._costs:
            self._costs[key] = derive_costs(self.shape, strategy, self.cluster, self.software)
        return self._costs[key]


def computing_seconds(costs: StepCosts, strategy: Strategy) -> tuple[float, float]:
    """Return the seconds of a step's computing and of its tensor collectives.

    Args:
        costs: Seconds of each part.
        strategy: Whose microsteps count.

    Returns:
        Undisturbed computing without the update; collectives between tensor ranks.
    """
    block = costs.block
    computing = costs.blocks * (block.forward + block.backward) + costs.outside.forward
    tensor = costs.blocks * (block.tensor_forward + block.tensor_backward)
    return strategy.microsteps * computing, strategy.microsteps * tensor


def sending_seconds(costs: StepCosts, strategy: Strategy) -> dict[str, float]:
    """Return the seconds in which the network is busy, hidden or not.

    Args:
        costs: Seconds of each part.
        strategy: Microsteps, resharding, one hop or two.

    Returns:
        Seconds of a step by the kind of collective.
    """
    gathers = costs.blocks * (2 if strategy.reshard_after_forward else 1)
    return _sent(costs, strategy, gathers, costs.blocks)


def _sent(costs: StepCosts, strategy: Strategy, gathers: int, reductions: int) -> dict[str, float]:
    """Return the seconds of so many blocks' collectives in a microstep, and those outside."""
    block, outside, microsteps = costs.block, costs.outside, strategy.microsteps
    synchronised = 1 if strategy.layout.two_hop else microsteps
    return {
        "gather": microsteps * (gathers * block.gather + outside.gather),
        "scatter": microsteps * (reductions * block.scatter + outside.scatter),
        "all_reduce": synchronised * (reductions * block.all_reduce + outside.all_reduce),
    }


def _never_hidden(costs: StepCosts, strategy: Strategy, sending: Mapping[str, float]) -> float:
    """Return the seconds at both ends of a microstep, and what does not overlap between them."""
    ends = _sent(costs, strategy, 1, 1)
    between = {kind: sending[kind] - ends[kind] for kind in sending}
    reductions = costs.overlap if costs.reduction_overlap is None else costs.reduction_overlap
    exposed = (1 - costs.overlap) * between["gather"]
    exposed += (1 - reductions) * (between["scatter"] + between["all_reduce"])
    return sum(ends.values()) + exposed
