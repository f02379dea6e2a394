"""What a recipe says about steps that go wrong."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hunmin.core.spec import Spec

OnNan = Literal["error", "skip", "rollback"]
OnSpike = Literal["ignore", "skip", "rollback"]


class GuardSpec(Spec):
    """What to do with a step whose loss or gradient is out of the ordinary."""

    on_nan: OnNan = "error"
    """When the loss or its gradient is not a number: end with an error, skip the step (its batch
    is passed over, the weights stay), or go back to the last checkpoint."""
    on_spike: OnSpike = "ignore"
    """When the loss or the gradient norm is far above the last ones: take the step all the same,
    skip it, or go back to the last checkpoint and pass over the batches that led there."""
    spike_factor: float = Field(8.0, gt=0)
    """Robust standard deviations above the median of the window that make a spike. Lower it to
    catch smaller ones; batches of few tokens need a higher one."""
    window: int = Field(128, ge=8)
    """Steps whose losses and gradient norms are looked back on; before there are as many, nothing
    is a spike."""
    max_skips: int = Field(5, ge=1)
    """Steps skipped in a row after which the run ends with an error."""
    max_rollbacks: int = Field(3, ge=1)
    """Times the run goes back before it ends with an error."""
    passed_over: int = Field(1, ge=1)
    """Batches that are passed over after going back: the last ones up to the one that went wrong.
    PaLM passed over 200 to 500."""
