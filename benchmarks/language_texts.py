"""Real text and human segmentations of many languages, for benchmarks of tokenizers.

Running text: help pages, manuals, news (NTREX-128: its last fifth is held out), sentences of
SIGMORPHON 2022, the Universal Declaration of Human Rights. Segmentations: SIGMORPHON 2022; no word
to judge by is in the table that a tokenizer is trained with.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import DOCUMENTS_KIND
from hunmin.corpus.sources.spec import FilesSource
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.files import read_text_lines
from hunmin.text.segmentation.alignment import align_segments
from hunmin.text.unicode import normalize

DATA = Path("../shared/data")
HELD_OUT_SHARE = 0.2
MAX_GOLD_ROWS = 4_000
GOLD_FOLDER = "sigmorphon_segmentation"


@dataclass(frozen=True)
class Language:
    """Where the text of a language lies.

    Args:
        code: ISO 639-3, as SIGMORPHON and UDHR write it.
        tag: BCP 47.
        vocab_size: Entries that its text supports.
        news: Name in NTREX-128; None if it is not there.
        files: Other files with texts, below the folder of data.
    """

    code: str
    tag: str
    vocab_size: int
    news: str | None
    files: tuple[str, ...] = ()


def _language(
    code: str, tag: str, vocab_size: int, *files: str, news: str | None = "same"
) -> Language:
    return Language(code, tag, vocab_size, code if news == "same" else news, files)


ENGLISH = ("tech_text/en_python_docs.jsonl.zst", "slurp/lm.txt.zst")
LANGUAGES = {
    language.code: language
    for language in (
        _language("ces", "cs", 8_000, "debian_install_guide/cs.jsonl.zst"),
        _language("eng", "en", 8_000, "libreoffice_help/en-us.tsv.zst", *ENGLISH, news="eng-US"),
        _language("mon", "mn", 4_000),
        _language(
            "fra", "fr", 8_000, "libreoffice_help/fr.tsv.zst", "tech_text/fr_manpages.jsonl.zst"
        ),
        _language("ita", "it", 6_000, "debian_install_guide/it.jsonl.zst"),
        _language(
            "spa", "es", 8_000, "libreoffice_help/es.tsv.zst", "tech_text/es_manpages.jsonl.zst"
        ),
        # There is next to no Latin text: the words of the table stand for it.
        _language("lat", "la", 6_000, news=None),
        _language(
            "jpn",
            "ja",
            16_000,
            "libreoffice_help/ja.tsv.zst",
            "tech_text/ja_manpages.jsonl.zst",
            "debian_install_guide/ja.jsonl.zst",
        ),
        _language("est", "et", 4_000),
        _language("tel", "te", 4_000),
        _language("amh", "am", 4_000),
        _language("arb", "ar", 4_000),
        _language("fas", "fa", 4_000),
        _language("hin", "hi", 4_000),
        _language("tha", "th", 4_000),
    )
}


def training_documents(
    languages: Iterable[Language], folder: Path, *, max_bytes: int, data: Path = DATA
) -> Artifact:
    """Return the training text of some languages; it is made if it is not there.

    Args:
        languages: The languages.
        folder: Of the documents artifact.
        max_bytes: Most UTF-8 bytes of one source of a language.
        data: The folder of real data.

    Returns:
        A documents artifact, all in the train split.
    """
    if (folder / MANIFEST_NAME).is_file():
        return load_artifact(folder, DOCUMENTS_KIND)
    with tempfile.TemporaryDirectory() as name:
        sources = tuple(
            _write(language, _training_texts(language, max_bytes, data), Path(name))
            for language in languages
        )
        spec = CorpusSpec(sources=sources, validation_fraction=0.0)
        return build_corpus(spec, folder, recipe={"made by": "benchmarks/language_texts.py"})


def _write(language: Language, texts: Iterable[str], folder: Path) -> FilesSource:
    path = folder / f"{language.code}.jsonl"
    rows = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    path.write_text("\n".join(rows), encoding="utf-8")
    return FilesSource(name=language.code, paths=(str(path),), language=language.tag)


def held_out_news(language: Language, data: Path = DATA) -> list[str]:
    """Return the news lines that no tokenizer is trained on; none for a language without."""
    lines = _news(language, data)
    return lines[len(lines) - int(HELD_OUT_SHARE * len(lines)) :]


def _training_texts(language: Language, max_bytes: int, data: Path) -> Iterator[str]:
    held_out = set(held_out_news(language, data))
    news = _news(language, data)
    parts = [
        news[: len(news) - len(held_out_news(language, data))],
        _sentences(language, data),
        _declaration(language, data),
        *(_texts(data / name) for name in language.files),
    ]
    if language.news is None:
        parts.append(_word_lines(table_rows(language, data)))
    for part in parts:
        texts = (text for text in map(normalize, part) if text and text not in held_out)
        yield from _up_to(texts, max_bytes)


def _up_to(texts: Iterable[str], max_bytes: int) -> Iterator[str]:
    num_bytes = 0
    for text in texts:
        num_bytes += len(text.encode())
        if num_bytes > max_bytes:
            return
        yield text


def _news(language: Language, data: Path) -> list[str]:
    if language.news is None:
        return []
    path = data / "ntrex128" / f"newstest2019-ref.{language.news}.txt.zst"
    return [normalize(line.text) for line in read_text_lines(path)]


def _sentences(language: Language, data: Path) -> Iterator[str]:
    path = data / GOLD_FOLDER / f"{language.code}.sentence.train.tsv.zst"
    if path.exists():
        yield from (line.text.split("\t")[0] for line in read_text_lines(path))


def _declaration(language: Language, data: Path) -> Iterator[str]:
    for line in read_text_lines(data / "udhr" / "udhr.jsonl.zst"):
        record = json.loads(line.text)
        if record["key"] == language.code:
            yield from record["paras"]


def _texts(path: Path) -> Iterator[str]:
    for line in read_text_lines(path):
        if path.name.startswith("lm.txt"):
            yield line.text
        elif ".jsonl" in path.suffixes:
            yield json.loads(line.text)["text"]
        else:
            yield line.text.split("\t")[2]


def _word_lines(rows: Iterable[str]) -> Iterator[str]:
    words = [row.split("\t")[0] for row in rows]
    yield from (" ".join(words[first : first + 10]) for first in range(0, len(words), 10))


def table_rows(language: Language, data: Path = DATA) -> list[str]:
    """Return segmented words to train with: the training list, or every second word of dev."""
    folder = data / GOLD_FOLDER
    path = folder / f"{language.code}.word.train.tsv.zst"
    if path.exists():
        return [line.text for line in read_text_lines(path)]
    dev = folder / f"{language.code}.word.dev.tsv.zst"
    return [line.text for line in read_text_lines(dev)][::2] if dev.exists() else []


def write_gold(language: Language, folder: Path, data: Path = DATA) -> dict[str, Path]:
    """Write what to judge by.

    Args:
        language: The language.
        folder: Gets the files.
        data: The folder of real data.

    Returns:
        `table`, `words` (of test_a, not in the table, at most 4,000, evenly taken), `aligned` (the
        same words, their canonical segments placed in the spelling by our rule) and `sentences`
        (test_a and dev), each if SIGMORPHON has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = table_rows(language, data)
    known = {row.split("\t")[0].casefold() for row in table}
    words = [
        row
        for row in _gold_rows(data, language, "word.test_a")
        if row.split("\t")[0].casefold() not in known
    ]
    words = words[:: -(-len(words) // MAX_GOLD_ROWS) or 1]
    sentences = [
        row
        for name in ("sentence.test_a", "sentence.dev")
        for row in _gold_rows(data, language, name)
    ]
    found = {
        "table": table,
        "words": words,
        "aligned": [aligned for row in words if (aligned := _align(row)) is not None],
        "sentences": sentences[:MAX_GOLD_ROWS],
    }
    paths = {name: folder / f"{name}.tsv" for name, rows in found.items() if rows}
    for name, path in paths.items():
        path.write_text("\n".join(found[name]) + "\n", encoding="utf-8")
    return paths


def _align(row: str) -> str | None:
    """Return a word cut as it is spelled, or None if its segments cannot be placed."""
    word, written = normalize(row).split("\t")[:2]
    segments = tuple(part.removeprefix("@@") for part in written.split())
    positions = align_segments(word, segments)
    if " " in word or (len(segments) > 1 and not positions):
        return None
    cut = (word[start:end] for start, end in pairwise((0, *positions, len(word))))
    return f"{word}\t{' @@'.join(cut)}"


def _gold_rows(data: Path, language: Language, name: str) -> list[str]:
    path = data / GOLD_FOLDER / f"{language.code}.{name}.tsv.zst"
    return [line.text for line in read_text_lines(path)] if path.exists() else []
