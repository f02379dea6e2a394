"""Gradients of several ranks equal those of one process, whatever the layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from tests.support.distributed import run_ranks
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import (
    AutoModel,
    BartConfig,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    RobertaConfig,
    T5Config,
)

from hunmin.core.errors import InputError
from hunmin.models.blocks import require_blocks
from hunmin.parallel.layout import derive_layout
from hunmin.parallel.mesh import build_mesh
from hunmin.parallel.sharding import (
    ShardingOptions,
    explain_unused_parameters,
    shard_module,
)
from hunmin.parallel.spec import ParallelSpec
from hunmin.training.compilation import enable_checkpointing

ROWS, LENGTH = 24, 8
SMALL = {"vocab_size": 67, "hidden_size": 20, "num_attention_heads": 2, "num_hidden_layers": 3}
FAMILIES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(vocab_size=67, n_embd=20, n_head=2, n_layer=3, n_positions=16),
    "llama": LlamaConfig(**SMALL, intermediate_size=42, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SMALL, num_key_value_heads=1, head_dim=10, intermediate_size=42),
    "bert": BertConfig(**SMALL, intermediate_size=42),
    "roberta": RobertaConfig(**SMALL, intermediate_size=42),
    "modernbert": ModernBertConfig(**SMALL, intermediate_size=42, pad_token_id=0),
    "t5": T5Config(vocab_size=67, d_model=20, d_kv=10, d_ff=42, num_heads=2, num_layers=2),
    "bart": BartConfig(
        dropout=0.0,
        vocab_size=67,
        d_model=20,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=42,
        decoder_ffn_dim=42,
        scale_embedding=True,
    ),
}


@dataclass(frozen=True)
class Case:
    """A layout, and how the batch is cut."""

    family: str
    group: int
    ranks_per_node: int
    microsteps: int
    two_hop: bool = True
    hierarchical: bool = False
    gather_dtype: torch.dtype | None = None
    checkpointing: bool = False


class Projection(nn.Module):
    """A scalar of the last hidden states, whatever the family."""

    def __init__(self, model: PreTrainedModel, *, in_bf16: bool) -> None:
        super().__init__()
        self.model = model
        self.in_bf16 = in_bf16

    def forward(self, ids: Tensor) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": ids}
        if self.model.config.is_encoder_decoder:
            inputs["decoder_input_ids"] = ids.flip(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.in_bf16):
            hidden = self.model(**inputs).last_hidden_state.float()
        weights = torch.linspace(-1, 1, hidden.shape[-1]) * (1 + ids.unsqueeze(-1) % 5)
        return (hidden * weights).tanh().sum() / (ROWS * LENGTH)


def build(case: Case) -> Projection:
    torch.manual_seed(5)
    config = FAMILIES[case.family]
    model = AutoModel.from_config(config, attn_implementation="sdpa").eval()
    if case.checkpointing:
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        enable_checkpointing(model)
    return Projection(model, in_bf16=case.gather_dtype is not None)


def rows() -> Tensor:
    return torch.randint(3, 67, (ROWS, LENGTH), generator=torch.Generator().manual_seed(1))


def whole_gradients(case: Case) -> dict[str, Tensor]:
    module = build(case)
    module(rows()).backward()
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def sharded_gradients(case: Case, aborts: bool = False) -> dict[str, Tensor]:
    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    spec = ParallelSpec(
        partition_group=case.group, two_hop=case.two_hop, hierarchical=case.hierarchical or "auto"
    )
    if not case.hierarchical:
        spec = spec.model_copy(update={"hierarchical": False})
    layout = derive_layout(spec, world_size=world, ranks_per_node=case.ranks_per_node)
    assert layout.hierarchical == case.hierarchical
    module = build(case)
    synchronizer = shard_module(
        module,
        require_blocks(module.model),
        layout,
        build_mesh(layout, "cpu"),
        ShardingOptions(gather_dtype=case.gather_dtype),
    )
    mine = rows()[rank::world]
    if aborts:
        synchronizer.begin_microstep(is_last=False)
        module(mine).backward()
        synchronizer.abandon()
    parts = mine.chunk(case.microsteps)
    for number, part in enumerate(parts, start=1):
        synchronizer.begin_microstep(is_last=number == len(parts))
        (module(part) * world).backward()
    gradients = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            assert isinstance(parameter.grad, DTensor)
            gradients[name] = parameter.grad.full_tensor().detach()
    return gradients if rank == 0 else {}


def assert_equal_gradients(case: Case, world: int, tolerance: float, aborts: bool = False) -> None:
    found = run_ranks(world, sharded_gradients, case, aborts, ranks_per_node=case.ranks_per_node)[0]
    expected = whole_gradients(case)
    assert expected.keys() <= found.keys()
    for name in found.keys() - expected.keys():
        assert not found[name].any(), name  # never used: zeros instead of nothing
    for name, gradient in expected.items():
        error = float((found[name] - gradient).abs().max())
        assert error <= tolerance * max(1.0, float(gradient.abs().max())), (name, error)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family: str) -> None:
    assert_equal_gradients(Case(family, 2, 2, 3), world=4, tolerance=1e-6)


LAYOUTS = [
    (world, group, per_node)
    for world, group, per_node in [(2, 1, 2), (2, 2, 2), (2, 2, 1), (4, 1, 2), (4, 2, 2), (4, 4, 2)]
]


@pytest.mark.parametrize("microsteps", [1, 3])
@pytest.mark.parametrize("two_hop", [True, False])
@pytest.mark.parametrize(("world", "group", "per_node"), LAYOUTS)
def test_every_layout(
    world: int, group: int, per_node: int, two_hop: bool, microsteps: int
) -> None:
    case = Case("qwen3", group, per_node, microsteps, two_hop)
    assert_equal_gradients(case, world, tolerance=1e-6)


@pytest.mark.parametrize("two_hop", [True, False])
@pytest.mark.parametrize(("world", "group", "microsteps"), [(4, 4, 4), (8, 4, 3), (8, 8, 1)])
def test_hierarchical_collectives(world: int, group: int, microsteps: int, two_hop: bool) -> None:
    case = Case("qwen3", group, 2, microsteps, two_hop, hierarchical=True)
    assert_equal_gradients(case, world, tolerance=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "bart"])
def test_recomputed_activations(family: str) -> None:
    case = Case(family, 2, 2, 2, checkpointing=True)
    assert_equal_gradients(case, world=4, tolerance=1e-6)


def test_parameters_that_travel_in_bf16() -> None:
    case = Case("qwen3", 2, 2, 3, gather_dtype=torch.bfloat16)
    assert_equal_gradients(case, world=4, tolerance=2e-2)


class Sometimes(Projection):
    """Uses a block's neighbour in the second microstep only."""

    def __init__(self, model: PreTrainedModel, *, in_bf16: bool) -> None:
        super().__init__(model, in_bf16=in_bf16)
        self.extra = nn.Linear(20, 20)
        self.calls = 0

    def forward(self, ids: Tensor) -> Tensor:
        self.calls += 1
        loss = super().forward(ids)
        if self.calls % 2:
            return loss
        return loss + self.extra(torch.ones(20)).tanh().sum() / 2


def sometimes_used() -> list[Tensor] | str:
    layout = derive_layout(ParallelSpec(partition_group=2), world_size=2, ranks_per_node=2)
    module = Sometimes(build(Case("gpt2", 2, 2, 2)).model, in_bf16=False)
    mesh = build_mesh(layout, "cpu")
    synchronizer = shard_module(module, require_blocks(module.model), layout, mesh)
    try:
        for is_last in (False, True):
            synchronizer.begin_microstep(is_last=is_last)
            with explain_unused_parameters():
                module(rows()[:2]).backward()
    except InputError as error:
        return str(error)
    return [p.grad.full_tensor() for p in module.extra.parameters()]


def test_a_parameter_that_one_microbatch_does_not_use() -> None:
    found = run_ranks(2, sometimes_used)[0]
    if not hasattr(FSDPModule, "set_reduce_scatter_unused_params"):  # before torch 2.13
        assert "used in one microbatch and not in another" in found
        return
    torch.manual_seed(5)
    module = Sometimes(build(Case("gpt2", 2, 2, 2)).model, in_bf16=False)
    for _ in range(2):
        module(rows()[:2]).backward()
    for gradient, parameter in zip(found, module.extra.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, atol=1e-6)
        assert gradient.any()


def test_an_aborted_step_leaves_nothing_behind() -> None:
    assert_equal_gradients(Case("qwen3", 2, 2, 2), world=4, tolerance=1e-6, aborts=True)
