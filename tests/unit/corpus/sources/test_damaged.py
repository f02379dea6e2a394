"""Compressed files whole and damaged, unreadable files, lines without an end, addresses."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.text import lines
from hunmin.text.files import read_text_lines

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
TEXTS = [f"{number}번째 줄입니다." for number in range(20_000)]
DATA = "".join(f"{text}\n" for text in TEXTS).encode()


def files(path: Path, **options: Any) -> dict[str, Any]:
    return {"kind": "files", "paths": [str(path)], "unit": "line", **options}


@pytest.mark.parametrize("suffix", PACKERS)
def test_members_that_follow_each_other_are_one_file(tmp_path: Path, suffix: str) -> None:
    pack, half = PACKERS[suffix], len(DATA) // 2
    (tmp_path / f"a.txt.{suffix}").write_bytes(pack(DATA[:half]) + pack(DATA[half:]))
    assert [line.text for line in read_text_lines(tmp_path / f"a.txt.{suffix}")] == TEXTS


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9999])
def test_truncated_files_are_told(tmp_path: Path, build: Any, suffix: str, kept: float) -> None:
    packed = PACKERS[suffix](DATA)
    file = tmp_path / f"a.txt.{suffix}"
    file.write_bytes(packed[: int(len(packed) * kept)])
    with pytest.raises(InputError, match=r"data is damaged(.|\n)*fetch or make the file again"):
        build(files(file))


@pytest.mark.parametrize("suffix", PACKERS)
def test_second_member_cut_short_is_told(tmp_path: Path, build: Any, suffix: str) -> None:
    packed = PACKERS[suffix](DATA)
    (tmp_path / f"a.txt.{suffix}").write_bytes(packed + packed[: len(packed) // 2])
    with pytest.raises(InputError, match="data is damaged"):
        build(files(tmp_path / f"a.txt.{suffix}"))


@pytest.mark.parametrize("suffix", PACKERS)
def test_changed_bytes_in_the_middle_are_told(tmp_path: Path, build: Any, suffix: str) -> None:
    packed = bytearray(PACKERS[suffix](DATA))
    middle = len(packed) // 2
    packed[middle : middle + 40] = b"\xa5" * 40
    (tmp_path / f"a.txt.{suffix}").write_bytes(packed)
    with pytest.raises(InputError, match="data is damaged"):
        build(files(tmp_path / f"a.txt.{suffix}"))


@pytest.mark.parametrize(
    ("encoding", "bad"), [("utf-8", b"\xff\xfe"), ("utf-8", b"\0"), ("cp949", b"\xff\xff")]
)
def test_what_does_not_fit_in_the_middle_is_told_or_rejected(
    tmp_path: Path, build: Any, encoding: str, bad: bytes
) -> None:
    lines_ = [text.encode(encoding) for text in TEXTS[:5]]
    lines_[3] += bad
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b"\n".join(lines_)))
    with pytest.raises(TextEncodingError, match="line 4"):
        build(files(tmp_path / "a.txt.xz", encoding=encoding))
    built = build(files(tmp_path / "a.txt.xz", encoding=encoding, undecodable="reject"))
    assert built.texts == TEXTS[:3] + TEXTS[4:5]
    assert built.reasons == ["undecodable"]


def test_unreadable_file_is_told(
    tmp_path: Path, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("가", encoding="utf-8")

    def refuse(*_: object) -> io.FileIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(io, "FileIO", refuse)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied(.|\n)*ls -l"):
        build(files(tmp_path / "a.txt"))


def test_line_without_an_end_stops_in_bounded_memory(
    tmp_path: Path, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 8 << 20)
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress(b"x" * (64 << 20)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"longer than 8 MiB(.|\n)*Split the file"):
        build(files(tmp_path / "a.txt.zst"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


@pytest.mark.parametrize("address", ["ftp://x.org/a.jsonl", "abfs://b/*.txt", "file:///a.csv"])
def test_addresses_of_other_kinds_are_refused(build: Any, address: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*s3://(.|\n)*fetch the files first"):
        build({"kind": "files", "paths": [address]})
