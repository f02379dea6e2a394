"""Put the pieces of a run together: model, optimizer, batches, on this rank."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hunmin.data.corrupting import make_loader
from hunmin.models.architecture import attention_for, layout_of
from hunmin.models.blocks import require_blocks
from hunmin.models.build import build_model
from hunmin.models.initialize import initialize_parameters
from hunmin.models.meta import build_meta_model
from hunmin.models.optimize import optimize_model
from hunmin.parallel.layout import Layout, derive_layout
from hunmin.parallel.mesh import TENSOR, build_mesh
from hunmin.parallel.sharding import GradientSynchronizer, ShardingOptions, shard_module
from hunmin.parallel.tensor import apply_tensor_parallel
from hunmin.parallel.watch.failures import bound_collectives
from hunmin.parallel.weights.materialize import materialize
from hunmin.parallel.world import World
from hunmin.tokenizer.load import TextTokenizer
from hunmin.training.compilation import prepare_blocks
from hunmin.training.fit import smallest_group
from hunmin.training.job import TrainJob
from hunmin.training.learner import Learner
from hunmin.training.loop import TrainingData
from hunmin.training.machine import Machine, prepare_machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import TrainPlan
from hunmin.training.trained import parameters_beside

_GATHER_DTYPES = {"bf16": torch.bfloat16, "fp32": None}


@dataclass(frozen=True)
class Assembly:
    """What is ready to train.

    Args:
        config: Of the model.
        layout: Which rank holds what.
        plan: What will be done.
        learner: Model and optimizer.
        data: What it learns from.
        is_compiled: Whether its blocks are compiled.
    """

    config: PreTrainedConfig
    layout: Layout
    plan: TrainPlan
    learner: Learner
    data: TrainingData
    is_compiled: bool


def assemble(job: TrainJob, tokenizer: TextTokenizer, world: World) -> Assembly:
    """Build all that this rank needs.

    Args:
        job: What to train on what.
        tokenizer: Of the shards.
        world: All ranks.

    Returns:
        The pieces.

    Raises:
        InputError: The ranks cannot be laid out as the recipe says.
        OutOfMemoryError: The model does not fit.

    Note:
        Collective with several ranks.
    """
    config = job.method.config(job, tokenizer)
    machine = prepare_machine(job.train, world)
    layout = _layout(job, config, machine, world)
    plan = job.plan(layout.data_ranks)
    model = _build(config, job.train.seed, world)
    is_compiled = prepare_blocks(model, job.train, plan, world.device)
    objective = job.method.objective(model, job, world.device)
    synchronizer = _shard(job, model, objective, layout, machine)
    job.method.initialize(model)
    # Dropout: a checkpoint replaces this state. Ranks that split matrices draw the same numbers.
    torch.manual_seed(job.train.seed + world.rank // layout.tensor)
    optimizer = OptimizerSet(job.train.optimizer, model, parameters_beside(model, objective))
    learner = Learner(model, objective, optimizer, synchronizer, machine, world)
    data = _training_data(job, config, plan, tokenizer, world)
    return Assembly(config, layout, plan, learner, data, is_compiled)


def _layout(job: TrainJob, config: PreTrainedConfig, machine: Machine, world: World) -> Layout:
    fewest = 1
    if world.size > 1:
        fewest = smallest_group(
            config, job.train, job.parallel, machine, world, context=job.data.context
        )
    return derive_layout(
        job.parallel,
        world_size=world.size,
        ranks_per_node=world.ranks_per_node,
        smallest_group=fewest,
    )


def _build(config: PreTrainedConfig, seed: int, world: World) -> PreTrainedModel:
    """Build the model; with several ranks without memory, since none of them holds all of it."""
    if world.size == 1:
        return optimize_model(build_model(config, seed=seed, device=world.device))
    model = build_meta_model(config)
    model.set_attn_implementation(attention_for(type(model)))
    return optimize_model(model, device=world.device)


def _shard(
    job: TrainJob,
    model: PreTrainedModel,
    objective: nn.Module,
    layout: Layout,
    machine: Machine,
) -> GradientSynchronizer:
    if layout.world_size == 1:
        return GradientSynchronizer()
    precision = job.parallel.gather_precision
    options = ShardingOptions(
        gather_dtype=_GATHER_DTYPES[machine.precision if precision == "auto" else precision],
        reshard_after_forward=job.parallel.reshard_after_forward,
        prefetch=job.parallel.prefetch,
        timeout=timedelta(seconds=job.parallel.timeout),
    )
    mesh = build_mesh(layout, machine.device.type)
    if layout.tensor > 1:
        apply_tensor_parallel(model, mesh[TENSOR])
    synchronizer = shard_module(objective, require_blocks(model), layout, mesh, options)
    bound_collectives(mesh.get_all_groups(), job.parallel.timeout)
    fill = partial(initialize_parameters, model, seed=job.train.seed)
    materialize(objective, machine.device, initialize=fill)
    return synchronizer


def _training_data(
    job: TrainJob,
    config: PreTrainedConfig,
    plan: TrainPlan,
    tokenizer: TextTokenizer,
    world: World,
) -> TrainingData:
    data_rank = world.rank // (world.size // plan.data_ranks)
    open_split = partial(
        make_loader,
        job.tokens,
        job.data,
        tokenizer,
        layout_of(config),
        rank=data_rank,
        world_size=plan.data_ranks,
    )
    batches = open_split(batch_size=plan.sequences_per_step, run_tokens=plan.total_tokens)
    held_out = None
    if job.train.evaluate_every is not None:
        held_out = open_split(batch_size=plan.evaluation_sequences, split="validation")
    return TrainingData(job.method.batches(batches, job), held_out, _token_bytes(tokenizer))


def _token_bytes(tokenizer: TextTokenizer) -> torch.Tensor:
    """Return UTF-8 bytes per token id; special tokens stand for no text."""
    special = set(tokenizer.special_ids)
    sizes = [0 if i in special else len(tokenizer.token_bytes(i)) for i in range(tokenizer.size)]
    return torch.tensor(sizes, dtype=torch.int64)
