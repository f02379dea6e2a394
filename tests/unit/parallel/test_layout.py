"""Layouts: who holds what, for all sizes, and what each refusal says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.parallel.layout import Layout, derive_layout
from hunmin.parallel.spec import ParallelSpec


@dataclass(frozen=True)
class Machines:
    """Nodes of `data_ranks_per_node * tensor` ranks."""

    nodes: int
    data_ranks_per_node: int
    tensor: int

    @property
    def ranks_per_node(self) -> int:
        return self.data_ranks_per_node * self.tensor

    @property
    def world_size(self) -> int:
        return self.nodes * self.ranks_per_node

    def groups(self) -> list[int]:
        """Sizes of partition groups that lie on whole nodes, or share one out evenly."""
        within = [
            p for p in range(1, self.data_ranks_per_node + 1) if not self.data_ranks_per_node % p
        ]
        nodes = [m for m in range(2, self.nodes + 1) if not self.nodes % m]
        return [*within, *(m * self.data_ranks_per_node for m in nodes)]

    def layout(self, group: int) -> Layout:
        return Layout(self.world_size, self.ranks_per_node, group, self.tensor)


machines = st.builds(
    Machines,
    nodes=st.integers(1, 12),
    data_ranks_per_node=st.integers(1, 12),
    tensor=st.sampled_from([1, 2, 3, 4, 8]),
)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    where = draw(machines)
    return where.layout(draw(st.sampled_from(where.groups())))


def ranks_of_groups(layout: Layout) -> list[list[int]]:
    """Return the ranks of each partition group, by the order that the mesh has."""
    p, t = layout.partition_group, layout.tensor
    place = {rank: rank // (p * t) for rank in range(layout.world_size)}
    return [[r for r, group in place.items() if group == g] for g in range(layout.replicas)]


@settings(max_examples=60, deadline=None)
@given(layouts())
def test_every_rank_holds_one_part_of_one_copy(layout: Layout) -> None:
    assert layout.replicas * layout.partition_group * layout.tensor == layout.world_size
    assert layout.data_ranks * layout.tensor == layout.world_size
    groups = ranks_of_groups(layout)
    assert sorted(rank for group in groups for rank in group) == list(range(layout.world_size))
    assert {len(group) for group in groups} == {layout.partition_group * layout.tensor}


@settings(max_examples=60, deadline=None)
@given(layouts())
def test_groups_are_neighbours_on_as_few_nodes_as_hold_them(layout: Layout) -> None:
    k = layout.ranks_per_node
    for group in ranks_of_groups(layout):
        assert group == list(range(group[0], group[-1] + 1))
        per_node = Counter(rank // k for rank in group)
        assert len(per_node) == layout.nodes_per_group == -(-len(group) // k)
        assert set(per_node.values()) == {layout.group_ranks_per_node * layout.tensor}
    assert layout.spans_nodes == (layout.nodes_per_group > 1)


@settings(max_examples=60, deadline=None)
@given(machines, st.integers(1, 200))
def test_only_groups_on_whole_nodes_are_possible(where: Machines, group: int) -> None:
    if group in where.groups():
        assert where.layout(group).partition_group == group
        return
    with pytest.raises(
        InputError, match=r"parallel\.partition_group: partition groups must share"
    ) as caught:
        where.layout(group)
    assert caught.value.allowed == ", ".join(map(str, sorted(where.groups())))


@settings(max_examples=60, deadline=None)
@given(machines, st.integers(1, 150))
def test_auto_is_the_smallest_group_that_fits(where: Machines, smallest: int) -> None:
    fitting = [size for size in where.groups() if size >= smallest]
    spec = ParallelSpec(tensor=where.tensor)
    sizes = {"world_size": where.world_size, "ranks_per_node": where.ranks_per_node}
    if fitting:
        layout = derive_layout(spec, **sizes, smallest_group=smallest)
        assert layout.partition_group == min(fitting)
        return
    with pytest.raises(InputError, match="does not fit the memory of all devices") as caught:
        derive_layout(spec, **sizes, smallest_group=smallest)
    assert f"at least {smallest} data-parallel ranks" in str(caught.value)
    assert "train.activation_checkpointing" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(machines)
def test_world_is_one_copy(where: Machines) -> None:
    spec = ParallelSpec(partition_group="world", tensor=where.tensor)
    layout = derive_layout(spec, world_size=where.world_size, ranks_per_node=where.ranks_per_node)
    assert layout.replicas == 1
    assert layout.nodes_per_group == where.nodes


@settings(max_examples=60, deadline=None)
@given(machines, st.data())
def test_two_stages_where_there_are_several_nodes_with_several_ranks(
    where: Machines, data: st.DataObject
) -> None:
    group = data.draw(st.sampled_from(where.groups()))
    possible = group > where.data_ranks_per_node > 1
    sizes = {"world_size": where.world_size, "ranks_per_node": where.ranks_per_node}

    def derive(hierarchical: bool | str) -> Layout:
        values = {"partition_group": group, "tensor": where.tensor, "hierarchical": hierarchical}
        return derive_layout(ParallelSpec.model_validate(values), **sizes)

    assert derive("auto").hierarchical == possible
    assert not derive(False).hierarchical
    if possible:
        assert derive(True).hierarchical
        return
    with pytest.raises(InputError, match=r"parallel\.hierarchical: "):
        derive(True)


def test_ranks_per_node_of_the_recipe_wins() -> None:
    spec = ParallelSpec(partition_group=4, ranks_per_node=2)
    layout = derive_layout(spec, world_size=8, ranks_per_node=8)
    assert (layout.ranks_per_node, layout.nodes_per_group) == (2, 2)
    assert layout.hierarchical


def test_two_hop_is_what_the_recipe_says() -> None:
    for two_hop in (True, False):
        spec = ParallelSpec(partition_group=2, two_hop=two_hop)
        assert derive_layout(spec, world_size=4, ranks_per_node=2).two_hop == two_hop


def test_nodes_have_equally_many_ranks() -> None:
    with pytest.raises(InputError, match=r"parallel\.ranks_per_node: the nodes do not") as caught:
        Layout(world_size=10, ranks_per_node=4, partition_group=1)
    assert "10 ranks, 4 a node" in str(caught.value)
    assert "--nproc-per-node" in str(caught.value)


@pytest.mark.parametrize("tensor", [3, 16])
def test_slices_of_a_matrix_lie_on_one_node(tensor: int) -> None:
    with pytest.raises(InputError, match=r"parallel\.tensor: ranks that split matrices") as caught:
        Layout(world_size=48, ranks_per_node=8, partition_group=1, tensor=tensor)
    assert "a divisor of 8" in str(caught.value)


def test_a_layout_is_described_in_a_line() -> None:
    layout = Layout(16, 4, 4, tensor=2, hierarchical=True)
    text = layout.describe()
    assert text.startswith("16 ranks, 4 a node, partition groups of 4, 2 copies")
    assert text.endswith("tensor 2, hierarchical, two-hop")
    assert "two-hop" not in Layout(4, 4, 4).describe(), "one copy has nothing to synchronise"
    assert "1 copy" in Layout(4, 4, 4).describe()
