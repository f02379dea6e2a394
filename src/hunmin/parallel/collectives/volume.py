"""How many bytes cross a node's link: exact formulas, no torch.

Ring collectives send the same number of bytes from every rank to its right-hand neighbour. A ring
whose ranks lie on several nodes, node by node, leaves each node exactly once; so the bytes on a
node's link, per direction, are those that one rank sends times the rings that cross the link:

    flat           one ring of all p ranks         M (p-1)/p
    hierarchical   k rings, one rank of each node  k · M/k (p/k - 1)/(p/k) = M (p-k)/p
    replicas       min(k, p) rings of r ranks      min(k, p) · 2 (r-1)/r · M/p

Tensor parallelism cuts M into t parts with t times as many rings; k is then the number of
data-parallel ranks of a node, and the formulas stay as they are with M of the whole model.

Source: MiCS (arXiv:2205.00119), section 3; adds reduce-scatter in two stages, and gloo, whose
reduce-scatter is an all-reduce of which each rank keeps its part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout

Backend = Literal["nccl", "gloo"]
Kind = Literal["all_gather", "reduce_scatter", "all_reduce"]

SHARD = "shard"
ACROSS_NODES = "across_nodes"
WITHIN_NODE = "within_node"
REPLICATE = "replicate"


def backend_factor(backend: Backend) -> int:
    """Return how often a backend's reduce-scatter sends what the ring algorithm needs."""
    return 2 if backend == "gloo" else 1


def sent_bytes(kind: Kind, message_bytes: float, ranks: int, backend: Backend = "nccl") -> float:
    """Return the bytes that each rank sends in one ring collective.

    Args:
        kind: Which collective.
        message_bytes: The whole message: gathered output, input to scatter, or tensor to reduce.
        ranks: Ranks of the group.
        backend: What carries it.

    Returns:
        Bytes, 0 for a group of one.
    """
    ring = message_bytes * (ranks - 1) / ranks
    if kind == "all_reduce":
        return 2 * ring
    return ring * backend_factor(backend) if kind == "reduce_scatter" else ring


def crossing_rings(layout: Layout) -> dict[str, int]:
    """Return how many rings of each kind of group leave a node.

    Args:
        layout: Which rank lies where.

    Returns:
        Rings by the name of the group; the bytes on a node's link are these times the bytes that
        a rank sends in such a group.
    """
    tensor, per_node = layout.tensor, layout.group_ranks_per_node
    node_ranks = layout.ranks_per_node // tensor
    replicas_meet = layout.replicas * layout.partition_group <= node_ranks
    return {
        SHARD: tensor if layout.spans_nodes else 0,
        ACROSS_NODES: tensor * per_node if layout.spans_nodes else 0,
        WITHIN_NODE: 0,
        REPLICATE: 0 if replicas_meet else tensor * per_node,
    }


def node_link_bytes(sent: Mapping[str, float], layout: Layout) -> float:
    """Return the bytes on a node's link, per direction.

    Args:
        sent: Bytes that one rank sends, by the name of the group.
        layout: Which rank lies where.

    Returns:
        Bytes.
    """
    rings = crossing_rings(layout)
    return sum(rings[group] * value for group, value in sent.items())


# -- one collective of the whole model -----------------------------------------------------------


def gather_volume(layout: Layout, parameter_bytes: float, *, hierarchical: bool) -> float:
    """Return the bytes on a node's link for gathering every parameter once.

    Args:
        layout: Which rank lies where.
        parameter_bytes: All parameters of the model in the type they travel in, M.
        hierarchical: In two stages, or flat.

    Returns:
        M (p-k)/p in two stages, M (p-1)/p flat; 0 for groups within a node.
    """
    group = layout.partition_group
    if not layout.spans_nodes:
        return 0.0
    stay = layout.group_ranks_per_node if hierarchical else 1
    return parameter_bytes * (group - stay) / group


def scatter_volume(
    layout: Layout, gradient_bytes: float, *, hierarchical: bool, backend: Backend = "nccl"
) -> float:
    """Return the bytes on a node's link for reduce-scattering every gradient once.

    Args:
        layout: Which rank lies where.
        gradient_bytes: All gradients of the model in the type they are reduced in.
        hierarchical: In two stages, or flat.
        backend: What carries it.

    Returns:
        What gathering as many bytes costs, twice that with gloo.
    """
    ring = gather_volume(layout, gradient_bytes, hierarchical=hierarchical)
    return backend_factor(backend) * ring


def all_reduce_volume(layout: Layout, gradient_bytes: float) -> float:
    """Return the bytes on a node's link for synchronising the copies of the model once.

    Args:
        layout: Which rank lies where.
        gradient_bytes: All gradients of the model in the type they are reduced in.

    Returns:
        2 min(k, p) (r-1)/(r p) of the gradients; 0 if all copies lie on one node.
    """
    shard = gradient_bytes / layout.tensor / layout.partition_group
    sent = sent_bytes("all_reduce", shard, layout.replicas)
    return node_link_bytes({REPLICATE: sent}, layout)


# -- one optimizer step --------------------------------------------------------------------------


@dataclass(frozen=True)
class StepVolume:
    """Bytes on a node's link in one optimizer step, per direction.

    Args:
        gather: Of parameters.
        scatter: Of gradients within partition groups.
        all_reduce: Of gradients between the copies of the model.
    """

    gather: float
    scatter: float
    all_reduce: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.gather + self.scatter + self.all_reduce


def step_volume(
    layout: Layout,
    parameter_bytes: float,
    gradient_bytes: float,
    *,
    microsteps: int,
    gathers_per_microstep: int = 2,
    gathered_once_bytes: float = 0,
    backend: Backend = "nccl",
) -> StepVolume:
    """Derive what an optimizer step sends over a node's link.

    Args:
        layout: Which rank lies where, and whether in two stages and with two hops.
        parameter_bytes: All parameters of the model in the type they travel in.
        gradient_bytes: All gradients of the model in the type they are reduced in.
        microsteps: Forward and backward passes of the step; at least 1.
        gathers_per_microstep: 2 if parameters are freed after the forward pass, else 1.
        gathered_once_bytes: Of `parameter_bytes`, those of modules that stay gathered between
            forward and backward pass, as the root module does.
        backend: What carries it.

    Returns:
        Bytes per direction.

    Raises:
        InputError: No microstep.

    Note:
        Sharding pads each parameter to equal parts; with bytes that include the padding the
        figures are exact.
    """
    if microsteps < 1:
        raise InputError("a step has at least one microstep", given=microsteps, allowed="1 or more")
    again_bytes = parameter_bytes - gathered_once_bytes
    gathered = gathers_per_microstep * again_bytes + gathered_once_bytes
    staged = layout.hierarchical
    scatter = scatter_volume(layout, gradient_bytes, hierarchical=staged, backend=backend)
    all_reduces = 1 if layout.two_hop else microsteps
    return StepVolume(
        gather=microsteps * gather_volume(layout, gathered, hierarchical=staged),
        scatter=microsteps * scatter,
        all_reduce=all_reduces * all_reduce_volume(layout, gradient_bytes),
    )
