"""Where the morphemes of a text meet: what an analyser returns and what a gold standard holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class BoundaryKind(StrEnum):
    """What begins at a boundary."""

    PARTICLE = "particle"
    """A particle or adposition: Korean josa, Japanese joshi."""
    ENDING = "ending"
    """An inflectional ending: Korean eomi, Japanese jodoshi, -ed."""
    COPULA = "copula"
    """A copula: Korean 이다."""
    DERIVATION = "derivation"
    """A derivational affix: Korean XSV, XSA, XSN, XPN, Japanese setsubiji."""
    COMPOUND = "compound"
    """Another stem, or anything else with a tag."""
    UNLABELLED = "unlabelled"
    """The segmentation does not say."""


FUNCTIONAL_KINDS = frozenset({BoundaryKind.PARTICLE, BoundaryKind.ENDING, BoundaryKind.COPULA})
ALL_KINDS = frozenset(BoundaryKind)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The morpheme boundaries of one text.

    Args:
        positions: Character offsets, ascending, each in (0, len(text)) and between two
            characters that are no white space.
        kinds: The kind of each position.
    """

    positions: tuple[int, ...] = ()
    kinds: tuple[BoundaryKind, ...] = ()

    def of_kinds(self, kinds: Collection[BoundaryKind]) -> tuple[int, ...]:
        """Return the positions of these kinds."""
        pairs = zip(self.positions, self.kinds, strict=True)
        return tuple(position for position, kind in pairs if kind in kinds)


NO_BOUNDARIES = Boundaries()


class Analyser(Protocol):
    """Finds the morpheme boundaries of texts in one language."""

    @property
    def identity(self) -> str:
        """Name, versions and options: two analysers with one identity give the same results."""

    @property
    def needs_context(self) -> bool:
        """Whether a word's boundaries depend on its neighbours.

        If not, each word type is analysed once, however often it occurs.
        """

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        """Return the boundaries of each text.

        Args:
            texts: Texts in NFC, usually a line each; without context: words.

        Returns:
            One for each text.
        """
