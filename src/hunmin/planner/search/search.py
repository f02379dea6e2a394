"""The fastest strategy that fits, and why the others lose.

    strategies      everything that request and cluster allow           thousands
       │ memory     what does not fit is set aside
       │ bound      no step is shorter than its computing, nor than its sending
       └ time line  in the order of these bounds, as long as one of its values
                    (this group, that degree, ...) has no better strategy yet      tens

So the best strategy of every value of every dimension is exact though few time lines are drawn:
what is skipped could not have won anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from hunmin.planner.memory import MemoryUse
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.search.bounds import Bounds
from hunmin.planner.search.candidates import Fixed, Request, list_strategies
from hunmin.planner.search.fitting import Fitting
from hunmin.planner.search.infeasible import refuse
from hunmin.planner.search.reasons import explain_loss
from hunmin.planner.strategy import Strategy

__all__ = ["Fixed", "Loser", "Request", "SearchResult", "search"]

Value = tuple[str, object]
"""A dimension of the search and a value in it."""
DIMENSIONS = (
    "partition_group",
    "tensor",
    "micro_batch",
    "recompute",
    "hierarchical",
    "two_hop",
    "reshard_after_forward",
)
_TIE = 0.01
"""Steps that differ by less than this are equally fast; the simpler strategy is taken."""
_NEAR_BATCH = 0.1
"""A global batch that differs by less than this from the one wished for is as good."""


@dataclass(frozen=True)
class Loser:
    """The best strategy with another value of one dimension.

    Args:
        dimension: What is different; one of `DIMENSIONS`.
        value: Its value.
        prediction: The fastest strategy that has it; the smallest one if none fits.
        reason: Why it loses.
        also: Values of other dimensions in which it differs from the best.
    """

    dimension: str
    value: object
    prediction: Prediction
    reason: str
    also: Mapping[str, object]

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "dimension": self.dimension,
            "value": self.value,
            "reason": self.reason,
            "also": dict(self.also),
            "prediction": self.prediction.as_dict(),
        }


@dataclass(frozen=True)
class SearchResult:
    """The best strategy and what it was compared with.

    Args:
        request: What was asked for.
        best: The fastest strategy that fits, simpler ones first where it makes no difference.
        zero3: The best with all ranks in one partition group, flat collectives and no split
            matrices (as few as fit), also where the request fixes another group; None if none
            fits.
        by_group: The best strategy of each partition group that fits, by size.
        losers: For every other value of every dimension the best strategy with it, and why it
            loses.
        notes: What the user should know about the request, such as a rounded batch.
        strategies: How many there are.
        fitting: How many of them fit the memory.
        simulated: How many were put on a time line.
    """

    request: Request
    best: Prediction
    zero3: Prediction | None
    by_group: Mapping[int, Prediction]
    losers: tuple[Loser, ...]
    notes: tuple[str, ...]
    strategies: int
    fitting: int
    simulated: int

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "best": self.best.as_dict(),
            "zero3": self.zero3.as_dict() if self.zero3 else None,
            "by_group": {str(size): one.as_dict() for size, one in self.by_group.items()},
            "losers": [loser.as_dict() for loser in self.losers],
            "notes": list(self.notes),
            "strategies": self.strategies,
            "fitting": self.fitting,
            "simulated": self.simulated,
        }


def search(request: Request) -> SearchResult:
    """Find the fastest strategy that fits the memory of the devices.

    Args:
        request: Model, cluster, software, global batch, and what is fixed.

    Returns:
        The best strategy, the best of each partition group, and why the others lose.

    Raises:
        InputError: Nothing fits; says what is nearest to fitting. Or what is fixed suits neither
            model nor cluster.

    Note:
        Strategies are compared by seconds a token, since not every layout divides the batch.
    """
    room = Fitting(request.shape, request.cluster.device.memory, request.software.habits)
    strategies = list(list_strategies(request))
    fitting = _fitting(request, strategies, room)
    if not fitting:
        raise refuse(request, strategies)
    explorer = Explorer(request)
    explorer.explore(fitting)
    best = explorer.settle(fitting)
    return SearchResult(
        request=request,
        best=best.prediction,
        zero3=_zero3(request, room, explorer),
        by_group=_by_group(explorer, best),
        losers=tuple(_losers(explorer, strategies, room, best)),
        notes=tuple(_notes(request, best.prediction)),
        strategies=len(strategies),
        fitting=len(fitting),
        simulated=explorer.simulated,
    )


@dataclass(frozen=True)
class Candidate:
    """A strategy of a request, worked out as far as somebody asked.

    Args:
        request: What it is an answer to.
        strategy: How to train.
        memory: Bytes of a rank.
    """

    request: Request
    strategy: Strategy
    memory: MemoryUse

    @cached_property
    def misses_batch(self) -> bool:
        """Whether its global batch is far from the one wished for."""
        wished = self.request.rows
        return abs(self.strategy.rows_per_step - wished) > _NEAR_BATCH * wished

    @cached_property
    def prediction(self) -> Prediction:
        """Speed, by a time line."""
        request = self.request
        return predict(request.shape, self.strategy, request.cluster, request.software)

    @property
    def rank(self) -> tuple[bool, float]:
        """What the best has least of: a missed batch, then seconds a token."""
        return self.misses_batch, self.prediction.seconds_per_token

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Its value in every dimension."""
        return values_of(self.strategy)

    @property
    def complexity(self) -> tuple[object, ...]:
        """What the simpler of two equally fast strategies has less of; first the batch is kept."""
        layout = self.strategy.layout
        return (
            abs(self.strategy.rows_per_step - self.request.rows),
            layout.tensor,
            layout.hierarchical,
            not layout.two_hop,
            layout.partition_group,
            self.memory.total,
        )


def values_of(strategy: Strategy) -> tuple[Value, ...]:
    """Return a strategy's value in every dimension of the search."""
    layout = strategy.layout
    values = (
        layout.partition_group,
        layout.tensor,
        strategy.micro_batch,
        strategy.recompute,
        layout.hierarchical,
        layout.two_hop,
        strategy.reshard_after_forward,
    )
    return tuple(zip(DIMENSIONS, values, strict=True))


class Explorer:
    """Finds the best candidate of every value, drawing as few time lines as it can.

    Args:
        request: Whose strategies these are.
    """

    def __init__(self, request: Request) -> None:
        self.simulated = 0
        self.best_of: dict[Value, Candidate] = {}
        self._bounds = Bounds(request.shape, request.cluster, request.software)

    def explore(self, candidates: Iterable[Candidate]) -> None:
        """Find the best candidate of every value."""
        for candidate in sorted(candidates, key=self._least):
            least = self._least(candidate)
            open_values = [
                value
                for value in candidate.values
                if value not in self.best_of or least < self.best_of[value].rank
            ]
            if open_values:
                self._simulate(candidate, open_values)

    def settle(self, candidates: Iterable[Candidate]) -> Candidate:
        """Return the simplest of those that are about as fast as the best."""
        best = min(self.best_of.values(), key=lambda candidate: candidate.rank)
        misses, seconds = best.rank
        limit = (misses, seconds * (1 + _TIE))
        near = [candidate for candidate in candidates if self._least(candidate) <= limit]
        for candidate in sorted(near, key=lambda candidate: candidate.complexity):
            self._simulate(candidate, [])
            if candidate.rank <= limit:
                return candidate
        return best

    def _least(self, candidate: Candidate) -> tuple[bool, float]:
        seconds = self._bounds.least_seconds(candidate.strategy)
        tokens = candidate.strategy.rows_per_step * candidate.request.shape.context
        return candidate.misses_batch, seconds / tokens

    def _simulate(self, candidate: Candidate, values: Iterable[Value]) -> None:
        self.simulated += "prediction" not in vars(candidate)
        for value in values:
            if value not in self.best_of or candidate.rank < self.best_of[value].rank:
                self.best_of[value] = candidate


def _fitting(request: Request, strategies: Iterable[Strategy], room: Fitting) -> list[Candidate]:
    return [Candidate(request, one, room.use(one)) for one in strategies if room.fits(one)]


def _zero3(request: Request, room: Fitting, explorer: Explorer) -> Prediction | None:
    if request.fixed.pipeline > 1:
        return None
    fixed = replace(request.fixed, partition_group="world", hierarchical=False)
    whole = replace(request, fixed=fixed)
    fitting = _fitting(whole, list_strategies(whole), room)
    if not fitting:
        return None
    # Nobody who says ZeRO-3 splits matrices, unless nothing else fits.
    tensor = min(candidate.strategy.layout.tensor for candidate in fitting)
    fitting = [one for one in fitting if one.strategy.layout.tensor == tensor]
    own = Explorer(whole)
    own.explore(fitting)
    explorer.simulated += own.simulated
    return own.settle(fitting).prediction


def _by_group(explorer: Explorer, best: Candidate) -> dict[int, Prediction]:
    found = {
        candidate.strategy.layout.partition_group: candidate.prediction
        for (dimension, _), candidate in explorer.best_of.items()
        if dimension == "partition_group"
    }
    found[best.strategy.layout.partition_group] = best.prediction
    return dict(sorted(found.items()))


def _losers(
    explorer: Explorer, strategies: Iterable[Strategy], room: Fitting, best: Candidate
) -> Iterator[Loser]:
    own = dict(best.values)
    found = explorer.best_of | {
        value: Candidate(best.request, strategy, room.use(strategy))
        for value, strategy in _too_large(strategies, room, explorer.best_of).items()
    }
    for dimension, value in sorted(found, key=_order):
        if own[dimension] == value:
            continue
        candidate = found[dimension, value]
        explorer.simulated += "prediction" not in vars(candidate)
        misses = candidate.misses_batch > best.misses_batch
        reason = explain_loss(candidate.prediction, best.prediction, misses_batch=misses)
        also = {name: other for name, other in candidate.values if other != own[name]}
        del also[dimension]
        yield Loser(dimension, value, candidate.prediction, reason, also)


def _too_large(
    strategies: Iterable[Strategy], room: Fitting, found: Mapping[Value, Candidate]
) -> dict[Value, Strategy]:
    """Return the smallest strategy for every value of which none fits."""
    having: dict[Value, list[Strategy]] = {}
    for strategy in strategies:
        for value in values_of(strategy):
            if value not in found:
                having.setdefault(value, []).append(strategy)
    return {value: room.smallest(several) for value, several in having.items()}


def _order(value: Value) -> tuple[int, float, str]:
    dimension, own = value
    number = float(own) if isinstance(own, int) else 0.0
    return DIMENSIONS.index(dimension), number, str(own)


def _notes(request: Request, best: Prediction) -> Iterable[str]:
    rows, wished = best.strategy.rows_per_step, request.rows
    context = request.shape.context
    if request.global_batch_tokens is None:
        yield f"global batch: {rows * context:,} tokens, about what GPT-3 used for this size"
    elif rows != wished or wished * context != request.global_batch_tokens:
        yield (
            f"global batch: {rows * context:,} tokens instead of {request.global_batch_tokens:,}; "
            f"{rows} rows of {context} tokens divide among the devices"
        )
