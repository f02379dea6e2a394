"""From a row to points: one function for each source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hunmin.core.errors import InputError
from planner_validation.point import Point
from planner_validation.rows import Row
from planner_validation.sources import deepspeed, fsdp, megatron

BUILDERS: Mapping[str, Callable[[Row], list[Point]]] = MappingProxyType(
    {
        "amazon.science": deepspeed.mics,
        "BloombergGPT": deepspeed.bloomberg,
        "AWS ML blog": deepspeed.sagemaker,
        "DeepSpeed ZeRO++": deepspeed.zero_against_bandwidth,
        "llm-foundry": fsdp.foundry,
        "IBM/Meta": fsdp.ibm,
        "PyTorch FSDP paper": fsdp.fsdp_paper,
        "torchtitan": fsdp.torchtitan,
        "InternLM2": fsdp.internlm,
        "Korthikanti": megatron.megatron_a100,
        "Megatron-LM README": megatron.megatron_h100,
    }
)
"""What builds the points of a source, by how its name begins."""


def build_points(row: Row) -> list[Point]:
    """Build the points of a row.

    Raises:
        InputError: Nothing is known about the source.
    """
    for source, build in BUILDERS.items():
        if row["source"].startswith(source):
            return build(row)
    raise InputError(
        "no rule for this source",
        where=f"line {row.number}",
        given=row["source"],
        allowed=", ".join(BUILDERS),
        hint="add it to sources, or to parts or skipped in assumptions.yaml with a reason",
    )


def unlisted_points() -> list[Point]:
    """Return the points that are in no table."""
    return [megatron.hyperclova()]
