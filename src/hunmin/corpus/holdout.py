"""Making sure that every language has something held out."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.kernels import group_number


class HoldoutGuard:
    """Watches the split and names the groups to hold out where chance held out none.

    Args:
        seed: The split's seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lowest: dict[str, tuple[int, str]] = {}
        self._has_several: set[str] = set()
        self._has_validation: set[str] = set()

    def add_train(self, batch: pa.RecordBatch) -> None:
        """Remember, for each language, the group that would be the next one held out."""
        for language, group in set(_pairs(batch)):
            lowest = self._lowest.get(language)
            if language in self._has_validation or (lowest is not None and lowest[1] == group):
                continue
            if lowest is not None:
                self._has_several.add(language)
            candidate = (group_number(group, self._seed), group)
            self._lowest[language] = candidate if lowest is None else min(lowest, candidate)

    def add_validation(self, batch: pa.RecordBatch) -> None:
        """Note the languages that have something held out."""
        self._has_validation.update(batch["language"].to_pylist())

    def groups_to_move(self) -> list[str]:
        """Return one group for each language with several groups and none held out."""
        languages = self._has_several - self._has_validation
        return sorted({self._lowest[language][1] for language in languages})

    def languages_without_validation(self) -> list[str]:
        """Return the languages whose single group cannot be held out."""
        return sorted(set(self._lowest) - self._has_validation - self._has_several)


def _pairs(batch: pa.RecordBatch) -> Iterable[tuple[str, str]]:
    return zip(batch["language"].to_pylist(), batch["group"].to_pylist(), strict=True)


def single_group_error(sources: str) -> EmptyCorpusError:
    """Return the error for a corpus that cannot be split."""
    return EmptyCorpusError(
        "nothing can be held out: all documents belong to one group",
        where=sources,
        given="one document, or one file that is one document",
        hint="set `unit: paragraph` or `unit: line` in the source, add more text, or set "
        "`validation_fraction: 0`",
    )
