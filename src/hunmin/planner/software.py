"""What the training software does with the hardware: the constants that are its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hunmin.parallel.collectives.volume import Backend
from hunmin.planner.memory.habits import HUNMIN, Habits
from hunmin.planner.shape import Attention


@dataclass(frozen=True)
class Software:
    """One way in which the same layout can be programmed.

    Args:
        name: Key in the catalogue.
        title: For people.
        gather_unit: What one collective carries: all parameters of a block, or one matrix.
        overlap: Share of a collective that runs beside the computation, 0 to 1; the rest is
            waited for, whatever there is to compute.
        reduction_overlap: The same share for reductions of gradients, where it is another: 0 for
            software that reduces in the open. None is `overlap`.
        cores: How much longer a computation takes beside a collective, whose kernels occupy a part
            of the device; 0.1 is a tenth longer.
        copies: Times that each byte of a collective within a partition group passes through the
            device's memory, in and out of buffers: time in which nothing else is computed.
        fused: Share of the passes over memory between matrix products that fused kernels save.
        attention_share: Rate of fused attention relative to large matrix products.
        attention: Whether the score matrix is stored.
        reduce_bytes: Bytes of a gradient value that travels.
        habits: What it does with memory.
        backend: What carries messages.
        origin: Where the constants come from.
    """

    name: str
    title: str
    gather_unit: Literal["block", "matrix"] = "block"
    overlap: float = 1.0
    reduction_overlap: float | None = None
    cores: float = 0.0
    copies: float = 4.0
    fused: float = 0.0
    attention_share: float = 0.6
    attention: Attention = "fused"
    reduce_bytes: int = 4
    habits: Habits = HUNMIN
    backend: Backend = "nccl"
    origin: str = ""
