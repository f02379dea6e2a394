"""What one rank allocates in training steps, counted without memory: the real code, fake tensors.

The model is built, split, sharded and trained as `training.assemble` does it, on torch's fake
tensors (shapes, types and lifetimes, no values) in a process group whose collectives do nothing.
Every storage is counted from the operation that makes it to its end. Norms and activation functions
are the fused ones of `optimize_model`, attention is torch's kernel or that of `models.attention`.

With real tensors the same steps run on a CPU or a GPU, whose allocator then says what the peak was.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.distributed._tools.fake_collectives
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.fsdp._fully_shard import _fsdp_param_group
from torch.distributed.tensor import DTensor
from torch.profiler import ProfilerActivity
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedConfig, PreTrainedModel, masking_utils

from hunmin.data.batch import TokenBatch
from hunmin.models import forward
from hunmin.models.blocks import require_blocks, transformer_blocks
from hunmin.models.meta import build_meta_model
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.packing import plan_packing
from hunmin.models.precision import autocast
from hunmin.parallel.mesh import TENSOR, build_mesh
from hunmin.parallel.parts.norms import clip_gradients
from hunmin.parallel.sharding import GradientSynchronizer, ShardingOptions, shard_module
from hunmin.parallel.tensor import apply_tensor_parallel
from hunmin.parallel.weights.materialize import materialize
from hunmin.planner.strategy import Strategy
from hunmin.training.compilation import enable_checkpointing
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.spec import AdamWSpec, MuonSpec

CPU = torch.device("cpu")
ACTIVATIONS, OPTIMIZER, PARAMETERS = "activations", "optimizer", "parameters"
GATHERED, COMMUNICATION, BACKWARD, WORKING = "gathered", "communication", "backward", "working"


@dataclass(frozen=True)
class Allocations:
    """Bytes at the peak of a step.

    Args:
        total: All storages.
        parts: By what they are for.
        moment: Phase of the step in which the peak was.
        by_phase: Peak of each phase.
    """

    total: int
    parts: dict[str, int]
    moment: str
    by_phase: dict[str, dict[str, int]]


class AllocationCounter(TorchDispatchMode):
    """Counts storages from the operation that makes them to their end, and remembers the peak."""

    def __init__(self) -> None:
        super().__init__()
        self.purpose = ACTIVATIONS
        self.phase = ""
        self.tied: torch.Size | None = None
        self._held: dict[int, tuple[str, int]] = {}
        self._sums: Counter[str] = Counter()
        self._total = 0
        self.peaks: dict[str, tuple[int, dict[str, int]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._would_add_in_place(func, args):
            func = torch.ops.aten.add_.Tensor
        result = func(*args, **(kwargs or {}))
        self.note(tree_leaves(result))
        return result

    def _would_add_in_place(self, func: Any, args: Any) -> bool:
        """Autograd adds up the two gradients of a tied matrix in place where nobody watches it."""
        is_sum = self.phase == BACKWARD and func is torch.ops.aten.add.Tensor
        return is_sum and all(isinstance(a, Tensor) and a.shape == self.tied for a in args)

    def note(self, tensors: Iterable[Any], purpose: str | None = None) -> None:
        """Count the storages of tensors; with a purpose those that are counted get it."""
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                continue
            self._note(_local(tensor).untyped_storage(), purpose)
        self._remember()

    def _note(self, storage: torch.UntypedStorage, purpose: str | None) -> None:
        key = storage._cdata
        if key not in self._held:
            weakref.finalize(storage, self._free, key).atexit = False
            self._held[key] = (purpose or self.purpose, 0)
        old_purpose, old_size = self._held[key]
        new_purpose = purpose or old_purpose
        if old_size == 0 and purpose is None:
            new_purpose = self.purpose  # memory given back to a storage has a purpose of its own
        size = storage.nbytes()
        if (new_purpose, size) != (old_purpose, old_size):
            self._sums[old_purpose] -= old_size
            self._sums[new_purpose] += size
            self._total += size - old_size
            self._held[key] = (new_purpose, size)

    def _free(self, key: int) -> None:
        purpose, size = self._held.pop(key)
        self._sums[purpose] -= size
        self._total -= size

    def resized(self, storage: torch.UntypedStorage) -> None:
        """Take note that a storage has another size."""
        self._note(storage, None)
        self._remember()

    def _remember(self) -> None:
        if self._total > self.peaks.get(self.phase, (0, {}))[0]:
            self.peaks[self.phase] = (self._total, {k: v for k, v in self._sums.items() if v})

    def enter(self, phase: str, purpose: str) -> None:
        """Begin a phase of the step, in which what has no other purpose gets this one."""
        self.phase, self.purpose = phase, purpose

    @contextlib.contextmanager
    def allocating(self, purpose: str) -> Iterator[None]:
        """Give everything that is allocated inside a purpose."""
        before, self.purpose = self.purpose, purpose
        try:
            yield
        finally:
            self.purpose = before

    def result(self) -> Allocations:
        """Return the highest peak."""
        moment = max(self.peaks, key=lambda phase: self.peaks[phase][0])
        total, parts = self.peaks[moment]
        return Allocations(total, parts, moment, {k: v[1] for k, v in self.peaks.items()})


def allocations(
    config: PreTrainedConfig, strategy: Strategy, context: int, *, is_packed: bool = True
) -> Allocations:
    """Return what a rank allocates in a step before which all states exist.

    Args:
        config: Of the model.
        strategy: How it is trained.
        context: Tokens in a row.
        is_packed: Whether rows hold several documents, so that attention needs a mask.

    Returns:
        The peak and its parts.
    """
    counter = AllocationCounter()
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with _surroundings(strategy, context, is_packed=is_packed) as batch, _watched(counter):
        learner = _Learner(config, strategy, CPU, fake)
        with fake, counter:
            counter.note(learner.parameters, PARAMETERS)
            counter.tied = learner.model.get_output_embeddings().weight.shape
            with counter.allocating(OPTIMIZER):
                learner.optimizer.prepare_state()
            learner.step(_faked(batch, fake), strategy, counter.enter)
        del learner
    gc.collect()
    return counter.result()


def real_peak(
    config: PreTrainedConfig,
    strategy: Strategy,
    context: int,
    device: torch.device,
    *,
    is_packed: bool = True,
    compiles: bool = False,
) -> int:
    """Return the peak of the same steps with real memory, as the allocator saw it.

    Args:
        config: Of the model.
        strategy: How it is trained.
        context: Tokens in a row.
        device: A GPU, or a CPU with room for a small model.
        is_packed: Whether rows hold several documents.
        compiles: Whether blocks are compiled, as `train.compile: auto` does in long runs on a GPU.

    Returns:
        Bytes.
    """
    with _surroundings(strategy, context, is_packed=is_packed) as batch:
        learner = _Learner(config, strategy, device)
        for block in transformer_blocks(learner.model) if compiles else ():
            block.compile(dynamic=False)
        learner.optimizer.prepare_state()
        step = functools.partial(learner.step, batch.to(device), strategy, lambda *_: None)
        step()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            step()
            return torch.cuda.max_memory_allocated(device)
        return learner.bytes_held() + _peak_above_start(step)


def _peak_above_start(step: Callable[[], None]) -> int:
    with torch.profiler.profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    events = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    memory = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(itertools.accumulate((size for _, size in memory), initial=0))


class _Learner:
    """Model, loss and optimizer of one rank, put together as `training.assemble` does it."""

    def __init__(
        self,
        config: PreTrainedConfig,
        strategy: Strategy,
        device: torch.device,
        tensors: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self.device = device
        self.model: PreTrainedModel = build_meta_model(config)
        self.model.set_attn_implementation("sdpa")
        optimize_model(self.model, device=device)
        if strategy.attention == "fused":
            self.model.set_attn_implementation("sdpa")
        if strategy.recompute == "blocks":
            enable_checkpointing(self.model)
        chunk = strategy.loss_chunk or strategy.micro_batch * config.max_position_embeddings
        self.objective = LanguageModelObjective(self.model, chunk_tokens=chunk)
        self.synchronizer = _shard(self.model, self.objective, strategy, device)
        with tensors or contextlib.nullcontext():
            materialize(self.objective, device, initialize=lambda: None)
        self.parameters = list(self.model.parameters())
        if tensors is None:
            _fill(self.parameters)
        spec = AdamWSpec() if strategy.optimizer == "adamw" else MuonSpec()
        self.optimizer = OptimizerSet(spec, self.model)

    def step(
        self, batch: TokenBatch, strategy: Strategy, enter: Callable[[str, str], None]
    ) -> None:
        """Take one step, as `training.learner` does it."""
        for number in range(strategy.microsteps):
            enter("forward", ACTIVATIONS)
            self.synchronizer.begin_microstep(is_last=number + 1 == strategy.microsteps)
            with autocast(strategy.precision, self.device):
                loss = self.objective(batch) * 1.0
            enter("backward", BACKWARD)
            loss.backward()
        enter("optimizer", WORKING)
        clip_gradients(self.parameters, 1.0)
        self.optimizer.step()

    def bytes_held(self) -> int:
        """Return the bytes of parameters and states."""
        held = [*self.parameters, *self.optimizer.state_tensors().values()]
        return sum(_local(tensor).untyped_storage().nbytes() for tensor in held)


def _shard(
    model: PreTrainedModel,
    objective: LanguageModelObjective,
    strategy: Strategy,
    device: torch.device,
) -> GradientSynchronizer:
    if strategy.layout.world_size == 1:
        return GradientSynchronizer()
    mesh = build_mesh(strategy.layout, device.type)
    if strategy.layout.tensor > 1:
        apply_tensor_parallel(model, mesh[TENSOR])
    options = ShardingOptions(
        gather_dtype=torch.bfloat16 if strategy.precision == "bf16" else None,
        reshard_after_forward=strategy.reshard_after_forward,
        prefetch=strategy.prefetch,
    )
    synchronizer = shard_module(objective, require_blocks(model), strategy.layout, mesh, options)
    # A CPU would gather in the background, and free the buffers sooner than a GPU does.
    objective._set_unshard_async_op(False)
    return synchronizer


def _fill(parameters: Iterable[Tensor]) -> None:
    """Any values will do, but numbers that overflow are slow on some processors."""
    with torch.no_grad():
        for parameter in parameters:
            _local(parameter).normal_(std=0.02)


def _local(tensor: Tensor) -> Tensor:
    return tensor._local_tensor if isinstance(tensor, DTensor) else tensor


# -- the surroundings ----------------------------------------------------------------------------


@contextlib.contextmanager
def _surroundings(strategy: Strategy, context: int, *, is_packed: bool) -> Iterator[TokenBatch]:
    """A batch for ranks whose collectives do nothing; who attends to whom is worked out before."""
    world = strategy.layout.world_size
    batch = _rows(strategy.micro_batch, context)
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    try:
        with _attention(batch, strategy, is_packed=is_packed):
            yield batch
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _attention(batch: TokenBatch, strategy: Strategy, *, is_packed: bool) -> Iterator[None]:
    """Work out beforehand what depends on values: who attends to whom."""
    dtype = torch.bfloat16 if strategy.precision == "bf16" else torch.float32
    rows, context = batch.segment_ids.shape
    plan = plan_packing(batch.segment_ids, dtype) if strategy.attention == "plain" else None

    def mask(segment_ids: Tensor) -> Tensor | None:
        if not is_packed:
            return None
        shape, device = (rows, 1, context, context), segment_ids.device
        return torch.ones(shape, dtype=torch.bool, device=device)

    with (
        # Both would read the batch: transformers to find documents in rows that have one each.
        patch.object(masking_utils, "find_packed_sequence_indices", lambda _: None),
        patch.object(forward, "dense_mask", mask),
        patch.object(forward, "plan_packing", lambda *_: plan),
    ):
        yield


@contextlib.contextmanager
def _watched(counter: AllocationCounter) -> Iterator[None]:
    """Name what FSDP2 allocates, and see what it gives back without an operation."""
    resize = torch.UntypedStorage.resize_

    def noted_resize(storage: torch.UntypedStorage, size: int) -> None:
        resize(storage, size)
        counter.resized(storage)

    def named(purpose: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with counter.allocating(purpose):
                return function(*args, **kwargs)

        return call

    module = _fsdp_param_group
    with (
        patch.object(torch.UntypedStorage, "resize_", noted_resize),
        patch.object(module, "foreach_all_gather", named(GATHERED, module.foreach_all_gather)),
        patch.object(
            module.FSDPParamGroup,
            "wait_for_unshard",
            named(GATHERED, module.FSDPParamGroup.wait_for_unshard),
        ),
        patch.object(module, "foreach_reduce", named(COMMUNICATION, module.foreach_reduce)),
    ):
        yield


def _rows(rows: int, context: int) -> TokenBatch:
    ids = torch.zeros(rows, context, dtype=torch.int64)
    places = torch.arange(context).expand(rows, -1)
    return TokenBatch(ids, ids, places, torch.zeros_like(ids, dtype=torch.int32))


def _faked(batch: TokenBatch, fake: FakeTensorMode) -> TokenBatch:
    fields = (batch.input_ids, batch.labels, batch.position_ids, batch.segment_ids)
    return TokenBatch(*(fake.from_tensor(field) for field in fields))
