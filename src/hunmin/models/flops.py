"""Floating-point operations of training, for model-FLOPs utilisation."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig

from hunmin.models.build import count_parameters


def train_flops_per_token(config: PreTrainedConfig, context: int) -> float:
    """Return the operations that forward and backward of one token need.

        6 * (matrices of all blocks + output matrix) + 6 * layers * heads * head size * context

    A multiplication with an addition is two operations; backward takes twice as many as forward,
    hence 6 for each entry of a matrix. The table look-up of the input embedding costs none; the
    output matrix counts even where it is the same matrix. In attention a token meets context / 2
    keys on average (causal), in two products: 2 * 2 * 3 * context / 2 for each head component.

    Args:
        config: Configuration of a causal language model.
        context: Tokens in a row.

    Returns:
        Operations a token.

    Note:
        What packing saves (documents shorter than the row) and what checkpointing repeats is not
        counted: this is the work of the model, not of the machine.

    Source:
        PaLM (arXiv:2204.02311), appendix B; half of its attention term, since half is masked.
    """
    text: Any = config.get_text_config()
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    output_matrix = text.vocab_size * text.hidden_size
    matrices = count_parameters(config).non_embedding + output_matrix
    attention = text.num_hidden_layers * text.num_attention_heads * head_dim * context
    return float(6 * (matrices + attention))
