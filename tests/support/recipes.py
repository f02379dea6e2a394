"""A recipe that goes through every stage in seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.texts import SENTENCES

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def write_texts(folder: Path, copies: int = 12) -> Path:
    """Write JSON lines in several languages, every line another text."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"text": f"{number}. {text}", "language": language}, ensure_ascii=False)
        for number in range(copies)
        for language, texts in SENTENCES.items()
        for text in texts
    ]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def tiny_recipe(folder: Path, **train: Any) -> Path:
    """Write the recipe and its texts; `train` overrides keys of the train section."""
    texts = write_texts(folder / "texts")
    recipe = {
        "name": "tiny",
        "corpus": {
            "sources": [
                {
                    "kind": "files",
                    "paths": [str(texts)],
                    "name": "udhr",
                    "fields": {"language": "language"},
                }
            ],
            "validation_fraction": 0.2,
        },
        "tokenizer": {"vocab_size": 320},
        "data": {"context": 32, "num_workers": 1},
        "model": {"preset": "hunmin", "size": None, "layers": 2, "width": 64},
        "train": {
            "duration": "8 steps",
            "batch_tokens": 256,
            "microbatch_tokens": 128,
            "evaluate_every": 4,
            "evaluation_tokens": 256,
            "checkpoint_every": 2,
            "log_every": 1,
            "threads": 1,
            **train,
        },
        "evaluate": {},
        "generate": {"num_samples": 1, "sampling": {"max_tokens": 8, "seed": 1}},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    return path


def hunmin(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def command(*arguments: str | Path) -> list[str]:
    """Return the words that start the command line."""
    return [sys.executable, "-m", "hunmin", *map(str, arguments)]


def read_losses(run: Path) -> dict[int, float]:
    """Return the loss of every step; of repeated steps the last."""
    lines = (run / "train" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.endswith("}")]
    return {r["step"]: r["loss"] for r in records if r["event"] == "step"}
