"""The planner's bytes of a step are those that the kernel counts on the links of emulated nodes.

No step is timed here, where others use the machine: the simulator is held to the times that a
committed benchmark measured.
"""

from __future__ import annotations

import functools
import json
import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from tests.support.namespaces import Traffic, cluster, count_traffic, why_not
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import build_mesh
from hunmin.parallel.sharding import GradientSynchronizer, shard_module
from hunmin.planner.cluster import Cluster, Device, Link
from hunmin.planner.prediction import Prediction, predict
from hunmin.planner.shape import ModelShape, gpt2_shape
from hunmin.planner.software import Software
from hunmin.planner.speed.network import Network
from hunmin.planner.strategy import Strategy

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
NODES = RANKS_PER_NODE = 2
MICROSTEPS = 3
MBIT = 1000
HEADERS = 0.02
"""Most that TCP, IP and Ethernet add to what is sent."""
SHAPE = gpt2_shape("small", layers=4, width=128, heads=4, vocab_size=512, context=32)
LAYOUTS = (
    Layout(4, RANKS_PER_NODE, 4, hierarchical=True),
    Layout(4, RANKS_PER_NODE, 2, two_hop=True),
)
CORES = 2
"""Of the machine of the committed result; other work shared them while eight ranks trained."""
needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=f"no namespaces: {why_not()}")


class NextToken(nn.Module):
    """The model of a shape; its forward pass is its loss."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        config = GPT2Config(
            vocab_size=shape.vocab_size,
            n_positions=shape.positions,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            bos_token_id=0,
            eos_token_id=0,
        )
        self.model = GPT2LMHeadModel(config)

    def forward(self, ids: Tensor) -> Tensor:
        loss: Tensor = self.model(ids, labels=ids).loss
        return loss


@dataclass(frozen=True)
class Counted:
    """What a rank saw of its node's link in a step, and the parameters of its model."""

    traffic: Traffic
    parameters: int


def count_steps(layouts: tuple[Layout, ...]) -> list[Counted]:
    return [_count_step(layout) for layout in layouts]


def _count_step(layout: Layout) -> Counted:
    torch.manual_seed(1)
    module = NextToken(SHAPE)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    blocks = list(module.model.transformer.h)
    synchronizer = shard_module(module, blocks, layout, build_mesh(layout, "cpu"))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    train = functools.partial(_train_step, module, synchronizer, optimizer)
    train(1)  # The first step also makes connections.
    return Counted(count_traffic(lambda: train(MICROSTEPS)), parameters)


def _train_step(
    module: NextToken,
    synchronizer: GradientSynchronizer,
    optimizer: torch.optim.Optimizer,
    microsteps: int,
) -> None:
    for microstep in range(1, microsteps + 1):
        synchronizer.begin_microstep(is_last=microstep == microsteps)
        ids = torch.randint(0, SHAPE.vocab_size, (1, SHAPE.context))
        (module(ids) / microsteps).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.fixture(scope="module")
def counted() -> dict[Layout, list[Counted]]:
    """Count both layouts in one start of the ranks; one figure a rank."""
    with cluster(NODES, RANKS_PER_NODE, mbit=MBIT) as emulated:
        ranks = emulated.run(count_steps, LAYOUTS, seconds=120)
    by_layout = [list(of_layout) for of_layout in zip(*ranks, strict=True)]
    return dict(zip(LAYOUTS, by_layout, strict=True))


def plan(layout: Layout, emulated: Cluster | None = None) -> Prediction:
    strategy = Strategy(layout, micro_batch=1, microsteps=MICROSTEPS, precision="fp32")
    gloo = Software("gloo", "torch over gloo", backend="gloo", reduction_overlap=0.0)
    return predict(SHAPE, strategy, emulated or emulated_nodes(), gloo)


def emulated_nodes(within: Link | None = None, between: Link | None = None) -> Cluster:
    core = Device("core", 2**30, 1e10, {"fp32": 1e10}, 0.5)
    within, between = within or Link(1e9, 1e-3), between or Link(MBIT * 1e6 / 8, 1e-3)
    return Cluster("emulated", "emulated", core, RANKS_PER_NODE, NODES, within, between)


@needs_namespaces
@pytest.mark.parametrize("layout", LAYOUTS, ids=Layout.describe)
def test_the_bytes_of_a_step_are_predicted(
    counted: dict[Layout, list[Counted]], layout: Layout
) -> None:
    predicted = plan(layout).node_link_bytes
    assert predicted > 5e5
    for rank in counted[layout]:
        assert rank.parameters == SHAPE.parameters
        assert predicted <= rank.traffic.sent <= predicted * (1 + HEADERS)
        assert predicted <= rank.traffic.received <= predicted * (1 + HEADERS)


@pytest.mark.parametrize("two_hop", [True, False])
@pytest.mark.parametrize("hierarchical", [True, False])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_the_simulator_sends_the_bytes_of_the_formulas(
    group: int, hierarchical: bool, two_hop: bool
) -> None:
    """On a link that costs a second a byte, and nothing else does, seconds are bytes."""
    staged = hierarchical and group > RANKS_PER_NODE
    layout = Layout(4, RANKS_PER_NODE, group, hierarchical=staged, two_hop=two_hop)
    only_bytes = emulated_nodes(Link(math.inf, 0.0), Link(1.0, 0.0))
    predicted = plan(layout, only_bytes)
    assert sum(predicted.step.sending.values()) == pytest.approx(predicted.node_link_bytes)


@pytest.mark.parametrize("nodes", [2, 4])
def test_stages_within_a_node_are_one_collective_for_each_node(nodes: int) -> None:
    """On links on which only a hop within a node takes time, a second."""
    layout = Layout(nodes * 2, 2, nodes * 2, hierarchical=True)
    only_hops = emulated_nodes(Link(math.inf, 1.0), Link(math.inf, 0.0)).with_nodes(nodes)
    assert Network(only_hops, layout).gather_seconds(1e6) == nodes
    assert Network(only_hops, layout).scatter_seconds(1e6) == nodes


def test_reductions_in_the_open_take_their_time() -> None:
    slow = emulated_nodes(between=Link(1e7, 0.0))
    prediction = plan(LAYOUTS[0], slow)
    hidden = replace(prediction.software, reduction_overlap=None)
    assert prediction.step.exposed["scatter"] == pytest.approx(prediction.step.sending["scatter"])
    beside = predict(SHAPE, prediction.strategy, slow, hidden).step
    assert beside.exposed["scatter"] < prediction.step.exposed["scatter"]
    assert beside.seconds < prediction.step.seconds


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    yield import_module("planner_emulated")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """The newest committed result."""
    newest = max((BENCHMARKS / "results").glob("planner-emulated-*.json"))
    found: dict[str, Any] = json.loads(newest.read_text("utf-8"))
    return found


def test_the_committed_step_times_are_predicted(
    benchmark: ModuleType, record: dict[str, Any]
) -> None:
    """Of the simulator as it is now, from the recorded links; measured were whole steps."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    for point in record["points"]:
        ranks = math.prod(int(part) for part in point["site"].split(",")[0].split(" x "))
        is_busy = point["source"] == "now" and ranks > 2 * CORES
        errors[is_busy].append(abs(benchmark.predict_again(record, point)))
    assert len(errors[False]) >= 40
    assert statistics.median(errors[False]) <= 0.1
    assert max(errors[False]) <= 0.2
    # What the simulator does not know: that one of many ranks is late on a busy machine.
    assert statistics.median(errors[True]) <= 0.1
    assert max(errors[True]) <= 0.22


def test_the_committed_bytes_are_predicted(record: dict[str, Any]) -> None:
    assert len(record["volumes"]) >= 10
    for row in record["volumes"]:
        assert row["simulated"] == pytest.approx(row["formula"])
        assert row["simulated"] <= row["measured"] <= row["simulated"] * (1 + HEADERS)
