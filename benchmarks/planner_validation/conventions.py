"""How publishers turn tokens a second into operations a second: each counts what it likes.

A published "TFLOPS per GPU" or "MFU" means nothing without its counting. N are all parameters, l
layers, h width, s tokens in a row, V vocabulary, all for one token:

    6N                  forward and backward of every parameter, nothing for attention
    8N                  the same, and forward once more for what is computed again
    6N + 12 l h s       and attention over all s keys, whether masked or not (PaLM, llm-foundry)
    72 l h² (1 + s/6h) + 6 h V     matrices of blocks and attention, and the output matrix: what the
                        model needs (Megatron-LM)
    96 l h² (1 + s/6h) + 6 h V     the same with every block computed again: what the machine does
                        (Megatron-LM, Megatron-DeepSpeed); the last term is V/16lh in the bracket
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Recompute

Count = Callable[[ModelShape, Recompute], float]

PEAKS: Mapping[str, float] = MappingProxyType({"V100": 125e12, "A100": 312e12, "H100": 989.5e12})
"""Operations a second that publishers divide by (dense, bf16 or fp16)."""


@dataclass(frozen=True)
class Convention:
    """One way of counting.

    Args:
        name: For tables.
        why: Why we think that a publisher counts so.
        flops: Operations of one token, from the shape and what is computed again.
    """

    name: str
    why: str
    flops: Count


def _six(shape: ModelShape, recompute: Recompute) -> float:
    return 6.0 * shape.parameters


def _eight(shape: ModelShape, recompute: Recompute) -> float:
    return (8.0 if recompute == "blocks" else 6.0) * shape.parameters


def _palm(shape: ModelShape, recompute: Recompute) -> float:
    return 6.0 * shape.parameters + 12.0 * shape.layers * shape.query_width * shape.context


def _megatron_model(shape: ModelShape, recompute: Recompute) -> float:
    return 3.0 * _megatron_blocks(shape) + 6.0 * shape.width * shape.vocab_size


def _megatron_hardware(shape: ModelShape, recompute: Recompute) -> float:
    passes = 4.0 if recompute == "blocks" else 3.0
    return passes * _megatron_blocks(shape) + 6.0 * shape.width * shape.vocab_size


def _megatron_blocks(shape: ModelShape) -> float:
    """Return the operations of all blocks, forward; 24 l h² (1 + s/6h) for a GPT."""
    attention = 4.0 * shape.query_width * shape.context
    return shape.layers * (shape.matrix_flops + attention)


SIX_N = Convention("6N", "model operations without attention", _six)
EIGHT_N = Convention(
    "8N",
    "BloombergGPT: 8 N tokens / (32.5 s * 512) = 102.03, what is published; 6N gives 76.5",
    _eight,
)
PALM = Convention(
    "6N + 12lhs",
    "llm-foundry's collect_results.py: 3 (2 N s + 4 l h s²) for a row, N with embeddings",
    _palm,
)
MEGATRON_MODEL = Convention(
    "72lh²(1+s/6h)+6hV",
    "Korthikanti et al. 2022, model FLOPs; Megatron-Core's TFLOP/s a GPU without recomputation",
    _megatron_model,
)
MEGATRON_HARDWARE = Convention(
    "96lh²(1+s/6h)+6hV",
    "what Megatron-DeepSpeed prints with checkpointed activations; MiCS, SageMaker and the FSDP "
    "paper state shares of the peak that only hardware FLOPs reach",
    _megatron_hardware,
)
