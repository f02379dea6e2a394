"""What is told of an export: report.json for programs, report.md for people."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.estimates import Estimate
from hunmin.core.spec import Spec
from hunmin.core.tables import markdown_table

SHOWN = 10


class Change(Spec):
    """One utterance that int8 parses in another way."""

    text: str
    """The utterance."""
    locale: str
    """Its locale."""
    before: str
    """Intent and slots by the trained model."""
    after: str
    """Intent and slots by int8."""


class Answers(Spec):
    """How good the answers of one network are."""

    exact_match: Estimate
    """Share of utterances with the right intent and the right slots, in [0, 1]."""
    intent_accuracy: float
    """Share of utterances with the right intent."""
    slot_f1: float | None
    """Of whole slots; None where there is none."""
    largest_difference: float
    """Of any logit from that of the trained model."""
    other_parses: int
    """Utterances with another intent or other slots than by the trained model."""


class NetworkFacts(Spec):
    """One network of the export, or the trained model."""

    file_bytes: int
    """Size of its file; of the trained model, that of its weights."""
    milliseconds: float
    """Median time for one utterance on one thread, without encoding and decoding."""
    answers: Answers
    """On the utterances of the comparison, one by one."""


class Comparison(Spec):
    """int8 beside the trained model, on the same utterances."""

    utterances: int
    """Utterances that were compared."""
    drop_points: Estimate
    """Points of exact match, of 100, that int8 loses; below zero it wins some."""
    broken: int
    """Utterances that the trained model parses right and int8 wrong."""
    fixed: int
    """The other way round."""
    other_parses: int
    """Utterances with another intent or other slots, right or wrong."""
    examples: tuple[Change, ...]
    """Some of them, broken ones first."""


class ExportReport(Spec):
    """An export and what it costs."""

    locales: dict[str, int]
    """Utterances of each locale in the comparison."""
    partition: str
    """Partition they are of."""
    max_drop: float
    """Points of exact match that int8 was allowed to lose."""
    body_parameters: int
    """Parameters without embeddings and heads."""
    embedding_parameters: int
    """Parameters of embeddings."""
    head_parameters: int
    """Parameters of the heads."""
    networks: dict[str, NetworkFacts]
    """torch, float32 and int8."""
    int8: Comparison
    """int8 beside the trained model."""
    batched_other_parses: int
    """Utterances that int8 parses in another way in batches than alone."""

    def write(self, folder: Path) -> None:
        """Write report.json and report.md into a folder."""
        (folder / "report.json").write_text(self.model_dump_json(indent=2), encoding="utf-8")
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        drop = self.int8.drop_points
        interval = "" if drop.low is None else f" (95 %: {drop.low:+.2f} to {drop.high:+.2f})"
        lines = [
            "# Export of an NLU model",
            "",
            f"int8 loses {drop.value:+.2f} points of exact match{interval}; "
            f"{self.max_drop:g} were allowed.",
            f"Of {self.int8.utterances:,} utterances ({self.partition}; "
            f"{', '.join(f'{name} {number}' for name, number in self.locales.items())}) "
            f"{self.int8.broken} broke and {self.int8.fixed} were repaired; "
            f"{self.int8.other_parses} are parsed in another way. In batches, where utterances "
            f"share one scale, {self.batched_other_parses} are parsed otherwise than alone.",
            "",
            *self._table(),
            "",
            f"Parameters: body {self.body_parameters:,}, embeddings "
            f"{self.embedding_parameters:,}, heads {self.head_parameters:,}.",
            "",
            *self._examples(),
        ]
        return "\n".join(lines)

    def _table(self) -> list[str]:
        header = (
            "network", "MB", "ms", "exact match", "intent", "slot F1", "logits differ", "other"
        )  # fmt: skip
        return markdown_table(header, [_row(name, one) for name, one in self.networks.items()])

    def _examples(self) -> list[str]:
        if not self.int8.examples:
            return []
        rows = [
            (_cell(one.text), one.locale, _cell(one.before), _cell(one.after))
            for one in self.int8.examples[:SHOWN]
        ]
        header = ("utterance", "locale", "trained", "int8")
        return ["## Parsed in another way", "", *markdown_table(header, rows), ""]


def _row(name: str, facts: NetworkFacts) -> tuple[str, ...]:
    answers = facts.answers
    return (
        name,
        f"{facts.file_bytes / 1e6:.1f}",
        f"{facts.milliseconds:.2f}",
        f"{answers.exact_match.value:.4f}",
        f"{answers.intent_accuracy:.4f}",
        "-" if answers.slot_f1 is None else f"{answers.slot_f1:.4f}",
        f"{answers.largest_difference:.2g}",
        f"{answers.other_parses}",
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
