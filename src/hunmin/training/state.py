"""TrainState: everything about a run that changes and must survive a kill."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class TrainState:
    """Where a run stands.

    Args:
        step: Optimizer steps done.
        tokens: Tokens trained on.
        seconds: Wall time spent in steps, over all sittings.
        best_loss: Lowest evaluation loss so far, nats per token.
        best_step: Step of that evaluation.
        callbacks: What the callbacks want to remember, by name.
        guard: What the guard of the loss wants to remember.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int | None = None
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    guard: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the state as a JSON value."""
        return asdict(self)
