"""Streams of text: whole characters, stop strings across tokens, nothing lost or taken back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hunmin.serving.text import ByteTable, TextStream

SYLLABLES = st.text(alphabet="가각힣뷁한글 ab👩‍👧🇰🇷é", max_size=12)
ALPHABET = st.text(alphabet="abc가", max_size=14)


class PieceTokenizer:
    """A tokenizer whose id n stands for the n-th of the given byte strings."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [b"<|endoftext|>", *pieces]
        self.size = len(self.pieces)
        self.boundary_id = 0
        self.special_ids = {0}

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def token_bytes(self, token_id: int) -> bytes:
        return self.pieces[token_id]


def stream_of(pieces: list[bytes], stop: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    """Return what each piece released, and what the end did; and whether a stop was found."""
    stream = TextStream(ByteTable(PieceTokenizer(pieces)), stop)
    released = []
    for token_id in range(1, len(pieces) + 1):
        released.append(stream.feed(token_id))
        if stream.stopped:
            break
    return [*released, stream.flush()], stream.stopped


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


CUTS = st.lists(st.integers(0, 60), max_size=20)


@given(SYLLABLES, CUTS)
def test_text_cut_anywhere_comes_out_whole_and_never_as_a_broken_character(
    text: str, places: list[int]
) -> None:
    released, stopped = stream_of(cut(text.encode(), places))
    assert "".join(released) == text
    assert not stopped
    assert all("\ufffd" not in part for part in released)


@given(st.binary(max_size=24), CUTS)
def test_any_bytes_give_what_decoding_them_at_once_gives(data: bytes, places: list[int]) -> None:
    released, _ = stream_of(cut(data, places))
    assert "".join(released) == data.decode("utf-8", errors="replace")


def test_a_character_that_is_cut_at_the_end_becomes_one_replacement_character() -> None:
    syllable = "한".encode()
    assert stream_of([syllable[:1], syllable[1:2]])[0] == ["", "", "\ufffd"]


@given(ALPHABET, CUTS, st.lists(st.text(alphabet="abc가", min_size=1, max_size=4), max_size=3))
def test_stop_strings_are_found_wherever_tokens_are_cut(
    text: str, places: list[int], stops: list[str]
) -> None:
    released, stopped = stream_of(cut(text.encode(), places), tuple(stops))
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert stopped == bool(ends)
    assert "".join(released) == (text[: min(ends)[1]] if ends else text)


def test_a_stop_that_straddles_tokens_is_held_back_and_never_shown() -> None:
    assert stream_of([b"one E", b"N", b"D two"], ("END",)) == (["one ", "", "", ""], True)


def test_what_only_began_like_a_stop_is_given_in_the_end() -> None:
    assert stream_of([b"one E", b"N"], ("END",)) == (["one ", "", "EN"], False)


def test_special_tokens_stand_for_no_text() -> None:
    stream = TextStream(ByteTable(PieceTokenizer([b"a"])))
    assert stream.feed(1) + stream.feed(0) + stream.flush() == "a"


def test_names_of_pieces_that_are_no_text_differ() -> None:
    table = ByteTable(PieceTokenizer([b"\xeb\x84", b"\xeb\x85", "가".encode()]))
    assert [table.piece(i) for i in range(4)] == [
        "<|endoftext|>",
        "bytes:\\xeb\\x84",
        "bytes:\\xeb\\x85",
        "가",
    ]
