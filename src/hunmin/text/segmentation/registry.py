"""The analysers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from hunmin.core.errors import InputError, suggest
from hunmin.text.languages import UNDETERMINED, base_language, language_name
from hunmin.text.segmentation.boundaries import Analyser
from hunmin.text.segmentation.kiwi import KiwiAnalyser
from hunmin.text.segmentation.mecab import MECAB_KO, UNIDIC, MecabAnalyser
from hunmin.text.segmentation.morfessor import MorfessorAnalyser
from hunmin.text.segmentation.sudachi import SudachiAnalyser
from hunmin.text.segmentation.table import TableAnalyser

ANY_LANGUAGE = "*"
Given = TypeVar("Given")


@dataclass(frozen=True)
class AnalyserEntry:
    """An analyser that recipes can name.

    Args:
        languages: Base languages it can analyse; empty for any.
        extra: The extra of hunmin that installs it; None if nothing is needed.
        needs_context: Whether a word's boundaries depend on its neighbours.
        needs: What it is made from: nothing, a `file`, or the `words` of the text.
        make: Makes it, from a Path or word counts if it needs that.
    """

    languages: tuple[str, ...]
    extra: str | None
    needs_context: bool
    needs: Literal["nothing", "file", "words"]
    make: Callable[..., Analyser]


ANALYSERS: dict[str, AnalyserEntry] = {
    "kiwi": AnalyserEntry(("ko",), "korean", True, "nothing", KiwiAnalyser),
    "mecab-ko": AnalyserEntry(
        ("ko",), "korean", True, "nothing", partial(MecabAnalyser, MECAB_KO.name)
    ),
    "unidic": AnalyserEntry(
        ("ja",), "japanese", True, "nothing", partial(MecabAnalyser, UNIDIC.name)
    ),
    "sudachi": AnalyserEntry(("ja",), "japanese", True, "nothing", SudachiAnalyser),
    "morfessor": AnalyserEntry((), "morfessor", False, "words", MorfessorAnalyser),
    "table": AnalyserEntry((), None, False, "file", TableAnalyser),
}


def load_analyser(
    name: str,
    language: str,
    *,
    path: Path | None = None,
    words: Mapping[str, int] | None = None,
) -> Analyser:
    """Return an analyser for a language.

    Args:
        name: A name in `ANALYSERS`.
        language: A canonical language tag; `und` or `*` where it is not known.
        path: The table, for `table` only.
        words: How often each word occurs, for `morfessor`; others ignore it.

    Returns:
        The analyser. It can be pickled; a copy in another process loads its own model. Large models
        are loaded with the first text.

    Raises:
        InputError: No such analyser, not one for this language, or something it needs is missing.
        MissingExtraError: Its package is not installed.
        MissingInputError: There is no such table.
    """
    entry = check_analyser(name, language, path=path)
    if entry.needs == "file":
        return entry.make(path)
    if entry.needs == "words":
        return entry.make(_given(words, name, "the words of the text", "word counts"))
    return entry.make()


def check_analyser(name: str, language: str, *, path: Path | None = None) -> AnalyserEntry:
    """Check what a recipe says about an analyser, without loading anything.

    Args:
        name: A name in `ANALYSERS`.
        language: A canonical language tag; `und` or `*` where it is not known.
        path: The table, for `table` only.

    Returns:
        What is known about the analyser.

    Raises:
        InputError: No such analyser, not one for this language, or a file too many or too few.
    """
    entry = _find(name)
    _check_language(name, entry, language)
    if path is not None and entry.needs != "file":
        raise InputError(
            f"the analyser '{name}' takes no file", given=path, hint=f"write `{name}` alone"
        )
    if entry.needs == "file":
        _given(path, name, "a file", f"{name}:FILE, with segmented words")
    return entry


def _given(value: Given | None, name: str, wanted: str, allowed: str) -> Given:
    if value is None:
        raise InputError(f"the analyser '{name}' needs {wanted}", allowed=allowed)
    return value


def _find(name: str) -> AnalyserEntry:
    if name not in ANALYSERS:
        raise InputError(
            f"there is no such analyser.{suggest(name, ANALYSERS)}",
            given=name,
            allowed=", ".join(ANALYSERS),
        )
    return ANALYSERS[name]


def _check_language(name: str, entry: AnalyserEntry, language: str) -> None:
    if not entry.languages or base_language(language) in entry.languages:
        return
    if language == ANY_LANGUAGE:
        shown = "every language"
    elif language == UNDETERMINED:
        shown = "texts in no known language"
    else:
        shown = language_name(language)
    fitting = [
        other
        for other, known in ANALYSERS.items()
        if not known.languages or base_language(language) in known.languages
    ]
    raise InputError(
        f"the analyser '{name}' is not for {shown}",
        given=f"language {language}",
        allowed=f"{', '.join(entry.languages)} for {name}; {', '.join(fitting)} for {language}",
    )
