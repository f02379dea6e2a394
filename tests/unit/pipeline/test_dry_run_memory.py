"""The memory that a dry run tells, for the ranks that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedConfig

from hunmin.core.units import parse_bytes
from hunmin.models.build import model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.spec import ParallelSpec
from hunmin.pipeline.dry_run import plan_run
from hunmin.pipeline.dry_run_memory import plan_memory
from hunmin.pipeline.recipe import read_recipe
from hunmin.training.spec import TrainSpec

TRAIN = TrainSpec(batch_tokens=262_144, microbatch_tokens=2048, precision="bf16")
PARTS = ("parameters", "gradients", "optimizer", "gathered", "communication", "activations")


@pytest.fixture(scope="module")
def config() -> PreTrainedConfig:
    return model_config(ModelSpec(preset="hyperclova-350m"), vocab_size=51_200, context=1024)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def planned(
    config: PreTrainedConfig,
    parallel: ParallelSpec | None = None,
    train: TrainSpec = TRAIN,
    gpu_memory: int | None = None,
) -> dict[str, str]:
    spec = parallel or ParallelSpec()
    facts = dict(plan_memory(config, train, spec, context=1024, gpu_memory=gpu_memory))
    return {key.removeprefix("memory."): value for key, value in facts.items()}


def start(monkeypatch: pytest.MonkeyPatch, world: int, per_node: int) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(per_node))


def test_the_parts_add_up_to_the_total(config: PreTrainedConfig) -> None:
    facts = planned(config)
    assert facts["planned_for"] == "one device"
    names = (*PARTS, "logits", "working")
    parts = sum(parse_bytes(facts[name]) for name in names if name in facts)
    assert parts == pytest.approx(parse_bytes(facts["a_device"].split(" at ")[0]), rel=0.02)
    assert "fits" not in facts, "there is no GPU to compare with"


def test_recomputation_and_smaller_microbatches_need_less(config: PreTrainedConfig) -> None:
    def activations(**changes: object) -> int:
        train = TRAIN.model_copy(update=changes)
        return parse_bytes(planned(config, train=train)["activations"])

    assert activations(activation_checkpointing=True) < activations() / 3
    assert activations(microbatch_tokens=1024) == pytest.approx(activations() / 2, rel=0.1)


def test_ranks_that_were_started_share_the_model(
    config: PreTrainedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = parse_bytes(planned(config)["parameters"])
    start(monkeypatch, 16, 8)
    facts = planned(config, ParallelSpec(partition_group="world"))
    assert facts["planned_for"] == "16 ranks, groups of 16"
    assert parse_bytes(facts["parameters"]) == pytest.approx(alone / 16, rel=0.02)
    facts = planned(config, ParallelSpec(partition_group=8))
    assert facts["planned_for"] == "16 ranks, groups of 8"


def test_a_group_of_the_recipe_is_planned_for_without_its_ranks(config: PreTrainedConfig) -> None:
    facts = planned(config, ParallelSpec(partition_group=16, ranks_per_node=8, tensor=2))
    assert facts["planned_for"] == "32 ranks, groups of 16, tensor 2"


def test_auto_takes_the_smallest_group_that_fits(
    config: PreTrainedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, 8, 8)
    sizes = {
        memory: planned(config, gpu_memory=memory * 10**9)["planned_for"]
        for memory in (80, 8, 5, 4, 1)
    }
    assert sizes[80] == "8 ranks, groups of 1"
    groups = [int(text.rsplit(" ", 1)[1]) for text in sizes.values()]
    assert groups == [1, 2, 4, 8, 8]
    assert planned(config, gpu_memory=10**9)["fits"].startswith("no: ")
    assert planned(config, gpu_memory=80 * 10**9)["fits"].startswith("yes: ")


def test_a_dry_run_of_a_recipe_has_it(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    text = "name: tiny\ndata: {context: 64}\ntrain: {}\nmodel: {size: 1M, vocab_size: 512}\n"
    recipe.write_text(text, encoding="utf-8")
    values = {value.key: value for value in plan_run(read_recipe(recipe), tmp_path)}
    assert values["memory.planned_for"].value == "one device"
    assert values["memory.a_device"].origin == "derived"


def test_what_is_impossible_is_said_in_its_place(
    config: PreTrainedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, 8, 8)
    facts = planned(config, ParallelSpec(partition_group=3))
    assert facts == {"memory": "not known: partition groups must share out the ranks evenly and "
                     "lie on whole nodes"}  # fmt: skip
    light = model_config(ModelSpec(preset="kogpt2-125m", dtype="bfloat16"), vocab_size=512)
    assert "bfloat16" in planned(light)["memory"]
