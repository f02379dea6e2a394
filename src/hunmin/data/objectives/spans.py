"""Span filling: spans of a text are replaced by sentinels, and a decoder says what was there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import (
    Corrupted,
    Layout,
    check_mean_span,
    check_share,
    corrupted,
)
from hunmin.data.objectives.ragged import Bools, Documents, Ragged, join, single
from hunmin.data.objectives.randomness import document_keys, draw_one, random_subset
from hunmin.data.permutation import Int64s, UInt64s, mix


@dataclass(frozen=True)
class SpanFilling:
    """Replace spans by sentinels in the inputs; targets are sentinel, span, …, final sentinel.

    Args:
        sentinel_ids: Sentinel tokens in the order of their use, one more than spans in a document.
        density: Share of the tokens in spans; (0, 1].
        mean_span: Mean length of a span in tokens; [1, 100].
        random_roll: Turn the layout by a random number of places. Without it the last tokens of
            a document are always noised and the first never are: with a single span, the normal
            case for short utterances, only its end would be learnt.
        seed: Decides every choice.

    Raises:
        InputError: A setting is out of range, or there are fewer than 2 different sentinels.

    Note:
        A span that is turned past the end becomes two, each with its own sentinel. Empty documents
        have empty inputs and targets. `restore` is the inverse.

    Source:
        Raffel et al. 2020 (arXiv:1910.10683), section 3.1 and their random_spans_noise_mask. A
        document of one token is noised (there the length is taken as 2 and nothing is); there are
        never more spans than kept tokens.
    """

    sentinel_ids: tuple[int, ...]
    density: float = 0.15
    mean_span: float = 3.0
    random_roll: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("density", self.density)
        check_mean_span(self.mean_span)
        if len(set(self.sentinel_ids)) < max(2, len(self.sentinel_ids)):
            raise InputError(
                "span filling needs different sentinels",
                given=f"{len(self.sentinel_ids)} ids, {len(set(self.sentinel_ids))} different",
                allowed="at least 2, all different",
                hint="reserve 100 in the tokenizer",
            )

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Replace spans by sentinels (see `Objective`)."""
        keys = document_keys(self.seed, "spans", epoch, first_document, len(documents))
        noise = noise_flags(documents, self.density, self.mean_span, keys)
        if self.random_roll:
            noise = _roll(documents, noise, mix(keys ^ np.uint64(1)))
        return self.fill(documents, noise)

    def fill(self, documents: Ragged, noise: Bools) -> Corrupted:
        """Replace each run of noise by its own sentinel.

        Args:
            documents: D documents without sentinels.
            noise: bool, shape (N,).

        Returns:
            Inputs with sentinels, and targets with sentinels and what they stand for.

        Raises:
            InputError: A document has a sentinel already, or more spans than there are sentinels.
        """
        begins = noise & ~_previous(documents, noise)
        numbers = documents.numbered(begins) - 1
        self._check(documents, begins)
        sentinels = np.array(self.sentinel_ids, dtype=np.int64)
        marks = sentinels[np.maximum(numbers, 0)]
        inputs = documents.with_tokens(np.where(begins, marks, documents.tokens))
        num_spans = documents.count(begins)
        finals = single(sentinels[num_spans], documents.lengths > 0)
        targets = join(_with_marks(documents, noise, begins, marks), finals)
        return corrupted(inputs.keep(begins | ~noise), targets, Layout.SEQUENCE)

    def _check(self, documents: Ragged, begins: Bools) -> None:
        most = int(documents.count(begins).max(initial=0))
        if most >= len(self.sentinel_ids):
            raise InputError(
                "a document has more spans than there are sentinels",
                given=f"{most} spans in {int(documents.lengths.max())} tokens or less",
                allowed=f"{len(self.sentinel_ids) - 1} spans and a final sentinel",
                hint="cut documents into shorter chunks, or reserve more sentinels",
            )
        if np.any(sentinel_numbers(documents.tokens, self.sentinel_ids) >= 0):
            raise InputError(
                "a document contains a sentinel, so its spans could not be told apart",
                hint="name as sentinels only ids that the tokenizer never gives to text",
            )


def noise_flags(documents: Ragged, density: float, mean_span: float, keys: UInt64s) -> Bools:
    """Return T5's layout of noise: kept and noised spans in turn, a kept one first.

    Args:
        documents: D rows; only their lengths count.
        density: Share of noised tokens; round(n · density), at least 1 and at most n - 1.
        mean_span: Mean length of a span; round(noised / mean_span) spans, at least 1.
        keys: uint64, shape (D,).

    Returns:
        bool, shape (N,): True where noised. A row of a single token is noised.
    """
    lengths = documents.lengths
    is_long = lengths > 1
    num_noise, num_spans = span_counts(lengths[is_long], density, mean_span)
    kept = _random_parts(lengths[is_long] - num_noise, num_spans, keys[is_long])
    noised = _random_parts(num_noise, num_spans, mix(keys[is_long]))
    noise = np.ones(len(documents.tokens), dtype=np.bool_)
    in_turn = np.tile(np.array([False, True]), len(kept))
    noise[documents.spread(is_long)] = np.repeat(in_turn, np.stack([kept, noised], axis=1).ravel())
    return noise


def span_counts(lengths: Int64s, density: float, mean_span: float) -> tuple[Int64s, Int64s]:
    """Return how many tokens and how many spans of each row are noised.

    Args:
        lengths: int64, shape (D,), each at least 2.
        density: Share of noised tokens.
        mean_span: Mean length of a span.

    Returns:
        Tokens, from 1 to n - 1, and spans, at least 1, both int64, shape (D,). Halves are rounded
        to the even number.
    """
    num_noise = np.clip(np.rint(lengths * density), 1, lengths - 1).astype(np.int64)
    most = np.minimum(num_noise, lengths - num_noise)
    num_spans = np.clip(np.rint(num_noise / mean_span), 1, most).astype(np.int64)
    return num_noise, num_spans


def chunk_sizes(
    input_length: int, density: float = 0.15, mean_span: float = 3.0, *, random_roll: bool = False
) -> tuple[int, int]:
    """Return how long chunks are that just fill the inputs once corrupted, so nothing is padded.

    Args:
        input_length: Tokens of the inputs with an end token, at least 4.
        density: Share of noised tokens.
        mean_span: Mean length of a span.
        random_roll: Leave room for the span that turning the layout may cut in two.

    Returns:
        Tokens of a chunk, and tokens of its targets with the final sentinel (T5 has an end token
        there instead). 512 gives 568 and 114.

    Raises:
        InputError: No chunk of two tokens fits.

    Source:
        random_spans_helper of Raffel et al. 2020 (arXiv:1910.10683).
    """
    lengths = np.arange(2, max(3, 2 + round(4 * input_length / max(1e-3, 1 - density))))
    num_noise, num_spans = span_counts(lengths, density, mean_span)
    num_spans = num_spans + int(random_roll)
    fitting = np.flatnonzero(lengths - num_noise + num_spans + 1 <= input_length)
    if not len(fitting):
        raise InputError("inputs are too short for a span", given=input_length, allowed=">= 4")
    # The first stretch that fits; one more token may not fit where two more would again.
    breaks = np.flatnonzero(np.diff(fitting) > 1)
    best = fitting[breaks[0]] if len(breaks) else fitting[-1]
    return int(lengths[best]), int(num_noise[best] + num_spans[best] + 1)


def restore(inputs: Ragged, targets: Ragged, sentinel_ids: tuple[int, ...]) -> Ragged:
    """Put inputs and targets together again.

    Args:
        inputs: D rows with sentinels.
        targets: D rows: sentinel, span, …, final sentinel; both empty for empty documents.
        sentinel_ids: In the order of their use.

    Returns:
        The documents as they were.

    Raises:
        InputError: The sentinels of a row are not in order, or are others in inputs and targets.
    """
    kept, kept_keys = _without_sentinels(inputs, sentinel_ids)
    spans, span_keys = _without_sentinels(targets, sentinel_ids)
    _check_pairs(inputs, targets, span_keys, sentinel_ids)
    # What follows sentinel k in the inputs comes after what follows it in the targets.
    keys = np.concatenate([2 * kept_keys, 2 * span_keys - 1])
    rows = np.concatenate([kept.rows, spans.rows])
    order = np.lexsort((keys, rows))
    tokens = np.concatenate([kept.tokens, spans.tokens])[order]
    return Ragged.from_lengths(tokens, kept.lengths + spans.lengths)


def sentinel_numbers(tokens: Int64s, sentinel_ids: tuple[int, ...]) -> Int64s:
    """Return the number of each token among the sentinels, -1 for other tokens, shape (N,)."""
    sentinels = np.array(sentinel_ids, dtype=np.int64)
    order = np.argsort(sentinels)
    near = np.minimum(np.searchsorted(sentinels[order], tokens), len(sentinels) - 1)
    return np.where(sentinels[order][near] == tokens, order[near], -1)


def _random_parts(totals: Int64s, counts: Int64s, keys: UInt64s) -> Int64s:
    """Lengths of a uniformly random division of each total into so many non-empty parts."""
    begins = np.flatnonzero(random_subset(totals, counts, keys, with_first=True))
    return np.diff(begins, append=int(totals.sum()))


def _roll(documents: Ragged, noise: Bools, keys: UInt64s) -> Bools:
    """Turn the layout of each row by a uniformly random number of places."""
    shifts = (draw_one(keys) * documents.lengths).astype(np.int64)
    lengths = documents.spread(documents.lengths)
    places = documents.places + documents.spread(shifts)
    places -= np.where(places >= lengths, lengths, 0)
    rolled = np.empty_like(noise)
    rolled[documents.spread(documents.offsets[:-1]) + places] = noise
    return rolled


def _previous(documents: Ragged, flags: Bools) -> Bools:
    """The flag of the token before each in its row; False for the first."""
    previous = np.zeros_like(flags)
    previous[1:] = flags[:-1]
    previous[documents.offsets[:-1][documents.lengths > 0]] = False
    return previous


def _with_marks(documents: Ragged, noise: Bools, begins: Bools, marks: Int64s) -> Ragged:
    """The noised tokens, each run with its mark before it."""
    copies = 1 + begins[noise].astype(np.int64)
    tokens = np.repeat(documents.tokens[noise], copies)
    mark_places = (np.cumsum(copies) - copies)[begins[noise]]
    tokens[mark_places] = marks[begins]
    return Ragged.from_lengths(tokens, documents.count(noise) + documents.count(begins))


def _without_sentinels(rows: Ragged, sentinel_ids: tuple[int, ...]) -> tuple[Ragged, Int64s]:
    """The other tokens, and for each how many sentinels come before it."""
    numbers = sentinel_numbers(rows.tokens, sentinel_ids)
    is_sentinel = numbers >= 0
    counts = rows.numbered(is_sentinel)
    if np.any(numbers[is_sentinel] != counts[is_sentinel] - 1):
        raise InputError(
            "the sentinels of a row are not in order", hint="give rows as SpanFilling made them"
        )
    return rows.keep(~is_sentinel), counts[~is_sentinel]


def _check_pairs(
    inputs: Ragged, targets: Ragged, span_keys: Int64s, sentinel_ids: tuple[int, ...]
) -> None:
    in_inputs = inputs.count(sentinel_numbers(inputs.tokens, sentinel_ids) >= 0)
    in_targets = targets.count(sentinel_numbers(targets.tokens, sentinel_ids) >= 0)
    expected = in_inputs + (targets.lengths > 0)
    if len(inputs) != len(targets) or np.any(in_targets != expected) or np.any(span_keys < 1):
        raise InputError(
            "inputs and targets do not belong together",
            given=f"{in_inputs.sum()} sentinels in inputs, {in_targets.sum()} in targets",
            allowed="in each row the same sentinels and a final one in the targets",
            hint="give rows as SpanFilling made them",
        )
