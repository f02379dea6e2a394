"""Byte-level BPE on words that are cut at morpheme boundaries for training.

In use the words are whole again (`morpheme-bpe-train-only`: ordinary practice, any library runs
it), or the analyser cuts them as in training (`morpheme-bpe-exact`: what HyperCLOVA did).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from tokenizers import Tokenizer

from hunmin.core.errors import InputError
from hunmin.core.logs import get_logger
from hunmin.text.scripts import count_scripts
from hunmin.tokenizer.consistent.word_types import UNIT, UnitCounter
from hunmin.tokenizer.exact import AnalyserCutter, Route, pack_cutter
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.byte_bpe import train_on_cut_texts
from hunmin.tokenizer.methods.cuts import insert_cuts
from hunmin.tokenizer.methods.segmented import (
    Cuts,
    Segmentation,
    find_analyser,
    open_analysers,
    segment_words,
)

logger = get_logger(__name__)

# A script of a language: so many of its characters are in it.
_MIN_SHARE = 0.1
_LATIN = "Latn"
_SURVEY_CHARACTERS = 1_000_000
_README = """\
# A tokenizer with an analyser at inference

hunmin cuts texts at morpheme boundaries before it encodes them, with the analysers that
`analyser.json` names. Other libraries (transformers, vLLM, tokenizers) open this folder too, but
encode whole words: they give other ids than the model was trained with.
"""

WordCuts = Mapping[str, Cuts]


def train_presplit_bpe(task: TrainingTask) -> Tokenizer:
    """Train byte-level BPE on text cut at morpheme boundaries, to be used on whole words.

    Args:
        task: Spec and sample. Words that stand only in text that is not analysed sentence by
            sentence are analysed on their own.

    Returns:
        An ordinary byte-level BPE tokenizer with at most `spec.vocab_size` entries.

    Raises:
        InputError: An analyser does not exist, or not for its language.
        MissingExtraError: An analyser is not installed.
        VocabularyError: A special token is written like an entry.
    """
    segmentation = Segmentation(task)
    return train_on_cut_texts(task.spec, _cut_batches(segmentation, _cut_rest(segmentation)))


def train_exact_bpe(task: TrainingTask) -> Tokenizer:
    """Train byte-level BPE on text cut at morpheme boundaries, to be used on text cut alike.

    Args:
        task: Spec and sample; its files get what `exact.py` needs.

    Returns:
        The tokenizer without its cutter.

    Raises:
        InputError: An analyser does not exist, not for its language, or two languages with
            analysers share a script.
        MissingExtraError: An analyser is not installed.
        VocabularyError: A special token is written like an entry.
    """
    analysers = open_analysers(task)
    named = {language: find_analyser(task.spec.morphemes, language) for language in analysers}
    specs = {language: spec for language, spec in named.items() if spec is not None}
    scripts = _survey_scripts(task)
    routes = [
        Route(language, spec.name, scripts[language], analysers[language])
        for language, spec in specs.items()
    ]
    _check_distinct(routes)
    _warn_of_neighbours(routes, scripts)
    cutter = AnalyserCutter(routes, task.spec.morphemes.boundary_kinds)
    tables = {language: spec.path for language, spec in specs.items() if spec.path is not None}
    task.files.update(pack_cutter(cutter, tables) | {"README.md": _README.encode()})
    return train_presplit_bpe(task)


def _cut_rest(segmentation: Segmentation) -> dict[str, WordCuts]:
    """Return the cuts of words in text that was not analysed, by language."""
    counters: defaultdict[str, UnitCounter] = defaultdict(UnitCounter)
    for batch in segmentation.batches():
        for text, language, cuts in zip(
            batch.texts, batch.languages, batch.boundaries, strict=True
        ):
            if cuts is None and language in segmentation.analysers:
                counters[language].add(text)
    found: dict[str, WordCuts] = {}
    for language, counter in counters.items():
        # Also those that occur once: left whole, their many endings would teach merges across.
        words = list(counter.counts)
        cuts_of = zip(words, segment_words(segmentation.task, language, words), strict=True)
        found[language] = {word: cuts for word, cuts in cuts_of if cuts}
    return found


def _cut_batches(segmentation: Segmentation, rest: Mapping[str, WordCuts]) -> Iterator[list[str]]:
    for batch in segmentation.batches():
        yield [
            insert_cuts(text, _word_by_word(text, rest.get(language, {})) if cuts is None else cuts)
            for text, language, cuts in zip(
                batch.texts, batch.languages, batch.boundaries, strict=True
            )
        ]


def _word_by_word(text: str, words: WordCuts) -> Cuts:
    if not words:
        return ()
    return tuple(
        match.start() + cut for match in UNIT.finditer(text) for cut in words.get(match[0], ())
    )


def _survey_scripts(task: TrainingTask) -> dict[str, tuple[str, ...]]:
    """Return the scripts that each language of the sample is written in."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    sizes: defaultdict[str, int] = defaultdict(int)
    for batch in task.batches("looking at scripts"):
        for text, language in zip(batch.texts, batch.languages, strict=True):
            if sizes[language] < _SURVEY_CHARACTERS:
                texts[language].append(text)
                sizes[language] += len(text)
    return {language: _main_scripts(count_scripts(some)) for language, some in texts.items()}


def _main_scripts(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return frequent scripts; Latin is in texts of all languages and counts only if first."""
    total, first = sum(counts.values()), next(iter(counts), None)
    return tuple(
        script
        for script, number in counts.items()
        if script == first or (number >= _MIN_SHARE * total and script != _LATIN)
    )


def _check_distinct(routes: list[Route]) -> None:
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for route in routes:
        for script in route.scripts:
            owners[script].append(route.language)
    shared = {script: names for script, names in owners.items() if len(names) > 1}
    if shared:
        raise InputError(
            "with the analyser at inference, languages are told apart by their scripts, and these "
            "share one",
            where="tokenizer.morphemes.analysers",
            given="; ".join(f"{script}: {', '.join(names)}" for script, names in shared.items()),
            allowed="one language with an analyser for each script",
            hint="leave analysers out, or take kind morpheme-bpe, which needs none in use",
        )


def _warn_of_neighbours(routes: list[Route], scripts: Mapping[str, tuple[str, ...]]) -> None:
    taken = {script: route.language for route in routes for script in route.scripts}
    analysed = {route.language for route in routes}
    for language in sorted(set(scripts) - analysed):
        for script in scripts[language]:
            if script in taken:
                logger.warning(
                    "texts in %s will be cut as if they were in %s: both are written in %s",
                    language,
                    taken[script],
                    script,
                )
