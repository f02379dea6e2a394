"""A cluster: equal nodes of equal devices, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Precision = Literal["bf16", "fp16", "fp32"]


@dataclass(frozen=True)
class Device:
    """One accelerator, or the share of a CPU that one rank has.

    Args:
        name: For people.
        memory: Bytes.
        memory_bandwidth: Bytes a second.
        peak: Operations a second of matrix products, by precision, as the maker states it (dense).
        matmul_share: Share of the peak that large matrix products reach inside a training step.
        kernel_seconds: What starting a kernel costs where nothing hides it.
        power: Watts while it trains; None if the catalogue does not know.
    """

    name: str
    memory: int
    memory_bandwidth: float
    peak: Mapping[str, float]
    matmul_share: float
    kernel_seconds: float = 0.0
    power: float | None = None


@dataclass(frozen=True)
class Link:
    """What joins devices of a node, or nodes.

    Args:
        bandwidth: Bytes a second and direction: of one device within a node, of a whole node
            between nodes.
        latency: Seconds that one hop of a ring costs besides its bytes.
        share: Share of the bandwidth that large messages reach.
    """

    bandwidth: float
    latency: float
    share: float = 1.0

    @property
    def usable(self) -> float:
        """Bytes a second that large messages reach."""
        return self.bandwidth * self.share


@dataclass(frozen=True)
class Cluster:
    """Equal nodes.

    Args:
        name: Key in the catalogue.
        title: For people.
        device: What computes.
        devices_per_node: k.
        nodes: How many.
        within: Link of a device inside a node.
        between: Link of a node to the others.
        host_memory: Bytes of a node.
        storage_bandwidth: Bytes a second that a node writes to shared storage.
        sources: Where each figure comes from, by key.
    """

    name: str
    title: str
    device: Device
    devices_per_node: int
    nodes: int
    within: Link
    between: Link
    host_memory: int | None = None
    storage_bandwidth: float | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def devices(self) -> int:
        """All devices, n."""
        return self.nodes * self.devices_per_node

    def with_nodes(self, nodes: int) -> Cluster:
        """Return as many of the same nodes."""
        return replace(self, nodes=nodes)
