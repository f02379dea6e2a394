"""A segmentation table from an analyser: shared, corrected by hand, used where there is none."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from hunmin.core.atomic import atomic_file
from hunmin.text.segmentation.boundaries import Analyser
from hunmin.text.segmentation.segment import segment_texts
from hunmin.text.segmentation.words import word_pattern

Cuts: TypeAlias = "tuple[int, ...]"


def tabulate_words(
    texts: Sequence[str], analyser: Analyser, *, min_count: int = 1
) -> dict[str, Cuts]:
    """Find how each word of some texts is cut most often.

    Args:
        texts: Running text; what is not in NFC is brought there.
        analyser: Looks at whole texts, so that a word is seen in its sentences.
        min_count: Rarer words are left out.

    Returns:
        The cuts of each word, as offsets, most frequent words first; equally frequent ones by
        their code points. A word that is not cut has none.

    Raises:
        StageFailedError: The analyser failed at every line, or a process died.
    """
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    num_bytes = sum(len(text.encode()) for text in composed)
    counts: defaultdict[str, Counter[Cuts]] = defaultdict(Counter)
    found = segment_texts([composed], analyser, total_bytes=num_bytes)
    for text, boundaries in zip(composed, found, strict=True):
        for word, cuts in _words(text, boundaries.positions):
            counts[word][cuts] += 1
    frequencies = {word: cuts.total() for word, cuts in counts.items()}
    kept = sorted(
        (word for word in counts if frequencies[word] >= min_count),
        key=lambda word: (-frequencies[word], word),
    )
    return {word: min(counts[word].items(), key=_most_frequent)[0] for word in kept}


def _most_frequent(item: tuple[Cuts, int]) -> tuple[int, Cuts]:
    cuts, count = item
    return -count, cuts


def _words(text: str, positions: Cuts) -> Iterator[tuple[str, Cuts]]:
    for match in word_pattern().finditer(text):
        start, end = match.span()
        inner = positions[bisect_right(positions, start) : bisect_left(positions, end)]
        yield match[0], tuple(position - start for position in inner)


def write_table(table: Mapping[str, Cuts], path: Path, comments: Iterable[str] = ()) -> None:
    """Write a table in the plain format: a word, a tab, its segments with spaces between.

    Args:
        table: Words and their cuts.
        path: The file; an older one is replaced.
        comments: Lines for its head: where it comes from.

    Raises:
        DiskFullError: No space is left.
    """
    lines = [f"# {comment}" for comment in comments]
    lines += [f"{word}\t{' '.join(_segments(word, cuts))}" for word, cuts in table.items()]
    with atomic_file(path) as draft:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _segments(word: str, cuts: Cuts) -> list[str]:
    return [word[start:end] for start, end in pairwise([0, *cuts, len(word)])]
