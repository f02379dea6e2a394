"""The part of a recipe that trains as a plan says."""

from __future__ import annotations

import re

from hunmin.core.units import format_count
from hunmin.models.presets import DIAL_PRESET, PRESETS
from hunmin.planner.shape import ModelShape
from hunmin.planner.strategy import Strategy


def recipe_lines(strategy: Strategy, shape: ModelShape, tokens: int | None = None) -> list[str]:
    """Return the sections of a recipe that train with this strategy, to be pasted.

    Args:
        strategy: What to train with.
        shape: The model; a `model` section is written if hunmin has it by this name.
        tokens: Of the whole run; None leaves the duration out.

    Returns:
        Lines of YAML: model, data, train and parallel.

    Note:
        What hunmin cannot do, such as fp16 and pipelines, becomes a comment.
    """
    return [
        *_comments(strategy),
        *_model(shape),
        f"data: {{context: {shape.context}}}",
        "train:",
        *_section(_train(strategy, shape, tokens)),
        "parallel:",
        *_section(_parallel(strategy)),
    ]


def _comments(strategy: Strategy) -> list[str]:
    comments = []
    if strategy.precision == "fp16":
        comments.append("# hunmin trains in bf16 or fp32, not in fp16 as planned here")
    if strategy.recompute == "attention":
        comments.append("# hunmin never keeps attention scores, so nothing of them is recomputed")
    if strategy.pipeline > 1:
        comments.append("# hunmin has no pipelines: these sections are those of one stage")
    return comments


def _model(shape: ModelShape) -> list[str]:
    if shape.name in PRESETS:
        return [f"model: {{preset: {shape.name}}}"]
    size = re.fullmatch(rf"{DIAL_PRESET}-([0-9.]+[kmbt])", shape.name)
    if size is None:
        return []
    comment = f"  # planned with a vocabulary of {shape.vocab_size:,}"
    return [f"model: {{preset: {DIAL_PRESET}, size: {size[1].upper()}}}{comment}"]


def _section(values: dict[str, str]) -> list[str]:
    return [f"  {key}: {value}" for key, value in values.items()]


def _train(strategy: Strategy, shape: ModelShape, tokens: int | None) -> dict[str, str]:
    duration = {} if tokens is None else {"duration": f"{_exact(tokens)} tokens"}
    optimizer = "{kind: muon}" if strategy.optimizer == "muon" else "{kind: adamw}"
    values = {
        **duration,
        "batch_tokens": str(strategy.rows_per_step * shape.context),
        "microbatch_tokens": str(strategy.micro_batch * shape.context),
        "activation_checkpointing": _yes(strategy.recompute == "blocks"),
        "optimizer": optimizer,
    }
    if strategy.loss_chunk is not None:
        values["loss_chunk_tokens"] = str(strategy.loss_chunk)
    if strategy.precision != "fp16":
        values["precision"] = strategy.precision
    return values


def _exact(tokens: int) -> str:
    """Return 300B where that says it all, and all digits elsewhere."""
    short = format_count(tokens)
    suffix = short[-1]
    factor = {"T": 10**12, "B": 10**9, "M": 10**6, "K": 10**3}.get(suffix, 1)
    return short if float(short.rstrip("TBMK")) * factor == tokens else str(tokens)


def _parallel(strategy: Strategy) -> dict[str, str]:
    layout = strategy.layout
    is_whole = layout.partition_group == layout.data_ranks and layout.data_ranks > 1
    values = {"partition_group": "world" if is_whole else str(layout.partition_group)}
    if layout.tensor > 1:
        values["tensor"] = str(layout.tensor)
    if layout.spans_nodes:
        values["hierarchical"] = _yes(layout.hierarchical)
    if layout.replicas > 1:
        values["two_hop"] = _yes(layout.two_hop)
    if layout.partition_group > 1:
        values["reshard_after_forward"] = _yes(strategy.reshard_after_forward)
        values["prefetch"] = str(strategy.prefetch)
    return values


def _yes(value: bool) -> str:
    return "true" if value else "false"
