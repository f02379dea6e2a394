"""Masking of a stream of lines: what comes in goes out again, personal data aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hunmin.corpus.privacy.mask import TextMasker
from hunmin.corpus.privacy.tokens import DEFAULT_TYPES, PRIVACY_TYPES, token_of
from hunmin.text.languages import UNDETERMINED

ALL = "all"
_MAX_CHARACTERS = 1_000_000


def types_of(written: str | None) -> tuple[str, ...]:
    """Return the types that a command line names.

    Args:
        written: Names with commas between, `all`, or `default` for those of a build; `default,ip`
            adds one. None for the default.

    Returns:
        Names; PrivacySpec says which of them do not exist.
    """
    if written is None:
        return DEFAULT_TYPES
    names: list[str] = []
    for name in (part.strip() for part in written.split(",")):
        names += {ALL: PRIVACY_TYPES, "default": DEFAULT_TYPES}.get(name, (name,) if name else ())
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Finding:
    """Personal data of a block, for people who want to know why they were masked."""

    line: int
    """Line of the input, from 1."""
    type: str
    """What it is taken for."""
    pattern: str
    """Name of the pattern that found it."""
    original: str
    """What stood there."""


@dataclass
class StreamMasker:
    """Masks lines in blocks and counts what it finds.

    Args:
        masker: Finds personal data.
        language: BCP 47 tag of the text.
        by_line: Each line is a block of its own, so that answers come at once; else blocks are
            paragraphs, parted by empty lines, as in the source `files`.
    """

    masker: TextMasker
    language: str = UNDETERMINED
    by_line: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def masked(self, lines: Iterable[str], *, explain: bool = False) -> Iterator[str]:
        """Yield the lines of a text, block by block, masked.

        Args:
            lines: Lines without their ends.
            explain: Keep what was found in `findings`; else nothing of it is kept.

        Yields:
            Blocks without the end of their last line; joined by line ends they are the text.
        """
        number = 1
        for block in self._blocks(lines):
            text = "\n".join(block)
            if explain:
                self._explain(text, number)
            masked, counts = self.masker.mask(text, self.language)
            self.counts.update(counts)
            number += len(block)
            yield masked

    def _explain(self, text: str, number: int) -> None:
        for span in self.masker.find(text, self.language):
            line = number + text.count("\n", 0, span.start)
            original = " ".join(text[span.start : span.end].split())
            self.findings.append(Finding(line, span.type, span.pattern, original))

    def _blocks(self, lines: Iterable[str]) -> Iterator[list[str]]:
        block: list[str] = []
        characters = 0
        for line in lines:
            block.append(line)
            characters += len(line)
            if self.by_line or not line.strip() or characters >= _MAX_CHARACTERS:
                yield block
                block, characters = [], 0
        if block:
            yield block

    def summary(self) -> str:
        """Say how much was masked: `2 phone <|phone|>, 1 email <|email|>`."""
        found = [
            f"{self.counts[name]:,} {name} {token_of(name)}"
            for name in self.masker.spec.types
            if self.counts[name]
        ]
        return ", ".join(found) or "nothing to mask"
