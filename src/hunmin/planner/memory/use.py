"""MemoryUse: the bytes of a rank at the peak of a step, by what they are for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from hunmin.core.units import format_bytes

USABLE = 0.9
"""Share of a device's memory that a run may fill; the rest is for the allocator's fragments, the
kernels' workspaces and the communication library. The one place where this allowance is set."""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes of one rank at one moment of a step; all but `host` lie on the device.

    Args:
        parameters: This rank's part of the parameters, float32.
        gradients: Its part of the gradients, and of their sums over microbatches.
        optimizer: States of the optimizer.
        gathered: Parameters that are there as a whole, and buffers from which they are unpacked.
        communication: Gradients on their way: what is scattered.
        activations: Kept by the forward pass for the backward pass.
        logits: Logits, their gradient, and that of the output matrix.
        working: What comes and goes: gradients of a block, intermediate results.
        host: Memory of the host: the copy of this rank's part that a checkpoint is written from.
        moment: When the peak is: forward, loss, backward or optimizer.
    """

    parameters: float
    gradients: float
    optimizer: float
    gathered: float
    communication: float
    activations: float
    logits: float
    working: float
    host: float = 0.0
    moment: str = ""

    @property
    def total(self) -> float:
        """Bytes on the device."""
        return float(sum(getattr(self, name) for name in DEVICE_PARTS))

    @property
    def needed(self) -> float:
        """Bytes that a device must have: the total and the allowance for fragmentation."""
        return self.total / USABLE

    def fits(self, device_memory: float) -> bool:
        """Tell whether a device of so many bytes is enough, with the allowance."""
        return self.needed <= device_memory

    def as_dict(self) -> dict[str, float | str]:
        """Return all fields and the total as a JSON value."""
        return {**asdict(self), "total": self.total}

    def describe(self) -> str:
        """Return one line for people, the largest part first."""
        parts = sorted(DEVICE_PARTS, key=lambda name: -float(getattr(self, name)))
        named = (f"{format_bytes(getattr(self, n))} {n}" for n in parts if getattr(self, n))
        return f"{format_bytes(self.total)}: {', '.join(named)}"


DEVICE_PARTS = tuple(f.name for f in fields(MemoryUse) if f.name not in ("host", "moment"))
"""Parts that lie on the device."""
