"""Bytes of a rank at the peak of a training step, by what they are for.

    habits       what a program does with memory beyond the mathematics
    weights      parameters as a rank meets them          activations   what a forward pass keeps
        └──────────────────────┬──────────────────────────────┘
    peak         both put together at each moment of a step; the highest is the answer
    use          MemoryUse: the bytes, and the share of a device that a run may fill
    feasibility  what would fit where something does not
    footprint    the same for a model of any family, whose activations were measured

Checked against what hunmin's own training step allocates: benchmarks/planner_memory.py.
"""

from hunmin.planner.memory.feasibility import check_fits, ways_to_fit
from hunmin.planner.memory.footprint import Footprint
from hunmin.planner.memory.habits import (
    DEEPSPEED,
    HUNMIN,
    MEGATRON,
    MEGATRON_CORE,
    MEGATRON_SEQUENCE,
    Habits,
)
from hunmin.planner.memory.peak import memory_use
from hunmin.planner.memory.use import DEVICE_PARTS, USABLE, MemoryUse

__all__ = [
    "DEEPSPEED",
    "DEVICE_PARTS",
    "HUNMIN",
    "MEGATRON",
    "MEGATRON_CORE",
    "MEGATRON_SEQUENCE",
    "USABLE",
    "Footprint",
    "Habits",
    "MemoryUse",
    "check_fits",
    "memory_use",
    "ways_to_fit",
]
