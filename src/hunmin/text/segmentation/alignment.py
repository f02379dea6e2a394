"""Where canonical segments meet in a word that is spelled differently: ingenuity + s, ingenuities.

The letters of the joined segments are aligned with those of the word by the fewest insertions,
deletions and substitutions. Among alignments that need equally few, the later segments keep as
many of their letters as they can, and a boundary stands right before the first letter that the
later segment keeps: nominat|ed from nominate + ed, ingenuitie|s from ingenuity + s. A suffix
thereby looks the same in all words. A segment that keeps no letter has no boundary, and a word that
keeps less than half of its letters has none at all (bought from buy + ed).
"""

from __future__ import annotations

from collections.abc import Sequence

from hunmin.text.segmentation.segmented import join_exactly

_LONGEST = 100


def align_segments(word: str, segments: Sequence[str]) -> tuple[int, ...]:
    """Return where the segments of a word meet, also if it is not spelled like them.

    Args:
        word: As it is written.
        segments: Its segments in canonical spelling; upper and lower case count as the same.

    Returns:
        Character offsets within the word, ascending; none if it is too unlike its segments, or
        longer than 100 letters.

    Note:
        Time grows with the product of the two lengths, a few microseconds for each pair of letters.
    """
    exact = join_exactly(word, segments)
    if exact is not None:
        return exact
    joined = "".join(segments)
    if len(segments) < 2 or max(len(word), len(joined)) > _LONGEST:
        return ()
    kept = _kept_letters([c.casefold() for c in word], [c.casefold() for c in joined])
    if 2 * len(kept) < len(word):
        return ()
    found, start = [], len(segments[0])
    for segment in segments[1:]:
        found += [kept[index] for index in range(start, start + len(segment)) if index in kept][:1]
        start += len(segment)
    return tuple(position for position in found if position > 0)


def _kept_letters(word: Sequence[str], joined: Sequence[str]) -> dict[int, int]:
    """Return the letters of the segments that stand in the word, and where."""
    costs = _edit_costs(word, joined)
    kept: dict[int, int] = {}
    i, j = len(word), len(joined)
    # Backwards, letters that are alike first: ties go to the later segments.
    while i and j:
        if word[i - 1] == joined[j - 1] and costs[i][j] == costs[i - 1][j - 1]:
            i, j = i - 1, j - 1
            kept[j] = i
        elif costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
        elif costs[i][j] == costs[i][j - 1] + 1:
            j -= 1
        else:
            i, j = i - 1, j - 1
    return kept


def _edit_costs(word: Sequence[str], joined: Sequence[str]) -> list[list[int]]:
    """Fewest edits between every beginning of the word and of the segments."""
    costs = [list(range(len(joined) + 1))]
    for i, letter in enumerate(word, start=1):
        row = [i]
        above = costs[-1]
        for j, other in enumerate(joined, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
        costs.append(row)
    return costs
