"""What filters and de-duplication do to a model: bits per byte at equal compute on clean text.

A noisy crawl is made from real data: Korean pages, copies of a few of them (up to forty of one,
exact, edited, framed, with spaces lost), pages of menus and notices, keyboard mash, and pages in
six other languages that claim to be Korean. Models of one shape, with one tokenizer (trained on
the raw mix), see the same number of tokens of

    raw              everything
    filtered         what the language check and the quality filters leave
    deduplicated     what exact and near de-duplication leave of that
    clean            the Korean pages alone, which nobody has in practice

and say held-out Korean pages, none of which resembles a training page. Intervals resample documents
and seeds, in pairs. How much a real crawl gains depends on its noise; this one's is chosen.

    python benchmarks/corpus_downstream.py

Finished stages and runs are kept in the folder, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from corpus_chain import other_pages
from corpus_reference import DATA, read_documents
from harness import RESULTS, markdown_table, write_result

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.hashing import seed_from
from hunmin.corpus.dedup.planting import Change, edited, exact, padded, spaces_lost
from hunmin.corpus.dedup.shingles import shingle
from hunmin.corpus.dedup.truth import exact_pairs
from hunmin.evaluation.results import SCORES_NAME

FOLDER = Path("runs/corpus-downstream")
NATS_PER_BIT = float(np.log(2))
NUM_RESAMPLES = 2_000
BASELINE = "raw"
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

JUDGED: dict[str, Any] = {"language": {}, "filters": {}}
VARIANTS: dict[str, dict[str, Any]] = {
    "raw": {"clean": False, "deduplicate": {"exact": False}},
    "filtered": {**JUDGED, "deduplicate": {"exact": False}},
    "deduplicated": {**JUDGED, "deduplicate": {"exact": True, "near": {"threshold": 0.72}}},
    "clean": {"clean": False, "deduplicate": {"exact": False}},
}

Rows = list[dict[str, str]]


def make_input(options: argparse.Namespace) -> Path:
    """Write the noisy crawl, the clean pages and the held-out ones as JSON lines."""
    folder: Path = options.folder / "input"
    if (folder / "done").is_file():
        return folder
    pages = _sampled(options)
    held_out = _held_out(pages, options.held_out)
    names = {row["id"] for row in held_out}
    clean = [row for row in pages if row["id"] not in names]
    draw = random.Random(seed_from("downstream noise"))
    budget = {kind: int(share * _num_bytes(clean)) for kind, share in NOISE.items()}
    noise = {
        "copies": _copies(clean, budget["copies"], draw),
        "other languages": _other_languages(options.data, budget["other languages"], draw),
        "menus": _menus(clean, budget["menus"], draw),
        "mash": _mash(budget["mash"], draw),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in {CLEAN: clean, HELD_OUT: held_out, **noise}.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        text = "\n".join([*lines, ""])
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "done").touch()
    return folder


def _sampled(options: argparse.Namespace) -> Rows:
    """Korean pages of all kinds, together as long as wanted."""
    pages = [row for row in read_documents(options.data) if len(row["text"]) >= 200]
    random.Random(seed_from("downstream pages")).shuffle(pages)
    wanted, total = (options.megabytes + options.held_out) * 1e6, 0
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


def recipe(
    paths: list[Path], corpus: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return everything that all runs share, with one corpus."""
    source = {
        "kind": "files",
        "name": "crawl",
        "paths": [str(path) for path in paths],
        "language": "ko",
        "fields": {"text": "text", "id": "id", "meta": ["source"]},
    }
    return {
        "name": "corpus-downstream",
        "corpus": {"sources": [source], "validation_fraction": 0, **corpus},
        "tokenizer": {"kind": "byte-bpe", "vocab_size": options.vocab_size, "allow_smaller": True},
        "data": {"context": options.context},
        "model": {"preset": "hunmin", "size": options.size},
        "train": {
            "duration": f"{options.steps} steps",
            "batch_tokens": options.batch_tokens,
            "microbatch_tokens": options.batch_tokens,
            "evaluate_every": None,
            "checkpoint_every": None,
            "export": "last",
            "threads": 1,
        },
        # Of the held-out corpus, whose documents are all in one split.
        "evaluate": {
            "split": "train",
            "max_documents_per_language": None,
            "max_baseline_bytes": 1_000_000,
        },
    }


def hunmin(folder: Path, content: dict[str, Any], until: str, *overrides: str) -> Path:
    """Run a recipe up to a stage, unless that is done; return the stage's folder."""
    stage = {"evaluate": "report"}.get(until, until)
    if (folder / stage / MANIFEST_NAME).is_file():
        return folder / stage
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "wanted.yaml"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    program = [sys.executable, "-m", "hunmin", "run", str(path), *overrides]
    command = [*program, "--run-dir", str(folder), "--until", until]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    print(f"{folder.name}: {until} done", flush=True)
    return folder / stage


@dataclass(frozen=True)
class Prepared:
    """What training needs.

    Args:
        recipe: Shared by all runs.
        held_out: The corpus to score.
        tokenizer: Shared by all runs.
        tokens: By variant.
        documents: Statistics of each variant's corpus.
    """

    recipe: dict[str, Any]
    held_out: Path
    tokenizer: Path
    tokens: dict[str, Path]
    documents: dict[str, Any]


def prepare(options: argparse.Namespace) -> Prepared:
    """Make the corpora, the tokenizer and the tokens."""
    folder: Path = options.folder
    files = make_input(options)
    crawl = [files / f"{name}.jsonl" for name in (CLEAN, *NOISE)]
    inputs = {name: crawl if name != CLEAN else crawl[:1] for name in options.variants}
    recipes = {name: recipe(inputs[name], VARIANTS[name], options) for name in options.variants}
    corpora = {name: hunmin(folder / name, content, "corpus") for name, content in recipes.items()}
    scored = recipe([files / f"{HELD_OUT}.jsonl"], VARIANTS["raw"], options)
    held_out = hunmin(folder / HELD_OUT, scored, "corpus")
    raw = f"use.corpus={corpora[BASELINE]}"
    tokenizer = hunmin(folder / "tokenizer", recipes[BASELINE], "tokenizer", raw)
    tokens = {
        name: hunmin(
            folder / name,
            recipes[name],
            "data",
            f"use.corpus={corpora[name]}",
            f"use.tokenizer={tokenizer}",
        )
        for name in recipes
    }
    documents = {
        name: load_artifact(corpus, "documents", verify=False).facts["total"]
        for name, corpus in corpora.items()
    }
    return Prepared(scored, held_out, tokenizer, tokens, documents)


def train(prepared: Prepared, options: argparse.Namespace, variant: str, seed: int) -> Path:
    """Train and score a model; return the folder of its report."""
    overrides = (
        f"use.corpus={prepared.held_out}",
        f"use.tokenizer={prepared.tokenizer}",
        f"use.data={prepared.tokens[variant]}",
        f"data.seed={seed}",
        f"train.seed={seed}",
    )
    folder = options.folder / f"{variant}-seed{seed}"
    return hunmin(folder, prepared.recipe, "evaluate", *overrides)


class Comparison:
    """Bits per byte of all variants on the same resamples of documents and seeds.

    Args:
        reports: Folders of reports by variant, one for each seed.
    """

    def __init__(self, reports: dict[str, list[Path]]) -> None:
        # [seeds, documents]
        self._bits = {
            name: np.stack([_column(path, "model_nats") / NATS_PER_BIT for path in paths])
            for name, paths in reports.items()
        }
        self._bytes = _column(next(iter(reports.values()))[0], "num_bytes")
        seeds, documents = next(iter(self._bits.values())).shape
        draw = np.random.default_rng(0)
        self._documents = draw.integers(documents, size=(NUM_RESAMPLES, documents))
        self._seeds = draw.integers(seeds, size=(NUM_RESAMPLES, seeds))

    def by_seed(self, variant: str) -> list[float]:
        """Return the bits per byte of each seed."""
        bits = self._bits[variant].sum(axis=1) / self._bytes.sum()
        return [float(value) for value in bits]

    def figures(self, variant: str) -> dict[str, Any]:
        """Return mean and 95 % interval, and the same of the relative change to raw, in percent."""
        own, raw = self._resampled(variant), self._resampled(BASELINE)
        means = {name: float(np.mean(self.by_seed(name))) for name in (variant, BASELINE)}
        return {
            "bits_per_byte": means[variant],
            "interval": _interval(own),
            "change_percent": 100 * (means[variant] / means[BASELINE] - 1),
            "change_interval": _interval(100 * (own / raw - 1)),
            "by_seed": self.by_seed(variant),
        }

    def _resampled(self, variant: str) -> npt.NDArray[np.float64]:
        bits = self._bits[variant]
        values = [
            bits[seeds][:, documents].sum(axis=1).mean() / self._bytes[documents].sum()
            for seeds, documents in zip(self._seeds, self._documents, strict=True)
        ]
        return np.array(values)


def _column(report: Path, name: str) -> npt.NDArray[np.float64]:
    table = pq.read_table(report / SCORES_NAME).sort_by("id")
    values: npt.NDArray[np.float64] = table[name].to_numpy().astype(np.float64)
    return values


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def as_row(name: str, figures: dict[str, Any]) -> list[str]:
    """Return the figures of a variant as a row of the table."""
    low, high = figures["interval"]
    least, most = figures["change_interval"]
    documents = figures["documents"]
    return [
        name,
        f"{documents['documents']:,}",
        f"{documents['utf8_bytes'] / 1e6:.1f}",
        f"{figures['bits_per_byte']:.4f} [{low:.4f}, {high:.4f}]",
        f"{figures['change_percent']:+.2f} % [{least:+.2f}, {most:+.2f}]",
        " ".join(f"{value:.4f}" for value in figures["by_seed"]),
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=tuple(VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--megabytes", type=float, default=10, help="clean text")
    parser.add_argument("--held-out", type=float, default=0.6, help="MB of text to score")
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--size", default="1M", help="parameters beside the embedding")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=6144)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2, help="models at a time, a core each")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if BASELINE not in options.variants:
        parser.error(f"{BASELINE} is what the others are compared with")
    return options


def main() -> None:
    """Train what is missing, score, write the table."""
    options = parse_arguments()
    prepared = prepare(options)
    work = [(name, seed) for seed in range(options.seeds) for name in options.variants]
    with ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(lambda job: train(prepared, options, *job), work))
    reports: dict[str, list[Path]] = {name: [] for name in options.variants}
    for (name, _), report in zip(work, done, strict=True):
        reports[name].append(report)
    comparison = Comparison(reports)
    figures = {
        name: {"documents": prepared.documents[name], **comparison.figures(name)}
        for name in options.variants
    }
    header = ["corpus", "documents", "MB", "bits per byte", f"against {BASELINE}", "by seed"]
    table = markdown_table(header, [as_row(name, each) for name, each in figures.items()])
    details = {
        "variants": figures,
        "noise": NOISE,
        "recipe": {key: prepared.recipe[key] for key in ("tokenizer", "data", "model", "train")},
        "corpora": {name: VARIANTS[name] for name in options.variants},
        "command": "python benchmarks/corpus_downstream.py",
    }
    title = "Bits per byte on clean Korean of equal models after the same number of tokens"
    write_result("corpus-downstream", title, table, details, options.results)


if __name__ == "__main__":
    main()
