"""The `model` section of a recipe. Imports neither torch nor transformers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hunmin.core.errors import suggest
from hunmin.core.spec import Spec
from hunmin.models.presets import DIAL_PRESET, PRESET_NAMES
from hunmin.models.shape import HEAD_DIM, shape_of_size

DEFAULT_SIZE = "5M"


class ModelSpec(Spec):
    """Which model is built: a preset, then what differs from it."""

    preset: str = DIAL_PRESET
    """`hunmin` (modern blocks, any size), `kogpt2-125m`, or `hyperclova-137m` to `-82b`."""
    size: str | None = None
    """Non-embedding parameters of the `hunmin` preset, such as 5M or 1.3B; 5M if left out."""
    layers: int | None = Field(default=None, ge=1)
    """Transformer blocks; the preset's if left out."""
    width: int | None = Field(default=None, ge=8)
    """Size of a hidden state; the preset's if left out. A multiple of 64 for `hunmin`."""
    heads: int | None = Field(default=None, ge=1)
    """Attention heads; for `hunmin` width / 64 if left out."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads for keys and values, a divisor of `heads`; fewer make generation lighter."""
    feedforward: int | None = Field(default=None, ge=8)
    """Hidden size of the feed-forward layer; 4 x width (GPT-2) or 8/3 x width if left out."""
    vocab_size: int | None = Field(default=None, ge=2)
    """Rows of the embedding; the tokenizer's size rounded up to a multiple of 64 if left out."""
    context: int | None = Field(default=None, ge=1)
    """Positions in tokens; as many as the data has if left out. More leaves room to continue."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout probability. 0 trains fastest; 0.1 where the same text is seen many times."""
    tie_embeddings: bool | None = None
    """One matrix for input and output embeddings; below 2B parameters if left out."""
    rotary_base: float = Field(default=10_000.0, gt=1.0)
    """Base of the rotary frequencies of `hunmin`; raise it with contexts beyond 4,096 tokens."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type that weights are kept in. float32 with bf16 autocast is the safe choice."""

    @field_validator("preset")
    @classmethod
    def _check_preset(cls, preset: str) -> str:
        if preset not in PRESET_NAMES:
            near = suggest(preset, PRESET_NAMES) or f" Allowed: {', '.join(PRESET_NAMES)}."
            raise ValueError(f"unknown preset '{preset}'.{near}")
        return preset

    @field_validator("size", mode="before")
    @classmethod
    def _check_size(cls, size: object) -> object:
        text = str(size) if isinstance(size, int) and not isinstance(size, bool) else size
        if isinstance(text, str):
            shape_of_size(text)
        return text

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.preset != DIAL_PRESET:
            self._refuse_what_only_the_dial_has()
        elif self.width is not None and self.width % HEAD_DIM and self.heads is None:
            raise ValueError(
                f"width {self.width} is not a multiple of {HEAD_DIM}; take "
                f"{round(self.width / HEAD_DIM) * HEAD_DIM or HEAD_DIM}, or set heads as well"
            )
        return self

    def _refuse_what_only_the_dial_has(self) -> None:
        for name in ("size", "kv_heads"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} belongs to the preset '{DIAL_PRESET}', not to GPT-2 ones")
