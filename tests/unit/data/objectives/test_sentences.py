"""Sentences are told from tokens: by marks in every script, before spaces where it has them."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from hunmin.data.objectives.sentences import SentenceTable
from hunmin.tokenizer.load import TextTokenizer


class _Pieces:
    """A tokenizer of the given pieces; the table asks for nothing but their bytes."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = sorted(set(pieces))
        self.size = len(self.pieces)

    def token_bytes(self, token: int) -> bytes:
        return self.pieces[token].encode()


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("It| is| on|.| Good|!", [0, 4]),
        ("3|.|14| is| pi|?!| No", [0, 6]),
        ("그|래|요|.| 네|.", [0, 4]),
        ("は|い|。|電|気|！|」|と", [0, 3, 6]),
        ('is| it|?"| he| said', [0, 3]),
        ("ठीक| है|।| हाँ", [0, 3]),
        ("نعم|؟| لا", [0, 2]),
        ("a|\n|b|. |c", [0, 2, 4]),
        ("e|.|g|.|,| x", [0]),
    ],
)
def test_starts(text: str, starts: list[int]) -> None:
    tokenizer = _Pieces(text.split("|"))
    tokens = np.array([tokenizer.pieces.index(piece) for piece in text.split("|")])
    table = SentenceTable(cast(TextTokenizer, tokenizer))
    assert np.flatnonzero(table.starts(tokens)).tolist() == starts


def test_no_tokens() -> None:
    table = SentenceTable(cast(TextTokenizer, _Pieces(["a"])))
    assert table.starts(np.zeros(0, dtype=np.int64)).tolist() == []
