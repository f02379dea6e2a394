"""Days, money, checkpoints and failures of a whole run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.models.build import build_model, model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.checkpoint import CheckpointContent, CheckpointSaver, Ranks, SaveJob
from hunmin.parallel.checkpoint.model_state import run_tensors
from hunmin.parallel.layout import Layout
from hunmin.planner.cluster import Cluster, Device, Link
from hunmin.planner.run.failures import time_shares
from hunmin.planner.run.run import RunPlan, RunWishes, checkpoint_bytes, derive_run
from hunmin.planner.shape import gpt2_shape
from hunmin.planner.strategy import Optimizer, Strategy
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec, MuonSpec

GPT3 = gpt2_shape("gpt3-175b", layers=96, width=12_288, heads=96, vocab_size=51_200, context=2048)
CLUSTER = Cluster(
    name="eight",
    title="Eight devices a node",
    device=Device("X", 80 * 10**9, 2e12, {"bf16": 312e12}, 0.7, power=400.0),
    devices_per_node=8,
    nodes=16,
    within=Link(300e9, 5e-6),
    between=Link(50e9, 2e-5),
    storage_bandwidth=2e9,
)
STRATEGY = Strategy(Layout(128, 8, 64), micro_batch=1, microsteps=12)
WISHES = RunWishes(tokens=300 * 10**9)


def plan(step_seconds: float = 20.0, cluster: Cluster = CLUSTER, **wishes: Any) -> RunPlan:
    return derive_run(step_seconds, GPT3, STRATEGY, cluster, replace(WISHES, **wishes))


def test_throughput_and_spending_by_hand() -> None:
    found = plan(price=40.0)
    assert found.tokens_per_step == 128 * 12 * 2048
    assert found.steps == math.ceil(300e9 / (128 * 12 * 2048)) == 95_368
    assert found.tokens_per_second == pytest.approx(157_286.4)
    assert found.tokens_per_second_per_device == pytest.approx(1228.8)
    hours = 95_368 * 20 / 3600
    assert found.ideal.days == pytest.approx(hours / 24)
    assert found.ideal.cost == pytest.approx(40 * 16 * hours)
    assert found.ideal.energy_kwh == pytest.approx(128 * 0.4 * hours)


def test_what_failures_take_is_added() -> None:
    found = plan(price=40.0)
    assert found.goodput is not None
    assert found.expected is not None
    assert found.expected.days == pytest.approx(found.ideal.days / found.goodput)
    assert found.expected.cost == pytest.approx(found.expected.days * 24 * 40 * 16)
    # 419 failures in 54 days of 16,384 devices
    failures = found.expected.days * 128 * 419 / (54 * 16_384)
    assert found.expected_failures == pytest.approx(failures)


def test_size_and_time_of_a_checkpoint_by_hand() -> None:
    found = plan().checkpoint
    assert found.bytes == 12 * GPT3.parameters
    assert found.bytes / 1e12 == pytest.approx(2.1, abs=0.01)
    assert found.copy_seconds == pytest.approx(found.bytes / 64 / 12e9)  # each copy of the model
    assert found.write_seconds == pytest.approx(found.bytes / 16 / 2e9)  # all nodes, each part once
    assert found.pause_seconds == found.copy_seconds
    assert plan(in_background=False).checkpoint.pause_seconds == found.write_seconds


def test_tensor_and_pipeline_ranks_hold_parts_too() -> None:
    split = replace(STRATEGY, layout=Layout(64, 8, 8, tensor=8), pipeline=2)
    found = derive_run(20.0, GPT3, split, CLUSTER, WISHES).checkpoint
    assert found.copy_seconds == pytest.approx(12 * GPT3.parameters / 128 / 12e9)


@pytest.mark.parametrize(
    ("optimizer", "spec"), [("adamw", AdamWSpec()), ("muon", MuonSpec())], ids=["adamw", "muon"]
)
def test_size_is_that_of_a_written_checkpoint(
    optimizer: Optimizer, spec: AdamWSpec | MuonSpec, tmp_path: Path
) -> None:
    sizes = {"layers": 3, "width": 64, "heads": 2, "vocab_size": 512, "context": 128}
    spec_of_model = ModelSpec.model_validate({"preset": "kogpt2-125m", **sizes})
    model = build_model(model_config(spec_of_model), seed=17)
    states = OptimizerSet(spec, model)
    states.prepare_state()
    saver = CheckpointSaver(Ranks())
    job = SaveJob(tmp_path / "step", 1, CheckpointContent())
    saver.save(job, run_tensors(model, states, 0))
    saver.collect(wait=True)
    written = sum(file.stat().st_size for file in (tmp_path / "step").glob("*.safetensors"))
    planned = checkpoint_bytes(gpt2_shape("tiny", **sizes), optimizer)
    header_and_random_states = 5056 + 20_000
    assert planned < written < planned + header_and_random_states
    assert written == pytest.approx(planned, rel=0.02)


@settings(deadline=None)
@given(st.floats(20, 900), st.floats(0.001, 0.1), st.booleans())
def test_the_best_interval_is_in_whole_steps_and_no_neighbour_is_better(
    step: float, failures: float, in_background: bool
) -> None:
    wishes: dict[str, Any] = {
        "failures_per_device_day": failures,
        "in_background": in_background,
    }
    found = plan(step, **wishes)
    every = found.checkpoint.every_steps
    assert every is not None
    assert found.checkpoint.every_seconds == every * step
    for other in (max(1, every - 1), every + 1):
        worse = plan(step, checkpoint_every=other, **wishes)
        assert worse.goodput <= found.goodput * (1 + 1e-12)  # type: ignore[operator]


def test_what_is_written_while_training_stands_still_is_safe_at_once() -> None:
    found = plan(in_background=False, checkpoint_every=50)
    seconds = found.checkpoint.write_seconds or 0
    assert found.shares == time_shares(1000.0, seconds, found.seconds_between_failures or 0)


def test_an_interval_of_the_user_is_taken() -> None:
    found = plan(checkpoint_every=7)
    assert found.checkpoint.every_steps == 7
    shares = time_shares(
        140.0,
        found.checkpoint.copy_seconds,
        found.seconds_between_failures or 0,
        write=found.checkpoint.write_seconds or 0,
    )
    assert found.shares == shares


def test_no_interval_is_longer_than_the_run() -> None:
    found = plan(tokens=10**7, failures_per_device_day=0.0)
    assert found.checkpoint.every_steps == found.steps == 4
    assert found.seconds_between_failures is None
    assert found.expected_failures == 0
    assert plan(tokens=10**7, checkpoint_every=100).checkpoint.every_steps == 4


def test_a_checkpoint_is_not_begun_before_the_last_one_is_written() -> None:
    found = plan(step_seconds=1.0, failures_per_device_day=1.0, storage_bandwidth=1e9)
    assert found.checkpoint.every_seconds is not None
    assert found.checkpoint.write_seconds is not None
    assert found.checkpoint.every_seconds >= found.checkpoint.write_seconds


def test_storage_of_the_user_goes_before_that_of_the_catalogue() -> None:
    fast = plan(storage_bandwidth=4e9)
    assert fast.checkpoint.write_seconds == pytest.approx(plan().checkpoint.write_seconds / 2)  # type: ignore[operator]
    assert fast.goodput > plan().goodput  # type: ignore[operator]


def test_what_is_not_known_is_none_and_says_so() -> None:
    device = replace(CLUSTER.device, power=None)
    found = plan(cluster=replace(CLUSTER, storage_bandwidth=None, device=device))
    assert found.ideal.cost is None
    assert found.ideal.energy_kwh is None
    assert found.goodput is None
    assert found.expected is None
    assert found.expected_failures is None
    assert found.checkpoint.every_steps is None
    assert found.checkpoint.pause_seconds is not None
    assert [note.split(" is not known")[0] for note in found.notes] == [
        "how fast a node of eight writes to shared storage",
        "the power of X",
    ]
    assert plan().notes == ()


def test_one_device_writes_while_it_stands_still() -> None:
    one = replace(CLUSTER, nodes=1, devices_per_node=1)
    alone = Strategy(Layout(1, 1, 1), micro_batch=1, microsteps=1)
    found = derive_run(1.0, GPT3, alone, one, WISHES).checkpoint
    assert not found.in_background
    assert found.pause_seconds == found.write_seconds


def test_the_plan_is_json() -> None:
    value = json.loads(json.dumps(plan(failures_per_device_day=0.0).as_dict(), allow_nan=False))
    assert value["seconds_between_failures"] is None
    assert value["checkpoint"]["bytes"] == 12 * GPT3.parameters
    assert 0 < value["shares"]["goodput"] <= 1
    assert value["notes"] == []


@settings(deadline=None)
@given(st.floats(0.01, 600), st.floats(0, 0.05), st.floats(1.1, 10))
def test_more_failures_never_a_shorter_run(step: float, failures: float, factor: float) -> None:
    few = plan(step, failures_per_device_day=failures)
    many = plan(step, failures_per_device_day=failures * factor)
    assert few.goodput is not None
    assert many.goodput is not None
    assert 0 < many.goodput <= few.goodput * (1 + 1e-9) <= 1 + 1e-9
    assert few.expected is not None
    assert few.ideal.days <= few.expected.days * (1 + 1e-9)
    assert few.expected.days <= many.expected.days * (1 + 1e-9)  # type: ignore[union-attr]


@settings(deadline=None)
@given(st.integers(1, 10**13), st.integers(1, 10**12))
def test_more_tokens_never_cost_less(tokens: int, more: int) -> None:
    small, large = plan(tokens=tokens, price=1.0), plan(tokens=tokens + more, price=1.0)
    assert small.ideal.days <= large.ideal.days
    assert small.ideal.cost <= large.ideal.cost  # type: ignore[operator]
    assert (small.steps - 1) * small.tokens_per_step < tokens <= small.steps * small.tokens_per_step


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"tokens": 0}, "tokens"),
        ({"price": -1.0}, "price of a node"),
        ({"failures_per_device_day": -0.1}, "failures a device"),
        ({"restart_seconds": math.nan}, "seconds of a restart"),
        ({"storage_bandwidth": 0.0}, "bytes/s to storage"),
        ({"host_bandwidth": math.inf}, "bytes/s to the host"),
        ({"checkpoint_every": 0}, "steps between checkpoints"),
    ],
)
def test_impossible_wishes_are_refused(wish: dict[str, Any], name: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name}[\s\S]*impossible[\s\S]*allowed: a finite number"
    ):
        replace(WISHES, **wish)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_impossible_steps_are_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="seconds of a step"):
        plan(seconds)


def test_a_strategy_for_another_cluster_is_refused() -> None:
    with pytest.raises(InputError, match=r"128 ranks[\s\S]*64 devices: 8 nodes of 8"):
        plan(cluster=CLUSTER.with_nodes(8))


def test_a_cluster_that_always_fails_is_refused() -> None:
    with pytest.raises(InputError, match=r"again and again[\s\S]*fewer devices"):
        plan(failures_per_device_day=100.0)
