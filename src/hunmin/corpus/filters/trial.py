"""Thresholds proposed from named texts, and what each of them does to these and to other texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.progress import progress
from hunmin.corpus.filters.profiles import (
    Profile,
    Rule,
    Threshold,
    lexicon_of,
    nearest_profile,
    shipped_profiles,
    written_scripts,
)
from hunmin.corpus.filters.proposals import (
    ProposalOptions,
    propose_of_documents,
    propose_of_pieces,
)
from hunmin.corpus.filters.propose import LENGTHS, Proposal, put_together
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.statistics import measure
from hunmin.corpus.sources.named import NamedText
from hunmin.text.languages import base_language, language_name, normalize_tag

Kind = Literal["auto", "documents", "pieces"]
_MIN_DOCUMENTS = 20
_ENOUGH_DOCUMENTS = 500
_DOCUMENT_WORDS = 50
_RUNS = 25
TRUSTED = "trusted"


@dataclass(frozen=True)
class SampleFacts:
    """What a sample of texts is made of."""

    texts: int
    """Texts that are not empty."""
    characters: int
    """All of them together."""
    words: int
    """All of them together; characters stand for words where a script parts none."""
    median_words: float
    """Words of the middle text."""
    with_lines: int
    """Texts of more than one line."""
    sources: Mapping[str, int]
    """Texts by source."""
    kind: Literal["documents", "pieces"]
    """`documents` are measured as they are, `pieces` (sentences, paragraphs) put together first."""


@dataclass(frozen=True)
class RuleTrial:
    """What one rule does, whatever the others do."""

    statistic: str
    """What it judges by."""
    min: float | None
    """Smallest value that is kept."""
    max: float | None
    """Largest value that is kept."""
    is_proposed: bool
    """Whether the proposal set it; else it is the package's own."""
    dropped: Mapping[str, float]
    """Share of the documents dropped, by sample."""


@dataclass(frozen=True)
class Trial:
    """A proposal and what it does."""

    proposal: Proposal
    """Thresholds; save them with `proposal.save`."""
    facts: Mapping[str, SampleFacts]
    """What the samples are, `trusted` first."""
    documents: Mapping[str, int]
    """Documents that were judged, by sample."""
    rules: tuple[RuleTrial, ...]
    """Every rule with a limit, in the order in which they are asked."""
    dropped: Mapping[str, float]
    """Share that all rules together drop, by sample."""
    dropped_without: Mapping[str, float]
    """The same with the package's thresholds for this language."""
    held_out: float | None
    """Share of a fifth of the trusted documents that thresholds from the other four drop; None for
    too small a sample."""
    notes: tuple[str, ...]
    """What to know before trusting the proposal."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "language": self.proposal.profile.language,
            "samples": {name: asdict(facts) for name, facts in self.facts.items()},
            "documents": dict(self.documents),
            "rules": [asdict(rule) for rule in self.rules],
            "dropped": dict(self.dropped),
            "dropped_with_thresholds_of_the_package": dict(self.dropped_without),
            "dropped_of_held_out_fifth": self.held_out,
            "stop_words": list(self.proposal.profile.stop_words),
            "notes": list(self.notes),
        }


def try_thresholds(
    language: str,
    trusted: Sequence[NamedText],
    against: Sequence[NamedText] = (),
    *,
    kind: Kind = "auto",
    quantile: float = 0.002,
    margin: float = 0.25,
    num_stop_words: int = 50,
) -> Trial:
    """Propose thresholds, and see what each rule drops.

    Args:
        language: BCP 47 tag of the new thresholds.
        trusted: Good texts in their order.
        against: Texts to see what the thresholds do to them; told by source.
        kind: Whether trusted texts are documents, or pieces that are put together to documents of
            several lengths; `auto` goes by their length.
        quantile: See `propose`.
        margin: See `propose`.
        num_stop_words: See `propose`.

    Returns:
        The proposal, which keeps what the package knows of the language besides, and what it does.

    Raises:
        InputError: Too little trusted text, or limits that make no sense.
    """
    tag = normalize_tag(language)
    _check_limits(quantile, margin)
    facts = facts_of(trusted, kind)
    _check_size(facts)
    texts = [text.text for text in trusted]
    options = ProposalOptions(quantile, margin, num_stop_words)
    with progress("measuring the trusted sample", total=2, unit="passes") as bar:
        proposal = _propose(tag, texts, options, facts.kind)
        bar.advance()
        held_out = _held_out(tag, texts, options, facts)
        bar.advance()
    lengths = [length for length in proposal.documents if length]
    samples = {TRUSTED: _together(texts, lengths)}
    all_facts = {TRUSTED: facts}
    for name, own in _by_source(against).items():
        all_facts[name] = facts_of(own, "auto")
        parts = lengths or LENGTHS
        samples[name] = _together(
            [text.text for text in own], parts if all_facts[name].kind == "pieces" else []
        )
    return _tried(proposal, all_facts, samples, held_out)


def _propose(tag: str, texts: Sequence[str], options: ProposalOptions, kind: str) -> Proposal:
    return (propose_of_documents if kind == "documents" else propose_of_pieces)(tag, texts, options)


def _held_out(
    tag: str, texts: Sequence[str], options: ProposalOptions, facts: SampleFacts
) -> float | None:
    """What thresholds from four fifths drop of the last one, in runs of consecutive texts."""
    run = max(1, len(texts) // _RUNS)
    sides: tuple[list[str], list[str]] = ([], [])
    for place, text in enumerate(texts):
        sides[place // run % 5 == 4].append(text)
    count = len(texts) if facts.kind == "documents" else facts.words // _DOCUMENT_WORDS
    if count < 5 * _MIN_DOCUMENTS or not sides[1]:
        return None
    proposal = _propose(tag, sides[0], options, facts.kind)
    documents = _together(sides[1], [length for length in proposal.documents if length])
    judge = QualityFilter(FilterSpec(profiles=(proposal.profile,)))
    return _share(judge, judge.statistics(_batch(documents, tag)), tag)


def of_language(texts: Sequence[NamedText], language: str) -> list[NamedText]:
    """Leave the texts of a language, whatever its script or region.

    Args:
        texts: Texts, some perhaps of a documents artifact in many languages.
        language: BCP 47 tag.

    Returns:
        Those in the language.

    Raises:
        EmptyCorpusError: There is none.
    """
    base = base_language(normalize_tag(language))
    found = [text for text in texts if base_language(text.language) == base]
    if not found:
        seen = sorted({text.language for text in texts})
        raise EmptyCorpusError(
            f"there is no text in {language_name(language)}",
            given=", ".join(seen[:10]) + (", …" if len(seen) > 10 else ""),
            hint="name other texts, or one of these languages",
        )
    return found


def _by_source(texts: Sequence[NamedText]) -> dict[str, list[NamedText]]:
    found: dict[str, list[NamedText]] = {}
    for text in texts:
        name = f"{text.source} (against)" if text.source == TRUSTED else text.source
        found.setdefault(name, []).append(text)
    return found


def _together(texts: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Documents as they are, or pieces put together to all lengths; the whole if that is short."""
    if not lengths:
        return list(texts)
    return [text for length in lengths for text in put_together(texts, length)] or [" ".join(texts)]


def facts_of(texts: Sequence[NamedText], kind: Kind = "auto") -> SampleFacts:
    """Say what a sample is made of.

    Args:
        texts: The sample.
        kind: What its texts are; `auto`: documents if half of the words stand in texts of fifty
            words or more.

    Returns:
        The facts.

    Raises:
        EmptyCorpusError: There is no text.
    """
    if not texts:
        raise EmptyCorpusError("there is no text to measure")
    words = _words([text.text for text in texts])
    total = float(words.sum())
    is_long = words >= _DOCUMENT_WORDS
    found = "documents" if float(words[is_long].sum()) >= total / 2 else "pieces"
    counts: dict[str, int] = {}
    for text in texts:
        counts[text.source] = counts.get(text.source, 0) + 1
    return SampleFacts(
        texts=len(texts),
        characters=sum(len(text.text) for text in texts),
        words=round(total),
        median_words=float(np.median(words)),
        with_lines=sum("\n" in text.text.strip() for text in texts),
        sources=counts,
        kind="pieces" if (found if kind == "auto" else kind) == "pieces" else "documents",
    )


def _words(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = measure(texts, [lexicon_of("und", None)] * len(texts))["words"]
    values: np.ndarray[Any, np.dtype[np.float64]] = found.to_numpy(zero_copy_only=False)
    return values.astype(np.float64)


def _check_limits(quantile: float, margin: float) -> None:
    if not 0 <= quantile < 0.5 or margin < 0:
        raise InputError(
            "with these numbers a threshold makes no sense",
            given=f"quantile {quantile:g}, margin {margin:g}",
            allowed="a quantile from 0 to below 0.5, a margin of 0 or more",
        )


def _check_size(facts: SampleFacts) -> None:
    """Refuse a sample from which nothing follows, and say how to make it larger."""
    needed = _MIN_DOCUMENTS * _DOCUMENT_WORDS
    is_enough = facts.texts if facts.kind == "documents" else facts.words / _DOCUMENT_WORDS
    if is_enough >= _MIN_DOCUMENTS and facts.words >= needed:
        return
    lines = "; if each line of these files is a text of its own, add --unit line"
    raise InputError(
        "too little trusted text to measure a language with",
        given=f"{facts.texts:,} texts with {facts.words:,} words, taken as {facts.kind}",
        allowed=f"{_MIN_DOCUMENTS} documents, or sentences with {needed:,} words; "
        f"{_ENOUGH_DOCUMENTS} documents or 25,000 words are a good sample",
        hint="name more files" + (lines if facts.with_lines else ""),
    )


def _tried(
    proposal: Proposal,
    facts: Mapping[str, SampleFacts],
    samples: Mapping[str, Sequence[str]],
    held_out: float | None,
) -> Trial:
    profile = proposal.profile
    together, package = QualityFilter(FilterSpec(profiles=(profile,))), QualityFilter()
    rules = [rule for rule in together.rules_of(profile.language) if _has_limit(rule.threshold)]
    single = {rule.statistic: _judge_of(profile, rule.statistic) for rule in rules}
    shares: dict[str, dict[str, float]] = {rule.statistic: {} for rule in rules}
    dropped, without = {}, {}
    with progress("trying the thresholds", total=len(samples), unit="samples") as bar:
        for name, texts in samples.items():
            statistics = together.statistics(_batch(texts, profile.language))
            dropped[name] = _share(together, statistics, profile.language)
            without[name] = _share(package, statistics, profile.language)
            for statistic, judge in single.items():
                shares[statistic][name] = _share(judge, statistics, profile.language)
            bar.advance()
    documents = {name: len(texts) for name, texts in samples.items()}
    tried = tuple(_trial_of(rule, profile, shares[rule.statistic]) for rule in rules)
    notes = tuple(_notes(profile, facts, documents))
    return Trial(proposal, facts, documents, tried, dropped, without, held_out, notes)


def _has_limit(threshold: Threshold) -> bool:
    return threshold.min is not None or threshold.max is not None


def _judge_of(profile: Profile, statistic: str) -> QualityFilter:
    return QualityFilter(FilterSpec(profiles=(profile,), rules=(statistic,)))


def _trial_of(rule: Rule, profile: Profile, shares: Mapping[str, float]) -> RuleTrial:
    is_proposed = _is_proposed(profile.rules.get(rule.statistic))
    limits = rule.threshold
    return RuleTrial(rule.statistic, limits.min, limits.max, is_proposed, shares)


def _is_proposed(threshold: Threshold | None) -> bool:
    return threshold is not None and (threshold.origin or "").startswith("proposed")


def _batch(texts: Sequence[str], tag: str) -> pa.RecordBatch:
    columns = {"text": pa.array(texts, pa.string()), "language": pa.array([tag] * len(texts))}
    return pa.RecordBatch.from_pydict(columns)


def _share(judge: QualityFilter, statistics: pa.RecordBatch, tag: str) -> float:
    reasons = judge.reasons(statistics, [tag] * statistics.num_rows)
    return sum(reason is not None for reason in reasons) / max(1, len(reasons))


def _notes(
    profile: Profile, facts: Mapping[str, SampleFacts], documents: Mapping[str, int]
) -> list[str]:
    notes = []
    seen, name = documents[TRUSTED], language_name(profile.language)
    if seen < _ENOUGH_DOCUMENTS:
        notes.append(
            f"{seen:,} trusted documents are few: the outermost one or two set each limit; "
            f"{_ENOUGH_DOCUMENTS} or more are better"
        )
    if facts[TRUSTED].kind == "pieces":
        notes.append(
            "the texts are short and were put together to documents, so nothing is proposed for "
            "lines (their ends, their length, repetition): trusted documents with lines show that"
        )
    if not profile.scripts and not written_scripts(profile.language):
        notes.append(f"no script is known for {name}: add `scripts: [Latn]` or its own to the file")
    if nearest_profile(profile.language, shipped_profiles()) is not None:
        notes.append(
            f"hunmin has thresholds for {name}; the file replaces them and keeps their stop words"
        )
    elif profile.stop_words:
        notes.append("the stop words are the commonest words of the sample: look through them")
    return notes
