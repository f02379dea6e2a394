"""What every source can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import pyarrow as pa

from hunmin.text.files import COMPRESSIONS, Location, size_of

File = TypeVar("File")
# Text is about so many times as large as its compressed file.
_COMPRESSION = 4


class SourceReader(Protocol):
    """A source, ready to be read."""

    name: str
    """Name of the source."""
    total: float | None
    """Units of the whole work, if known."""
    unit: str
    """What the work is counted in."""

    def batches(self, advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Yield all records as batches of RECORD_SCHEMA, always in the same order."""
        ...

    def split(self, part_bytes: int) -> Sequence[SourceReader]:
        """Return readers of the parts of a source, to be read anywhere and put together in order.

        Args:
            part_bytes: Text in a part, about; files are not divided.

        Returns:
            Picklable readers; the reader itself if it cannot be divided.
        """
        return [self]


def pack_files(
    files: Iterable[File], path_of: Callable[[File], Location], part_bytes: int
) -> list[list[File]]:
    """Divide files into groups of about `part_bytes` of text, in their order."""
    packs: list[list[File]] = []
    room = 0
    for file in files:
        path = path_of(file)
        is_packed = path.suffix.lower() in COMPRESSIONS or path.suffix == ".parquet"
        size = size_of(path) * (_COMPRESSION if is_packed else 1)
        if not packs or room < size:
            packs.append([])
            room = part_bytes
        packs[-1].append(file)
        room -= size
    return packs
