"""Slots as one tag a word: B- begins a slot, I- goes on with it, O is outside.

Unlike the flat labels of the MASSIVE baselines, these keep two adjacent slots of one type apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hunmin.adapt.nlu.utterances import Slot
from hunmin.core.errors import InputError, suggest

Integers = npt.NDArray[np.int64]
WordSpan = tuple[str, int, int]
"""Type, first word and the one after the last."""
OUTSIDE = 0


@dataclass(frozen=True, slots=True)
class TagSet:
    """The tags for some slot types: 0 is O, 1 + 2t is B-type, 2 + 2t is I-type."""

    types: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The tags by their number, such as O, B-date, I-date."""
        return ["O", *(f"{mark}-{kind}" for kind in self.types for mark in "BI")]

    def encode(self, slots: Sequence[Slot], num_words: int) -> Integers:
        """Return the tags of an utterance's words.

        Args:
            slots: Slots in words.
            num_words: Words of the utterance.

        Returns:
            Shape (words).

        Raises:
            InputError: A slot of another type, outside of the words, or two share a word.
        """
        tags = np.zeros(num_words, dtype=np.int64)
        for slot in slots:
            self._check(slot, tags)
            begin = 1 + 2 * self.types.index(slot.type)
            tags[slot.start : slot.end] = begin + 1
            tags[slot.start] = begin
        return tags

    def _check(self, slot: Slot, tags: Integers) -> None:
        problem, allowed = None, f"spans of words within 0 and {len(tags)}, apart"
        if slot.type not in self.types:
            near = suggest(slot.type, self.types)
            problem = f"a slot of a type that has no tag.{near}"
            allowed = f"one of {len(self.types)} types: {', '.join(self.types[:20])}"
        elif not 0 <= slot.start < slot.end <= len(tags):
            problem = "a slot outside of the words"
        elif tags[slot.start : slot.end].any():
            problem = "two slots share a word, which has one tag only"
        if problem:
            raise InputError(
                problem,
                given=slot,
                allowed=allowed,
                hint="leave the utterance out, or correct its annotation",
            )

    def decode(self, tags_BL: Integers, num_words_B: Integers) -> list[tuple[WordSpan, ...]]:
        """Return the slots that tags mean.

        An I- that follows no tag of its type begins a slot, as in conll scoring.

        Args:
            tags_BL: Tags, shape (utterances, words); what stands after an utterance's words is
                padding and never counts.
            num_words_B: Words of each utterance.

        Returns:
            For each utterance its slots, in order.

        Raises:
            InputError: A number that is no tag.
        """
        num_rows, length = tags_BL.shape
        inside = np.arange(length) < num_words_B[:, None]
        tags_BL = np.where(inside, tags_BL, OUTSIDE)
        self._check_range(tags_BL)
        # One O between utterances, so that no slot reaches into the next.
        flat = np.pad(tags_BL, ((0, 0), (1, 1))).ravel()
        kinds = (flat + 1) // 2
        is_begin = (kinds > 0) & ((flat % 2 == 1) | (kinds != np.roll(kinds, 1)))
        goes_on = (kinds > 0) & ~is_begin
        starts = np.flatnonzero(is_begin)
        ends = np.flatnonzero((kinds > 0) & ~np.roll(goes_on, -1)) + 1
        rows, columns = np.divmod(starts, length + 2)
        found: list[list[WordSpan]] = [[] for _ in range(num_rows)]
        for row, start, size, kind in zip(
            rows.tolist(),
            (columns - 1).tolist(),
            (ends - starts).tolist(),
            (kinds[starts] - 1).tolist(),
            strict=True,
        ):
            found[row].append((self.types[kind], start, start + size))
        return [tuple(spans) for spans in found]

    def _check_range(self, tags_BL: Integers) -> None:
        last = 2 * len(self.types)
        if tags_BL.size and not 0 <= tags_BL.min() <= tags_BL.max() <= last:
            raise InputError(
                "a number that is no tag",
                given=f"tags from {tags_BL.min()} to {tags_BL.max()}",
                allowed=f"0 to {last}",
                hint="use the slot types that the model was trained with",
            )


def types_of(utterances_slots: Sequence[Sequence[Slot]]) -> TagSet:
    """Return the tags for every slot type that occurs, by name."""
    return TagSet(tuple(sorted({slot.type for slots in utterances_slots for slot in slots})))
