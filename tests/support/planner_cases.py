"""Small models, clusters and strategies for tests of the planner, fixed and drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from hunmin.parallel.layout import Layout, possible_groups
from hunmin.planner.cluster import Cluster, Device, Link
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.software import Software
from hunmin.planner.strategy import Strategy

DEVICE = Device(
    name="toy",
    memory=4 * 10**9,
    memory_bandwidth=1e12,
    peak={"bf16": 100e12, "fp32": 20e12},
    matmul_share=0.5,
    kernel_seconds=5e-6,
)
WITHIN = Link(100e9, 5e-6)
BETWEEN = Link(10e9, 20e-6)
SHAPE = gpt2_shape("toy-50m", layers=4, width=1024, heads=16, vocab_size=8192, context=512)
SOFTWARE = Software("toy", "toy")


def toy_cluster(
    nodes: int = 4,
    per_node: int = 4,
    *,
    device: Device = DEVICE,
    within: Link = WITHIN,
    between: Link = BETWEEN,
) -> Cluster:
    """Return a cluster whose network is about as slow as its devices."""
    return Cluster("toy", "toy", device, per_node, nodes, within, between)


@dataclass(frozen=True)
class Case:
    """Everything that `step_time` takes."""

    shape: ModelShape
    strategy: Strategy
    cluster: Cluster
    software: Software


@st.composite
def layouts(draw: st.DrawFn, nodes: int, per_node: int) -> Layout:
    """Draw any layout of a cluster."""
    tensor = draw(st.sampled_from([size for size in (1, 2, 4) if per_node % size == 0]))
    local, ranks = per_node // tensor, nodes * per_node // tensor
    group = draw(st.sampled_from(possible_groups(ranks, local)))
    staged = group > local > 1 and draw(st.booleans())
    return Layout(nodes * per_node, per_node, group, tensor, staged, draw(st.booleans()))


@st.composite
def strategies_of(draw: st.DrawFn, nodes: int, per_node: int) -> Strategy:
    """Draw any strategy of a cluster, without a pipeline."""
    return Strategy(
        draw(layouts(nodes, per_node)),
        micro_batch=draw(st.integers(1, 4)),
        microsteps=draw(st.integers(1, 6)),
        recompute=draw(st.sampled_from(["none", "attention", "blocks"])),
        attention=draw(st.sampled_from(["fused", "plain"])),
        reshard_after_forward=draw(st.booleans()),
        prefetch=draw(st.integers(0, 2)),
    )


links = st.builds(
    Link,
    bandwidth=st.sampled_from([1e9, 1e10, 1e11, 1e12]),
    latency=st.sampled_from([0.0, 1e-6, 1e-4]),
    share=st.sampled_from([0.5, 1.0]),
)
softwares = st.builds(
    Software,
    name=st.just("toy"),
    title=st.just("toy"),
    gather_unit=st.sampled_from(["block", "matrix"]),
    overlap=st.sampled_from([0.0, 0.7, 1.0]),
    reduction_overlap=st.sampled_from([None, 0.0, 0.5]),
    cores=st.sampled_from([0.0, 0.2]),
    copies=st.sampled_from([0.0, 4.0]),
    backend=st.sampled_from(["nccl", "gloo"]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a strategy, a cluster for it and a program."""
    nodes, per_node = draw(st.sampled_from([1, 2, 3, 4])), draw(st.sampled_from([1, 2, 4]))
    cluster = toy_cluster(nodes, per_node, within=draw(links), between=draw(links))
    return Case(SHAPE, draw(strategies_of(nodes, per_node)), cluster, draw(softwares))
