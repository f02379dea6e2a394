"""Pieces of a text: bytes, offsets and labels, also where a character is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS

from hunmin.tokenizer.inspect import bytes_per_token, inspect_pieces, render_pieces
from hunmin.tokenizer.load import TextTokenizer


def check(tokenizer: TextTokenizer, text: str) -> None:
    pieces = inspect_pieces(tokenizer, text)
    data = text.encode()
    assert [piece.id for piece in pieces] == tokenizer.encode(text)
    assert b"".join(piece.data for piece in pieces) == data
    offset = 0
    for piece in pieces:
        assert piece.byte_start == offset
        offset += len(piece.data)
        touched = text[piece.start : piece.end].encode()
        assert piece.data in touched
        assert len(text[: piece.start].encode()) <= piece.byte_start
        assert len(text[: piece.end].encode()) >= offset
        # No fewer characters would do.
        assert len(text[: piece.start + 1].encode()) > piece.byte_start
        assert len(text[: piece.end - 1].encode()) < offset


@given(text=st.text(max_size=40))
def test_offsets_of_any_text(tokenizer: TextTokenizer, text: str) -> None:
    check(tokenizer, text)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_offsets_of_hard_texts(tokenizer: TextTokenizer, text: str) -> None:
    check(tokenizer, text)


def test_a_split_character_shows_its_bytes(tokenizer: TextTokenizer) -> None:
    pieces = inspect_pieces(tokenizer, "a𒀀b")
    assert [piece.label for piece in pieces] == [
        "a",
        "<F0>",
        "<92>",
        "<80>",
        "<80>",
        "b",
    ]
    assert [piece.hex for piece in pieces][1:3] == ["F0", "92"]
    assert {(piece.start, piece.end) for piece in pieces[1:5]} == {(1, 2)}
    assert bytes_per_token(pieces) == 1
    assert pieces[1].as_dict() == {
        "id": pieces[1].id,
        "data": "F0",
        "byte_start": 1,
        "start": 1,
        "end": 2,
        "label": "<F0>",
    }


def test_whole_and_partial_characters_in_one_piece(tokenizer: TextTokenizer) -> None:
    """A piece may hold a space and the first bytes of the character after it."""
    labels = [piece.label for piece in inspect_pieces(tokenizer, "मामले में जन्मजात")]
    assert "␠<E0><A4>" in labels
    assert "<E0><A5><8D>" not in labels


def test_the_table_has_one_line_per_piece(tokenizer: TextTokenizer) -> None:
    pieces = inspect_pieces(tokenizer, "All\n𒀀\u200b")
    lines = render_pieces(pieces).splitlines()
    assert lines[0].split() == ["id", "chars", "bytes", "text"]
    assert len(lines) == len(pieces) + 2
    assert lines[-1] == f"{len(pieces)} tokens, 11 bytes, {11 / len(pieces):.2f} bytes a token"
    assert any(line.endswith("<F0>") and "4:5" in line for line in lines)
    assert any(line.endswith("␊") for line in lines)


def test_an_empty_text_has_no_pieces(tokenizer: TextTokenizer) -> None:
    assert inspect_pieces(tokenizer, "") == ()
    assert bytes_per_token(()) == 0
    assert render_pieces(()).splitlines()[1:] == ["0 tokens, 0 bytes, 0.00 bytes a token"]
