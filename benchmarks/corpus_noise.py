"""A noisy crawl made from real data, with the clean pages in it and held-out ones beside it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
from corpus_chain import other_pages
from corpus_reference import read_documents

from hunmin.core.hashing import seed_from
from hunmin.corpus.dedup.planting import Change, edited, exact, padded, spaces_lost
from hunmin.corpus.dedup.shingles import shingle
from hunmin.corpus.dedup.truth import exact_pairs

CLEAN, HELD_OUT = "clean", "held-out"
NOISE = {"copies": 0.8, "other languages": 0.4, "menus": 0.2, "mash": 0.2}
"""Bytes of each kind of noise, in multiples of the clean text."""
MAX_COPIES = 40
COPY_CHANGES: tuple[Change, ...] = (exact, edited(0.01), padded, spaces_lost(0.03))
KEYS = (
    "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ",
    "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ",
    "ㅋㅌㅊㅍㅠㅜㅡ",
    "asdfghjkl",
    "qwertyuiop",
    "zxcvbnm",
)
MENU = (
    "본문 바로가기",
    "로그인",
    "회원가입",
    "이용약관",
    "개인정보처리방침",
    "고객센터",
    "사이트맵",
    "무단전재 및 재배포 금지",
    "이전 글",
    "다음 글",
    "목록",
    "공유하기",
    "댓글 쓰기",
    "인기 글",
    "전체 메뉴",
    "닫기",
    "검색",
    "더보기",
    "Copyright ⓒ All rights reserved.",
    "쿠키를 사용합니다",
    "뉴스레터 구독",
    "장바구니",
    "공지사항",
    "맨 위로",
)

Rows = list[dict[str, str]]


def make_input(data: Path, folder: Path, *, clean_mb: float, held_out_mb: float) -> None:
    """Write clean pages, each kind of noise and held-out pages as JSON lines, unless it is done.

    Args:
        data: The folder of real data.
        folder: Takes `clean.jsonl`, `held-out.jsonl` and a file for each kind of NOISE.
        clean_mb: MB of clean text.
        held_out_mb: MB of held-out text.
    """
    done, sizes = folder / "done", f"{clean_mb:g} MB clean, {held_out_mb:g} MB held out"
    if done.is_file() and done.read_text("utf-8") == sizes:
        return
    pages = _sampled(data, clean_mb + held_out_mb)
    held_out = _held_out(pages, held_out_mb)
    names = {row["id"] for row in held_out}
    clean = [row for row in pages if row["id"] not in names]
    draw = random.Random(seed_from("downstream noise"))
    budget = {kind: int(share * _num_bytes(clean)) for kind, share in NOISE.items()}
    noise = {
        "copies": _copies(clean, budget["copies"], draw),
        "other languages": _other_languages(data, budget["other languages"], draw),
        "menus": _menus(clean, budget["menus"], draw),
        "mash": _mash(budget["mash"], draw),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in {CLEAN: clean, HELD_OUT: held_out, **noise}.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        text = "\n".join([*lines, ""])
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    done.write_text(sizes, encoding="utf-8")


def _sampled(data: Path, megabytes: float) -> Rows:
    """Korean pages of all kinds, together as long as wanted."""
    pages = [row for row in read_documents(data) if len(row["text"]) >= 200]
    random.Random(seed_from("downstream pages")).shuffle(pages)
    wanted, total = megabytes * 1e6, 0
    for number, row in enumerate(pages):
        if total >= wanted:
            return pages[:number]
        total += len(row["text"].encode())
    return pages


def _held_out(pages: Rows, megabytes: float) -> Rows:
    """Pages that resemble no other page, as many as wanted."""
    texts = pa.array([row["text"] for row in pages], pa.string())
    pairs = exact_pairs(shingle(texts, ["characters"] * len(pages)), minimum=0.2)
    alike = set(pairs.left.tolist()) | set(pairs.right.tolist())
    chosen: Rows = []
    for number, row in enumerate(pages):
        if _num_bytes(chosen) >= megabytes * 1e6:
            break
        if number not in alike:
            chosen.append(row)
    return chosen


def _num_bytes(rows: Rows) -> int:
    return sum(len(row["text"].encode()) for row in rows)


def _copies(clean: Rows, wanted: int, draw: random.Random) -> Rows:
    """Copies of a few pages, few of most and many of some."""
    rows: Rows = []
    total = 0
    while total < wanted:
        page = draw.choice(clean)
        for _ in range(min(MAX_COPIES, int(draw.paretovariate(0.8)))):
            text = draw.choice(COPY_CHANGES)(page["text"], draw)
            rows.append({"id": f"copy {len(rows)}", "text": text, "source": "copies"})
            total += len(text.encode())
    return rows


def _other_languages(data: Path, wanted: int, draw: random.Random) -> Rows:
    pages = [text for _, text in other_pages(data) if 200 <= len(text) <= 20_000]
    draw.shuffle(pages)
    return _until(wanted, "other languages", pages)


def _menus(clean: Rows, wanted: int, draw: random.Random) -> Rows:
    """Pages of menus, notices and the beginnings of other pages' lines."""
    lines = [line[:24] for row in clean[:400] for line in row["text"].split("\n")[:3]]
    texts: list[str] = []
    for _ in range(wanted // 400):
        size = draw.randrange(15, 60)
        texts.append("\n".join(draw.choice(draw.choice((MENU, MENU, lines))) for _ in range(size)))
    return _until(wanted, "menus", texts)


def _mash(wanted: int, draw: random.Random) -> Rows:
    """Pages that a cat on a keyboard would write."""
    texts: list[str] = []
    for _ in range(wanted // 200):
        row = draw.choice(KEYS)
        words = ("".join(draw.choices(row, k=draw.randrange(2, 12))) for _ in range(80))
        texts.append(" ".join(words))
    return _until(wanted, "mash", texts)


def _until(wanted: int, source: str, texts: list[str]) -> Rows:
    rows: Rows = []
    total = 0
    for text in texts:
        if total >= wanted:
            break
        rows.append({"id": f"{source} {len(rows)}", "text": text, "source": source})
        total += len(text.encode())
    return rows
