"""From hidden states to logits: what a model's head does, in two steps that a loss can take apart.

    hidden states ─> output_features ─> features @ matrix.T + bias = logits

A decoder's features are its hidden states; a masked head has a layer of its own before the matrix.

Shapes: N tokens, D width, F features (D, or the width of factorised embeddings), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn.functional import gelu
from transformers import PreTrainedConfig, PreTrainedModel

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of

_LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling")


def output_features(model: PreTrainedModel, hidden_ND: Tensor) -> Tensor:
    """Return what the output matrix is multiplied with.

    Args:
        model: A language model of any layout.
        hidden_ND: Last hidden states, shape (..., D).

    Returns:
        Shape (..., F).

    Raises:
        InputError: Nobody knows what this model's head does.
    """
    if layout_of(model.config) is Layout.ALIGNED:
        return _masked_head(model)(hidden_ND)
    if getattr(model.config, "scale_decoder_outputs", False):
        # T5 v1.0: the table is also the output matrix, and its entries are about 1 in size.
        scale: float = model.config.d_model**-0.5
        return hidden_ND * scale
    return hidden_ND


def output_projection(model: PreTrainedModel) -> tuple[Tensor, Tensor | None]:
    """Return what maps features to logits.

    Args:
        model: A language model of any layout.

    Returns:
        The matrix, shape (V, F), and the bias, shape (V), or None.

    Raises:
        InputError: The model computes its logits in another way.
    """
    changes = {name: getattr(model.config, name, None) for name in _LOGIT_CHANGES}
    projection: Any = model.get_output_embeddings()
    if any(value not in (None, 1.0) for value in changes.values()) or projection is None:
        raise InputError(
            "the chunked loss needs plain logits: a product with a matrix, no scale, no soft cap",
            where=type(model).__name__,
            given=f"{projection}, {changes}",
            allowed="a language model such as Qwen3, ModernBERT, XLM-R, mBART or T5",
        )
    bias: Tensor | None = getattr(projection, "bias", None)
    beside = getattr(model, "final_logits_bias", None)
    return projection.weight, bias if beside is None else beside.reshape(-1)


def output_width(config: PreTrainedConfig) -> int:
    """Return F: the width of the embeddings where they are factorised, else that of the model."""
    layout = layout_of(config)
    factorised = getattr(config, "embedding_size", None) if layout is Layout.ALIGNED else None
    return int(factorised or config.hidden_size)


def _masked_head(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    for find in (_roberta_head, _bert_head, _modernbert_head, _electra_head, _named_head):
        head = find(model)
        if head is not None:
            return head
    raise InputError(
        "hunmin does not know what the head of this encoder does before its output matrix",
        given=type(model).__name__,
        allowed="BERT, RoBERTa, XLM-R, RoBERTa-PreLayerNorm, ModernBERT, EuroBERT, DistilBERT, "
        "ELECTRA, ALBERT and models with the head of one of them",
        hint="start from another model",
    )


def _roberta_head(model: Any) -> Callable[[Tensor], Tensor] | None:
    """RoBERTa, XLM-R, RoBERTa-PreLayerNorm, CamemBERT; a bare matrix as in EuroBERT."""
    head = getattr(model, "lm_head", None)
    if head is None:
        return None
    if head is model.get_output_embeddings():
        return lambda hidden: hidden
    if not (hasattr(head, "dense") and hasattr(head, "layer_norm")):
        return None
    return lambda hidden: head.layer_norm(gelu(head.dense(hidden)))


def _bert_head(model: Any) -> Callable[[Tensor], Tensor] | None:
    """BERT and DeBERTa; not MobileBERT, whose matrix is put together from two."""
    predictions = getattr(getattr(model, "cls", None), "predictions", None)
    if predictions is None or hasattr(predictions, "dense"):
        return None
    is_plain = getattr(predictions, "decoder", None) is model.get_output_embeddings()
    transform: Any = getattr(predictions, "transform", None)
    return transform if is_plain and model.config.model_type != "mobilebert" else None


def _modernbert_head(model: Any) -> Callable[[Tensor], Tensor] | None:
    is_known = model.config.model_type == "modernbert"
    return model.head if is_known else None


def _electra_head(model: Any) -> Callable[[Tensor], Tensor] | None:
    return getattr(model, "generator_predictions", None)


def _named_head(model: Any) -> Callable[[Tensor], Tensor] | None:
    if model.config.model_type == "distilbert":
        return lambda hidden: model.vocab_layer_norm(
            model.activation(model.vocab_transform(hidden))
        )
    if model.config.model_type == "albert":
        head = model.predictions
        return lambda hidden: head.LayerNorm(head.activation(head.dense(hidden)))
    return None
