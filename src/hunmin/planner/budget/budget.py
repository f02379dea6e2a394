"""From device hours to the size of a model and its tokens.

device hours × peak × MFU = training FLOPs ── a law of the loss ── compute-optimal size, tokens
                                                                 ├ smaller ones, on more tokens
                                                                 ├ the cheapest to train and use
                                                                 └ the best of few unique tokens
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.units import format_count
from hunmin.planner.budget.family import (
    DEFAULT_VOCABULARY,
    FamilyMember,
    nearest_member,
    nearest_preset,
)
from hunmin.planner.budget.loss_laws import (
    APPROACH_1,
    APPROACH_2,
    BESIROGLU_2024,
    HOFFMANN_2022,
    INFERENCE_FLOPS,
    REPEATED_TOKENS,
    TOKENS_PER_PARAMETER,
    TRAIN_FLOPS,
    Allocation,
    LossLaw,
    effective_tokens,
    loss_with_repetition,
    optimum_with_repetition,
)
from hunmin.planner.checks import check_number
from hunmin.planner.cluster import Device, Precision

DEFAULT_LAW = BESIROGLU_2024
SMALLER = (2.0, 4.0, 8.0)
"""How many times smaller than compute-optimal the options for cheap inference are."""
_FITTED_PARAMETERS = (44e6, 16e9)
_FITTED_TOKENS = (5e9, 500e9)
_MANY_EPOCHS = 1 + REPEATED_TOKENS


@dataclass(frozen=True)
class SizeOption:
    """One way to spend a budget.

    Args:
        name: For people.
        parameters: All of them, embeddings too.
        tokens: Seen in training.
        tokens_per_parameter: Their ratio.
        flops: Training operations, 6 N D.
        loss: Predicted, nats a token; see the plan's notes.
        loss_added: More than that of the first option; negative for less.
        flops_for_equal_loss: Training operations on new tokens with which this size reaches the
            loss of the first option, as a multiple of the budget; None if it never does.
        lifetime_flops: Training and inference; None without a number of inference tokens.
        epochs: Passes over the unique tokens; None if their number is not known.
        effective_tokens: New tokens that were worth as much.
        hunmin: Nearest member of the family; None if none is near.
        preset: Nearest published shape, within a factor of 1.5; None if there is none.
    """

    name: str
    parameters: int
    tokens: int
    tokens_per_parameter: float
    flops: float
    loss: float
    loss_added: float
    flops_for_equal_loss: float | None
    lifetime_flops: float | None
    epochs: float | None
    effective_tokens: int | None
    hunmin: FamilyMember | None
    preset: str | None


@dataclass(frozen=True)
class BudgetPlan:
    """What a budget is good for.

    Args:
        device_hours: Hours of one device, all devices together.
        device: Its name.
        precision: Of matrix products.
        mfu: Share of the peak that the model's own operations reach.
        flops: Training operations that this gives.
        law: Name of the law behind the options.
        source: Where its constants come from.
        options: The compute-optimal one first.
        other_laws: Parameters and tokens that other published laws would choose, by their name.
        notes: What must be known about these numbers.
    """

    device_hours: float
    device: str
    precision: str
    mfu: float
    flops: float
    law: str
    source: str
    options: tuple[SizeOption, ...]
    other_laws: Mapping[str, Allocation]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as a JSON value."""
        options, notes = [asdict(option) for option in self.options], list(self.notes)
        others = {name: asdict(found) for name, found in self.other_laws.items()}
        facts = {name: value for name, value in vars(self).items() if name not in _NESTED}
        return {**facts, "options": options, "other_laws": others, "notes": notes}


_NESTED = ("options", "other_laws", "notes")


@dataclass(frozen=True)
class _Question:
    """What all options of a plan have in common."""

    law: LossLaw
    flops: float
    inference_tokens: float | None
    unique_tokens: float | None
    vocab_size: int

    def loss(self, spent: Allocation) -> float:
        if self.unique_tokens is None:
            return self.law.loss(spent.parameters, spent.tokens)
        return loss_with_repetition(self.law, spent.parameters, spent.tokens, self.unique_tokens)


def optimal_for(flops: float, law: LossLaw = DEFAULT_LAW) -> Allocation:
    """Return the compute-optimal parameters and tokens.

    Args:
        flops: Training operations; more than 0.
        law: Of the loss.

    Returns:
        The allocation of least loss; 6 · parameters · tokens are the operations.

    Raises:
        InputError: No such number of operations is possible.
    """
    return law.optimum(flops)


def optimum_by_rule(flops: float, tokens_per_parameter: float = TOKENS_PER_PARAMETER) -> Allocation:
    """Return the parameters and tokens with a given ratio.

    Args:
        flops: Training operations; more than 0.
        tokens_per_parameter: More than 0; the rule of thumb is 20.

    Returns:
        The allocation.

    Raises:
        InputError: A number is impossible.
    """
    check_number(flops, where="training FLOPs", above=0)
    check_number(tokens_per_parameter, where="tokens a parameter", above=0)
    parameters = math.sqrt(flops / TRAIN_FLOPS / tokens_per_parameter)
    return Allocation(parameters, tokens_per_parameter * parameters)


def optima_by_law(flops: float) -> dict[str, Allocation]:
    """Return what each published law calls compute-optimal, by its name."""
    laws = (BESIROGLU_2024, APPROACH_1, APPROACH_2, HOFFMANN_2022)
    return {law.name: law.optimum(flops) for law in laws}


def budget(
    device_hours: float,
    device: Device,
    mfu: float,
    *,
    precision: Precision | None = None,
    law: LossLaw = DEFAULT_LAW,
    smaller: Sequence[float] = SMALLER,
    inference_tokens: float | None = None,
    unique_tokens: float | None = None,
    vocab_size: int = DEFAULT_VOCABULARY,
) -> BudgetPlan:
    """Say what can be trained in so many device hours; a pure function.

    Args:
        device_hours: Hours of one device, all devices together.
        device: Its peak rates are used.
        mfu: Share of the peak that 6 N D operations a second reach, (0, 1]; times the goodput where
            failures count.
        precision: Of matrix products; None for the fastest that the device has.
        law: Of the loss.
        smaller: Factors, more than 1: options with so many times fewer parameters, and more tokens.
        inference_tokens: Read and generated in the model's whole life; adds the option that
            reaches the optimum's loss with least operations of training and use. Inference seldom
            reaches the MFU of training: a token of it costs more time than its operations say.
        unique_tokens: Different tokens that there are; adds what repeating them costs.
        vocab_size: Rows of the embedding, for the nearest member of the family.

    Returns:
        The plan.

    Raises:
        InputError: A number is impossible, or the device has no such precision.
    """
    _check_wishes(device_hours, mfu, smaller, inference_tokens, unique_tokens, vocab_size)
    chosen, peak = _peak(device, precision)
    flops = device_hours * 3600.0 * peak * mfu
    question = _Question(law, flops, inference_tokens, unique_tokens, vocab_size)
    options = tuple(_options(question, smaller))
    return BudgetPlan(
        device_hours=device_hours,
        device=device.name,
        precision=chosen,
        mfu=mfu,
        flops=flops,
        law=law.name,
        source=law.source,
        options=options,
        other_laws=optima_by_law(flops),
        notes=tuple(_notes(options, vocab_size)),
    )


def _check_wishes(
    device_hours: float,
    mfu: float,
    smaller: Sequence[float],
    inference_tokens: float | None,
    unique_tokens: float | None,
    vocab_size: int,
) -> None:
    check_number(device_hours, where="device hours", above=0)
    check_number(mfu, where="MFU", above=0, at_most=1)
    check_number(inference_tokens, where="inference tokens", at_least=0)
    check_number(unique_tokens, where="unique tokens", at_least=1)
    check_number(vocab_size, where="vocabulary", at_least=2)
    for factor in smaller:
        check_number(factor, where="times smaller", above=1)


def _peak(device: Device, precision: Precision | None) -> tuple[str, float]:
    chosen: str = precision or max(device.peak, key=device.peak.__getitem__)
    if chosen not in device.peak:
        raise InputError(
            "this device has no such precision",
            where=device.name,
            given=chosen,
            allowed=", ".join(device.peak),
        )
    return chosen, device.peak[chosen]


def _options(question: _Question, smaller: Sequence[float]) -> Iterator[SizeOption]:
    law, flops = question.law, question.flops
    best = law.optimum(flops)
    target = question.loss(best)
    ways = {"compute-optimal": best, "20 tokens a parameter": optimum_by_rule(flops)}
    for factor in smaller:
        ways[f"{factor:g}x smaller"] = Allocation(best.parameters / factor, best.tokens * factor)
    if question.inference_tokens is not None:
        name = f"cheapest to train and to use for {format_count(question.inference_tokens)} tokens"
        loss = law.loss(best.parameters, best.tokens)
        ways[name] = law.cheapest_to_serve(loss, question.inference_tokens)
    unique = question.unique_tokens
    if unique is not None and unique < best.tokens:
        name = f"best of {format_count(unique)} unique tokens"
        ways[name] = optimum_with_repetition(law, flops, unique)
    for name, spent in ways.items():
        yield _option(name, spent, question, target)


def _option(name: str, spent: Allocation, question: _Question, target: float) -> SizeOption:
    inference, unique = question.inference_tokens, question.unique_tokens
    loss = question.loss(spent)
    lifetime = None if inference is None else INFERENCE_FLOPS * spent.parameters * inference
    return SizeOption(
        name=name,
        parameters=round(spent.parameters),
        tokens=round(spent.tokens),
        tokens_per_parameter=spent.tokens / spent.parameters,
        flops=spent.flops,
        loss=loss,
        loss_added=loss - target,
        flops_for_equal_loss=_flops_for_equal_loss(spent.parameters, question),
        lifetime_flops=None if lifetime is None else spent.flops + lifetime,
        epochs=None if unique is None else spent.tokens / unique,
        effective_tokens=None if unique is None else round(effective_tokens(unique, spent.tokens)),
        hunmin=nearest_member(spent.parameters, question.vocab_size),
        preset=nearest_preset(spent.parameters),
    )


def _flops_for_equal_loss(parameters: float, question: _Question) -> float | None:
    best = question.law.optimum(question.flops)
    loss = question.law.loss(best.parameters, best.tokens)
    flops = Allocation(parameters, question.law.tokens_for(parameters, loss)).flops
    return flops / question.flops if math.isfinite(flops) else None


# -- what must be known ----------------------------------------------------------------------------


def _notes(options: Sequence[SizeOption], vocab_size: int) -> Iterator[str]:
    best = options[0]
    yield (
        "the law was fitted to English text (MassiveText) with a vocabulary of 32,000: its losses "
        "cannot be compared with those of another language or tokenizer, ratios and differences can"
    )
    yield (
        f"parameters include embeddings, as the law counts them; models of the family with "
        f"{vocab_size:,} rows"
    )
    if not _is_within(best.parameters, _FITTED_PARAMETERS) or not _is_within(
        best.tokens, _FITTED_TOKENS
    ):
        yield (
            "this is outside of what the law was fitted to (44M to 16B parameters, 5B to 500B "
            "tokens): an extrapolation"
        )
    if any(option.epochs is not None and option.epochs > _MANY_EPOCHS for option in options):
        yield (
            f"beyond {_MANY_EPOCHS:.0f} passes over the same tokens a further one brings at most "
            "37 % of what new tokens would"
        )


def _is_within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
