"""Aggregates of document scores with intervals.

Documents of one group (sentences of one template, parts of one page) resemble each other, so the
intervals resample whole groups. All systems see the same resamples: differences are paired.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.estimates import MIN_GROUPS, Estimate, Floats, estimate, resampled_sums
from hunmin.core.hashing import seed_from
from hunmin.evaluation.results import (
    MODEL,
    NGRAM,
    SYSTEMS,
    Aggregate,
    LanguageMean,
    SystemScores,
)

COLUMNS = ("num_documents", "num_bytes", "num_tokens", *(f"{name}_nats" for name in SYSTEMS))


class Sums:
    """Column totals of some documents, first over all and then over each resample of groups.

    Args:
        values: Additive values, shape (documents, columns).
        groups: Group of each document, any labels.
        num_resamples: Resamples to draw.
        seed: Seed of the draws.
    """

    def __init__(
        self, values: Floats, groups: npt.NDArray[np.int64], num_resamples: int, seed: int
    ) -> None:
        labels, codes = np.unique(groups, return_inverse=True)
        per_group = np.stack(
            [np.bincount(codes, weights=column, minlength=labels.size) for column in values.T],
            axis=1,
        ).astype(np.float64)
        self.num_groups = labels.size
        self.totals = np.vstack([values.sum(0), *resampled_sums(per_group, num_resamples, seed)])

    def column(self, name: str) -> Floats:
        """Return the totals of a column, shape (1 + resamples,)."""
        column: Floats = self.totals[:, COLUMNS.index(name)]
        return column

    def bits_per_byte(self, system: str) -> Floats:
        """Return bits per byte of a system, shape (1 + resamples,)."""
        bits: Floats = self.column(f"{system}_nats") / np.log(2)
        return bits / self.column("num_bytes")

    def estimate(self, values: Floats) -> Estimate:
        """Return the first value, with the percentiles of the others as its interval."""
        return estimate(values, has_interval=self.num_groups >= MIN_GROUPS)

    def aggregate(self) -> Aggregate:
        """Return all scores of these documents."""
        scores = {
            s: SystemScores(bits_per_byte=self.estimate(self.bits_per_byte(s))) for s in SYSTEMS
        }
        loss = self.column(f"{MODEL}_nats") / self.column("num_tokens")
        scores[MODEL] = scores[MODEL].model_copy(
            update={
                "loss_per_token": self.estimate(loss),
                "perplexity_per_token": self.estimate(np.exp(loss)),
            }
        )
        counts = self.totals[0].astype(np.int64).tolist()
        return Aggregate(
            num_documents=counts[0],
            num_groups=self.num_groups,
            num_bytes=counts[1],
            num_tokens=counts[2],
            scores=scores,
            gain_over_ngram=self.estimate(self.bits_per_byte(NGRAM) - self.bits_per_byte(MODEL)),
        )


class Summary:
    """Aggregates of a table of document scores.

    Args:
        scores: One row per document: language, source, group, num_bytes, num_tokens and
            `<system>_nats` for each system.
        num_resamples: Bootstrap resamples.
        seed: Seed of the resamples.
    """

    def __init__(self, scores: pa.Table, *, num_resamples: int, seed: int) -> None:
        self._num_resamples = num_resamples
        self._seed = seed
        columns = [np.ones(len(scores)), *(scores[name].to_numpy() for name in COLUMNS[1:])]
        self._values = np.stack(columns, axis=1).astype(np.float64)
        self._groups = _codes(scores["group"])[1]
        self._languages = self._split("language", scores["language"])
        self._sources = self._split("source", scores["source"])

    def overall(self) -> Aggregate:
        """Return the scores over all documents."""
        return self._sums("overall", np.ones(len(self._values), np.bool_)).aggregate()

    def by_language(self) -> dict[str, Aggregate]:
        """Return the scores of each language, in the order of the tags."""
        return {name: sums.aggregate() for name, sums in self._languages.items()}

    def by_source(self) -> dict[str, Aggregate]:
        """Return the scores of each source, in the order of the names."""
        return {name: sums.aggregate() for name, sums in self._sources.items()}

    def language_mean(self) -> LanguageMean:
        """Return the mean over languages, each with the same weight."""
        parts = list(self._languages.values())
        has_interval = sum(sums.num_groups for sums in parts) >= MIN_GROUPS
        means = {s: np.mean([sums.bits_per_byte(s) for sums in parts], axis=0) for s in SYSTEMS}
        return LanguageMean(
            num_languages=len(parts),
            bits_per_byte={s: estimate(means[s], has_interval=has_interval) for s in SYSTEMS},
        )

    def _split(self, title: str, column: pa.ChunkedArray) -> dict[str, Sums]:
        names, codes = _codes(column)
        return {
            name: self._sums(f"{title}={name}", codes == code) for code, name in enumerate(names)
        }

    def _sums(self, scope: str, rows: npt.NDArray[np.bool_]) -> Sums:
        # A seed per scope: the interval of a language does not hang on what others are there.
        seed = seed_from("bootstrap", self._seed, scope)
        return Sums(self._values[rows], self._groups[rows], self._num_resamples, seed)


def _codes(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the sorted values of a column and the number of each row's value."""
    encoded = column.combine_chunks().dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names)
    ranks = np.empty(len(names), np.int64)
    ranks[order] = np.arange(len(names))
    return names[order].tolist(), ranks[encoded.indices.to_numpy()]
