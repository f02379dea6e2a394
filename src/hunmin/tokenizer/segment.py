"""The words of a corpus as a segmentation table, by an analyser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.documents import DOCUMENTS_KIND, read_documents
from hunmin.text.languages import language_name
from hunmin.text.segmentation.registry import check_analyser, load_analyser
from hunmin.text.segmentation.tabulate import tabulate_words, write_table
from hunmin.tokenizer.consistent.word_types import UnitCounter
from hunmin.tokenizer.extend import read_texts
from hunmin.tokenizer.spec import AnalyserSpec


@dataclass(frozen=True)
class TableFacts:
    """What a table holds.

    Args:
        words: Rows.
        cut_words: Rows with more than one segment.
        analyser: Its name and versions.
    """

    words: int
    cut_words: int
    analyser: str


def write_segmentation(
    source: Path, analyser: AnalyserSpec, language: str, output: Path, *, min_count: int = 1
) -> TableFacts:
    """Write the words of some text and their morphemes as a table.

    Args:
        source: A documents artifact, of which the train split is read, a file or a folder.
        analyser: Any; Morfessor learns from this text.
        language: Tag; of an artifact only documents in this language are read.
        output: The table; an older one is replaced.
        min_count: Rarer words are left out.

    Returns:
        What was written.

    Raises:
        InputError: The analyser is not for this language, or a path is wrong.
        EmptyCorpusError: There is no word.
        MissingExtraError: The analyser is not installed.
    """
    check_analyser(analyser.name, language, path=analyser.path)
    texts = list(_texts(source, language))
    words = UnitCounter()
    for text in texts:
        words.add(text)
    opened = load_analyser(analyser.name, language, path=analyser.path, words=words.counts)
    table = tabulate_words(texts, opened, min_count=min_count)
    if not table:
        raise EmptyCorpusError(
            f"there is no word of {language_name(language)}",
            where=source,
            given=f"words that occur {min_count} times or more",
            hint="name a text, or a documents artifact with this language",
        )
    write_table(table, output, [f"{language_name(language)}, by {opened.identity}"])
    return TableFacts(len(table), sum(map(bool, table.values())), opened.identity)


def _texts(source: Path, language: str) -> Iterator[str]:
    if not (source / MANIFEST_NAME).is_file():
        yield from read_texts([source])
        return
    documents = load_artifact(source, DOCUMENTS_KIND)
    for batch in read_documents(documents, "train", ["text", "language"]):
        pairs = zip(batch["text"].to_pylist(), batch["language"].to_pylist(), strict=True)
        yield from (text for text, tag in pairs if tag == language)
