"""The data card: read by people and by the `datasets` library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from hunmin.corpus.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA
from hunmin.corpus.parts import PartWriter
from hunmin.corpus.report import data_card
from hunmin.corpus.report.card import front_matter, hub_license, size_category
from hunmin.corpus.report.limits import known_limits, names


def write_split(folder: Path, schema: pa.Schema, texts: list[str]) -> None:
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    rows: list[dict[str, Any]] = [
        {name: f"{name}-{i}" for name in strings} | {"text": text, "copies": 1}
        for i, text in enumerate(texts)
    ]
    with PartWriter(folder, schema) as writer:
        writer.write(pa.RecordBatch.from_pylist(rows, schema))


def totals(train: int, validation: int) -> dict[str, Any]:
    return {
        "documents": train + validation,
        "train_documents": train,
        "validation_documents": validation,
        "characters": 30,
        "utf8_bytes": 90,
        "rejects": {},
    }


@pytest.mark.parametrize("held_out", [["검증 문서"], []])
def test_datasets_reads_the_folder(tmp_path: Path, held_out: list[str]) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "documents"
    write_split(folder / "train", DOCUMENT_SCHEMA, ["한국어 문서", "metin", "テキスト"])
    write_split(folder / "validation", DOCUMENT_SCHEMA, held_out)
    write_split(folder / "rejects", REJECT_SCHEMA, ["x"])
    total = totals(3, len(held_out))
    statistics = {"total": total, "rejects": {"too short": 1}, "languages": {"no": total}}
    (folder / "README.md").write_text(data_card(statistics), encoding="utf-8")
    (folder / "statistics.json").write_text("{}", encoding="utf-8")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": 3,
        **({"validation": 1} if held_out else {}),
    }
    assert loaded["train"]["text"][0] == "한국어 문서"
    assert loaded["train"].column_names == DOCUMENT_SCHEMA.names


def test_front_matter_is_yaml_that_keeps_norwegian(real_input: Any) -> None:
    statistics, _ = real_input
    statistics = {**statistics, "languages": {"no": totals(1, 1), "zh-Hant": totals(1, 1)}}
    statistics["languages"]["und"] = totals(1, 0)
    fields = yaml.safe_load(data_card(statistics, title="Two: languages").split("---\n")[1])
    assert fields == front_matter(statistics, "Two: languages")
    assert fields["language"] == ["no", "zh"]
    assert fields["language_bcp47"] == ["zh-Hant"]
    assert fields["license"] == ["cc-by-sa-4.0", "cc0-1.0", "unknown"]
    assert fields["size_categories"] == ["1K<n<10K"]


def test_nothing_known_gives_no_field(bare_input: Any) -> None:
    fields = front_matter(bare_input, "t")
    assert list(fields) == ["pretty_name", "size_categories", "task_categories", "configs"]
    assert [row["split"] for row in fields["configs"][0]["data_files"]] == ["train"]


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("CC0-1.0", "cc0-1.0"),
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("Apache-2.0", "apache-2.0"),
        ("unknown", "unknown"),
        ("UN text, free to reproduce", "other"),
    ],
)
def test_licences_become_identifiers_of_the_hub(name: str, identifier: str) -> None:
    assert hub_license(name) == identifier


@pytest.mark.parametrize(
    ("documents", "name"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (123_456, "100K<n<1M"),
        (10**11, "100B<n<1T"),
        (10**13, "n>1T"),
    ],
)
def test_sizes(documents: int, name: str) -> None:
    assert size_category(documents) == name


def test_card_tells_columns_folders_rows_and_reasons(real_input: Any) -> None:
    statistics, _ = real_input
    card = data_card(statistics)
    for column in DOCUMENT_SCHEMA.names:
        assert column in card
    for text in ("train/", "validation/", "rejects/", "ko · Korean", "petitions", "CC0-1.0"):
        assert text in card
    for reason, count in statistics["rejects"].items():
        assert f"| {reason} | {count:,} |" in card


def test_limits_follow_from_the_statistics(real_input: Any, bare_input: Any) -> None:
    statistics, _ = real_input
    told = "\n".join(known_limits(statistics))
    assert "1 source has licence 'unknown' (petitions)" in told
    assert "klue-nli, korquad, mgsm" in told
    assert "One of 10 languages, ko, makes" in told
    assert "not looked for" not in told
    bare = "\n".join(known_limits(bare_input))
    assert "Licences were not recorded." in bare
    assert "No personal data were masked." in bare
    assert "Near duplicates were not looked for." in bare


def test_limits_tell_of_languages_and_buckets() -> None:
    near = {"clusters": 1, "dropped": 1, "capped": [{"band": 3}]}
    statistics = {
        "licenses": {
            "unknown": {"documents": 1, "utf8_bytes": 1, "sources": ["a", "b", "c"]},
            "MIT": {"documents": 1, "utf8_bytes": 3, "sources": ["d"]},
        },
        "duplicates": {"near": near},
        "languages": {"sw": totals(3, 0), "und": totals(2000, 10)},
        "languages_found": {"sw": {"sw": 3, "ny": 1}, "und": {"en": 9}, "zh": {"zh-Hant": 4}},
    }
    told = "\n".join(known_limits(statistics))
    assert "3 sources have licence 'unknown' (a, b, c): 25.0 % of the text" in told
    assert "too many documents looked alike (1 bucket)" in told
    assert "Fewer than 1,000 documents in sw." in told
    assert "Nothing is held out for validation in sw." in told
    assert "The language of 2,010 documents is not known" in told
    assert "In 12.5 % of the documents another language was identified" in told


def test_long_lists_of_names_are_cut() -> None:
    assert names([str(i) for i in range(14)]).endswith("10, 11 and 2 more")
