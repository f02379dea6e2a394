"""Making sure that every language has something held out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.kernels import group_number


class HoldoutGuard:
    """Watches the split and names the groups to hold out where chance held out none.

    Args:
        seed: The split's seed.
        states: What `state` returned for parts of the corpus, with the same seed.
    """

    def __init__(self, seed: int, states: Iterable[dict[str, Any]] = ()) -> None:
        self._seed = seed
        self._lowest: dict[str, tuple[int, str]] = {}
        self._has_several: set[str] = set()
        self._has_validation: set[str] = set()
        for state in states:
            self._has_several.update(state["several"])
            self._has_validation.update(state["validation"])
            for language, (number, group) in state["lowest"].items():
                self._add_group(language, number, group)

    def add_train(self, batch: pa.RecordBatch) -> None:
        """Remember, for each language, the group that would be the next one held out."""
        pairs = zip(batch["language"].to_pylist(), batch["group"].to_pylist(), strict=True)
        for language, group in set(pairs):
            self._add_group(language, group_number(group, self._seed), group)

    def _add_group(self, language: str, number: int, group: str) -> None:
        lowest = self._lowest.setdefault(language, (number, group))
        if lowest[1] != group:
            self._has_several.add(language)
        self._lowest[language] = min(lowest, (number, group))

    def add_validation(self, batch: pa.RecordBatch) -> None:
        """Note the languages that have something held out."""
        self._has_validation.update(batch["language"].to_pylist())

    def state(self) -> dict[str, Any]:
        """Return what is known as JSON: one group for each language."""
        return {
            "lowest": {language: list(self._lowest[language]) for language in sorted(self._lowest)},
            "several": sorted(self._has_several),
            "validation": sorted(self._has_validation),
        }

    def groups_to_move(self) -> list[str]:
        """Return one group for each language with several groups and none held out."""
        languages = self._has_several - self._has_validation
        return sorted({self._lowest[language][1] for language in languages})

    def languages_without_validation(self) -> list[str]:
        """Return the languages whose single group cannot be held out."""
        return sorted(set(self._lowest) - self._has_validation - self._has_several)


def single_group_error(sources: str) -> EmptyCorpusError:
    """Return the error for a corpus that cannot be split."""
    return EmptyCorpusError(
        "nothing can be held out: all documents belong to one group",
        where=sources,
        given="one document, or one file that is one document",
        hint="set `unit: paragraph` or `unit: line` in the source, add more text, or set "
        "`validation_fraction: 0`",
    )
