"""How a model is trained on a cluster: everything that a plan may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Precision
from hunmin.planner.shape import Attention

Recompute = Literal["none", "attention", "blocks"]
"""What the backward pass computes again: nothing, what attention scores need, or whole blocks."""
Optimizer = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Strategy:
    """One way to train.

    Args:
        layout: Which rank holds which part; of one pipeline stage where there are several.
        micro_batch: Rows of a microbatch of a data-parallel rank, b.
        microsteps: Microbatches that each data-parallel rank adds up in an optimizer step.
        recompute: What the backward pass computes again.
        precision: Of matrix products and of parameters that travel.
        attention: Whether the score matrix is stored.
        optimizer: Decides the states that are kept.
        reshard_after_forward: Whether gathered parameters are freed after the forward pass.
        prefetch: Blocks gathered ahead.
        loss_chunk: Tokens whose logits exist at a time; None for all of a microbatch.
        reduce_bytes: Bytes of a gradient value that travels.
        pipeline: Stages of a pipeline. hunmin does not train so; it is here to explain those
            who do.
        interleaved: Groups of layers that each stage holds (virtual stages).
    """

    layout: Layout
    micro_batch: int
    microsteps: int
    recompute: Recompute = "blocks"
    precision: Precision = "bf16"
    attention: Attention = "fused"
    optimizer: Optimizer = "adamw"
    reshard_after_forward: bool = True
    prefetch: int = 1
    loss_chunk: int | None = None
    reduce_bytes: int = 4
    pipeline: int = 1
    interleaved: int = 1

    @property
    def devices(self) -> int:
        """Devices of the whole run."""
        return self.layout.world_size * self.pipeline

    @property
    def precision_bytes(self) -> int:
        """Bytes of a value in the precision of matrix products."""
        return 4 if self.precision == "fp32" else 2

    @property
    def rows_per_step(self) -> int:
        """Rows of an optimizer step over all ranks: the global batch."""
        return self.layout.data_ranks * self.micro_batch * self.microsteps
