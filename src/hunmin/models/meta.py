"""Models without memory: shapes and names on the meta device, for those that no host can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hunmin.models.architecture import language_model_class
from hunmin.models.sequences import drop_unread_tables


def build_meta_model(
    config: PreTrainedConfig, *, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """Build a model whose parameters have shapes and no memory.

    Args:
        config: Of any architecture of transformers. Its `architectures` decide which class is
            built; without them encoder-decoders get their language model head, decoders the
            causal one and encoders the masked one.
        dtype: Type of the weights; that of the configuration if None.

    Returns:
        The model in training mode, its parameters on the meta device. Buffers (rotary
        frequencies, position ids) are on the CPU with their values: they are small, and no file
        of weights has them.

    Raises:
        InputError: transformers has no language model of this kind.
    """
    settings: dict[str, Any] = {"dtype": dtype or config.dtype or torch.float32}
    with torch.random.fork_rng(devices=[]), _parameters_on_meta():
        model: PreTrainedModel = _model_class(config)._from_config(config, **settings)
    drop_unread_tables(model)
    return model.train()


def _model_class(config: PreTrainedConfig) -> Any:
    names = config.architectures or []
    named = getattr(transformers, str(names[0]), None) if names else None
    # A name from a file: nothing but a model may be called.
    if isinstance(named, type) and issubclass(named, PreTrainedModel):
        return named
    return language_model_class(config)


@contextlib.contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Let go of each parameter's memory as soon as a module registers it, before it is filled.

    `torch.device("meta")` would take the buffers' values as well.
    """
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        register(module, name, parameter)
        if parameter is not None and not parameter.is_meta:
            shape_only = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
            register(module, name, shape_only)

    nn.Module.register_parameter = register_on_meta  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]
