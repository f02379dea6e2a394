"""What a report says, as checked data: the layout of report.json."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.estimates import Estimate
from hunmin.core.spec import Spec

REPORT_NAME = "report.json"
SCORES_NAME = "documents.parquet"
MODEL = "model"
NGRAM = "byte_5gram"
ORDER_ZERO = "byte_order0"
SYSTEMS = (MODEL, NGRAM, ORDER_ZERO)
TITLES = {MODEL: "model", NGRAM: "byte 5-gram", ORDER_ZERO: "order-0 bytes"}


class SystemScores(Spec):
    """How well one system predicts some documents; lower is better everywhere."""

    bits_per_byte: Estimate
    """Bits to say a document and its end, per byte of its UTF-8 text."""
    loss_per_token: Estimate | None = None
    """Nats per token, the end of text included; only for a system with tokens."""
    perplexity_per_token: Estimate | None = None
    """exp(loss per token); comparable only between models with one tokenizer."""


class Aggregate(Spec):
    """Scores over one set of documents."""

    num_documents: int
    """Documents scored."""
    num_groups: int
    """Independent groups of documents; the unit that the intervals resample."""
    num_bytes: int
    """UTF-8 bytes of their texts."""
    num_tokens: int
    """Tokens the model predicted, one end of text for each document included."""
    scores: dict[str, SystemScores]
    """By system: model, byte_5gram, byte_order0."""
    gain_over_ngram: Estimate
    """Bits per byte of the byte 5-gram less those of the model, on the same resamples."""


class LanguageMean(Spec):
    """Mean over languages, each with the same weight."""

    num_languages: int
    """Languages in the mean."""
    bits_per_byte: dict[str, Estimate]
    """By system."""


class BaselineFacts(Spec):
    """What the baselines were trained on."""

    order: int
    """Symbols per n-gram."""
    smoothing: str
    """Names of the estimates."""
    num_documents: int
    """Training documents."""
    num_bytes: int
    """Bytes of their texts."""
    num_available_bytes: int
    """Bytes of the whole train split; more than `num_bytes` where a cap applied."""
    num_ngrams: int
    """Distinct n-grams of the highest order."""


class Report(Spec):
    """All numbers of a report."""

    format: int = 1
    """Version of this layout."""
    split: str
    """The split that was scored."""
    model: str
    """Digest of the model."""
    documents: str
    """Digest of the documents."""
    precision: str
    """Arithmetic of the model's matrix products: bf16 or fp32."""
    num_available_documents: int
    """Documents of the split; more than were scored where a cap applied."""
    num_resamples: int
    """Bootstrap resamples behind each interval."""
    baselines: BaselineFacts
    """What the baselines were trained on."""
    overall: Aggregate
    """All documents together."""
    language_mean: LanguageMean
    """Mean over languages."""
    by_language: dict[str, Aggregate]
    """By BCP 47 tag."""
    by_source: dict[str, Aggregate]
    """By source of the corpus."""

    def num_languages_won(self) -> int:
        """Return in how many languages the model needs fewer bits than the byte 5-gram."""
        return sum(found.gain_over_ngram.value > 0 for found in self.by_language.values())


def read_report(folder: Path) -> Report:
    """Read the numbers of a report artifact.

    Args:
        folder: The artifact's folder.

    Returns:
        The report.

    Raises:
        CorruptArtifactError: report.json is missing or has another layout.
    """
    file = folder / REPORT_NAME
    try:
        return Report.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise CorruptArtifactError(
            "the numbers of the report cannot be read",
            where=file,
            hint="run the evaluate stage again",
        ) from error
