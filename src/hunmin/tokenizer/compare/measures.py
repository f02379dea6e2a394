"""What can be counted about tokenizers: tokens of texts, and agreement with gold boundaries.

A tokenizer's boundary is the start of a token after skipping the white space it begins with. A
token that starts before an earlier one ended holds part of a character and gives no boundary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from hunmin.core.estimates import MIN_GROUPS, Estimate, Floats, estimate, resampled_sums
from hunmin.text.segmentation.gold import GoldText
from hunmin.text.segmentation.scoring import BoundaryScores, score_boundaries
from hunmin.tokenizer.compare.results import (
    BoundaryResult,
    RoundTrip,
    RoundTripFailure,
    TextMeasures,
    VocabularyUse,
)
from hunmin.tokenizer.compare.subject import Flags, Integers, Subject, Tokens

CHUNK_CHARACTERS = 400_000
"""Texts are encoded in chunks of this size: the library's objects take 300 bytes a token."""
MAX_EXAMPLES = 5
EXAMPLE_CHARACTERS = 25
COVERED_SHARE = 0.99
COLUMNS = ("bytes", "characters", "words", "tokens", "unknown", "byte_fallback", "partial")
Advance = Callable[[float], None]


@dataclass
class TextScan:
    """What one tokenizer did to some texts.

    Args:
        counts: One row for each text, columns as in COLUMNS.
        id_counts: How often each id occurred.
        num_normalized: Texts that came back in another Unicode form only.
        num_failures: Texts that came back changed otherwise.
        examples: The first lines of those.
    """

    counts: Integers
    id_counts: Integers
    num_normalized: int = 0
    num_failures: int = 0
    examples: list[RoundTripFailure] = field(default_factory=list)

    def measures(self, chosen: Flags | None = None) -> TextMeasures:
        """Return the measures of the chosen texts, or of all."""
        counts = self.counts if chosen is None else self.counts[chosen]
        return _text_measures(len(counts), dict(zip(COLUMNS, counts.sum(0).tolist(), strict=True)))

    def round_trip(self) -> RoundTrip:
        """Return what came back changed."""
        return RoundTrip(
            num_texts=len(self.counts),
            num_failures=self.num_failures,
            num_normalized=self.num_normalized,
            examples=tuple(self.examples),
        )


def text_measures(subject: Subject, texts: Sequence[str]) -> TextMeasures:
    """Count the tokens of texts.

    Args:
        subject: A tokenizer.
        texts: Texts without lone surrogates.

    Returns:
        Counts and ratios over all texts together.
    """
    return scan_texts(subject, texts, round_trip=False).measures()


def scan_texts(
    subject: Subject,
    texts: Sequence[str],
    *,
    round_trip: bool = True,
    advance: Advance | None = None,
) -> TextScan:
    """Encode texts once and count everything.

    Args:
        subject: A tokenizer.
        texts: Texts without lone surrogates.
        round_trip: Decode them too, and compare.
        advance: Is told of the texts that are done.

    Returns:
        Counts for each text, ids used, texts that came back changed.
    """
    scan = TextScan(np.zeros((len(texts), len(COLUMNS)), np.int64), np.zeros(0, np.int64))
    for first, chunk in _chunks(texts):
        tokens = subject.encode(chunk)
        scan.counts[first : first + len(chunk)] = _count(tokens, chunk)
        scan.id_counts = _add(scan.id_counts, np.bincount(tokens.ids))
        if round_trip:
            _compare_decoded(subject, chunk, tokens, scan)
        if advance is not None:
            advance(len(chunk))
    return scan


def vocabulary_use(id_counts: Integers, vocab_size: int) -> VocabularyUse:
    """Say how much of a vocabulary some texts use.

    Args:
        id_counts: How often each id occurred.
        vocab_size: Entries of the vocabulary.

    Returns:
        Entries used, and how many of the most frequent ones make up 99 % of the tokens.
    """
    ordered = np.sort(id_counts)[::-1]
    reached = np.cumsum(ordered) >= COVERED_SHARE * ordered.sum()
    num_used = int(np.count_nonzero(ordered))
    num_covering = int(np.argmax(reached)) + 1 if num_used else 0
    return VocabularyUse(
        vocab_size=vocab_size,
        num_used=num_used,
        used_share=num_used / vocab_size if vocab_size else 0.0,
        num_covering=num_covering,
    )


def boundary_scores(
    subject: Subject, gold: Sequence[GoldText], *, as_words: bool | None = None
) -> BoundaryScores:
    """Compare a tokenizer's boundaries with gold boundaries, over all texts together.

    Args:
        subject: A tokenizer.
        gold: Texts with the boundaries people marked.
        as_words: Encode each text after a space, as words stand in running text; None does so
            for lists of words.

    Returns:
        Recall, precision, F1 and recall by kind.
    """
    return score_boundaries(zip(gold, _found(subject, gold, as_words), strict=True))


def boundary_estimates(
    subject: Subject, gold: Sequence[GoldText], *, num_resamples: int = 1000, seed: int = 0
) -> BoundaryResult:
    """Compare a tokenizer's boundaries with gold boundaries, with bootstrap intervals over texts.

    Args:
        subject: A tokenizer.
        gold: Texts with the boundaries people marked.
        num_resamples: Bootstrap resamples; the same ones for every tokenizer.
        seed: Seed of the resamples.

    Returns:
        Recall, precision, F1 with intervals, and recall by kind.
    """
    pairs = list(zip(gold, _found(subject, gold, None), strict=True))
    each = [score_boundaries([pair]) for pair in pairs]
    counts = np.array([[s.num_right, s.num_gold, s.num_found] for s in each], np.float64)
    sums = np.vstack([counts.sum(0), *resampled_sums(counts, num_resamples, seed)])
    total = score_boundaries(pairs)
    right, in_gold, found = sums.T
    has_interval = len(gold) >= MIN_GROUPS
    return BoundaryResult(
        recall=_share(right, in_gold, has_interval=has_interval),
        precision=_share(right, found, has_interval=has_interval),
        f1=_share(2 * right, in_gold + found, has_interval=has_interval),
        recall_by_kind={str(kind): value for kind, value in total.recall_by_kind.items()},
        num_judged=total.num_judged,
        num_gold=total.num_gold,
        num_found=total.num_found,
        num_right=total.num_right,
    )


def is_word_list(texts: Sequence[str]) -> bool:
    """Tell whether no text has white space inside: a list of words, not of sentences."""
    return not any(len(text.split()) > 1 for text in texts)


def token_boundaries(subject: Subject, texts: Sequence[str]) -> list[list[int]]:
    """Return the boundaries a tokenizer makes.

    Args:
        subject: A tokenizer.
        texts: Texts without lone surrogates.

    Returns:
        Ascending character offsets for each text, its start among them where a token starts there.
    """
    found: list[list[int]] = []
    for _, chunk in _chunks(texts):
        found += _boundaries(subject.encode(chunk), chunk)
    return found


def _found(subject: Subject, gold: Sequence[GoldText], as_words: bool | None) -> list[list[int]]:
    texts = [text.text for text in gold]
    if not (is_word_list(texts) if as_words is None else as_words):
        return token_boundaries(subject, texts)
    shifted = token_boundaries(subject, [f" {text}" for text in texts])
    return [[position - 1 for position in positions] for positions in shifted]


def _boundaries(tokens: Tokens, texts: Sequence[str]) -> list[list[int]]:
    """Positions of all texts at once, as offsets in the texts joined."""
    joined = "".join(texts)
    if not joined:
        return [[] for _ in texts]
    bases = _bases(texts)
    starts, ends = _in_joined(tokens, bases)
    after_space = _next_visible(joined)[np.minimum(starts, len(joined) - 1)]
    gives = (after_space < ends) & (starts >= _ends_before(ends))
    positions = np.unique(after_space[gives])
    cuts = np.searchsorted(positions, bases[1:-1])
    parts = np.split(positions, cuts)
    return [(part - base).tolist() for part, base in zip(parts, bases[:-1], strict=True)]


def _count(tokens: Tokens, texts: Sequence[str]) -> Integers:
    """Return the counts of each text, columns as in COLUMNS."""
    starts, ends = _in_joined(tokens, _bases(texts))
    shares_before = starts < _ends_before(ends)
    shares_after = np.append(ends[:-1] > starts[1:], False)[: len(ends)]
    partial = (shares_before | shares_after) & (starts < ends)
    numbers = tokens.text_numbers
    flagged = [
        np.bincount(numbers, weights=flags, minlength=len(texts))
        for flags in (tokens.unknown, tokens.byte_fallback, partial)
    ]
    columns = [
        [len(text.encode()) for text in texts],
        [len(text) for text in texts],
        [len(text.split()) for text in texts],
        np.diff(tokens.offsets),
        *flagged,
    ]
    return np.stack([np.asarray(column, np.int64) for column in columns], axis=1)


def _compare_decoded(
    subject: Subject, texts: Sequence[str], tokens: Tokens, scan: TextScan
) -> None:
    for text, decoded in zip(texts, subject.decode(tokens.ids_of_texts()), strict=True):
        if decoded == text:
            continue
        if unicodedata.normalize("NFC", decoded) == unicodedata.normalize("NFC", text):
            scan.num_normalized += 1
            continue
        scan.num_failures += 1
        if len(scan.examples) < MAX_EXAMPLES:
            scan.examples.append(_first_difference(text, decoded))


def _first_difference(text: str, decoded: str) -> RoundTripFailure:
    """Return both texts around the first character that differs."""
    pairs = zip(text, decoded, strict=False)
    same = min(len(text), len(decoded))
    place = next((i for i, (before, after) in enumerate(pairs) if before != after), same)
    around = slice(max(place - EXAMPLE_CHARACTERS, 0), place + EXAMPLE_CHARACTERS)
    return RoundTripFailure(text=text[around], decoded=decoded[around])


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number of the first text, and texts of about CHUNK_CHARACTERS together."""
    first = size = 0
    for number, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK_CHARACTERS:
            yield first, texts[first : number + 1]
            first, size = number + 1, 0
    if first < len(texts):
        yield first, texts[first:]


def _bases(texts: Sequence[str]) -> Integers:
    """Return the offset of each text in all texts joined, and their length."""
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _in_joined(tokens: Tokens, bases: Integers) -> tuple[Integers, Integers]:
    shift = bases[:-1][tokens.text_numbers]
    return tokens.starts + shift, tokens.ends + shift


def _ends_before(ends: Integers) -> Integers:
    """Return for each token how far the tokens before it reach."""
    return np.concatenate([np.zeros(1, np.int64), np.maximum.accumulate(ends)])[: len(ends)]


def _next_visible(text: str) -> Integers:
    """Return for each position the first one from there on that is no white space."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    places = np.where(np.isin(codes, _space_codes()), len(codes), np.arange(len(codes)))
    return np.minimum.accumulate(places[::-1])[::-1]


@cache
def _space_codes() -> Integers:
    return np.array([code for code in range(0x3001) if chr(code).isspace()], np.int64)


def _add(left: Integers, right: Integers) -> Integers:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total


def _share(part: Floats, whole: Floats, *, has_interval: bool) -> Estimate:
    values = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return estimate(values, has_interval=has_interval)


def _text_measures(num_texts: int, counts: dict[str, int]) -> TextMeasures:
    tokens = max(counts["tokens"], 1)
    return TextMeasures(
        num_texts=num_texts,
        **{f"num_{name}": counts[name] for name in ("bytes", "characters", "words", "tokens")},
        bytes_per_token=counts["bytes"] / tokens,
        characters_per_token=counts["characters"] / tokens,
        tokens_per_word=counts["tokens"] / max(counts["words"], 1),
        unknown_share=counts["unknown"] / tokens,
        byte_fallback_share=counts["byte_fallback"] / tokens,
        partial_share=counts["partial"] / tokens,
    )
