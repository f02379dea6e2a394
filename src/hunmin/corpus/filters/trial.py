"""Thresholds proposed from named texts, and what each of them does to these and to other texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.progress import progress
from hunmin.core.tables import align_columns
from hunmin.corpus.filters.profiles import (
    Profile,
    Threshold,
    nearest_profile,
    shipped_profiles,
    written_scripts,
)
from hunmin.corpus.filters.propose import LENGTHS, Proposal, propose, put_together
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.statistics import measure
from hunmin.corpus.sources.named import NamedText
from hunmin.text.languages import language_name, normalize_tag

Kind = Literal["auto", "documents", "pieces"]
_MIN_DOCUMENTS = 20
_ENOUGH_DOCUMENTS = 500
_DOCUMENT_WORDS = 50
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
    with progress("measuring the trusted sample", total=facts.words, unit="words") as bar:
        proposal = propose(
            tag,
            texts,
            quantile=quantile,
            margin=margin,
            whole_documents=facts.kind == "documents",
            num_stop_words=num_stop_words,
        )
        bar.advance(facts.words)
    proposal = replace(proposal, profile=_with_known(proposal.profile))
    lengths = [length for length in proposal.documents if length]
    samples = {TRUSTED: _together(texts, lengths)}
    all_facts = {TRUSTED: facts}
    for name, own in _by_source(against).items():
        all_facts[name] = facts_of(own, "auto")
        parts = lengths or LENGTHS
        samples[name] = _together(
            [text.text for text in own], parts if all_facts[name].kind == "pieces" else []
        )
    return _tried(proposal, all_facts, samples)


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
            words or more that have several lines or make up the whole sample.

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
    from hunmin.corpus.filters.profiles import lexicon_of

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


def _with_known(profile: Profile) -> Profile:
    """Keep what the package knows of the language and the proposal says nothing of."""
    known = nearest_profile(profile.language, shipped_profiles())
    if known is None:
        return profile
    rules = dict(known.rules) | dict(profile.rules)
    for name, threshold in profile.rules.items():
        old = known.rules.get(name)
        if old is not None:
            told = {"too_low": old.too_low, "too_high": old.too_high}
            rules[name] = threshold.model_copy(update=told)
    kept = {"boilerplate": known.boilerplate, "placeholders": known.placeholders, "rules": rules}
    return profile.model_copy(update=kept)


def _tried(
    proposal: Proposal, facts: Mapping[str, SampleFacts], samples: Mapping[str, Sequence[str]]
) -> Trial:
    profile = proposal.profile
    judged = FilterSpec(profiles=(profile,))
    together = QualityFilter(judged)
    tag = profile.language
    rules = [
        rule
        for rule in together.rules_of(tag)
        if rule.threshold.min is not None or rule.threshold.max is not None
    ]
    single = {
        rule.statistic: QualityFilter(FilterSpec(profiles=(profile,), rules=(rule.statistic,)))
        for rule in rules
    }
    shares: dict[str, dict[str, float]] = {rule.statistic: {} for rule in rules}
    dropped, without = {}, {}
    with progress("trying the thresholds", total=len(samples), unit="samples") as bar:
        for name, texts in samples.items():
            statistics = together.statistics(_batch(texts, tag))
            dropped[name] = _share(together, statistics, tag)
            without[name] = _share(QualityFilter(), statistics, tag)
            for statistic, judge in single.items():
                shares[statistic][name] = _share(judge, statistics, tag)
            bar.advance()
    tried = tuple(
        RuleTrial(
            rule.statistic,
            rule.threshold.min,
            rule.threshold.max,
            _is_proposed(profile.rules.get(rule.statistic)),
            shares[rule.statistic],
        )
        for rule in rules
    )
    documents = {name: len(texts) for name, texts in samples.items()}
    return Trial(
        proposal,
        facts,
        documents,
        tried,
        dropped,
        without,
        tuple(_notes(profile, facts, documents)),
    )


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


def terminal_lines(trial: Trial) -> list[str]:
    """Return what to print: samples, a table of rules, what they drop together, notes."""
    lines = [_sample_line(name, facts, trial) for name, facts in trial.facts.items()]
    names = list(trial.facts)
    header = ["rule", "at least", "at most", *(f"drops of {name}" for name in names)]
    rows = [header, *(_row(rule, names) for rule in trial.rules if _is_shown(rule))]
    rows.append(["all rules together", "", "", *(_percent(trial.dropped[n]) for n in names)])
    rows.append(
        ["(thresholds of hunmin)", "", "", *(_percent(trial.dropped_without[n]) for n in names)]
    )
    lines += ["", *align_columns(rows), "", "* proposed; the others are hunmin's own"]
    if trial.proposal.profile.stop_words:
        lines.append("stop words: " + " ".join(trial.proposal.profile.stop_words[:20]))
    return [*lines, *(f"note: {note}" for note in trial.notes)]


def _is_shown(rule: RuleTrial) -> bool:
    return rule.is_proposed or any(rule.dropped.values())


def _row(rule: RuleTrial, names: Sequence[str]) -> list[str]:
    limits = ["" if limit is None else f"{limit:g}" for limit in (rule.min, rule.max)]
    shares = [_percent(rule.dropped[name]) for name in names]
    return [rule.statistic + (" *" if rule.is_proposed else ""), *limits, *shares]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share else "-"


def _sample_line(name: str, facts: SampleFacts, trial: Trial) -> str:
    made = (
        f"put together to {trial.documents[name]:,} documents"
        if facts.kind == "pieces"
        else f"documents of their own, {facts.with_lines:,} with several lines"
    )
    return (
        f"{name}: {facts.texts:,} texts, {facts.words:,} words, median {facts.median_words:,.0f}; "
        f"{made}"
    )


def write_thresholds(trial: Trial, path: Path, *, origin: str) -> None:
    """Write the file of thresholds.

    Args:
        trial: What was proposed.
        path: Where; an older file of thresholds is replaced.
        origin: What they were made from, for the comment at the top.

    Raises:
        InputError: `path` is a folder, or its ending is not that of YAML.
    """
    import yaml

    from hunmin.core.atomic import atomic_write_text

    profile = trial.proposal.profile
    values = profile.model_dump(exclude_defaults=True, exclude_none=True, mode="json")
    body = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=98)
    head = [*origin.splitlines(), *_drop_lines(trial), "", "In a recipe:"]
    head.append(f"  corpus: {{filters: {{files: [{path.name}]}}}}")
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head)
    atomic_write_text(path, comment + body)


def _drop_lines(trial: Trial) -> list[str]:
    return [
        f"{_sample_line(name, facts, trial)}; {_percent(trial.dropped[name])} dropped"
        for name, facts in trial.facts.items()
    ]


def check_thresholds_path(path: Path) -> None:
    """Refuse, before any work, a path that is no place for a file of thresholds."""
    if path.is_dir() or path.suffix not in (".yaml", ".yml"):
        raise InputError(
            "this is no place for a file of thresholds",
            where=path,
            given="a folder" if path.is_dir() else path.suffix or "no ending",
            allowed="a file with the ending .yaml",
        )
    if path.is_file() and not path.read_text("utf-8", errors="replace").lstrip().startswith(
        ("#", "language:")
    ):
        raise InputError(
            "something else is here; thresholds would replace it",
            where=path,
            hint="choose another name, or move it away",
        )
