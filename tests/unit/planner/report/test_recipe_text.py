"""What a plan hands over is a recipe that means the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hunmin.parallel.layout import Layout, derive_layout
from hunmin.parallel.spec import ParallelSpec
from hunmin.pipeline.recipe import Recipe, read_recipe
from hunmin.planner.report.recipe_text import recipe_lines
from hunmin.planner.shape import gpt2_shape
from hunmin.planner.strategy import Strategy
from hunmin.training.plan import derive_plan

SHAPE = gpt2_shape(
    "hyperclova-1.3b", layers=24, width=2048, heads=16, vocab_size=51_200, context=2048
)
GROUPS = Strategy(Layout(32, 8, 16, 1, hierarchical=True), micro_batch=4, microsteps=3)
STRATEGIES = {
    "groups over nodes": GROUPS,
    "one ring": replace(GROUPS, layout=Layout(32, 8, 16, 1)),
    "all ranks": replace(GROUPS, layout=Layout(32, 8, 32, 1, hierarchical=True)),
    "tensor": replace(GROUPS, layout=Layout(32, 8, 4, 2, two_hop=False), recompute="none"),
    "copies": Strategy(Layout(8, 8, 1), 1, 1, precision="fp32", optimizer="muon"),
    "one device": Strategy(Layout(1, 1, 1), 1, 7, loss_chunk=512),
    "kept gathered": replace(GROUPS, reshard_after_forward=False, prefetch=2),
}


def pasted(strategy: Strategy, folder: Path, tokens: int | None = None) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text("\n".join(["name: planned", *recipe_lines(strategy, SHAPE, tokens)]), "utf-8")
    return read_recipe(path).spec


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_recipe_trains_with_the_planned_layout_and_batch(name: str, tmp_path: Path) -> None:
    strategy = STRATEGIES[name]
    recipe = pasted(strategy, tmp_path)
    assert recipe.train is not None
    layout = strategy.layout
    spec = getattr(recipe, "parallel", None) or ParallelSpec()
    assert layout == derive_layout(
        spec, world_size=layout.world_size, ranks_per_node=layout.ranks_per_node
    )
    plan = derive_plan(
        recipe.train, context=SHAPE.context, train_tokens=10**9, data_ranks=layout.data_ranks
    )
    assert plan.sequences_per_step == strategy.rows_per_step
    assert plan.sequences_per_microbatch == strategy.micro_batch
    assert plan.microbatches == strategy.microsteps
    assert recipe.train.optimizer.kind == strategy.optimizer
    assert recipe.train.activation_checkpointing == (strategy.recompute == "blocks")
    assert recipe.train.precision == strategy.precision
    assert spec.reshard_after_forward == strategy.reshard_after_forward
    assert spec.prefetch == strategy.prefetch
    assert recipe.model.preset == "hyperclova-1.3b"


@pytest.mark.parametrize("tokens", [300_000_000_000, 12_345_678_901, 1_500_000, 999])
def test_the_duration_is_exact(tokens: int, tmp_path: Path) -> None:
    from hunmin.training.duration import Duration

    recipe = pasted(GROUPS, tmp_path, tokens)
    assert recipe.train is not None
    per_step = 3
    duration = Duration.parse(recipe.train.duration)
    steps = duration.in_steps(tokens_per_step=per_step, tokens_per_epoch=1)
    assert steps == pytest.approx(tokens / per_step, abs=1)


def test_a_size_of_the_family_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    lines = recipe_lines(GROUPS, replace(SHAPE, name="hunmin-1.3b"))
    path.write_text("\n".join(["name: planned", *lines]), "utf-8")
    model = read_recipe(path).spec.model
    assert (model.preset, model.size) == ("hunmin", "1.3B")


def test_what_hunmin_cannot_do_is_said(tmp_path: Path) -> None:
    strategy = replace(GROUPS, precision="fp16", recompute="attention", pipeline=2)
    text = "\n".join(recipe_lines(strategy, replace(SHAPE, name="other")))
    assert "not in fp16" in text
    assert "no pipelines" in text
    assert "attention scores" in text
    assert "precision:" not in text
    assert "model:" not in text
    assert pasted(strategy, tmp_path).train is not None
