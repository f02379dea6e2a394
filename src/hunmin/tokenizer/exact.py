"""The analyser at inference: texts are cut at morpheme boundaries before they are encoded.

Beside tokenizer.json lies `analyser.json`: which analyser cuts which texts, and the identity it had
in training. A text has no language tag here, so each line goes to the analyser whose language's
scripts it has most characters of. Other libraries do not know this file: they encode whole words.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.logs import get_logger
from hunmin.text.scripts import SCRIPTS, script_characters
from hunmin.text.segmentation.boundaries import Analyser, BoundaryKind
from hunmin.text.segmentation.morfessor import MorfessorAnalyser
from hunmin.text.segmentation.registry import load_analyser
from hunmin.text.segmentation.segment import find_boundaries

logger = get_logger(__name__)

CUTTER_FILE = "analyser.json"
_FORMAT = 1


def _plain_name(name: str) -> str:
    # Folders come from strangers: a path would read, and copy, any file of this machine.
    if Path(name).name != name:
        raise ValueError("not the name of a file in this folder")
    return name


def _known_script(code: str) -> str:
    if code not in SCRIPTS:
        raise ValueError("no script that is known here")
    return code


class _RouteRow(BaseModel):
    """A route as it is written down."""

    language: str
    scripts: tuple[Annotated[str, AfterValidator(_known_script)], ...]
    analyser: str
    identity: str
    file: Annotated[str, AfterValidator(_plain_name)] | None


class _CutterFile(BaseModel):
    """Content of `analyser.json`."""

    format: Literal[1]
    boundaries: tuple[BoundaryKind, ...]
    routes: tuple[_RouteRow, ...]


@dataclass(frozen=True)
class Route:
    """The analyser of one language.

    Args:
        language: Its tag.
        name: Name of the analyser.
        scripts: Codes of the scripts it is written in.
        analyser: The analyser.
    """

    language: str
    name: str
    scripts: tuple[str, ...]
    analyser: Analyser

    @cached_property
    def _characters(self) -> frozenset[str]:
        return script_characters(self.scripts)

    def count(self, line: str) -> int:
        """Return how many characters of a line are in its scripts."""
        return sum(map(self._characters.__contains__, line))


class AnalyserCutter:
    """Cuts texts at morpheme boundaries.

    Args:
        routes: The analysers; of two that fit a line alike the first takes it.
        kinds: Kinds of boundaries that count.
    """

    def __init__(self, routes: Sequence[Route], kinds: Collection[BoundaryKind]) -> None:
        self.routes = tuple(routes)
        self.kinds = frozenset(kinds)

    @cached_property
    def identity(self) -> str:
        """Analysers with their versions, scripts, and the kinds of boundaries."""
        routes = [[r.language, list(r.scripts), r.analyser.identity] for r in self.routes]
        return json.dumps([routes, sorted(self.kinds)], ensure_ascii=False)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Cut texts.

        Args:
            texts: Any texts. Lines that are not in NFC, or in no analyser's script, stay whole.

        Returns:
            The parts of each text, which joined are the text; an empty text has none.
        """
        positions: list[list[int]] = [[0] for _ in texts]
        for route, lines in self._routed(texts):
            found = find_boundaries(route.analyser, [line for _, _, line in lines])
            for (index, start, _), boundaries in zip(lines, found, strict=True):
                positions[index] += [start + place for place in boundaries.of_kinds(self.kinds)]
        return [
            _cut_at(text, sorted(places)) for text, places in zip(texts, positions, strict=True)
        ]

    def _routed(self, texts: Sequence[str]) -> Iterator[tuple[Route, list[tuple[int, int, str]]]]:
        """Yield each route with its lines: index of the text, offset in it, line."""
        by_route: list[list[tuple[int, int, str]]] = [[] for _ in self.routes]
        for index, text in enumerate(texts):
            start = 0
            for line in text.split("\n"):
                number = self._choose(line)
                if number is not None:
                    by_route[number].append((index, start, line))
                start += len(line) + 1
        yield from zip(self.routes, by_route, strict=True)

    def _choose(self, line: str) -> int | None:
        counts = [route.count(line) for route in self.routes]
        most = max(counts, default=0)
        if not most or not unicodedata.is_normalized("NFC", line):
            return None
        return counts.index(most)


def _cut_at(text: str, starts: Sequence[int]) -> list[str]:
    ends = [*starts[1:], len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True) if start < end]


def pack_cutter(cutter: AnalyserCutter, tables: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the files that a tokenizer's folder needs to cut texts as in training.

    Args:
        cutter: The cutter.
        tables: The segmentation table of each language that has one.

    Returns:
        Content by file name.
    """
    files: dict[str, bytes] = {}
    routes = []
    for route in cutter.routes:
        name = _pack_analyser(route, tables.get(route.language), files)
        routes.append(
            {
                "language": route.language,
                "scripts": list(route.scripts),
                "analyser": route.name,
                "identity": route.analyser.identity,
                "file": name,
            }
        )
    content = {"format": _FORMAT, "boundaries": sorted(cutter.kinds), "routes": routes}
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return files | {CUTTER_FILE: text.encode()}


def _pack_analyser(route: Route, table: Path | None, files: dict[str, bytes]) -> str | None:
    """Add the file that an analyser is made from; None if it needs no file."""
    if table is not None:
        name = f"analyser-{route.language}-{table.name}"
        files[name] = table.read_bytes()
        return name
    if isinstance(route.analyser, MorfessorAnalyser):
        name = f"analyser-{route.language}.json"
        files[name] = route.analyser.save()
        return name
    return None


def cutter_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files in a folder that its cutter needs; none for most folders."""
    if not (folder / CUTTER_FILE).is_file():
        return ()
    files = (route.file for route in _read(folder).routes)
    return (CUTTER_FILE, *(name for name in files if name is not None))


def load_cutter(folder: Path) -> AnalyserCutter | None:
    """Open the cutter of a tokenizer's folder.

    Args:
        folder: Folder with tokenizer.json.

    Returns:
        The cutter, or None if texts are encoded whole.

    Raises:
        MissingExtraError: An analyser is not installed.
        CorruptArtifactError: A file is missing or cannot be read.
    """
    if not (folder / CUTTER_FILE).is_file():
        return None
    content = _read(folder)
    return AnalyserCutter([_open_route(folder, row) for row in content.routes], content.boundaries)


def _read(folder: Path) -> _CutterFile:
    file = folder / CUTTER_FILE
    try:
        return _CutterFile.model_validate_json(file.read_bytes())
    # Raised also for text that is no JSON.
    except ValueError as error:
        raise _unreadable(file, "the description of the analysers cannot be read") from error


def _unreadable(file: Path, problem: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        problem, where=file, hint="copy it again, or make the tokenizer again"
    )


def _open_route(folder: Path, row: _RouteRow) -> Route:
    path = folder / row.file if row.file else None
    if path is not None and not path.is_file():
        raise _unreadable(path, "a file that an analyser is made from is missing")
    analyser = _open_analyser(row, path)
    if analyser.identity != row.identity:
        logger.warning(
            "%s: the analyser of %s is another than in training (now %s, then %s): texts may get "
            "other ids, which a model trained before does not know",
            folder,
            row.language,
            analyser.identity,
            row.identity,
        )
    return Route(row.language, row.analyser, row.scripts, analyser)


def _open_analyser(row: _RouteRow, path: Path | None) -> Analyser:
    if row.analyser != "morfessor" or path is None:
        return load_analyser(row.analyser, row.language, path=path)
    try:
        return MorfessorAnalyser.load(path.read_bytes())
    except (ValueError, TypeError) as error:
        raise _unreadable(path, "the words of an analyser cannot be read") from error
