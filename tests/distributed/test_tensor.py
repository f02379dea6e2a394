from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tests.support.distributed import run_ranks
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import (
    ApertusConfig,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from hunmin.core.errors import InputError
from hunmin.data.batch import TokenBatch
from hunmin.models.blocks import transformer_blocks
from hunmin.models.build import build_model
from hunmin.models.meta import build_meta_model
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.pieces import write_rows
from hunmin.models.slices import slice_plan
from hunmin.parallel.tensor import apply_tensor_parallel
from hunmin.parallel.weights.folder import whole_tensor
from hunmin.parallel.weights.materialize import materialize

VOCABULARY = 61
MESH = ("replicate", "shard", "tensor")
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "intermediate_size": 44,
    "max_position_embeddings": 33,
}
LLAMA_SIZES = {**SIZES, "attention_bias": True, "mlp_bias": True}
SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 44,
}


def config_of(name: str) -> PreTrainedConfig:
    """Sizes that partition groups of 2 and 4 do not divide evenly."""
    common = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
    if name == "gpt2":
        dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return GPT2Config(n_embd=24, n_layer=2, n_head=4, n_positions=33, **common, **dropout)
    if name == "llama":
        return LlamaConfig(**LLAMA_SIZES, **common)
    return Qwen3Config(**SIZES, **common, tie_word_embeddings=True)


def build(name: str, *, faster: bool = False) -> PreTrainedModel:
    model = build_model(config_of(name), seed=5)
    _disturb(model)
    return optimize_model(model) if faster else model


def _disturb(model: PreTrainedModel) -> None:
    """Gains of 1 and biases of 0 would hide mistakes."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)


def rows(count: int) -> TokenBatch:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCABULARY, (count, 13), generator=generator)
    segments = (torch.arange(13) > 5).long().expand(count, -1)
    positions = torch.where(segments == 1, torch.arange(13) - 6, torch.arange(13))
    return TokenBatch(ids[:, :12], ids[:, 1:], positions[:, :12], segments[:, :12])


def part_of(batch: TokenBatch, index: int, count: int) -> TokenBatch:
    size = len(batch.input_ids) // count
    own = slice(index * size, (index + 1) * size)
    return TokenBatch(
        batch.input_ids[own], batch.labels[own], batch.position_ids[own], batch.segment_ids[own]
    )


def gradients(module: Any, batch: TokenBatch) -> tuple[float, dict[str, Tensor]]:
    """Loss of some rows and the gradient of every parameter, whole."""
    loss = module(batch) / batch.labels.numel()
    loss.backward()
    found = {}
    for name, parameter in module.model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None, name
        found[name] = whole_tensor(gradient)
    return float(loss.detach()), found


def shard(
    objective: nn.Module,
    model: PreTrainedModel,
    mesh: DeviceMesh,
    block_dtype: torch.dtype | None = None,
) -> None:
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in transformer_blocks(model):
        block_policy = replace(policy, param_dtype=block_dtype)
        fully_shard(block, mesh=mesh["replicate", "shard"], mp_policy=block_policy)
    fully_shard(objective, mesh=mesh["replicate", "shard"], mp_policy=policy)


@dataclass(frozen=True)
class Case:
    name: str
    faster: bool = False
    checkpointing: bool = False
    from_meta: bool = False


CASES = (
    *(Case(name) for name in ("qwen3", "llama", "gpt2")),
    *(Case(name, faster=True, checkpointing=True) for name in ("qwen3", "llama", "gpt2")),
    *(Case(name, from_meta=True) for name in ("qwen3", "gpt2")),
)


def split(case: Case, mesh: DeviceMesh) -> LanguageModelObjective:
    """Build the model of a case, split and sharded as the mesh says."""
    if case.from_meta:
        model = build_meta_model(config_of(case.name))
    else:
        model = build(case.name, faster=case.faster)
    apply_tensor_parallel(model, mesh["tensor"])
    if case.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    objective = LanguageModelObjective(model)
    if mesh.size() > mesh["tensor"].size():
        shard(objective, model, mesh)
    if case.from_meta:
        source = build(case.name)
        materialize(objective, "cpu", initialize=lambda: copy_weights(source, model))
    return objective


def copy_weights(source: PreTrainedModel, target: PreTrainedModel) -> None:
    tensors = dict(target.named_parameters())
    for name, parameter in source.named_parameters():
        write_rows(tensors[name], 0, parameter.detach())


def largest_errors(case: Case, mesh: DeviceMesh) -> dict[str, float]:
    """Compare a step on this rank's rows with one of a process that sees all rows."""
    tensor_ranks = mesh["tensor"].size()
    data_ranks = mesh.size() // tensor_ranks
    batch = rows(4 * data_ranks)
    loss, expected = gradients(LanguageModelObjective(build(case.name, faster=case.faster)), batch)
    own = part_of(batch, mesh.get_rank() // tensor_ranks, data_ranks)
    own_loss, found = gradients(split(case, mesh), own)
    mean = torch.tensor(own_loss)
    dist.all_reduce(mean)
    assert list(found) == list(expected)
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 0.05
    errors = {name: float((found[name] - expected[name]).abs().max()) for name in expected}
    return errors | {"loss": abs(float(mean) / mesh.size() - loss)}


def errors_of_cases(shape: tuple[int, int, int], cases: Sequence[Case]) -> list[str]:
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=MESH)
    wrong = []
    for case in cases:
        errors = largest_errors(case, mesh)
        wrong += [f"{case} {name}: {error}" for name, error in errors.items() if not error < 1e-6]
    return wrong


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 2)])
def test_gradients_equal_one_process(shape: tuple[int, int, int]) -> None:
    size = shape[0] * shape[1] * shape[2]
    assert run_ranks(size, errors_of_cases, shape, CASES) == [[]] * size


def test_gradients_equal_one_process_with_copies_groups_and_slices() -> None:
    cases = [Case("qwen3", from_meta=True), Case("gpt2", from_meta=True)]
    assert run_ranks(8, errors_of_cases, (2, 2, 2), cases) == [[]] * 8


# -- what is split, and what is sent -------------------------------------------------------------


def facts_of_a_split_model(name: str) -> dict[str, Any]:
    mesh = init_device_mesh("cpu", (1, 1, 2), mesh_dim_names=MESH)
    objective = split(Case(name), mesh)
    whole = build(name)
    state = objective.model.state_dict()
    return {
        "names": list(state) == list(whole.state_dict()),
        "shapes": [tuple(t.shape) for t in state.values()]
        == [tuple(t.shape) for t in whole.state_dict().values()],
        "halved": sorted(n for n, t in state.items() if t.to_local().numel() * 2 == t.numel()),
        "tied": objective.model.get_input_embeddings()._parameters["weight"]
        is objective.model.get_output_embeddings()._parameters["weight"],
        "calls": collective_calls(objective),
    }


def collective_calls(objective: nn.Module) -> dict[str, list[str]]:
    """Names of the collectives of a forward and of a backward pass."""
    calls: list[str] = []
    originals = {name: getattr(dist, name) for name in ("all_reduce", "all_to_all_single")}

    def counted(name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return originals[name](*arguments, **options)

        return call

    for name in originals:
        setattr(dist, name, counted(name))
    loss = objective(rows(2))
    forward = list(calls)
    loss.backward()
    return {"forward": sorted(forward), "backward": sorted(calls[len(forward) :])}


def test_a_block_of_qwen3_sums_twice_each_way_and_gains_of_heads_once() -> None:
    for facts in run_ranks(2, facts_of_a_split_model, "qwen3"):
        assert facts["names"]
        assert facts["shapes"]
        assert facts["tied"]
        matrices = ("q_proj", "k_proj", "v_proj", "o_proj")
        feedforward = ("gate_proj", "up_proj", "down_proj")
        assert facts["halved"] == sorted(
            f"model.layers.{layer}.{part}.weight"
            for layer in range(2)
            for part in (*(f"self_attn.{m}" for m in matrices), *(f"mlp.{m}" for m in feedforward))
        )
        assert facts["calls"]["forward"] == ["all_reduce"] * 4
        assert facts["calls"]["backward"] == ["all_reduce"] * (4 + 4)


def test_a_block_of_gpt2_exchanges_queries_keys_and_values() -> None:
    for facts in run_ranks(2, facts_of_a_split_model, "gpt2"):
        assert facts["names"]
        assert facts["shapes"]
        assert facts["tied"]
        assert len(facts["halved"]) == 2 * (4 + 2)  # weights, and biases of c_attn and c_fc
        exchanges = ["all_to_all_single"] * 2 * 2
        assert facts["calls"]["forward"] == ["all_reduce"] * 4 + exchanges
        assert facts["calls"]["backward"] == ["all_reduce"] * 4 + exchanges


def losses_of_faster_layers() -> list[float]:
    """Layers put in after the split, as well as before, under bf16 autocast."""
    mesh = init_device_mesh("cpu", (1, 1, 2), mesh_dim_names=MESH)
    before, after = build("qwen3", faster=True), build("qwen3")
    apply_tensor_parallel(before, mesh["tensor"])
    apply_tensor_parallel(after, mesh["tensor"])
    optimize_model(after)
    whole = build("qwen3")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return [float(LanguageModelObjective(m)(rows(2))) for m in (whole, before, after)]


def test_faster_layers_may_be_put_in_before_or_after() -> None:
    for whole, before, after in run_ranks(2, losses_of_faster_layers):
        assert before == pytest.approx(whole, rel=0.01)
        assert after == pytest.approx(whole, rel=0.01)


def half_precision_step(name: str) -> tuple[float, float]:
    """Relative errors of loss and gradients where blocks are gathered and compute in bf16."""
    mesh = init_device_mesh("cpu", (1, 2, 2), mesh_dim_names=MESH)
    batch = rows(8)
    loss, expected = gradients(LanguageModelObjective(build(name)), batch)
    objective = LanguageModelObjective(build(name, faster=True))
    apply_tensor_parallel(objective.model, mesh["tensor"])
    shard(objective, objective.model, mesh, torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        own_loss, found = gradients(objective, part_of(batch, mesh.get_rank() // 2, 2))
    mean = torch.tensor(own_loss)
    dist.all_reduce(mean)
    assert all(gradient.dtype == torch.float32 for gradient in found.values())
    norm = sum(float(gradient.square().sum()) for gradient in expected.values())
    error = sum(float((found[n] - g).square().sum()) for n, g in expected.items())
    return abs(float(mean) / 4 / loss - 1), (error / norm) ** 0.5


def test_blocks_may_be_gathered_in_bf16() -> None:
    # Not GPT-2: on CPUs torch's layer norm wants its gains in the type of its input.
    for loss_error, gradient_error in run_ranks(4, half_precision_step, "qwen3"):
        assert loss_error < 0.01
        assert gradient_error < 0.05


def unchanged_by_one_slice() -> bool:
    mesh = init_device_mesh("cpu", (1, 2, 1), mesh_dim_names=MESH)
    model = build("gpt2")
    apply_tensor_parallel(model, mesh["tensor"])
    return not any(isinstance(parameter, DTensor) for parameter in model.parameters())


def test_one_slice_changes_nothing() -> None:
    assert run_ranks(2, unchanged_by_one_slice) == [True, True]


# -- what is refused -----------------------------------------------------------------------------


def test_heads_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(InputError, match="heads of this model") as caught:
        slice_plan(build("gpt2"), 3)
    assert "3 devices, num_attention_heads 4" in str(caught.value)
    with pytest.raises(InputError, match="heads of this model") as caught:
        slice_plan(build("qwen3"), 4)
    assert "4 devices, num_key_value_heads 2" in str(caught.value)


def test_a_feed_forward_layer_that_cannot_be_split_is_refused() -> None:
    model = build_meta_model(LlamaConfig(**{**LLAMA_SIZES, "intermediate_size": 45}))
    with pytest.raises(InputError, match="cannot be split evenly") as caught:
        slice_plan(model, 2)
    assert "mlp.gate_proj.weight with 45 columns" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (BertConfig(**SMALL), "BertForMaskedLM: no plan in transformers"),
        (GPT2Config(n_embd=8, n_layer=1, n_head=2, add_cross_attention=True), "cross-attention"),
        (MixtralConfig(**SMALL, num_key_value_heads=2), "MixtralForCausalLM: "),
        (ApertusConfig(**SMALL, num_key_value_heads=2), "layers.*.mlp.act_fn"),
    ],
    ids=["bert", "cross-attention", "mixtral", "learned-activation"],
)
def test_models_without_a_known_plan_are_refused(config: PreTrainedConfig, given: str) -> None:
    with pytest.raises(InputError, match="does not know how to split") as caught:
        slice_plan(build_meta_model(config), 2)
    assert given in str(caught.value)
    assert "parallel.tensor to 1" in str(caught.value)


def test_a_published_plan_for_another_kind_of_layer_is_refused() -> None:
    model = build("llama")
    model.model.layers[0].mlp.up_proj = nn.Identity()
    with pytest.raises(InputError, match=r"mlp\.up_proj, a Identity"):
        slice_plan(model, 2)
