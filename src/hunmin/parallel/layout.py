"""Layout: which rank holds which part of the model. Plain arithmetic, no torch.

Eight ranks on four nodes, partition groups of four, two copies of the model:

    node          0      1      2      3
    rank         0 1    2 3    4 5    6 7
    copy         └── 0 ───┘    └── 1 ───┘
    shard        0 1    2 3    0 1    2 3

Ranks of a partition group are neighbours, so that a group touches as few nodes as it can. With
tensor parallelism `tensor` neighbours hold slices of the same shard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hunmin.core.errors import InputError
from hunmin.parallel.spec import ParallelSpec


@dataclass(frozen=True)
class Layout:
    """How ranks share a model.

    Args:
        world_size: All ranks, n.
        ranks_per_node: Ranks of one node, k.
        partition_group: Data-parallel ranks that share one copy of the model, p.
        tensor: Ranks that split each matrix, t; they lie on one node.
        hierarchical: Whether collectives of a group that spans nodes go in two stages.
        two_hop: Whether copies are synchronised once a step instead of each microstep.

    Raises:
        InputError: The numbers do not divide each other.
    """

    world_size: int
    ranks_per_node: int
    partition_group: int
    tensor: int = 1
    hierarchical: bool = False
    two_hop: bool = True

    def __post_init__(self) -> None:
        _check_tensor(self.world_size, self.ranks_per_node, self.tensor)
        _check_partition_group(self)

    @property
    def data_ranks(self) -> int:
        """Ranks that see different rows of a batch."""
        return self.world_size // self.tensor

    @property
    def replicas(self) -> int:
        """Copies of the model, r."""
        return self.data_ranks // self.partition_group

    @property
    def group_ranks_per_node(self) -> int:
        """Ranks of one partition group that share a node."""
        return min(self.partition_group, self.ranks_per_node // self.tensor)

    @property
    def nodes_per_group(self) -> int:
        """Nodes a partition group touches."""
        return self.partition_group // self.group_ranks_per_node

    @property
    def spans_nodes(self) -> bool:
        """Whether a partition group reaches over more than one node."""
        return self.nodes_per_group > 1

    def describe(self) -> str:
        """Return one line for people."""
        copies = "1 copy" if self.replicas == 1 else f"{self.replicas} copies"
        groups = f"partition groups of {self.partition_group}, {copies}"
        extras = [f"tensor {self.tensor}"] if self.tensor > 1 else []
        extras += ["hierarchical"] if self.hierarchical else []
        extras += ["two-hop"] if self.two_hop and self.replicas > 1 else []
        return ", ".join(
            [f"{self.world_size} ranks, {self.ranks_per_node} a node", groups, *extras]
        )


def derive_layout(
    spec: ParallelSpec, *, world_size: int, ranks_per_node: int, smallest_group: int = 1
) -> Layout:
    """Derive the layout of a run; a pure function.

    Args:
        spec: What the recipe says.
        world_size: All ranks.
        ranks_per_node: Ranks that were started on each node.
        smallest_group: Fewest data-parallel ranks whose memory holds the model, for `auto`.

    Returns:
        The layout.

    Raises:
        InputError: Sizes that do not divide each other, or a model that fits no group.
    """
    per_node = ranks_per_node if spec.ranks_per_node == "auto" else spec.ranks_per_node
    _check_tensor(world_size, per_node, spec.tensor)
    data_ranks = world_size // spec.tensor
    group = spec.partition_group
    if group == "world":
        group = data_ranks
    elif group == "auto":
        group = _smallest_dividing_group(
            data_ranks, max(1, per_node // spec.tensor), smallest_group
        )
    layout = Layout(world_size, per_node, group, spec.tensor, two_hop=spec.two_hop)
    wanted = layout.spans_nodes and layout.group_ranks_per_node > 1
    if spec.hierarchical is True and not wanted:
        raise InputError(
            "collectives in two stages need groups that span nodes with several ranks each",
            where="parallel.hierarchical",
            given=layout.describe(),
            allowed="auto, false, or a larger parallel.partition_group",
        )
    hierarchical = wanted and spec.hierarchical is not False
    return Layout(world_size, per_node, group, spec.tensor, hierarchical, spec.two_hop)


def _smallest_dividing_group(data_ranks: int, per_node: int, smallest: int) -> int:
    fitting = [size for size in possible_groups(data_ranks, per_node) if size >= smallest]
    if not fitting:
        raise InputError(
            "the model does not fit the memory of all devices together",
            where="parallel.partition_group",
            given=f"a group of at least {smallest} data-parallel ranks, {data_ranks} there are",
            hint="use more devices, parallel.tensor, train.activation_checkpointing, or fewer "
            "tokens in train.microbatch_tokens",
        )
    return fitting[0]


def possible_groups(data_ranks: int, per_node: int) -> list[int]:
    """Return the sizes that partition groups may have, in ascending order.

    Args:
        data_ranks: Data-parallel ranks of all nodes.
        per_node: Those of one node.

    Returns:
        Divisors of `data_ranks` that divide a node or are whole nodes.
    """
    small = [size for size in range(1, math.isqrt(data_ranks) + 1) if data_ranks % size == 0]
    divisors = sorted({*small, *(data_ranks // size for size in small)})
    return [size for size in divisors if per_node % size == 0 or size % per_node == 0]


def _check_tensor(n: int, k: int, t: int) -> None:
    if n % k:
        raise InputError(
            "the nodes do not have equally many ranks",
            where="parallel.ranks_per_node",
            given=f"{n} ranks, {k} a node",
            allowed="a divisor of the number of ranks",
            hint="start the same --nproc-per-node everywhere, or set parallel.ranks_per_node",
        )
    if k % t:
        raise InputError(
            "ranks that split matrices must lie on one node",
            where="parallel.tensor",
            given=f"tensor {t}, {k} ranks a node",
            allowed=f"a divisor of {k}",
        )


def _check_partition_group(layout: Layout) -> None:
    p, per_node = layout.partition_group, layout.ranks_per_node // layout.tensor
    possible = possible_groups(layout.data_ranks, per_node)
    if p not in possible:
        raise InputError(
            "partition groups must share out the ranks evenly and lie on whole nodes",
            where="parallel.partition_group",
            given=f"{p} of {layout.data_ranks} data-parallel ranks, {per_node} a node",
            allowed=", ".join(map(str, possible)),
            hint="take one of these, or auto",
        )
