"""Thresholds for a language from text that is trusted.

Trusted text is mostly short (sentences, paragraphs), documents of the web are long. A share that is
measured in ten words varies far more than one measured in a thousand, so quantiles of sentences
would let anything pass; counts grow with length, so those of sentences would let nothing pass.
Therefore consecutive trusted texts are put together to documents of several lengths, and a
threshold is the outermost of its quantiles over the lengths:

- shares of characters and words are measured at every length;
- statistics of lines (punctuation at their ends, their length, repetition) are proposed only where
  the trusted texts are documents of their own, since a line end between two sentences put
  together is ours and not the language's;
- a limit that is stricter than the default goes half of the way only: what is trusted is all of
  one kind, such as news without a single bracket, and the web is not;
- counts (characters, words, lines, longest run) are never proposed;
- the number of different stop words grows with length: its minimum is measured at the shortest
  length at which all trusted documents have some, and only documents of that length are asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml

from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import InputError
from hunmin.corpus.filters.profiles import (
    Profile,
    Threshold,
    lexicon_of,
    nearest_profile,
    shipped_profiles,
)
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.statistics import measure
from hunmin.corpus.filters.units import CHARACTERS_PER_WORD
from hunmin.text.languages import normalize_tag
from hunmin.text.scripts import expand_scripts
from hunmin.text.segmentation.words import word_pattern

SHARES_LOW = ("letter_share", "main_script_share", "alphabetic_words", "unique_words")
SHARES_HIGH = (
    *("digit_share", "symbol_share", "symbol_words", "brace_share", "jamo_share", "run_share"),
    *("top_2gram", "top_3gram", "top_4gram"),
    *(f"duplicate_{size}gram" for size in range(5, 11)),
)
LINES_LOW = ("punctuated_lines",)
LINES_HIGH = (
    *("bullet_lines", "ellipsis_lines", "short_lines", "lines_per_word", "title_lines"),
    *("duplicate_lines", "duplicate_line_characters"),
)
LENGTHS = (50, 200, 1000)
"""Words of the documents that trusted texts are put together to."""
_MIN_DOCUMENTS = 20
_DIGITS = 4
_HALF = 0.5


@dataclass(frozen=True)
class Proposal:
    """Thresholds for a language, and what they do."""

    profile: Profile
    """What a file of thresholds holds."""
    documents: Mapping[int, int]
    """Documents put together, by length in words; 0 for trusted texts as they are."""
    trusted_rejected: float
    """Share of the trusted documents that defaults and proposal together reject."""
    trusted_reasons: Mapping[str, float]
    """The same by reason."""
    suspect_rejected: float | None
    """Share of the suspect texts rejected; None without any."""
    suspect_reasons: Mapping[str, float]
    """The same by reason."""

    def save(self, path: Path) -> None:
        """Write the file of thresholds."""
        values = self.profile.model_dump(exclude_defaults=True, exclude_none=True, mode="json")
        text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=98)
        atomic_write_text(path, text)


def propose(
    language: str,
    trusted: Sequence[str],
    suspect: Sequence[str] = (),
    *,
    quantile: float = 0.002,
    margin: float = 0.25,
    whole_documents: bool = False,
    num_stop_words: int = 50,
) -> Proposal:
    """Propose thresholds for a language.

    Args:
        language: BCP 47 tag.
        trusted: Good texts, normalised, in their order: sentences, paragraphs or documents.
        suspect: Texts of which many are thought bad, to see what the thresholds do to them.
        quantile: Share of the trusted documents that one rule may reject before the margin.
        margin: How much farther out a threshold lies, as a share of its distance from the median.
        whole_documents: Whether each trusted text is a document with its own lines.
        num_stop_words: Commonest words to take as stop words, if the language has none yet; 0 for
            none. Not for scripts without spaces between words.

    Returns:
        The proposal; rules that are not in it stay as the defaults have them.

    Raises:
        InputError: Too little trusted text.
    """
    tag = normalize_tag(language)
    known = nearest_profile(tag, shipped_profiles())
    scripts = lexicon_of(tag, known).scripts
    stop_words = known.stop_words if known else _stop_words(trusted, scripts, num_stop_words)
    base = Profile(language=tag, scripts=scripts, stop_words=stop_words)
    documents = _documents(trusted, whole_documents)
    columns = {length: _columns(texts, tag, base) for length, texts in documents.items()}
    rules = _rules(columns, quantile, margin, whole_documents)
    rules |= _stop_word_rule(columns, quantile, bool(stop_words))
    profile = base.model_copy(
        update={"rules": rules, "stop_words_origin": _origin(known, bool(stop_words))}
    )
    kept = [text for texts in documents.values() for text in texts]
    trusted_reasons = rejections(profile, kept)
    suspect_reasons = rejections(profile, suspect)
    return Proposal(
        profile,
        {length: len(texts) for length, texts in documents.items()},
        sum(trusted_reasons.values()),
        trusted_reasons,
        sum(suspect_reasons.values()) if suspect else None,
        suspect_reasons,
    )


def _origin(known: Profile | None, any_words: bool) -> str | None:
    if known is not None:
        return known.stop_words_origin
    return "the commonest words of the trusted text" if any_words else None


def rejections(profile: Profile, texts: Sequence[str]) -> dict[str, float]:
    """Return the share of some texts that a profile over the defaults rejects, by reason."""
    if not texts:
        return {}
    judge = QualityFilter(FilterSpec(profiles=(profile,)))
    tags = [profile.language] * len(texts)
    batch = pa.record_batch({"text": pa.array(texts, pa.string()), "language": tags})
    counts = Counter(judge.reasons(judge.statistics(batch), tags))
    counts.pop(None, None)
    return {str(reason): count / len(texts) for reason, count in counts.most_common()}


def _documents(trusted: Sequence[str], whole: bool) -> dict[int, list[str]]:
    """Trusted texts by length; whole documents as they are, under 0."""
    if whole:
        found = {0: [text for text in trusted if text]}
    else:
        found = {length: put_together(trusted, length) for length in LENGTHS}
        found = {length: texts for length, texts in found.items() if len(texts) >= _MIN_DOCUMENTS}
    if not found or len(next(iter(found.values()))) < _MIN_DOCUMENTS:
        raise InputError(
            "too little trusted text to measure a language with",
            given=f"{len(trusted)} texts",
            allowed=f"enough for {_MIN_DOCUMENTS} documents of {LENGTHS[0]} words",
        )
    return found


def put_together(texts: Sequence[str], words: int) -> list[str]:
    """Join consecutive texts with spaces until each document has enough words.

    Args:
        texts: Texts in their order.
        words: Words that a document has at least; a rest that is shorter is left out.

    Returns:
        Documents in the order of the texts.
    """
    documents: list[str] = []
    parts: list[str] = []
    count = 0.0
    for text, size in zip(texts, _word_counts(texts), strict=True):
        parts.append(text)
        count += size
        if count >= words:
            documents.append(" ".join(parts))
            parts, count = [], 0.0
    return documents


def _word_counts(texts: Sequence[str]) -> list[float]:
    return list(measure(texts, [lexicon_of("und", None)] * len(texts))["words"].to_pylist())


def _columns(
    texts: Sequence[str], tag: str, profile: Profile
) -> dict[str, npt.NDArray[np.float64]]:
    statistics = measure(texts, [lexicon_of(tag, profile)] * len(texts))
    return {
        name: statistics[name].to_numpy(zero_copy_only=False) for name in statistics.schema.names
    }


def _rules(
    columns: Mapping[int, Mapping[str, npt.NDArray[np.float64]]],
    quantile: float,
    margin: float,
    whole: bool,
) -> dict[str, Threshold]:
    low = (*SHARES_LOW, *(LINES_LOW if whole else ()))
    high = (*SHARES_HIGH, *(LINES_HIGH if whole else ()))
    rules: dict[str, Threshold] = {}
    from_words = min(columns) or None
    defaults = shipped_profiles()["und"].rules
    origin = _told(columns, quantile, margin)
    for name in (*low, *high, "mean_word_length"):
        values = [v[np.isfinite(v)] for v in (found[name] for found in columns.values())]
        values = [v for v in values if len(v)]
        if not values:
            continue
        default = defaults.get(name, Threshold())
        least = None if name in high else _limit(values, quantile, margin, default.min)
        most = None if name in low else _limit(values, 1 - quantile, margin, default.max)
        rules[name] = Threshold(min=least, max=most, from_words=from_words, origin=origin)
    return rules


def _limit(
    values: Sequence[npt.NDArray[np.float64]],
    quantile: float,
    margin: float,
    default: float | None,
) -> float:
    """The outermost quantile over all lengths and the margin, at most half-way from the default."""
    found = [float(np.quantile(part, quantile)) for part in values]
    is_low = quantile < _HALF
    outer = min(found) if is_low else max(found)
    limit = outer + margin * (outer - float(np.median(np.concatenate(values))))
    if default is not None:
        half_way = (default + limit) / 2
        limit = min(limit, half_way) if is_low else max(limit, half_way)
    return round(max(0.0, limit), _DIGITS)


def _stop_word_rule(
    columns: Mapping[int, Mapping[str, npt.NDArray[np.float64]]], quantile: float, known: bool
) -> dict[str, Threshold]:
    if not known:
        return {}
    for length, found in sorted(columns.items()):
        least = float(np.floor(np.quantile(found["stop_words"], quantile)))
        if least >= 1:
            words = float(length or np.median(found["words"]))
            origin = _told({length: found}, quantile, 0.0)
            return {"stop_words": Threshold(min=least, from_words=words, origin=origin)}
    return {}


def _told(
    columns: Mapping[int, Mapping[str, npt.NDArray[np.float64]]], quantile: float, margin: float
) -> str:
    sizes = ", ".join(
        f"{len(found['words'])} of {length} words" if length else f"{len(found['words'])} as given"
        for length, found in columns.items()
    )
    return f"proposed: quantile {quantile:g}, margin {margin:g}, trusted documents: {sizes}"


def _stop_words(trusted: Sequence[str], scripts: Sequence[str], count: int) -> tuple[str, ...]:
    """The words that most trusted texts have; none where the script parts no words."""
    if set(expand_scripts(scripts)) & set(CHARACTERS_PER_WORD):
        return ()
    seen: Counter[str] = Counter()
    for text in trusted:
        seen.update(set(word_pattern().findall(text.lower())))
    ordered = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in ordered[:count])
