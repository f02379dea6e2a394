"""Hierarchical against flat collectives, over gloo: values, gradients, counts and bytes."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from hunmin.core.errors import InputError
from hunmin.parallel.collectives import primitives
from hunmin.parallel.collectives.flat import FlatAllGather, MeteredAllGather
from hunmin.parallel.collectives.groups import build_node_groups, shard_groups
from hunmin.parallel.collectives.hierarchical import (
    HierarchicalAllGather,
    HierarchicalReduceScatter,
)
from hunmin.parallel.collectives.install import install_collectives
from hunmin.parallel.collectives.meter import (
    Call,
    CollectiveTotals,
    CommunicationMeter,
    measured_link_bytes,
)
from hunmin.parallel.collectives.volume import step_volume
from hunmin.parallel.layout import Layout

CPU = torch.device("cpu")
SPANNING = [(4, 4, 2), (8, 4, 2), (8, 8, 2), (8, 8, 4)]
SIZES = (1, 3, 64, 1001)


def mesh_of(layout: Layout) -> DeviceMesh:
    shape = (layout.replicas, layout.partition_group)
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard"))


def staged(n: int, p: int, k: int) -> Layout:
    return Layout(n, k, p, hierarchical=True)


# -- values --------------------------------------------------------------------------------------


class Pair:
    """Hierarchical collectives and what the flat ones return."""

    def __init__(self, layout: Layout) -> None:
        self.shard = mesh_of(layout).get_group("shard")
        self.groups = build_node_groups(layout, self.shard, timeout=timedelta(seconds=30))
        self.meter = CommunicationMeter(CPU)
        self.gather = HierarchicalAllGather(self.groups, self.meter)
        self.scatter = HierarchicalReduceScatter(self.groups, self.meter)

    def gathers_equal(self, size: int, dtype: torch.dtype, *, async_op: bool) -> bool:
        chunk = torch.randn(size).to(dtype)
        flat = torch.empty(size * self.shard.size(), dtype=dtype)
        primitives.all_gather(flat, chunk, self.shard)
        output = torch.full_like(flat, torch.nan)
        slot = output.narrow(0, size * self.shard.rank(), size).copy_(chunk)
        work = self.gather(output, slot, self.shard, async_op)
        if work is not None:
            work.wait()
        return torch.equal(output, flat) and (work is not None) == async_op

    def scatter_error(self, size: int, op: Any, *, whole_numbers: bool, async_op: bool) -> float:
        whole = torch.randn(size * self.shard.size())
        whole = whole.mul(100).round() if whole_numbers else whole
        flat, output = torch.empty(size), torch.full((size,), torch.nan)
        primitives.reduce_scatter(flat, whole.clone(), self.shard, op)
        work = self.scatter(output, whole, self.shard, op, async_op)
        if work is not None:
            work.wait()
        return float((output - flat).abs().max())


def compare_with_flat(layout: Layout) -> dict[str, Any]:
    torch.manual_seed(dist.get_rank())
    pair = Pair(layout)
    options = list(itertools.product(SIZES, (torch.float32, torch.bfloat16), (False, True)))
    gathers = [
        pair.gathers_equal(size, dtype, async_op=async_op) for size, dtype, async_op in options
    ]
    pair.meter.take()
    mean, total = dist.ReduceOp.AVG, dist.ReduceOp.SUM
    return {
        "gathers": gathers,
        "mean": [
            pair.scatter_error(size, mean, whole_numbers=False, async_op=async_op)
            for size in SIZES
            for async_op in (False, True)
        ],
        "sum": [
            pair.scatter_error(size, total, whole_numbers=True, async_op=False) for size in SIZES
        ],
        "totals": {key: asdict(total) for key, total in pair.meter.take().items()},
    }


@pytest.mark.parametrize("shape", SPANNING)
def test_hierarchical_equals_flat(shape: tuple[int, int, int]) -> None:
    layout = staged(*shape)
    for found in run_ranks(layout.world_size, compare_with_flat, layout):
        assert all(found["gathers"])
        assert len(found["gathers"]) == 16
        assert max(found["mean"]) < 1e-6
        assert found["sum"] == [0.0] * len(SIZES)
        across = found["totals"]["reduce_scatter/across_nodes"]
        within = found["totals"]["reduce_scatter/within_node"]
        assert across["calls"] == 3 * len(SIZES)
        assert within["calls"] == 3 * len(SIZES) * layout.nodes_per_group
        message = 4 * 3 * sum(SIZES) * layout.partition_group
        assert within["message_bytes"] == message
        assert across["message_bytes"] == message // layout.group_ranks_per_node


# -- gradients, counts and bytes of a model ------------------------------------------------------

WIDTH, DEPTH, MICROSTEPS, ROWS = 37, 3, 2, 2


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, 2 * WIDTH + 1)
        self.out = nn.Linear(2 * WIDTH + 1, WIDTH)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.out(torch.tanh(self.into(hidden)))


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.start = nn.Linear(5, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))

    def forward(self, rows: Tensor) -> Tensor:
        hidden = self.start(rows)
        for block in self.blocks:
            hidden = block(hidden)
        return hidden.pow(2).mean()


def rows_of(rank: int, microstep: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 * microstep + rank)
    return torch.randn(ROWS, 5, generator=generator)


def one_process_gradients(ranks: int) -> list[Tensor]:
    model = Toy()
    for rank, microstep in itertools.product(range(ranks), range(MICROSTEPS)):
        (model(rows_of(rank, microstep)) / (ranks * MICROSTEPS)).backward()
    return [parameter.grad for parameter in model.parameters()]


def sharded_toy(mesh: DeviceMesh) -> FSDPModule:
    model = Toy()
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    return fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def set_prefetch(model: Any, mode: str) -> None:
    blocks = list(model.blocks)
    if mode == "explicit":
        for one, following in itertools.pairwise(blocks):
            one.set_modules_to_forward_prefetch([following])
            following.set_modules_to_backward_prefetch([one])


def step_gradients(model: Any, mode: str, *, two_hop: bool) -> list[Tensor]:
    for microstep in range(MICROSTEPS):
        if mode == "async":
            model.unshard(async_op=True)
            for block in model.blocks:
                block.unshard(async_op=True)
        model.set_requires_all_reduce(not two_hop or microstep == MICROSTEPS - 1)
        (model(rows_of(dist.get_rank(), microstep)) / MICROSTEPS).backward()
    gradients = [parameter.grad.full_tensor() for parameter in model.parameters()]
    model.zero_grad()
    return gradients


def spy_on_collectives(counts: Counter[str]) -> None:
    """Count what really reaches torch, beside what the meter says."""

    def counted(name: str, function: Any) -> Any:
        def call(*tensors: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*tensors, **options)

        return call

    primitives._all_gather = counted("all_gather", primitives._all_gather)
    primitives._reduce_scatter = counted("reduce_scatter", primitives._reduce_scatter)
    dist.all_reduce = counted("all_reduce", dist.all_reduce)


def train_toy(layout: Layout, modes: tuple[str, ...]) -> dict[str, Any]:
    mesh = mesh_of(layout)
    counts: Counter[str] = Counter()
    spy_on_collectives(counts)
    found: dict[str, Any] = {}
    for mode in modes:
        model = sharded_toy(mesh)
        meter = CommunicationMeter(CPU)
        install_collectives(model, layout, mesh, meter, timeout=timedelta(seconds=30))
        set_prefetch(model, mode)
        counts.clear()
        gradients = step_gradients(model, mode, two_hop=layout.two_hop)
        found[mode] = {
            "errors": [
                float((one - other).abs().max())
                for one, other in zip(
                    gradients, one_process_gradients(layout.data_ranks), strict=True
                )
            ],
            "counts": dict(counts),
            "totals": {key: asdict(total) for key, total in meter.take().items()},
        }
    return found


def padded_bytes(layout: Layout) -> tuple[int, int]:
    """Bytes of all parameters and of the root's own, each cut into equal parts."""
    group = layout.partition_group

    def padded(parameter: Tensor) -> int:
        rows = -(-parameter.shape[0] // group) * group
        return 4 * rows * parameter[0].numel()

    model = Toy()
    return sum(map(padded, model.parameters())), sum(map(padded, model.start.parameters()))


def expected_calls(layout: Layout, *, gathers: int) -> dict[str, int]:
    reductions = MICROSTEPS * (DEPTH + 1)
    all_reduces = (1 if layout.two_hop else MICROSTEPS) * (DEPTH + 1)
    calls = {"all_reduce/replicate": all_reduces} if layout.replicas > 1 else {}
    if not layout.hierarchical:
        return calls | {"all_gather/shard": gathers, "reduce_scatter/shard": reductions}
    nodes = layout.nodes_per_group
    return calls | {
        "all_gather/across_nodes": gathers,
        "all_gather/within_node": gathers * nodes,
        "reduce_scatter/across_nodes": reductions,
        "reduce_scatter/within_node": reductions * nodes,
    }


MODES = ("implicit", "explicit", "async")
LAYOUTS = [
    Layout(4, 2, 4),
    staged(4, 4, 2),
    Layout(8, 2, 4),
    staged(8, 4, 2),
    Layout(8, 2, 4, hierarchical=True, two_hop=False),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=Layout.describe)
def test_gradients_calls_and_bytes(layout: Layout) -> None:
    parameters, root = padded_bytes(layout)
    volume = step_volume(
        layout,
        parameters,
        parameters,
        microsteps=MICROSTEPS,
        gathered_once_bytes=root,
        backend="gloo",
    )
    gathers = MICROSTEPS * (2 * DEPTH + 1)
    for found in run_ranks(layout.world_size, train_toy, layout, MODES):
        for mode in MODES:
            result = found[mode]
            totals = [CollectiveTotals(**total) for total in result["totals"].values()]
            assert max(result["errors"]) < 1e-6, mode
            calls = {key: total["calls"] for key, total in result["totals"].items()}
            assert calls == expected_calls(layout, gathers=gathers), mode
            assert measured_link_bytes(totals, layout) == pytest.approx(volume.total)
            for kind in ("all_gather", "reduce_scatter"):
                counted = sum(count for key, count in calls.items() if key.startswith(kind))
                assert result["counts"][kind] == counted
            all_reduces = MICROSTEPS * (DEPTH + 1) if not layout.two_hop else DEPTH + 1
            assert result["counts"]["all_reduce"] == all_reduces
            for total in result["totals"].values():
                assert 0 <= total["exposed_seconds"] <= total["seconds"] + 1e-9
            for key, total in result["totals"].items():
                if not (mode == "async" and key.startswith("all_gather")):
                    assert total["exposed_seconds"] == pytest.approx(total["seconds"])


def test_groups_of_one_only_synchronise_copies() -> None:
    layout = Layout(2, 1, 1)
    for found in run_ranks(2, train_toy, layout, ("implicit",)):
        totals = found["implicit"]["totals"]
        assert list(totals) == ["all_reduce/replicate"]
        assert max(found["implicit"]["errors"]) < 1e-6
        bytes_of_model = 4 * sum(parameter.numel() for parameter in Toy().parameters())
        assert totals["all_reduce/replicate"]["message_bytes"] == bytes_of_model
        assert totals["all_reduce/replicate"]["seconds"] > 0


# -- asynchronous operations ---------------------------------------------------------------------


class RecordingMeter(CommunicationMeter):
    """Keeps the calls that it counts."""

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self.calls: list[Call] = []

    def end(self, call: Call, at: Any = None) -> None:
        super().end(call, at)
        self.calls.append(call)


def issue_before_the_peers(layout: Layout, kind: str) -> tuple[bool, bool, list[float]]:
    """Rank 0 lets the others start only after its own call has returned."""
    pair = Pair(layout)
    meter = RecordingMeter(CPU)
    gather: Any = HierarchicalAllGather(pair.groups, meter)
    if kind == "flat":
        gather = MeteredAllGather(FlatAllGather(), meter)
    store = dist.distributed_c10d._get_default_store()
    if dist.get_rank() > 0:
        store.wait(["rank 0 goes on"], timedelta(seconds=20))
    output = torch.empty(layout.world_size)
    work = gather(output, torch.tensor([float(dist.get_rank())]), pair.shard, True)
    was_done = work.is_completed()
    store.set("rank 0 goes on", "yes")
    # A blocking operation of the same groups comes after those that are under way.
    part = torch.empty(1)
    pair.scatter(part, torch.ones(layout.world_size), pair.shard, dist.ReduceOp.SUM)
    work.wait()
    was_noted = all(call.operation.wanted >= max(call.starts) for call in meter.calls)
    return was_done, was_noted and bool(meter.calls), [*output.tolist(), *part.tolist()]


@pytest.mark.parametrize("kind", ["hierarchical", "flat"])
def test_asynchronous_gathers_return_before_they_are_done(kind: str) -> None:
    found = run_ranks(4, issue_before_the_peers, staged(4, 4, 2), kind)
    assert found[0][0] is False
    assert all(was_noted for _, was_noted, _ in found)
    assert [values for _, _, values in found] == [[0.0, 1.0, 2.0, 3.0, 4.0]] * 4


def gather_beside_a_dying_rank(layout: Layout) -> None:
    pair = Pair(layout)
    if dist.get_rank() == 3:
        os._exit(3)
    output = torch.empty(4)
    pair.gather(output, torch.ones(1), pair.shard, True).wait()


def test_a_dead_peer_is_an_error_where_the_gather_is_waited_for() -> None:
    with pytest.raises(AssertionError, match=r"(?s)rank 3: ended with exit code 3") as caught:
        run_ranks(4, gather_beside_a_dying_rank, staged(4, 4, 2), seconds=60)
    assert re.search(r"(?s)rank 1:\nTraceback.*\.wait\(\).*RuntimeError", str(caught.value))


# -- what needs a GPU's order of things ----------------------------------------------------------


class CountingClock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def stamp(self) -> int:
        return next(self._ticks)

    def seconds(self, start: int, end: int) -> float:
        return end - start


def watched_toy(meter: CommunicationMeter) -> Any:
    layout = Layout(2, 1, 2)
    mesh = mesh_of(layout)
    model = sharded_toy(mesh)
    install_collectives(model, layout, mesh, meter)
    return model


def train_as_if_nothing_blocked() -> dict[str, Any]:
    """Return the totals of forward and backward pass; what is waited for is told by hooks."""
    meter = CommunicationMeter(torch.device("cuda"), CountingClock())
    model = watched_toy(meter)
    loss = model(rows_of(dist.get_rank(), 0))
    forward = meter.take()
    loss.backward()
    backward = meter.take()
    return {
        "forward": asdict(forward["all_gather/shard"]),
        "backward": asdict(backward["all_gather/shard"]),
        "reductions": asdict(backward["reduce_scatter/shard"]),
    }


def test_prefetched_gathers_are_hidden_and_others_exposed() -> None:
    for found in run_ranks(2, train_as_if_nothing_blocked):
        forward, backward = found["forward"], found["backward"]
        assert (forward["calls"], backward["calls"]) == (DEPTH + 1, DEPTH)
        # Gathered when its module is reached: exposed from its start to its end.
        assert forward["exposed_seconds"] == forward["seconds"] == DEPTH + 1
        # Gathered while the module behind it computes, and done when it is reached.
        assert backward["exposed_seconds"] == 0
        # Only the root's reduction is waited for at the end of the backward pass.
        reductions = found["reductions"]
        assert reductions["exposed_seconds"] * (DEPTH + 1) == reductions["seconds"]


def exposed_gathers_of_a_second_step() -> list[bool]:
    meter = RecordingMeter(torch.device("cuda"), CountingClock())
    model = watched_toy(meter)
    first, second, third = model.blocks
    first.set_modules_to_forward_prefetch([second])
    third.set_modules_to_backward_prefetch([first])
    for _ in range(2):
        meter.calls.clear()
        model(rows_of(dist.get_rank(), 0)).backward()
    gathers = [call for call in meter.calls if call.kind == "all_gather"]
    return [call.operation.wanted < min(call.starts) for call in gathers]


def test_each_gather_is_wanted_when_its_module_is_reached() -> None:
    forward = {"root": True, "first": True, "second": False, "third": True}
    backward = {"third": False, "first": False, "second": True}
    expected = [*forward.values(), *backward.values()]
    assert run_ranks(2, exposed_gathers_of_a_second_step) == [expected] * 2


# -- groups --------------------------------------------------------------------------------------


def test_partition_groups_with_tensor_slices_are_strided() -> None:
    assert shard_groups(Layout(16, 4, 4, 2)) == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
        [8, 10, 12, 14],
        [9, 11, 13, 15],
    ]


def ranks_of_groups(layout: Layout) -> tuple[list[int], list[int], list[int]]:
    mine = next(ranks for ranks in shard_groups(layout) if dist.get_rank() in ranks)
    shard = None
    for ranks in shard_groups(layout):
        group = dist.new_group(ranks)
        shard = group if ranks == mine else shard
    groups = build_node_groups(layout, shard)
    of = dist.get_process_group_ranks
    return of(groups.shard), of(groups.across), of(groups.within)


def test_node_groups_of_tensor_slices() -> None:
    found = run_ranks(8, ranks_of_groups, Layout(8, 4, 4, 2, hierarchical=True))
    assert found[0] == ([0, 2, 4, 6], [0, 4], [0, 2])
    assert found[3] == ([1, 3, 5, 7], [3, 7], [1, 3])
    assert found[6] == ([0, 2, 4, 6], [2, 6], [4, 6])


def refusals() -> list[str]:
    layout = staged(4, 4, 2)
    pair = Pair(layout)
    model = nn.Linear(2, 2)
    part, whole = torch.empty(1), torch.ones(4)
    attempts = [
        lambda: pair.scatter(part, whole, pair.shard, dist.ReduceOp.MAX),
        lambda: pair.gather(whole, part, pair.groups.within),
        lambda: build_node_groups(Layout(4, 2, 2), pair.shard),
        lambda: build_node_groups(layout, pair.groups.within),
        lambda: install_collectives(model, layout, mesh_of(layout), pair.meter),
    ]
    messages = []
    for attempt in attempts:
        with pytest.raises(InputError) as caught:
            attempt()
        messages.append(str(caught.value))
    return messages


def test_what_cannot_be_is_refused() -> None:
    messages = run_ranks(4, refusals)[0]
    expected = [
        "only by sum or mean",
        "belong to another group",
        "span nodes with several ranks",
        "not one of the layout's",
        "set on a sharded model",
    ]
    for message, part in zip(messages, expected, strict=True):
        assert part in message
        assert "given:" in message
