"""Finding the boundaries of many texts: in several processes, in order, remembered."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from hunmin.core.cache import cache_folder
from hunmin.core.environment import available_cores
from hunmin.core.errors import HunminError, StageFailedError
from hunmin.core.logs import get_logger
from hunmin.core.processes import map_in_order
from hunmin.core.progress import progress
from hunmin.text.segmentation.boundaries import (
    NO_BOUNDARIES,
    Analyser,
    Boundaries,
    BoundaryKind,
)
from hunmin.text.segmentation.cache import BoundaryCache, pack_boundaries, unpack_boundaries

MAX_LINE_CHARACTERS = 8192
"""Longer lines are cut at white space: analysers take time or memory beyond measure, or refuse."""
_SLICE_CHARACTERS = 1 << 16
_SHOWN_CHARACTERS = 60
_MANY_LINES = 10
logger = get_logger(__name__)


@dataclass
class SegmentationCounts:
    """What became of the texts; filled while results are taken."""

    num_texts: int = 0
    """Texts that are done."""
    num_bytes: int = 0
    """Their size in UTF-8."""
    num_remembered: int = 0
    """Texts whose boundaries were known from an earlier run."""
    num_lines: int = 0
    """Lines that were given to the analyser."""
    num_failed_lines: int = 0
    """Lines at which the analyser failed; they have no boundaries."""
    first_failure: str | None = None
    """The first of those lines, shortened, and what the analyser said."""


class _Slice(NamedTuple):
    """Some texts, and those of them that are not known yet."""

    texts: Sequence[str]
    known: Sequence[Boundaries | None]

    @property
    def unknown(self) -> list[str]:
        return [text for text, known in zip(self.texts, self.known, strict=True) if known is None]


class _Found(NamedTuple):
    """What a worker found: packed, because that travels faster."""

    packed: list[bytes]
    num_lines: int
    num_failed: int
    first_failure: str | None


def segment_texts(
    batches: Iterable[Sequence[str]],
    analyser: Analyser,
    *,
    workers: int | None = None,
    cache: Path | Literal["default", "none"] = "default",
    counts: SegmentationCounts | None = None,
    total_bytes: int | None = None,
) -> Iterator[Boundaries]:
    """Find the boundaries of many texts, line by line.

    Args:
        batches: Texts in NFC, in batches of any size.
        analyser: It is pickled for worker processes, each of which loads its own model.
        workers: Processes; one for each usable core by default, one for little text.
        cache: Folder where results are remembered; by default `$HUNMIN_CACHE`, or
            `~/.cache/hunmin`. Only of analysers that need context: others ask for each word type
            once and are fast.
        counts: Filled while results are taken.
        total_bytes: Size of all texts in UTF-8, for the progress bar.

    Yields:
        One result for each text, in order.

    Raises:
        StageFailedError: A worker process died, or the analyser failed at every line.

    Note:
        Memory: a few hundred kilobytes of text for each worker, beside the models. An analyser that
        fails at a line does not stop the work: the line has no boundaries, is counted, and one
        warning tells of all of them.
    """
    counts = counts if counts is not None else SegmentationCounts()
    with contextlib.ExitStack() as stack:
        remembered = _open_cache(stack, cache, analyser)
        bar = stack.enter_context(progress("finding morphemes", total=total_bytes, unit="B"))
        parts, is_little = _peek(_look_up(_slices(batches), remembered))
        ahead, parts = itertools.tee(parts)
        found = map_in_order(
            _Work(analyser),
            (part.unknown for part in ahead),
            workers or (1 if is_little else available_cores()),
            problem="a process that finds morphemes died",
            hint="if memory ran out, use fewer workers, or one; what was found is remembered. A "
            'script that calls this needs `if __name__ == "__main__":`',
        )
        stack.callback(found.close)
        for part, result in zip(parts, found, strict=True):
            if remembered is not None:
                remembered.keep(zip(part.unknown, result.packed, strict=True))
            bar.advance(_count(counts, part, result))
            yield from _join(part, result)
    _report_failures(counts)


def find_boundaries(analyser: Analyser, texts: Sequence[str]) -> list[Boundaries]:
    """Find the boundaries of some texts at once, in this process, without a progress bar.

    Args:
        analyser: The analyser.
        texts: Texts in NFC.

    Returns:
        One for each text. A line at which the analyser fails has none, and a warning tells of it.

    Raises:
        StageFailedError: The analyser failed at every line of many.
    """
    found = _Work(analyser)(texts)
    _report_failures(
        SegmentationCounts(
            num_lines=found.num_lines,
            num_failed_lines=found.num_failed,
            first_failure=found.first_failure,
        )
    )
    return [unpack_boundaries(packed) for packed in found.packed]


def _open_cache(
    stack: contextlib.ExitStack, cache: Path | Literal["default", "none"], analyser: Analyser
) -> BoundaryCache | None:
    if cache == "none" or not analyser.needs_context:
        return None
    folder = cache_folder() / "segmentation" if cache == "default" else cache
    return stack.enter_context(BoundaryCache(folder, analyser.identity))


def _slices(batches: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Regroup texts into lists of about as many characters each, whole texts only."""
    current: list[str] = []
    size = 0
    for text in itertools.chain.from_iterable(batches):
        current.append(text)
        size += len(text) + 1
        if size >= _SLICE_CHARACTERS:
            yield current
            current, size = [], 0
    if current:
        yield current


def _look_up(slices: Iterable[list[str]], remembered: BoundaryCache | None) -> Iterator[_Slice]:
    for texts in slices:
        known = remembered.find(texts) if remembered is not None else [None] * len(texts)
        yield _Slice(texts, known)


def _peek(parts: Iterator[_Slice]) -> tuple[Iterator[_Slice], bool]:
    """Return the slices and whether there is one at most."""
    first = list(itertools.islice(parts, 2))
    return itertools.chain(first, parts), len(first) < 2


@dataclass(frozen=True)
class _Work:
    """What a worker does with the unknown texts of a slice."""

    analyser: Analyser

    def __call__(self, texts: Sequence[str]) -> _Found:
        places = [(index, *piece) for index, text in enumerate(texts) for piece in _lines(text)]
        found, failures = self._analyse([line for _, _, line in places])
        joined: list[dict[int, BoundaryKind]] = [{} for _ in texts]
        for (index, offset, _), result in zip(places, found, strict=True):
            for position, kind in zip(result.positions, result.kinds, strict=True):
                joined[index][offset + position] = kind
        packed = [
            pack_boundaries(Boundaries(tuple(kinds), tuple(kinds.values()))) for kinds in joined
        ]
        return _Found(packed, len(places), len(failures), failures[0] if failures else None)

    def _analyse(self, lines: list[str]) -> tuple[list[Boundaries], list[str]]:
        try:
            return self.analyser.boundaries(lines), []
        except (HunminError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - analysers are foreign code; which line it was is found below
            return self._one_by_one(lines)

    def _one_by_one(self, lines: list[str]) -> tuple[list[Boundaries], list[str]]:
        found, failures = [], []
        for line in lines:
            try:
                found += self.analyser.boundaries([line])
            except Exception as error:  # noqa: BLE001 - counted and reported
                found.append(NO_BOUNDARIES)
                failures.append(f"{line[:_SHOWN_CHARACTERS]!r}: {type(error).__name__}: {error}")
        return found, failures


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that are not blank, long ones in pieces, with their offsets."""
    start = 0
    for line in text.split("\n"):
        for first, last in _pieces(line):
            if not line[first:last].isspace():
                yield start + first, line[first:last]
        start += len(line) + 1


def _pieces(line: str) -> Iterator[tuple[int, int]]:
    start = 0
    while len(line) - start > MAX_LINE_CHARACTERS:
        end = start + MAX_LINE_CHARACTERS
        spaces = (at for at in range(end, start, -1) if line[at - 1].isspace())
        cut = next(spaces, end)
        yield start, cut
        start = cut
    if start < len(line):
        yield start, len(line)


def _count(counts: SegmentationCounts, part: _Slice, found: _Found) -> int:
    """Add a slice to the counts and return its size in UTF-8."""
    num_bytes = sum(len(text.encode("utf-8", errors="surrogatepass")) for text in part.texts)
    counts.num_texts += len(part.texts)
    counts.num_bytes += num_bytes
    counts.num_remembered += len(part.texts) - len(found.packed)
    counts.num_lines += found.num_lines
    counts.num_failed_lines += found.num_failed
    counts.first_failure = counts.first_failure or found.first_failure
    return num_bytes


def _join(part: _Slice, found: _Found) -> Iterator[Boundaries]:
    packed = iter(found.packed)
    for known in part.known:
        yield known if known is not None else unpack_boundaries(next(packed))


def _report_failures(counts: SegmentationCounts) -> None:
    if not counts.num_failed_lines:
        return
    if counts.num_failed_lines == counts.num_lines >= _MANY_LINES:
        raise StageFailedError(
            "the analyser failed at every line",
            given=counts.first_failure,
            hint="its installation may be broken: reinstall it, or choose another analyser",
        )
    logger.warning(
        "the analyser failed at %d of %d lines, which have no boundaries; the first: %s",
        counts.num_failed_lines,
        counts.num_lines,
        counts.first_failure,
    )
