"""What an objective holds besides its model: named, split among optimizers, clipped and saved."""

from __future__ import annotations

import pytest
import torch
from tests.support.tiny_models import tiny_qwen3
from torch import Tensor, nn

from hunmin.core.errors import StageFailedError
from hunmin.models.objective import LanguageModelObjective
from hunmin.parallel.checkpoint.model_state import module_tensors
from hunmin.parallel.sharding import GradientSynchronizer
from hunmin.parallel.world import local_world
from hunmin.training.learner import Learner
from hunmin.training.machine import Machine
from hunmin.training.optimizer import OptimizerSet, split_parameters
from hunmin.training.spec import MuonSpec
from hunmin.training.trained import parameters_beside, trained_module

MODEL = tiny_qwen3(64, context=16)


class WithMore(LanguageModelObjective):
    """A head, a number and a statistic of its own; each name is as in the model, or is not."""

    def __init__(self, head: str = "extra_head") -> None:
        super().__init__(MODEL)
        self.add_module(head, nn.Linear(4, 3))
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("cached", torch.zeros(1), persistent=False)


def test_a_plain_objective_trains_its_model_alone() -> None:
    objective = LanguageModelObjective(MODEL)
    assert parameters_beside(MODEL, objective) == {}
    assert trained_module(MODEL, objective) is MODEL


def test_a_checkpoint_holds_the_model_under_its_own_names_and_the_rest() -> None:
    objective = WithMore()
    beside = parameters_beside(MODEL, objective)
    assert set(beside) == {"scale", "extra_head.weight", "extra_head.bias"}
    saved = module_tensors(trained_module(MODEL, objective))
    assert saved.keys() == module_tensors(MODEL).keys() | beside.keys() | {"seen"}
    objective.extra_head.weight.data.fill_(7.0)
    assert torch.equal(saved["extra_head.weight"], objective.extra_head.weight)


def test_a_name_that_the_model_has_is_refused() -> None:
    with pytest.raises(StageFailedError, match=r"lm_head\.weight[\s\S]*another name"):
        trained_module(MODEL, WithMore("lm_head"))


def test_matrices_beside_the_model_are_treated_as_its_output_matrix() -> None:
    beside = parameters_beside(MODEL, WithMore())
    alone, groups = split_parameters(MODEL), split_parameters(MODEL, beside)
    new = {k: [n for n, _ in groups[k][len(alone[k]) :]] for k in groups}
    assert new["embedding"] == ["extra_head.weight"]
    assert new["matrix"] == []
    assert sorted(new["vector"]) == ["extra_head.bias", "scale"]


def test_they_count_in_the_norm_and_are_clipped_and_updated() -> None:
    objective = WithMore()
    beside = parameters_beside(MODEL, objective)
    optimizer = OptimizerSet(MuonSpec(), MODEL, beside)
    device = torch.device("cpu")
    machine = Machine(device, "fp32", 1e12, 1)
    learner = Learner(
        MODEL, objective, optimizer, GradientSynchronizer(), machine, local_world(device)
    )
    before = objective.extra_head.weight.detach().clone()
    objective.extra_head.weight.grad = torch.full((3, 4), 5.0)
    assert float(learner.clip(1.0)) == pytest.approx(5 * 12**0.5)
    assert norm(objective.extra_head.weight.grad) == pytest.approx(1.0, rel=1e-4)
    optimizer.step()
    assert not torch.equal(objective.extra_head.weight, before)
    states = optimizer.state_tensors()
    assert {key for key in states if key.startswith("extra_head.weight|")} >= {
        "extra_head.weight|exp_avg"
    }


def norm(tensor: Tensor | None) -> float:
    assert tensor is not None
    return float(tensor.norm())
