from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from hunmin.parallel.collectives.flat import MeteredReduceScatter
from hunmin.parallel.collectives.meter import CommunicationMeter, Operation, StreamClock, WallClock
from hunmin.parallel.collectives.timing import Demand, Reduction

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class CountingClock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def stamp(self) -> int:
        return next(self._ticks)

    def seconds(self, start: int, end: int) -> float:
        return end - start


@pytest.fixture
def group(tmp_path: Path) -> Iterator[dist.ProcessGroup]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


def test_a_blocking_call_is_exposed_altogether(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU, CountingClock())
    with meter.measure("all_gather", "shard", 100, group, meter.operation()):
        meter.clock.stamp()
        meter.clock.stamp()
    totals = meter.take()["all_gather/shard"]
    assert (totals.calls, totals.message_bytes) == (1, 100)
    assert (totals.seconds, totals.exposed_seconds) == (3, 3)


def test_only_the_rest_of_an_asynchronous_call_is_exposed(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU, CountingClock())
    operation = meter.operation(async_op=True)
    with meter.measure("all_gather", "shard", 100, group, operation):  # from 0
        meter.clock.stamp()
        meter.want(operation)  # at 2
        meter.clock.stamp()  # to 4
    totals = meter.take()["all_gather/shard"]
    assert (totals.seconds, totals.exposed_seconds) == (4, 2)


def test_a_call_that_was_done_when_wanted_is_not_exposed(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU, CountingClock())
    operation = meter.operation(async_op=True)
    with meter.measure("all_gather", "shard", 100, group, operation):
        pass
    meter.want(operation)
    assert meter.take()["all_gather/shard"].exposed_seconds == 0


def test_taking_starts_from_nothing_again(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU)
    for name in ("shard", "shard", "within_node"):
        with meter.measure("reduce_scatter", name, 8, group, meter.operation()):
            pass
    totals = meter.take()
    assert {key: total.calls for key, total in totals.items()} == {
        "reduce_scatter/shard": 2,
        "reduce_scatter/within_node": 1,
    }
    assert totals["reduce_scatter/shard"].message_bytes == 16
    assert meter.take() == {}


def test_many_calls_are_added_up_before_they_are_taken(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU)
    for _ in range(20_000):
        meter.end(meter.begin("all_gather", "shard", 1, group, Operation()))
    assert len(meter._ended) <= 8192
    assert meter.take()["all_gather/shard"].calls == 20_000


def test_a_gather_issued_on_arrival_is_wanted_from_its_start() -> None:
    demand, operation = Demand(CountingClock()), Operation()
    demand.arrived()
    demand.issued(operation)
    demand.departed()
    assert operation.wanted == 0


def test_a_prefetched_gather_is_wanted_on_arrival() -> None:
    demand, operation, later = Demand(CountingClock()), Operation(), Operation()
    demand.issued(operation)
    assert operation.wanted is None
    demand.arrived()
    demand.departed()
    demand.issued(later)
    assert (operation.wanted, later.wanted) == (0, None)


def test_all_reduce_lies_between_reduce_scatter_and_hook(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU, CountingClock())
    reduction = Reduction(meter)
    reduction.allocated()
    reduction.allocated()
    reduction.scattered()  # at 2
    meter.clock.stamp()
    reduction.all_reduced(torch.zeros(4), group)  # at 4
    totals = meter.take()["all_reduce/replicate"]
    assert (totals.calls, totals.message_bytes) == (1, 16)
    assert (totals.seconds, totals.exposed_seconds) == (2, 2)


def test_an_all_reduce_is_counted_even_if_its_start_was_not_seen(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(CPU)
    Reduction(meter).all_reduced(torch.zeros(4), group)
    totals = meter.take()["all_reduce/replicate"]
    assert (totals.calls, totals.message_bytes) == (1, 16)


def test_all_reduces_in_one_stream_do_not_overlap(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(GPU, CountingClock())
    first, second = Reduction(meter), Reduction(meter)
    first.scattered()  # at 0
    second.scattered()  # at 1
    first.all_reduced(torch.zeros(4), group)  # 0 to 2
    second.all_reduced(torch.zeros(4), group)  # 2 to 3
    assert meter.take()["all_reduce/replicate"].seconds == 3


def test_the_last_reduction_of_a_backward_pass_is_waited_for(group: dist.ProcessGroup) -> None:
    meter = CommunicationMeter(GPU, CountingClock())
    last, other = Reduction(meter, is_last=True), Reduction(meter)
    for reduction in (other, last):
        reduction.allocated()
        reduction.allocated()
    assert other.issued().wanted is None
    assert last.issued().wanted == 2


def test_buffers_are_those_of_the_measured_collective() -> None:
    class Inner:
        def allocate(
            self, size: tuple[int], *, dtype: torch.dtype, device: torch.device
        ) -> torch.Tensor:
            return torch.full(size, 7, dtype=dtype, device=device)

    scatter = MeteredReduceScatter(Inner(), CommunicationMeter(CPU))
    assert scatter.allocate((2,), dtype=torch.float32, device=CPU).tolist() == [7, 7]


def test_a_cpu_takes_wall_time() -> None:
    assert isinstance(CommunicationMeter(CPU).clock, WallClock)
    clock = WallClock()
    start = clock.stamp()
    assert clock.seconds(start, clock.stamp()) >= 0


@pytest.mark.gpu
def test_a_gpu_takes_the_time_of_its_streams() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    clock = StreamClock()
    start = clock.stamp()
    torch.cuda._sleep(10_000_000)
    assert clock.seconds(start, clock.stamp()) > 0
