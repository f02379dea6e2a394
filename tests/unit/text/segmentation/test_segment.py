"""Segmenting many texts: order, processes, the cache, lines and processes that fail."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.analysers import MiddleAnalyser

from hunmin.core.cache import cache_folder
from hunmin.core.errors import InputError, StageFailedError
from hunmin.text.segmentation.boundaries import Boundaries, BoundaryKind
from hunmin.text.segmentation.cache import (
    FILE_NAME,
    BoundaryCache,
    pack_boundaries,
    unpack_boundaries,
)
from hunmin.text.segmentation.segment import (
    MAX_LINE_CHARACTERS,
    SegmentationCounts,
    segment_texts,
)

TEXTS = [f"{n:04} " + "x" * (n % 700) for n in range(600)]


def positions(texts: list[str], **options: object) -> list[tuple[int, ...]]:
    options = {"cache": "none", "workers": 1, **options}
    analyser = options.pop("analyser", MiddleAnalyser())
    return [found.positions for found in segment_texts([texts], analyser, **options)]  # type: ignore[arg-type]


def test_lines_are_analysed_on_their_own() -> None:
    analyser = MiddleAnalyser()
    assert positions(["abcd\n\n  \nefgh", "", "ij"], analyser=analyser) == [(2, 11), (), (1,)]
    assert analyser.seen == ["abcd", "efgh", "ij"]


def test_order_and_results_do_not_depend_on_processes_and_batches() -> None:
    texts = TEXTS * 2
    alone = positions(texts)
    batches = [texts[:1], [], texts[1:900], texts[900:]]
    found = segment_texts(batches, MiddleAnalyser(), workers=2, cache="none")
    assert [result.positions for result in found] == alone


def test_long_lines_are_cut_at_white_space() -> None:
    analyser = MiddleAnalyser()
    line = "ab " * MAX_LINE_CHARACTERS
    positions([line + "\n" + "x" * (2 * MAX_LINE_CHARACTERS + 1)], analyser=analyser)
    pieces = analyser.seen
    assert max(map(len, pieces)) == MAX_LINE_CHARACTERS
    assert "".join(pieces) == line + "x" * (2 * MAX_LINE_CHARACTERS + 1)
    assert all(piece.startswith("ab ") for piece in pieces[:3])


def test_counts_and_progress(caplog: pytest.LogCaptureFixture) -> None:
    counts = SegmentationCounts()
    with caplog.at_level(logging.INFO):
        positions(["가나", "a\nb"], counts=counts, total_bytes=9)
    assert (counts.num_texts, counts.num_bytes, counts.num_lines) == (2, 9, 3)
    assert "finding morphemes: 9 B of 9 B" in caplog.text


def test_a_line_at_which_the_analyser_fails_is_kept_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts = SegmentationCounts()
    texts = ["abcd\nfail here\nefgh", "fail", "good"]
    assert positions(texts, counts=counts) == [(2, 17), (), (2,)]
    assert (counts.num_lines, counts.num_failed_lines) == (5, 2)
    assert counts.first_failure == "'fail here': ValueError: this line is too hard"
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "failed at 2 of 5 lines, which have no boundaries" in caplog.text


def test_an_analyser_that_always_fails_stops_the_work() -> None:
    with pytest.raises(StageFailedError, match=r"failed at every line[\s\S]*too hard"):
        positions(["fail"] * 10)


def test_a_process_that_dies_stops_the_work() -> None:
    with pytest.raises(StageFailedError, match=r"process .* died[\s\S]*fewer workers"):
        positions(["die"], workers=2)


def test_results_are_remembered(tmp_path: Path) -> None:
    first = MiddleAnalyser()
    texts = [*TEXTS[:5], "new\ud83d", ""]
    expected = positions(texts, analyser=first, cache=tmp_path)
    counts = SegmentationCounts()
    second = MiddleAnalyser()
    again = positions([*texts, "more"], analyser=second, cache=tmp_path, counts=counts)
    assert again == [*expected, (2,)]
    assert second.seen == ["more"]
    assert counts.num_remembered == len(texts)
    other = MiddleAnalyser(identity="middle 2")
    positions(texts, analyser=other, cache=tmp_path)
    assert len(other.seen) == len(texts) - 1


def test_words_need_no_cache(tmp_path: Path) -> None:
    positions(["ab"], analyser=MiddleAnalyser(needs_context=False), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNMIN_CACHE", str(tmp_path / "own"))
    positions(["ab"], cache="default")
    assert (tmp_path / "own" / "segmentation" / FILE_NAME).is_file()
    monkeypatch.delenv("HUNMIN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hunmin"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "hunmin"


@pytest.mark.parametrize("damage", ["not a database", "cut", "wrong values"])
def test_a_damaged_cache_never_costs_the_run(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = positions(TEXTS[:50], cache=tmp_path)
    file = tmp_path / FILE_NAME
    if damage == "not a database":
        file.write_bytes(b"these are other bytes" * 999)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:4096])
    else:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE boundaries SET packed = x'ffffffff'")
        connection.close()
    assert positions(TEXTS[:50], cache=tmp_path) == expected
    if damage != "wrong values":
        assert "damaged" in caplog.text
        assert "made again" in caplog.text
    analyser = MiddleAnalyser()
    assert positions(TEXTS[:50], cache=tmp_path, analyser=analyser) == expected
    assert analyser.seen == []


def test_a_locked_or_unusable_cache_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hunmin.text.segmentation.cache._WAIT_SECONDS", 0.05)
    positions(["ab"], cache=tmp_path)
    holder = sqlite3.connect(tmp_path / FILE_NAME)
    holder.execute("BEGIN EXCLUSIVE")
    assert positions(["ab"], cache=tmp_path) == [(1,)]
    assert "cannot be used (database is locked)" in caplog.text
    holder.close()
    (tmp_path / "file").write_text("")
    assert positions(["ab"], cache=tmp_path / "file") == [(1,)]
    assert "cannot be used ([Errno" in caplog.text


@given(st.sets(st.integers(1, 2**28)), st.randoms(use_true_random=False))
def test_packed_boundaries_come_back(offsets: set[int], random: object) -> None:
    kinds = tuple(random.choice(list(BoundaryKind)) for _ in offsets)  # type: ignore[attr-defined]
    boundaries = Boundaries(tuple(sorted(offsets)), kinds)
    assert unpack_boundaries(pack_boundaries(boundaries)) == boundaries


def test_other_bytes_are_no_boundaries() -> None:
    for data in (b"abc", b"\xff" * 4, b"\x00" * 4):
        with pytest.raises(ValueError):
            unpack_boundaries(data)


def test_input_errors_of_the_analyser_are_not_swallowed(tmp_path: Path) -> None:
    class Refusing(MiddleAnalyser):
        def boundaries(self, texts: object) -> list[Boundaries]:
            raise InputError("a model is missing")

    with pytest.raises(InputError, match="a model is missing"):
        positions(["ab"], analyser=Refusing())


def test_the_cache_can_be_asked_when_it_is_closed(tmp_path: Path) -> None:
    cache = BoundaryCache(tmp_path, "x")
    assert cache.find(["a"]) == [None]
    cache.keep([("a", b"")])


PROGRAM = """
import sys
from hunmin.text.segmentation.segment import segment_texts
from tests.support.analysers import MiddleAnalyser
if __name__ == "__main__":
    texts = ["sleep " + "x" * 3000] * 5000
    for number, _ in enumerate(segment_texts([texts], MiddleAnalyser(), workers=2, cache="none")):
        if number == 0:
            print("started", flush=True)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(repository: Path, tmp_path: Path, end: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(repository)},
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(end)
        assert process.wait(timeout=20) != 0
    deadline = time.monotonic() + 10
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_lives(process.pid)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
