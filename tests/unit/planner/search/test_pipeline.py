"""Plans with pipeline stages: hunmin has none, they explain runs of others."""

from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.planner.catalogue.clusters import find_cluster
from hunmin.planner.catalogue.models import find_model
from hunmin.planner.catalogue.software import find_software
from hunmin.planner.prediction import Prediction
from hunmin.planner.search.candidates import Fixed, Request
from hunmin.planner.search.search import search

SECONDS_A_DAY = 86_400
TOKENS = 150e9


def plan(**fixed: object) -> Prediction:
    """HyperCLOVA 82B on 1,024 A100 with one row for each of them in the global batch."""
    request = Request(
        find_model("hyperclova-82b"),
        find_cluster("dgx-a100:128"),
        find_software("megatron"),
        global_batch_tokens=1024 * 2048,
        precision="fp16",
        fixed=Fixed(recompute="blocks", **fixed),  # type: ignore[arg-type]
    )
    return search(request).best


def days(best: Prediction) -> float:
    return TOKENS / best.tokens_per_second / SECONDS_A_DAY


def test_a_stage_has_its_share_of_devices_and_whole_parameters() -> None:
    best = plan(tensor=8, pipeline=8, micro_batch=1)
    layout = best.strategy.layout
    assert (layout.world_size, layout.partition_group, layout.replicas) == (128, 1, 16)
    assert best.strategy.devices == 1024
    assert best.strategy.microsteps == 64


@pytest.mark.parametrize(("tensor", "micro_batch"), [(8, 1), (8, 4), (4, 1)])
@pytest.mark.parametrize("pipeline", [8, 32])
def test_with_one_row_a_device_the_bubble_depends_on_rows_and_tensor_degree_alone(
    tensor: int, micro_batch: int, pipeline: int
) -> None:
    """Rows of a pipeline are tensor * stages, so a microbatch of b leaves tensor / b a stage."""
    step = plan(tensor=tensor, pipeline=pipeline, micro_batch=micro_batch).step
    working = step.seconds - step.bubble - step.optimizer
    expected = micro_batch / tensor * (pipeline - 1) / pipeline
    assert step.bubble / working == pytest.approx(expected, rel=1e-6)


def test_the_reported_days_lie_in_the_family_and_above_its_best() -> None:
    """HyperCLOVA reported 13.4 days (recalled); the layout within the family is not known."""
    best = days(plan(tensor=8, pipeline=8, micro_batch=1))
    worst = days(plan(tensor=4, pipeline=64, micro_batch=4))
    assert 7 < best < 8.5
    assert best < 13.4 < worst * 1.05


def test_stages_that_do_not_share_out_blocks_and_nodes_are_refused() -> None:
    with pytest.raises(InputError) as error:
        plan(pipeline=7)
    assert "pipeline stages share out the blocks evenly" in str(error.value)
    assert "allowed: 1, 2, 4, 8, 16, 32, 64" in str(error.value)
