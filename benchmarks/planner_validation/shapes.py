"""Shapes of the published models: given ones, and one rule for those of which only a size is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hunmin.planner.shape import ModelShape, gpt2_shape
from planner_validation.rows import assumptions

WIDTH_STEP, HEAD, ASPECT, VOCABULARY = 1024, 128, 128, 51_200


def known_shape(name: str, context: int) -> ModelShape:
    """Return a shape of `assumptions.yaml` with rows of some length."""
    entry: Mapping[str, Any] = assumptions()["shapes"][name]
    shape = _llama_shape(name, entry, context) if entry.get("llama") else _gpt(name, entry, context)
    return replace(shape, positions=entry["positions"]) if "positions" in entry else shape


def _gpt(name: str, entry: Mapping[str, Any], context: int) -> ModelShape:
    return gpt2_shape(
        name,
        layers=entry["layers"],
        width=entry["width"],
        heads=entry["heads"],
        vocab_size=entry["vocab"],
        context=context,
    )


def _llama_shape(name: str, entry: Mapping[str, Any], context: int) -> ModelShape:
    return ModelShape(
        name=name,
        layers=entry["layers"],
        width=entry["width"],
        heads=entry["heads"],
        kv_heads=entry["kv_heads"],
        head_dim=entry["width"] // entry["heads"],
        feedforward=entry["feedforward"],
        vocab_size=entry["vocab"],
        context=context,
        is_gated=True,
        is_tied=False,
        has_biases=False,
    )


def shape_of_size(name: str, parameters: float, context: int) -> ModelShape:
    """Return a GPT of a size by the rule `shape_rule` of `assumptions.yaml`.

    Args:
        name: For people.
        parameters: Published size.
        context: Tokens in a row.

    Returns:
        Layers of 12 h² parameters, width about 128 times their number.
    """
    exact = (ASPECT * parameters / 12) ** (1 / 3)
    width = round(exact / WIDTH_STEP) * WIDTH_STEP
    inside = parameters - (VOCABULARY + context) * width
    return gpt2_shape(
        name,
        layers=2 * round(inside / (2 * 12 * width**2)),
        width=width,
        heads=width // HEAD,
        vocab_size=VOCABULARY,
        context=context,
    )
