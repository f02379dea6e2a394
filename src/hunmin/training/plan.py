"""TrainPlan: all that follows from the Spec, the data and the machine, derived once."""

from __future__ import annotations

from hunmin.core.errors import InputError
from hunmin.core.spec import Spec
from hunmin.training.duration import Duration
from hunmin.training.spec import TrainSpec


class TrainPlan(Spec):
    """What will be done, in numbers."""

    num_steps: int
    """Optimizer steps of the whole run."""
    context: int
    """Tokens per sequence."""
    sequences_per_step: int
    """Sequences per optimizer step over all processes."""
    sequences_per_microbatch: int
    """Sequences per forward and backward pass and process."""
    microbatches: int
    """Forward and backward passes per optimizer step and process."""
    tokens_per_step: int
    """Tokens per optimizer step over all processes."""
    total_tokens: int
    """Tokens of the whole run."""
    epochs: float
    """Passes over the training tokens."""
    evaluation_batches: int
    """Microbatches scored at each evaluation."""
    world_size: int
    """Processes."""


def derive_plan(
    spec: TrainSpec, *, context: int, train_tokens: int, world_size: int = 1
) -> TrainPlan:
    """Derive the plan of a run; a pure function.

    Args:
        spec: What the recipe says.
        context: Tokens per sequence.
        train_tokens: Tokens in the training split.
        world_size: Processes.

    Returns:
        The plan.

    Raises:
        InputError: The batch is smaller than one sequence for each process.
    """
    sequences = spec.batch_tokens // context // world_size * world_size
    if sequences == 0:
        raise InputError(
            "an optimizer step must hold at least one sequence for each process",
            where="train.batch_tokens",
            given=f"{spec.batch_tokens} tokens for {world_size} x {context} tokens",
            allowed=f"at least {world_size * context}",
        )
    local = sequences // world_size
    microbatch = _largest_divisor(local, max(1, spec.microbatch_tokens // context))
    tokens_per_step = sequences * context
    num_steps = Duration.parse(spec.duration).in_steps(
        tokens_per_step=tokens_per_step, tokens_per_epoch=train_tokens
    )
    return TrainPlan(
        num_steps=num_steps,
        context=context,
        sequences_per_step=sequences,
        sequences_per_microbatch=microbatch,
        microbatches=local // microbatch,
        tokens_per_step=tokens_per_step,
        total_tokens=num_steps * tokens_per_step,
        epochs=num_steps * tokens_per_step / max(1, train_tokens),
        evaluation_batches=max(1, spec.evaluation_tokens // (microbatch * context * world_size)),
        world_size=world_size,
    )


def _largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of `number` that is at most `limit`."""
    return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)
