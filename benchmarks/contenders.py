"""Three ways to train the same model on the same tokens: hunmin, the HF Trainer, a bare loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from hunmin.core.artifact import Artifact
from hunmin.data.loader import TokenLoader
from hunmin.data.spec import DataSpec
from hunmin.models.build import build_model, model_config
from hunmin.models.flops import TokenFlops, train_flops_per_token
from hunmin.models.optimize import optimize_model
from hunmin.models.spec import ModelSpec
from hunmin.training.checkpoint import CheckpointFolder
from hunmin.training.compilation import prepare_blocks
from hunmin.training.learner import Learner
from hunmin.training.loop import Trainer as HunminTrainer
from hunmin.training.loop import TrainingData
from hunmin.training.machine import Machine
from hunmin.training.optimizer import OptimizerSet
from hunmin.training.plan import derive_plan
from hunmin.training.spec import AdamWSpec, TrainSpec


@dataclass(frozen=True)
class Job:
    """What every contender trains.

    Args:
        tokens: Token shards.
        data: Context and order; attention crosses documents, as the Trainer's would.
        model: Which model.
        batch_tokens: Tokens per optimizer step.
        microbatch_tokens: Tokens per forward and backward pass.
        machine: Device and precision.
        vocab_size: Of the tokenizer.
    """

    tokens: Artifact
    data: DataSpec
    model: ModelSpec
    batch_tokens: int
    microbatch_tokens: int
    machine: Machine
    vocab_size: int

    @property
    def microbatches(self) -> int:
        """Forward and backward passes per optimizer step."""
        return self.batch_tokens // self.microbatch_tokens

    @property
    def rows(self) -> int:
        """Sequences per forward and backward pass."""
        return self.microbatch_tokens // self.data.context

    def build(self) -> PreTrainedModel:
        """Return the model with fresh weights, the same for every contender."""
        config = model_config(self.model, vocab_size=self.vocab_size, context=self.data.context)
        return build_model(config, seed=1, device=self.machine.device)

    def flops_per_token(self) -> float:
        """Return model FLOPs of forward and backward."""
        config = model_config(self.model, vocab_size=self.vocab_size, context=self.data.context)
        return train_flops_per_token(config, self.data.context)

    def loader(self, batch_size: int) -> TokenLoader:
        """Return the batches."""
        return TokenLoader(self.tokens, self.data, batch_size=batch_size, verify=False)


def synchronize(device: torch.device) -> None:
    """Wait for a GPU; nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def hunmin_contender(job: Job, folder: Path, *, compile_blocks: bool) -> Callable[[int], float]:
    """Return a function that trains some steps with hunmin's loop and returns tokens/s."""
    spec = TrainSpec(
        duration="1000000 steps",
        batch_tokens=job.batch_tokens,
        microbatch_tokens=job.microbatch_tokens,
        optimizer=AdamWSpec(),
        compile="blocks" if compile_blocks else "none",
    )
    plan = derive_plan(spec, context=job.data.context, train_tokens=1)
    model = optimize_model(job.build())
    prepare_blocks(model, spec, plan, job.machine.device)
    trainer = HunminTrainer(
        spec=spec,
        plan=plan,
        learner=Learner.alone(
            model,
            OptimizerSet(spec.optimizer, model),
            job.machine,
            chunk_tokens=spec.loss_chunk_tokens,
        ),
        data=TrainingData(
            job.loader(plan.sequences_per_step),
            None,
            torch.ones(job.vocab_size, dtype=torch.int64),
        ),
        checkpoints=CheckpointFolder(folder, "benchmark"),
        flops=TokenFlops(job.flops_per_token(), job.flops_per_token()),
        callbacks=(),
    )

    def run(steps: int) -> float:
        trainer.plan = plan.model_copy(update={"num_steps": trainer.state.step + steps})
        synchronize(job.machine.device)
        started = time.perf_counter()
        trainer.fit()
        synchronize(job.machine.device)
        return steps * plan.tokens_per_step / (time.perf_counter() - started)

    return run


def bare_contender(job: Job, *, compile_blocks: bool) -> Callable[[int], float]:
    """Return the loop one would write by hand with the same model class."""
    model = job.build().train()
    if compile_blocks:
        for module in model.modules():
            if type(module).__name__ in set(model._no_split_modules):
                module.compile(dynamic=False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=6e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    loader = job.loader(job.rows)
    position = 0

    def run(steps: int) -> float:
        nonlocal position
        synchronize(job.machine.device)
        started = time.perf_counter()
        for _ in range(steps):
            for _ in range(job.microbatches):
                batch = loader.batch(position).to(job.machine.device)
                position += 1
                with job.machine.autocast():
                    logits = model(input_ids=batch.input_ids, use_cache=False).logits
                    loss = torch.nn.functional.cross_entropy(
                        logits.flatten(0, 1).float(), batch.labels.flatten()
                    )
                (loss / job.microbatches).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()
        synchronize(job.machine.device)
        return steps * job.batch_tokens / (time.perf_counter() - started)

    return run


class Windows(Dataset[dict[str, torch.Tensor]]):
    """The same rows as a map-style data set, already in memory."""

    def __init__(self, job: Job, num_rows: int) -> None:
        batch = job.loader(num_rows).batch(0)
        self._rows = batch.input_ids

    def __len__(self) -> int:
        return self._rows.shape[0]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Times the steps of the HF Trainer, without its start and end."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds = 0.0
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock at the first step."""
        if self._started == 0.0:
            synchronize(self._device)
            self._started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Read the clock."""
        synchronize(self._device)
        self.seconds = time.perf_counter() - self._started


def trainer_contender(job: Job, folder: Path, *, compile_model: bool) -> Callable[[int], float]:
    """Return the HF Trainer with bf16, fused AdamW and, if asked, its torch_compile option."""
    model = job.build()
    # The Trainer logs and loads as a user's would, but saves nothing while it is timed.
    arguments: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": job.rows,
        "gradient_accumulation_steps": job.microbatches,
        "optim": "adamw_torch_fused",
        "learning_rate": 6e-4,
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
        "bf16": job.machine.precision == "bf16",
        "torch_compile": compile_model,
        "use_cpu": job.machine.device.type == "cpu",
        "save_strategy": "no",
        "report_to": [],
        "logging_steps": 10,
        "disable_tqdm": True,
        "dataloader_pin_memory": job.machine.device.type == "cuda",
    }
    data = Windows(job, num_rows=job.rows * job.microbatches * 64)

    def run(steps: int) -> float:
        clock = StepClock(job.machine.device)
        trainer = Trainer(
            model=model,
            args=TrainingArguments(max_steps=steps, **arguments),
            train_dataset=data,
            callbacks=[clock],
        )
        trainer.train()
        return steps * job.batch_tokens / clock.seconds

    return run


def with_document_attention(job: Job) -> Job:
    """Return the same job with attention that stays within documents."""
    return replace(job, data=job.data.model_copy(update={"cross_document_attention": False}))
