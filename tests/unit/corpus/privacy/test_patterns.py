"""The table of patterns: it is data, and mistakes in it are named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hunmin.core.errors import InputError
from hunmin.corpus.privacy import (
    DEFAULT_TYPES,
    PRIVACY_TOKENS,
    PRIVACY_TYPES,
    PrivacySpec,
    token_of,
)
from hunmin.corpus.privacy.patterns import Words, load_patterns, parse_patterns

ENTRY = {"name": "x", "type": "phone", "scan": "number", "regex": "1<<d>>", "origin": "a test"}


def parse(**changes: Any) -> Any:
    table = {"macros": {"d": "[0-9]"}, "patterns": [{**ENTRY, **changes}]}
    return parse_patterns(table, {"phone": {"stems": ["전화"], "words": ["tel"]}})[0]


def test_tokens_are_a_constant_list() -> None:
    assert PRIVACY_TOKENS[:3] == ("<|rrn|>", "<|card|>", "<|account|>")
    assert len(set(PRIVACY_TOKENS)) == len(PRIVACY_TYPES)
    assert {pattern.type for pattern in load_patterns(PRIVACY_TYPES)} == set(PRIVACY_TYPES)
    assert token_of("phone") == "<|phone|>"


def test_every_pattern_says_where_it_is_from() -> None:
    patterns = load_patterns(PRIVACY_TYPES)
    assert all(len(pattern.origin) > 20 for pattern in patterns)
    assert len({pattern.name for pattern in patterns}) == len(patterns)
    assert all(pattern.context for pattern in patterns if pattern.languages)


def test_macros_are_inserted() -> None:
    assert parse().regex.pattern == "1[0-9]"


@pytest.mark.parametrize(
    ("changes", "problem", "hint"),
    [
        ({"type": "fone"}, "no type of this name", "Did you mean 'phone'"),
        ({"scan": "numbers"}, "no scan of this name", "Did you mean 'number'"),
        ({"validator": "luhns"}, "no validator of this name", "payment_card"),
        ({"context": "fone"}, "no context of this name", "Did you mean 'phone'"),
        ({"unless": "pone"}, "no unless of this name", "Did you mean 'phone'"),
        ({"regex": "<<e>>"}, "no macro of this name", "allowed: d"),
        ({"regex": "(1"}, "not a regular expression", "(1"),
    ],
)
def test_mistakes_are_named(changes: dict[str, str], problem: str, hint: str) -> None:
    with pytest.raises(InputError, match=problem) as error:
        parse(**changes)
    assert "patterns.yaml: x" in str(error.value)
    assert hint in str(error.value)


def test_spec_orders_types_and_names_unknown_ones() -> None:
    assert PrivacySpec().types == DEFAULT_TYPES
    assert PrivacySpec(types=("phone", "rrn", "phone")).types == ("rrn", "phone")
    with pytest.raises(ValidationError, match="Did you mean 'email'") as error:
        PrivacySpec(types=("emial",))
    assert "coordinates" in str(error.value)


@pytest.mark.parametrize(
    ("text", "stand"),
    [
        ("우리집전화는", True),
        ("Tel.", True),
        ("TEL:", True),
        ("hotel", False),
        ("telling", False),
        ("Telephone", True),
        ("telephoned", True),
        ("Haustelefon", False),
    ],
)
def test_words_begin_and_end_as_their_script_does(text: str, stand: bool) -> None:
    assert Words(["전화", "telephon"], ["tel"]).stand_in(text) is stand
