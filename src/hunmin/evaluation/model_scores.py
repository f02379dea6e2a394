"""Scores texts with a language model: every token once, the end of text included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from hunmin.core.artifact import Artifact
from hunmin.core.progress import progress
from hunmin.data.batch import IGNORED_LABEL
from hunmin.data.scoring import ScoringBatch, pack_documents
from hunmin.data.spec import MIN_CONTEXT
from hunmin.evaluation.spec import EvaluateSpec
from hunmin.models.devices import explain_out_of_memory, pick_device
from hunmin.models.load import load_model
from hunmin.models.loss import token_nll
from hunmin.models.optimize import optimize_model
from hunmin.models.precision import autocast, choose_precision
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXTS_AT_ONCE = 16_384
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ModelScores:
    """Scores of texts by a language model.

    Args:
        nats: Negative log-likelihood of each text and its end.
        num_tokens: Tokens of each text, its end included.
        precision: bf16 or fp32, the arithmetic of the matrix products.
    """

    nats: Floats
    num_tokens: Counts
    precision: str


def score_texts(model: Artifact, texts: Sequence[str], spec: EvaluateSpec) -> ModelScores:
    """Score texts with a model.

    Args:
        model: A model artifact; its folder also holds the tokenizer.
        texts: Whole documents.
        spec: Precision and size of the forward passes.

    Returns:
        One score per text.

    Raises:
        OutOfMemoryError: A forward pass does not fit.

    Note:
        A text longer than the context is read in windows that overlap by half, so that each token
        but those of the first window has at least half a context before it.
    """
    scorer = _Scorer(model, spec)
    parts: list[tuple[Floats, Counts]] = [(np.zeros(0), np.zeros(0, np.int64))]
    with (
        progress("scoring documents", total=len(texts), unit="documents") as bar,
        explain_out_of_memory("lower evaluate.microbatch_tokens"),
    ):
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            piece = texts[start : start + TEXTS_AT_ONCE]
            parts.append(scorer.score(piece))
            bar.advance(len(piece))
    nats, num_tokens = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return ModelScores(nats, num_tokens, scorer.precision)


class _Scorer:
    """A loaded model, its tokenizer and the shape of its batches."""

    def __init__(self, model: Artifact, spec: EvaluateSpec) -> None:
        self.device = pick_device()
        self.precision = choose_precision(spec.precision, self.device, where="evaluate.precision")
        self.tokenizer: TextTokenizer = load_tokenizer(model.path)
        self.model: PreTrainedModel = optimize_model(load_model(model.path, device=self.device))
        positions = int(self.model.config.max_position_embeddings)
        # Short texts fill long rows only at the price of attention between rows of padding.
        self.context = max(MIN_CONTEXT, min(positions, spec.microbatch_tokens))
        self.batch_size = max(1, spec.microbatch_tokens // self.context)

    def score(self, texts: Sequence[str]) -> tuple[Floats, Counts]:
        """Return the nats and the number of tokens of each text."""
        ids = self.tokenizer.encode_batch(texts)
        nats = np.zeros(len(texts))
        for batch in self._batches(ids):
            values, documents = self._score_batch(batch)
            nats += np.bincount(documents, weights=values, minlength=len(texts))
        return nats, np.array([len(document) + 1 for document in ids], np.int64)

    def _batches(self, ids: Sequence[npt.NDArray[Any]]) -> Iterator[ScoringBatch]:
        return pack_documents(
            ids,
            context=self.context,
            batch_size=self.batch_size,
            boundary_id=self.tokenizer.boundary_id,
            stride=self.context // 2,
        )

    @torch.inference_mode()
    def _score_batch(self, batch: ScoringBatch) -> tuple[Floats, Counts]:
        scored = batch.labels != IGNORED_LABEL
        with autocast(self.precision, self.device):
            nats = token_nll(self.model, batch.to(self.device)).cpu()
        return nats[scored].double().numpy(), batch.document_index[scored].numpy()
