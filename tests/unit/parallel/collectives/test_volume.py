from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.volume import (
    ACROSS_NODES,
    REPLICATE,
    SHARD,
    all_reduce_volume,
    gather_volume,
    node_link_bytes,
    scatter_volume,
    sent_bytes,
    step_volume,
)
from hunmin.parallel.layout import Layout

TWO_NODES = Layout(4, 2, 4)
FOUR_NODES = Layout(8, 2, 8)
MESSAGE = 4.194304  # MB


@pytest.mark.parametrize(
    ("layout", "flat", "hierarchical", "scatter"),
    [(TWO_NODES, 3.16, 2.10, 6.31), (FOUR_NODES, 3.68, 3.16, 7.37)],
)
def test_formulas_are_what_was_measured_on_real_links(
    layout: Layout, flat: float, hierarchical: float, scatter: float
) -> None:
    assert gather_volume(layout, MESSAGE, hierarchical=False) == pytest.approx(flat, rel=0.01)
    assert gather_volume(layout, MESSAGE, hierarchical=True) == pytest.approx(
        hierarchical, rel=0.01
    )
    measured = scatter_volume(layout, MESSAGE, hierarchical=False, backend="gloo")
    assert measured == pytest.approx(scatter, rel=0.01)


@pytest.mark.parametrize(
    ("layout", "total"),
    [
        (Layout(4, 2, 4), 116.2),
        (Layout(8, 2, 8), 136.0),
        (Layout(8, 2, 4, two_hop=False), 135.6),
        (Layout(8, 2, 4), 121.1),
        (Layout(4, 2, 2, two_hop=False), 38.9),
        (Layout(4, 2, 2), 9.7),
        (Layout(8, 2, 2, two_hop=False), 58.5),
        (Layout(8, 2, 2), 14.6),
    ],
)
def test_steps_are_what_was_measured_on_real_links(layout: Layout, total: float) -> None:
    volume = step_volume(layout, 9.69, 9.69, microsteps=4, backend="gloo")
    assert volume.total == pytest.approx(total, rel=0.01)


def test_hierarchical_gathers_alone_are_what_was_measured() -> None:
    layout = Layout(8, 2, 4, hierarchical=True)
    volume = step_volume(layout, 9.69, 9.69, microsteps=4, backend="gloo")
    flat = 4 * scatter_volume(layout, 9.69, hierarchical=False, backend="gloo")
    assert volume.gather + flat + volume.all_reduce == pytest.approx(101.7, rel=0.01)


def test_scatter_in_two_stages_costs_what_gathering_costs() -> None:
    layout = Layout(8, 2, 8)
    assert scatter_volume(layout, 8.0, hierarchical=True) == 6.0
    assert scatter_volume(layout, 8.0, hierarchical=False) == 7.0
    assert scatter_volume(layout, 8.0, hierarchical=True, backend="gloo") == 12.0


def test_a_group_within_a_node_puts_nothing_on_the_link() -> None:
    volume = step_volume(Layout(8, 4, 4), 1e9, 2e9, microsteps=3)
    assert (volume.gather, volume.scatter) == (0, 0)
    assert volume.all_reduce == 4 * 2 * (1 / 2) / 4 * 2e9


def test_copies_on_one_node_put_nothing_on_the_link() -> None:
    assert step_volume(Layout(8, 8, 2), 1e9, 1e9, microsteps=3).total == 0


def test_fifty_billion_parameters_on_512_devices() -> None:
    # 50.6 B parameters, bf16 gathers, fp32 gradients, groups of 128 on nodes of 8, 4 copies.
    parameters, gradients = 2 * 50.6e9, 4 * 50.6e9
    flat = step_volume(Layout(512, 8, 128), parameters, gradients, microsteps=1)
    assert flat.gather == pytest.approx(200.8e9, rel=1e-3)
    assert flat.scatter == pytest.approx(200.8e9, rel=1e-3)
    assert flat.all_reduce == pytest.approx(18.975e9, rel=1e-3)
    staged = step_volume(
        Layout(512, 8, 128, hierarchical=True), parameters, gradients, microsteps=1
    )
    assert staged.gather / flat.gather == pytest.approx(120 / 127)
    # At 400 Gbit/s a node that is 8.4 s of a step of 32.5 s: it can be hidden, but not ignored.
    assert flat.total / 50e9 == pytest.approx(8.41, abs=0.01)


def test_two_nodes_save_a_third_in_two_stages() -> None:
    layout = Layout(4, 2, 4)
    flat = gather_volume(layout, 1.0, hierarchical=False)
    staged = gather_volume(layout, 1.0, hierarchical=True)
    assert (flat, staged) == (3 / 4, 1 / 2)


def test_modules_that_stay_gathered_are_gathered_once() -> None:
    layout = Layout(4, 2, 4)
    volume = step_volume(layout, 100.0, 0, microsteps=2, gathered_once_bytes=40.0)
    assert volume.gather == 2 * (2 * 60 + 40) * 3 / 4


def test_parameters_that_are_kept_are_gathered_once() -> None:
    layout = Layout(4, 2, 4)
    volume = step_volume(layout, 100.0, 0, microsteps=2, gathers_per_microstep=1)
    assert volume.gather == 2 * 100 * 3 / 4


def test_tensor_parallel_ranks_of_a_node_share_its_link() -> None:
    # Two nodes of eight ranks, matrices in two: groups of eight data-parallel ranks, four a node.
    layout = Layout(16, 8, 8, 2, hierarchical=True)
    message = 1000.0 / 2
    flat = node_link_bytes({SHARD: sent_bytes("all_gather", message, 8)}, layout)
    assert flat == gather_volume(layout, 1000.0, hierarchical=False) == 1000 * 7 / 8
    across = node_link_bytes({ACROSS_NODES: sent_bytes("all_gather", message / 4, 2)}, layout)
    assert across == gather_volume(layout, 1000.0, hierarchical=True) == 1000 * 4 / 8


def test_tensor_parallel_copies_share_the_link() -> None:
    # As above with groups of one node: four data-parallel shards, two copies, two slices.
    layout = Layout(16, 8, 4, 2)
    assert all_reduce_volume(layout, 800.0) == 8 * 2 * (1 / 2) * 800 / 8
    sent = sent_bytes("all_reduce", 100.0, 2)
    assert node_link_bytes({REPLICATE: sent}, layout) == 800.0


def test_groups_of_one_send_nothing() -> None:
    assert sent_bytes("all_gather", 100, 1) == 0
    assert sent_bytes("all_reduce", 100, 1) == 0


def test_a_step_without_microsteps_is_refused() -> None:
    with pytest.raises(InputError, match="at least one microstep"):
        step_volume(TWO_NODES, 1.0, 1.0, microsteps=0)
