"""The benchmarks run, with tiny models, and write what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.recipes import ENVIRONMENT, write_texts

SHARED = ("contender", "hunmin", "HF Trainer", "bare loop")


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.slow
def test_single_card_benchmarks_with_tiny_models(repository: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "gpu" / "run.py"
    result = run(script, "--tiny", "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    tables = sorted(tmp_path.glob("*.md"))
    assert [table.name[:6] for table in tables] == ["tiny-0", "tiny-1", "tiny-2", "tiny-3"]
    throughput = tables[0].read_text(encoding="utf-8")
    assert all(word in throughput for word in SHARED)
    record = json.loads(tables[0].with_suffix(".json").read_text(encoding="utf-8"))
    assert all(rate > 0 for rates in record["tokens_per_second"].values() for rate in rates)
    assert "GPT-2 recipe" in tables[3].read_text(encoding="utf-8")


@pytest.mark.slow
def test_data_loading_benchmark(repository: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "data_loading.py"
    options = ("--training-rate", "5000", "--rounds", "1", "--utterances", "20")
    result = run(script, *options, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    (record,) = tmp_path.glob("*.json")
    rates = json.loads(record.read_text(encoding="utf-8"))["tokens_per_second"]
    assert set(rates) == {"context 256", "context 1024"}


@pytest.mark.slow
def test_tokenizer_comparison(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "tokenizer_compare.py"
    options = ("--methods", "byte-bpe", "--vocab-size", "1000", "--rounds", "1")
    places = ("--data", str(shared_data), "--folder", str(tmp_path / "work"))
    command = (*options, *places, "--no-reference-analyser", "--results", str(tmp_path))
    result = run(script, *command)
    assert result.returncode == 0, result.stderr
    (table,) = tmp_path.glob("*.md")
    assert "KLUE-DP R / F1" in table.read_text(encoding="utf-8")
    (report,) = tmp_path.glob("tokenizer-compare-*/report.md")
    assert "### UD Kaist" in report.read_text(encoding="utf-8")
    again = run(script, *command)
    assert "training" not in again.stdout.splitlines()[0]


@pytest.mark.slow
def test_tokenizer_ablation(repository: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts")
    recipe = tmp_path / "recipe.yaml"
    source = {"kind": "files", "paths": [str(texts)], "language": "ko"}
    content = {
        "name": "ablation",
        "corpus": {"sources": [source], "validation_fraction": 0.2},
        "tokenizer": {"kind": "morpheme-bpe", "vocab_size": 400, "allow_smaller": True},
        "data": {"context": 32, "mix_by": "source"},
        "model": {"layers": 2, "width": 64},
        "train": {"evaluate_every": None, "checkpoint_every": None, "export": "last"},
        "evaluate": {},
    }
    recipe.write_text(json.dumps(content), encoding="utf-8")
    options = ("--variants", "byte-bpe", "consistent", "--seeds", "2", "--steps", "2")
    small = ("--rows", "2", "--row-bytes", "64", "--folder", str(tmp_path / "runs"))
    script = repository / "benchmarks" / "tokenizer_ablation.py"
    command = ("--recipe", str(recipe), *options, *small, "--results", str(tmp_path))
    result = run(script, *command)
    assert result.returncode == 0, result.stderr + result.stdout
    (record,) = tmp_path.glob("*.json")
    variants = json.loads(record.read_text(encoding="utf-8"))["variants"]
    names = [variant["variant"] for variant in variants]
    assert names == ["byte-bpe", "consistent", "byte-bpe, more steps"]
    baseline, consistent, control = variants
    assert baseline["difference_percent"] == [0, 0, 0]
    assert len(consistent["by_seed"]) == 2
    assert control["compute_relative"] == pytest.approx(consistent["compute_relative"], rel=0.3)
    again = run(script, *command)
    assert "done" not in again.stdout


def test_a_missing_gpu_is_named(repository: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    result = run(repository / "benchmarks" / "gpu" / "run.py")
    assert result.returncode == 2
    assert "no CUDA device here" in result.stderr


@pytest.mark.slow
def test_language_benchmark(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("morfessor")
    script = repository / "benchmarks" / "tokenizer_languages.py"
    folders = ("--data", str(shared_data), "--folder", str(tmp_path / "runs"))
    small = ("--groups", "mon", "--max-bytes", "50000", "--max-vocab-size", "1000")
    result = run(script, *small, *folders, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    (record,) = tmp_path.glob("*.json")
    comparison = json.loads(record.read_text(encoding="utf-8"))["groups"]["mon"]["comparison"]
    plain, table, morfessor = comparison["tokenizers"]
    for reference in ("words", "sentences"):
        recalls = [each["boundaries"][reference]["recall"]["value"] for each in (plain, table)]
        assert recalls[0] < recalls[1]
    assert morfessor["round_trip"]["num_failures"] == 0
    assert "mon" in record.with_suffix(".md").read_text(encoding="utf-8")
