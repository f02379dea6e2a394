"""What a recipe says about training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from hunmin.core.spec import Count, Spec
from hunmin.training.duration import Duration
from hunmin.training.guard_spec import GuardSpec
from hunmin.training.watch_spec import WatchSpec


class AdamWSpec(Spec):
    """AdamW on all parameters (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    """This optimizer."""
    learning_rate: float = Field(6e-4, gt=0)
    """Peak step size. Lower it for larger models: 6e-4 at 125M, 2e-4 at 1.3B, 0.6e-4 at 82B."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the two moment averages; each in [0, 1)."""
    epsilon: float = Field(1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(0.1, ge=0)
    """Decay of matrices towards zero per step and learning rate; vectors are not decayed."""


class MuonSpec(Spec):
    """Muon on the matrices of the blocks, AdamW on embeddings, head and vectors."""

    kind: Literal["muon"] = "muon"
    """This optimizer."""
    learning_rate: float = Field(0.003, gt=0)
    """Peak step size of matrices, scaled so that an update has the size AdamW's would have. Chosen
    at 5M (LAB.md); larger models usually want less."""
    momentum: float = Field(0.95, ge=0, lt=1)
    """Decay of the momentum average (Nesterov)."""
    weight_decay: float = Field(0.1, ge=0)
    """Decay of matrices towards zero per step and learning rate."""
    adamw: AdamWSpec = AdamWSpec(learning_rate=0.006, weight_decay=0.0)
    """The optimizer of embeddings, output head, norms and biases."""


class CosineSchedule(Spec):
    """Linear warm-up, then half a cosine down to a share of the peak (GPT-3, HyperCLOVA)."""

    kind: Literal["cosine"] = "cosine"
    """This schedule."""
    warmup: float = Field(0.02, ge=0, lt=1)
    """Share of all steps that rise from 0 to the peak."""
    final: float = Field(0.1, ge=0, le=1)
    """Learning rate of the last step as a share of the peak."""


class StableDecaySchedule(Spec):
    """Linear warm-up, a stable stretch at the peak, then a decay (WSD, arXiv:2404.06395)."""

    kind: Literal["wsd"] = "wsd"
    """This schedule."""
    warmup: float = Field(0.02, ge=0, lt=1)
    """Share of all steps that rise from 0 to the peak."""
    decay: float = Field(0.4, ge=0, le=1)
    """Share of all steps, at the end, that fall from the peak."""
    final: float = Field(0.0, ge=0, le=1)
    """Learning rate of the last step as a share of the peak."""
    shape: Literal["linear", "sqrt"] = "linear"
    """How the decay falls: in a straight line, or as 1 - sqrt(progress)."""


class EarlyStopSpec(Spec):
    """Stop when the validation loss no longer falls."""

    patience: int = Field(3, ge=1)
    """Evaluations in a row without improvement before training stops."""
    min_improvement: float = Field(0.0, ge=0)
    """Nats per token by which the loss must fall to count as an improvement."""


class TrackerSpec(Spec):
    """Where metrics are sent besides metrics.jsonl."""

    kind: Literal["tensorboard", "wandb"]
    """TensorBoard event files in the run folder, or Weights & Biases (needs an account)."""
    project: str = "hunmin"
    """Name of the Weights & Biases project."""


Optimizer = Annotated[AdamWSpec | MuonSpec, Field(discriminator="kind")]
Schedule = Annotated[CosineSchedule | StableDecaySchedule, Field(discriminator="kind")]


class TrainSpec(Spec):
    """How a model is trained."""

    duration: str = "1 epochs"
    """How long: '500 steps', '2M tokens' or '3 epochs'."""
    batch_tokens: Count = Field(65_536, ge=1)
    """Tokens per optimizer step over all processes; rounded down to whole sequences."""
    microbatch_tokens: Count = Field(16_384, ge=1)
    """Tokens per forward and backward pass and process; lower it when memory runs out."""
    optimizer: Optimizer = MuonSpec()
    """The optimizer and its step sizes."""
    schedule: Schedule = StableDecaySchedule()
    """How the learning rate rises and falls."""
    clip_gradient_norm: float | None = Field(1.0, gt=0)
    """Gradients are scaled down to this norm when they exceed it; null for never."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of matrix products; auto is bf16 where the processor or GPU has it."""
    compile: Literal["auto", "none", "blocks"] = "auto"
    """Compile every transformer block with torch.compile; auto does it for long runs on a GPU."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more arithmetic."""
    loss_chunk_tokens: Count = Field(2_048, ge=1)
    """Tokens whose logits exist at one time; lower it when the vocabulary is large."""
    evaluate_every: int | None = Field(100, ge=1)
    """Steps between evaluations on held-out text; the last step always evaluates; null for none."""
    evaluation_tokens: Count = Field(65_536, ge=1)
    """Held-out tokens scored at each evaluation."""
    early_stop: EarlyStopSpec | None = None
    """When to stop before the end; null for never."""
    checkpoint_every: int | None = Field(200, ge=1)
    """Steps between checkpoints; the last step always saves one; null for only then."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints that are kept; the best one is kept besides."""
    export: Literal["best", "last"] = "best"
    """Whether the model folder gets the weights of the best evaluation or of the last step."""
    log_every: int = Field(10, ge=1)
    """Steps between records in metrics.jsonl."""
    checkpoint_in_background: bool = True
    """Whether training goes on while a checkpoint is written, with several processes."""
    copy_to_memory_every: int | None = Field(None, ge=1)
    """Steps between copies of the state in the memory of the nodes, from which a run that lost a
    node goes on without reading a disk; null for none."""
    guard: GuardSpec = GuardSpec()
    """What to do with a step whose loss or gradient is out of the ordinary."""
    watch: WatchSpec = WatchSpec()
    """What is recorded besides metrics: communication, slow ranks, traces."""
    trackers: tuple[TrackerSpec, ...] = ()
    """Other places metrics are sent to."""
    seed: int = Field(17, ge=0)
    """Decides the initial weights and dropout; the data section has a seed of its own."""
    threads: int | None = Field(None, ge=1)
    """CPU threads; null for all cores. Another number may change the last bits of results."""

    OBSERVING: ClassVar[frozenset[str]] = frozenset(
        {"evaluate_every", "evaluation_tokens", "checkpoint_every", "keep_checkpoints"}
        | {"log_every", "trackers", "export", "early_stop"}
        | {"checkpoint_in_background", "copy_to_memory_every", "watch"}
    )
    """Keys that watch the run; changing one does not stop a run from being resumed."""

    @field_validator("duration", mode="before")
    @classmethod
    def _check_duration(cls, value: object) -> object:
        Duration.parse(str(value))
        return value
