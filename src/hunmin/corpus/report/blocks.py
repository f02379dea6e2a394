"""What a page is made of, whether it is written as Markdown or as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A stretch of a text."""

    text: str
    """What stands there."""
    is_marked: bool = False
    """Whether a reader shall see it first."""


@dataclass(frozen=True)
class Paragraph:
    """Some sentences of ours."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences of ours."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines of a program."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column is text, the others numbers if not said otherwise."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text_columns: frozenset[int] = frozenset({0})
    """Columns that are aligned to the left."""
    foreign_columns: frozenset[int] = frozenset()
    """Columns with text out of the corpus, in any language and direction."""


@dataclass(frozen=True)
class Picture:
    """A plot beside the page."""

    name: str
    """Its file below plots/, without ending."""
    description: str
    """What it shows, for those who do not see it."""


@dataclass(frozen=True)
class Sample:
    """A text out of the corpus."""

    texts: tuple[tuple[Piece, ...], ...]
    """One text, or several that belong together, such as before and after."""
    labels: tuple[str, ...] = ()
    """What each text is; none if there is only one."""
    caption: str = ""
    """Where it is from."""
    language: str = ""
    """BCP 47 tag, empty if nobody knows."""


@dataclass(frozen=True)
class Samples:
    """Texts under a title that can be folded away."""

    title: str
    samples: Sequence[Sample]
    is_open: bool = False
    """Whether a reader sees them at once."""


Block = Paragraph | Bullets | Code | Table | Picture | Samples


@dataclass(frozen=True)
class Section:
    """A part of the page with a title; the table of contents lists it."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The name that links to this section use."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


@dataclass(frozen=True)
class Page:
    """A title and sections."""

    title: str
    sections: Sequence[Section]

    def pictures(self) -> list[Picture]:
        """Return all pictures in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        return [block for block in blocks if isinstance(block, Picture)]
