"""The `model` section of a recipe. Imports neither torch nor transformers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from hunmin.core.errors import suggest
from hunmin.core.spec import Spec
from hunmin.models.presets import (
    ALL_PRESETS,
    DIAL_PRESET,
    DIALS,
    POST_NORM_ENCODER,
    PRESET_NAMES,
    SEQUENCE_DIAL,
    SEQUENCE_PRESETS,
)
from hunmin.models.shape import HEAD_DIM, shape_of_size

DEFAULT_SIZE = "5M"


class ModelSpec(Spec):
    """Which model is built: a preset, then what differs from it."""

    preset: str = DIAL_PRESET
    """Decoders: `hunmin` (modern blocks, any size), `kogpt2-125m`, `hyperclova-137m` to `-82b`.
    Encoders: `hunmin-encoder` (any size), `alexatm-encoder-17m` to `-9.3b`, `xlmr-style`.
    Encoder-decoders: `hunmin-seq2seq` (any size), `alexatm-20b`."""
    size: str | None = None
    """Non-embedding parameters of a preset of any size, such as 5M or 1.3B; 5M if left out."""
    layers: int | None = Field(default=None, ge=1)
    """Transformer blocks, of the encoder if there are two; the preset's if left out."""
    decoder_layers: int | None = Field(default=None, ge=1)
    """Blocks of the decoder of an encoder-decoder; the preset's if left out."""
    width: int | None = Field(default=None, ge=8)
    """Size of a hidden state; the preset's if left out. For those of any size a multiple of 64."""
    embedding_width: int | None = Field(default=None, ge=8)
    """Width of factorised embeddings, below `width`: a large vocabulary then needs less memory.
    Only `xlmr-style` has them; `width` if left out."""
    heads: int | None = Field(default=None, ge=1)
    """Attention heads; width / 64 if left out, for those presets that have any size."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads for keys and values of `hunmin`, a divisor of `heads`; fewer lighten generation."""
    feedforward: int | None = Field(default=None, ge=8)
    """Hidden size of the feed-forward layer; 8/3 x width for `hunmin` and `hunmin-encoder`, whose
    layers are gated, and 4 x width for others if left out."""
    vocab_size: int | None = Field(default=None, ge=2)
    """Rows of the embedding; the tokenizer's size rounded up to a multiple of 64 if left out."""
    context: int | None = Field(default=None, ge=1)
    """Positions in tokens; as many as the data has if left out. More leaves room to continue."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout probability. 0 trains fastest; 0.1 where the same text is seen many times."""
    tie_embeddings: bool | None = None
    """One matrix for input and output embeddings. If left out: for `hunmin` below 2B parameters,
    not for `alexatm-20b`, else yes."""
    rotary_base: float = Field(default=10_000.0, gt=1.0)
    """Base of the rotary frequencies of `hunmin` and of `hunmin-encoder`'s global layers; raise it
    with contexts beyond 4,096 tokens."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type that weights are kept in. float32 with bf16 autocast is the safe choice."""

    @field_validator("preset")
    @classmethod
    def _check_preset(cls, preset: str) -> str:
        preset = preset.lower() if preset.lower() in PRESET_NAMES else preset
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
        self._refuse_what_the_preset_has_not()
        if self.preset in DIALS and self.heads is None and (self.width or 0) % HEAD_DIM:
            near = round((self.width or 0) / HEAD_DIM) * HEAD_DIM or HEAD_DIM
            raise ValueError(
                f"width {self.width} is not a multiple of {HEAD_DIM}; take {near}, or set heads "
                "as well"
            )
        return self

    @property
    def num_layers(self) -> int | None:
        """Blocks of an encoder or a decoder; None for encoder-decoders of any size."""
        if self.layers is not None:
            return self.layers
        if self.preset in ALL_PRESETS:
            return ALL_PRESETS[self.preset].layers
        if self.preset == SEQUENCE_DIAL:
            return None
        shares_keys = self.preset == DIAL_PRESET
        return shape_of_size(self.size or DEFAULT_SIZE, shares_keys=shares_keys).layers

    def _refuse_what_the_preset_has_not(self) -> None:
        for name, presets in _OWNERS.items():
            if getattr(self, name) is not None and self.preset not in presets:
                owners = " and ".join(f"'{preset}'" for preset in presets)
                raise ValueError(f"{name} belongs to the preset {owners}, not to '{self.preset}'")


_OWNERS: dict[str, tuple[str, ...]] = {
    "size": DIALS,
    "kv_heads": (DIAL_PRESET,),
    "decoder_layers": (SEQUENCE_DIAL, *SEQUENCE_PRESETS),
    "embedding_width": (POST_NORM_ENCODER,),
}
"""Keys that only some presets have."""
