"""What a recipe may say about distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hunmin.core.spec import Spec
from hunmin.data.spec import DataChanges
from hunmin.models.spec import ModelSpec
from hunmin.training.spec import TrainSpec


class CacheSpec(Spec):
    """The teacher's answers on disk: it runs once over the samples of the run, before training."""

    top_k: int = Field(default=32, ge=1)
    """Entries of the vocabulary kept at each place, the likeliest; all others become one outcome.
    16 to 64 are usual. Each takes 4 to 6 bytes."""
    folder: Path | None = None
    """Where the answers lie. Beside the run if left out; a folder of its own lets several students
    share them. Answers of another teacher or order of samples are refused."""


class LossSpec(Spec):
    """What the student learns, and how much each part counts."""

    soft: float = Field(default=0.7, ge=0)
    """Weight of the teacher's answers (KL divergence of the logits)."""
    hard: float = Field(default=0.3, ge=0)
    """Weight of the text itself (cross-entropy). DistilBERT's ratio is 5 to 2."""
    temperature: float = Field(default=1.0, gt=0)
    """Both softmaxes are taken of logits divided by this. Above 1 unlikely answers count more; with
    a cache they are mostly in the rest, so stay near 1 there."""
    divergence: float = Field(default=0.0, ge=0, le=1)
    """0: forward KL, cover all the teacher says. 1: reverse KL, say only what it finds likely (for
    small decoders that generate). Between: Jensen-Shannon of that weight."""
    positions: Literal["scored", "all"] = "scored"
    """Where the teacher is asked: at scored tokens (masked ones, next ones), or at all tokens."""
    hidden: float = Field(default=0.0, ge=0)
    """Weight of the distance of hidden states. Where widths differ, a matrix from the student's to
    the teacher's is learned beside the student, and thrown away."""
    hidden_distance: Literal["cosine", "mse"] = "cosine"
    """1 - cosine, or mean squared difference."""
    hidden_layers: Literal["uniform", "last"] = "last"
    """Compare each of the student's layers with one of the teacher's, or only the last ones."""
    relations: float = Field(default=0.0, ge=0)
    """Weight of MiniLMv2's relations between queries, keys and values of one layer. Widths and
    heads may differ, and nothing is learned beside the student."""
    relation_heads: int = Field(default=12, ge=1)
    """Heads into which both are cut for that, a divisor of both widths; more look closer."""
    relation_layer: int | None = Field(default=None, ge=1)
    """Layer of the teacher, from 1; the last if left out. MiniLMv2 took layer 19 to 21 of 24."""
    on_policy: float = Field(default=0.0, ge=0, le=1)
    """Decoders: share of the microbatches whose continuation the student writes itself, and the
    teacher judges (GKD). Slow: the student generates token by token."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.soft + self.hard:
            raise ValueError("the student's head would learn nothing; raise soft or hard above 0")
        return self

    @property
    def needs_activations(self) -> bool:
        """Whether the teacher must run beside the student, since more than logits is compared."""
        return bool(self.hidden or self.relations or self.on_policy)


class DistillSpec(Spec):
    """A student: which model, from which teacher, by which losses."""

    model: ModelSpec = ModelSpec()
    """Which student is built. Its vocabulary is that of the shards, which must be the teacher's."""
    train: TrainSpec = TrainSpec()
    """How it is trained."""
    data: DataChanges = DataChanges()
    """What is different in how batches are drawn, such as more in-domain text."""
    teacher: Path | None = None
    """Model folder of the teacher, hunmin's or any of Hugging Face with this tokenizer; the model
    of the stage before if left out."""
    teacher_precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Type of the teacher's weights; "auto" is bf16 where the device is fast at it."""
    losses: LossSpec = LossSpec()
    """What is compared, and how much it counts."""
    initialization: Literal["layers", "embeddings", "scratch"] = "layers"
    """Where the student's weights come from. `layers`: layers of a teacher of the same
    architecture; in a narrower student evenly spaced rows and columns of its matrices.
    `embeddings`: only its embeddings, in their main directions if the student is narrower.
    `scratch`: nowhere."""
    layers: Literal["uniform", "first", "last"] = "uniform"
    """Which of the teacher's layers a shallower student starts from."""
    cache: CacheSpec | None = None
    """Let the teacher answer once and keep that on disk; None lets it run beside the student. Pays
    off for more than one student, or more than one run, of a large teacher."""

    @model_validator(mode="after")
    def _cache_holds_logits_only(self) -> Self:
        if self.cache is not None and self.losses.needs_activations:
            raise ValueError(
                "cache: it holds logits only; set losses.hidden, losses.relations and "
                "losses.on_policy to 0, or leave cache out"
            )
        return self
