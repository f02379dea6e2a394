"""What every source can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa


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
