"""Makes dumps like Wikimedia's from pages written here."""

from __future__ import annotations

import bz2
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ko">
  <siteinfo>
    <sitename>위키백과</sitename>
    <base>https://ko.wikipedia.org/wiki/%EC%9C%84%ED%82%A4</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">토론</namespace>
      <namespace key="6" case="first-letter">파일</namespace>
      <namespace key="14" case="first-letter">분류</namespace>
    </namespaces>
  </siteinfo>
"""
FOOT = "</mediawiki>\n"


class WikiPage(NamedTuple):
    title: str
    text: str
    namespace: int = 0
    redirect: str = ""


KOREAN = WikiPage(
    "서울",
    """{{다른 뜻|서울 (동음이의)}}
{{도시 정보
| 이름 = 서울 {{국기|대한민국}}
| 그림 = [[파일:Seoul.jpg|섬네일]]
}}
[[파일:Seoul.jpg|섬네일|[[한강]]의 밤 [http://x.org 출처]]]
'''서울'''({{llang|en|Seoul}}, {{한자|京城}})은 [[대한민국]]의 [[수도 (행정 구역)|수도]]이다.<ref \
name="a">{{웹 인용|제목=서울|url=http://a}}</ref><ref name="b" /> 넓이는 {{convert|605|km2}}\
이며&nbsp;{{모르는 틀|{{안쪽|x}}}}''천만''이 산다.<!-- 주석 {{ -->

== 역사 ==
{{본문|서울의 역사}}
=== 고대 ===
* [[백제]]의 위례성
** 기원전 {{날짜|2018|3|1}}
{| class="wikitable"
! 연도 !! 인구
|-
| 1950 || {{formatnum|1000}}
{|
| 안쪽
|}
|}
{{{빈 매개변수|}}}<math>a^{2}+b</math>, <nowiki>[[그대로]]</nowiki> 끝<br />다음 줄
== 각주 ==
{{각주}}
<references />
[[분류:서울| ]]
[[분류:대한민국의 도시]]
[[en:Seoul]]
""",
)
KOREAN_PLAIN = """서울

서울(Seoul, 京城)은 대한민국의 수도이다. 넓이는 605 km2이며 천만이 산다.

역사

고대

- 백제의 위례성
- 기원전 2018년 3월 1일

a^{2}+b, [[그대로]] 끝
다음 줄"""
ENGLISH = WikiPage(
    "Seoul",
    "'''Seoul''' ({{lang-ko|서울}}; {{IPA|ko|sʌ.ul}}) is the [[capital city|capital]] of "
    "[[South Korea]].{{citation needed|date=May}} See [https://seoul.go.kr the site] & ''more''.\n"
    "__NOTOC__\n==See also==\n==Notes==\n{{reflist}}\n{{DEFAULTSORT:Seoul}}\n[[Category:Seoul]]",
)
ENGLISH_PLAIN = "Seoul (서울) is the capital of South Korea. See the site & more."
JAPANESE = WikiPage(
    "東京",
    "{{基礎情報\n|名前=東京\n}}\n'''東京'''（とうきょう、{{Lang-en|Tokyo}}）は[[日本]]の[[首都]]。"
    "{{ruby|江戸|えど}}城。\n[[ファイル:T.jpg|thumb|駅 [[東京駅]]]]\n"
    ";見出し\n:説明文\n[[カテゴリ:東京]]",
)
JAPANESE_PLAIN = "東京（とうきょう、Tokyo）は日本の首都。江戸城。\n\n見出し\n説明文"
ARABIC = WikiPage(
    "القاهرة",
    "'''القاهرة''' ({{إنج|Cairo}}) هي عاصمة [[مصر|جمهورية مصر]].<ref>كتاب</ref>\n"
    "[[ملف:Cairo.jpg|تصغير|صورة]]\n[[تصنيف:مدن]]",
)
ARABIC_PLAIN = "القاهرة هي عاصمة جمهورية مصر."
REDIRECT = WikiPage("한양", "#넘겨주기 [[서울]]", redirect="서울")
TALK = WikiPage("토론:서울", "이야기", namespace=1)
MEANINGS = WikiPage("서울 (동음이의)", "'''서울'''은 다음을 가리킨다.\n* [[서울]]\n{{동음이의}}")
PAGES = (KOREAN, ENGLISH, REDIRECT, JAPANESE, TALK, ARABIC, MEANINGS)


def page_xml(page: WikiPage, number: int) -> str:
    redirect = f'    <redirect title="{escape(page.redirect)}" />\n' if page.redirect else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n"
        f"    <id>{number}</id>\n{redirect}    <revision>\n      <id>{number + 9000}</id>\n"
        "      <timestamp>2026-01-01T00:00:00Z</timestamp>\n"
        "      <contributor><username>누구</username><id>7</id></contributor>\n"
        f'      <text bytes="1" xml:space="preserve">{escape(page.text)}</text>\n'
        "    </revision>\n  </page>\n"
    )


def export(pages: Sequence[WikiPage]) -> str:
    return HEAD + "".join(page_xml(page, n) for n, page in enumerate(pages, 1)) + FOOT


def multistream(pages: Sequence[WikiPage], per_stream: int = 100) -> bytes:
    xml = [page_xml(page, number) for number, page in enumerate(pages, 1)]
    streams = ["".join(xml[n : n + per_stream]) for n in range(0, len(xml), per_stream)]
    return b"".join(bz2.compress(part.encode()) for part in (HEAD, *streams, FOOT))


def cut_anywhere(pages: Sequence[WikiPage], size: int) -> bytes:
    """Pack stretches of bytes, as parallel packers do, without regard to pages."""
    data = export(pages).encode()
    return b"".join(bz2.compress(data[n : n + size]) for n in range(0, len(data), size))
