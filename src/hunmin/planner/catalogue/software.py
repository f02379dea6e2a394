"""Training software by name: `find_software("hunmin")`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from hunmin.core.spec import Spec
from hunmin.parallel.collectives.volume import Backend
from hunmin.planner.catalogue.entries import Figures, completed, read_shipped, unknown_name
from hunmin.planner.memory.habits import (
    DEEPSPEED,
    HUNMIN,
    MEGATRON,
    MEGATRON_CORE,
    MEGATRON_SEQUENCE,
)
from hunmin.planner.shape import Attention
from hunmin.planner.software import Software

_HABITS = {
    habits.name: habits
    for habits in (HUNMIN, DEEPSPEED, MEGATRON, MEGATRON_SEQUENCE, MEGATRON_CORE)
}
Share = Annotated[float, Field(ge=0, le=1)]


class SoftwareEntry(Figures):
    """What a program does with the hardware; see `hunmin.planner.software.Software`."""

    gather_unit: Literal["block", "matrix"] | None = None
    """What one collective carries: all parameters of a block, or one matrix."""
    overlap: Share | None = None
    """Share of a collective that runs beside the computation."""
    reduction_overlap: Share | None = None
    """The same for reductions of gradients, where it is another."""
    cores: float | None = Field(default=None, ge=0)
    """How much longer a computation takes beside a collective."""
    copies: float | None = Field(default=None, ge=0)
    """Times that each byte of a collective passes through the device's memory."""
    fused: Share | None = None
    """Share of the passes over memory between matrix products that fused kernels save."""
    attention_share: float | None = Field(default=None, gt=0)
    """Rate of fused attention relative to large matrix products."""
    attention: Attention | None = None
    """Whether the score matrix is stored (plain) or not (fused)."""
    reduce_bytes: Literal[2, 4] | None = None
    """Bytes of a gradient value that travels."""
    habits: (
        Literal["hunmin", "deepspeed", "megatron", "megatron-sequence", "megatron-core"] | None
    ) = None
    """What it does with memory: see `hunmin.planner.memory.habits`."""
    backend: Backend | None = None
    """What carries messages."""


class _Programs(Spec):
    software: dict[str, SoftwareEntry]
    """Programs by name."""


def find_software(name: str, *, where: str = "--software") -> Software:
    """Return a program of the catalogue.

    Args:
        name: Such as `hunmin` or `deepspeed`.
        where: What the name was given for, for messages.

    Returns:
        Its constants.

    Raises:
        InputError: No such name.
    """
    programs = _programs()
    if name.lower() not in programs:
        raise unknown_name(name, programs, "software", where=where)
    entry = completed(programs[name.lower()], programs, "software")
    origin = "; ".join(f"{key}: {source}" for key, source in entry.sources.items())
    figures = dict(entry.figures)
    habits = _HABITS[figures.pop("habits", "hunmin")]
    return Software(name.lower(), entry.title or name, habits=habits, origin=origin, **figures)


def software_names() -> tuple[str, ...]:
    """Return the names of the catalogue's programs."""
    return tuple(_programs())


@functools.cache
def _programs() -> Mapping[str, SoftwareEntry]:
    return read_shipped("software.yaml", _Programs).software
