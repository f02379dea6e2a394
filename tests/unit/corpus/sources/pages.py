"""Web pages written here, with the menus and notices that real ones have, and archives of them."""

from __future__ import annotations

from typing import NamedTuple


class WebPage(NamedTuple):
    html: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]


def page(
    title: str, menu: list[str], body: list[str], notice: str, *, tag: str = "article"
) -> WebPage:
    items = "".join(f'<li><a href="/{n}">{name}</a></li>' for n, name in enumerate(menu))
    paragraphs = "".join(f"<p>{text}</p>" for text in body)
    html = (
        f"<!DOCTYPE html><html><head><title>{title}</title><style>p {{ color: red }}</style>"
        f"<script>var menu = '{menu[0]}';</script></head><body>"
        f'<header><nav class="menu"><ul>{items}</ul></nav></header>'
        f'<main><{tag} class="content"><h1>{title}</h1>{paragraphs}</{tag}></main>'
        f'<aside class="sidebar"><ul>{items}</ul></aside>'
        f'<footer class="footer"><p>{notice}</p></footer></body></html>'
    )
    return WebPage(html, tuple(body), (notice, "var menu"))


NEWS = page(
    "한강에 새 다리가 놓인다",
    ["정치", "경제", "사회", "문화", "로그인"],
    [
        "서울시는 한강에 새 다리를 놓기로 했다고 10일 밝혔다. 다리는 내년 봄에 공사를 시작한다.",
        "시민들은 출근 시간이 크게 줄어들 것으로 기대한다. 한 주민은 오래 기다렸다고 말했다.",
        "공사비는 모두 2천억 원으로, 시와 정부가 절반씩 나누어 낸다고 관계자는 설명했다.",
    ],
    "Copyright ⓒ 한강일보. 무단 전재 및 재배포 금지",
)
BLOG = page(
    "김치찌개 끓이는 법",
    ["글 목록", "방명록", "태그", "관리"],
    [
        "먼저 잘 익은 김치를 먹기 좋게 썰어 냄비에 담고, 돼지고기와 함께 센 불에서 볶아 주세요.",
        "고기가 익으면 쌀뜨물을 붓고 이십 분쯤 끓입니다. 두부와 대파는 마지막에 넣는 것이 좋아요.",
        "간은 김칫국물로 맞추면 깊은 맛이 납니다. 하루 지나서 다시 데우면 더 맛있답니다.",
    ],
    "이 블로그의 글을 허락 없이 퍼 가지 마세요. 구독하기 공유하기",
    tag="div",
)
JAPANESE = page(
    "京都の紅葉の見ごろ",
    ["ホーム", "観光", "交通", "お問い合わせ"],
    [
        "京都の紅葉は例年十一月の中旬から見ごろを迎える。今年は気温が高く、少し遅れる見込みだ。",
        "東福寺では早朝から多くの人が訪れ、橋の上から谷を埋める紅葉をながめていた。",
        "市の観光課は、混み合う時間をさけて公共の交通機関を使うように呼びかけている。",
    ],
    "著作権は京都観光新聞に属します。無断転載を禁じます。",
)
PAGES = {"news": NEWS, "blog": BLOG, "japanese": JAPANESE}


def record(
    url: str,
    body: bytes,
    *,
    content_type: str = "text/html",
    status: str = "200 OK",
    kind: str = "response",
    headers: str = "",
) -> bytes:
    """Write one WARC record."""
    http = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}\r\n".encode() + body
    content = body if kind == "conversion" else http
    mime = content_type if kind == "conversion" else "application/http; msgtype=response"
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Record-ID: <urn:uuid:{abs(hash(url))}>\r\n"
        f"Content-Type: {mime}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n\r\n"
