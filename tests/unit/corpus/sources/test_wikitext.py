"""Wikitext to plain text, in several languages and for what is broken."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.corpus.sources.wikipedia.wikitext import wikitext_of_edition

from . import dumps

WIKITEXT = wikitext_of_edition(frozenset({"파일"}), frozenset({"분류"}), {"내 틀": "{2}와 {1}"})


@pytest.mark.parametrize(
    ("page", "plain"),
    [
        (dumps.KOREAN, dumps.KOREAN_PLAIN.removeprefix("서울\n\n")),
        (dumps.ENGLISH, dumps.ENGLISH_PLAIN),
        (dumps.JAPANESE, dumps.JAPANESE_PLAIN),
        (dumps.ARABIC, dumps.ARABIC_PLAIN),
    ],
)
def test_pages_of_several_languages(page: dumps.WikiPage, plain: str) -> None:
    assert WIKITEXT(page.text) == plain


@pytest.mark.parametrize(
    ("wikitext", "plain"),
    [
        ("{{내 틀|가|나}}", "나와 가"),
        ("{{lang|en|2=named}} {{lang|en}}", "named"),
        ("[[가|나]] [[가 나]] [[:분류:가]] [[wikt:말|말]] [[ja:東京]]", "나 가 나 분류:가 말"),
        ("끊긴 {{틀|가\n다음 줄", "끊긴\n다음 줄"),
        ("끊긴 [[연결\n다음", "끊긴 [[연결\n다음"),
        ("앞 {| 열린 표\n| 가\n\n뒤", "앞 {| 열린 표\n| 가\n\n뒤"),
        ("앞\n{| 열린 표\n| 가\n\n뒤", "앞\n\n뒤"),
        ("== 가 ==\n== 나 ==\n=== 다 ===\n글", "나\n\n다\n\n글"),
        ("== 가 ==\n글\n=== 나 ===\n== 다 ==", "가\n\n글"),
        ("-{zh-hans:计算机;zh-hant:電腦}- -{一}-", "计算机 一"),
        ("a &lt;b&gt; &amp;amp; <b>c</b> <nowiki>''x''</nowiki>", "a <b> &amp; c ''x''"),
        ("1 < 2 그리고 3 > 2", "1 < 2 그리고 3 > 2"),
        ("서울({{가}}, 1900년; {{나}}) ({{다}}, {{라}})은 f()", "서울(1900년)은 f()"),
        ("가 ({{다}}, {{라}}) 나, {{마}}, 다", "가 나, , 다"),
        ("{{math|{x}}} 끝", "{x} 끝"),
        ("<ref>열린 참조 뒤의 글", "열린 참조 뒤의 글"),
        ("", ""),
    ],
)
def test_constructs(wikitext: str, plain: str) -> None:
    assert WIKITEXT(wikitext) == plain


def test_categories_and_meanings() -> None:
    assert WIKITEXT.categories_of(dumps.KOREAN.text) == ["서울", "대한민국의 도시"]
    assert WIKITEXT.is_disambiguation(dumps.MEANINGS.text)
    assert WIKITEXT.is_disambiguation("{{Human_name disambiguation|x}}")
    assert not WIKITEXT.is_disambiguation(dumps.KOREAN.text)


marks = st.sampled_from(
    ["{{", "}}", "[[", "]]", "{|", "|}", "<ref>", "</ref>", "|", "\n", "== ", " ==", "''", "<!--",
     "-->", "<math>", "[http://a ", "]", "가", "lang", "-{", "}-", "(", ")", "&lt;", "\x02"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(marks, max_size=60).map("".join))
def test_whatever_is_open_nothing_crashes(wikitext: str) -> None:
    assert "\x02" not in WIKITEXT(wikitext)


@pytest.mark.parametrize("sign", ["{{", "[[", "{|", "<ref>", "<math>", "[http://", "(", "<!--"])
def test_a_page_full_of_open_brackets_is_read(sign: str) -> None:
    assert WIKITEXT(sign * 5000 + "\n\n가").endswith("가") or sign == "<!--"
