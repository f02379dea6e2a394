"""Counts that add up: from batches to shards to the whole corpus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Key = tuple[str, ...]
State = dict[str, list[list[Any]]]
"""JSON: name of the count -> rows of the parts of the key and the number."""


class Tally:
    """Named counts by key; the same for every order in which parts are added."""

    def __init__(self, states: Iterable[State] = ()) -> None:
        self._counts: defaultdict[str, Counter[Key]] = defaultdict(Counter)
        for state in states:
            for name, rows in state.items():
                for *key, number in rows:
                    self._counts[name][tuple(key)] += number

    def add(self, name: str, *key: str, number: int = 1) -> None:
        """Add a number to one count."""
        self._counts[name][key] += number

    def add_all(self, name: str, keys: Iterable[Key]) -> None:
        """Add 1 for each key."""
        self._counts[name].update(keys)

    def add_batch(self, name: str, batch: pa.RecordBatch, by: tuple[str, ...], *key: str) -> None:
        """Count documents, characters and UTF-8 bytes of a batch.

        Args:
            name: Counts `NAME documents`, `NAME characters` and `NAME bytes`.
            batch: With `text` and the columns of `by`.
            by: Columns of strings whose values are the first parts of the key.
            *key: The last parts.
        """
        if batch.num_rows == 0:
            return
        columns = {column: batch[column] for column in by}
        columns["characters"] = pc.utf8_length(batch["text"])
        columns["bytes"] = pc.binary_length(batch["text"])
        sums = [("characters", "sum"), ("bytes", "sum"), ("bytes", "count")]
        for row in pa.table(columns).group_by(list(by)).aggregate(sums).to_pylist():
            whole = (*(row[column] for column in by), *key)
            self._counts[f"{name} documents"][whole] += row["bytes_count"]
            self._counts[f"{name} characters"][whole] += row["characters_sum"]
            self._counts[f"{name} bytes"][whole] += row["bytes_sum"]

    def of(self, name: str) -> Mapping[Key, int]:
        """Return one count by key, in the order of the keys."""
        return dict(sorted(self._counts[name].items()))

    def total(self, name: str, **only: str) -> int:
        """Return the sum of a count; `at0="ko"` counts only keys whose first part is `ko`."""
        places = {int(place.removeprefix("at")): value for place, value in only.items()}
        return sum(
            number
            for key, number in self._counts[name].items()
            if all(key[place] == value for place, value in places.items())
        )

    def drop(self, prefix: str) -> None:
        """Forget the counts whose names start like this."""
        for name in [name for name in self._counts if name.startswith(prefix)]:
            del self._counts[name]

    def state(self) -> State:
        """Return everything, in a stable order."""
        return {name: list(self._rows(name)) for name in sorted(self._counts)}

    def _rows(self, name: str) -> Iterator[list[Any]]:
        for key, number in self.of(name).items():
            yield [*key, number]
