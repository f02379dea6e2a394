"""What can be asked of a generation: how tokens are chosen and when it ends."""

from __future__ import annotations

from pydantic import Field, field_validator

from hunmin.core.spec import Spec

MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 16


class SamplingParams(Spec):
    """How the next token is chosen and when the text ends; the same seed gives the same text."""

    temperature: float = Field(default=1.0, ge=0.0, le=100.0, allow_inf_nan=False)
    """Divides the logits; 0 takes the likeliest token always. Higher for more variety."""
    top_k: int | None = Field(default=None, ge=1)
    """Choose among this many likeliest tokens only; None for all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Choose among the fewest tokens whose probabilities reach this sum; 1 for all."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0, allow_inf_nan=False)
    """Above 1 makes tokens of the prompt and the text so far less likely (Keskar et al. 2019)."""
    min_tokens: int = Field(default=0, ge=0)
    """The end of the text is not chosen before this many tokens; stop strings still end it."""
    max_tokens: int = Field(default=128, ge=0)
    """The text ends after this many tokens; lowered to what the model's context leaves."""
    stop: tuple[str, ...] = Field(default=(), max_length=MAX_STOP_STRINGS)
    """The text ends before the first of these strings, which is not part of it."""
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**64)
    """Fixes the random choices; None draws a new seed for each request."""
    logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    """Report the log-probability of each token and of this many alternatives; None for off."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_string_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _no_empty_stop(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("an empty stop string would end every text at once")
        return value
