"""What a recipe says about fine-tuning for intents and slots. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from hunmin.adapt.nlu.config import Labelling, Pooling, TextForm
from hunmin.core.errors import suggest
from hunmin.core.spec import Count, Spec
from hunmin.core.yaml12 import parse_yaml
from hunmin.training.spec import CosineSchedule, StableDecaySchedule

DEFAULT_PRESET = "small"


class NluSpec(Spec):
    """Fine-tuning of a pretrained body on labelled utterances."""

    data: tuple[Path, ...] = ()
    """Folders of LOCALE.jsonl files in the form of MASSIVE, with partitions train, dev and test;
    none for those that the stages before made."""
    train_locales: tuple[str, ...] = ()
    """Locales whose train partition is learnt; none for all. One for zero-shot transfer."""
    selection_locales: tuple[str, ...] = ()
    """Locales whose dev partition chooses the epoch; none for those of training that have one, so
    that no label of another language has a say."""
    test_locales: tuple[str, ...] = ()
    """Locales that are tested; none for all that have a test partition."""
    test_partition: str = "test"
    """Partition that is tested."""
    max_train_utterances: Count | None = Field(None, ge=1)
    """Most utterances of a locale that are learnt, drawn at random; null for all."""
    preset: str = DEFAULT_PRESET
    """Settings tuned for a kind of body, replaced by the keys given here: small, xlmr-full,
    xlmr-zero-shot, mt5-encoder-full, mt5-encoder-zero-shot, mt5-text-full, mt5-text-zero-shot."""
    style: Literal["heads", "text"] = "heads"
    """Two heads on the body, or labels written out as text, which needs a model that generates."""
    epochs: int = Field(12, ge=1)
    """Passes over the training utterances."""
    batch_size: int = Field(32, ge=1)
    """Utterances of an optimizer step."""
    microbatch_tokens: Count = Field(16_384, ge=1)
    """Tokens of a forward and backward pass, padding included; lower it when memory runs out."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak step size of AdamW. Lower it for larger bodies: 1e-3 at 5M, 3e-5 at 270M."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """After the warm-up: the peak to the end, or down to zero in a line or half a cosine."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of all steps that rise from 0 to the peak."""
    warmup_steps: int | None = Field(None, ge=0)
    """The same in steps, at most half of all; null for the share."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of AdamW's two moment averages; each in [0, 1)."""
    epsilon: float = Field(1e-6, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of matrices per step and learning rate; vectors are not decayed."""
    clip_gradient_norm: float | None = Field(1.0, gt=0)
    """Gradients are scaled down to this norm when they exceed it; null for never."""
    hidden_dropout: float | None = Field(0.1, ge=0, lt=1)
    """Dropout on hidden states of the body; null for the body's own."""
    attention_dropout: float | None = Field(None, ge=0, lt=1)
    """Dropout on attention weights of the body; null for the body's own."""
    head_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout before each linear layer of the heads."""
    freeze_embeddings: bool = False
    """Keep word embeddings as they were pretrained: words of other languages stay where they are
    relative to those that are trained."""
    pooling: Pooling = "first"
    """Which states the intent is read from: first, mean, max, or last (decoders)."""
    feature_layer: int | None = Field(None, ge=0)
    """Block whose states the heads read, from 1; 0 for the embeddings, null for the last."""
    head_layers: int = Field(0, ge=0)
    """Hidden layers of each head."""
    head_width: int = Field(0, ge=0)
    """Width of these layers; 0 for the body's."""
    slot_weight: float = Field(2.0, ge=0)
    """Weight of the slots' loss beside the intent's."""
    crf: bool = True
    """Whether a linear chain chooses all tags of an utterance together; with labelling `all` it
    keeps the tags of a word's pieces in line."""
    labelling: Labelling = "all"
    """Which tokens have a tag: the first of each word, as in MASSIVE's baselines, or all, which
    finds slots that end within a word (Korean 거실의). `first` finds a little more of what is
    scored in whole words."""
    text_form: TextForm = "spoken"
    """How utterances are written before they are encoded: as they are, in small letters, or as
    spoken, also without punctuation: then it does not matter whether they are typed or heard."""
    max_tokens: int = Field(128, ge=8)
    """Tokens of an utterance that are read; at most as many as the body has positions."""
    teacher: Path | None = None
    """A trained NLU model with the same labels, whose answers are learnt, too."""
    teacher_weight: float = Field(0.5, ge=0, le=1)
    """Share of the loss that compares with the teacher; the rest compares with the labels."""
    temperature: float = Field(2.0, gt=0)
    """What logits are divided by when they are compared with the teacher's."""
    evaluate_every: int = Field(1, ge=1)
    """Epochs between evaluations on the dev partition; the last one always evaluates."""
    patience: int | None = Field(None, ge=1)
    """Evaluations in a row without improvement before training stops; null for never."""
    num_beams: int = Field(1, ge=1)
    """Beams of the search when labels are written as text; 1 is greedy."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of matrix products; auto is bf16 where the processor or GPU has it."""
    seed: int = Field(17, ge=0)
    """Decides fresh weights, dropout and the order of utterances."""
    threads: int | None = Field(None, ge=1)
    """CPU threads; null for all cores."""

    INDIFFERENT: ClassVar[frozenset[str]] = frozenset({"threads"})

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name, presets = given.get("preset", DEFAULT_PRESET), nlu_presets()
        if name not in presets:
            raise ValueError(
                f"no preset of this name: {name}.{suggest(str(name), presets)} "
                f"There are {', '.join(presets)}"
            )
        return {**presets[name], **given}

    def schedule_of(self, num_steps: int) -> CosineSchedule | StableDecaySchedule:
        """Return the schedule of a run.

        Args:
            num_steps: Its optimizer steps.

        Returns:
            What `training.schedule.learning_rate_factor` takes.
        """
        warmup = self.warmup
        if self.warmup_steps is not None:
            warmup = min(0.5, self.warmup_steps / num_steps)
        if self.schedule == "cosine":
            return CosineSchedule(warmup=warmup, final=0.0)
        decay = 0.0 if self.schedule == "constant" else 1.0 - warmup
        return StableDecaySchedule(warmup=warmup, decay=decay, final=0.0)

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the result, as JSON values."""
        return self.model_dump(mode="json", exclude=set(self.INDIFFERENT))


@functools.cache
def nlu_presets() -> Mapping[str, Mapping[str, Any]]:
    """Return the presets by name, each with the keys that it sets."""
    source = resources.files("hunmin.adapt.nlu").joinpath("presets.yaml")
    table: Mapping[str, Mapping[str, Any]]
    table, _ = parse_yaml(source.read_text("utf-8"), "presets.yaml")
    return table
