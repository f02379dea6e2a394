"""Lines of large files: streaming, offsets, rejected lines."""

from __future__ import annotations

import io

import pytest

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.text import lines as lines_module
from hunmin.text.lines import read_lines


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le", "utf-16-be", "shift_jis"])
def test_lines_are_the_same_in_every_encoding(encoding: str) -> None:
    text = "first\r\n\n" + "둘째 줄\n끝" if encoding != "shift_jis" else "first\r\n\n二番\n終"
    found = list(read_lines(io.BytesIO(text.encode(encoding)), encoding, where="x"))
    assert [line.number for line in found] == [1, 2, 3, 4]
    assert [line.text for line in found] == text.replace("\r", "").split("\n")


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le"])
def test_characters_are_not_cut_at_block_borders(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 7)
    text = "\n".join("가나다라마바사"[: n % 8] for n in range(40))
    found = list(read_lines(io.BytesIO(text.encode(encoding)), encoding, where="x"))
    assert "\n".join(line.text for line in found) == text


def test_byte_order_mark_is_skipped() -> None:
    data = b"\xef\xbb\xbf" + "가\n".encode()
    assert [
        line.text for line in read_lines(io.BytesIO(data), "utf-8", where="x", mark_bytes=3)
    ] == ["가"]


@pytest.mark.parametrize(
    ("encoding", "good", "bad"),
    [("utf-8", "가나\n".encode(), b"x\xff\xfey"), ("cp949", "가나\n".encode("cp949"), b"x\xff y")],
)
def test_undecodable_byte_is_named_by_offset_and_line(
    encoding: str, good: bytes, bad: bytes
) -> None:
    data = good * 3 + bad + b"\n" + good
    with pytest.raises(TextEncodingError) as error:
        list(read_lines(io.BytesIO(data), encoding, where="a.txt"))
    message = str(error.value)
    assert f"byte {len(good) * 3 + 1} (line 4)" in message
    assert "ff" in message
    assert "undecodable: reject" in message


def test_undecodable_lines_can_be_rejected_one_by_one() -> None:
    data = b"good\nbad \xff\nzero \x00\nlast"
    found = list(read_lines(io.BytesIO(data), "utf-8", where="x", on_undecodable="reject"))
    assert [line.problem for line in found] == [
        None,
        "undecodable at byte 9",
        "undecodable at byte 16",
        None,
    ]
    assert found[1].text == "bad \ufffd"
    assert found[3].text == "last"


def test_broken_utf16_is_named_by_offset() -> None:
    data = "가나\n".encode("utf-16-le") + b"\x00\xd8" + "다".encode("utf-16-le")
    with pytest.raises(TextEncodingError, match="byte 6"):
        list(read_lines(io.BytesIO(data), "utf-16-le", where="x"))


def test_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 1 << 12)
    with pytest.raises(InputError, match="a line is longer than"):
        list(read_lines(io.BytesIO(b"x" * 10_000), "utf-8", where="x"))
