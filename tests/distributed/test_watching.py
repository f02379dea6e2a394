"""What ranks tell of themselves while they train: communication, slow ranks, traces."""

from __future__ import annotations

import gzip
import json
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks

from hunmin.parallel.collectives.meter import CommunicationMeter
from hunmin.parallel.world import World
from hunmin.training.callbacks import Callback
from hunmin.training.callbacks.communication import CommunicationRecorder, rank_metrics_file
from hunmin.training.callbacks.profiler import TraceProfiler
from hunmin.training.callbacks.stragglers import StragglerWatch
from hunmin.training.watch_spec import ProfileSpec, StragglerSpec

NUM_STEPS = 9
NUMBERS = 1000
SLOW = 2
NAP = 0.15


def this_world() -> World:
    local, per_node = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    return World(dist.get_rank(), dist.get_world_size(), local, per_node, torch.device("cpu"))


class Steps:
    """A loop of the life cycle that callbacks know; each step computes, then talks."""

    def __init__(self, world: World, meter: CommunicationMeter, callbacks: list[Callback]) -> None:
        self.world, self.meter, self.callbacks = world, meter, callbacks
        self.state = SimpleNamespace(step=0, seconds=0.0)
        self.plan = SimpleNamespace(num_steps=NUM_STEPS)
        for callback in callbacks:
            callback.trainer = self  # type: ignore[assignment]

    def tell(self, moment: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(*arguments)

    def run(self, nap: float) -> None:
        self.tell("before_training")
        while self.state.step < NUM_STEPS:
            self.tell("before_step")
            started = time.perf_counter()
            time.sleep(nap)
            self.talk()
            self.state.step += 1
            self.state.seconds += time.perf_counter() - started
            self.tell("after_step", SimpleNamespace(**vars(self.state)))
            self.talk()  # an evaluation, say; it is no part of a step
        self.tell("close")

    def talk(self) -> None:
        size = 4 * NUMBERS
        operation = self.meter.operation()
        with self.meter.measure("all_reduce", "replicate", size, dist.group.WORLD, operation):
            dist.all_reduce(torch.ones(NUMBERS))


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def watch(folder: Path) -> dict[str, Any]:
    world, log = this_world(), Lines()
    logging.getLogger("hunmin").addHandler(log)
    records: list[dict[str, Any]] = []
    meter = CommunicationMeter(world.device)
    own_file = rank_metrics_file(folder, world)
    communication = CommunicationRecorder(meter, records.append, every=4, own_file=own_file)
    stragglers = StragglerWatch(
        StragglerSpec(every=3, factor=1.2, windows=2),
        world,
        waited_seconds=communication.waited_seconds,
        write=records.append,
    )
    Steps(world, meter, [communication, stragglers]).run(NAP if world.rank == SLOW else 0.0)
    by_event = {e: [r for r in records if r["event"] == e] for e in ("communication", "ranks")}
    return {**by_event, "log": log.lines, "waited": communication.waited_seconds()}


def test_collectives_and_slow_ranks_are_recorded(tmp_path: Path) -> None:
    results = run_ranks(4, watch, tmp_path, ranks_per_node=2)

    told = results[0]["communication"]
    assert [(r["step"], r["steps"]) for r in told] == [(4, 4), (8, 4), (9, 1)]
    # A ring sends 2 (n - 1) / n of an all-reduce, each step.
    assert [r["sent_bytes"] for r in told] == [2 * 3 * NUMBERS] * 3
    assert [r["collectives"]["all_reduce/replicate"]["calls"] for r in told] == [1.0] * 3
    # The first rank has nothing to compute and waits for the slow one; that one computes.
    assert told[1]["exposed_seconds"] > told[1]["compute_seconds"]
    slow = results[SLOW]["communication"][1]
    assert slow["compute_seconds"] > slow["exposed_seconds"]
    assert slow["compute_seconds"] > NAP * 0.9
    assert results[0]["waited"] > results[SLOW]["waited"]

    windows = results[0]["ranks"]
    assert [r["step"] for r in windows] == [3, 6, 9]
    assert {r["slowest_rank"] for r in windows} == {SLOW}
    assert all("(node 1)" in r["slowest_node"] for r in windows)
    named = [[s["rank"] for s in r["stragglers"]][:1] for r in windows]
    assert named == [[], [SLOW], [SLOW]]
    assert all(r["slowest_compute_seconds"] > 1.2 * r["median_compute_seconds"] for r in windows)

    warnings = [line for line in results[0]["log"] if f"rank {SLOW} on" in line]
    assert len(warnings) == 1
    assert "step 6: rank 2 on" in warnings[0]
    assert "(node 1) keeps the others waiting" in warnings[0]
    assert not any("keeps the others" in line for result in results[1:] for line in result["log"])


def test_each_rank_can_keep_records_of_its_own(tmp_path: Path) -> None:
    results = run_ranks(2, watch_two, tmp_path, ranks_per_node=1)
    for rank, result in enumerate(results):
        path = tmp_path / f"metrics-rank-{rank:05d}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == result


def watch_two(folder: Path) -> list[dict[str, Any]]:
    world, records = this_world(), []
    meter = CommunicationMeter(world.device)
    own_file = rank_metrics_file(folder, world)
    recorder = CommunicationRecorder(meter, records.append, every=5, own_file=own_file)
    Steps(world, meter, [recorder]).run(0.0)
    return records


# -- traces ----------------------------------------------------------------------------------------


def trace(folder: Path, settings: dict[str, Any]) -> None:
    world = this_world()
    profiler = TraceProfiler(ProfileSpec(**settings), world, folder)
    Steps(world, CommunicationMeter(world.device), [profiler]).run(0.0)


def traced_all_reduces(path: Path) -> int:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    return sum(event.get("name") == "c10d::allreduce_" for event in events)


def test_the_steps_asked_for_are_traced_on_every_rank(tmp_path: Path) -> None:
    run_ranks(2, trace, tmp_path, {"first_step": 4, "num_steps": 3}, ranks_per_node=1)
    traces = sorted((tmp_path / "profile").iterdir())
    assert [path.name for path in traces] == ["rank-00000.json.gz", "rank-00001.json.gz"]
    # Three in the steps, two between them.
    assert [traced_all_reduces(path) for path in traces] == [5, 5]


def test_a_run_that_ends_early_keeps_its_trace(tmp_path: Path) -> None:
    settings = {"first_step": NUM_STEPS - 1, "num_steps": 50, "ranks": "first"}
    run_ranks(2, trace, tmp_path, settings, ranks_per_node=1)
    assert [path.name for path in (tmp_path / "profile").iterdir()] == ["rank-00000.json.gz"]
    assert traced_all_reduces(tmp_path / "profile" / "rank-00000.json.gz") == 2 * 2


def test_no_trace_where_the_steps_are_not_reached(tmp_path: Path) -> None:
    run_ranks(1, trace, tmp_path, {"first_step": 500})
    assert list(tmp_path.iterdir()) == []
