"""What a recipe may say about a tokenizer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hunmin.core.spec import Count, Spec
from hunmin.tokenizer.alphabet import NUM_BYTES

BOUNDARY_TOKEN = "<|endoftext|>"
PAD_TOKEN = "<|pad|>"
REQUIRED_SPECIAL_TOKENS = (BOUNDARY_TOKEN, PAD_TOKEN)


class TokenizerSpec(Spec):
    """A byte-level BPE tokenizer trained on the documents' train split."""

    kind: Literal["byte-bpe"] = "byte-bpe"
    """Byte-level BPE with the stock GPT-2 regex: any text in any script, without loss."""
    vocab_size: Count = Field(default=16_000, ge=NUM_BYTES + len(REQUIRED_SPECIAL_TOKENS))
    """Entries including the 256 bytes and the special tokens. Larger: fewer tokens per text, a
    bigger embedding. 8K suits models below 20M parameters, 32K to 64K larger ones."""
    special_tokens: tuple[str, ...] = ()
    """More special tokens, after `<|endoftext|>` (id 0) and `<|pad|>` (id 1). They are never
    produced by encoding a text, only by the code that asks for them."""
    sample_max_bytes: Count = Field(default=100_000_000, ge=1)
    """UTF-8 bytes of text to train on. More makes rare merges better and takes longer: on
    two cores a minute or more per 100 MB."""
    temperature: float = Field(default=0.5, ge=0, le=1)
    """Share of a language in the sample: its bytes to this power. 1 keeps the corpus' proportions,
    0 gives every language the same; lower is fairer to small languages."""
    max_repeats: int = Field(default=4, ge=1)
    """How often the text of a small language may be repeated to reach its share."""
    min_frequency: int = Field(default=2, ge=1)
    """A pair of pieces must occur this often to be merged."""
    max_token_bytes: int | None = Field(default=48, ge=2)
    """Longest entry. Keeps repeated sentences of scripts without spaces from becoming entries;
    None for no limit."""
    allow_smaller: bool = False
    """Accept fewer entries than `vocab_size` when the data supports no more merges; otherwise
    that is an error, because a model would carry embeddings that are never trained."""
    seed: int = Field(default=0, ge=0)
    """Decides which documents are in the sample."""

    @model_validator(mode="after")
    def _special_tokens_are_distinct(self) -> TokenizerSpec:
        names = self.all_special_tokens
        if len(set(names)) != len(names) or "" in names:
            raise ValueError(
                "special_tokens must be distinct, not empty, and without "
                f"{' and '.join(REQUIRED_SPECIAL_TOKENS)}, which are always there"
            )
        if self.vocab_size < NUM_BYTES + len(names):
            raise ValueError(
                f"vocab_size must be at least {NUM_BYTES + len(names)}: "
                f"{NUM_BYTES} bytes and {len(names)} special tokens"
            )
        return self

    @property
    def all_special_tokens(self) -> tuple[str, ...]:
        """The required special tokens and the user's, in the order of their ids."""
        return REQUIRED_SPECIAL_TOKENS + self.special_tokens
