"""Real Korean text for benchmarks: 18.6 MB to train on, held-out wiki and reviews.

Training text: film reviews, news comments, technical documents, sentence pairs, wiki passages and
chat, as in korean_lm.md 4.3. Held out: the last 30 % of the wiki passages, and reviews of films
that training never sees. No line of the held-out text or of the gold sentences (KLUE-DP, UD Korean
Kaist and GSD) is in the training text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import zstandard

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import DOCUMENTS_KIND
from hunmin.corpus.sources.spec import FilesSource
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.unicode import normalize

DATA = Path("../shared/data")
MEGABYTE = 1_000_000
WIKI_TRAINING_SHARE = 0.7
# One film in twenty is held out.
HELD_OUT_FILMS = 20
GOLD_FILES = (
    "klue/dp_dev_a.tsv.zst",
    "ud_korean_kaist/ko_kaist-ud-dev.conllu.zst",
    "ud_korean_kaist/ko_kaist-ud-test_a.conllu.zst",
    "ud_korean_gsd/ko_gsd-ud-dev.conllu.zst",
    "ud_korean_gsd/ko_gsd-ud-test_a.conllu.zst",
)


class Part(NamedTuple):
    """One source of text."""

    texts: Callable[[Path], Iterable[str]]
    """Reads its texts from the folder of data."""
    megabytes: float
    """Most UTF-8 bytes to take, in millions."""


def training_text(folder: Path, data: Path = DATA) -> Artifact:
    """Return the training text, 18.6 MB; it is made if it is not there.

    Args:
        folder: Of the documents artifact.
        data: The folder of real data.

    Returns:
        A documents artifact; every document is in the train split and names its source.
    """
    if (folder / MANIFEST_NAME).is_file():
        return load_artifact(folder, DOCUMENTS_KIND)
    banned = frozenset(_lines(_held_out(data))) | frozenset(gold_sentences(data))
    taken = {name: _take(part, data, banned) for name, part in TRAINING.items()}
    return _write(taken, folder)


def heldout_text(folder: Path, data: Path = DATA) -> Artifact:
    """Return the held-out text, sources `wiki` and `reviews`; it is made if it is not there.

    Args:
        folder: Of the documents artifact.
        data: The folder of real data.

    Returns:
        A documents artifact; every document is in the train split and names its source.
    """
    if (folder / MANIFEST_NAME).is_file():
        return load_artifact(folder, DOCUMENTS_KIND)
    return _write(_held_out(data), folder)


def gold_sentences(data: Path = DATA) -> list[str]:
    """Return the sentences of the gold standards, normalized."""
    found = []
    for name in GOLD_FILES:
        for line in _open(data / name):
            if line.startswith("# text = "):
                found.append(normalize(line.removeprefix("# text = ")))
            elif line.startswith("## klue-dp-"):
                found.append(normalize(line.partition("\t")[2]))
    return found


def _held_out(data: Path) -> dict[str, list[str]]:
    return {name: _take(part, data, frozenset()) for name, part in HELD_OUT.items()}


def _take(part: Part, data: Path, banned: frozenset[str]) -> list[str]:
    """Return texts in an order that no reader can guess, without banned lines, up to the limit."""
    texts = {_without(normalize(text), banned) for text in part.texts(data)} - {""}
    taken, num_bytes = [], 0
    for text in sorted(texts, key=_shuffle_key):
        num_bytes += len(text.encode())
        if num_bytes > part.megabytes * MEGABYTE:
            break
        taken.append(text)
    return taken


def _without(text: str, banned: frozenset[str]) -> str:
    lines = text.splitlines()
    kept = [line for line in lines if line.strip() not in banned]
    return text if len(kept) == len(lines) else "\n".join(kept).strip()


def _lines(texts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for part in texts.values():
        for text in part:
            yield from (line.strip() for line in text.splitlines())


def _shuffle_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _write(parts: Mapping[str, Iterable[str]], folder: Path) -> Artifact:
    with tempfile.TemporaryDirectory() as name:
        for part, texts in parts.items():
            rows = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
            (Path(name) / f"{part}.jsonl").write_text("\n".join(rows), encoding="utf-8")
        sources = tuple(
            FilesSource(name=part, paths=(str(Path(name) / f"{part}.jsonl"),), language="ko")
            for part in parts
        )
        spec = CorpusSpec(sources=sources, validation_fraction=0.0)
        content = {"made by": "benchmarks/korean_text.py", "sources": sorted(parts)}
        return build_corpus(spec, folder, recipe=content)


def _open(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(zstandard.open(path, "rb"), encoding="utf-8", newline="\n")


def _columns(path: Path, names: tuple[str, ...], delimiter: str = "\t") -> Iterator[str]:
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with _open(path) as file:
        for row in csv.DictReader(file, delimiter=delimiter, quoting=quoting):
            yield from (row[name] for name in names if row.get(name))


def _jsonl(path: Path, names: tuple[str, ...]) -> Iterator[str]:
    with _open(path) as file:
        for line in file:
            record = json.loads(line)
            yield from (str(record[name]) for name in names)


def _reviews(*, held_out: bool) -> Callable[[Path], Iterator[str]]:
    def read(data: Path) -> Iterator[str]:
        with _open(data / "nsmc/reviews.jsonl.zst") as file:
            for line in file:
                record = json.loads(line)
                digest = _shuffle_key(str(record["movie_id"]))
                if (digest[0] % HELD_OUT_FILMS == 0) == held_out:
                    yield str(record["document"])

    return read


def _comments(data: Path) -> Iterator[str]:
    yield from _open(data / "korean_hate_speech/unlabeled_comments_5.txt.zst")


def _documents(data: Path) -> Iterator[str]:
    for path in sorted((data / "ko_docs").glob("*.jsonl.zst")):
        yield from _jsonl(path, ("text",))


def _kornlu(data: Path) -> Iterator[str]:
    for path in sorted((data / "kornlu").glob("*.tsv.zst")):
        yield from _columns(path, ("sentence1", "sentence2"))


def _klue(data: Path) -> Iterator[str]:
    yield from _jsonl(data / "klue/nli_dev_a.jsonl.zst", ("premise", "hypothesis"))
    yield from _jsonl(data / "klue/sts_dev_a.jsonl.zst", ("sentence1", "sentence2"))
    sentence: list[str] = []
    for line in _open(data / "klue/ner_dev_a.tsv.zst"):
        character, tab, _ = line.rpartition("\t")
        if tab and not line.startswith("##"):
            sentence.append(character)
        elif sentence:
            yield "".join(sentence)
            sentence = []
    yield "".join(sentence)


def _chat(data: Path) -> Iterator[str]:
    yield from _columns(data / "chatbot_ko/ChatbotData.csv.zst", ("Q", "A"), ",")


def _wiki(*, held_out: bool) -> Callable[[Path], list[str]]:
    def read(data: Path) -> list[str]:
        with _open(data / "korquad1/dev_a.json.zst") as file:
            articles = json.load(file)["data"]
        passages = [entry["context"] for article in articles for entry in article["paragraphs"]]
        passages = list(dict.fromkeys(passages))
        cut = int(WIKI_TRAINING_SHARE * len(passages))
        return passages[cut:] if held_out else passages[:cut]

    return read


TRAINING = {
    "reviews": Part(_reviews(held_out=False), 9.0),
    "comments": Part(_comments, 3.0),
    "documents": Part(_documents, 3.5),
    "kornlu": Part(_kornlu, 1.8),
    "klue": Part(_klue, 1.0),
    "chat": Part(_chat, 0.6),
    "wiki": Part(_wiki(held_out=False), 0.9),
}
HELD_OUT = {
    "wiki": Part(_wiki(held_out=True), 0.5),
    "reviews": Part(_reviews(held_out=True), 0.5),
}
