"""Trains both baselines on the train split in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.core.progress import progress
from hunmin.evaluation.byte_models import ByteModel, NgramModel, OrderZeroModel
from hunmin.evaluation.counts import NgramCounter
from hunmin.evaluation.results import NGRAM, ORDER_ZERO, BaselineFacts
from hunmin.evaluation.sample import draw_texts
from hunmin.evaluation.symbols import text_bytes

NGRAM_ORDER = 5
SMOOTHING = (
    "order-0: add one half (Krichevsky & Trofimov 1981); "
    "5-gram: interpolated modified Kneser-Ney (Chen & Goodman 1999)"
)


@dataclass(frozen=True)
class Baselines:
    """The trained baselines by system name, and what they were trained on."""

    models: dict[str, ByteModel]
    facts: BaselineFacts


def train_baselines(documents: Artifact, *, max_bytes: int | None, seed: int) -> Baselines:
    """Train the order-0 and the 5-gram byte model.

    Args:
        documents: A documents artifact.
        max_bytes: Bytes of training text to draw, about; None for all.
        seed: Seed of the draw.

    Returns:
        Both models.

    Raises:
        EmptyCorpusError: The train split has no document.
    """
    texts, available = draw_texts(documents, max_bytes=max_bytes, seed=seed)
    counter = NgramCounter(NGRAM_ORDER)
    total = available if max_bytes is None else min(available, max_bytes)
    with progress("training byte baselines", total=total, unit="B") as bar:
        for piece in texts:
            data, lengths = text_bytes(piece)
            counter.add(data, lengths)
            bar.advance(data.size)
    table = counter.table()
    if table.keys.size == 0:
        raise EmptyCorpusError(
            "there is no training document to fit the baselines on",
            where=documents.path,
            hint="raise evaluate.max_baseline_bytes, or give the corpus more documents",
        )
    ngram = NgramModel.from_counts(table, NGRAM_ORDER)
    facts = BaselineFacts(
        order=NGRAM_ORDER,
        smoothing=SMOOTHING,
        num_documents=counter.num_documents,
        num_bytes=counter.num_bytes,
        num_available_bytes=available,
        num_ngrams=ngram.num_ngrams,
    )
    return Baselines({NGRAM: ngram, ORDER_ZERO: OrderZeroModel.from_counts(table)}, facts)
