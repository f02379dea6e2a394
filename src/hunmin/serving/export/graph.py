"""From torch to a float32 ONNX file."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.serving.nlu.network import INPUTS, OUTPUTS

OPSET = 20
"""LayerNormalization and Gelu are operators of their own from here on."""
EXAMPLE_SHAPE = (2, 3)


def write_graph(network: nn.Module, file: Path, *, max_tokens: int) -> None:
    """Write a network with batch and length left open.

    Args:
        network: Of ids and mask (B, T) to intent_logits (B, I) and slot_logits (B, T, S), on the
            CPU in float32 and evaluation mode. Its attention is set to the plain implementation.
        file: The file.
        max_tokens: The greatest length.

    Raises:
        InputError: The architecture cannot be exported; the message says what stood in the way.
        MissingExtraError: onnx or onnxscript are not installed.
    """
    for package in ("onnx", "onnxscript"):
        require(package, extra="export")
    _make_plain(network)
    ids = torch.ones(EXAMPLE_SHAPE, dtype=torch.int64)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=max_tokens)
    try:
        with torch.no_grad(), _quietly():
            torch.onnx.export(
                network,
                (ids, mask),
                file,
                input_names=INPUTS,
                output_names=OUTPUTS,
                dynamic_shapes=({0: batch, 1: length},) * len(INPUTS),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            "this architecture cannot be exported to ONNX",
            given=_reason(error),
            hint="take another body: RoBERTa and ModernBERT are tested",
        ) from error


def _make_plain(network: nn.Module) -> None:
    """Choose the attention that gives the smallest graph, which is no slower in ONNX Runtime."""
    for module in network.modules():
        if isinstance(module, PreTrainedModel):
            module.set_attn_implementation("eager")
            module.config.use_cache = False
            return


def _reason(error: BaseException) -> str:
    """Return the first line of what began it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().split("\n", 1)[0][:200]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what exporters say of their inside and of packages that they could use."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
