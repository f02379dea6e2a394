"""Seconds of collectives: closed forms, and what should not make them slower."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.planner_cases import layouts, links, toy_cluster

from hunmin.parallel.collectives.volume import all_reduce_volume, gather_volume
from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Cluster, Link
from hunmin.planner.speed.network import Network, effective_bandwidth

few = settings(max_examples=80, deadline=None)
MESSAGE = 64e6
messages = st.sampled_from([1e3, 1e6, 1e9])


def cluster_of(nodes: int, per_node: int, within: Link, between: Link) -> Cluster:
    return toy_cluster(nodes, per_node, within=within, between=between)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    nodes, per_node = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2, 4]))
    cluster = cluster_of(nodes, per_node, draw(links), draw(links))
    return Network(cluster, draw(layouts(nodes, per_node)), draw(st.sampled_from(["nccl", "gloo"])))


def test_a_group_within_a_node_never_meets_the_slow_link() -> None:
    network = Network(toy_cluster(nodes=4, per_node=4), Layout(16, 4, 4))
    expected = 3 * 5e-6 + MESSAGE * 3 / 4 / 100e9
    assert network.gather_seconds(MESSAGE) == pytest.approx(expected)
    slow = Network(toy_cluster(between=Link(1.0, 10.0)), Layout(16, 4, 4))
    assert slow.gather_seconds(MESSAGE) == network.gather_seconds(MESSAGE)


def test_a_flat_ring_over_nodes_pays_the_slow_link_for_every_message() -> None:
    layout = Layout(16, 4, 16)
    network = Network(toy_cluster(nodes=4, per_node=4), layout)
    expected = 15 * 20e-6 + gather_volume(layout, MESSAGE, hierarchical=False) / 10e9
    assert network.gather_seconds(MESSAGE) == pytest.approx(expected)


def test_two_stages_pay_the_slow_link_once_a_node_and_then_the_fast_one() -> None:
    layout = Layout(16, 4, 16, hierarchical=True)
    network = Network(toy_cluster(nodes=4, per_node=4), layout)
    between = 3 * 20e-6 + gather_volume(layout, MESSAGE, hierarchical=True) / 10e9
    # Four collectives within the node, one for each node's chunks.
    within = 4 * 3 * 5e-6 + MESSAGE * 3 / 4 / 100e9
    assert network.gather_seconds(MESSAGE) == pytest.approx(between + within)


def test_tensor_ranks_share_a_message_and_the_nodes_link() -> None:
    whole, halves = Layout(16, 4, 8), Layout(16, 4, 8, tensor=2)
    cluster = replace(toy_cluster(nodes=4, per_node=4), between=Link(10e9, 0.0))
    # Two rings with half of the message each: as many bytes leave the node.
    seconds = [Network(cluster, layout).gather_seconds(MESSAGE) for layout in (whole, halves)]
    assert seconds[0] == pytest.approx(seconds[1])


def test_gloo_scatters_twice_the_bytes_over_nodes() -> None:
    cluster = replace(toy_cluster(), between=Link(10e9, 0.0))
    nccl, gloo = (Network(cluster, Layout(16, 4, 16), name) for name in ("nccl", "gloo"))
    assert gloo.scatter_seconds(MESSAGE) == pytest.approx(2 * nccl.scatter_seconds(MESSAGE))
    assert gloo.gather_seconds(MESSAGE) == nccl.gather_seconds(MESSAGE)


def test_copies_on_different_nodes_are_synchronised_over_the_slow_link() -> None:
    layout = Layout(16, 4, 4)
    network = Network(toy_cluster(nodes=4, per_node=4), layout)
    latency, sending = 2 * math.log2(4) * 20e-6, all_reduce_volume(layout, MESSAGE) / 10e9
    assert network.all_reduce_seconds(MESSAGE) == pytest.approx(latency + sending)


def test_copies_on_one_node_are_synchronised_within_it() -> None:
    network = Network(toy_cluster(nodes=1, per_node=4), Layout(4, 4, 2))
    expected = 2 * 5e-6 + 2 * (MESSAGE / 2) * 1 / 2 / 100e9
    assert network.all_reduce_seconds(MESSAGE) == pytest.approx(expected)


def test_one_rank_alone_sends_nothing() -> None:
    network = Network(toy_cluster(nodes=1, per_node=1), Layout(1, 1, 1))
    seconds = (
        network.gather_seconds(MESSAGE),
        network.scatter_seconds(MESSAGE),
        network.all_reduce_seconds(MESSAGE),
        network.tensor_seconds(MESSAGE),
    )
    assert seconds == (0.0, 0.0, 0.0, 0.0)
    assert effective_bandwidth(network, MESSAGE) == math.inf


def test_tensor_ranks_reduce_in_a_ring_within_the_node() -> None:
    network = Network(toy_cluster(), Layout(16, 4, 4, tensor=4))
    expected = 2 * 3 * 5e-6 + 2 * MESSAGE * 3 / 4 / 100e9
    assert network.tensor_seconds(MESSAGE) == pytest.approx(expected)


def test_effective_bandwidth_falls_with_participants_and_rises_with_the_message() -> None:
    cluster = toy_cluster(nodes=64, per_node=4)
    by_group = [effective_bandwidth(Network(cluster, Layout(256, 4, p)), 1e6) for p in (8, 64, 256)]
    assert by_group == sorted(by_group, reverse=True)
    assert by_group[2] < by_group[0] / 5
    network = Network(cluster, Layout(256, 4, 64))
    by_size = [effective_bandwidth(network, size) for size in (1e5, 1e7, 1e10)]
    assert by_size == sorted(by_size)
    assert by_size[2] == pytest.approx(10e9, rel=0.01)


@given(networks(), messages)
@few
def test_larger_messages_take_longer(network: Network, message: float) -> None:
    for name in ("gather_seconds", "scatter_seconds", "all_reduce_seconds", "tensor_seconds"):
        seconds = getattr(network, name)
        assert seconds(message) <= seconds(2 * message)


@given(networks(), messages, st.sampled_from(["within", "between"]))
@few
def test_better_links_are_never_slower(network: Network, message: float, name: str) -> None:
    link = getattr(network.cluster, name)
    for better in (
        replace(link, bandwidth=2 * link.bandwidth),
        replace(link, latency=link.latency / 2),
        replace(link, share=1.0),
    ):
        other = replace(network, cluster=replace(network.cluster, **{name: better}))
        for kind in ("gather_seconds", "scatter_seconds", "all_reduce_seconds"):
            assert getattr(other, kind)(message) <= getattr(network, kind)(message)


@given(networks(), messages)
@few
def test_no_collective_beats_the_bytes_on_its_link(network: Network, message: float) -> None:
    layout, usable = network.layout, network.cluster.between.usable
    crossing = gather_volume(layout, message, hierarchical=layout.hierarchical)
    assert network.gather_seconds(message) >= crossing / usable
    assert network.all_reduce_seconds(message) >= all_reduce_volume(layout, message) / usable
