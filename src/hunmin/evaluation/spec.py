"""What a recipe says about evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hunmin.core.spec import Count, Spec


class EvaluateSpec(Spec):
    """Score a model on held-out documents beside two baselines without a network."""

    split: Literal["validation", "test", "train"] = "validation"
    """Documents to score. `test` is for the very end; `train` shows how much was learnt by heart,
    and the baselines then cheat."""
    max_documents_per_language: int | None = Field(1000, ge=1)
    """Documents to score of each language, drawn at random; None for all. Raise it for narrower
    intervals."""
    max_baseline_bytes: Count | None = Field(200_000_000, ge=1)
    """Training text of the baselines, documents drawn at random; None for all. 50 MB take about 5
    seconds and 0.4 GB of memory. The report says how much was used."""
    microbatch_tokens: Count = Field(8192, ge=1)
    """Tokens per forward pass. Lower it if memory runs out."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of matrix products; "auto" is bf16 where the hardware has it, else fp32. fp32
    where the last digit matters."""
    num_resamples: int = Field(1000, ge=100)
    """Bootstrap resamples behind each 95 % interval."""
    seed: int = Field(0, ge=0)
    """Seed of the draw of documents and of the resamples."""
