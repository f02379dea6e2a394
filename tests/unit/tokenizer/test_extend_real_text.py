"""Korean is added to a tokenizer of English: 120 other languages keep their ids, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from tests.support.foreign import LLAMA3_SPLIT, foreign_definition, write_donor

from hunmin.text.scripts import script_characters
from hunmin.tokenizer.extend import ExtendedTokenizer, extend_tokenizer
from hunmin.tokenizer.extension.base import BaseTokenizer
from hunmin.tokenizer.load import load_tokenizer

LINES_PER_LANGUAGE = 60


def read(file: Path) -> list[str]:
    data = zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes())
    return data.decode().splitlines()


@pytest.fixture(scope="module")
def news(shared_data: Path) -> dict[str, list[str]]:
    files = sorted((shared_data / "ntrex128").glob("newstest2019-*.txt.zst"))
    assert len(files) > 120
    return {file.name.split(".")[1]: read(file) for file in files}


@pytest.fixture(scope="module")
def result(
    news: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> ExtendedTokenizer:
    base = BaseTokenizer(
        foreign_definition(news["eng"], vocab_size=3_000, split=LLAMA3_SPLIT, ignore_merges=True)
    )
    folder = write_donor(tmp_path_factory.mktemp("donor"), news["kor"], vocab_size=2_000)
    return extend_tokenizer(base, load_tokenizer(folder), news["kor"])


def test_korean_gets_shorter(result: ExtendedTokenizer) -> None:
    facts = result.facts
    assert facts.scripts == ("Hang",)
    assert facts.reachable == 1.0
    assert facts.bytes_per_token_before < 1.1
    assert facts.bytes_per_token_after > 2.5
    assert facts.round_trip_failures == 0


def test_other_languages_keep_their_ids(
    result: ExtendedTokenizer, news: dict[str, list[str]]
) -> None:
    hangul = script_characters(("Hang",))
    assert result.facts.shared_characters == ()
    for language, lines in news.items():
        others = [line for line in lines[:LINES_PER_LANGUAGE] if hangul.isdisjoint(line)]
        assert others or language == "kor"
        assert result.extended.encode(others) == result.base.encode(others), language


def test_every_text_comes_back(result: ExtendedTokenizer, news: dict[str, list[str]]) -> None:
    for lines in news.values():
        some = lines[:LINES_PER_LANGUAGE]
        before, after = result.base.encode(some), result.extended.encode(some)
        assert list(map(result.extended.decode, after)) == list(map(result.base.decode, before))
