"""How long to train: always with its unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from hunmin.core.errors import InputError
from hunmin.core.units import parse_count

Unit = Literal["steps", "tokens", "epochs"]
_ALLOWED = "'500 steps', '2M tokens' or '3 epochs'"


@dataclass(frozen=True)
class Duration:
    """An amount of training.

    Args:
        amount: How many units, above 0.
        unit: steps, tokens or epochs.
    """

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read "500 steps", "2M tokens" or "1.5 epochs".

        Args:
            text: Amount and unit.

        Returns:
            The duration.

        Raises:
            InputError: The text is not an amount above 0 with a unit.
        """
        match = re.fullmatch(r"\s*(\S+)\s+(step|token|epoch)s?\s*", text)
        if match is None:
            raise InputError("not a duration", given=repr(text), allowed=_ALLOWED)
        unit: Unit = {"step": "steps", "token": "tokens", "epoch": "epochs"}[match[2]]  # type: ignore[assignment]
        amount = float(match[1]) if unit == "epochs" else float(parse_count(match[1]))
        if amount <= 0:
            raise InputError("a duration is above 0", given=repr(text), allowed=_ALLOWED)
        return cls(amount, unit)

    def in_steps(self, *, tokens_per_step: int, tokens_per_epoch: int) -> int:
        """Return the whole number of steps, at least 1, that covers this duration."""
        if self.unit == "steps":
            return round(self.amount)
        tokens = self.amount * (tokens_per_epoch if self.unit == "epochs" else 1)
        return max(1, math.ceil(tokens / tokens_per_step))
