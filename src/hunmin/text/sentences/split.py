"""Sentences of texts: splitters by name, sentences as pieces, a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import pyarrow as pa

from hunmin.core.errors import InputError, suggest
from hunmin.text.languages import UNDETERMINED
from hunmin.text.sentences.kiwi import KiwiSplitter
from hunmin.text.sentences.pysbd import PysbdSplitter
from hunmin.text.sentences.rules import RuleSplitter


class Splitter(Protocol):
    """Finds the sentences of texts in one language."""

    def ends(self, texts: Sequence[str]) -> list[list[int]]:
        """Return where the sentences of each text end, see `RuleSplitter.ends`."""


SPLITTERS: dict[str, type[RuleSplitter] | type[PysbdSplitter] | type[KiwiSplitter]] = {
    "rules": RuleSplitter,
    "pysbd": PysbdSplitter,
    "kiwi": KiwiSplitter,
}


def load_splitter(language: str = UNDETERMINED, name: str = "rules") -> Splitter:
    """Return a splitter for a language.

    Args:
        language: A canonical language tag, `und` where it is not known.
        name: `rules` (the default, any language), `pysbd` or `kiwi`.

    Returns:
        The splitter. It can be pickled.

    Raises:
        InputError: No such splitter, or not one for this language.
        MissingExtraError: Its package is not installed.
    """
    if name not in SPLITTERS:
        raise InputError(
            f"there is no such sentence splitter.{suggest(name, SPLITTERS)}",
            given=name,
            allowed=", ".join(SPLITTERS),
        )
    return SPLITTERS[name](language)


def split_sentences(text: str, language: str = UNDETERMINED) -> list[str]:
    """Return the sentences of a text.

    Args:
        text: Any text.
        language: A canonical language tag, `und` where it is not known.

    Returns:
        Pieces of the text that joined give the text back: each keeps the white space after it.
    """
    (ends,) = RuleSplitter(language).ends([text])
    return [text[start:end] for start, end in pairwise([0, *ends])]


@dataclass(frozen=True)
class SplitSentences:
    """Kernel: adds a column `sentence_ends` to a batch with `text` and `language`.

    Args:
        name: A splitter that serves all languages of the batch.
    """

    name: str = "rules"

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Find the sentences of each record.

        Args:
            batch: With columns `text` and `language`.

        Returns:
            The batch with lists of character offsets (int32), see `RuleSplitter.ends`.
        """
        texts = [text or "" for text in batch["text"].to_pylist()]
        languages = [tag or UNDETERMINED for tag in batch["language"].to_pylist()]
        found: list[list[int]] = [[] for _ in texts]
        for language in dict.fromkeys(languages):
            rows = [row for row, tag in enumerate(languages) if tag == language]
            ends = load_splitter(language, self.name).ends([texts[row] for row in rows])
            for row, offsets in zip(rows, ends, strict=True):
                found[row] = offsets
        return batch.append_column("sentence_ends", pa.array(found, pa.list_(pa.int32())))
