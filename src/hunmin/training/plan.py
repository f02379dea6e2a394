"""TrainPlan: all that follows from the Spec, the data and the machine, derived once."""

from __future__ import annotations

import math

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
    """Sequences per forward and backward pass and process; the last pass may have fewer."""
    microbatches: int
    """Forward and backward passes per optimizer step and process."""
    tokens_per_step: int
    """Tokens per optimizer step over all processes."""
    total_tokens: int
    """Tokens of the whole run."""
    epochs: float
    """Passes over the training tokens."""
    evaluation_sequences: int
    """Sequences scored at each evaluation over all processes."""
    data_ranks: int
    """Processes that see different sequences."""

    def tensor_ranks(self, world_size: int) -> int:
        """Return how many processes compute the same sequences, each a slice of every matrix."""
        return world_size // self.data_ranks


def derive_plan(
    spec: TrainSpec, *, context: int, train_tokens: int, data_ranks: int = 1
) -> TrainPlan:
    """Derive the plan of a run; a pure function.

    The batches of the run are the same for any number of processes, so that a run can go on with
    more or fewer of them. Where they cannot share the rows evenly, some compute a row for nothing.

    Args:
        spec: What the recipe says.
        context: Tokens per sequence.
        train_tokens: Tokens in the training split.
        data_ranks: Processes that see different sequences.

    Returns:
        The plan.

    Raises:
        InputError: The batch is smaller than one sequence for each process.
    """
    sequences = spec.batch_tokens // context
    if sequences < data_ranks:
        raise InputError(
            "an optimizer step must hold at least one sequence for each process",
            where="train.batch_tokens",
            given=f"{spec.batch_tokens} tokens for {data_ranks} x {context} tokens",
            allowed=f"at least {data_ranks * context}",
        )
    rows = math.ceil(sequences / data_ranks)
    microbatches = math.ceil(rows / max(1, spec.microbatch_tokens // context))
    tokens_per_step = sequences * context
    num_steps = Duration.parse(spec.duration).in_steps(
        tokens_per_step=tokens_per_step, tokens_per_epoch=train_tokens
    )
    return TrainPlan(
        num_steps=num_steps,
        context=context,
        sequences_per_step=sequences,
        sequences_per_microbatch=math.ceil(rows / microbatches),
        microbatches=microbatches,
        tokens_per_step=tokens_per_step,
        total_tokens=num_steps * tokens_per_step,
        epochs=num_steps * tokens_per_step / max(1, train_tokens),
        evaluation_sequences=max(data_ranks, spec.evaluation_tokens // context),
        data_ranks=data_ranks,
    )
