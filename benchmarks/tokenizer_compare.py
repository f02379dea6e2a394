"""All ways to make a tokenizer, on one Korean text: tokens, human morphemes, speed, round trips.

Trains each method on 18.6 MB (see korean_text.py) unless its folder is there already, then compares
all of them on held-out wiki and reviews, with Kiwi, and with the human morphemes of KLUE-DP, UD
Korean Kaist and GSD. The report lies beside the other results.

    python benchmarks/tokenizer_compare.py
    python benchmarks/tokenizer_compare.py --methods byte-bpe consistent --vocab-size 16000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import RESULTS, markdown_table, write_result
from korean_text import DATA, heldout_text, training_text

from hunmin.core.artifact import Artifact
from hunmin.core.atomic import atomic_folder
from hunmin.corpus.documents import read_documents
from hunmin.tokenizer.compare.compare import compare_tokenizers, write_comparison
from hunmin.tokenizer.compare.load import load_subject
from hunmin.tokenizer.compare.references import analyse_texts, read_reference
from hunmin.tokenizer.compare.results import Comparison
from hunmin.tokenizer.compare.texts import read_texts
from hunmin.tokenizer.spec import MORPHEME_KINDS, Kind, TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

BASELINE = "byte-bpe"
KIWI_TRAINER = "kiwi-trainer"
# Name: kind, further fields of the tokenizer, further fields of its morphemes.
METHODS: dict[str, tuple[Kind, dict[str, Any], dict[str, Any]]] = {
    BASELINE: ("byte-bpe", {}, {}),
    "char-bpe": ("char-bpe", {}, {}),
    "unigram": ("unigram", {}, {}),
    "byte-unigram": ("byte-unigram", {}, {}),
    "train-only": ("morpheme-bpe-train-only", {}, {}),
    "exact": ("morpheme-bpe-exact", {}, {}),
    "consistent": ("morpheme-bpe", {}, {"cross_penalty": 1}),
    "consistent-0": ("morpheme-bpe", {}, {"cross_penalty": 0}),
    "consistent-soft": ("morpheme-bpe", {}, {"cross_penalty": -0.03}),
    "functional": ("morpheme-bpe", {}, {"cross_penalty": 1, "boundaries": "functional"}),
    "superwords": ("morpheme-bpe", {"superwords": 0.1}, {"cross_penalty": -1}),
    "consistent-superwords": ("morpheme-bpe", {"superwords": 0.1}, {"cross_penalty": 1}),
}
ALL_METHODS = (*METHODS, KIWI_TRAINER)
GOLD = {
    "KLUE-DP": "klue/dp_dev_a.tsv.zst",
    "UD Kaist": "ud_korean_kaist/ko_kaist-ud-dev.conllu.zst",
    "UD GSD": "ud_korean_gsd/ko_gsd-ud-dev.conllu.zst",
}
SENTENCES = (
    "저는 어제 친구들과 맛있는 밥을 먹었습니다.",
    "학교에서는 그런 것을 가르치지 않는다고 하더라구요.",
    "재미있었지만 다시 보고 싶지는 않은 영화였다",
)


def main() -> None:
    """Train what is missing, compare, and write the report and the dated result."""
    options = _options()
    folder: Path = options.folder
    training = training_text(folder / "training", options.data)
    seconds = {name: _tokenizer(name, training, options) for name in options.methods}
    comparison = _compare(options, heldout_text(folder / "heldout", options.data).path)
    date = datetime.now(UTC).date().isoformat()
    report: Path = options.results / f"tokenizer-compare-{date}"
    write_comparison(comparison, report, recipe={"made by": "benchmarks/tokenizer_compare.py"})
    write_result(
        "tokenizer-compare",
        "Ways to make a tokenizer for Korean",
        f"{_table(comparison, seconds)}\n\nThe whole report: [report.md]({report.name}/report.md).",
        {
            "command": f"python benchmarks/tokenizer_compare.py --vocab-size {options.vocab_size}",
            "training_bytes": training.facts["total"]["utf8_bytes"],
            "training_seconds": seconds,
        },
        options.results,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--methods", nargs="+", choices=ALL_METHODS, default=ALL_METHODS)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--analyser", default="kiwi", help="for the methods with morphemes")
    parser.add_argument("--rounds", type=int, default=5, help="of the measurement of speed")
    parser.add_argument("--no-reference-analyser", action="store_true", help="gold only")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=Path("runs/tokenizer-compare"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.methods = sorted({BASELINE, *options.methods}, key=ALL_METHODS.index)
    return options


def _tokenizer(name: str, training: Artifact, options: argparse.Namespace) -> float:
    """Train a tokenizer if it is not there; return how long that took when it was made."""
    folder = _folder(name, options)
    note = folder.with_name(f"{folder.name}.seconds.json")
    if not ((folder / "tokenizer.json").is_file() and note.is_file()):
        print(f"training {folder.name}", flush=True)
        started = time.monotonic()
        _trainer(name, options)(training, folder)
        note.write_text(json.dumps(round(time.monotonic() - started, 1)), encoding="utf-8")
    return float(json.loads(note.read_text(encoding="utf-8")))


def _folder(name: str, options: argparse.Namespace) -> Path:
    uses_analyser = name in METHODS and METHODS[name][0] in MORPHEME_KINDS
    analyser = f"-{options.analyser}" if uses_analyser else ""
    folder: Path = options.folder / f"{name}{analyser}-{options.vocab_size}"
    return folder


def _trainer(name: str, options: argparse.Namespace) -> Callable[[Artifact, Path], object]:
    if name == KIWI_TRAINER:
        return lambda training, folder: _train_with_kiwi(training, folder, options.vocab_size)
    kind, fields, morphemes = METHODS[name]
    content: dict[str, Any] = {"kind": kind, "vocab_size": options.vocab_size, **fields}
    if kind in MORPHEME_KINDS:
        content["morphemes"] = {"analysers": {"ko": options.analyser}, **morphemes}
    # 18.6 MB may hold fewer merges than asked for; the report tells the number of entries.
    spec = TokenizerSpec.model_validate({**content, "allow_smaller": True})
    return lambda training, folder: train_tokenizer(spec, training, folder)


def _train_with_kiwi(training: Artifact, folder: Path, vocab_size: int) -> None:
    """Kiwi's own trainer, with the classes of morphemes its documentation names."""
    from kiwipiepy import Kiwi
    from kiwipiepy.bpe_trainer import train_bpe_tokenizer

    with atomic_folder(folder) as draft:
        train_bpe_tokenizer(
            str(draft / "tokenizer.json"),
            list(_lines(training)),
            vocab_size,
            pretokenize_j=True,
            pretokenize_e=True,
            pretokenize_vcp=True,
            pretokenize_xsv=True,
            kiwi=Kiwi(num_workers=1),
            show_progress=False,
        )


def _lines(training: Artifact) -> Iterator[str]:
    for batch in read_documents(training, "train", ["text"]):
        for text in batch.column("text").to_pylist():
            yield from (line for line in text.splitlines() if line.strip())


def _compare(options: argparse.Namespace, heldout: Path) -> Comparison:
    texts = read_texts([str(heldout)])
    references = [read_reference(options.data / path, name) for name, path in GOLD.items()]
    if not options.no_reference_analyser:
        references += analyse_texts("kiwi", texts)
    paths = {name: _folder(name, options) for name in options.methods}
    return compare_tokenizers(
        [load_subject(path, name) for name, path in paths.items()],
        texts,
        references,
        baseline=BASELINE,
        sentences=SENTENCES,
        rounds=options.rounds,
    )


def _table(comparison: Comparison, seconds: dict[str, float]) -> str:
    header = ["method", "entries", "tokens wiki", "tokens reviews", "bytes/token"]
    header += [f"{name} R / F1" for name in GOLD]
    header += ["failures", "MB/CPU-s", "bulk MB/CPU-s", "training s"]
    rows = []
    for result in comparison.tokenizers:
        scores = [result.boundaries[name] for name in GOLD]
        speeds = {
            name: f"{speed.megabytes_per_cpu_second:.2f}" for name, speed in result.speed.items()
        }
        sources = [result.by_source[source].relative_tokens or 0 for source in ("wiki", "reviews")]
        rows.append(
            [
                result.name,
                f"{result.vocab_size:,}",
                *(f"{ratio:.3f}" for ratio in sources),
                f"{result.overall.bytes_per_token if result.overall else 0:.2f}",
                *(f"{score.recall.value:.3f} / {score.f1.value:.3f}" for score in scores),
                result.round_trip.num_failures if result.round_trip else "–",
                *(speeds.get(engine, "–") for engine in ("tokenizers", "bulk")),
                f"{seconds[result.name]:.0f}",
            ]
        )
    return markdown_table(header, rows)


if __name__ == "__main__":
    main()
