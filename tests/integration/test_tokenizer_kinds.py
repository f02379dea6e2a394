"""Every kind of tokenizer from a recipe; the one with an analyser through all stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml
from tests.support.recipes import hunmin, tiny_recipe

from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import MORPHEME_KINDS, Kind

TEXT = "모든 인간은 자유로우며 밥을 먹었습니다. All human beings."


def write_recipe(folder: Path, kind: Kind) -> Path:
    path = tiny_recipe(folder)
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    tokenizer = {"kind": kind, "vocab_size": 600, "allow_smaller": True}
    if kind in MORPHEME_KINDS:
        tokenizer["morphemes"] = {"analysers": {"ko": "mecab-ko"}}
    else:
        tokenizer["character_coverage"] = 0.99
    text = yaml.safe_dump(recipe | {"tokenizer": tokenizer}, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_kind_trains_from_a_recipe(kind: Kind, tmp_path: Path) -> None:
    result = hunmin(
        "tokenizer", "train", write_recipe(tmp_path, kind), "--run-dir", tmp_path / "run"
    )
    assert result.returncode == 0, result.stderr
    tokenizer = load_tokenizer(tmp_path / "run" / "tokenizer")
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_the_analyser_works_in_every_stage(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = hunmin("run", write_recipe(tmp_path, "morpheme-bpe-exact"), "--run-dir", run)
    assert result.returncode == 0, result.stderr
    assert "bits per byte" in result.stdout
    ours, model = load_tokenizer(run / "tokenizer"), load_tokenizer(run / "model")
    assert ours.digest == model.digest
    assert model.encode(TEXT) == ours.encode(TEXT)
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert "an analyser cuts before it is encoded" in card
    shown = hunmin("tokenizer", "inspect", TEXT, "--tokenizer", run / "model", "--json")
    assert shown.returncode == 0, shown.stderr
    assert [row["id"] for row in json.loads(shown.stdout)] == model.encode(TEXT)
    export = hunmin("tokenizer", "export", run / "model", "-o", tmp_path / "tokenizer.gguf")
    assert export.returncode == 2
    assert "needs an analyser in use" in export.stderr
