"""`hunmin corpus thresholds | classifier | check | mask`: what they print, write and refuse."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.documents import document, write_documents

from hunmin.cli.main import run_cli
from hunmin.cli.many_values import _written_out

VERBS = ("build", "thresholds", "classifier", "check", "mask")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sentences(count: int, words: str, seed: int = 0) -> Iterator[str]:
    draw = random.Random(seed)
    for number in range(count):
        yield " ".join(draw.choices(words.split(), k=12)) + f" {number}."


GOOD = (
    "모든 사람은 자유롭고 존엄과 권리에 있어 평등하게 태어나며 이성과 양심을 가지고 서로 행동한다"
)
BAD = "ㅋㅋㅋㅋ 대박 할인 클릭 무료 쿠폰 지금 바로 접속 ㅠㅠ 광고 이벤트 당첨"


@pytest.fixture
def samples(folder: Path) -> Path:
    for name, words in (("good", GOOD), ("bad", BAD)):
        lines = "".join(f"{line}\n" for line in sentences(200, words))
        (folder / f"{name}.txt").write_text(lines, encoding="utf-8")
    return folder


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["corpus", verb, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"hunmin corpus {verb}" in output.partition("Options:")[0].partition("\n")[2]


def test_group_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["corpus", "--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"\n  {verb} " in output for verb in VERBS)


def test_thresholds(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["good.txt", "--unit", "line", "--language", "ko", "--against", "ads=bad.txt"]
    assert run_cli(["corpus", "thresholds", *arguments, "--out", "t.yaml"]) == 0
    captured = capsys.readouterr()
    assert "drops of ads" in captured.out
    assert captured.out.endswith("t.yaml\n")
    assert "proposed from good.txt" in (samples / "t.yaml").read_text("utf-8")
    assert run_cli(["corpus", "thresholds", *arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"]["trusted"]["texts"] == 200
    assert told["dropped"].keys() == {"trusted", "ads"}


def test_classifier(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--good", "good.txt", "--bad", "bad.txt", "--unit", "line"]
    assert run_cli(["corpus", "classifier", *arguments, "--out", "c", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["held_out"]["auc"] > 0.99
    assert captured.err.endswith("c\n")
    assert (samples / "c" / "report.md").is_file()
    assert run_cli(["corpus", "classifier", *arguments, "--keep-share", "0.5"]) == 0
    assert "keeps 50% of the held-out samples" in capsys.readouterr().out


def test_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = list(sentences(5, GOOD, seed=3))
    (folder / "items.txt").write_text("\n".join(items), encoding="utf-8")
    write_documents(
        folder / "corpus", {"train": [document(f"앞말 {items[0]}"), document("다른 글")]}
    )
    assert run_cli(["corpus", "check", "corpus", "--sets", "items.txt", "--out", "found"]) == 0
    captured = capsys.readouterr()
    assert "1 item found in 1 document" in captured.out
    assert (folder / "found" / "report.md").is_file()
    assert run_cli(["corpus", "check", "corpus", "--sets", "mine=items.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sets"]["mine"]["found_items"] == 1


def test_mask(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "letter.txt").write_text("전화 010-1234-5678\n", encoding="cp949")
    assert run_cli(["corpus", "mask", "letter.txt"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "전화 <|phone|>\n"
    assert captured.err == "1 phone <|phone|>\n"
    assert run_cli(["corpus", "mask", "letter.txt", "--explain", "--types", "email"]) == 0
    assert capsys.readouterr() == ("전화 010-1234-5678\n", "nothing to mask\n")
    assert run_cli(["corpus", "mask", "letter.txt", "--explain"]) == 0
    assert "line 1: phone (korean-mobile): 010-1234-5678" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"kim@example.com")))
    assert run_cli(["corpus", "mask", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["text"] == "<|email|>"
    assert told["counts"]["email"] == 1


def test_bytes_that_are_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xb0\xa1\n")))
    assert run_cli(["corpus", "mask"]) == 2
    assert "stdin, line 2: these bytes are not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["thresholds", "nowhere.txt", "--language", "sw"], "there is no such file or folder"),
        (["thresholds", "good.txt", "--language", "ko"], "add --unit line"),
        (["thresholds", "good.txt", "--language", "Korean"], "this is not a language tag"),
        (["thresholds", "good.txt", "--language", "ko", "--out", "t.txt"], "no place for a file"),
        (["classifier", "--good", "good.txt"], "Missing option '--bad'"),
        (
            ["classifier", "--good", "good.txt", "--bad", "bad.txt", "--out", "corpus"],
            "something else",
        ),
        (
            ["classifier", "--good", "good.txt", "--bad", "bad.txt", "--out", "."],
            "cannot be replaced",
        ),
        (["check", "corpus", "--sets", "good.txt", "--out", "."], "cannot be replaced"),
        (["check", "corpus", "--sets", "good.txt", "--out", "corpus"], "the place of what it is"),
        (["classifier", "--good", "good.txt", "--bad", "bad.txt"], "too few good samples"),
        (["classifier", "--good", "good.txt", "--bad", "bad.txt", "--keep-of", "x"], "give both"),
        (["check", "nowhere", "--sets", "good.txt"], "there is no such artifact"),
        (["check", ".", "--sets", "good.txt"], "this is not an artifact"),
        (["check", "corpus", "--sets", "nowhere.yaml"], "there is no such recipe"),
        (["check", "corpus"], "Missing option '--sets'"),
        (["mask", "nowhere.txt"], "there is no such file"),
        (["mask", "--types", "fone"], "Did you mean 'phone'?"),
    ],
)
def test_mistakes_end_with_a_line_and_write_nothing(
    samples: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_documents(samples / "corpus", {"train": [document("문서")]})
    before = sorted(samples.rglob("*"))
    assert run_cli(["corpus", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert sorted(samples.rglob("*")) == before


def test_options_take_many_values() -> None:
    names = {"--good", "--bad"}
    written = ["--good", "a", "b", "--out", "o", "--bad", "c", "d", "--json"]
    assert _written_out(written, names) == [
        *("--good", "a", "--good", "b", "--out", "o", "--bad", "c", "--bad", "d", "--json")
    ]
    assert _written_out(["--good", "-", "--bad=x"], names) == ["--good", "-", "--bad=x"]
    assert _written_out([], names) == []
