"""Floating-point operations of training, for model-FLOPs utilisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig

from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of
from hunmin.models.build import count_parameters
from hunmin.models.outputs import output_width

MASKED_SHARE = 0.15
"""Tokens that a masked language model is asked for (BERT)."""


@dataclass(frozen=True)
class TokenFlops:
    """Operations of training on one token.

    Args:
        of_model: What forward and backward need.
        of_hardware: What is done, with what is computed again.
    """

    of_model: float
    of_hardware: float

    @classmethod
    def of(cls, config: PreTrainedConfig, context: int, *, recomputes: bool = False) -> TokenFlops:
        """Return both for a model; see the functions below."""
        hardware = hardware_flops_per_token(config, context, recomputes=recomputes)
        return cls(train_flops_per_token(config, context), hardware)


def train_flops_per_token(config: PreTrainedConfig, context: int) -> float:
    """Return the operations that forward and backward of one token need.

        6 * (matrices of all blocks + output matrix) + 6 * layers * heads * head size * context

    An encoder attends in both directions, which doubles its attention, but for layers that look
    near by only. Its output matrix meets one token in seven: 15 % are masked. Of an encoder-decoder
    this is the work for one token read and one written.

    A multiplication with an addition is two operations; backward takes twice as many as forward,
    hence 6 for each entry of a matrix. The table look-up of the input embedding costs none; the
    output matrix counts even where it is the same matrix. In attention a token meets context / 2
    keys on average (causal), in two products: 2 * 2 * 3 * context / 2 for each head component.

    Args:
        config: Configuration of a language model.
        context: Tokens in a row.

    Returns:
        Operations a token.

    Note:
        What packing saves (documents shorter than the row) and what checkpointing repeats is not
        counted: this is the work of the model, not of the machine.

    Source:
        PaLM (arXiv:2204.02311), appendix B; half of its attention term, since half is masked.
    """
    blocks, output = _multiplications(config, context)
    return float(6 * (blocks + output))


def hardware_flops_per_token(config: PreTrainedConfig, context: int, *, recomputes: bool) -> float:
    """Return the operations that the machine does for one token, for hardware-FLOPs utilisation.

        train_flops_per_token, and 2 * (matrices and attention of all blocks) once more where their
        activations are computed again in the backward pass

    So HFU is MFU without activation checkpointing, and up to 4/3 of it with. Published "TFLOPS"
    often count this.

    Args:
        config: Configuration of a language model.
        context: Tokens in a row.
        recomputes: Whether the activations of every block are computed again (checkpointing).

    Returns:
        Operations a token.

    Note:
        The output matrix is outside the blocks and its products are never computed again (see
        `models.loss`): with a large vocabulary the factor stays below 4/3. What attention kernels
        compute again inside is not counted, as usual; nor is it taken off that torch leaves out
        the last product of a block, whose result nobody needs.

    Source:
        Korthikanti et al. 2022 (arXiv:2205.05198) tell HFU from MFU so; FLOPs as above.
    """
    blocks, _ = _multiplications(config, context)
    return train_flops_per_token(config, context) + (2.0 * blocks if recomputes else 0.0)


def _multiplications(config: PreTrainedConfig, context: int) -> tuple[int, int]:
    """Return the multiplications of one token in one forward pass: of the blocks, of the output."""
    layout = layout_of(config)
    text: Any = config.get_text_config() if layout is Layout.NEXT_TOKEN else config
    head_dim = getattr(text, "head_dim", None) or getattr(text, "d_kv", None)
    inner = text.num_attention_heads * (head_dim or text.hidden_size // text.num_attention_heads)
    attention = inner * _keys(text, layout, context)
    scored = MASKED_SHARE if layout is Layout.ALIGNED else 1.0
    output = round(scored * text.vocab_size * output_width(config))
    return count_parameters(config).non_embedding + attention, output


def _keys(config: Any, layout: Layout, context: int) -> int:
    """Keys that a token meets in all layers together, counted for each of two products.

    A causal token meets half of the context on average.
    """
    layers: int = config.num_hidden_layers
    if layout is Layout.NEXT_TOKEN:
        return layers * context
    if layout is Layout.SEQUENCE:
        decoder_layers = getattr(config, "decoder_layers", None) or config.num_decoder_layers
        return 2 * layers * context + (1 + 2) * int(decoder_layers) * context
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * layers
    num_local = kinds.count("sliding_attention")
    near = min(context, 2 * config.sliding_window + 1) if num_local else context
    return 2 * ((layers - num_local) * context + num_local * near)
