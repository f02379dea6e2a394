"""The shape of a transformer: what decides its parameters, operations and activations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Attention = Literal["fused", "plain"]
"""fused: the score matrix is never stored (FlashAttention); plain: it is written and read."""
AttentionBiases = Literal["none", "qkv", "all"]
"""Which matrices of attention have biases in a model that has none elsewhere."""


@dataclass(frozen=True)
class ModelShape:
    """One transformer of equal blocks.

    Args:
        name: For people.
        layers: Blocks.
        width: Size of a hidden state, h.
        heads: Query heads.
        kv_heads: Key and value heads, a divisor of `heads`.
        head_dim: Width of a head.
        feedforward: Hidden size of the feed-forward layer.
        vocab_size: Rows of the embedding.
        context: Tokens in a row, s.
        is_gated: Whether the feed-forward layer has a third matrix (SwiGLU).
        is_tied: Whether the output matrix is the embedding.
        is_causal: Whether a token sees only those before it.
        positions: Rows of a learned position embedding; 0 without one.
        has_biases: Whether matrices and norms have biases.
        attention_biases: Which matrices of attention have some where `has_biases` is false (Qwen2).
        has_qk_norms: Whether each head's queries and keys are normed (Qwen3).
        block_norms: Norms of a block besides these, over the width.
        has_embedding_norm: Whether the embedding is normed (BLOOM, BERT).
    """

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    feedforward: int
    vocab_size: int
    context: int
    is_gated: bool = False
    is_tied: bool = True
    is_causal: bool = True
    positions: int = 0
    has_biases: bool = True
    attention_biases: AttentionBiases = "none"
    has_qk_norms: bool = False
    block_norms: int = 2
    has_embedding_norm: bool = False

    @property
    def query_width(self) -> int:
        """Outputs of the query projection."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Outputs of the key projection, and of the value projection."""
        return self.kv_heads * self.head_dim

    @property
    def block_matrices(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each matrix product of a block, in their order."""
        up = (2 if self.is_gated else 1) * self.feedforward
        return (
            (self.width, self.query_width + 2 * self.kv_width),
            (self.query_width, self.width),
            (self.width, up),
            (self.feedforward, self.width),
        )

    @property
    def block_biases(self) -> int:
        """Biases of a block's matrices."""
        qkv = self.query_width + 2 * self.kv_width
        some = {"none": 0, "qkv": qkv, "all": qkv + self.width}
        every = sum(outputs for _, outputs in self.block_matrices)
        return every if self.has_biases else some[self.attention_biases]

    @property
    def norm_parameters(self) -> int:
        """Parameters of one norm over the width."""
        return (2 if self.has_biases else 1) * self.width

    @property
    def block_parameters(self) -> int:
        """Parameters of a block: matrices, biases and norms."""
        matrices = sum(inputs * outputs for inputs, outputs in self.block_matrices)
        norms = self.block_norms * self.norm_parameters + 2 * self.head_dim * self.has_qk_norms
        return matrices + self.block_biases + norms

    @property
    def outside_norms(self) -> int:
        """Parameters of the norms outside of the blocks."""
        return (1 + self.has_embedding_norm) * self.norm_parameters

    @property
    def outside_parameters(self) -> int:
        """Parameters outside of the blocks: embeddings, output matrix, norms."""
        tables = (1 if self.is_tied else 2) * self.vocab_size + self.positions
        return tables * self.width + self.outside_norms

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.block_parameters + self.outside_parameters

    @property
    def matrix_flops(self) -> float:
        """Operations of a block's matrix products, forward, for one token."""
        return 2.0 * sum(inputs * outputs for inputs, outputs in self.block_matrices)

    @property
    def attention_flops(self) -> float:
        """Operations of a block's attention, forward, for one token: half if it is causal."""
        keys = self.context / 2 if self.is_causal else self.context
        return 4.0 * self.query_width * keys

    @property
    def output_flops(self) -> float:
        """Operations of the output matrix, forward, for one token."""
        return 2.0 * self.width * self.vocab_size

    @property
    def _inner_flops(self) -> float:
        """Operations of all but the output matrix, forward, for one token.

        Biases and norms are counted like matrices, as `models.flops` does.
        """
        inner = self.layers * self.block_parameters + self.outside_norms
        return 2.0 * inner + self.layers * self.attention_flops

    @property
    def train_flops(self) -> float:
        """Operations that forward and backward of one token need, as `models.flops` counts."""
        return 3.0 * (self._inner_flops + self.output_flops)

    def hardware_flops(self, *, recomputes: bool) -> float:
        """Return the operations done for one token, with what is computed again."""
        return self.train_flops + (self._inner_flops if recomputes else 0.0)

    def with_context(self, context: int) -> ModelShape:
        """Return the same model with rows of another length."""
        positions = max(self.positions, context) if self.positions else 0
        return replace(self, context=context, positions=positions)


def gpt2_shape(
    name: str, *, layers: int, width: int, heads: int, vocab_size: int, context: int
) -> ModelShape:
    """Return the shape of a GPT-2 or GPT-3 like model: learned positions, a feed-forward of 4h."""
    return ModelShape(
        name=name,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        feedforward=4 * width,
        vocab_size=vocab_size,
        context=context,
        positions=context,
    )
