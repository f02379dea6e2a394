"""The array implementation gives the merges of a plain one that anyone can read."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.tokenizer.consistent.learn import Vocabulary, learn_merges
from hunmin.tokenizer.consistent.sequences import WALL, Sequences

Word = tuple[bytes, int, tuple[int, ...]]
"""Characters, occurrences, and for each inner position the occurrences with a boundary there."""


def in_arrays(words: list[Word]) -> Sequences:
    symbols, weights, cuts = [WALL], [0], [0]
    for characters, count, boundaries in words:
        symbols += [*characters, WALL]
        weights += [count] * len(characters) + [0]
        cuts += [*boundaries, 0, 0]
    return Sequences(
        np.array(symbols, np.int32), np.array(weights, np.int64), np.array(cuts, np.int64)
    )


def plain_merges(words: list[Word], num_merges: int, penalty: float) -> list[tuple[bytes, bytes]]:
    """Count everything again for each merge, as the method is described."""
    state = [
        ([bytes([byte]) for byte in characters], count, list(boundaries))
        for characters, count, boundaries in words
    ]
    order = {bytes([byte]): byte for byte in range(256)}
    merges = []
    for _ in range(num_merges):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        across: Counter[tuple[bytes, bytes]] = Counter()
        for pieces, count, boundaries in state:
            for index, boundary in enumerate(boundaries):
                counts[pieces[index], pieces[index + 1]] += count
                across[pieces[index], pieces[index + 1]] += boundary
        scores = {
            pair: counts[pair] - (1 + penalty) * across[pair]
            for pair in counts
            if pair not in merges
        }
        scores = {pair: score for pair, score in scores.items() if score >= 2}
        if not scores:
            break
        best = min(scores, key=lambda pair: (-scores[pair], order[pair[0]], order[pair[1]]))
        merges.append(best)
        order.setdefault(best[0] + best[1], len(order))
        state = [_apply(best, *word) for word in state]
    return merges


def _apply(
    pair: tuple[bytes, bytes], pieces: list[bytes], count: int, boundaries: list[int]
) -> tuple[list[bytes], int, list[int]]:
    pieces, boundaries = list(pieces), list(boundaries)
    index = 0
    while index < len(pieces) - 1:
        if (pieces[index], pieces[index + 1]) == pair:
            pieces[index : index + 2] = [pair[0] + pair[1]]
            del boundaries[index]
        index += 1
    return pieces, count, boundaries


@st.composite
def lists_of_words(draw: st.DrawFn) -> list[Word]:
    words = []
    for characters in draw(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=8)):
        # Three letters only: repeats, overlaps and equal results from other pairs are frequent.
        letters = bytes(97 + byte % 3 for byte in characters)
        count = draw(st.integers(1, 6))
        boundaries = draw(
            st.lists(st.integers(0, count), min_size=len(letters) - 1, max_size=len(letters) - 1)
        )
        words.append((letters, count, tuple(boundaries)))
    return words


@settings(max_examples=300, deadline=None)
@given(lists_of_words(), st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0, 3.0]))
def test_merges_are_those_of_the_plain_method(words: list[Word], penalty: float) -> None:
    vocabulary = Vocabulary()
    learn_merges(in_arrays(words), vocabulary, size=1_000, cross_penalty=penalty)
    pieces = vocabulary.pieces
    learned = [(pieces[left], pieces[right]) for left, right in vocabulary.merges]
    assert learned == plain_merges(words, len(learned) + 1, penalty)


def test_a_pair_across_a_boundary_is_not_merged() -> None:
    words: list[Word] = [(b"ab", 100, (100,)), (b"cd", 10, (0,))]
    vocabulary = Vocabulary()
    learn_merges(in_arrays(words), vocabulary, size=300, cross_penalty=0)
    assert vocabulary.pieces[256:] == [b"cd"]


def test_a_merge_is_applied_across_boundaries_as_in_use() -> None:
    """Ab is worth it for its 90 occurrences within; in abc it then stands across a boundary."""
    words: list[Word] = [(b"ab", 90, (0,)), (b"abc", 10, (10, 0))]
    vocabulary = Vocabulary()
    learn_merges(in_arrays(words), vocabulary, size=300, cross_penalty=1)
    assert vocabulary.pieces[256:] == [b"ab", b"abc"]


def test_the_penalty_decides() -> None:
    words: list[Word] = [(b"ab", 60, (0,)), (b"ab", 40, (40,))]
    sizes = []
    for penalty in (0.0, 1.4, 1.6):
        vocabulary = Vocabulary()
        learn_merges(in_arrays(words), vocabulary, size=300, cross_penalty=penalty)
        sizes.append(len(vocabulary))
    assert sizes == [257, 257, 256]


def test_long_entries_are_not_made() -> None:
    vocabulary = Vocabulary()
    words: list[Word] = [(b"abcd", 10, (0,) * 3), (b"abc", 5, (0, 0))]
    learn_merges(in_arrays(words), vocabulary, size=400, cross_penalty=1, max_piece_bytes=3)
    assert max(len(piece) for piece in vocabulary.pieces) == 3


def test_sequences_need_walls_at_the_ends() -> None:
    with pytest.raises(ValueError, match="WALL"):
        Sequences(np.array([97, 98], np.int32), np.ones(2, np.int64), np.zeros(2, np.int64))
