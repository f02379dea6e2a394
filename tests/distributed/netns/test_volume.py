"""Bytes on the links between nodes in an optimizer step, counted by the kernel, are the formulas'.

Gloo's reduce-scatter sends as much as an all-reduce: it counts twice.
"""

from __future__ import annotations

import fcntl
import functools
import math
import os
import pickle
from dataclasses import dataclass

import pytest
import torch
from tests.support.namespaces import Traffic, cluster, count_traffic, why_not
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from hunmin.parallel.collectives.volume import step_volume
from hunmin.parallel.layout import Layout
from hunmin.parallel.mesh import build_mesh
from hunmin.parallel.sharding import GradientSynchronizer, shard_module

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"no namespaces: {why_not()}")
RANKS_PER_NODE = 2
MICROSTEPS = 4
MBIT = 1000
WITHIN = 0.02


@dataclass(frozen=True)
class Case:
    """A way to spread a model over an emulated cluster."""

    nodes: int
    partition_group: int
    hierarchical: bool = False
    two_hop: bool = True
    tensor: int = 1

    @property
    def layout(self) -> Layout:
        return Layout(
            world_size=self.nodes * RANKS_PER_NODE,
            ranks_per_node=RANKS_PER_NODE,
            partition_group=self.partition_group,
            hierarchical=self.hierarchical,
            two_hop=self.two_hop,
        )

    def __str__(self) -> str:
        words = [f"{self.nodes}x{RANKS_PER_NODE}", f"group{self.partition_group}"]
        words += ["staged"] * self.hierarchical + ["two-hop"] * self.two_hop
        return "-".join(words)


@dataclass(frozen=True)
class Counted:
    """What a rank saw of its node's link in a step, and the size of the model."""

    traffic: Traffic
    block_bytes: int
    root_bytes: int


CASES = (
    Case(2, 4),
    Case(2, 4, hierarchical=True),
    Case(2, 2),
    Case(2, 2, two_hop=False),
    Case(2, 1),
    Case(4, 8),
    Case(4, 8, hierarchical=True),
    Case(4, 4),
    Case(4, 4, two_hop=False),
    Case(4, 4, hierarchical=True),
    Case(4, 4, hierarchical=True, two_hop=False),
    Case(4, 2),
    Case(4, 2, two_hop=False),
)


class NextToken(nn.Module):
    """A GPT-2 whose forward pass is its loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        shape = {"vocab_size": 512, "n_positions": 32, "n_embd": 128, "n_layer": 4, "n_head": 4}
        config = GPT2Config(**shape, bos_token_id=0, eos_token_id=0)
        self.model = GPT2LMHeadModel(config)

    def forward(self, ids: Tensor) -> Tensor:
        loss: Tensor = self.model(ids, labels=ids).loss
        return loss


def train_step(
    module: NextToken,
    synchronizer: GradientSynchronizer,
    optimizer: torch.optim.Optimizer,
    microsteps: int,
) -> None:
    for microstep in range(1, microsteps + 1):
        synchronizer.begin_microstep(is_last=microstep == microsteps)
        ids = torch.randint(0, 512, (1, 32))
        (module(ids) / microsteps).backward()
    optimizer.step()
    optimizer.zero_grad()


def count_steps(cases: list[Case]) -> list[Counted]:
    return [_count_step(case.layout) for case in cases]


def _count_step(layout: Layout) -> Counted:
    module = NextToken()
    blocks = list(module.model.transformer.h)
    block_bytes = sum(_padded_bytes(block, layout.partition_group) for block in blocks)
    root_bytes = _padded_bytes(module, layout.partition_group) - block_bytes
    synchronizer = shard_module(module, blocks, layout, build_mesh(layout, "cpu"))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    train = functools.partial(train_step, module, synchronizer, optimizer)
    train(1)  # The first step also makes connections.
    return Counted(count_traffic(lambda: train(MICROSTEPS)), block_bytes, root_bytes)


def _padded_bytes(module: nn.Module, parts: int) -> int:
    """Each parameter is shared out in rows, the last rank's part filled up."""
    return sum(
        parameter.element_size() * math.ceil(len(parameter) / parts) * parts * parameter[0].numel()
        for parameter in module.parameters()
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, list[Counted]]:
    """Count all cases once, also where several workers share the tests of this file."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "volume.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = folder / "volume.pickle"
        if not kept.exists():
            kept.write_bytes(pickle.dumps(count_all()))
        found: dict[Case, list[Counted]] = pickle.loads(kept.read_bytes())
        return found


def count_all() -> dict[Case, list[Counted]]:
    """Count the cases of each cluster in one start of its ranks; one figure a rank."""
    found: dict[Case, list[Counted]] = {}
    for nodes in sorted({case.nodes for case in CASES}):
        cases = [case for case in CASES if case.nodes == nodes]
        with cluster(nodes, RANKS_PER_NODE, mbit=MBIT) as emulated:
            ranks = emulated.run(count_steps, cases, seconds=240)
        found |= dict(zip(cases, zip(*ranks, strict=True), strict=True))
    return found


def expected_bytes(case: Case, blocks: int, root: int) -> float:
    """The formulas of the reference, written out once more."""
    p, k, r = case.partition_group, RANKS_PER_NODE, case.layout.replicas
    kept = k if case.hierarchical else 1
    share = (p - kept) / p if p > k else 0.0
    gathers = (2 * blocks + root) * share  # The root stays gathered until its backward pass.
    scatters = 2 * (blocks + root) * share
    all_reduce = 2 * min(k, p) * (r - 1) / (r * p) * (blocks + root)
    return MICROSTEPS * (gathers + scatters) + all_reduce * (1 if case.two_hop else MICROSTEPS)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bytes_of_a_step_are_those_of_the_formulas(
    counted: dict[Case, list[Counted]], case: Case
) -> None:
    for rank in counted[case]:
        blocks, root = rank.block_bytes, rank.root_bytes
        assert 2e6 < blocks + root < 10e6
        expected = expected_bytes(case, blocks, root)
        assert rank.traffic.sent == pytest.approx(expected, rel=WITHIN)
        assert rank.traffic.received == pytest.approx(expected, rel=WITHIN)
        of_the_package = step_volume(
            case.layout,
            blocks + root,
            blocks + root,
            microsteps=MICROSTEPS,
            gathered_once_bytes=root,
            backend="gloo",
        )
        assert of_the_package.total == pytest.approx(expected)


def test_what_partition_groups_save(counted: dict[Case, list[Counted]]) -> None:
    sent = {case: ranks[0].traffic.sent for case, ranks in counted.items()}
    zero, node = sent[Case(4, 8)], sent[Case(4, 2)]
    assert zero / node > 8
    assert sent[Case(4, 2, two_hop=False)] / node == pytest.approx(MICROSTEPS, rel=WITHIN)
    assert zero / sent[Case(4, 4, hierarchical=True)] > 1.6
    # Flat groups of two nodes save next to nothing: what they gain is not volume.
    assert zero / sent[Case(4, 4, two_hop=False)] < 1.03
