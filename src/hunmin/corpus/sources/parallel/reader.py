"""The `parallel` source: aligned files, two lines to a document."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.core.hashing import seed_from
from hunmin.corpus.records import Record, batched, to_json
from hunmin.corpus.sources.files.discover import InputFile, find_files
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import FieldNames, FilesSource, ParallelSource
from hunmin.text.files import size_of

NO_PIVOT, NO_TRANSLATION = "no sentence in the pivot language", "no translation"
NOT_TRANSLATED, REPEATED_KEY = "not translated", "key occurs again"
_NO_LIMIT = 1 << 62
Key = tuple[Any, ...]


def files_of(source: ParallelSource) -> dict[str, InputFile]:
    """Find the file of each language.

    Args:
        source: What the recipe says.

    Returns:
        Language tag -> file.

    Raises:
        MissingInputError: A file does not exist.
        InputError: A path leads to several files, or a file's format is not known.
    """
    return {tag: _one_file(source, tag) for tag in source.files}


def _one_file(source: ParallelSource, tag: str) -> InputFile:
    found = find_files(_file_source(source, tag))
    if len(found) > 1:
        raise InputError(
            f"parallel text needs one file a language, and '{tag}' has {len(found)}",
            where=source.files[tag],
            given=", ".join(file.label for file in found[:3]),
            allowed="the path of one file",
            hint="make a source of kind parallel for each set of aligned files",
        )
    return found[0]


def _file_source(source: ParallelSource, tag: str) -> FilesSource:
    """The file of a language as a source of its own."""
    common = {"paths": (source.files[tag],), "language": tag, "license": source.license}
    common["name"] = source.source_name
    if not source.key:
        return FilesSource.model_validate(common | {"format": "text", "unit": "line"})
    fields = FieldNames(text=source.text_field(tag), meta=source.key)
    options = {"format": source.format, "table": source.table, "fields": fields}
    return FilesSource.model_validate(common | options)


class ParallelReader(SourceReader):
    """Joins the files of a source, one language after the other.

    Args:
        source: What the recipe says.
        languages: Those to pair with the pivot; all of the source by default.

    Raises:
        MissingInputError: A file does not exist.
        InputError: A path leads to several files, or a file's format is not known.

    Note:
        Memory: with `key` the sentences of the pivot; without it a line at a time.
    """

    unit = "B"

    def __init__(self, source: ParallelSource, languages: tuple[str, ...] = ()) -> None:
        self._source = source
        self._languages = languages or source.languages
        self._files = files_of(source)
        self.name = source.source_name
        pivot = size_of(self._files[source.pivot].path)
        sizes = [size_of(self._files[tag].path) for tag in self._languages]
        self.total: float | None = sum(sizes) + pivot * (1 if source.key else len(sizes))

    def split(self, part_bytes: int) -> list[SourceReader]:
        """Return a reader for every few languages."""
        total = self.total or 0
        number = min(len(self._languages), max(1, int(-(-total // part_bytes))))
        starts = [place * len(self._languages) // number for place in range(number + 1)]
        parts = (self._languages[a:b] for a, b in itertools.pairwise(starts))
        return [ParallelReader(self._source, part) for part in parts]

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all pairs; `advance` is told of the bytes read."""
        yield from batched(self._by_key(advance) if self._source.key else self._by_line(advance))

    def _records(self, tag: str, advance: Callable[[int], None]) -> Iterator[Record]:
        reader = FileReader(_file_source(self._source, tag), _NO_LIMIT, [self._files[tag]])
        return reader.records(advance)

    def _by_line(self, advance: Callable[[int], None]) -> Iterator[Record]:
        for tag in self._languages:
            sides = (self._records(each, advance) for each in (self._source.pivot, tag))
            for number, (pivot, other) in enumerate(itertools.zip_longest(*sides)):
                if pivot is None or other is None:
                    self._check_end(tag, number, is_shorter=other is None)
                    break
                yield self._pair(pivot, other, {"line": number + 1})

    def _check_end(self, tag: str, lines: int, *, is_shorter: bool) -> None:
        if is_shorter and self._source.allow_shorter:
            return
        shorter, longer = (tag, self._source.pivot) if is_shorter else (self._source.pivot, tag)
        also = ", or set `allow_shorter: true` if it is the beginning of it" if is_shorter else ""
        raise InputError(
            f"the file of '{shorter}' ends before that of '{longer}', so they are not aligned",
            where=self._source.files[shorter],
            given=f"{lines:,} lines",
            allowed=f"as many lines as {self._source.files[longer]} has",
            hint=f"write line N of one file as the translation of line N of the other{also}",
        )

    def _by_key(self, advance: Callable[[int], None]) -> Iterator[Record]:
        pivots: dict[Key, Record] = {}
        for record in self._records(self._source.pivot, advance):
            pivots.setdefault(self._key_of(record), record)
        for tag in self._languages:
            seen: set[Key] = set()
            for record in self._records(tag, advance):
                key = self._key_of(record)
                if key in pivots:
                    reason = REPEATED_KEY if key in seen else None
                    yield self._pair(pivots[key], record, {"key": list(key)}, reason)
                else:
                    yield record._replace(group=None, reason=record.reason or NO_PIVOT)
                seen.add(key)

    def _key_of(self, record: Record) -> Key:
        meta = json.loads(record.meta)
        # A row that could not be read has no key but its place.
        return tuple(meta.get(name) for name in self._source.key) if record.reason is None else ()

    def _pair(
        self, pivot: Record, other: Record, place: dict[str, Any], reason: str | None = None
    ) -> Record:
        texts = [" ".join(record.text.split()) for record in (pivot, other)]
        languages = [pivot.language, other.language]
        chance = seed_from("parallel", self.name, other.language, texts[0])
        if not self._source.pivot_first and chance % 2:
            order = slice(None, None, -1)
        else:
            order = slice(None)
        label = self._files[other.language].label
        return other._replace(
            key=None,
            text="\n".join(texts[order]),
            group=f"{self.name}/{texts[0]}",
            meta=to_json({"path": label, **place, "languages": languages[order]}),
            reason=pivot.reason or other.reason or reason or _reason(*texts),
        )


def _reason(pivot: str, other: str) -> str | None:
    if not pivot:
        return NO_PIVOT
    if not other:
        return NO_TRANSLATION
    return NOT_TRANSLATED if pivot == other else None
