"""Optimizers on parameters in parts do what they do on whole ones, with the promised traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from tests.support.collectives import CollectiveLog
from tests.support.distributed import run_ranks
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
)
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from hunmin.core.errors import InputError
from hunmin.parallel.parts.sharing import circle_over, shard_like
from hunmin.parallel.parts.whole import WholeMatrices
from hunmin.training.muon import Muon
from hunmin.training.optimizer import OptimizerSet, split_parameters
from hunmin.training.spec import AdamWSpec, MuonSpec

FAMILIES = ("gpt2", "qwen3")
SPECS = {"adamw": AdamWSpec(epsilon=1e-4), "muon": MuonSpec()}
STEPS = 5


def tiny_model(family: str) -> PreTrainedModel:
    """Widths that ranks cannot share evenly; a head with fewer rows than there are ranks."""
    torch.manual_seed(1)
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=67,
                n_positions=8,
                n_embd=30,
                n_layer=2,
                n_head=2,
                n_inner=259,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    config = Qwen3Config(
        vocab_size=67,
        hidden_size=32,
        intermediate_size=259,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=3,
        tie_word_embeddings=False,
    )
    return Qwen3ForCausalLM(config)


def shard(model: PreTrainedModel, mesh: DeviceMesh) -> PreTrainedModel:
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def hybrid_mesh(replicas: int) -> DeviceMesh:
    shape = (replicas, dist.get_world_size() // replicas)
    return init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard"))


def set_gradients(model: nn.Module, step: int, without: tuple[str, ...] = ()) -> None:
    """The same numbers for a model in parts and for a whole one."""
    generator = torch.Generator().manual_seed(step)
    for name, parameter in model.named_parameters():
        whole = torch.randn(parameter.shape, generator=generator)
        if name.endswith(without or "nothing"):
            continue
        parameter.grad = (
            distribute_tensor(
                whole, parameter.device_mesh, parameter.placements, src_data_rank=None
            )
            if isinstance(parameter, DTensor)
            else whole
        )


def run_steps(model: nn.Module, optimizer: OptimizerSet, steps: range) -> None:
    for step in steps:
        set_gradients(model, step)
        optimizer.set_factor(1 / (step + 1))
        optimizer.step()


def torch_optimizers(spec: AdamWSpec | MuonSpec, model: PreTrainedModel) -> Iterator[tuple]:
    """The optimizers of torch for the same recipe, each with its peak learning rate."""
    groups = {k: [p for _, p in named] for k, named in split_parameters(model).items()}
    if isinstance(spec, MuonSpec):
        yield (
            torch.optim.Muon(
                groups["matrix"],
                lr=spec.learning_rate,
                momentum=spec.momentum,
                weight_decay=spec.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            spec.learning_rate,
        )
        adamw, decayed = spec.adamw, groups["embedding"]
    else:
        adamw, decayed = spec, groups["embedding"] + groups["matrix"]
    yield (
        torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": adamw.weight_decay},
                {"params": groups["vector"], "weight_decay": 0.0},
            ],
            lr=adamw.learning_rate,
            betas=adamw.betas,
            eps=adamw.epsilon,
            fused=True,
        ),
        adamw.learning_rate,
    )


def reference(spec: AdamWSpec | MuonSpec, model: PreTrainedModel) -> PreTrainedModel:
    optimizers = list(torch_optimizers(spec, model))
    for step in range(STEPS):
        set_gradients(model, step)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak / (step + 1)
            optimizer.step()
    return model


def largest_difference(model: nn.Module, expected: nn.Module) -> float:
    pairs = zip(model.parameters(), expected.parameters(), strict=True)
    return max(float((a.full_tensor() - b).detach().abs().max()) for a, b in pairs)


# -- results -------------------------------------------------------------------------------------


def differences_from_one_process(family: str) -> dict[tuple[int, str], float]:
    differences = {}
    for kind, spec in SPECS.items():
        expected = reference(spec, tiny_model(family))
        for replicas in (1, 2, 4):
            model = shard(tiny_model(family), hybrid_mesh(replicas))
            run_steps(model, OptimizerSet(spec, model), range(STEPS))
            differences[replicas, kind] = largest_difference(model, expected)
    return differences


@pytest.mark.parametrize("family", FAMILIES)
def test_five_steps_equal_those_of_torch_on_whole_tensors(family: str) -> None:
    for differences in run_ranks(4, differences_from_one_process, family):
        assert len(differences) == 6
        assert all(difference < 1e-6 for difference in differences.values()), differences


class Matrices(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.up = nn.Linear(24, 42, bias=False)
        self.down = nn.Linear(42, 23, bias=False)
        self.alone = nn.Linear(24, 7, bias=False)
        self.copied = nn.Linear(24, 9, bias=False)


def split_twice(*shapes: tuple[int, ...]) -> list[tuple[float, list[str], bool]]:
    return [steps_of_matrices_split_twice(shape) for shape in shapes]


def steps_of_matrices_split_twice(shape: tuple[int, ...]) -> tuple[float, list[str], bool]:
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard", "tensor"))
    model, expected = Matrices(), Matrices()
    parallelize_module(model, mesh["tensor"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    distribute_module(model.copied, mesh["tensor"])
    fully_shard(model, mesh=mesh["replicate", "shard"])
    optimizer = Muon(model.parameters(), learning_rate=0.01)
    torch_muon = torch.optim.Muon(expected.parameters(), lr=0.01, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        set_whole_gradients(model, expected, step)
        optimizer.step()
        torch_muon.step()
    placements = [str(p.placements) for p in model.parameters()]
    return largest_difference(model, expected), placements, is_taken_apart_as(model)


def is_taken_apart_as(model: nn.Module) -> bool:
    """Whether parts of whole tensors are the parts that FSDP over tensor parallelism makes."""
    return all(
        torch.equal(shard_like(p.full_tensor(), p).to_local(), p.to_local())
        for p in model.parameters()
    )


def set_whole_gradients(model: nn.Module, expected: nn.Module, step: int) -> None:
    """By adding a known update to the parts, as `distribute_tensor` knows no strided parts."""
    generator = torch.Generator().manual_seed(step)
    for parameter, whole in zip(model.parameters(), expected.parameters(), strict=True):
        weights = torch.randn(whole.shape, generator=generator)
        whole.grad = weights
        parameter.grad = None
        parameter.full_tensor().mul(weights).sum().backward()


def test_matrices_that_tensor_parallelism_has_split_too() -> None:
    results = run_ranks(4, split_twice, (1, 2, 2), (2, 1, 2)) + run_ranks(8, split_twice, (2, 2, 2))
    for difference, placements, is_same in (layout for rank in results for layout in rank):
        assert difference < 1e-6, placements
        assert is_same
        assert len(set(placements)) == 4


# -- states --------------------------------------------------------------------------------------


def state_round_trip(replicas: int, kind: str) -> dict[str, bool]:
    mesh, spec = hybrid_mesh(replicas), SPECS[kind]
    straight, resumed = (shard(tiny_model("qwen3"), mesh) for _ in range(2))
    optimizer = OptimizerSet(spec, straight)
    run_steps(straight, optimizer, range(2))
    saved = {name: tensor.clone() for name, tensor in optimizer.state_tensors().items()}
    with torch.no_grad():
        for mine, theirs in zip(resumed.parameters(), straight.parameters(), strict=True):
            mine.copy_(theirs)
    other = OptimizerSet(spec, resumed)
    other.prepare_state()
    into = other.state_tensors()
    with torch.no_grad():
        for name, tensor in into.items():  # as torch.distributed.checkpoint reads: in place
            tensor.copy_(saved[name])
    run_steps(straight, optimizer, range(2, 4))
    run_steps(resumed, other, range(2, 4))
    parameters = dict(straight.named_parameters())
    pairs = zip(straight.parameters(), resumed.parameters(), strict=True)
    return {
        "same names": saved.keys() == into.keys(),
        "placed alike": all(
            value.placements == parameters[name.rsplit("|")[0]].placements
            for name, value in saved.items()
            if value.ndim
        ),
        "scalars are plain": not any(
            isinstance(value, DTensor) for value in saved.values() if value.ndim == 0
        ),
        "same end": all(torch.equal(a.to_local(), b.to_local()) for a, b in pairs),
    }


@pytest.mark.parametrize(("replicas", "kind"), [(1, "muon"), (2, "adamw")])
def test_state_is_read_into_an_optimizer_that_never_stepped(replicas: int, kind: str) -> None:
    for facts in run_ranks(4, state_round_trip, replicas, kind):
        assert all(facts.values()), facts


def difference_after_loading_whole_state(replicas: int) -> float:
    mesh, spec = hybrid_mesh(replicas), SPECS["muon"]
    whole = tiny_model("gpt2")
    whole_optimizer = OptimizerSet(spec, whole)
    run_steps(whole, whole_optimizer, range(2))
    model = tiny_model("gpt2")
    model.load_state_dict(whole.state_dict())
    optimizer = OptimizerSet(spec, shard(model, mesh))
    saved = {name: value.clone() for name, value in whole_optimizer.state_tensors().items()}
    optimizer.load_state_tensors(saved)
    run_steps(whole, whole_optimizer, range(2, 4))
    run_steps(model, optimizer, range(2, 4))
    return largest_difference(model, whole)


def test_state_of_one_process_is_taken_apart() -> None:
    assert max(run_ranks(4, difference_after_loading_whole_state, 2)) < 1e-6


def unused_parameters() -> list[str]:
    model = shard(tiny_model("gpt2"), hybrid_mesh(1))
    before = {name: p.full_tensor().clone() for name, p in model.named_parameters()}
    optimizer = OptimizerSet(MuonSpec(), model)
    set_gradients(model, 0, without=("1.mlp.c_fc.weight", "wpe.weight"))
    optimizer.step()
    return [n for n, p in model.named_parameters() if torch.equal(p.full_tensor(), before[n])]


def test_parameters_without_gradient_stay() -> None:
    expected = ["transformer.wpe.weight", "transformer.h.1.mlp.c_fc.weight"]
    assert run_ranks(2, unused_parameters) == [expected] * 2


# -- traffic -------------------------------------------------------------------------------------


def traffic_of_muon(replicas: int, *, is_ours: bool = True) -> list[tuple[str, int]]:
    model = nn.Sequential(*(nn.Linear(32, 64, bias=False) for _ in range(8)))
    fully_shard(model, mesh=hybrid_mesh(replicas))
    optimizer: torch.optim.Optimizer = (
        Muon(model.parameters(), learning_rate=0.1)
        if is_ours
        else torch.optim.Muon(model.parameters())
    )
    set_gradients(model, 0)
    with CollectiveLog() as log:
        optimizer.step()
    return log.calls


def traffic_of_adamw() -> list[tuple[str, int]]:
    model = shard(tiny_model("qwen3"), hybrid_mesh(2))
    optimizer = OptimizerSet(AdamWSpec(), model)
    set_gradients(model, 0)
    with CollectiveLog() as log:
        optimizer.step()
    return log.calls


def traffic() -> dict[str | int, list[tuple[str, int]]]:
    return {
        **{replicas: traffic_of_muon(replicas) for replicas in (1, 2, 4)},
        "torch": traffic_of_muon(1, is_ours=False),
        "adamw": traffic_of_adamw(),
    }


def test_collectives_and_bytes_of_a_step() -> None:
    elements, rounds = 8 * 32 * 64, 2
    for calls in run_ranks(4, traffic):
        for copies, shards in ((1, 4), (2, 2), (4, 1)):
            sent = sum(size for name, size in calls[copies] if name == "alltoall_base_")
            received = sum(size for name, size in calls[copies] if name == "_allgather_base_")
            assert sent == 4 * elements * (shards - 1) // (shards**2 * copies)
            assert received == 2 * elements * (copies - 1) // (shards * copies)
            assert len(calls[copies]) == rounds * (2 * (shards > 1) + (copies > 1))
        assert len(calls["torch"]) > 10 * len(calls[1])
        assert calls["adamw"] == []


def function_calls(num_matrices: int, replicas: int) -> tuple[int, bool]:
    model = nn.Sequential(*(nn.Linear(5 + n, 6, bias=False) for n in range(num_matrices)))
    fully_shard(model, mesh=hybrid_mesh(replicas))
    parts = [parameter.detach().to_local() for parameter in model.parameters()]
    calls = []

    def negative(matrix: Tensor) -> Tensor:
        calls.append(matrix)
        return -matrix

    numbers = range(num_matrices)
    values = WholeMatrices(list(model.parameters())).map(
        negative, lambda n: parts[n].clone(), numbers, torch.float32
    )
    are_right = {number: torch.equal(value, -parts[number]) for number, value in values}
    return len(calls), sorted(are_right) == list(numbers) and all(are_right.values())


def all_function_calls() -> dict[tuple[int, int], tuple[int, bool]]:
    return {(m, r): function_calls(m, r) for m in (1, 3, 9) for r in (1, 2, 4)}


def test_each_function_value_is_computed_once() -> None:
    ranks = run_ranks(4, all_function_calls)
    for num_matrices, replicas in ranks[0]:
        counts, are_right = zip(*(rank[num_matrices, replicas] for rank in ranks), strict=True)
        assert sum(counts) == num_matrices
        assert max(counts) == -(-num_matrices // 4)
        assert all(are_right)


# -- errors --------------------------------------------------------------------------------------


def messages() -> dict[str, str]:
    model = shard(tiny_model("qwen3"), hybrid_mesh(1))
    optimizer = OptimizerSet(AdamWSpec(), model)
    optimizer.prepare_state()
    key, state = next((k, v) for k, v in optimizer.state_tensors().items() if v.ndim == 2)
    copied = state.redistribute(placements=[Replicate(), Replicate()])
    descending = DeviceMesh("cpu", [1, 0], mesh_dim_names=("shard",))
    backwards = distribute_tensor(torch.ones(4, 4), descending, [Shard(0)])
    odd = DTensor.from_local(
        torch.ones(1 + dist.get_rank() * 2, 4),
        init_device_mesh("cpu", (2,)),
        [Shard(0)],
        shape=(4, 4),
        stride=(4, 1),
    )
    unsummed = DTensor.from_local(torch.ones(4, 4), odd.device_mesh, [Partial()])
    return {
        "unsummed": message(lambda: WholeMatrices([unsummed])),
        "outside": message(lambda: circle_over(DeviceMesh("cpu", [1 - dist.get_rank()]), (0,))),
        "placement": message(lambda: optimizer.load_state_tensors({key: copied})),
        "order of ranks": message(lambda: WholeMatrices([backwards])),
        "odd parts": message(lambda: WholeMatrices([odd])),
    }


def message(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def test_what_cannot_be_shared_is_refused() -> None:
    for texts in run_ranks(2, messages):
        assert "does not fit its parameter" in texts["placement"]
        assert "ranks must ascend" in texts["order of ranks"]
        assert "still to be summed up" in texts["unsummed"]
        assert "not in the mesh" in texts["outside"]
        assert "allowed: (2, 4)" in texts["odd parts"]
