"""How well boundaries agree with a gold standard: recall, precision and F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hunmin.text.segmentation.boundaries import BoundaryKind
from hunmin.text.segmentation.gold import GoldText


@dataclass(frozen=True)
class BoundaryScores:
    """Agreement at the judged positions of some texts.

    Args:
        num_judged: Positions that were judged.
        num_gold: Boundaries of the gold standard among them.
        num_found: Boundaries found among them.
        num_right: Boundaries found that the gold standard has too.
        gold_by_kind: Gold boundaries by kind.
        right_by_kind: Those of them that were found.
    """

    num_judged: int
    num_gold: int
    num_found: int
    num_right: int
    gold_by_kind: Mapping[BoundaryKind, int]
    right_by_kind: Mapping[BoundaryKind, int]

    @property
    def recall(self) -> float:
        """Share of the gold boundaries that were found; 0 if there are none."""
        return _share(self.num_right, self.num_gold)

    @property
    def precision(self) -> float:
        """Share of the boundaries found that are right; 0 if there are none."""
        return _share(self.num_right, self.num_found)

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        return _share(2 * self.num_right, self.num_gold + self.num_found)

    @property
    def recall_by_kind(self) -> dict[BoundaryKind, float]:
        """Recall of each kind that the gold standard has."""
        return {
            kind: _share(self.right_by_kind.get(kind, 0), count)
            for kind, count in self.gold_by_kind.items()
        }


def score_boundaries(pairs: Iterable[tuple[GoldText, Iterable[int]]]) -> BoundaryScores:
    """Compare boundaries with a gold standard.

    Args:
        pairs: Gold texts, each with the character offsets of the boundaries found in it;
            offsets that are not judged do not count.

    Returns:
        The scores over all texts together.
    """
    gold: Counter[BoundaryKind] = Counter()
    right: Counter[BoundaryKind] = Counter()
    num_judged = num_found = 0
    for text, positions in pairs:
        found = set(positions).intersection(text.judged)
        num_judged += len(text.judged)
        num_found += len(found)
        for position, kind in zip(text.boundaries.positions, text.boundaries.kinds, strict=True):
            gold[kind] += 1
            right[kind] += position in found
    return BoundaryScores(num_judged, gold.total(), num_found, right.total(), gold, right)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
