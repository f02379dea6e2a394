"""report.md: the numbers of a report in words and tables."""

from __future__ import annotations

from hunmin.core.estimates import MIN_GROUPS, Estimate
from hunmin.core.tables import markdown_table
from hunmin.core.units import format_bytes
from hunmin.evaluation.results import (
    MODEL,
    NGRAM,
    ORDER_ZERO,
    SYSTEMS,
    TITLES,
    Aggregate,
    Report,
)

HEADER = ("", *(TITLES[s] for s in SYSTEMS), "gain over 5-gram", "documents", "bytes")

EXPLANATION = """\
- **Bits per byte**: bits needed to say a document and where it ends, divided by the bytes of its
  UTF-8 text. Lower is better. It compares models with different tokenizers; it does not compare
  languages, which differ in bytes per character.
- **Order-0 bytes** knows only how often each byte occurs. **Byte 5-gram** predicts each byte from
  the four before it. Both learnt from the same train split and see a document's end as the model
  does. A model that does not clearly beat the 5-gram has learnt little.
- **[low, high]**: 95 % bootstrap interval. Documents of one group (sentences of one template, or
  parts of one page) resemble each other, so whole groups are resampled. It covers the choice of
  documents, not the training seed. With fewer than {min_groups} groups none is given.
- **Gain over 5-gram**: bits per byte saved, on the same resamples; above 0 the model is better.
- Loss and perplexity per token compare only models with the same tokenizer."""


def report_markdown(report: Report, *, has_loss_curve: bool) -> str:
    """Return report.md.

    Args:
        report: The numbers.
        has_loss_curve: Whether a plot of the training loss lies beside it.

    Returns:
        Markdown that links the plots by relative path.
    """
    loss_plot = ["![Loss during training](loss.svg)", ""] if has_loss_curve else []
    languages = sorted(report.by_language.items())
    lines = [
        "# Evaluation report",
        "",
        _headline(report),
        "",
        *markdown_table(HEADER, [_row("**all**", report.overall), _mean_row(report)]),
        "",
        _loss_sentence(report.overall),
        "",
        "![Bits per byte by language](languages.svg)",
        "",
        *loss_plot,
        "## By language",
        "",
        *markdown_table(HEADER, [_row(name, aggregate) for name, aggregate in languages]),
        "",
        "## By source",
        "",
        *markdown_table(
            HEADER, [_row(name, aggregate) for name, aggregate in report.by_source.items()]
        ),
        "",
        "## How to read this",
        "",
        EXPLANATION.format(min_groups=MIN_GROUPS),
        "",
        "## What was measured",
        "",
        *_provenance(report),
        "",
    ]
    return "\n".join(lines)


def _headline(report: Report) -> str:
    values = {system: _value(report.overall, system) for system in SYSTEMS}
    gain = report.overall.gain_over_ngram
    side = "below" if gain.value >= 0 else "above"
    return (
        f"The model needs **{values[MODEL]:.3f} bits per byte** on held-out text, "
        f"{abs(gain.value):.3f} {side} the byte 5-gram ({values[NGRAM]:.3f}); "
        f"order-0 bytes need {values[ORDER_ZERO]:.3f}{_doubt(gain)}. It is better than the 5-gram "
        f"in {report.num_languages_won()} of {len(report.by_language)} languages."
    )


def _doubt(gain: Estimate) -> str:
    if gain.low is None or gain.high is None:
        return " (too few groups of documents to say how sure the difference is)"
    return "" if gain.low * gain.high > 0 else " (the interval of the difference includes zero)"


def _loss_sentence(overall: Aggregate) -> str:
    scores = overall.scores[MODEL]
    loss, perplexity = scores.loss_per_token, scores.perplexity_per_token
    if loss is None or perplexity is None:
        return ""
    return (
        f"Loss {_with_interval(loss)} nats per token, perplexity "
        f"{_with_interval(perplexity)}, over {overall.num_tokens:,} tokens."
    )


def _provenance(report: Report) -> list[str]:
    overall, baselines = report.overall, report.baselines
    return [
        f"- {overall.num_documents:,} of {report.num_available_documents:,} documents of the "
        f"{report.split} split, in {overall.num_groups:,} groups, {overall.num_bytes:,} bytes, "
        f"{overall.num_tokens:,} tokens.",
        f"- Baselines: {baselines.num_bytes:,} of {baselines.num_available_bytes:,} bytes of the "
        f"train split ({baselines.num_documents:,} documents, {baselines.num_ngrams:,} distinct "
        f"5-grams). {baselines.smoothing}.",
        f"- Intervals: {report.num_resamples:,} resamples.",
        f"- Model {report.model[:12]}, documents {report.documents[:12]} (digests); "
        f"computed in {report.precision}.",
        "- Scores of every document: `documents.parquet`; all numbers here: `report.json`.",
    ]


def _row(name: str, aggregate: Aggregate) -> tuple[str, ...]:
    return (
        name,
        *(_with_interval(aggregate.scores[system].bits_per_byte) for system in SYSTEMS),
        _with_interval(aggregate.gain_over_ngram),
        f"{aggregate.num_documents:,}",
        format_bytes(aggregate.num_bytes),
    )


def _mean_row(report: Report) -> tuple[str, ...]:
    mean = report.language_mean
    scores = [_with_interval(mean.bits_per_byte[system]) for system in SYSTEMS]
    return (f"mean of {mean.num_languages} languages", *scores, "", "", "")


def _value(aggregate: Aggregate, system: str) -> float:
    return aggregate.scores[system].bits_per_byte.value


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} {interval_text(estimate)}".rstrip()


def interval_text(estimate: Estimate) -> str:
    """Return "[1.202, 1.301]", or nothing where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{estimate.low:.3f}, {estimate.high:.3f}]"
