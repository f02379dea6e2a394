"""The process groups of a partition group that spans nodes.

A partition group of four ranks on two nodes has two groups across nodes and one within each:

    node          0        1
    chunk       0   1    2   3
    across      a   b    a   b
    within      c   c    d   d
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import torch.distributed as dist

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.stages import StageRunner
from hunmin.parallel.layout import Layout


@dataclass(frozen=True)
class NodeGroups:
    """The groups that one rank belongs to, and the order of chunks.

    Chunk `node * ranks_per_node + position` of a tensor that is shared out in the shard group is
    held by the rank at that position of that node.

    Args:
        shard: All ranks of the partition group.
        across: The ranks with this rank's position on each node.
        within: The ranks of this node.
        nodes: Nodes of the partition group.
        ranks_per_node: Ranks of the partition group on each.
        stages: Runs the collectives of these groups in the order they were asked for.
    """

    shard: dist.ProcessGroup
    across: dist.ProcessGroup
    within: dist.ProcessGroup
    nodes: int
    ranks_per_node: int
    stages: StageRunner = field(default_factory=StageRunner, repr=False, compare=False)


def shard_groups(layout: Layout) -> list[list[int]]:
    """Return the ranks of every partition group, each in the order of its shards."""
    tensor, size = layout.tensor, layout.partition_group
    starts = range(0, layout.world_size, size * tensor)
    return [
        list(range(start + part, start + size * tensor, tensor))
        for start in starts
        for part in range(tensor)
    ]


def build_node_groups(
    layout: Layout, shard: dist.ProcessGroup, *, timeout: timedelta | None = None
) -> NodeGroups:
    """Create the groups within and across nodes; every rank of the world must call this.

    Args:
        layout: Which rank lies where, the same on all ranks.
        shard: This rank's partition group.
        timeout: After which one of their collectives is an error; None is the backend's default,
            not that of the world's group.

    Returns:
        The groups of this rank.

    Raises:
        InputError: Partition groups with nothing to do in two stages, or a shard group that is
            not the layout's.

    Note:
        Collectives: creates groups. Each partition group has one group per node and one per
        position on a node.
    """
    _check_stages(layout)
    _check_shard(layout, shard)
    per_node = layout.group_ranks_per_node
    within = across = None
    for ranks in shard_groups(layout):
        for node in range(layout.nodes_per_group):
            members = ranks[node * per_node : (node + 1) * per_node]
            within = _join(members, timeout) or within
        for position in range(per_node):
            across = _join(ranks[position::per_node], timeout) or across
    if within is None or across is None:
        raise InputError("this rank is not in the layout", given=dist.get_rank())
    return NodeGroups(shard, across, within, layout.nodes_per_group, per_node)


def _join(ranks: list[int], timeout: timedelta | None) -> dist.ProcessGroup | None:
    group = dist.new_group(ranks, timeout=timeout)
    return group if dist.get_rank() in ranks else None


def _check_stages(layout: Layout) -> None:
    if layout.nodes_per_group > 1 and layout.group_ranks_per_node > 1:
        return
    raise InputError(
        "hierarchical collectives need partition groups that span nodes with several ranks each",
        where="parallel.hierarchical",
        given=layout.describe(),
        allowed="auto, false, or a larger parallel.partition_group",
    )


def _check_shard(layout: Layout, shard: dist.ProcessGroup) -> None:
    given = dist.get_process_group_ranks(shard)
    if given not in shard_groups(layout):
        raise InputError(
            "the shard group is not one of the layout's partition groups",
            where="parallel.partition_group",
            given=f"ranks {given}",
            allowed=f"one of {shard_groups(layout)}",
            hint="build the device mesh from the same layout",
        )
