"""A plan: the best strategy for a model on a cluster, the whole run with it, and its recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hunmin.planner.prediction import Prediction
from hunmin.planner.report.accuracy import accuracy_as_dict
from hunmin.planner.report.recipe_text import recipe_lines
from hunmin.planner.run.run import RunPlan, RunWishes, derive_run
from hunmin.planner.search.reasons import explain_loss
from hunmin.planner.search.search import DIMENSIONS, Loser, Request, SearchResult, search

SHOWN_TOKENS = 100_000_000_000
"""Tokens whose days are told where nobody said how many there are."""
OWN_SOFTWARE = "hunmin"
_RIVALS = 6
_EACH = 2
"""Of one dimension."""


@dataclass(frozen=True)
class Plan:
    """What `hunmin plan` finds out.

    Args:
        result: The best strategy and its rivals.
        run: The whole run with the best strategy; of `SHOWN_TOKENS` if tokens is None.
        tokens: Of the run, if they were given.
        price: Of a node and hour, if it was given.
    """

    result: SearchResult
    run: RunPlan
    tokens: int | None
    price: float | None

    @property
    def best(self) -> Prediction:
        """The best strategy."""
        return self.result.best

    @property
    def recipe(self) -> list[str]:
        """Lines of the recipe that trains so."""
        best = self.best
        lines = recipe_lines(best.strategy, best.shape, self.tokens)
        if best.software.name == OWN_SOFTWARE:
            return lines
        return [f"# planned for {best.software.title}, not for hunmin", *lines]

    def rivals(self) -> list[Loser]:
        """Return the fastest other strategies that fit, each once, the fastest first.

        Of each dimension only the first ones: many partition groups may be about as fast.
        """
        found: dict[object, Loser] = {}
        for name in DIMENSIONS:
            losers = [one for one in self.result.losers if one.dimension == name]
            for loser in [one for one in _fastest_first(losers) if one.prediction.fits][:_EACH]:
                found.setdefault(loser.prediction.strategy, loser)
        return _fastest_first(found.values())[:_RIVALS]

    @property
    def zero3_loss(self) -> str | None:
        """Why ZeRO-3 loses; None if it is the best, or does not fit."""
        zero3 = self.result.zero3
        if zero3 is None or zero3.strategy.layout == self.best.strategy.layout:
            return None
        return explain_loss(zero3, self.best)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON value: bytes, seconds, operations a second."""
        return {
            **self.result.as_dict(),
            "tokens": self.tokens,
            "price": self.price,
            "run": self.run.as_dict(),
            "recipe": "\n".join(self.recipe),
            "accuracy": accuracy_as_dict(),
        }


def _fastest_first(losers: Iterable[Loser]) -> list[Loser]:
    return sorted(losers, key=lambda one: one.prediction.seconds_per_token)


def make_plan(request: Request, wishes: RunWishes, *, tokens: int | None) -> Plan:
    """Find the best strategy and derive the run with it.

    Args:
        request: Model, cluster, software, batch, what is fixed.
        wishes: What a user says about the run; its tokens are `SHOWN_TOKENS` where nobody said.
        tokens: Those that were asked for, or None.

    Returns:
        The plan.

    Raises:
        InputError: Nothing fits, or what is asked for is impossible.
    """
    result = search(request)
    best = result.best
    run = derive_run(best.step.seconds, best.shape, best.strategy, best.cluster, wishes)
    return Plan(result, run, tokens, wishes.price)
