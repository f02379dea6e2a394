"""The kernel that judges documents by their statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.corpus.filters.profiles import (
    Profile,
    Rule,
    Threshold,
    check_statistics,
    lexicon_of,
    merged,
    nearest_profile,
    read_profile,
    rules_of,
    shipped_profiles,
    warn_of_defaults,
)
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.statistics import STATISTICS, Lexicon, measure

_EVERY_LANGUAGE = "und"
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Judge:
    """All that judges documents of one language."""

    lexicon: Lexicon
    rules: tuple[Rule, ...]


class QualityFilter:
    """Gives a reason to documents that a rule speaks against.

    Args:
        spec: Rules and thresholds.

    Raises:
        InputError: A file, a statistic or a threshold of the spec is not known.

    Note:
        A row's outcome depends on its text, language and title alone.
    """

    def __init__(self, spec: FilterSpec | None = None) -> None:
        self.spec = spec or FilterSpec()
        named = () if self.spec.rules == "all" else self.spec.rules
        check_statistics((*named, *self.spec.without), "filters.rules")
        for language, rules in self.spec.thresholds.items():
            check_statistics(rules, f"filters.thresholds.{language}")
        own = [read_profile(Path(path)) for path in self.spec.files]
        self._profiles: dict[str, Profile] = {
            **shipped_profiles(),
            **{profile.language: profile for profile in (*own, *self.spec.profiles)},
        }
        self._judges: dict[str, _Judge] = {}

    def __getstate__(self) -> FilterSpec:
        return self.spec

    def __setstate__(self, spec: FilterSpec) -> None:
        self.__init__(spec)  # type: ignore[misc]

    def rules_of(self, language: str) -> tuple[Rule, ...]:
        """Return the rules that judge a language, in order, with all overrides."""
        return self._judge(language).rules

    def statistics(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Compute the statistics of a batch with `text`, `language` and perhaps `meta`.

        Args:
            batch: RECORD_SCHEMA or any other with these columns; texts normalised.

        Returns:
            STATISTICS_SCHEMA.
        """
        languages = batch["language"].to_pylist()
        known = {tag: self._judge(tag).lexicon for tag in dict.fromkeys(languages)}
        lexicons = [known[tag] for tag in languages]
        titles = _titles(batch) if "meta" in batch.schema.names else None
        return measure(batch["text"].to_pylist(), lexicons, titles)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Fill in the reasons of a batch.

        Args:
            batch: With `text`, `language` and `reason`, such as RECORD_SCHEMA; texts normalised.

        Returns:
            The same rows; those without a reason have that of the first rule that fails.
            With `keep_statistics`, followed by a column for each statistic.
        """
        statistics = self.statistics(batch)
        languages = batch["language"].to_pylist()
        found = self.reasons(statistics, languages)
        known = batch["reason"].to_pylist()
        reasons = [old if old is not None else new for old, new in zip(known, found, strict=True)]
        index = batch.schema.get_field_index("reason")
        batch = batch.set_column(index, batch.schema.field(index), pa.array(reasons, pa.string()))
        if not self.spec.keep_statistics:
            return batch
        columns, fields = [*batch.columns, *statistics.columns], [*batch.schema, *statistics.schema]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))

    def reasons(self, statistics: pa.RecordBatch, languages: Sequence[str]) -> list[str | None]:
        """Return the reason against each document, None where nothing speaks against it.

        Args:
            statistics: STATISTICS_SCHEMA.
            languages: The language of each row.

        Returns:
            The reason of the first rule that fails, for each row.
        """
        columns = {name: _floats(statistics[name]) for name in STATISTICS}
        reasons = np.full(len(languages), None, object)
        names = np.asarray(languages, object)
        for language in dict.fromkeys(languages):
            rows = np.flatnonzero(names == language)
            own = {name: column[rows] for name, column in columns.items()}
            reasons[rows] = _first_reasons(self._judge(language).rules, own)
        return reasons.tolist()

    def _judge(self, language: str) -> _Judge:
        if language not in self._judges:
            profile = nearest_profile(language, self._profiles)
            if profile is None:
                warn_of_defaults(language)
            rules = self._rules(language, profile)
            profanity = _nearest(self.spec.profanity, language, ())
            self._judges[language] = _Judge(lexicon_of(language, profile, profanity), rules)
        return self._judges[language]

    def _rules(self, language: str, profile: Profile | None) -> tuple[Rule, ...]:
        general = self.spec.thresholds.get(_EVERY_LANGUAGE, {})
        special: Mapping[str, Threshold] = _nearest(self.spec.thresholds, language, {})
        names = dict.fromkeys((*general, *special))
        own = {name: merged(general.get(name), special.get(name)) for name in names}
        wanted = STATISTICS if self.spec.rules == "all" else self.spec.rules
        return tuple(
            rule
            for rule in rules_of(profile, own)
            if rule.statistic in wanted and rule.statistic not in self.spec.without
        )


def _nearest(table: Mapping[str, _T], language: str, otherwise: _T) -> _T:
    tag = language
    while tag:
        if tag in table:
            return table[tag]
        tag = tag.rpartition("-")[0]
    return otherwise


def _first_reasons(
    rules: Sequence[Rule], columns: Mapping[str, npt.NDArray[np.float64]]
) -> npt.NDArray[np.object_]:
    """The reason of the first rule that fails; what is not defined fails no rule."""
    words, lines = columns["words"], columns["lines"]
    reasons = np.full(len(words), None, object)
    for rule in reversed(rules):
        limits, values = rule.threshold, columns[rule.statistic]
        judged = (words >= (limits.from_words or 0)) & (lines >= (limits.from_lines or 0))
        if limits.max is not None:
            reasons[judged & (values > limits.max)] = _reason(rule, limits.too_high, "high")
        if limits.min is not None:
            reasons[judged & (values < limits.min)] = _reason(rule, limits.too_low, "low")
    return reasons


def _reason(rule: Rule, text: str | None, side: str) -> str:
    return text or f"{rule.statistic.replace('_', ' ')} too {side}"


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return values


def _titles(batch: pa.RecordBatch) -> list[str | None]:
    """Titles among the metadata, where there are any."""
    titles: list[str | None] = [None] * batch.num_rows
    rows = pc.indices_nonzero(pc.fill_null(pc.match_substring(batch["meta"], '"title"'), False))
    for row, meta in zip(rows.to_pylist(), batch["meta"].take(rows).to_pylist(), strict=True):
        titles[row] = _title(meta)
    return titles


def _title(meta: str) -> str | None:
    title = json.loads(meta).get("title")
    return title if isinstance(title, str) else None
