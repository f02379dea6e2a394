"""The benchmarks run, with tiny models, and write what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    assert [table.name[:6] for table in tables] == ["tiny-0", "tiny-3"]
    throughput = tables[0].read_text(encoding="utf-8")
    assert all(word in throughput for word in SHARED)
    record = json.loads(tables[0].with_suffix(".json").read_text(encoding="utf-8"))
    assert all(rate > 0 for rates in record["tokens_per_second"].values() for rate in rates)
    assert "GPT-2 recipe" in tables[1].read_text(encoding="utf-8")


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
def test_data_tokenizing_benchmark(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tiktoken")
    script = repository / "benchmarks" / "data_tokenizing.py"
    small = ("--megabytes", "0.4", "--sample", "0.2", "--rounds", "1", "--vocab-size", "1000")
    result = run(script, *small, "--data", str(shared_data), "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    (record,) = tmp_path.glob("*.json")
    rates = json.loads(record.read_text(encoding="utf-8"))["megabytes_per_core_second"]
    assert len(rates) == 5
    assert all(rate > 0 for values in rates.values() for rate in values)


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


def record_of(results: Path) -> dict[str, Any]:
    (path,) = results.glob("*.json")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


@pytest.mark.slow
def test_reference_job_of_the_corpus(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("daft")
    script = repository / "benchmarks" / "corpus_dedup.py"
    places = ("--data", str(shared_data), "--folder", str(tmp_path / "work"))
    command = (*places, "--scale", "0.02", "--rounds", "1", "--contenders", "hunmin")
    result = run(script, *command, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    record = record_of(tmp_path)
    scores = record["contenders"]["hunmin"]
    assert sum(scores["fates"].values()) == record["input"]["documents"]
    assert scores["recall"] > 0.98
    assert scores["precision_either"]["0.5"] > 0.98
    assert scores["copies"]["exact"] == scores["copies"]["NFD"] == 1
    assert scores["median"]["cpu_seconds"] > 0.5
    assert scores["median"]["peak_bytes"] > 50_000_000
    again = run(script, *command, "--results", str(tmp_path))
    assert "round 1" in result.stdout
    assert "round 1" not in again.stdout


@pytest.mark.slow
def test_decontamination_benchmark(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    script = repository / "benchmarks" / "corpus_decontamination.py"
    options = ("--data", str(shared_data), "--documents", "300", "--results", str(tmp_path))
    result = run(script, *options)
    assert result.returncode == 0, result.stderr
    searches = record_of(tmp_path)["searches"]
    found = {name: figures["found"] for name, figures in searches.items()}
    assert set(found) == {"hunmin", "13 words", "8 words"}
    assert found["hunmin"]["verbatim"]["all"] > 0.9
    assert found["hunmin"]["15 % of spaces lost"]["all"] > 0.9
    assert found["13 words"]["verbatim"]["all"] < found["8 words"]["verbatim"]["all"] < 0.6
    assert searches["hunmin"]["documents"]["clean"]["suspected"] == 0


@pytest.mark.slow
def test_speed_of_the_chain(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    script = repository / "benchmarks" / "corpus_chain.py"
    small = ("--megabytes", "0.2", "--rounds", "1")
    result = run(script, "--data", str(shared_data), *small, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for texts in record_of(tmp_path)["texts"].values():
        seconds = {name: values[0] for name, values in texts["cpu_seconds"].items()}
        total = seconds.pop("the whole chain")
        assert total == pytest.approx(sum(seconds.values()))
        assert 0 < texts["kept"] <= texts["documents"]


@pytest.mark.slow
def test_models_on_better_text(repository: Path, shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("daft")
    pytest.importorskip("torch")
    script = repository / "benchmarks" / "corpus_downstream.py"
    places = ("--data", str(shared_data), "--folder", str(tmp_path / "work"))
    small = ("--megabytes", "0.3", "--held-out", "0.03", "--vocab-size", "300")
    shape = ("--context", "32", "--batch-tokens", "128", "--steps", "2", "--seeds", "2")
    command = (*places, *small, *shape, "--variants", "raw", "deduplicated")
    result = run(script, *command, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr + result.stdout
    variants = record_of(tmp_path)["variants"]
    raw, deduplicated = (variants[name]["documents"] for name in ("raw", "deduplicated"))
    assert deduplicated["documents"] < raw["documents"]
    assert variants["raw"]["change_percent"] == 0
    assert len(variants["deduplicated"]["by_seed"]) == 2
    again = run(script, *command, "--results", str(tmp_path))
    assert "done" not in again.stdout


@pytest.mark.slow
def test_engines_agree_on_the_reference_job(
    repository: Path, shared_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("daft")
    pytest.importorskip("ray")
    script = repository / "benchmarks" / "corpus_engines.py"
    places = ("--data", str(shared_data), "--folder", str(tmp_path / "work"))
    small = ("--scale", "0.01", "--rounds", "1")
    result = run(script, *places, *small, "--results", str(tmp_path))
    assert result.returncode == 0, result.stderr
    engines = record_of(tmp_path)["engines"]
    daft, ray = (engines[name][0] for name in ("daft", "ray"))
    assert daft["digests"] == ray["digests"]
    assert daft["digests"]["train"]["documents"] > 100


ORPHAN = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
while time.process_time() < 0.4:
    pass
time.sleep(0.5)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_usage_counts_processes_that_a_command_leaves_behind(
    repository: Path, tmp_path: Path
) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(repository / "benchmarks")!r})
from pathlib import Path
from corpus_usage import measure
log = Path({str(tmp_path / "log")!r})
usage = measure([sys.executable, "-c", {ORPHAN!r}], log=log)
assert usage.cpu_seconds >= 0.4, usage
measure([sys.executable, "-c", "import sys; sys.exit('no luck')"], log=log)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert "AssertionError" not in result.stderr
    assert "ended with 1" in result.stderr
    assert "no luck" in result.stderr
