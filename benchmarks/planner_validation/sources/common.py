"""What the builders of all sources share."""

from __future__ import annotations

from collections.abc import Mapping

from hunmin.parallel.layout import Layout
from planner_validation.rows import assumptions


def texts(*names: str) -> tuple[str, ...]:
    """Return assumptions by their keys."""
    known: Mapping[str, str] = assumptions()["texts"]
    return tuple(known[name] for name in names)


def zero_layout(gpus: int, per_node: int) -> Layout:
    """Return the layout of ZeRO-3: one partition group of all ranks."""
    return Layout(gpus, per_node, gpus)


def mics_layout(gpus: int, per_node: int, group: int) -> Layout:
    """Return the layout of MiCS: groups, in two stages where they span nodes."""
    return Layout(gpus, per_node, group, hierarchical=group > per_node)
