"""What a word is, and whether all libraries see the same words."""

from __future__ import annotations

import json
import logging
from itertools import chain, product
from pathlib import Path
from typing import get_args

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES
from tokenizers import Tokenizer, models

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactKindError
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import Kind, TokenizerSpec
from hunmin.tokenizer.splits import (
    GPT2_SPLIT,
    SplitName,
    WordSplit,
    find_split,
    read_split,
    word_split,
)
from hunmin.tokenizer.train import train_tokenizer

SPLITS = [
    word_split(name, superwords=superwords)
    for name in ("gpt-2", "marks")
    for superwords in (False, True)
]
KINDS_OF_TEXT = "aé e\u0301가नम\u093f\u200d\u200c \n\t.'s1½👩\ufe0f"


def words(split: WordSplit, text: str) -> list[str]:
    return [word for word, _ in split.splitter().pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", ["हम", "\u0947\u0902", " प", "\u093e", "न", "\u0940"]),
        ("marks", ["हमें", " पानी"]),
    ],
)
def test_vowel_signs(name: SplitName, expected: list[str]) -> None:
    assert words(word_split(name), "हमें पानी") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("น้ำเย็น ๑๒", ["น้ำเย็น", " ๑๒"]),
        ("می\u200cخواهم.", ["می\u200cخواهم", "."]),
        ("cafe\u0301 I'll", ["cafe\u0301", " I", "'ll"]),
        # Joiners and selectors of emoji are none of a word.
        ("ok ❤\ufe0f👩\u200d🚀!", ["ok", " ❤\ufe0f👩\u200d🚀!"]),
        ("1\ufe0f\u20e3", ["1", "\ufe0f\u20e3"]),
    ],
)
def test_marks_stay_with_letters_only(text: str, expected: list[str]) -> None:
    assert words(word_split("marks"), text) == expected


@pytest.mark.parametrize("name", ["gpt-2", "marks"])
def test_superwords_stop_at_all_but_one_space(name: SplitName) -> None:
    found = words(word_split(name, superwords=True), "물 한 잔  주세요, 네\n네 3 잔")
    assert found == ["물 한 잔", " ", " 주세요", ",", " 네", "\n", "네", " 3", " 잔"]


@pytest.mark.parametrize("split", SPLITS)
@given(text=st.text(alphabet=KINDS_OF_TEXT, max_size=40))
def test_both_patterns_find_the_same_words(split: WordSplit, text: str) -> None:
    fast = split.fast_pattern.replace(r"\x{200C}\x{200D}", "\u200c\u200d")
    assert regex.findall(fast, text) == words(split, text)


@pytest.mark.parametrize("split", SPLITS)
@given(text=st.text(alphabet=KINDS_OF_TEXT, max_size=40))
def test_a_safe_cut_changes_no_word(split: WordSplit, text: str) -> None:
    whole = words(split, text)
    for cut in split.safe_cut.finditer(text):
        assert words(split, text[: cut.start()]) + words(split, text[cut.start() :]) == whole


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_found_in_a_tokenizer(split: WordSplit) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split.byte_level()
    definition = json.loads(tokenizer.to_str())
    assert find_split(definition) == read_split(definition) == split


def test_the_stock_split_is_written_as_every_loader_knows_it() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = GPT2_SPLIT.byte_level()
    assert json.loads(tokenizer.to_str())["pre_tokenizer"]["type"] == "ByteLevel"


@pytest.mark.parametrize(
    "steps",
    [
        None,
        {"type": "Whitespace"},
        {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
        {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits"}]},
    ],
)
def test_another_split_is_refused(steps: dict[str, object] | None) -> None:
    definition = {"pre_tokenizer": steps}
    assert find_split(definition) is None
    with pytest.raises(ArtifactKindError, match="the splits gpt-2 and marks"):
        read_split(definition)


@pytest.mark.parametrize("kind", ["byte-bpe", "morpheme-bpe"])
def test_entries_of_whole_words(kind: Kind, documents: Artifact, tmp_path: Path) -> None:
    """The sentences of the test are so frequent that each of their words becomes an entry."""
    sentence = SENTENCES["hi"][0]
    num_tokens = {}
    for split in get_args(SplitName):
        spec = TokenizerSpec(kind=kind, vocab_size=1_500, split=split, allow_smaller=True)
        artifact = train_tokenizer(spec, documents, tmp_path / split)
        num_tokens[split] = len(load_tokenizer(artifact.path).encode(sentence))
    assert len(sentence.split()) <= num_tokens["marks"] <= 0.7 * num_tokens["gpt-2"]


def test_both_engines_agree_with_every_split(documents: Artifact, tmp_path: Path) -> None:
    texts = [*HARD_TEXTS, *chain.from_iterable(SENTENCES.values()), "나는 집에 " * 5_000]
    for name, superwords in product(get_args(SplitName), (0, 0.1)):
        spec = TokenizerSpec(kind="morpheme-bpe", vocab_size=600, split=name, superwords=superwords)
        artifact = train_tokenizer(spec, documents, tmp_path / f"{name}-{superwords}")
        tokenizer = load_tokenizer(artifact.path)
        assert tokenizer.choose_engine(texts) == "tiktoken"
        assert tokenizer.engines_agree(texts)


@pytest.mark.parametrize(
    ("fields", "told"),
    [({}, True), ({"split": "marks"}, False), ({"kind": "char-bpe"}, False)],
)
def test_a_user_learns_which_languages_are_cut(
    fields: dict[str, str],
    told: bool,
    documents: Artifact,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = TokenizerSpec.model_validate({"vocab_size": 700, "allow_smaller": True, **fields})
    with caplog.at_level(logging.WARNING, logger="hunmin"):
        train_tokenizer(spec, documents, tmp_path / "tokenizer")
    assert ("tokenizer.split=marks keeps them whole" in caplog.text) == told
    assert ("(Hindi)" in caplog.text and "(Thai)" in caplog.text) == told
    assert "Korean" not in caplog.text
