"""What a comparison says, as checked data: the layout of report.json."""

from __future__ import annotations

from pydantic import Field

from hunmin.core.estimates import Estimate
from hunmin.core.spec import Spec

REPORT_NAME = "report.json"


class TextMeasures(Spec):
    """How a tokenizer cuts some texts."""

    num_texts: int
    """Texts that were encoded."""
    num_bytes: int
    """UTF-8 bytes of the texts."""
    num_characters: int
    """Characters (code points) of the texts."""
    num_words: int
    """Words: what white space separates. Says little for scripts without spaces."""
    num_tokens: int
    """Tokens they became."""
    bytes_per_token: float
    """UTF-8 bytes per token; higher is denser."""
    characters_per_token: float
    """Characters per token; higher is denser."""
    tokens_per_word: float
    """Tokens per word; lower is denser."""
    unknown_share: float
    """Share of tokens that are the unknown token: text that is lost."""
    byte_fallback_share: float
    """Share of tokens that are single bytes of characters the vocabulary lacks."""
    partial_share: float
    """Share of tokens that begin or end within a character."""
    relative_tokens: float | None = None
    """Tokens divided by those of the baseline on the same texts; lower is denser."""


class VocabularyUse(Spec):
    """How much of a vocabulary the texts use."""

    vocab_size: int
    """Entries, special tokens included."""
    num_used: int
    """Entries that occurred."""
    used_share: float
    """Share of the entries that occurred; small texts cannot use all of a large vocabulary."""
    num_covering: int
    """The most frequent entries that together make up 99 % of the tokens."""


class RoundTripFailure(Spec):
    """A text that does not come back as it was, around the first character that differs."""

    text: str
    """What was encoded, at most 50 characters."""
    decoded: str
    """What came back."""


class RoundTrip(Spec):
    """Whether decoding gives back what was encoded."""

    num_texts: int
    """Texts tried."""
    num_failures: int
    """Texts that came back changed."""
    num_normalized: int
    """Texts that came back in another Unicode form and else as they were; not failures."""
    examples: tuple[RoundTripFailure, ...] = ()
    """The first failures."""


class Speed(Spec):
    """How fast a tokenizer encodes, by one engine."""

    megabytes_per_cpu_second: float
    """Million UTF-8 bytes per CPU-second on one thread, median of the rounds."""
    ratio: float | None = None
    """To the baseline with the library's engine: median of the ratios of the rounds."""


class BoundaryResult(Spec):
    """Agreement of a tokenizer's boundaries with a reference."""

    recall: Estimate
    """Share of the reference's boundaries that the tokenizer makes."""
    precision: Estimate
    """Share of the tokenizer's boundaries that the reference has."""
    f1: Estimate
    """Harmonic mean of both."""
    recall_by_kind: dict[str, float]
    """Recall by the kind of boundary."""
    num_judged: int
    """Positions that were judged."""
    num_gold: int
    """Boundaries of the reference among them."""
    num_found: int
    """Boundaries of the tokenizer among them."""
    num_right: int
    """Boundaries of both."""


class Reference(Spec):
    """Boundaries to compare with."""

    name: str
    """File of a gold standard, or analyser and source of the text."""
    is_human: bool
    """Whether people marked the boundaries."""
    num_texts: int
    """Sentences or words."""
    is_word_list: bool
    """Whether it holds words, not sentences: each was encoded after a space."""
    judged_share: float | None = None
    """Share of the words that could be judged; None for an analyser."""
    boundaries_by_kind: dict[str, int]
    """Boundaries by kind."""


class Cut(Spec):
    """A stretch of a sentence."""

    start: int
    """First character."""
    end: int
    """After the last character."""
    num_tokens: int
    """1; more where tokens share a character."""
    unknown: bool = False
    """Whether the vocabulary cannot express it."""


class SentenceCuts(Spec):
    """A sentence as each tokenizer cuts it."""

    text: str
    """The sentence."""
    cuts: dict[str, tuple[Cut, ...]]
    """By tokenizer."""


class TokenizerResult(Spec):
    """All numbers of one tokenizer."""

    name: str
    """What it is called."""
    path: str
    """Where it lies."""
    kind: str
    """Its method in a few words."""
    digest: str
    """Identity of its definition."""
    vocab_size: int
    """Entries, special tokens included."""
    overall: TextMeasures | None = None
    """All texts together; None without texts."""
    by_language: dict[str, TextMeasures] = Field(default_factory=dict)
    """By BCP 47 tag."""
    by_source: dict[str, TextMeasures] = Field(default_factory=dict)
    """By source of the texts."""
    vocabulary: VocabularyUse | None = None
    """What part of the vocabulary the texts use."""
    round_trip: RoundTrip | None = None
    """Whether texts come back."""
    speed: dict[str, Speed] = Field(default_factory=dict)
    """By engine: `tokenizers` is the library's encode_batch, `bulk` is hunmin's own path."""
    boundaries: dict[str, BoundaryResult] = Field(default_factory=dict)
    """By reference."""


class Comparison(Spec):
    """All numbers of a comparison."""

    format: int = 1
    """Version of this layout."""
    baseline: str
    """Tokenizer that the others are divided by."""
    num_resamples: int
    """Bootstrap resamples behind each interval."""
    references: tuple[Reference, ...]
    """Gold standards and analysers."""
    tokenizers: tuple[TokenizerResult, ...]
    """In the order they were named."""
    sentences: tuple[SentenceCuts, ...] = ()
    """Sentences as each tokenizer cuts them."""

    def of(self, name: str) -> TokenizerResult:
        """Return the numbers of a tokenizer."""
        return next(result for result in self.tokenizers if result.name == name)
