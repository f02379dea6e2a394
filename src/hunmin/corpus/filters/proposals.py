"""Proposals of thresholds from documents or from pieces of text, with what is known already.

Documents show what lines are like, and nothing of short texts: a limit measured in documents of 300
words would drop paragraphs of 50, and a number of stop words counted in them says nothing of those.
So their sentences are measured as pieces too, and of both limits the outer one is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hunmin.corpus.filters.profiles import Profile, Threshold, nearest_profile, shipped_profiles
from hunmin.corpus.filters.propose import (
    LENGTHS,
    LINES_HIGH,
    LINES_LOW,
    Proposal,
    propose,
    put_together,
)
from hunmin.text.sentences.split import split_sentences

_MIN_DOCUMENTS = 20


@dataclass(frozen=True)
class ProposalOptions:
    """How limits follow from measurements; see `propose`."""

    quantile: float = 0.002
    """Share of the trusted documents that one rule may reject before the margin."""
    margin: float = 0.25
    """How much farther out a limit lies, as a share of its distance from the median."""
    num_stop_words: int = 50
    """Commonest words to take as stop words, if the language has none yet."""


def propose_of_pieces(tag: str, texts: Sequence[str], options: ProposalOptions) -> Proposal:
    """Propose thresholds from sentences and paragraphs, put together to documents.

    Args:
        tag: BCP 47 tag.
        texts: Trusted texts in their order.
        options: How.

    Returns:
        The proposal, with what the package knows of the language besides.
    """
    return _with_known(_proposed(tag, texts, options, whole=False))


def propose_of_documents(tag: str, texts: Sequence[str], options: ProposalOptions) -> Proposal:
    """Propose thresholds from documents, and from their sentences.

    Args:
        tag: BCP 47 tag.
        texts: Trusted documents.
        options: How.

    Returns:
        The proposal: rules of lines from the documents alone, of stop words from the sentences
        alone, and the outer limit of both for all others.
    """
    whole = _proposed(tag, texts, options, whole=True)
    pieces = [part for text in texts for part in split_sentences(text, tag) if part.strip()]
    if len(put_together(pieces, LENGTHS[0])) < _MIN_DOCUMENTS:
        return _with_known(whole)
    short = _proposed(tag, pieces, options, whole=False)
    profile = short.profile.model_copy(update={"rules": _outer(whole.profile, short.profile)})
    return _with_known(replace(whole, profile=profile))


def _proposed(tag: str, texts: Sequence[str], options: ProposalOptions, *, whole: bool) -> Proposal:
    return propose(
        tag,
        texts,
        quantile=options.quantile,
        margin=options.margin,
        whole_documents=whole,
        num_stop_words=options.num_stop_words,
    )


def _outer(whole: Profile, short: Profile) -> dict[str, Threshold]:
    lines = {name: whole.rules[name] for name in (*LINES_LOW, *LINES_HIGH) if name in whole.rules}
    rules = {
        name: _outer_limit(rule, whole.rules[name])
        if name in whole.rules and name != "stop_words"
        else rule
        for name, rule in short.rules.items()
    }
    return rules | lines


def _outer_limit(rule: Threshold, other: Threshold) -> Threshold:
    limits = {
        name: choose(known)
        for name, choose in (("min", min), ("max", max))
        if (known := [v for v in (getattr(rule, name), getattr(other, name)) if v is not None])
    }
    origin = f"{rule.origin}; {(other.origin or '').rpartition(': ')[2]}"
    return rule.model_copy(update={**limits, "origin": origin})


def _with_known(proposal: Proposal) -> Proposal:
    """Keep what the package knows of the language and the proposal says nothing of."""
    profile = proposal.profile
    known = nearest_profile(profile.language, shipped_profiles())
    if known is None:
        return proposal
    rules = dict(known.rules) | {
        name: _with_reasons(rule, known.rules.get(name)) for name, rule in profile.rules.items()
    }
    kept = {"boilerplate": known.boilerplate, "placeholders": known.placeholders, "rules": rules}
    return replace(proposal, profile=profile.model_copy(update=kept))


def _with_reasons(rule: Threshold, known: Threshold | None) -> Threshold:
    if known is None:
        return rule
    return rule.model_copy(update={"too_low": known.too_low, "too_high": known.too_high})
