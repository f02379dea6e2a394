"""The clusters of the published points, from a text like `dgx-2:24@100Gbps`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hunmin.core.errors import InputError
from hunmin.planner.cluster import Cluster, Device, Link


@dataclass(frozen=True)
class Node:
    """Nodes of one kind.

    Args:
        device: Key of a device.
        devices: How many a node has.
        gigabits: Line rate of a node to the others, a second and direction.
    """

    device: str
    devices: int
    gigabits: float


def _device(name: str, memory_gib: int, memory_rate: float, peak: float) -> Device:
    peaks = {"bf16": peak, "fp16": peak, "fp32": peak / 16}
    return Device(name, memory_gib * 2**30, memory_rate, peaks, matmul_share=0.8)


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "V100-32GB": _device("V100-32GB", 32, 0.9e12, 125e12),
        "A100-40GB": _device("A100-40GB", 40, 1.555e12, 312e12),
        "A100-80GB": _device("A100-80GB", 80, 2.039e12, 312e12),
        "H100-80GB": _device("H100-80GB", 80, 3.35e12, 989.4e12),
    }
)
NVLINK: Mapping[str, float] = MappingProxyType({"V100": 150e9, "A100": 300e9, "H100": 450e9})
NODES: Mapping[str, Node] = MappingProxyType(
    {
        "dgx-2": Node("V100-32GB", 16, 800),
        "p4d": Node("A100-40GB", 8, 400),
        "p4de": Node("A100-80GB", 8, 400),
        "dgx-a100": Node("A100-80GB", 8, 1600),
        "a100-40gb-roce": Node("A100-40GB", 8, 1600),
        "a100-80gb-roce": Node("A100-80GB", 8, 1600),
        "p5": Node("H100-80GB", 8, 3200),
        "dgx-h100": Node("H100-80GB", 8, 3200),
        "h100-roce": Node("H100-80GB", 8, 3200),
    }
)
TEXT = re.compile(r"(?P<node>[\w-]+):(?P<count>\d+)(?:@(?P<rate>\d+)Gbps)?")


def build_cluster(text: str) -> Cluster:
    """Build a cluster from `kind:nodes` or `kind:nodes@rateGbps`.

    Raises:
        InputError: The text is not of this form, or no such node is known.
    """
    found = TEXT.fullmatch(text)
    if found is None or found["node"] not in NODES:
        allowed = f"kind:nodes or kind:nodes@rateGbps, of {', '.join(NODES)}"
        raise InputError("no such cluster", where="cluster", given=text, allowed=allowed)
    node = NODES[found["node"]]
    gigabits = float(found["rate"] or node.gigabits)
    return Cluster(
        name=found["node"],
        title=text,
        device=DEVICES[node.device],
        devices_per_node=node.devices,
        nodes=int(found["count"]),
        within=Link(NVLINK[node.device[:4]], 3e-6),
        between=Link(gigabits * 1e9 / 8, 1e-5),
    )
