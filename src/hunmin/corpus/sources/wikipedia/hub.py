"""Wikipedia through the `datasets` library, from the hub or from a folder of the same layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from hunmin.core.errors import HunminError, InputError, MissingInputError
from hunmin.core.extras import require
from hunmin.corpus.records import Record, batched, cut_records, to_json
from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import WikipediaSource

HUB_NAME = "wikimedia/wikipedia"
LICENSE = "CC-BY-SA-3.0 AND GFDL-1.3-or-later"
_COLUMNS = ("id", "url", "title", "text")


class WikipediaReader(SourceReader):
    """Streams the articles of one edition.

    Args:
        source: What the recipe says.
        max_characters: Longer articles are cut.

    Raises:
        MissingExtraError: The `datasets` package is not installed.
        MissingInputError: The folder does not exist or holds no Parquet file.
    """

    unit = "articles"

    def __init__(self, source: WikipediaSource, max_characters: int) -> None:
        self._source, self._max_characters = source, max_characters
        self._datasets = require("datasets", extra="hub")
        self._files = None if source.path is None else _local_files(source.path, self._edition())
        self.name = source.source_name
        self.total: float | None = source.max_documents

    def _edition(self) -> str:
        edition = self._source.edition or self._source.language
        return f"{self._source.snapshot}.{edition}"

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all records; `advance` is told of the articles read."""
        yield from batched(cut_records(self._records(advance), self._max_characters))

    def _records(self, advance: Callable[[int], None]) -> Iterator[Record]:
        source = self._source
        for row in self._rows():
            advance(1)
            yield Record(
                key=str(row["id"]),
                text=row["text"] or "",
                language=source.language,
                source=source.source_name,
                license=LICENSE,
                group=None,
                meta=to_json({"title": row["title"], "url": row["url"]}),
            )

    def _rows(self) -> Iterable[dict[str, Any]]:
        data = self._open()
        missing = [name for name in _COLUMNS if name not in (data.column_names or _COLUMNS)]
        if missing:
            raise InputError(
                f"these files are not Wikipedia's: no column {', '.join(missing)}",
                where=self._source.path,
                given=", ".join(data.column_names),
                allowed=", ".join(_COLUMNS),
                hint="read them with `kind: files` and `fields:` instead",
            )
        if self._source.max_documents is not None:
            data = data.take(self._source.max_documents)
        try:
            yield from data
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from error

    def _open(self) -> Any:
        load = self._datasets.load_dataset
        if self._files is not None:
            files = [str(path) for path in self._files]
            return load("parquet", data_files={"train": files}, split="train", streaming=True)
        try:
            return load(HUB_NAME, self._edition(), split="train", streaming=True)
        except (OSError, ValueError, ImportError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> HunminError:
        problem = f"Wikipedia cannot be read: {type(error).__name__}: {error}"
        if self._source.path is not None:
            hint = "fetch the Parquet files again"
            return HunminError(problem, where=self._source.path, hint=hint)
        return HunminError(
            problem,
            where=f"{HUB_NAME}, {self._edition()}",
            hint="check the network, the language's code and the snapshot, or fetch the Parquet "
            "files and name their folder with `path`",
        )


def _local_files(folder: Path, edition: str) -> list[Path]:
    if folder.parts and folder.parts[0].endswith(":"):
        raise InputError(
            "this source reads folders of this machine",
            where="/".join(folder.parts[:2]),
            hint="read the Parquet files with `kind: files`, which takes addresses too: "
            f"`paths: [s3://bucket/folder]`, `license: {LICENSE}`",
        )
    if not folder.is_dir():
        raise MissingInputError(
            "there is no such folder of Wikipedia files",
            where=folder,
            hint="`path` names a folder with Parquet files, or one with a folder "
            f"'{edition}' of them",
        )
    inner = folder / edition
    files = sorted((inner if inner.is_dir() else folder).glob("*.parquet"))
    if not files:
        raise MissingInputError(
            "there is no Parquet file in this folder",
            where=folder,
            given=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing",
            hint=f"put the files there, or into a folder '{edition}' below it",
        )
    return files
