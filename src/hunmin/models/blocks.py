"""A model's repeated blocks, found as the model itself names them."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from hunmin.core.errors import InputError


def transformer_blocks(model: PreTrainedModel) -> list[nn.Module]:
    """Return the modules that its `_no_split_modules` names, in the order of the model.

    A layer whose activations can be recomputed is a block too, if it is not in a named one.

    Args:
        model: Any model of transformers.

    Returns:
        Blocks that share no parameter with the rest of the model and do not lie in one another;
        for encoder-decoders those of the encoder come first.
    """
    names = set(model._no_split_modules or ())
    named = [module for module in model.modules() if type(module).__name__ in names]
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    # RoBERTa-PreLayerNorm names a part of its layers, ELECTRA and DistilBERT name nothing.
    found = {id(module) for module in [*named, *layers]}
    blocks = [module for module in model.modules() if id(module) in found]
    inner = {id(child) for block in blocks for child in block.modules() if child is not block}
    return [b for b in blocks if id(b) not in inner and not _is_shared(b, model)]


def require_blocks(model: PreTrainedModel) -> list[nn.Module]:
    """Return the blocks of a model that is to be spread over devices.

    Args:
        model: Any model of transformers.

    Returns:
        At least one block.

    Raises:
        InputError: The model names none.
    """
    blocks = transformer_blocks(model)
    if not blocks:
        raise InputError(
            "this model does not name its blocks, so it cannot be spread over devices",
            given=f"{type(model).__name__}, _no_split_modules {model._no_split_modules}",
            allowed="a model of transformers whose class names them",
            hint="train it on one device, or choose another architecture",
        )
    return blocks


def _is_shared(block: nn.Module, model: nn.Module) -> bool:
    """Whether a parameter of the block is used elsewhere, as tied embeddings are."""
    own = {id(parameter) for parameter in block.parameters()}
    inside = {id(module) for module in block.modules()}
    return any(
        id(parameter) in own
        for module in model.modules()
        if id(module) not in inside
        for parameter in module.parameters(recurse=False)
    )
