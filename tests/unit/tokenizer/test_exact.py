"""The analyser at inference: what a folder needs for it, which texts it cuts, what goes wrong."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import CorruptArtifactError, InputError, MissingExtraError
from hunmin.core.extras import install_command
from hunmin.tokenizer.exact import CUTTER_FILE, cutter_files, load_cutter
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

KOREAN = "나는 학교에서 밥을 먹었습니다."


def train(documents: Artifact, path: Path, **morphemes: Any) -> Artifact:
    spec = TokenizerSpec.model_validate(
        {
            "kind": "morpheme-bpe-exact",
            "vocab_size": 700,
            "allow_smaller": True,
            "morphemes": morphemes,
        }
    )
    return train_tokenizer(spec, documents, path)


@pytest.fixture(scope="module")
def folder(documents: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exact") / "tokenizer"
    return train(documents, path, analysers={"ko": "mecab-ko", "ja": "unidic"}).path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A folder without manifest, as in a model folder."""
    names = ("tokenizer.json", "tokenizer_config.json", *cutter_files(folder))
    for name in names:
        shutil.copyfile(folder / name, tmp_path / name)
    return tmp_path


def change_cutter(folder: Path, **changes: Any) -> None:
    file = folder / CUTTER_FILE
    content = json.loads(file.read_text(encoding="utf-8"))
    content["routes"][0].update(changes)
    file.write_text(json.dumps(content), encoding="utf-8")


def pieces(tokenizer: TextTokenizer, text: str) -> list[str]:
    assert tokenizer.cutter is not None
    return tokenizer.cutter.cut([text])[0]


def test_each_line_goes_to_the_analyser_of_its_script(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    assert pieces(tokenizer, KOREAN) == ["나", "는 학교", "에서 밥", "을 먹", "었", "습니다", "."]
    english = "They were walking."
    assert pieces(tokenizer, english) == [english]
    assert len(pieces(tokenizer, SENTENCES["ja"][0])) > 10
    text = f"{english}\n{KOREAN}\n\nwalking"
    assert pieces(tokenizer, text)[0] == f"{english}\n나"
    assert pieces(tokenizer, text)[-1] == ".\n\nwalking"
    assert pieces(tokenizer, "") == []


def test_text_that_is_not_composed_stays_whole(folder: Path) -> None:
    text = unicodedata.normalize("NFD", KOREAN)
    tokenizer = load_tokenizer(folder)
    assert pieces(tokenizer, text) == [text]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_no_token_crosses_a_boundary(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ends = set()
    position = 0
    for token in tokenizer.encode(KOREAN):
        position += len(tokenizer.token_bytes(token))
        ends.add(position)
    position = 0
    for part in pieces(tokenizer, KOREAN):
        position += len(part.encode())
        assert position in ends


def test_the_folder_says_that_others_encode_whole_words(folder: Path) -> None:
    assert "give other ids" in (folder / "README.md").read_text(encoding="utf-8")
    assert load_cutter(folder.parent) is None


def test_a_copy_works_alike(folder: Path, copy: Path) -> None:
    ours, other = load_tokenizer(folder), load_tokenizer(copy)
    assert ours.digest == other.digest
    assert pickle.loads(pickle.dumps(other)).encode(KOREAN) == ours.encode(KOREAN)
    assert ours.with_engine("tokenizers").encode_batch([KOREAN])[0].tolist() == ours.encode(KOREAN)


def test_without_the_analyser(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fugashi", None)
    with pytest.raises(MissingExtraError) as caught:
        load_tokenizer(copy)
    assert install_command("japanese") in str(caught.value) or install_command("korean") in str(
        caught.value
    )


def test_another_version_of_the_analyser_is_told(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change_cutter(copy, identity="mecab-ko 0.1")
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        load_tokenizer(copy)
    assert "another than in training" in caplog.text
    assert "mecab-ko 0.1" in caplog.text


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99, "routes": []}', '{"format": 1}'])
def test_a_damaged_description_is_refused(copy: Path, content: str) -> None:
    (copy / CUTTER_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="description of the analysers"):
        load_tokenizer(copy)


@pytest.mark.parametrize(
    "changes",
    [
        {"scripts": ["Zzzzz"]},
        {"scripts": None},
        {"analyser": 7},
        {"analyser": "table", "file": "../words.tsv"},
        {"analyser": "table", "file": "/words.tsv"},
    ],
)
def test_a_damaged_route_is_refused(copy: Path, changes: dict[str, Any]) -> None:
    (copy.parent / "words.tsv").write_text("walked\twalk @@ed\n", encoding="utf-8")
    change_cutter(copy, **changes)
    with pytest.raises(CorruptArtifactError, match="description of the analysers"):
        load_tokenizer(copy)
    # What is copied with a model is named by this file.
    with pytest.raises(CorruptArtifactError, match="description of the analysers"):
        cutter_files(copy)


def test_a_missing_or_damaged_file_of_an_analyser_is_told(copy: Path) -> None:
    change_cutter(copy, analyser="morfessor", file="words.json")
    with pytest.raises(CorruptArtifactError, match="a file that an analyser is made from"):
        load_tokenizer(copy)
    (copy / "words.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="words of an analyser cannot be read"):
        load_tokenizer(copy)
    change_cutter(copy, file=None)
    with pytest.raises(InputError, match="needs the words"):
        load_tokenizer(copy)


def test_languages_of_one_script_are_refused(documents: Artifact, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="share one") as caught:
        train(documents, tmp_path / "tokenizer", analysers={"sw": "morfessor", "en": "morfessor"})
    assert "Latn: en, sw" in str(caught.value)


def test_other_languages_of_a_script_are_told(
    documents: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        train(documents, tmp_path / "tokenizer", analysers={"en": "morfessor"})
    assert "texts in sw will be cut as if they were in en" in caplog.text


def test_tables_and_learned_analysers_travel_with_the_folder(tmp_path: Path) -> None:
    table = tmp_path / "words.tsv"
    table.write_text("walked\twalk @@ed\nwalking\twalk @@ing\n", encoding="utf-8")
    rows = [document(f"walked walking talked {n}", "en") for n in range(30)]
    rows += [document(f"говорил говорила ходил ходила {n}", "ru") for n in range(30)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    analysers = {"en": f"table:{table}", "ru": "morfessor"}
    path = train(corpus, tmp_path / "tokenizer", analysers=analysers).path
    table.unlink()
    assert set(cutter_files(path)) == {CUTTER_FILE, "analyser-en-words.tsv", "analyser-ru.json"}
    tokenizer = load_tokenizer(path)
    assert pieces(tokenizer, "he walked") == ["he walk", "ed"]
    assert "".join(pieces(tokenizer, "говорила ходил")) == "говорила ходил"
    assert tokenizer.digest == load_tokenizer(path).digest
