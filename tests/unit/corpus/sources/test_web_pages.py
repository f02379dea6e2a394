"""Charsets, extraction, and pages that no reader would meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.corpus.sources.web.charset import decode_page
from hunmin.corpus.sources.web.extract import extract_text, title_of

from . import pages

EXTRACTORS = ("quick", "quality")


def scores(page: pages.WebPage, text: str) -> tuple[float, float]:
    """Return the share of the wanted paragraphs that is there, and of the text that is wanted."""
    found = sum(len(part) for part in page.wanted if part in text)
    return found / sum(map(len, page.wanted)), found / max(len(text), 1)


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("name", pages.PAGES)
def test_content_is_found_and_menus_are_not(name: str, extractor: Any) -> None:
    page = pages.PAGES[name]
    text, problem = extract_text(page.html, extractor)
    recall, precision = scores(page, text)
    assert problem == ""
    assert recall == 1.0
    assert precision > 0.8
    assert not any(part in text for part in page.unwanted)
    assert title_of(page.html) in page.html


@pytest.mark.parametrize(
    ("page", "encoding", "label"),
    [
        (pages.NEWS, "cp949", "euc-kr"),
        (pages.NEWS, "cp949", "ks_c_5601-1987"),
        (pages.JAPANESE, "cp932", "Shift_JIS"),
        (pages.JAPANESE, "euc_jp", "x-euc-jp"),
        (pages.JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (pages.NEWS, "utf-8", "utf-8"),
        (pages.NEWS, "utf-16", "utf-16"),
    ],
)
@pytest.mark.parametrize("place", ["server", "page", "nowhere", "wrong"])
def test_charsets_of_server_page_and_content(
    page: pages.WebPage, encoding: str, label: str, place: str
) -> None:
    text = page.html.replace("ⓒ", "(c)").replace("：", ":")
    if place == "page":
        text = text.replace("<head>", f'<head><meta charset="{label}">')
    declared = {"server": label, "wrong": "iso-8859-1"}.get(place)
    decoded = decode_page(text.encode(encoding), declared)
    assert decoded.text == text
    assert decoded.problem == ""


def test_some_bad_bytes_are_replaced_and_many_are_a_problem() -> None:
    data = bytearray((pages.NEWS.html * 5).encode())
    data[1:1] = b"\xff"
    decoded = decode_page(bytes(data), "utf-8")
    assert decoded.problem == ""
    assert decoded.text.count("\ufffd") == 1
    garbage = b"<html>" + bytes(range(128, 256)) * 20
    assert "do not fit utf-8" in decode_page(garbage, "utf-8").problem


def test_zero_bytes_and_unknown_names_do_no_harm() -> None:
    assert decode_page("가\0나".encode(), "no-such-charset").text == "가나"
    assert decode_page(b"abc", "base64").text == "abc"
    assert decode_page(b"").text == ""


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ("<div>" * 20_000 + "깊은 글", "deep"),
        ("<p " + " ".join(f"a{n}=1" for n in range(5_000)) + ">글", "attributes"),
        ("<p>글" * 300_000, "tags"),
        ("글" * 9_000_000, "characters"),
    ],
)
def test_pages_that_would_take_minutes_are_told(html: str, problem: str, extractor: Any) -> None:
    text, found = extract_text(html, extractor)
    assert text == ""
    assert problem in found


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_broken_pages_give_what_they_have(extractor: Any) -> None:
    huge = pages.NEWS.html.replace("<main>", f"<main data-x='{'가' * 500_000}'>")
    assert scores(pages.NEWS, extract_text(huge, extractor)[0])[0] == 1.0
    for html in ("", "<", "<html>", "<!doctype html><body><p", "<p>" * 99, "\x00<p>글</p>\x01"):
        assert extract_text(html, extractor)[1] == ""


def test_html_files_are_documents(tmp_path: Path, build: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text(pages.NEWS.html, encoding="utf-8")
    (tmp_path / "in" / "b.htm").write_bytes(pages.BLOG.html.encode("cp949"))
    source = {"kind": "files", "paths": [str(tmp_path / "in" / "*.htm*")], "format": "html"}
    built = build(source)
    assert [scores(page, row["text"])[0] for page, row in
            zip((pages.NEWS, pages.BLOG), built.documents, strict=True)] == [1.0, 1.0]  # fmt: skip
    assert json.loads(built.documents[1]["meta"]) == {
        "path": "b.htm", "title": "김치찌개 끓이는 법", "charset": "cp949",
    }  # fmt: skip
    assert build(source | {"extractor": "quality"}).texts[0].startswith("한강에 새 다리")
    with pytest.raises(InputError, match="format: html"):
        build({"kind": "files", "paths": [str(tmp_path / "in" / "a.html")]})


def test_undecodable_html_stops_or_is_rejected(tmp_path: Path, build: Any) -> None:
    (tmp_path / "a.html").write_bytes(pages.NEWS.html.encode())
    (tmp_path / "b.html").write_bytes("<p>가</p>".encode("cp949"))
    source = {
        "kind": "files", "paths": [str(tmp_path / "*.html")], "format": "html", "encoding": "utf-8",
    }  # fmt: skip
    with pytest.raises(TextEncodingError, match=r"not text(.|\n)*undecodable: reject"):
        build(source)
    built = build(source | {"undecodable": "reject"})
    assert (len(built.documents), built.reasons) == (1, ["undecodable"])
