"""tiktoken is used when it proves itself, and never otherwise."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.extras import install_command
from hunmin.tokenizer import bulk
from hunmin.tokenizer.bulk import BulkEncoder
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.splits import GPT2_SPLIT, word_split

TEXTS = [*HARD_TEXTS, *(text for texts in SENTENCES.values() for text in texts)]


def definition_of(tokenizer: TextTokenizer) -> dict[str, Any]:
    return json.loads(tokenizer.definition)


def test_both_engines_give_the_same_ids(tokenizer: TextTokenizer) -> None:
    assert tokenizer.choose_engine(TEXTS) == "tiktoken"
    expected = [tokenizer.encode(text) for text in TEXTS]
    for engine in ("tiktoken", "tokenizers"):
        ids = tokenizer.with_engine(engine).encode_batch(TEXTS)
        assert [row.tolist() for row in ids] == expected
        assert {row.dtype.name for row in ids} == {"uint32"}


def test_long_runs_do_not_blow_up(tokenizer: TextTokenizer) -> None:
    for text in ("a" * 100_000, "가" * 50_000, " " * 100_000, "^" * 100_000, "\n " * 50_000):
        assert tokenizer.decode(tokenizer.encode_batch([text])[0].tolist()) == text


@given(text=st.text(alphabet="a가1 \n\t.'s\u3000\u0301", min_size=4, max_size=60))
def test_long_texts_are_cut_where_it_changes_nothing(tokenizer: TextTokenizer, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "PIECE_CHARACTERS", 3)
        assert "".join(bulk.cut_long(text, GPT2_SPLIT)) == text
        ids = tokenizer.with_engine("tiktoken").encode_batch([text])[0]
    assert ids.tolist() == tokenizer.encode(text)


def test_long_texts_are_cut_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PIECE_CHARACTERS", 3)
    text = "물 한 잔을  주세요\n네"
    assert list(bulk.cut_long(text, GPT2_SPLIT)) == ["물 한", " 잔을", "  주세요", "\n네"]
    spanning = word_split("gpt-2", superwords=True)
    assert list(bulk.cut_long(text, spanning)) == ["물 한 잔을  주세요", "\n네"]


def test_split_agrees_on_every_kind_of_character(tokenizer: TextTokenizer) -> None:
    """One probe per block of 64 code points; the two libraries carry their own Unicode tables."""
    points = [p for p in range(0, 0x110000, 61) if not 0xD800 <= p < 0xE000]
    probes = [f"a{chr(p)}b 1{chr(p)}2 .{chr(p)}. {chr(p)}" for p in points]
    assert tokenizer.engines_agree(probes)


def test_without_tiktoken(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with caplog.at_level(logging.INFO, logger="hunmin"):
        assert tokenizer.choose_engine(TEXTS) == "tokenizers"
    assert install_command("fast") in caplog.text


def drop_regex(definition: dict[str, Any]) -> None:
    definition["pre_tokenizer"]["use_regex"] = False


def normalize(definition: dict[str, Any]) -> None:
    definition["normalizer"] = {"type": "NFC"}


def add_ordinary_token(definition: dict[str, Any]) -> None:
    definition["added_tokens"].append(definition["added_tokens"][-1] | {"special": False})


def shuffle_ids(definition: dict[str, Any]) -> None:
    vocabulary = definition["model"]["vocab"]
    first, last = ("".join(definition["model"]["merges"][i]) for i in (0, -1))
    vocabulary[first], vocabulary[last] = vocabulary[last], vocabulary[first]


def ignore_merges(definition: dict[str, Any]) -> None:
    definition["model"]["ignore_merges"] = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_regex, "cuts words by a regex"),
        (normalize, "normalizes"),
        (add_ordinary_token, "not special"),
        (shuffle_ids, "order of its merges"),
        (ignore_merges, "ignores merges"),
    ],
)
def test_tokenizers_that_tiktoken_cannot_express(
    tokenizer: TextTokenizer,
    change: Callable[[dict[str, Any]], None],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    definition = definition_of(tokenizer)
    change(definition)
    with caplog.at_level(logging.INFO, logger="hunmin"):
        changed = TextTokenizer(json.dumps(definition))
        assert changed.choose_engine(TEXTS) == "tokenizers"
    assert reason in caplog.text


def test_a_failed_self_test_falls_back(
    tokenizer: TextTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    """Merges in another order than the ranks: both engines run, with different ids."""
    definition = definition_of(tokenizer)
    kept = definition["model"]["merges"][50:]
    reference = TextTokenizer(
        json.dumps(definition | {"model": definition["model"] | {"merges": kept}})
    )
    encoder = BulkEncoder(reference._tokenizer, definition)
    with caplog.at_level(logging.INFO, logger="hunmin"):
        ids = encoder.encode(TEXTS)
    assert "other ids in the self-test" in caplog.text
    assert [row.tolist() for row in ids] == [reference.encode(text) for text in TEXTS]
