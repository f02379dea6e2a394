"""Reserved tokens: there when asked for, known to stock transformers, never given to text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from hunmin.core.artifact import Artifact
from hunmin.core.errors import VocabularyError
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.reserved import (
    CONTINUE_TOKEN,
    MASK_TOKEN,
    NUM_SENTINELS,
    language_token,
    sentinel_tokens,
)
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer


@pytest.fixture(scope="module")
def folder(documents: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = TokenizerSpec(
        vocab_size=700, special_tokens=("<|user|>",), reserve="objectives", spare_tokens=7
    )
    return train_tokenizer(spec, documents, tmp_path_factory.mktemp("reserved") / "tok").path


def test_reserved_tokens_come_after_those_of_the_recipe(folder: Path, documents: Artifact) -> None:
    tokenizer = load_tokenizer(folder)
    names = [tokenizer.token_bytes(i).decode() for i in sorted(tokenizer.special_ids)]
    assert names[:5] == ["<|endoftext|>", "<|pad|>", "<|user|>", MASK_TOKEN, CONTINUE_TOKEN]
    assert names[5 : 5 + NUM_SENTINELS] == list(sentinel_tokens())
    languages = names[5 + NUM_SENTINELS : -7]
    assert language_token("ko") in languages
    assert languages == sorted(languages)
    assert names[-7:] == [f"<|spare:{i}|>" for i in range(7)]
    assert tokenizer.size == 700
    assert tokenizer.mask_id == 3


def test_stock_transformers_knows_the_mask(folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    assert (theirs.mask_token, theirs.mask_token_id) == (MASK_TOKEN, 3)
    assert theirs.pad_token_id == 1
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert MASK_TOKEN not in config["additional_special_tokens"]
    assert theirs.convert_tokens_to_ids(CONTINUE_TOKEN) == 4
    assert MASK_TOKEN in theirs("a <|mask|> b").tokens()


def test_text_never_gives_a_reserved_token(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    text = f"{MASK_TOKEN} {CONTINUE_TOKEN} <|span:0|> <|lang:ko|> <|spare:0|>"
    assert not tokenizer.special_ids & set(tokenizer.encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_nothing_is_reserved_unless_asked_for(tokenizer: TextTokenizer) -> None:
    assert tokenizer.mask_id is None
    assert tokenizer.token_id(CONTINUE_TOKEN) is None
    assert TokenizerSpec().with_reserved(["ko"]) == TokenizerSpec()


def test_a_foreign_folder_names_its_own_mask(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    config["mask_token"] = {"content": "<|user|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_tokenizer(tmp_path).mask_id == 2


def test_a_name_that_is_reserved_and_special_is_there_once() -> None:
    spec = TokenizerSpec(special_tokens=(MASK_TOKEN,), reserve=("mask", "languages"))
    resolved = spec.with_reserved(["ko", "en"])
    assert resolved.special_tokens == (MASK_TOKEN, "<|lang:en|>", "<|lang:ko|>")
    assert (resolved.reserve, resolved.spare_tokens) == ((), 0)


def test_no_room_for_reserved_tokens() -> None:
    with pytest.raises(ValidationError, match="256 bytes and 104 special tokens"):
        TokenizerSpec(vocab_size=300, reserve="objectives")
    with pytest.raises(VocabularyError, match=r"no room for the tokens of 3 languages(?s:.*)262"):
        TokenizerSpec(vocab_size=260, reserve=("mask", "languages")).with_reserved(["a", "b", "c"])
