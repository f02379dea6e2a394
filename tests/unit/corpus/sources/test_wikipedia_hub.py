"""Wikipedia through the real `datasets` library, on files of the same layout."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hunmin.core.errors import HunminError, InputError, MissingInputError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import read_documents
from hunmin.corpus.sources.spec import WikipediaSource
from hunmin.corpus.sources.wikipedia.hub import WikipediaReader
from hunmin.corpus.spec import CorpusSpec

pytest.importorskip("datasets", reason="pip install 'hunmin[hub]'")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    folder = tmp_path / "wikipedia" / "20231101.ko"
    folder.mkdir(parents=True)
    for part in range(2):
        numbers = range(part * 10, part * 10 + 10)
        table = pa.table(
            {
                "id": [str(n) for n in numbers],
                "url": [f"https://ko.wikipedia.org/wiki/{n}" for n in numbers],
                "title": [f"표제어 {n}" for n in numbers],
                "text": [f"표제어 {n}은(는) 예이다.\n\n둘째 문단." for n in numbers],
            }
        )
        pq.write_table(table, folder / f"train-0000{part}-of-00002.parquet")
    return tmp_path / "wikipedia"


def spec_of(source: WikipediaSource) -> CorpusSpec:
    return CorpusSpec(sources=(source,), validation_fraction=0)


def test_articles_become_documents(tmp_path: Path, dump: Path) -> None:
    artifact = build_corpus(spec_of(WikipediaSource(language="ko", path=dump)), tmp_path / "out")
    rows = [row for batch in read_documents(artifact, "train") for row in batch.to_pylist()]
    assert len(rows) == 20
    assert rows[0]["text"] == "표제어 0은(는) 예이다.\n\n둘째 문단."
    assert rows[0]["source"] == "wikipedia-ko"
    assert rows[0]["language"] == "ko"
    assert json.loads(rows[0]["meta"])["url"] == "https://ko.wikipedia.org/wiki/0"


def test_number_of_articles_can_be_limited(tmp_path: Path, dump: Path) -> None:
    source = WikipediaSource(language="ko", path=dump / "20231101.ko", max_documents=12)
    artifact = build_corpus(spec_of(source), tmp_path / "out")
    assert artifact.facts["total"]["documents"] == 12


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such folder of Wikipedia files"):
        build_corpus(
            spec_of(WikipediaSource(language="ko", path=tmp_path / "no")), tmp_path / "out"
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match=r"no Parquet file(.|\n)*20231101\.ko"):
        build_corpus(
            spec_of(WikipediaSource(language="ko", path=tmp_path / "empty")), tmp_path / "out"
        )


def test_hub_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HunminError, match=r"Wikipedia cannot be read(.|\n)*with `path`") as error:
        build_corpus(spec_of(WikipediaSource(language="ko")), tmp_path / "out")
    assert error.value.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_damaged_file_is_told(tmp_path: Path, dump: Path) -> None:
    second = sorted((dump / "20231101.ko").iterdir())[1]
    second.write_bytes(second.read_bytes()[:-40])
    with pytest.raises(HunminError, match=r"cannot be read(.|\n)*fetch the Parquet files again"):
        build_corpus(spec_of(WikipediaSource(language="ko", path=dump)), tmp_path / "out")


def test_other_columns_are_told(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    pq.write_table(pa.table({"body": ["가"]}), tmp_path / "w" / "a.parquet")
    with pytest.raises(InputError, match=r"not Wikipedia's: no column id, url, title, text"):
        build_corpus(spec_of(WikipediaSource(language="ko", path=tmp_path / "w")), tmp_path / "out")


def test_addresses_are_for_the_files_source() -> None:
    with pytest.raises(InputError, match=r"this machine(.|\n)*`kind: files`"):
        WikipediaReader(WikipediaSource(language="ko", path=Path("s3://bucket/wiki")), 1000)
