"""All statistics of a batch of documents, computed over arrays of code points."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.corpus.filters.character_statistics import character_statistics, script_rows
from hunmin.corpus.filters.characters import lower, script_kind
from hunmin.corpus.filters.chunks import Chunk, chunks, hash_strings
from hunmin.corpus.filters.line_statistics import Lines, find_lines, line_statistics
from hunmin.corpus.filters.ngrams import DUPLICATE_SIZES, TOP_SIZES, ngram_statistics
from hunmin.corpus.filters.phrases import find_phrases, find_words
from hunmin.corpus.filters.repeats import share
from hunmin.corpus.filters.units import find_units
from hunmin.corpus.filters.word_statistics import word_statistics
from hunmin.corpus.hashes import Hashes, Positions
from hunmin.text.scripts import expand_scripts

Columns = dict[str, npt.NDArray[np.float64]]

STATISTICS = (
    *("characters", "words", "lines", "mean_word_length", "letter_share", "digit_share"),
    *("symbol_share", "symbol_words", "brace_share", "broken_share", "jamo_share"),
    *("main_script_share", "longest_run", "run_share", "alphabetic_words", "unique_words"),
    *("stop_words", "stop_word_share", "profanity_share", "punctuated_lines", "bullet_lines"),
    *("ellipsis_lines", "short_lines", "lines_per_word", "title_lines", "boilerplate_lines"),
    *("placeholder_lines", "duplicate_lines", "duplicate_line_characters"),
    *("duplicate_paragraphs", "duplicate_paragraph_characters"),
    *(f"top_{size}gram" for size in TOP_SIZES),
    *(f"duplicate_{size}gram" for size in DUPLICATE_SIZES),
)
"""Names of the statistics, in the order of the columns of `measure`."""

STATISTICS_SCHEMA = pa.schema([pa.field(name, pa.float64()) for name in STATISTICS])
"""Null where a statistic is not defined: an empty text, word length without words, no word list."""


@dataclass(frozen=True)
class Lexicon:
    """What is known of a language that statistics need."""

    scripts: tuple[str, ...] = ()
    """ISO 15924 codes of its scripts; none: the commonest script of a document is its main one."""
    stop_words: frozenset[str] = frozenset()
    """Words that running text has, whatever it is about."""
    profanity: frozenset[str] = frozenset()
    """Words that the user wants counted."""
    boilerplate: tuple[str, ...] = ()
    """Phrases of lines that belong to a page, not to its text."""
    placeholders: tuple[str, ...] = ()
    """Phrases that stand for text to come."""
    kinds: tuple[int, ...] = field(init=False)
    """Kinds of the scripts' letters."""

    def __post_init__(self) -> None:
        """Resolve the scripts."""
        kinds = tuple(script_kind(script) for script in expand_scripts(self.scripts))
        object.__setattr__(self, "kinds", kinds)


def measure(
    texts: Sequence[str],
    lexicons: Sequence[Lexicon],
    titles: Sequence[str | None] | None = None,
) -> pa.RecordBatch:
    """Compute all statistics of some documents.

    Args:
        texts: Normalised texts, possibly empty.
        lexicons: The lexicon of each document's language; those of one language one object.
        titles: Titles by document where they are known; else a document's first line is its title.

    Returns:
        STATISTICS_SCHEMA, a row for each text. A row depends on its text, lexicon and title alone.

    Note:
        About 60 bytes of memory for each character of the longest document.
    """
    hashes = None if titles is None else _title_hashes(titles)
    distinct = list({id(lexicon): lexicon for lexicon in lexicons}.values())
    numbers = {id(lexicon): number for number, lexicon in enumerate(distinct)}
    choice = np.fromiter((numbers[id(lexicon)] for lexicon in lexicons), np.int64, len(lexicons))
    parts = []
    for chunk in chunks(texts):
        rows = slice(chunk.first, chunk.first + chunk.num_documents)
        own = None if hashes is None else hashes[rows]
        parts.append(_measure_chunk(chunk, distinct, choice[rows], own))
    arrays = [
        pa.array(np.concatenate([part[name] for part in parts] or [np.zeros(0)]), from_pandas=True)
        for name in STATISTICS
    ]
    return pa.RecordBatch.from_arrays(
        [array.cast(pa.float64()) for array in arrays], schema=STATISTICS_SCHEMA
    )


def _measure_chunk(
    chunk: Chunk, lexicons: Sequence[Lexicon], choice: Positions, titles: Hashes | None
) -> Columns:
    """Measure a chunk; `choice` says which lexicon each document has."""
    units, lines = find_units(chunk), find_lines(chunk)
    scripts = script_rows([lexicon.kinds for lexicon in lexicons])[choice]
    unspaced = units.per_word > 1
    columns = character_statistics(chunk, scripts) | word_statistics(chunk, units)
    columns |= line_statistics(chunk, lines, titles) | ngram_statistics(units)
    words = columns["words"]
    stop_words = [lexicon.stop_words for lexicon in lexicons]
    hits = find_words(chunk, stop_words, choice, unspaced)
    columns["stop_words"] = _known(hits.distinct.astype(np.float64), stop_words, choice)
    columns["stop_word_share"] = _known(share(hits.words, words), stop_words, choice)
    profane = [lexicon.profanity for lexicon in lexicons]
    hits = find_words(chunk, profane, choice, unspaced)
    columns["profanity_share"] = _known(share(hits.words, words), profane, choice)
    return columns | _phrase_lines(chunk, lines, lexicons, choice)


def _known(
    values: npt.NDArray[np.float64], lists: Sequence[Collection[str]], choice: Positions
) -> npt.NDArray[np.float64]:
    has_words = np.asarray([bool(words) for words in lists], np.bool_)
    return np.where(has_words[choice], values, np.nan)


def _phrase_lines(
    chunk: Chunk, lines: Lines, lexicons: Sequence[Lexicon], choice: Positions
) -> Columns:
    """Share of the lines of each document that hold one of its phrases."""
    counts = np.bincount(lines.documents, minlength=chunk.num_documents)
    own = [lexicons[number] for number in np.unique(choice)]
    kinds = {
        "boilerplate_lines": [lexicon.boilerplate for lexicon in lexicons],
        "placeholder_lines": [lexicon.placeholders for lexicon in lexicons],
    }
    places = find_phrases(
        chunk, dict.fromkeys(list_ for one in own for list_ in (one.boilerplate, one.placeholders))
    )
    columns = {}
    for name, lists in kinds.items():
        found = np.zeros(len(lines.documents), np.bool_)
        for phrases in dict.fromkeys(lists):
            if phrases in places:
                hit = np.searchsorted(lines.starts, places[phrases], side="right") - 1
                has_list = np.asarray([other == phrases for other in lists], np.bool_)[choice]
                found[hit[has_list[lines.documents[hit]]]] = True
        hits = np.bincount(lines.documents[found], minlength=chunk.num_documents)
        columns[name] = share(hits, counts)
    return columns


def _title_hashes(titles: Sequence[str | None]) -> Hashes:
    """Hash of each title as lines are compared with it; 0 where there is none."""
    hashes = np.zeros(len(titles), np.uint64)
    known = {row: lower(title.strip()) for row, title in enumerate(titles) if title}
    known = {row: title for row, title in known.items() if title}
    hashes[list(known)] = hash_strings(list(known.values()))
    return hashes
