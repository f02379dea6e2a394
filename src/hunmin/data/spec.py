"""What a recipe may say about token shards and batches."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hunmin.core.spec import Count, Spec

MIN_CONTEXT = 8

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DataSpec(Spec):
    """How documents become token shards, and how batches are drawn from them."""

    INDIFFERENT: ClassVar[frozenset[str]] = frozenset({"num_workers"})

    context: int = Field(default=1024, ge=MIN_CONTEXT)
    """Tokens in a row of a batch. Longer shows the model more at once and costs more attention;
    short utterances need no more than 256."""
    mix_by: Literal["language", "source", "none"] = "language"
    """What a group is, among which `weights` and `temperature` divide the samples."""
    weights: dict[str, Weight] | None = None
    """Share of the samples by group. Groups that are not named divide the rest by temperature; if
    all are named only their proportions count. 0 leaves a group out."""
    temperature: float = Field(default=1.0, ge=0, le=1)
    """Share of a group: its tokens to this power. 1 keeps the proportions of the data, 0.5 helps
    small languages, 0 treats all alike. Small groups are then repeated more often."""
    cross_document_attention: bool = False
    """Let tokens see earlier documents in the same row, and count positions through. Slightly
    faster; the model then learns from unrelated text before it."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides the order of documents in shards and of samples in training."""
    shard_max_tokens: Count = Field(default=200_000_000, ge=1)
    """Largest shard; a document is never cut, so one longer than this gets a shard of its own."""
    num_workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes that tokenize; "auto" is one per core, or one when there is little to do. The
    result does not depend on it."""

    @model_validator(mode="after")
    def _weights_need_groups(self) -> DataSpec:
        if self.weights is not None and self.mix_by == "none":
            raise ValueError("weights need groups: set mix_by to language or source")
        if self.weights is not None and not any(self.weights.values()):
            raise ValueError("weights must not all be 0, or nothing is left to train on")
        return self
