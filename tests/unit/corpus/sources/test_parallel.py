"""Parallel text: pairs of lines, their languages and sides, on the real files."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from hunmin.core.errors import InputError, MissingInputError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import SPLITS, read_documents
from hunmin.corpus.sources.spec import ParallelSource
from hunmin.corpus.spec import CorpusSpec

from .conftest import Build


def write(folder: Path, **texts: str) -> dict[str, Any]:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return {"kind": "parallel", "files": {name: str(folder / f"{name}.txt") for name in texts}}


def test_a_pair_is_a_document_of_two_lines(build: Build, tmp_path: Path) -> None:
    source = write(tmp_path, en="One\nTwo\n", ko="하나\n둘\n", de="Eins\nZwei\n")
    built = build(source | {"pivot_first": True, "license": "CC0-1.0"})
    assert built.texts == ["One\n하나", "Two\n둘", "One\nEins", "Two\nZwei"]
    assert [row["language"] for row in built.documents] == ["ko", "ko", "de", "de"]
    row = built.documents[0]
    assert json.loads(row["meta"]) == {"path": "ko.txt", "line": 1, "languages": ["en", "ko"]}
    assert (row["source"], row["license"]) == ("parallel", "CC0-1.0")
    # A sentence is on one side of the split with all its translations.
    groups = [row["group"] for row in built.documents]
    assert groups[0] == groups[2] != groups[1] == groups[3]


def test_either_language_comes_first(build: Build, tmp_path: Path) -> None:
    numbers = range(200)
    source = write(
        tmp_path,
        en="".join(f"Number {n}\n" for n in numbers),
        ko="".join(f"번호 {n}\n" for n in numbers),
    )
    built = build(source)
    firsts = Counter(json.loads(row["meta"])["languages"][0] for row in built.documents)
    assert 70 < firsts["ko"] < 130
    for row in built.documents:
        is_first = row["text"].startswith("번호")
        assert json.loads(row["meta"])["languages"] == (["ko", "en"] if is_first else ["en", "ko"])


def test_what_is_no_pair_is_a_reject(build: Build, tmp_path: Path) -> None:
    source = write(tmp_path, en="OK\nYes\n\nNo\nNo\n", ko="OK\n\n네\n아니요\n아니요\n")
    built = build(source | {"pivot_first": True})
    assert built.texts == ["No\n아니요"]
    assert sorted(built.reasons) == [
        "duplicate",
        "no sentence in the pivot language",
        "no translation",
        "not translated",
    ]


def test_files_of_unequal_length_are_refused_unless_allowed(build: Build, tmp_path: Path) -> None:
    source = write(tmp_path, en="One\nTwo\n", ko="하나\n")
    with pytest.raises(InputError, match=r"file of 'ko' ends before(.|\n)*allow_shorter: true"):
        build(source)
    assert len(build(source | {"allow_shorter": True}).documents) == 1
    longer = write(tmp_path, en="One\n", ko="하나\n둘\n")
    with pytest.raises(InputError, match="file of 'en' ends before") as error:
        build(longer | {"allow_shorter": True})
    assert "1 lines" in str(error.value)


def test_mistakes_in_a_recipe_are_told(build: Build, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no file of the pivot 'en'"):
        ParallelSource(files={"ko": "a.txt", "ja": "b.txt"})
    with pytest.raises(MissingInputError):
        build({"kind": "parallel", "files": {"en": str(tmp_path / "no"), "ko": str(tmp_path)}})
    write(tmp_path, en="One\n", ko="하나\n", ja="一\n")
    files = {"en": str(tmp_path / "en.txt"), "ko": str(tmp_path)}
    with pytest.raises(InputError, match="'ko' has 3"):
        build({"kind": "parallel", "files": files})


def test_rows_are_joined_by_their_keys(build: Build, tmp_path: Path) -> None:
    (tmp_path / "en.tsv").write_text("a\t1\tOne\na\t2\tTwo\nb\t1\tThree\n", "utf-8")
    (tmp_path / "ko.tsv").write_text("b\t1\t셋\na\t1\t하나\nc\t9\t구\na\t1\t일\n", "utf-8")
    built = build(
        {
            "kind": "parallel",
            "files": {tag: str(tmp_path / f"{tag}.tsv") for tag in ("en", "ko")},
            "key": [1, 2],
            "text": 3,
            "table": {"header": False},
            "pivot_first": True,
        }
    )
    assert built.texts == ["Three\n셋", "One\n하나"]
    assert json.loads(built.documents[0]["meta"])["key"] == ["b", "1"]
    assert sorted(built.reasons) == ["key occurs again", "no sentence in the pivot language"]


def test_one_file_may_hold_all_languages(build: Build, tmp_path: Path) -> None:
    words = tmp_path / "words.jsonl"
    rows = [{"id": 1, "name": {"en": "bed", "ko": "침대"}}, {"id": 2, "name": {"en": "lamp"}}]
    words.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = {
        "kind": "parallel",
        "files": {"en": str(words), "ko": str(words)},
        "key": ["id"],
        "text": {"en": "name.en", "ko": "name.ko"},
        "pivot_first": True,
    }
    built = build(source)
    assert built.texts == ["bed\n침대"]
    assert len(built.reasons) == 1, "lamp has no Korean name"
    with pytest.raises(ValidationError, match="in one only: ja, ko"):
        ParallelSource.model_validate(source | {"text": {"en": "name.en", "ja": "name.ja"}})


def ntrex(shared_data: Path, *names: str) -> dict[str, str]:
    folder = shared_data / "ntrex128"
    files = {name: str(folder / f"newstest2019-ref.{name}.txt.zst") for name in names}
    return files | {"en": str(folder / "newstest2019-src.eng.txt.zst")}


def test_real_sentences_in_many_languages(shared_data: Path, tmp_path: Path) -> None:
    names = ("deu", "jpn", "swa", "tha", "hin")
    files = ntrex(shared_data, *names)
    spec = CorpusSpec.model_validate(
        {
            "sources": [{"kind": "parallel", "name": "ntrex", "files": files}],
            # None of these is made for pairs.
            "language": {},
            "filters": {},
            "deduplicate": {"lines": {"max_documents": 3}},
            "spoken": {},
            "validation_fraction": 0.1,
        }
    )
    artifact = build_corpus(spec, tmp_path / "out")
    rows = [
        row | {"split": split, "meta": json.loads(row["meta"])}
        for split in SPLITS
        for batch in read_documents(artifact, split)
        for row in batch.to_pylist()
    ]
    written = [row for row in rows if "form" not in row["meta"]]
    spoken = [row for row in rows if "form" in row["meta"]]
    assert artifact.facts["flow"][0]["documents"] == 5 * 1997
    assert {row["language"] for row in rows} == {"de", "ja", "sw", "th", "hi"}
    assert 0.66 < sum(r["split"] == "train" for r in spoken) / (0.9 * 5 * 1997) < 0.74
    assert all(row["text"].count("\n") == 1 for row in rows)
    assert len(written) > 0.3 * 5 * 1997
    # Each line is spoken in its own language: no number of the English line is a Japanese word.
    lines = [
        line
        for row in spoken
        if row["language"] == "ja"
        for tag, line in zip(row["meta"]["languages"], row["text"].split("\n"), strict=True)
        if tag == "en"
    ]
    assert sum("twenty" in line for line in lines) > 20
    assert not any(set("二十百千") & set(line) for line in lines)
    sides = [{row["group"] for row in rows if row["split"] == split} for split in SPLITS]
    assert not sides[0] & sides[1]


def test_real_paragraphs_by_page_and_number(
    build: Build, shared_data: Path, tmp_path: Path
) -> None:
    for name in ("en-us", "vi"):
        with zstandard.open(shared_data / "libreoffice_help" / f"{name}.tsv.zst", "rt") as file:
            lines = "".join(itertools.islice(file, 6_000))
        (tmp_path / f"{name}.tsv").write_text(lines, "utf-8")
    built = build(
        {
            "kind": "parallel",
            "files": {"en": f"{tmp_path}/en-us.tsv", "vi": f"{tmp_path}/vi.tsv"},
            "key": [1, 2],
            "text": 3,
            "table": {"header": False},
        },
        report=False,
    )
    assert len(built.documents) > 700
    assert {row["language"] for row in built.documents} == {"vi"}
    assert set(built.reasons) <= {
        "duplicate",
        "not translated",
        "no sentence in the pivot language",
        "key occurs again",
    }


def test_lines_of_pairs_count_for_nobody(tmp_path: Path) -> None:
    """A sentence beside its translations is no notice, neither here nor in other texts."""
    texts = {tag: f"{tag} hello\n{tag} goodbye\n" for tag in ("en", "de", "fr", "ko")}
    pairs = write(tmp_path, **texts)
    (tmp_path / "prose.txt").write_text("en hello\nSomething else follows.\n", "utf-8")
    prose = {"kind": "files", "name": "prose", "paths": [str(tmp_path / "prose.txt")]}
    spec = CorpusSpec.model_validate(
        {
            "sources": [pairs, prose],
            "deduplicate": {"lines": {"max_documents": 2}},
            "validation_fraction": 0,
        }
    )
    artifact = build_corpus(spec, tmp_path / "out")
    texts_kept = [t for b in read_documents(artifact, "train") for t in b["text"].to_pylist()]
    assert "en hello\nSomething else follows." in texts_kept
    assert sum("en hello" in text for text in texts_kept) == 4
