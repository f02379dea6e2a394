"""Seconds of a collective: bytes over a link, and a cost of each message of the ring.

    ring of p ranks on q nodes      (p-1) α_between  +  bytes / bandwidth of the nodes' links
    in two stages                   (q-1) α_between  +  bytes / bandwidth, then within the node
                                    q (p/q-1) α_within  +  bytes / bandwidth

A ring moves p-1 messages over each of its links, and the slowest link sets the pace: α is what one
message costs there besides its bytes.

The messages grow with the participants and the bytes do not: so the effective bandwidth falls
as the group grows and as messages shrink. This is what partition groups live on; with a constant
bandwidth a group of two nodes and a group of a hundred would cost the same.

Bytes on a node's link come from `parallel.collectives.volume`, exactly as they are measured.

Source: Thakur, Rabenseifner & Gropp 2005 for ring and tree costs; MiCS (arXiv:2205.00119) for the
two stages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hunmin.parallel.collectives.volume import (
    Backend,
    all_reduce_volume,
    backend_factor,
    gather_volume,
    scatter_volume,
)
from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Cluster


@dataclass(frozen=True)
class Network:
    """What collectives of a layout cost on a cluster.

    Args:
        cluster: Links.
        layout: Which rank lies where.
        backend: What carries messages; gloo's reduce-scatter sends twice the bytes.
    """

    cluster: Cluster
    layout: Layout
    backend: Backend = "nccl"

    def gather_seconds(self, message_bytes: float) -> float:
        """Return the seconds of gathering parameters within a partition group.

        Args:
            message_bytes: The whole message, of all tensor ranks together.

        Returns:
            Seconds, 0 for a group of one.
        """
        volume = gather_volume(self.layout, message_bytes, hierarchical=self.layout.hierarchical)
        return self._group_seconds(message_bytes, volume)

    def scatter_seconds(self, message_bytes: float) -> float:
        """Return the seconds of reduce-scattering gradients within a partition group."""
        volume = scatter_volume(
            self.layout,
            message_bytes,
            hierarchical=self.layout.hierarchical,
            backend=self.backend,
        )
        return self._group_seconds(message_bytes, volume, backend_factor(self.backend))

    def all_reduce_seconds(self, message_bytes: float) -> float:
        """Return the seconds of synchronising the copies of the model.

        Args:
            message_bytes: Gradients of the whole model part, before they are sharded.

        Returns:
            Seconds, 0 for one copy.
        """
        layout, cluster = self.layout, self.cluster
        if layout.replicas == 1:
            return 0.0
        crossing = all_reduce_volume(layout, message_bytes)
        # Along a tree: the latency grows with its depth only.
        hops = 2 * math.ceil(math.log2(layout.replicas))
        if crossing:
            return hops * cluster.between.latency + crossing / cluster.between.usable
        own = message_bytes / layout.tensor / layout.partition_group
        ring = 2 * own * (layout.replicas - 1) / layout.replicas
        return hops * cluster.within.latency + ring / cluster.within.usable

    def tensor_seconds(self, message_bytes: float) -> float:
        """Return the seconds of an all-reduce between the ranks that split matrices."""
        ranks, link = self.layout.tensor, self.cluster.within
        if ranks == 1:
            return 0.0
        ring = 2 * message_bytes * (ranks - 1) / ranks
        return 2 * (ranks - 1) * link.latency + ring / link.usable

    def _group_seconds(self, message_bytes: float, crossing: float, factor: int = 1) -> float:
        """Return the seconds of a ring, or of two stages; `factor` as in `backend_factor`."""
        layout, within, between = self.layout, self.cluster.within, self.cluster.between
        ranks, local = layout.partition_group, layout.group_ranks_per_node
        own = factor * message_bytes / layout.tensor
        if not layout.spans_nodes:
            return (ranks - 1) * within.latency + own * (ranks - 1) / ranks / within.usable
        sending = crossing / between.usable
        if not layout.hierarchical:
            # Every byte passes every device, too.
            passing = own * (ranks - 1) / ranks / within.usable
            return (ranks - 1) * between.latency + max(sending, passing)
        over_nodes = (layout.nodes_per_group - 1) * between.latency + sending
        inside = own * (local - 1) / local / within.usable
        # Within the node one collective for each node of the group, whose chunks it puts in order.
        return over_nodes + layout.nodes_per_group * (local - 1) * within.latency + inside


def effective_bandwidth(network: Network, message_bytes: float) -> float:
    """Return bytes a second of a gather, as benchmarks of collectives count them.

    Args:
        network: Links and layout.
        message_bytes: The gathered message.

    Returns:
        (p-1)/p of the message over the seconds it takes; infinite for a group of one.
    """
    ranks = network.layout.partition_group
    seconds = network.gather_seconds(message_bytes)
    return message_bytes * (ranks - 1) / ranks / seconds if seconds else math.inf
